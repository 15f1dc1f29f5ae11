"""Lesion-level quantities: matching, FROC, LROC, figures of merit, AP, intervals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from diagnostic_accuracy import lesion_curves as loc
from diagnostic_accuracy import lesion_figures as lf
from diagnostic_accuracy.estimates import Estimate
from diagnostic_accuracy.lesion_curves import coco_summary
from diagnostic_accuracy.lesions import Marks, marks_from_ratings, match_boxes, prepare_boxes
from diagnostic_accuracy.readers import CrossedValues
from diagnostic_accuracy.roc import area_until, read_curve
from oracles.registry import Case, quantity
from oracles.replicates import whole_analysis

RULE = r"(?P<rule>iou50|iou30|iou10|centre)"
ARM = r"arm(?P<arm>\d)"
FIGURES = (
    "wAFROC",
    "wAFROC1",
    "AFROC",
    "AFROC1",
    "HrAuc",
    "HrSe",
    "HrSp",
    "MaxLLF",
    "MaxNLF",
    "MaxNLFAllCases",
    "FROC",
)


def extra(case: Case, kind: str) -> pd.DataFrame:
    return case.cached(("extra", kind), lambda: case.extra(case.content["extra_data"][kind]))


def films(case: Case) -> np.ndarray:
    return extra(case, "images")["image_id"].to_numpy()


def marks(case: Case, rule: str, arm: str | int) -> Marks:
    def made() -> Marks:
        return match_boxes(films(case), case.frame[case.frame["arm"] == int(arm)], extra(case, "truth"), rule)

    return case.cached(("marks", rule, int(arm)), made)


# --- boxes ------------------------------------------------------------------------------------------------------------


@quantity(rf"counts\.{RULE}\.{ARM}")
def counts(case: Case, rule: str, arm: str) -> dict[str, Any]:
    c = marks(case, rule, arm).counts()
    return {
        "images": c["films"],
        "diseased": c["diseased"],
        "lesions": c["lesions"],
        "boxes": c["marks"],
        "hits": c["hits"],
        "false_positives": c["false_positives"],
        "of_which_duplicates": c["duplicates"],
        "misses": c["misses"],
        "images_with_a_hit": c["films_with_a_hit"],
    }


@quantity(rf"at_score_ge_(?P<score>[0-9.]+?)\.{RULE}\.{ARM}")
def at_score(case: Case, score: str, rule: str, arm: str) -> dict[str, Any]:
    c = marks(case, rule, arm).counts(float(score))
    named = {
        "fp_per_image": c["false_positives_per_film"],
        "fp_per_lesion_free_image": c["false_positives_per_lesion_free_film"],
        "images_with_a_hit": c["films_with_a_hit"],
    }
    same = ("hits", "false_positives", "misses", "lesion_sensitivity", "precision", "f1")
    return named | {name: c[name] for name in same}


def _froc_points(curve: loc.Froc) -> dict[str, Any]:
    return {
        "threshold": curve.threshold,
        "hits": curve.hits,
        "false_positives": curve.false_positives,
        "fp_lesion_free": curve.false_positives_lesion_free,
    }


@quantity(rf"froc_points\.{RULE}\.{ARM}")
def froc_points(case: Case, rule: str, arm: str) -> dict[str, Any]:
    return _froc_points(loc.froc(marks(case, rule, arm)))


@quantity(rf"sens_at_fppi\.{RULE}\.{ARM}")
def sens_at_fppi(case: Case, rule: str, arm: str, expected: Any) -> dict[str, Any]:
    curve = loc.froc(marks(case, rule, arm))
    clean = loc.froc(marks(case, rule, arm).without_duplicates())
    rates = expected["fppi"]
    return {
        "fppi": rates,
        "step": curve.sensitivity_at(rates, "step"),
        "interp": curve.sensitivity_at(rates, "interp"),
        "step_fp_lesion_free": curve.sensitivity_at(rates, "step", lesion_free=True),
        "step_duplicates_ignored": clean.sensitivity_at(rates, "step"),
        "mean_step": curve.sensitivity_at(line="step").mean(),
        "mean_interp": curve.sensitivity_at(line="interp").mean(),
    }


@quantity(rf"froc_area\.{RULE}\.{ARM}")
def froc_area(case: Case, rule: str, arm: str, expected: dict[str, float]) -> dict[str, float]:
    curve = loc.froc(marks(case, rule, arm))
    return {name: curve.area(float(name.removeprefix("0_"))) for name in expected}


@quantity(rf"fom\.{RULE}\.{ARM}")
def figures(case: Case, rule: str, arm: str) -> dict[str, float]:
    return {name: lf.figure_of_merit(marks(case, rule, arm), name) for name in FIGURES}


@quantity(rf"ap\.{RULE}\.{ARM}")
def average_precision(case: Case, rule: str, arm: str) -> dict[str, float]:
    judged = marks(case, rule, arm)
    ap = loc.lesion_average_precision(judged)
    backwards = loc.lesion_average_precision(judged, film_order=-np.arange(judged.films))
    return {
        "step": ap["step"],
        "envelope": ap["envelope"],
        "coco101_grouped": ap["coco101"],
        "step_duplicates_ignored": loc.lesion_average_precision(judged.without_duplicates())["step"],
        "coco101_row_order": ap["coco101_row_order"],
        "coco101_reversed_image_order": backwards["coco101_row_order"],
    }


@quantity(rf"coco\.{ARM}")
def coco(case: Case, arm: str) -> dict[str, float]:
    boxes = case.frame[case.frame["arm"] == int(arm)]
    return coco_summary(prepare_boxes(films(case), boxes, extra(case, "truth")))


@quantity(rf"lroc\.{RULE}\.{ARM}")
def lroc(case: Case, rule: str, arm: str, expected: dict[str, float]) -> dict[str, float]:
    curve = loc.lroc(marks(case, rule, arm))
    values = {"area": curve.area, "pcl_max": float(curve.share_correct[-1]) if len(curve.threshold) else 0.0}
    for name in set(expected) - set(values):
        kind, fraction = name.split("@")
        if kind == "partial_lroc_area":
            values[name] = _partial_area(curve, fraction)
        else:
            values[name] = _share_correct(curve, fraction, kind.removeprefix("pcl_"))
    return values


def _partial_area(curve: loc.Lroc, fraction: str) -> float:
    return area_until(curve.false_positive_fraction, curve.share_correct, float(fraction))


def _share_correct(curve: loc.Lroc, fraction: str, line: str) -> float:
    return float(read_curve(curve.false_positive_fraction, curve.share_correct, float(fraction), line)[0])


def _lroc_points(curve: loc.Lroc) -> dict[str, Any]:
    return {
        "threshold": curve.threshold,
        "false_positive_images": curve.false_positives,
        "correctly_localised": curve.correct,
    }


@quantity(rf"lroc_points\.{RULE}\.{ARM}")
def lroc_points(case: Case, rule: str, arm: str) -> dict[str, Any]:
    return _lroc_points(loc.lroc(marks(case, rule, arm)))


@quantity(rf"(?P<figure>wAFROC|LROC|HrAuc)_(?P<method>delong|jackknife)\.{RULE}")
def compared(case: Case, figure: str, method: str, rule: str) -> dict[str, Any]:
    pair = marks(case, rule, 1), marks(case, rule, 2)
    difference = lf.compare_figures(*pair, figure, method)
    kernels = [lf.kernel(m, figure) for m in pair]
    maker = {"delong": lf.delong_covariance, "jackknife": lf.jackknife_covariance}[method]
    covariance, exact = maker(kernels), lf.exact_bootstrap_covariance(kernels)
    error = _error_of_difference(covariance)
    return {
        "estimate": [one.value() for one in kernels],
        "var": np.diag(covariance),
        "cov": covariance[0, 1],
        "diff": difference.estimate,
        "se_diff": error,
        "z": difference.estimate / error if error else None,
        "p_two_sided": difference.p,
        "ci95_diff": _limits(difference, error),
        "se_stratified_bootstrap_exact": np.sqrt(np.diag(exact)),
        "se_diff_stratified_bootstrap_exact": _error_of_difference(exact),
    }


def _error_of_difference(covariance: np.ndarray) -> float:
    error = float(np.sqrt(max(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1], 0)))
    return 0.0 if error < 1e-12 else error


def _limits(ours: Estimate, error: float | None = 0.0) -> list[float | None]:
    """The limits; where the variance is 0 the packages print the estimate twice, and ours are None with a reason."""
    return [ours.estimate] * 2 if error == 0 and ours.note else [ours.lower, ours.upper]


def _error(ours: Estimate) -> float:
    """Standard error of a normal interval; 0 where the variance is 0."""
    return 0.0 if ours.lower is None else (ours.upper - ours.lower) / 2 / 1.959963984540054


@quantity(rf"lesion_sensitivity_ge_(?P<score>[0-9.]+?)_intervals\.{RULE}")
def sensitivity_intervals(case: Case, score: str, rule: str) -> dict[str, Any]:
    cut = float(score)
    values: dict[str, Any] = {}
    for arm in (1, 2):
        s = lf.lesion_sensitivity(marks(case, rule, arm), cut)
        values[f"arm{arm}"] = {
            "p": s["wald"].estimate,
            "var_clustered": _error(s["wald"]) ** 2,
            "ci95_wald_clustered": _limits(s["wald"]),
            "ci95_logit_clustered": [s["logit"].lower, s["logit"].upper],
            "ci95_wilson_ignoring_clusters": [s["wilson"].lower, s["wilson"].upper],
        }
    d = lf.lesion_sensitivity_difference(marks(case, rule, 1), marks(case, rule, 2), cut)
    error = _error(d)
    z = d.estimate / error if error else None
    values["difference"] = {"diff": d.estimate, "se": error, "z": z, "ci95": _limits(d, error)}
    return values


@quantity(rf"fp_per_image_ge_(?P<score>[0-9.]+?)_intervals\.{RULE}")
def false_positive_intervals(case: Case, score: str, rule: str) -> dict[str, Any]:
    values = {}
    for arm in (1, 2):
        f = lf.false_positives_per_film(marks(case, rule, arm), float(score))
        values[f"arm{arm}"] = {
            "fp": f["poisson"].events,
            "mean": f["normal"].estimate,
            "se": _error(f["normal"]),
            "ci95_normal": _limits(f["normal"]),
            "ci95_poisson_garwood": [f["poisson"].lower, f["poisson"].upper],
        }
    return values


@quantity(r"rep(?P<replicate>\d+)", when=lambda case: "extra_data" in case.content)
def replicate(case: Case, replicate: str) -> dict[str, Any]:
    """Case weights of films with boxes; those of films with scores alone are in `risks`."""
    weights = extra(case, "weights")[f"w{replicate}"].to_numpy(float)
    return {f"arm{arm}": _drawn(marks(case, "iou50", arm), weights) for arm in (1, 2)}


def _drawn(judged: Marks, weights: np.ndarray) -> dict[str, Any]:
    curve, ap = loc.froc(judged, weights), loc.lesion_average_precision(judged, weights)
    cut = judged.score >= 0.5
    values = {
        "images": weights.sum(),
        "diseased": weights[judged.diseased].sum(),
        "lesions": curve.lesions,
        "lroc_area": loc.lroc(judged, weights).area,
        "ap_step": ap["step"],
        "ap_envelope": ap["envelope"],
        "sens_at_fppi_step": curve.sensitivity_at(line="step"),
        "sens_at_fppi_interp": curve.sensitivity_at(line="interp"),
        "lesion_sensitivity_ge_0_5": weights[judged.film[cut & judged.hit]].sum() / curve.lesions,
        "fp_per_image_ge_0_5": weights[judged.film[cut & ~judged.hit]].sum() / curve.films,
    }
    for name in ("wAFROC", "AFROC", "HrAuc", "MaxLLF"):
        values[name] = lf.figure_of_merit(judged, name, weights)
    return values


# --- readers: FROC ----------------------------------------------------------------------------------------------------


def reader_marks(case: Case, column: str | None = None) -> dict[tuple[int, int], Marks]:
    return case.cached(("readers", column), lambda: _reader_marks(case, column or "weight"))


def _reader_marks(case: Case, column: str) -> dict[tuple[int, int], Marks]:
    truth = extra(case, "truth")
    ids = pd.Index(truth["case"].unique())
    ill = truth.groupby("case", sort=False)["y"].first().to_numpy() == 1
    lesions = truth[truth["lesion"].notna()]
    key = pd.MultiIndex.from_frame(lesions[["case", "lesion"]].astype(int))
    made = {}
    for reader, rows in case.frame.groupby(["modality", "reader"]):
        hit = rows["type"].to_numpy() == "LL"
        found = np.full(len(rows), -1)
        found[hit] = key.get_indexer(pd.MultiIndex.from_frame(rows.loc[hit, ["case", "lesion"]].astype(int)))
        made[reader] = marks_from_ratings(
            ill,
            ids.get_indexer(rows["case"]),
            rows["rating"],
            found,
            ids.get_indexer(lesions["case"]),
            lesions[column],
        )
    return made


def grid(values: dict[tuple[int, int], Any]) -> list[list[Any]]:
    """[modality][reader]"""
    return [[v for (m, _), v in sorted(values.items()) if m == modality] for modality in sorted({m for m, _ in values})]


@quantity(
    r"fom\.(?P<figure>wAFROC1?|AFROC1?|FROC|HrAuc|HrSe|HrSp|MaxLLF|MaxNLF|MaxNLFAllCases)(\.(?P<column>weight\w*))?"
)
def reader_figures(case: Case, figure: str, column: str | None) -> list[list[float]]:
    return grid({key: lf.figure_of_merit(m, figure) for key, m in reader_marks(case, column).items()})


@quantity(r"fom_jackknife_var\.(?P<figure>\w+)")
def reader_jackknife(case: Case, figure: str) -> list[list[float]]:
    return grid({k: lf.jackknife_covariance([lf.kernel(m, figure)])[0, 0] for k, m in reader_marks(case).items()})


@quantity(r"OR\.(?P<figure>\w+?)(\.(?P<column>weight\w*))?")
def readers_compared(case: Case, figure: str, column: str | None) -> dict[str, Any]:
    runs = dict(sorted(reader_marks(case, column).items()))
    arms, readers = (tuple(sorted({key[place] for key in runs})) for place in (0, 1))
    kernels = [lf.kernel(m, figure) for m in runs.values()]
    table, films = np.reshape([one.value() for one in kernels], (len(arms), len(readers))), kernels[0].films
    covariance = lf.jackknife_covariance(kernels)
    names = tuple(map(str, arms))
    return whole_analysis(CrossedValues(names, readers, table, covariance, films, films, "jackknife"))


@quantity(r"sens_at_fppi")
def reader_sens_at_fppi(case: Case, expected: dict[str, Any]) -> dict[str, Any]:
    curves = {key: loc.froc(m) for key, m in reader_marks(case).items()}
    rates = expected["fppi"]
    return {
        "fppi": rates,
        **{line: grid({k: c.sensitivity_at(rates, line) for k, c in curves.items()}) for line in ("step", "interp")},
    }


@quantity(r"froc_points\.m(?P<modality>\d+)r(?P<reader>\d+)")
def reader_froc_points(case: Case, modality: str, reader: str) -> dict[str, Any]:
    return _froc_points(loc.froc(reader_marks(case)[int(modality), int(reader)]))


# --- readers: LROC ----------------------------------------------------------------------------------------------------


def lroc_readers(case: Case) -> dict[tuple[int, int], tuple[np.ndarray, np.ndarray, np.ndarray]]:
    return {
        key: (rows["y"].to_numpy() == 1, rows["rating"].to_numpy(float), rows["correct"].fillna(0).to_numpy() == 1)
        for key, rows in case.frame.sort_values("case").groupby(["modality", "reader"])
    }


@quantity(r"roc_area")
def reader_roc_area(case: Case) -> list[list[float]]:
    return grid({k: lf.rating_kernel(y, r).value() for k, (y, r, _) in lroc_readers(case).items()})


@quantity(r"lroc_area")
def reader_lroc_area(case: Case) -> list[list[float]]:
    return grid({k: loc.lroc_of_ratings(*v).area for k, v in lroc_readers(case).items()})


@quantity(r"lroc_area_(?P<method>delong|jackknife)_var")
def reader_lroc_variance(case: Case, method: str) -> list[list[float]]:
    maker = {"delong": lf.delong_covariance, "jackknife": lf.jackknife_covariance}[method]
    return grid({k: maker([lf.rating_kernel(*v)])[0, 0] for k, v in lroc_readers(case).items()})


@quantity(r"partial_lroc_area@(?P<fraction>[0-9.]+)")
def reader_partial_area(case: Case, fraction: str) -> list[list[float]]:
    return grid({k: _partial_area(loc.lroc_of_ratings(*v), fraction) for k, v in lroc_readers(case).items()})


@quantity(r"pcl_(?P<line>interp|rjafroc|step)@(?P<fraction>[0-9.]+)")
def reader_share_correct(case: Case, line: str, fraction: str) -> list[list[float]]:
    return grid({k: _share_correct(loc.lroc_of_ratings(*v), fraction, line) for k, v in lroc_readers(case).items()})


@quantity(r"lroc_points\.m(?P<modality>\d+)r(?P<reader>\d+)")
def reader_lroc_points(case: Case, modality: str, reader: str) -> dict[str, Any]:
    return _lroc_points(loc.lroc_of_ratings(*lroc_readers(case)[int(modality), int(reader)]))
