"""Published figures re-derived: expected values by hand from the printed numbers, or from reference packages."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from osteotl.statistics._attainable import compatible_counts, mcnemar_grid
from osteotl.statistics._implied import auc_correlation, tetrachoric
from osteotl.statistics.paired import PairedTable, mcnemar
from osteotl.statistics.published import FOLDER, PublishedError, load_published, published_names
from osteotl.statistics.published_layout import in_published_layout, rederivation_lines
from osteotl.statistics.rederivation import Rederivation, rederive

OTHERS = Path(__file__).parent / "published"


@pytest.fixture(scope="module")
def paper() -> Rederivation:
    return rederive(load_published("hasei2025"))


def counts(result: Rederivation, point: str, arm: str, rate: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
    (found,) = [c for c in result.counts if (c.point, c.arm, c.rate) == (point, arm, rate)]
    return found.rounded, found.truncated


def test_counts_that_the_printed_rates_allow(paper: Rederivation) -> None:
    # by hand: 242/268 = .90299, 429/475 = .90316, 412/475 = .86737, 245/268 = .91418, 239/268 = .89179
    assert counts(paper, "high_sensitivity", "transfer", "sensitivity") == ((242,), ())
    assert counts(paper, "high_sensitivity", "transfer", "specificity") == ((429,), ())
    assert counts(paper, "high_sensitivity", "scratch", "specificity") == ((412,), ())
    assert counts(paper, "youden", "transfer", "sensitivity") == ((245,), ())
    assert counts(paper, "youden", "scratch", "sensitivity") == ((239,), ())
    # 213/268 = .7948, 214/268 = .79851 -> .799, so .798 only by cutting off; 205/268 = .76493 -> .765 likewise
    assert counts(paper, "high_specificity", "transfer", "sensitivity") == ((), (214,))
    assert counts(paper, "high_specificity", "scratch", "sensitivity") == ((), (205,))
    # 428/475 = .90105, 429/475 = .90316: no count gives .902
    impossible = [c for c in paper.counts if c.agrees == "impossible"]
    assert [(c.rate, c.printed) for c in impossible] == [("specificity", "0.902")]


def test_ppv_agrees_with_the_other_counts(paper: Rederivation) -> None:
    ppv = {c.arm: (c.expected, c.n, c.agrees) for c in paper.counts if c.rate == "ppv"}
    assert ppv == {"transfer": (242, 288, "rounded"), "scratch": (242, 305, "rounded")}


def test_only_the_corrected_mcnemar_prints_all_three_p_values(paper: Rederivation) -> None:
    assert paper.common_variants == ("corrected",)
    pairs = {a.printed: [p[:2] for p in a.pairs["corrected"]] for a in paper.p_values}
    assert pairs == {"0.037": [(38, 21)], "0.0077": [(9, 0)], "0.041": [(6, 0)]}
    at = paper.p_values[0].at(38, 21)
    assert at == pytest.approx({"corrected": 0.03725, "exact": 0.0363, "midp": 0.0273, "uncorrected": 0.0269}, abs=5e-5)
    at = paper.p_values[0].at(9, 0)
    assert at == pytest.approx({"corrected": 0.00766, "exact": 0.0039, "midp": 0.0020, "uncorrected": 0.0027}, abs=5e-5)
    at = paper.p_values[0].at(6, 0)
    assert at == pytest.approx({"corrected": 0.0412, "exact": 0.03125, "midp": 0.0156, "uncorrected": 0.0143}, abs=5e-5)


def test_the_high_specificity_point_breaks_its_own_rule(paper: Rederivation) -> None:
    (broken,) = paper.rule_breaks
    assert (broken.arm, broken.point, broken.better) == ("transfer", "high_specificity", "high_sensitivity")
    assert broken.same_curve  # 429/475 in both: a vertical step
    assert broken.step == 242 - 214
    assert len(paper.thresholds_on_test_set) == 2  # 242 is the smallest count with 242/268 >= .90, in both arms


def test_what_the_delong_p_implies(paper: Rederivation) -> None:
    auc = paper.auc
    assert auc is not None
    assert auc.correlation == pytest.approx(-0.12, abs=0.005)
    assert auc.correlation_range == pytest.approx((-0.62, 0.26), abs=0.005)
    assert auc.unpaired_p == pytest.approx(0.51, abs=0.005)
    assert auc.unpaired_p_range == pytest.approx((0.43, 0.58), abs=0.005)
    assert auc.p_if_correlated["0.6"] == pytest.approx(0.31, abs=0.005)
    assert auc.interval90 == pytest.approx((-0.025, 0.011), abs=0.0005)
    assert auc.equivalent_at == {"0.02": False, "0.03": True}
    # nested detections ask for a strong correlation, which the printed p excludes
    assert auc.nested_correlation is not None
    assert auc.nested_correlation > 0.6 > auc.correlation_range[1]
    assert auc.nested_p is not None
    assert auc.nested_p < 0.3


def test_holm_predictive_values_and_net_benefit(paper: Rederivation) -> None:
    # .0077 x 4; .030 x 3 = .09, and the rest may not fall below it
    assert sorted(paper.holm["printed"].values()) == pytest.approx([0.0308, 0.09, 0.09, 0.09])
    assert paper.holm["smallest of 7"]["corrected"] == pytest.approx(0.054, abs=5e-4)
    assert paper.holm["smallest of 7"]["exact"] == pytest.approx(0.027, abs=5e-4)
    ppv = {(v.arm, v.prevalence): v.ppv for v in paper.predictive_values}
    assert [ppv["transfer", q] for q in (0.36, 0.1, 0.01, 0.001)] == pytest.approx(
        [0.840, 0.509, 0.086, 0.009], abs=5e-4
    )
    assert [ppv["scratch", q] for q in (0.36, 0.1, 0.01, 0.001)] == pytest.approx(
        [0.793, 0.431, 0.064, 0.007], abs=5e-4
    )
    # 17/743 x 1/9 and x 1, per 1,000
    assert paper.net_benefit_per_1000 == pytest.approx({"0.1": 17 / 743 / 9 * 1000, "0.5": 17 / 743 * 1000})


def test_the_rival_reading(paper: Rederivation) -> None:
    rival = paper.rivals["labels_swapped"]
    assert counts(rival, "high_specificity", "transfer", "specificity") == ((379,), ())
    assert counts(rival, "high_specificity", "scratch", "specificity") == ((363,), ())
    swapped = next(a for a in rival.p_values if a.printed == "0.0077")
    assert {v: [p[:2] for p in pairs] for v, pairs in swapped.pairs.items() if pairs} == {"uncorrected": [(26, 10)]}
    assert (242,) in [c.truncated for c in rival.counts if c.printed == "0.902"]  # 242/268 = .90299, cut off
    assert rival.common_variants == ()
    assert any(b.arm == "transfer" and b.point == "high_specificity" for b in rival.rule_breaks)


def test_lines_say_every_contradiction(paper: Rederivation) -> None:
    lines = rederivation_lines(load_published("hasei2025"), paper)
    text = "\n".join(f"{line.item} | {line.printed} | {line.follows}" for line in lines)
    for part in ("no count rounds to it; 214/268 cut off to it", "no count of 475 gives it", "corrected: (38, 21)",
                 "a step of 28 films", "-0.12 (rounding allows -0.62 to 0.26)", "margin 0.03: equivalent",
                 "labels_swapped: McNemar p, specificity at high_specificity | 0.0077 | uncorrected: (26"):  # fmt: skip
        assert part in text, part


# --- three other published comparisons --------------------------------------------------------------------------------


def test_dtcompair_paired1_comes_out_as_printed() -> None:
    result = rederive(load_published(OTHERS / "dtcompair_paired1.yaml"))
    # the data set's tables: diseased 319/78/22/32, non-diseased 31/53/22/155 (test 1 positive = 397 and 84)
    assert counts(result, "binary", "test1", "sensitivity")[0] == (397,)
    assert counts(result, "binary", "test2", "sensitivity")[0] == (341,)
    assert counts(result, "binary", "test1", "specificity")[0] == (177,)
    assert counts(result, "binary", "test2", "specificity")[0] == (208,)
    assert all(c.agrees == "rounded" for c in result.counts)
    assert result.common_variants == ("uncorrected",)  # sesp.mcnemar uses no correction
    assert [a.pairs["uncorrected"][0][:2] for a in result.p_values] == [(78, 22), (22, 53)]


def test_proc_asah_comes_out_as_printed() -> None:
    auc = rederive(load_published(OTHERS / "proc_asah.yaml")).auc
    assert auc is not None
    # pROC: covariance .00119615567 over the square root of the variances .00146991471 x .00266868246
    assert auc.correlation == pytest.approx(
        0.00119615567376754 / (0.00146991470882363 * 0.00266868245717244) ** 0.5, abs=1e-5
    )
    # pROC's 95 % interval of the difference is .0104062 to .1742144: its standard error is the width / 3.919928
    assert auc.standard_error_difference == pytest.approx(
        (0.174214419249478 - 0.0104061769564846) / 3.919927969, abs=1e-6
    )
    assert auc.equivalent_at == {"0.05": False, "0.2": True}


def test_approval_ratings_come_out_as_printed() -> None:
    result = rederive(load_published(OTHERS / "approval_ratings.yaml"))
    (p,) = result.p_values
    assert p.counts == (944, 880)
    # Agresti's table is 794, 150, 86, 570; R's mcnemar.test prints p-value = 4.115e-05, with the correction
    assert {v: [x[:2] for x in pairs] for v, pairs in p.pairs.items() if pairs} == {"corrected": [(150, 86)]}
    # exact2x2: exact p 3.716e-05, mid-p 2.893e-05
    assert p.at(150, 86)["exact"] == pytest.approx(3.71593613957144e-05)
    assert p.at(150, 86)["midp"] == pytest.approx(2.89338951761548e-05)


# --- parts ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("b", "c"), [(1, 0), (5, 5), (38, 21), (9, 0), (10, 33)])
def test_the_grid_equals_the_single_tables(b: int, c: int) -> None:
    import numpy as np

    one = mcnemar(PairedTable(100, b, c, 100))
    for name, p in mcnemar_grid(np.array([b]), np.array([c])).items():
        assert p[0] == pytest.approx(getattr(one, name).p if hasattr(getattr(one, name), "p") else getattr(one, name))


def test_counts_in_exact_arithmetic() -> None:
    assert compatible_counts("0.5", 4).rounded == (2,)
    assert compatible_counts("0.13", 8).rounded == (1,)  # .125 prints as .13 (half up) ...
    assert compatible_counts("0.12", 8).rounded == (1,)  # ... or as .12 (half to even)
    assert compatible_counts("1.00", 3).rounded == (3,)


def test_correlations_by_known_cases() -> None:
    assert auc_correlation(0.9, 0.9, (50, 80), 1.0, 1.0) == pytest.approx(1.0)
    assert auc_correlation(0.9, 0.8, (50, 80), 0.0, 0.0) == pytest.approx(0.0, abs=1e-9)
    # both right in half of the films, independent: a quarter both, so b = c = n/4
    assert tetrachoric(400, (200, 200), (100, 100)) == pytest.approx(0.0, abs=1e-4)


def test_shipped_files_are_sound() -> None:
    assert "hasei2025" in published_names()
    for name in published_names():
        rederive(load_published(name))


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


def test_our_numbers_in_the_papers_layout() -> None:
    point = {"high_sensitivity@external": {"sensitivity": {"estimate": 0.9}}}
    statistics = {
        "arms": {"t": {"auc": {"estimate": 0.95}, "operating_points": point}, "s": {"auc": {"estimate": 0.94}}},
        "comparisons": {"t": {"auc_difference": {"p": 0.2}}},
    }
    rows = {row.item: row for row in in_published_layout(load_published("hasei2025"), statistics, "t", "s")}
    assert (rows["AUC"].arm, rows["AUC"].reference, rows["AUC"].p) == (0.95, 0.94, 0.2)
    assert rows["AUC"].printed_arm == "0.954 (0.937-0.970)"
    assert rows["sensitivity at high_sensitivity"].arm == 0.9
    assert rows["sensitivity at high_sensitivity"].reference is None
    assert rows["ppv at high_sensitivity"].printed_p == "0.030"
