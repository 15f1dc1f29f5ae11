"""Score files with a right answer, read as 04 reads them: expected.json is scikit-learn's, the rest is stated by hand.

The files are those of the issue 'One basis for every number'; what the first version said of them stands beside each.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score
from statsmodels.stats.proportion import proportion_confint

from diagnostic_accuracy.as_published import compare_run_by_run
from diagnostic_accuracy.bootstrap import Draws, bootstrap
from diagnostic_accuracy.estimates import one, select
from diagnostic_accuracy.inference import infer
from diagnostic_accuracy.readers import compare_readers, reader_auc
from diagnostic_accuracy.scores import READERS, Scores, scores_of
from diagnostic_accuracy.thresholds import find_threshold, points_of
from osteotl.outputs import predictions_of_file
from osteotl.scores_files.reading import ScoresError

FOLDER = Path(__file__).parent / "cases"
OTHER = Path(__file__).parents[1] / "scores_files" / "other_tools"
EXPECTED = json.loads((FOLDER / "expected.json").read_text(encoding="utf-8"))
LOCKED = {"point": "high_sensitivity", "threshold_from": "validation"}
POINTS = points_of({"high_sensitivity": 0.9, "high_specificity": 0.9, "youden": None})
TWIN = "01_twin_without_saturation.csv"
SATURATED = "01_two_saturated_scores_break_recalibration.csv"
CLUSTERED = "04_clustered_3_seeds.csv"


@cache
def read(path: Path) -> Scores:
    table, kind = predictions_of_file(path, EXPECTED[path.name]["reference"] if path.name in EXPECTED else None)
    return scores_of(table, kind=kind)


@cache
def drawn(name: str) -> Draws:
    return bootstrap(read(FOLDER / name), POINTS, replicates=300, net_benefit_at=(0.02, 0.1, 0.2))


@pytest.mark.parametrize("name", list(EXPECTED))
def test_runs_means_and_differences(name: str) -> None:
    wanted, draws = EXPECTED[name], drawn(name)
    reference = wanted["reference"]
    ranking = infer(draws, ["auc", "average_precision"], reference=reference)
    locked = any("sensitivity" in run for run in wanted["runs"])
    rates = infer(draws, ["sensitivity", "specificity"], reference=reference, **LOCKED) if locked else None
    assert draws.scores.arms == list(wanted["mean_auc"])
    for run in wanted["runs"]:
        place = {"arm": run["arm"], "run": run["run"]}
        for measure in ("auc", "average_precision"):
            assert one(ranking, measure=measure, **place)["estimate"] == pytest.approx(run[measure], abs=1e-9)
        if rates is not None:
            column = draws.runs.index((run["arm"], run["run"]))
            cut = draws.thresholds["high_sensitivity", "validation"][column]
            assert cut == pytest.approx(run["high_sensitivity_threshold"], abs=1e-12)
            for measure in ("sensitivity", "specificity"):
                assert one(rates, measure=measure, **place)["estimate"] == pytest.approx(run[measure], abs=1e-9)
    for arm, mean in wanted["mean_auc"].items():
        row = one(ranking, measure="auc", arm=arm, run=None, reference=None)
        assert row["estimate"] == pytest.approx(mean, abs=1e-9)
        assert row["lower"] < mean <= row["upper"]
    for arm, gap in wanted["auc_difference"].items():
        row = one(ranking, measure="auc", arm=arm, reference=reference)
        assert row["estimate"] == pytest.approx(gap, abs=1e-9)
        assert row["lower"] < gap < row["upper"]


@pytest.mark.parametrize("name", [TWIN, SATURATED])
def test_two_saturated_scores_change_nothing(name: str) -> None:
    """First version: Brier .143, slope 5.4, difference -.088, since the scale was chosen per cohort."""
    draws = drawn(name)
    assert draws.scores.scale.startswith("logit of the score")
    table = infer(draws, ["brier", "calibration_slope"], recalibration="logistic", reference="scratch")
    place = {"arm": "transfer", "run": None, "reference": None}
    assert one(table, measure="brier", **place)["estimate"] == pytest.approx(0.0534, abs=0.005)
    assert one(table, measure="calibration_slope", **place)["estimate"] == pytest.approx(1.02, abs=0.1)
    benefit = infer(draws, "net_benefit", at=0.2, recalibration="logistic", reference="scratch")
    assert one(benefit, arm="transfer", reference="scratch")["estimate"] == pytest.approx(0.038, abs=0.01)


@pytest.mark.parametrize("exact", [0.0, 1.0])
def test_exact_zeros_and_ones_beside_scores_next_to_them(exact: float) -> None:
    """The kind of the case: exact 0 beside 1e-9, exact 1 beside 1 - 1e-9, in either cohort."""
    near = abs(exact - 1e-9)
    table, _ = predictions_of_file(FOLDER / TWIN)
    found = []
    for value in (exact, near):
        changed = table.copy()
        label = int(exact)
        for cohort in ("validation", "external"):
            films = changed.index[(changed["cohort"] == cohort) & (changed["label"] == label)]
            changed.loc[films[[0, 3, 7]], "score"] = value
        draws = bootstrap(scores_of(changed), replicates=100, net_benefit_at=(0.2,))
        found.append(np.concatenate([draws.observed[key] for key in draws.observed]))
    assert found[0] == pytest.approx(found[1], abs=1e-9)


def test_equal_runs_have_an_interval_and_discordant_pairs() -> None:
    """Specificity 38/40 in each of 3 runs; first version: 95.0 to 95.0, 'no discordant pair', p = 1.000."""
    name = "02_zero_width_interval_and_false_no_discordant_pair.csv"
    draws, reference = drawn(name), EXPECTED[name]["reference"]
    table = infer(draws, ["sensitivity", "specificity"], reference=reference, **LOCKED)
    low, high = proportion_confint(38, 40, method="wilson")
    for arm in draws.scores.arms:
        row = one(table, measure="specificity", arm=arm, run=None, reference=None)
        assert row["estimate"] == pytest.approx(0.95)
        assert row["lower"] <= low + 1e-12
        assert row["upper"] >= high - 1e-12
        assert row["basis"] == "runs and films"
    means = select(table, run=None)
    assert not means["note"].str.contains("discordant").any()
    assert (means["upper"] - means["lower"] > 0.01).all()
    tests = select(compare_run_by_run(draws, reference=reference), **LOCKED)
    for rate, events in (("sensitivity", 2), ("specificity", 4)):  # 1 + 1 malignant, 2 + 2 normal films
        rows = select(tests, measure="mcnemar_exact", group=rate)
        assert (rows["events"] == events).all()
        assert (rows["p"] == 1).all()  # of 1 + 1 and 2 + 2 pairs the exact test is 1
        assert not rows["note"].str.contains("no discordant pair").any()


def test_one_predictive_value() -> None:
    """First version: 70 % (the mean of three PPVs) beside icons that say 27 %."""
    name = "03_mean_ppv_70_percent_where_icons_say_27.csv"
    rates = infer(drawn(name), ["sensitivity", "specificity"], **LOCKED)
    sens, spec = (one(rates, measure=m, arm="A", run=None)["estimate"] for m in ("sensitivity", "specificity"))
    assert (sens, spec) == pytest.approx((0.96, 0.9733), abs=5e-5)
    row = one(infer(drawn(name), "ppv", prevalence=0.01, **LOCKED), arm="A", run=None)
    assert row["estimate"] == pytest.approx(0.01 * sens / (0.01 * sens + 0.99 * (1 - spec)), abs=1e-12)
    assert row["estimate"] == pytest.approx(0.267, abs=5e-4)
    assert row["lower"] < row["estimate"] < row["upper"]


def test_neighbouring_prevalences_have_neighbouring_intervals() -> None:
    """First version: .645 (.496 to .770) at the study's 36.1 %, .644 (.618 to .671) at 36 %."""
    draws = drawn(CLUSTERED)
    assert draws.pi == pytest.approx(0.361, abs=5e-4)
    for measure in ("ppv", "npv"):
        table = infer(draws, measure, prevalence=[None, 0.36], reference="scratch", **LOCKED)
        for arm in draws.scores.arms:
            own, near = (one(table, prevalence=pi, arm=arm, run=None, reference=None) for pi in (None, 0.36))
            for column in ("estimate", "lower", "upper"):
                assert own[column] == pytest.approx(near[column], abs=0.002)
            if (measure, arm) == ("ppv", "scratch"):
                assert near["estimate"] == pytest.approx(3.11 * 0.36 / (3.11 * 0.36 + 0.64), abs=0.01)


def test_a_likelihood_ratio_agrees_with_its_rates() -> None:
    """First version: 3.38 (2.99 to 3.90) beside rates whose ratio is 3.11."""
    table = infer(drawn(CLUSTERED), ["sensitivity", "specificity", "lr_positive"], **LOCKED)
    sens, spec, ratio = (
        one(table, measure=m, arm="scratch", run=None) for m in ("sensitivity", "specificity", "lr_positive")
    )
    assert ratio["estimate"] == pytest.approx(3.11, abs=0.005)
    assert ratio["estimate"] == pytest.approx(sens["estimate"] / (1 - spec["estimate"]), abs=1e-12)
    assert sens["lower"] / (1 - spec["lower"]) < ratio["lower"] < ratio["estimate"]
    assert ratio["estimate"] < ratio["upper"] < sens["upper"] / (1 - spec["upper"])


def test_net_benefit_has_one_interval() -> None:
    """First version: at .02 of one run the width was .0054 without patients, .0489 with them."""
    table, _ = predictions_of_file(FOLDER / CLUSTERED)
    widths = []
    for given in (table, table.drop(columns="patient_id")):
        draws = bootstrap(scores_of(given), replicates=300, net_benefit_at=(0.02,))
        row = one(infer(draws, "net_benefit", at=0.02, recalibration="logistic"), arm="scratch", run=None)
        widths.append(row["upper"] - row["lower"])
    assert 1 / 2 < widths[0] / widths[1] < 2


def test_a_worse_arm() -> None:
    """Six runs an arm: the interval of the difference lies below 0."""
    (arm,) = EXPECTED["worse.csv"]["auc_difference"]
    row = one(infer(drawn("worse.csv"), "auc", reference="A"), arm=arm, reference="A")
    assert row["upper"] < 0
    assert row["p"] < 0.05


@pytest.mark.parametrize("name", ["dotted_arms.csv", "odd_arms.csv", "traversal_arm.csv"])
def test_names_with_dots_slashes_and_quotes(name: str) -> None:
    raw = pd.read_csv(FOLDER / name)["arm"].unique().tolist()
    draws = drawn(name)
    assert draws.scores.arms == raw
    reference = EXPECTED[name]["reference"]
    tests = compare_run_by_run(draws, reference=reference)
    assert set(tests["arm"]) == set(raw)
    assert set(select(tests, measure="delong")["reference"]) == {reference}


def test_without_validation_nothing_is_locked() -> None:
    draws = drawn("no_validation.csv")
    assert {point.threshold_from for point in draws.points} == {"external"}
    assert "logistic" not in draws.lines
    apparent = infer(
        draws, ["sensitivity", "specificity"], point="high_sensitivity", threshold_from="external", reference="A"
    )
    arms = select(apparent, run=None)
    assert select(arms, measure="sensitivity")["lower"].isna().all()
    assert select(arms, measure="specificity")["lower"].notna().all()


# --- files of other programs ------------------------------------------------------------------------------------------


def test_unequal_numbers_of_runs() -> None:
    """V and df of the design page, from the runs' own areas (scikit-learn) and the draws."""
    path = OTHER / "20_unequal_seeds.csv"
    scores = read(path)
    draws = bootstrap(scores, replicates=300)
    external, sizes, areas, drawn_areas = scores.external, {}, {}, {}
    for arm in scores.arms:
        columns = [i for i, (name, _) in enumerate(scores.runs) if name == arm]
        sizes[arm] = len(columns)
        areas[arm] = np.array([roc_auc_score(external.label, external.values.iloc[:, i]) for i in columns])
        drawn_areas[arm] = draws.values["auc", "film"][:, columns]
    reference, arm = scores.arms[:2]
    assert sizes[reference] != sizes[arm]
    row = one(infer(draws, "auc", reference=reference), arm=arm, reference=reference)
    assert row["estimate"] == pytest.approx(areas[arm].mean() - areas[reference].mean(), abs=1e-12)
    own, common = [], 0.0
    for name in (arm, reference):
        own.append((areas[name].var(ddof=1) / sizes[name], sizes[name] - 1))
        block = np.cov(drawn_areas[name].T)
        common += block[~np.eye(sizes[name], dtype=bool)].mean()
    between = np.cov(drawn_areas[arm].T, drawn_areas[reference].T)[: sizes[arm], sizes[arm] :]
    common -= 2 * between.mean()
    v = sum(o for o, _ in own) + max(common, 0)
    fixed = (drawn_areas[arm].mean(axis=1) - drawn_areas[reference].mean(axis=1)).var(ddof=1)
    assert v >= fixed / 2
    # the runs of this file differ by a constant, so that their areas are equal: no degrees of freedom to estimate
    assert sum(o for o, _ in own) == 0
    assert np.isnan(row["df"])
    assert row["upper"] - row["estimate"] == pytest.approx(stats.norm.ppf(0.975) * np.sqrt(v))


def test_five_readers_are_crossed() -> None:
    """The mean of each condition by scikit-learn; the test against Obuchowski-Rockette with DeLong's covariances.

    300 draws and DeLong's formula estimate the same covariances, so the standard errors agree to a few per cent.
    """
    scores = read(OTHER / "2_readers.csv")
    wanted = json.loads((OTHER / "expected_auc.json").read_text(encoding="utf-8"))["2_readers"]
    assert scores.kind == READERS
    assert [run for _, run in scores.runs] == ["Dr A", "Dr B", "Dr C", "Dr D", "Dr E"] * 2
    reference, arm = scores.arms
    table = infer(bootstrap(scores, replicates=2000), "auc", reference=reference)
    for name, mean in wanted.items():
        assert one(table, arm=name, run=None, reference=None)["estimate"] == pytest.approx(mean, abs=1e-12)
    row = one(table, arm=arm, reference=reference)
    external = scores.external
    read_by = {a: {r: external.values[a, r].to_numpy() for b, r in scores.runs if b == a} for a in scores.arms}
    exact = compare_readers(reader_auc(external.label.to_numpy(), read_by, external.patient.to_numpy()), arm, reference)
    assert row["estimate"] == pytest.approx(exact.estimate, abs=1e-12)
    assert row["upper"] - row["lower"] == pytest.approx(exact.upper - exact.lower, rel=0.08)
    assert row["df"] == pytest.approx(exact.df, rel=0.25)
    assert row["basis"].startswith("readers and ")


@pytest.mark.parametrize(
    "name", ["6_monai", "7_excel.xlsx", "8_comma_de.csv", "8_percent_0_100.csv", "17_inverted.csv"]
)
def test_other_tools_reach_the_analysis(name: str) -> None:
    scores = read(OTHER / name)
    draws = bootstrap(scores, POINTS, replicates=100)
    table = infer(draws, "auc", reference=scores.arms[0])
    external = scores.external
    for arm, run in scores.runs:
        wanted = roc_auc_score(external.label, external.values[arm, run])
        assert one(table, arm=arm, run=run)["estimate"] == pytest.approx(wanted, abs=1e-12)
    assert ("none" in draws.lines) == (name != "8_percent_0_100.csv" or float(scores.values.to_numpy().max()) <= 1)


def test_every_fault_of_a_file_at_once() -> None:
    with pytest.raises(ScoresError) as caught:
        read(OTHER / "13_faults.csv")
    assert len(caught.value.faults) > 2


def test_a_locked_threshold_is_the_public_rule() -> None:
    draws = drawn(CLUSTERED)
    validation = draws.scores.validation
    for rule in ("high_sensitivity", "high_specificity", "youden"):
        for column, run in enumerate(draws.runs):
            target = None if rule == "youden" else 0.9
            cut = find_threshold(validation.label.to_numpy(), validation.values[run].to_numpy(), rule, target)
            assert draws.thresholds[rule, "validation"][column] == cut
