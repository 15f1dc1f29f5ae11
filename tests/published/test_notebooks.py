"""The notebooks `published` and `planning`, run as `./run_all.sh` runs them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from diagnostic_accuracy.as_published import compare_run_by_run
from diagnostic_accuracy.bootstrap import bootstrap
from diagnostic_accuracy.estimates import join, one, to_csv
from diagnostic_accuracy.inference import infer
from diagnostic_accuracy.scores import counts, scores_of
from diagnostic_accuracy.variance import run_spread, shares
from osteotl.workflow.parameters import parameters_of
from osteotl.workflow.standalone import output_folder
from simulated_scores import predictions

ROOT = Path(__file__).parents[2]
SCORES = str(ROOT / "examples" / "scores.csv")

pytestmark = pytest.mark.slow


def run(*words: str) -> subprocess.CompletedProcess[str]:
    """As `./run_all.sh plan ...` and `./run_all.sh published ...` do."""
    command = [sys.executable, "-m", "osteotl.workflow.standalone", *words]
    kept = {key: value for key, value in os.environ.items() if key != "OSTEOTL_STEP"}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=kept)


def page_is_whole(folder: Path, name: str) -> None:
    """One file for reading offline: tables, and no reference to another file."""
    page = (folder / f"{name}.html").read_text(encoding="utf-8")
    assert all(place.startswith(("data:", "#")) for place in re.findall(r'(?:src|href)="([^"]*)"', page))
    assert "<table" in page
    assert "data:image/png" in page  # the figure


@pytest.fixture(scope="module")
def derived(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], pd.DataFrame]:
    folder = tmp_path_factory.mktemp("published")
    done = run("published", "--outputs", str(folder), "--twins", "200")
    assert done.returncode == 0, done.stderr
    page_is_whole(folder, "published")
    return lambda name: pd.read_csv(folder / f"{name}.csv", dtype={"printed": str})


def test_the_published_figures_come_out(derived: Callable[[str], pd.DataFrame]) -> None:
    # expected values: by hand from n = 268 and 475; 46 = 475 - 429, 63 = 475 - 412
    assert derived("false_positives")[["transfer", "scratch", "fewer"]].to_numpy().tolist() == [[46, 63, 17]]
    # .0077 x 4; .030 x 3 = .09, and the rest may not fall below it
    assert sorted(derived("holm")["Holm"]) == pytest.approx([0.0308, 0.09, 0.09, 0.09])
    # seven times .00766 (corrected) and twice 7 x .5^9 (exact)
    seven = derived("families").query("family == 7").iloc[0]
    assert [seven["corrected"], seven["exact"]] == pytest.approx([7 * 0.00766, 14 * 0.5**9], abs=5e-5)
    ppv = derived("predictive_values").set_index("arm")
    assert ppv.loc["transfer", ["0.36", "0.1", "0.01", "0.001"]].tolist() == pytest.approx(
        [0.840, 0.509, 0.086, 0.009], abs=5e-4
    )
    assert ppv.loc["scratch", ["0.36", "0.1", "0.01", "0.001"]].tolist() == pytest.approx(
        [0.793, 0.431, 0.064, 0.007], abs=5e-4
    )
    # 17/743 x 1/9 and x 1, per 1,000
    assert derived("net_benefit").iloc[:, 1].tolist() == pytest.approx([17 / 743 / 9 * 1000, 17 / 743 * 1000])
    assert derived("equivalence").set_index("margin")["equivalent"].to_dict() == {0.02: False, 0.03: True}


def test_every_contradiction_is_listed(derived: Callable[[str], pd.DataFrame]) -> None:
    said = "\n".join(derived("contradictions")["contradiction"])
    assert "specificity 0.902 at high_specificity: no count of 475 gives it" in said
    assert "already meets specificity >= 0.90 (0.903) with sensitivity 0.903" in said
    assert "implies a correlation of -0.12" in said
    rival = derived("pairs_labels_swapped").query("printed == '0.0077'")
    assert rival[["variant", "arm_only", "reference_only"]].to_numpy().tolist() == [["uncorrected", 26, 10]]


def test_a_plan_from_scores(tmp_path: Path) -> None:
    words = ["--predictions", SCORES, "--target", "mcnemar", "--simulations", "60", "--difference", "0.08"]
    done, folder = run("plan", "--outputs", str(tmp_path), *words, "--validation", "400"), tmp_path / "planning"
    assert done.returncode == 0, done.stderr
    said = done.stdout
    assert "scores of transfer and scratch, 743 external films" in said
    assert "power 80% for McNemar's test" in said
    content = json.loads((folder / "plan.json").read_text())
    assert content["sentence"] in said
    assert content["settings"] | {"difference": 0.08, "validation": 400, "simulations": 60} == content["settings"]
    assert "<svg" in (folder / "plan.svg").read_text()
    assert pd.read_csv(folder / "validation.csv")["validation films"].tolist() == [50, 100, 250, 400, 1000]
    assert pd.read_csv(folder / "plan.csv")["films"].is_monotonic_increasing
    widths = pd.read_csv(folder / "precision.csv")
    assert {"auc", "sensitivity", "calibration_slope", "oe", "net_benefit"} == set(widths["measure"])
    needed = pd.read_csv(folder / "films_needed.csv").query("arm == 'scratch'").set_index("measure")["films"]
    assert f"scratch: auc 0.1: {needed['auc']:.0f}; sensitivity 0.1: " in said
    assert not (folder / "differences.csv").exists()  # no results lie beside the scores
    page_is_whole(folder, "planning")


def test_a_finished_study_brings_the_shares_of_its_variance(tmp_path: Path) -> None:
    table = predictions(external=(90, 140), gain=0.1)
    scores = scores_of(table)
    draws = bootstrap(scores, (), replicates=200, recalibrations=())
    held = [bootstrap(scores, (), replicates=200, recalibrations=(), held=name) for name in ("external", "validation")]
    against = {"reference": "scratch"}
    found = [counts(scores), infer(draws, "auc", **against), run_spread(draws, "auc")]
    found += [shares(draws, *held, "auc", **against), compare_run_by_run(draws, **against)]
    (tmp_path / "statistics.csv").write_text(to_csv(join(*found)))
    table.to_csv(tmp_path / "predictions.csv", index=False)
    words = ["--predictions", str(tmp_path / "predictions.csv"), "--external", "1600", "--seeds", "6"]
    done = run("plan", "--outputs", str(tmp_path), *words, "--simulations", "60")
    assert done.returncode == 0, done.stderr
    row = pd.read_csv(tmp_path / "planning" / "differences.csv").iloc[0]
    now = one(found[1], measure="auc", arm="transfer", reference="scratch", run=None)
    assert row["width_now"] == pytest.approx(now["upper"] - now["lower"])
    assert 0 < row["width"] < row["width_now"]  # more films and more runs
    assert 1600 in pd.read_csv(tmp_path / "planning" / "precision.csv")["films"].tolist()


def test_a_plateau_names_its_remedy(tmp_path: Path) -> None:
    words = ["--auc-arm", "0.95", "--auc-reference", "0.95", "--seed-spread", "0.03", "--seeds", "2"]
    done = run("plan", "--outputs", str(tmp_path), *words, "--simulations", "100")
    assert done.returncode == 0, done.stderr
    content = json.loads((tmp_path / "planning" / "plan.json").read_text())
    assert content["films"] is None
    assert "more of them do not help" in content["remedy"]
    assert "training runs per arm would" in content["remedy"]
    assert "seed_spread: 0.03, as asked for" in done.stdout


def test_bad_input_exits_with_2(tmp_path: Path) -> None:
    asked = {
        "neither a file nor one of the shipped comparisons": ["--published", "nobody2020"],
        "none.csv": ["--predictions", str(tmp_path / "none.csv")],
        "target is 'speed'": ["--target", "speed"],
        "both name a pilot": ["--published", "hasei2025", "--predictions", SCORES],
        "must be a number": ["--margin", "wide"],
    }
    for message, words in asked.items():
        done = run("plan", "--outputs", str(tmp_path), *words)
        assert done.returncode == 2, done.stderr
        assert message in done.stderr


def test_every_option_of_plan_is_a_parameter() -> None:
    options = {one.name: (one.kind, one.meaning) for one in parameters_of(ROOT / "notebooks" / "planning.ipynb")}
    asked = ("predictions published target arm reference margin difference specificity power alpha seed_spread "
             "films_per_patient icc seeds simulations seed outputs validation most_films external "
             "sensitivity")  # fmt: skip
    assert set(asked.split()) <= set(options)
    assert all(meaning for _, meaning in options.values())
    assert options["difference"][0] is float
    assert options["validation"][0] is int


def test_a_notebook_run_by_hand_writes_to_scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OSTEOTL_STEP", raising=False)
    assert output_folder(tmp_path) == tmp_path / "scratch"
    monkeypatch.setenv("OSTEOTL_STEP", "planning")
    assert output_folder(tmp_path) == tmp_path
