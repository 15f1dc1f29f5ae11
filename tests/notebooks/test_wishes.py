"""Exploring a finished study: each wish changes one line of notebook 04 and gets a number that is computed otherwise.

Every notebook is executed in a kernel of its own, by hand: `explore` also checks that no output of the study changes.
"""

from __future__ import annotations

import base64
import re
from io import BytesIO

import nbformat
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy import stats
from sklearn.metrics import roc_auc_score, roc_curve

from diagnostic_accuracy.estimates import one, select
from notebooks.finished_study import ROOT, explore
from osteotl.report.render import write_report
from shared_kernel import execute

pytestmark = pytest.mark.slow

REFERENCE = "scratch"
SEEDS = (0, 1, 2)
RUNS = [(arm, run) for arm in ("scratch", "transfer") for run in SEEDS]


def films_of(study, cohort="external", condition=None):
    """Films with their facts, and a column of scores for each run."""
    films = study.films[study.films["cohort"] == cohort].set_index("image_id")
    films = films if condition is None else films.query(condition)
    wide = study.predictions.pivot_table(index="image_id", columns=["arm", "seed"], values="score")
    return films, wide.loc[films.index]


def auc_of(study, arm, runs=SEEDS, condition=None):
    films, wide = films_of(study, condition=condition)
    return np.mean([roc_auc_score(films["label"], wide[arm, run]) for run in runs])


def difference(results, **more):
    return one(results, section="discrimination", measure="auc", run=None, unit="film", **more)


def check_aucs(explored, study, reference=REFERENCE, **part):
    """The means of the arms and their difference, by sklearn."""
    other = next(arm for arm in ("scratch", "transfer") if arm != reference)
    for arm in (reference, other):
        row = difference(explored.results, arm=arm, reference=None)
        assert row["estimate"] == pytest.approx(auc_of(study, arm, **part), abs=1e-12)
    gap = difference(explored.results, arm=other, reference=reference)
    assert gap["estimate"] == pytest.approx(auc_of(study, other, **part) - auc_of(study, reference, **part), abs=1e-12)
    return gap


def quantile(row, confidence):
    df = np.inf if np.isnan(row["df"]) else row["df"]
    return stats.t.ppf(0.5 + confidence / 2, df)


def check_rates(explored, study, point, threshold, condition=None):
    """Mean rates of each arm on the external films, at thresholds that `threshold` finds on all validation films."""
    learnt, held = films_of(study, "validation")
    films, wide = films_of(study, condition=condition)
    ill, place = films["label"] == 1, {"point": point, "threshold_from": "validation"}
    cuts = {run: threshold(*roc_curve(learnt["label"], held[run], drop_intermediate=False)) for run in RUNS}
    for arm in ("scratch", "transfer"):
        calls = [wide[arm, run] >= cuts[arm, run] for run in SEEDS]
        wanted = {"sensitivity": np.mean([c[ill].mean() for c in calls]),
                  "specificity": np.mean([1 - c[~ill].mean() for c in calls])}  # fmt: skip
        for measure, value in wanted.items():
            row = one(explored.results, section="operating_points", measure=measure, arm=arm, reference=None,
                      run=None, unit="film", **place)  # fmt: skip
            assert row["estimate"] == pytest.approx(value, abs=1e-12), (arm, measure)
    found = select(explored.results, measure="threshold", **place)
    assert dict(zip(zip(found["arm"], found["run"].astype(int), strict=True), found["estimate"], strict=True)) == cuts


def high_sensitivity(target):
    """The fewest false alarms with the target sensitivity, then the most hits; of equal counts the highest cut."""

    def threshold(fpr, tpr, cuts):
        fewest = fpr[tpr >= target - 1e-12].min()
        return cuts[np.argmax(np.where(fpr == fewest, tpr, -1))]

    return threshold


def test_unchanged(plain, study):
    check_aucs(plain, study)
    check_rates(plain, study, "high_sensitivity", high_sensitivity(0.9))
    assert plain.analysis["changed"] == []


def test_another_margin(study):
    explored = explore(study, {'margin = asked["auc_margin"]': "margin = 0.02"})
    gap = check_aucs(explored, study)
    error = (gap["upper"] - gap["lower"]) / 2 / quantile(gap, 0.95)
    df = np.inf if np.isnan(gap["df"]) else gap["df"]
    judged = explored.analysis["verdicts"]["transfer"]
    # the one-sided test of 'worse by the margin or more'
    assert judged["p"] == pytest.approx(stats.t.sf((gap["estimate"] + 0.02) / error, df), rel=1e-9)
    assert judged["margin"] == 0.02
    assert explored.analysis["changed"] == ["auc_margin is 0.02, study.yaml says 0.03"]


def delong(label, arm, reference):
    """DeLong, DeLong & Clarke-Pearson 1988, by the definition: every malignant film against every normal one."""
    parts = []
    for score in (arm, reference):
        ill, well = score[label == 1].to_numpy()[:, None], score[label == 0].to_numpy()
        wins = (ill > well) + 0.5 * (ill == well)
        parts.append((wins.mean(axis=1), wins.mean(axis=0)))
    v10, v01 = (parts[0][k] - parts[1][k] for k in (0, 1))
    return v10.mean(), np.sqrt(v10.var(ddof=1) / v10.size + v01.var(ddof=1) / v01.size)


def test_another_confidence(plain, study):
    explored = explore(study, {'confidence = asked["confidence"]': "confidence = 0.9"})
    gap, usual = check_aucs(explored, study), difference(plain.results, arm="transfer", reference=REFERENCE)
    width = (usual["upper"] - usual["lower"]) / quantile(usual, 0.95)
    assert gap["upper"] - gap["lower"] == pytest.approx(width * quantile(gap, 0.9), rel=1e-9)
    films, wide = films_of(study)
    value, error = delong(films["label"], wide["transfer", 0], wide["scratch", 0])
    row = one(explored.results, measure="delong", run="0")
    z = stats.norm.ppf(0.95)
    assert row[["estimate", "lower", "upper"]].tolist() == pytest.approx([value, value - z * error, value + z * error])
    assert set(explored.results["confidence"].dropna()) == {0.9}


def test_another_target(study):
    line = 'rules = asked["operating_points"]'
    explored = explore(study, {line: line + ' | {"high_sensitivity": 0.8}'})
    check_rates(explored, study, "high_sensitivity", high_sensitivity(0.8))
    assert len(explored.analysis["changed"]) == 1


def test_another_threshold_rule(study):
    explored = explore(study, {'rules = asked["operating_points"]': 'rules = {"closest": None}'})
    check_rates(explored, study, "closest", lambda fpr, tpr, cuts: cuts[np.argmin((1 - tpr) ** 2 + fpr**2)])


def test_a_threshold_rule_defined_in_the_cell(study):
    """At most one normal film in five is an alarm, whatever the sensitivity."""
    rule = "lambda tp, fp, positives, negatives, target: int((fp <= 0.2 * negatives).sum()) - 1"
    line = "points: list[Point] = points_of(rules, sources, given=given)"
    explored = explore(study, {line: f'points = [Point("few_alarms", rule={rule})]'})

    def threshold(fpr, tpr, cuts):
        allowed = fpr <= 0.2 + 1e-12
        last = np.flatnonzero(allowed)[-1]
        same = (fpr == fpr[last]) & (tpr == tpr[last])
        return cuts[np.argmax(same)]

    check_rates(explored, study, "few_alarms", threshold)
    assert "few_alarms" in explored.analysis["changed"][0]


def test_only_women(study):
    explored = explore(study, {"scores = read_scores(step)": "scores = read_scores(step).where(\"sex == 'F'\")"})
    check_aucs(explored, study, condition="sex == 'F'")
    check_rates(explored, study, "high_sensitivity", high_sensitivity(0.9), "sex == 'F'")
    women = len(films_of(study, condition="sex == 'F'")[0])
    assert one(explored.results, section="cohort", measure="films", group="external")["estimate"] == women
    assert explored.analysis["changed"] == [f"{women} of {len(films_of(study)[0])} external films are analysed"]


def test_one_seed(study):
    explored = explore(study, {"scores = read_scores(step)": "scores = read_scores(step).select(runs=[1])"})
    gap = check_aucs(explored, study, runs=[1])
    assert gap["basis"] == "this run only"
    assert explored.analysis["changed"] == ["left out are the runs scratch 0, scratch 2, transfer 0, transfer 2"]


def test_one_site_left_out(study):
    explored = explore(study, {"scores = read_scores(step)": "scores = read_scores(step).where(\"site != 'B'\")"})
    check_aucs(explored, study, condition="site != 'B'")
    assert not select(explored.results, section="subgroups", group="site=B").size


def test_another_reference_arm(study):
    explored = explore(study, {'reference = asked["reference"]': 'reference = "transfer"'})
    check_aucs(explored, study, reference="transfer")
    assert set(explored.analysis["verdicts"]) == {"scratch"}


# --- questions added below --------------------------------------------------------------------------------------------


def picture_of(output):
    return Image.open(BytesIO(base64.b64decode(output["data"]["image/png"])))


def test_draws_of_the_difference_as_a_histogram(plain, study):
    assert picture_of(plain.printed("hist(bins=40)")).size > (100, 100)
    cell = next(c for c in plain.notebook.cells if "hist(bins=40)" in c.source)
    printed = float(next(o["text"] for o in cell.outputs if o.output_type == "stream"))
    # the same resampling, patients within class, by numpy and sklearn: both spreads are estimated, +- 7 % each
    films, wide = films_of(study)
    ill = films.groupby("patient_id")["label"].transform("max") == 1
    rows = {name: np.flatnonzero(films["patient_id"] == name) for name in films["patient_id"].unique()}
    strata = [films.loc[side, "patient_id"].unique() for side in (ill, ~ill)]
    label, score, rng, found = films["label"].to_numpy(), wide[RUNS].to_numpy(), np.random.default_rng(5), []
    for _ in range(300):
        drawn = np.concatenate([rows[name] for part in strata for name in rng.choice(part, part.size)])
        aucs = [roc_auc_score(label[drawn], score[drawn, k]) for k in range(6)]
        found.append(np.mean(aucs[3:]) - np.mean(aucs[:3]))
    assert printed == pytest.approx(np.std(found), rel=0.25)


def test_the_ten_worst_misses_as_films(plain, study):
    shown = plain.printed("worst_misses(")
    assert picture_of(shown).size > (400, 200)
    films, wide = films_of(study)
    ill = films.index[films["label"] == 1]
    points = select(plain.results, measure="threshold", point="high_sensitivity", threshold_from="validation")
    cuts = {(arm, int(run)): cut for arm, run, cut in points[["arm", "run", "estimate"]].itertuples(index=False)}
    missed = pd.DataFrame({arm: np.mean([wide.loc[ill, (arm, r)] < cuts[arm, r] for r in SEEDS], axis=0)
                           for arm in ("scratch", "transfer")}, ill)  # fmt: skip
    means = pd.DataFrame({arm: wide.loc[ill, arm].mean(axis=1) for arm in missed})
    worst = means.where(missed > 0).mean(axis=1).dropna().sort_values()
    alt = shown["data"]["text/plain"]
    assert alt.startswith("10 missed malignant films with boxes")
    assert f"{worst.iloc[0]:.3f} (film {worst.index[0][:6]})" in alt


def test_two_seeds_compared(plain, study):
    films, wide = films_of(study)
    value, error = delong(films["label"], wide["transfer", 1], wide["transfer", 0])
    text = plain.printed("compare_auc(")["data"]["text/plain"]
    found = {name: float(re.search(rf"\b{name}=(-?[\d.e-]+)", text)[1]) for name in ("estimate", "p")}
    assert found["estimate"] == pytest.approx(value)
    assert found["p"] == pytest.approx(2 * stats.norm.sf(abs(value / error)))


def test_a_figure_of_ones_own_on_the_page(plain, study):
    """In 04 it is shown at once; a section of a copy of 06 puts it on the page, which a person makes below scratch."""
    assert picture_of(plain.printed("plot.kde")).size > (100, 100)
    copy = study.outputs / "scratch" / "notebooks" / "06_report.ipynb"
    notebook = nbformat.read(ROOT / "notebooks" / "06_report.ipynb", as_version=4)
    place = next(k for k, cell in enumerate(notebook.cells) if cell.source.startswith("## Limitations"))
    mine = nbformat.v4.new_code_cell(
        'figure = page.table("scores").groupby("arm")["score"].median().plot.barh().figure\n'
        'Section("mine", own_figure(figure, "mine", "Medians of all scores"))', metadata={"tags": ["section"]}
    )  # fmt: skip
    notebook.cells[place:place] = [nbformat.v4.new_markdown_cell("## A figure of my own"), mine]
    imports = next(cell for cell in notebook.cells if "import figures" in cell.source)
    imports.source = imports.source.replace("import figures", "import figures, own_figure")
    before = study.hashes()
    execute(notebook, study.config, study.outputs)
    nbformat.write(notebook, copy)
    html = write_report(study.outputs / "scratch").read_text(encoding="utf-8")
    assert study.hashes() == before
    assert 'aria-label="Medians of all scores"' in html
    assert html.index("A figure of my own") < html.index('id="limitations-title"')
