"""The whole study, as small as it can be: command line, contract between notebooks, notebooks by hand, the page."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import papermill
import pytest
import yaml

from diagnostic_accuracy.estimates import COLUMNS, IDENTITY, one, read_results, select
from osteotl.files import sha256

ROOT = Path(__file__).parents[2]
STUDY = ROOT / "studies" / "quick.yaml"

# DESIGN.md's contract: file -> columns that later notebooks rely on
TABLES = {
    "cohorts/pretrain.csv": ["image_id", "patient_id", "site", "partition", "label", "path", "film", "width", "height"],
    "cohorts/development.csv": ["image_id", "patient_id", "partition", "label", "view", "age", "sex", "subtype"],
    "cohorts/external.csv": ["image_id", "patient_id", "partition", "label"],
    "cohorts/boxes.csv": ["image_id", "x_min", "y_min", "x_max", "y_max", "finding"],
    "cohorts/film_notes.csv": ["image_id", "note"],
    "predictions.csv": ["image_id", "patient_id", "cohort", "label", "arm", "fraction", "seed", "score", "logit"],
    "detections.csv": ["image_id", "arm", "fraction", "seed", "x_min", "y_min", "x_max", "y_max", "score"],
    "audit.csv": ["image_id", "arm", "fraction", "seed", "audit", "score"],
    "statistics.csv": list(COLUMNS),
    "tables/scores.csv": ["image_id", "patient_id", "cohort", "label", "arm", "run", "score", "risk"],
    "tables/films.csv": ["image_id", "patient_id", "label", "arm", "runs", "called", "placed", "mean_score"],
    "tables/calibration.csv": ["arm", "run", "recalibration", "curve", "predicted", "observed", "lower", "upper", "n"],
    "tables/draws.csv": ["measure", "arm", "reference", "left", "right", "count"],
    **{f"tables/{name}.csv": ["arm", "run", "threshold", "x", "y"]
       for name in ("roc", "precision_recall", "froc", "lroc")},
}  # fmt: skip
FILES = [
    "cohorts/integrity.json", "pretrain/weights.safetensors", "pretrain/training.csv", "pretrain/model.json",
    "audit.json", "analysis_plan.json", "analysis.json", "tables/statistics.xlsx", "figures/index.json", "report.html",
    "provenance.json", "documents/methods.md", "documents/methods.docx", "documents/tables.docx",
    *(f"documents/checklists/{name}.{kind}" for name in ("claim2024", "stard_ai2025", "tripod_ai2024")
      for kind in ("csv", "docx")),
    *(f"documents/model_cards/{arm}.md" for arm in ("scratch", "transfer")),
    *(f"notebooks/{name}.ipynb" for name in ("04_statistics", "05_figures", "06_report")),
    *(f"finetune/{arm}/1/{seed}/{file}" for arm in ("scratch", "transfer") for seed in (0, 1)
      for file in ("weights.safetensors", "training.csv", "pairing.json")),
]  # fmt: skip


def command(*words: str, within: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
    command = [*within, str(ROOT / "run_all.sh"), *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=1500, check=False)


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The finished quick study, run by the command line into a folder with a space in its name.

    It runs in an empty network namespace, which has a loopback device and no route to anywhere; whoever is not root
    gets one by being root in a namespace of users.
    """
    folder = tmp_path_factory.mktemp("quick") / "out puts"
    namespace = ["unshare", "--net", *(["--map-root-user"] if os.geteuid() else []), "--", "bash", "-c"]
    inside = 'ip link set lo up 2>/dev/null || ifconfig lo up 2>/dev/null || true; exec "$0" "$@"'
    ran = command("--config", str(STUDY), "--outputs", str(folder), within=[*namespace, inside])
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return folder


def test_every_file_of_the_contract(out):
    missing = [name for name in [*TABLES, *FILES] if not (out / name).is_file()]
    assert not missing
    for name, columns in TABLES.items():
        assert set(columns) <= set(pd.read_csv(out / name).columns), name


def test_every_film_has_one_score_of_every_run(out):
    predictions = pd.read_csv(out / "predictions.csv")
    counts = predictions.groupby(["cohort", "arm", "seed"])["image_id"].agg(["size", "nunique"])
    # quick.yaml: 30 validation and 40 external films, two arms, two seeds
    assert counts.loc["validation"].eq(30).all().all()
    assert counts.loc["external"].eq(40).all().all()
    assert len(counts) == 2 * 2 * 2
    assert predictions["score"].between(0, 1).all()


def test_no_patient_in_two_partitions(out):
    films = pd.concat([pd.read_csv(out / f"cohorts/{name}.csv") for name in ("development", "external")])
    assert films.groupby("patient_id")["partition"].nunique().eq(1).all()
    assert set(films["partition"]) == {"training", "validation", "test"}


@pytest.fixture(scope="module")
def results(out: Path) -> pd.DataFrame:
    return read_results(out / "statistics.csv")


def test_numbers_are_there_or_say_why_not(results):
    assert len(results) > 200
    assert (results.loc[results["estimate"].isna(), "note"] != "").all()
    bounded = results.dropna(subset=["lower", "upper"])
    assert (bounded["lower"] <= bounded["estimate"]).all()
    assert (bounded["estimate"] <= bounded["upper"]).all()


def test_a_difference_is_that_of_the_arms(results):
    """Of every measure whose difference is an arm's mean less the reference's."""
    means = select(results, run=None, section=["discrimination", "operating_points", "calibration", "decision",
                                               "localisation", "predictive_values", "subgroups"])  # fmt: skip
    place = [name for name in IDENTITY if name != "reference"]
    gaps, alone = means[means["reference"] != ""], means[means["reference"] == ""].set_index(place)["estimate"]
    differences = gaps[~gaps["measure"].isin(["lr_positive", "lr_negative"])].set_index(place)
    expected = (
        alone.reindex(differences.index).to_numpy()
        - alone.reindex(
            pd.MultiIndex.from_frame(differences.reset_index().assign(arm=differences["reference"].to_numpy())[place])
        ).to_numpy()
    )
    found = differences["estimate"].dropna()
    wanted = pd.Series(expected, differences.index)[differences["estimate"].notna()]
    assert len(found) > 50
    assert (found - wanted).abs().max() < 1e-9


def test_the_plan_was_locked_on_validation_films_alone(out, results):
    plan = json.loads((out / "analysis_plan.json").read_text())
    assert plan["films"]["validation_films"] == 30
    for row in plan["thresholds"]:
        used = one(results, measure="threshold", point=row["point"], threshold_from="validation", arm=row["arm"],
                   run=str(row["seed"]))  # fmt: skip
        if row["threshold"] is None:  # infinite: the rule is met where nothing is called positive
            assert np.isnan(used["estimate"])
            assert "nothing is called positive" in used["note"]
        else:
            assert used["estimate"] == row["threshold"]
    assert json.loads((out / "analysis.json").read_text())["deviations"] == []


def test_films_scored_anew_have_the_scores_of_the_study(out, tmp_path):
    films = pd.read_csv(out / "cohorts" / "external.csv", dtype={"image_id": str, "film": str})
    for row in films.itertuples():
        shutil.copy(ROOT / "data" / ".prepared" / row.film[:2] / f"{row.film}.png", tmp_path / f"{row.image_id}.png")
    done = command("score", "--arm", "transfer", str(tmp_path), "--config", str(STUDY), "--outputs", str(out))
    assert done.returncode == 0, done.stderr
    assert "For research use" in done.stdout
    predictions = pd.read_csv(out / "predictions.csv", dtype={"image_id": str}).set_index("image_id")
    folder = out / "scored" / tmp_path.name
    for seed in (0, 1):
        table = pd.read_csv(folder / f"transfer_run_{seed}.csv")
        own = predictions.query("arm == 'transfer' and seed == @seed and cohort == 'external'")
        wanted = own.loc[table["film"].str.removesuffix(".png"), "score"]
        np.testing.assert_allclose(table["score"], wanted, atol=1e-6)
    assert (folder / "transfer_mean_of_2_runs.csv").is_file()
    wrong = command("score", "--arm", "nobody", str(tmp_path), "--config", str(STUDY), "--outputs", str(out))
    assert wrong.returncode == 2
    assert "there is no arm 'nobody'" in wrong.stderr


def test_again_nothing_is_done(out):
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.csv")}
    ran = command("--config", str(STUDY), "--outputs", str(out))
    assert ran.returncode == 0, ran.stderr
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*.csv")} == before


def test_executed_notebooks_repeat_in_a_plain_kernel(out, tmp_path):
    """Each executed notebook, run again top to bottom, loads what is there and shows the same in its checked cells."""
    notebooks = sorted((out / "notebooks").glob("*.ipynb"))
    assert len(notebooks) == 6 + 4
    for path in notebooks:
        notebook = nbformat.read(path, as_version=4)
        cells = notebook.cells
        # an executed notebook hides where the outputs lie: whoever repeats it says so
        injected = next(cell for cell in cells if "injected-parameters" in cell.metadata.get("tags", []))
        injected.source += f"\noutputs = {str(out)!r}"
        nbformat.write(notebook, tmp_path / path.name)
        checked = [c for c in cells if c.cell_type == "code" and c.source.startswith("# NBVAL_CHECK_OUTPUT")]
        assert checked, f"{path.name} checks nothing"
        assert all(cell.outputs for cell in checked), f"{path.name}: a checked cell has no output to compare"
    words = ["--nbval-lax", "--nbval-cell-timeout", "300", "-o", "addopts=", "-p", "no:cacheprovider", "-q"]
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", *words, *map(str, sorted(tmp_path.glob("*.ipynb")))],
        capture_output=True, text=True, cwd=ROOT, timeout=900, check=False, env=by_hand(),
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout[-3000:]


def by_hand() -> dict[str, str]:
    """The environment of somebody in JupyterLab: nothing of the engine's."""
    return {key: value for key, value in os.environ.items() if not key.startswith("OSTEOTL_STEP")}


def test_exploring_with_other_settings_goes_to_scratch(out, tmp_path):
    content = yaml.safe_load(STUDY.read_text())
    content["statistics"]["confidence"] = 0.90
    changed = tmp_path / "changed.yaml"
    changed.write_text(yaml.safe_dump(content))
    finished = {path: sha256(path) for path in out.rglob("*") if path.is_file() and "scratch" not in path.parts}
    papermill.execute_notebook(
        ROOT / "notebooks" / "04_statistics.ipynb", tmp_path / "explored.ipynb", progress_bar=False,
        parameters={"config": str(changed), "outputs": str(out)}, kernel_name="python3",
    )  # fmt: skip
    explored = json.loads((out / "scratch" / "analysis.json").read_text())
    assert explored["settings"]["confidence"] == 0.90
    assert set(read_results(out / "scratch" / "statistics.csv")["confidence"].dropna()) == {0.90}
    assert {path: sha256(path) for path in finished} == finished


@pytest.mark.browser
def test_the_page_asks_for_nothing(out, open_page):
    opened = open_page(out / "report.html")
    opened.page.wait_for_timeout(300)
    assert [url for url in opened.requests if not url.startswith("data:")] == [(out / "report.html").as_uri()]
    assert opened.complaints == []


def test_no_machine_leaves_the_house(out):
    """No absolute path and no user name in what is meant for sharing."""
    shared = ["report.html", "statistics.csv", "analysis.json", "predictions.csv", "documents/methods.md"]
    text = "".join((out / name).read_text() for name in shared)
    for secret in (str(ROOT), str(out), str(Path.home()) + "/"):
        assert secret not in text
