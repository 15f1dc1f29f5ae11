"""statistics.json as tables for a notebook: a row a thing, numbers with intervals, reasons where there is none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from osteotl.reporting.wording import interval, p_sentence, p_value

Statistics = Mapping[str, Any]


def _label(statistics: Statistics, arm: str) -> str:
    return statistics["settings"]["arms"][arm].get("label") or arm


def primary(statistics: Statistics) -> pd.DataFrame:
    """The primary outcome: AUC of each arm, its difference to the reference, and the verdict."""
    rows = []
    for arm, result in statistics["arms"].items():
        compared = statistics["comparisons"].get(arm)
        row = {"arm": _label(statistics, arm), "AUC": interval(result["auc"])}
        if compared:
            difference = compared["auc_difference"]
            row |= {
                "difference": interval(difference, plus=True),
                "p": p_value(difference.get("p")),
                "verdict": compared["verdict"]["word"],
                "in words": compared["verdict"]["sentence"],
            }
        rows.append(row)
    return pd.DataFrame(rows).fillna("(reference)").set_index("arm")


def seeds(statistics: Statistics) -> pd.DataFrame:
    """AUC, average precision and Brier score of every training run."""
    return pd.DataFrame(
        {
            "arm": _label(statistics, arm),
            "seed": seed,
            "AUC": interval(run.get("auc")),
            "average precision": interval(run.get("average_precision")),
            "Brier (recalibrated)": interval(run.get("brier_recalibrated")),
        }
        for arm, result in statistics["arms"].items()
        for seed, run in result["per_seed"].items()
    ).set_index(["arm", "seed"])


def operating_points(statistics: Statistics) -> pd.DataFrame:
    """Mean rates over seeds at every operating point."""
    measures = ("sensitivity", "specificity", "ppv", "npv")
    rows = [
        {"point": point, "threshold from": source, "arm": _label(statistics, arm)}
        | {measure: interval(rates.get(measure)) for measure in measures}
        for arm, result in statistics["arms"].items()
        for (point, source), rates in _points(result["operating_points"])
    ]
    return _by_point(rows)


def _by_point(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """A row a point and arm; none where a study has no point, such as locked ones without a validation set."""
    index = ["threshold from", "point", "arm"]
    return pd.DataFrame(rows, columns=None if rows else index).set_index(index)


def _points(points: Mapping[str, Any]) -> Iterator[tuple[tuple[str, str], Any]]:
    for key, content in points.items():
        point, _, source = key.partition("@")
        yield (point, source), content


def differences(statistics: Statistics) -> pd.DataFrame:
    """Differences to the reference at every operating point, and their sum."""
    rows = [
        {"threshold from": source, "point": point, "arm": _label(statistics, arm)}
        | {m: f"{interval(found.get(m), plus=True)}, {p_sentence((found.get(m) or {}).get('p'))}"
           for m in ("sensitivity", "specificity", "ppv", "npv")}
        | {"sum": interval(found.get("sum"), plus=True)}
        for arm, comparison in statistics["comparisons"].items()
        for (point, source), found in _points(comparison["operating_points"])
    ]  # fmt: skip
    return _by_point(rows)


def family(statistics: Statistics) -> pd.DataFrame:
    """The declared secondary family with its adjusted p values."""
    return pd.DataFrame(
        {
            "arm": _label(statistics, arm),
            "test": test["name"],
            "difference": interval(test["difference"], plus=True),
            **{name: p_value(test.get(key)) for name, key in (("p", "p"), ("Holm", "holm"), ("BH", "bh"))},
        }
        for arm, comparison in statistics["comparisons"].items()
        for test in comparison["family"]
    )


def mcnemar(statistics: Statistics) -> pd.DataFrame:
    """Discordant films and the McNemar variants, run by run, on the locked points."""
    rows = []
    for arm, comparison in statistics["comparisons"].items():
        for (point, source), found in _points(comparison["operating_points"]):
            for seed, run in found.get("per_seed", {}).items():
                for measure, group in (("sensitivity", "malignant"), ("specificity", "normal")):
                    counts, tests = run["table"][group], run["mcnemar"][measure]
                    row = {"threshold from": source, "point": point, "arm": _label(statistics, arm), "seed": seed}
                    row |= {
                        "measure": measure,
                        "arm only": counts["arm_only"],
                        "reference only": counts["reference_only"],
                    }
                    rows.append(row | {name: p_value(p) for name, p in tests.items()})
    return pd.DataFrame(rows)


def localisation(statistics: Statistics) -> pd.DataFrame:
    """Lesion-level results of every arm; empty where the study has no boxes."""
    rows = {
        _label(statistics, arm): {key: interval(n) for key, n in result["localisation"].items() if _is_number(n)}
        for arm, result in statistics["arms"].items()
        if result.get("localisation")
    }
    return pd.DataFrame(rows)


def _is_number(content: Any) -> bool:
    return isinstance(content, Mapping) and "method" in content


def calibration(statistics: Statistics) -> pd.DataFrame:
    """Calibration of the first listed seed, raw and recalibrated."""
    seed = str(statistics["settings"]["first_seed"])
    names = ("brier", "calibration_in_the_large", "calibration_intercept", "calibration_slope", "ici", "e50", "e90")
    rows = []
    for arm, result in statistics["arms"].items():
        for kind in ("raw", "recalibrated"):
            found = result["per_seed"][seed]
            # recalibrated numbers bear the plain name, the Brier score apart, of which both kinds are headline numbers
            named = {name: name if kind == "recalibrated" and name != "brier" else f"{name}_{kind}" for name in names}
            values = {name: found.get(key) for name, key in named.items()}
            if any(values.values()):
                rows.append(
                    {"arm": _label(statistics, arm), "scores": kind} | {k: interval(v) for k, v in values.items()}
                )
    return pd.DataFrame(rows)


def baseline(statistics: Statistics) -> pd.DataFrame:
    """AUC of the detectors beside the AUC of what is known without looking at the film."""
    found = statistics.get("baseline") or {}
    rows = [{"scored by": ", ".join(found.get("features", [])) or "no baseline", "AUC": interval(found.get("auc"))}]
    rows += [{"scored by": _label(statistics, arm), "AUC": interval(r["auc"])} for arm, r in statistics["arms"].items()]
    return pd.DataFrame(rows)


def published(statistics: Statistics) -> pd.DataFrame:
    """Every published comparison derived again: what was printed, what follows from it, whether the two agree."""
    rows = [{"paper": name} | line for name, paper in statistics["published"].items() for line in paper["lines"]]
    return pd.DataFrame(rows, columns=["paper", "item", "printed", "follows", "agrees"])


def twins(statistics: Statistics) -> pd.DataFrame:
    """How often each published conclusion returns in simulated twins, and its range over the sweep."""
    rows = []
    for name, paper in statistics["published"].items():
        found = paper.get("twins", {}).get("map", {})
        for key, words in found.get("conclusions", {}).items():
            shares = [cell["share"] for cell in found["cells"] if cell["conclusion"] == key]
            row = {"paper": name, "conclusion": words, "as published": found["recurrence"][key]}
            rows.append(row | {"no difference": found["null"][key], "lowest": min(shares), "highest": max(shares)})
    return pd.DataFrame(rows)


def numbers(content: Any, place: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every number of statistics.json with its place, such as `arms.scratch.auc`."""
    if _is_number(content) and "estimate" in content:
        yield place, content
    elif isinstance(content, Mapping):
        for key, value in content.items():
            yield from numbers(value, f"{place}.{key}".lstrip("."))
    elif isinstance(content, list):
        for index, value in enumerate(content):
            yield from numbers(value, f"{place}.{index}")


def check_reasons(statistics: Statistics) -> int:
    """Count the numbers; each is there, or says why not, and lies inside its interval.

    Raises
    ------
    ValueError
        A number is missing without a reason, or lies outside its interval.
    """
    count = 0
    for place, number in numbers(statistics):
        count += 1
        estimate, lower, upper = number["estimate"], number.get("lower"), number.get("upper")
        if estimate is None and not number.get("not_estimable"):
            raise ValueError(f"{place}: there is no number and no reason")
        if lower is not None and upper is not None and not lower <= upper:
            raise ValueError(f"{place}: the interval {lower} to {upper} is upside down")
    return count


def check_consistent(statistics: Statistics, tolerance: float = 1e-9) -> None:
    """The difference in AUC is the difference of the arms' AUCs.

    Raises
    ------
    ValueError
        They disagree by more than `tolerance`.
    """
    reference = statistics["arms"][statistics["settings"]["reference"]]["auc"]["estimate"]
    for arm, comparison in statistics["comparisons"].items():
        difference = comparison["auc_difference"]["estimate"]
        expected = statistics["arms"][arm]["auc"]["estimate"] - reference
        if difference is not None and abs(difference - expected) > tolerance:
            raise ValueError(f"comparisons.{arm}.auc_difference is {difference}, the arms differ by {expected}")
