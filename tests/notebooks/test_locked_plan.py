"""A plan that was locked beforehand: written once, and what is changed afterwards stands on the page."""

from __future__ import annotations

import json
import subprocess

import pytest
import yaml

from notebooks.finished_study import ROOT, explore, page_of, with_films, with_scores
from osteotl.plan import REGISTERED, cohort_hashes, make_plan, plan_hash, register, registration_page
from osteotl.study import load_study
from simulated_scores import predictions

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Locked in January, then the margin, a film of the external cohort and a seed of the bootstrap were changed."""
    made = with_films(tmp_path_factory.mktemp("locked"), predictions(external=(20, 30), validation=(20, 30)))
    lock(made, "2026-01-31")
    return made


def lock(study, date):
    """Lock the plan as `./run_all.sh lock` does; the bytes that it wrote."""
    asked, rows = load_study(study.config), study.predictions
    validation = rows[rows["cohort"] == "validation"].assign(fraction=1.0)
    validation["logit"] = validation["score"]
    register(asked, validation, cohort_hashes(asked, study.outputs.joinpath), study.outputs, date)
    return [path.read_bytes() for path in sorted((study.outputs / REGISTERED).parent.iterdir())]


def change(study, **statistics):
    content = yaml.safe_load(study.config.read_text())
    content["statistics"] |= statistics
    study.config.write_text(yaml.safe_dump(content, sort_keys=False))


def test_locked_twice_gives_the_same_bytes(study):
    first = lock(study, "2026-02-01")
    assert lock(study, "2026-02-02") == first
    plan = json.loads(first[0])
    assert plan["date"] == "2026-01-31"
    assert plan["hash"] == plan_hash(plan)
    page = first[1].decode()
    for words in ("| Locked on | 2026-01-31, before any external film was scored |", plan["hash"],
                  "| Margin | 0.03, because a smaller difference would not change which detector is picked |",
                  "| Primary outcome | difference in AUC, tested for superiority |", "| Training seeds | 0, 1, 2 |",
                  "sensitivity@high_sensitivity", "| scratch | 1 | 0 | high_sensitivity |",
                  plan["cohorts"]["external"]):  # fmt: skip
        assert words in page, words
    assert len(plan["thresholds"]) == 2 * 3 * 3  # arms, seeds, operating points


def test_a_run_that_could_not_be_recalibrated_has_its_reason_on_the_page(study):
    """A score that does not vary has neither a line nor a finite threshold at a high specificity."""
    asked = load_study(study.config)
    rows = study.predictions[study.predictions["cohort"] == "validation"].assign(fraction=1.0, logit=0.5)
    rows.loc[rows["arm"] == "scratch", "logit"] = rows["score"]
    plan = json.loads((study.outputs / REGISTERED).read_text()) | make_plan(asked, rows)
    reasons = {row["note"] for row in plan["recalibration"] if "note" in row}
    assert len(reasons) == 1
    assert f"| {reasons.pop()} |" in registration_page(plan)


def test_what_changed_afterwards_stands_on_the_page(study):
    change(study, auc_margin=0.02)
    with pytest.raises(ValueError, match=r"a plan was locked on 2026-01-31, and settings differ from it now"):
        lock(study, "2026-02-03")
    table = study.outputs / "cohorts" / "external.csv"
    table.write_text(table.read_text().replace("frontal", "oblique", 1))
    explored = explore(study, {})
    assert explored.analysis["plan"]["date"] == "2026-01-31"
    assert explored.analysis["deviations"] == [
        "auc_margin changed after the plan was locked on 2026-01-31: planned 0.03, now 0.02",
        "the films or annotations of external changed after the plan was locked on 2026-01-31",
    ]
    said = page_of(study).select_one("#plan").get_text(" ")
    assert "A plan was locked on 2026-01-31, before any external film was scored" in said
    assert "Changes since: 2" in said
    assert "changed after it was locked on 2026-01-31: auc margin (planned: 0.03; now: 0.02)" in said


def test_own_scores_are_locked_from_the_command_line(tmp_path):
    table = predictions({"old": (0,), "new": (0,)}, external=(12, 12), validation=(12, 12))
    study = with_scores(tmp_path, table, "old", statistics={"bootstrap": 100})
    out = tmp_path / "planned"
    words = ["./run_all.sh", "lock", "--config", str(study.config), "--outputs", str(out)]
    written = []
    for _ in range(2):
        done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert "Register this page" in done.stdout
        written.append({path.name: path.read_bytes() for path in (out / "registered").iterdir()})
    assert written[0] == written[1]
    assert set(written[0]) == {"analysis_plan.json", "analysis_plan.md"}
    assert not (out / "statistics.csv").exists()
    (out / "statistics.csv").write_text("results")
    (out / REGISTERED).unlink()
    late = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert late.returncode == 2
    assert "external films were scored" in late.stderr
