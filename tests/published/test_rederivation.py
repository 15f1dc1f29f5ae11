"""Published figures re-derived: expected values by hand from the printed numbers, or from reference packages."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import yaml

from diagnostic_accuracy.paired import PairedTable, mcnemar
from diagnostic_accuracy.pilots import auc_correlation
from osteotl.published.implied import auc_consistency, nested_correlation, pilot_of_published, tetrachoric
from osteotl.published.printed import FOLDER, Published, PublishedError, load_published, published_names
from osteotl.published.rederivation import (
    VARIANTS,
    common_variants,
    compatible_counts,
    counts_of,
    discordant_pairs,
    likely_pairs,
    mcnemar_p,
    rule_breaks,
    smallest_counts,
)

OTHERS = Path(__file__).parent
PAPER = load_published("hasei2025")


@pytest.fixture(scope="module")
def counts() -> pd.DataFrame:
    return counts_of(PAPER)


@pytest.fixture(scope="module")
def pairs(counts: pd.DataFrame) -> pd.DataFrame:
    return discordant_pairs(PAPER, counts)


def found(counts: pd.DataFrame, point: str, arm: str, rate: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
    rows = counts[(counts["point"] == point) & (counts["arm"] == arm) & (counts["rate"] == rate)]
    return rows["rounded"].item(), rows["truncated"].item()


def by_variant(pairs: pd.DataFrame) -> dict[tuple[str, str], list[tuple[int, int]]]:
    """(printed p, variant) -> discordant pairs."""
    made: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for row in pairs[pairs["variant"] != "none"].itertuples():
        made.setdefault((row.printed, row.variant), []).append((row.arm_only, row.reference_only))
    return made


def variants_at(b: int, c: int) -> dict[str, float]:
    return {name: float(p) for name, p in mcnemar_p(b, c).items()}


def test_counts_that_the_printed_rates_allow(counts: pd.DataFrame) -> None:
    # by hand: 242/268 = .90299, 429/475 = .90316, 412/475 = .86737, 245/268 = .91418, 239/268 = .89179
    assert found(counts, "high_sensitivity", "transfer", "sensitivity") == ((242,), ())
    assert found(counts, "high_sensitivity", "scratch", "sensitivity") == ((242,), ())
    assert found(counts, "high_sensitivity", "transfer", "specificity") == ((429,), ())
    assert found(counts, "high_sensitivity", "scratch", "specificity") == ((412,), ())
    assert found(counts, "youden", "transfer", "sensitivity") == ((245,), ())
    assert found(counts, "youden", "scratch", "sensitivity") == ((239,), ())
    # 213/268 = .7948, 214/268 = .79851 -> .799, so .798 only by truncation; 205/268 = .76493 -> .765 likewise
    assert found(counts, "high_specificity", "transfer", "sensitivity") == ((), (214,))
    assert found(counts, "high_specificity", "scratch", "sensitivity") == ((), (205,))
    # 428/475 = .90105, 429/475 = .90316: no count gives .902
    impossible = counts[counts["agrees"] == "impossible"]
    assert impossible[["rate", "printed"]].to_numpy().tolist() == [["specificity", "0.902"]]


def test_ppv_agrees_with_the_other_counts(counts: pd.DataFrame) -> None:
    ppv = counts[counts["rate"] == "ppv"].set_index("arm")
    assert ppv.loc["transfer", ["count", "n", "agrees"]].tolist() == [242, 288, "rounded"]
    assert ppv.loc["scratch", ["count", "n", "agrees"]].tolist() == [242, 305, "rounded"]
    assert ppv["share"].tolist() == pytest.approx([0.8403, 0.7934], abs=5e-5)


def test_only_the_corrected_mcnemar_prints_all_three_p_values(pairs: pd.DataFrame) -> None:
    assert common_variants(pairs) == ["corrected"]
    assert {p: by_variant(pairs)[p, "corrected"] for p in ("0.037", "0.0077", "0.041")} == {
        "0.037": [(38, 21)], "0.0077": [(9, 0)], "0.041": [(6, 0)]}  # fmt: skip
    assert variants_at(38, 21) == pytest.approx(
        {"corrected": 0.03725, "exact": 0.0363, "midp": 0.0273, "uncorrected": 0.0269}, abs=5e-5
    )
    assert variants_at(9, 0) == pytest.approx(
        {"corrected": 0.00766, "exact": 0.0039, "midp": 0.0020, "uncorrected": 0.0027}, abs=5e-5
    )
    assert variants_at(6, 0) == pytest.approx(
        {"corrected": 0.0412, "exact": 0.03125, "midp": 0.0156, "uncorrected": 0.0143}, abs=5e-5
    )


def test_the_high_specificity_point_breaks_its_own_rule(counts: pd.DataFrame) -> None:
    (broken,) = rule_breaks(PAPER, counts).itertuples()
    assert (broken.arm, broken.point, broken.better) == ("transfer", "high_specificity", "high_sensitivity")
    assert broken.same_curve  # 429/475 in both: a vertical step
    assert broken.step == 242 - 214
    # 242 is the smallest count with 242/268 >= .90, in both arms
    smallest = smallest_counts(PAPER, counts)
    assert smallest[["arm", "count", "n"]].to_numpy().tolist() == [["transfer", 242, 268], ["scratch", 242, 268]]


def test_what_the_delong_p_implies(pairs: pd.DataFrame) -> None:
    auc = auc_consistency(PAPER)
    assert auc.correlation == pytest.approx(-0.12, abs=0.005)
    assert auc.correlation_range == pytest.approx((-0.62, 0.26), abs=0.005)
    assert auc.p_at(0.0) == pytest.approx(0.51, abs=0.005)
    assert auc.unpaired_p_range == pytest.approx((0.43, 0.58), abs=0.005)
    assert auc.p_at(0.6) == pytest.approx(0.31, abs=0.005)
    assert auc.p_at(auc.correlation) == pytest.approx(0.53)
    assert auc.interval(0.90) == pytest.approx((-0.025, 0.011), abs=0.0005)
    # nested detections ask for a strong correlation, which the printed p excludes
    nested = nested_correlation(PAPER, pairs)
    assert nested is not None
    assert nested > 0.6 > auc.correlation_range[1]
    assert auc.p_at(nested) < 0.3


def test_the_rival_reading() -> None:
    rival = PAPER.read_as("labels_swapped")
    counts = counts_of(rival)
    pairs = discordant_pairs(rival, counts)
    assert found(counts, "high_specificity", "transfer", "specificity") == ((379,), ())
    assert found(counts, "high_specificity", "scratch", "specificity") == ((363,), ())
    swapped = pairs[pairs["printed"] == "0.0077"]
    assert by_variant(swapped) == {("0.0077", "uncorrected"): [(26, 10)]}
    assert (242,) in counts.loc[counts["printed"] == "0.902", "truncated"].tolist()  # 242/268 = .90299, truncated
    assert common_variants(pairs) == []
    assert likely_pairs(pairs).empty
    broken = rule_breaks(rival, counts)
    assert ((broken["arm"] == "transfer") & (broken["point"] == "high_specificity")).any()


# --- three other published comparisons --------------------------------------------------------------------------------


def other(name: str) -> tuple[Published, pd.DataFrame, pd.DataFrame]:
    published = load_published(OTHERS / f"{name}.yaml")
    counts = counts_of(published)
    return published, counts, discordant_pairs(published, counts)


def test_dtcompair_paired1_comes_out_as_printed() -> None:
    _, counts, pairs = other("dtcompair_paired1")
    # the data set's tables: diseased 319/78/22/32, non-diseased 31/53/22/155 (test 1 positive = 397 and 84)
    assert found(counts, "binary", "test1", "sensitivity")[0] == (397,)
    assert found(counts, "binary", "test2", "sensitivity")[0] == (341,)
    assert found(counts, "binary", "test1", "specificity")[0] == (177,)
    assert found(counts, "binary", "test2", "specificity")[0] == (208,)
    assert (counts["agrees"] == "rounded").all()
    assert common_variants(pairs) == ["uncorrected"]  # sesp.mcnemar uses no correction
    assert likely_pairs(pairs)[["arm_only", "reference_only"]].to_numpy().tolist() == [[78, 22], [22, 53]]


def test_proc_asah_comes_out_as_printed() -> None:
    published, _, pairs = other("proc_asah")
    auc = auc_consistency(published)
    # pROC: covariance .00119615567 over the square root of the variances .00146991471 x .00266868246
    assert auc.correlation == pytest.approx(
        0.00119615567376754 / (0.00146991470882363 * 0.00266868245717244) ** 0.5, abs=1e-5
    )
    # pROC's 95 % interval of the difference is .0104062 to .1742144: its standard error is the width / 3.919928
    assert auc.standard_error_difference == pytest.approx(
        (0.174214419249478 - 0.0104061769564846) / 3.919927969, abs=1e-6
    )
    low, high = auc.interval(0.90)
    assert min(low, -high) < -0.05  # not equivalent at .05, equivalent at .2
    assert -0.2 < low < high < 0.2
    assert pairs.empty
    assert nested_correlation(published, pairs) is None


def test_approval_ratings_come_out_as_printed() -> None:
    published, _, pairs = other("approval_ratings")
    assert pairs[["right_arm", "right_reference"]].drop_duplicates().to_numpy().tolist() == [[944, 880]]
    # Agresti's table is 794, 150, 86, 570; R's mcnemar.test prints p-value = 4.115e-05, with the correction
    assert {variant: pair for (_, variant), pair in by_variant(pairs).items()} == {"corrected": [(150, 86)]}
    # exact2x2: exact p 3.716e-05, mid-p 2.893e-05
    assert variants_at(150, 86)["exact"] == pytest.approx(3.71593613957144e-05)
    assert variants_at(150, 86)["midp"] == pytest.approx(2.89338951761548e-05)
    with pytest.raises(ValueError, match="printed AUC of both arms"):
        auc_consistency(published)


def test_a_p_value_that_no_table_gives_is_listed() -> None:
    point = PAPER.operating_points["youden"]
    p = {"sensitivity": point.p["sensitivity"].model_copy(update={"value": "0.9"})}
    changed = point.model_copy(update={"p": p})
    paper = PAPER.model_copy(update={"operating_points": PAPER.operating_points | {"youden": changed}})
    pairs = discordant_pairs(paper, counts_of(paper))
    # detected films differ by 6: with (b, c) = (b, b - 6) the largest p is reached at the largest b and stays below .9
    assert pairs.loc[pairs["point"] == "youden", "variant"].tolist() == ["none"]
    assert common_variants(pairs) == []


# --- parts ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("b", "c"), [(1, 0), (5, 5), (38, 21), (9, 0), (10, 33)])
def test_the_grid_equals_the_single_tables(b: int, c: int) -> None:
    one = mcnemar(PairedTable(100, b, c, 100))
    assert set(variants_at(b, c)) == set(VARIANTS)
    for name, p in variants_at(b, c).items():
        assert p == pytest.approx(getattr(one, name))


def test_counts_in_exact_arithmetic() -> None:
    assert compatible_counts("0.5", 4)[0] == (2,)
    assert compatible_counts("0.13", 8)[0] == (1,)  # .125 prints as .13 (half up) ...
    assert compatible_counts("0.12", 8)[0] == (1,)  # ... or as .12 (half to even)
    assert compatible_counts("1.00", 3)[0] == (3,)


def test_correlations_by_known_cases() -> None:
    assert auc_correlation(0.9, 0.9, (50, 80), 1.0, 1.0) == pytest.approx(1.0)
    assert auc_correlation(0.9, 0.8, (50, 80), 0.0, 0.0) == pytest.approx(0.0, abs=1e-9)
    # both right in half of the films, independent: a quarter both, so b = c = n/4
    assert tetrachoric(400, (200, 200), (100, 100)) == pytest.approx(0.0, abs=1e-4)


def test_shipped_files_are_sound() -> None:
    assert "hasei2025" in published_names()
    for name in published_names():
        assert not counts_of(load_published(name)).empty


def test_faults_of_a_file_are_listed_together(tmp_path: Path) -> None:
    content = yaml.safe_load((FOLDER / "hasei2025.yaml").read_text(encoding="utf-8"))
    content["films"]["malignant"] = 0
    content["auc"]["p"] = 0.53
    content["operating_points"]["youden"]["rates"]["transfer"]["sensitivity"] = "91.4"
    content["colour"] = "blue"
    path = tmp_path / "paper.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    with pytest.raises(PublishedError) as caught:
        load_published(path)
    said = "\n".join(caught.value.faults)
    for part in (
        "films.malignant",
        "write 0.53 in quotes",
        "'91.4' is not a proportion as printed",
        "colour: unknown key",
    ):
        assert part in said
    with pytest.raises(PublishedError, match="neither a file nor one of the shipped comparisons"):
        load_published("nobody2020")


def test_a_pilot_for_planning() -> None:
    pilot = pilot_of_published(PAPER)
    assert (pilot.auc_arm, pilot.auc_reference) == (0.954, 0.961)
    assert pilot.malignant_share == pytest.approx(268 / 743)
    assert pilot.shared_malignant == 0  # the implied correlation is negative
    with pytest.raises(ValueError, match="printed AUC"):
        pilot_of_published(load_published(OTHERS / "approval_ratings.yaml"))
