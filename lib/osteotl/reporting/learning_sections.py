"""Scarce labels and short training: learning curves, labels that suffice, and whether a start buys convergence."""

from __future__ import annotations

from markupsafe import Markup

from osteotl.reporting.film_tables import written
from osteotl.reporting.html import folded, paragraph, table, tag
from osteotl.reporting.pictures import place
from osteotl.reporting.results import Results
from osteotl.reporting.wording import typeset


def learning(results: Results) -> list[Markup | None]:
    """What stands below the training runs: parts for which a study has nothing are None."""
    return [
        place(results, "learning_curve"),
        _savings(results),
        _curve(results, "learning_curve", "AUC by share of labelled films"),
        _curve(results, "learning_curve_equal_epochs", "The same at equal epochs"),
        place(results, "steps_curve"),
        *_convergence(results),
    ]


def _savings(results: Results) -> Markup | None:
    """How few labels suffice to do as well as the reference on all of them."""
    facts = results.facts
    arms = [arm for arm in results.others if facts.get(f"learning.{arm}.steps")]
    if not arms:
        return None
    rows = [
        [
            results.mark(arm),
            _share(results, f"learning.{arm}.smallest_fraction"),
            _share(results, f"learning.{arm}.equal_fraction.estimate"),
            [_share(results, f"learning.{arm}.equal_fraction.lower"), " to ",
             _share(results, f"learning.{arm}.equal_fraction.upper")],
        ]
        for arm in arms
    ]  # fmt: skip
    heads = ["Arm", "#Within the margin from", "#Equal at", "#Interval"]
    name = f"Share of labels at which an arm does as well as {results.label(results.reference)} on all labels"
    told = [
        paragraph(results.mark(arm), ": ", _sentence(results, f"learning.{arm}"), " ",
                  _sentence(results, f"learning.{arm}.equal_fraction"))
        for arm in arms
    ]  # fmt: skip
    why = paragraph(
        "Equal: where the curve of means crosses, read between the fractions that were trained on. The interval "
        "resamples seeds and patients; with few seeds it is too narrow.",
        class_="fine",
    )
    return tag("div", told, table(name, heads, rows), why, id="label-savings")


def _sentence(results: Results, path: str) -> str:
    return typeset(results.facts.get(f"{path}.sentence", ""))


def _share(results: Results, path: str) -> Markup:
    if results.facts.get(path) is None:
        return tag("span", "not reached", class_="missing")
    return results.facts.value(path, "percent0")


def _curve(results: Results, name: str, title: str) -> Markup | None:
    facts = results.facts
    rows = [
        [
            results.mark(arm),
            written(entry.get("fraction")),
            entry.get("seed") if entry.get("seed") is not None else "mean",
            facts.number(f"arms.{arm}.{name}.{i}.auc", "auc"),
        ]
        for arm in results.arms
        for i, entry in enumerate(facts.get(f"arms.{arm}.{name}", []))
    ]
    if len({row[1] for row in rows}) < 2:
        return None
    return folded(title, table("Learning curve", ["Arm", "#Share of films", "Seed", "#AUC"], rows), class_="print")


def _convergence(results: Results) -> list[Markup | None]:
    """What each arm's start buys, in words, and the differences that the words rest on."""
    facts = results.facts
    arms = [arm for arm in results.others if facts.get(f"comparisons.{arm}.convergence.steps")]
    told = [
        paragraph(tag("strong", "Convergence. ") if i == 0 else None, results.mark(arm), ": ",
                  _sentence(results, f"comparisons.{arm}.convergence"))
        for i, arm in enumerate(arms)
    ]  # fmt: skip
    rows = [
        [
            results.mark(arm),
            written(step["fraction"]),
            [facts.value(f"{path}.step", "count"), " (last)" if step["last"] else ""],
            facts.number(f"{path}.difference", "signed3"),
            facts.p(f"{path}.difference"),
        ]
        for arm in arms
        for i, step in enumerate(facts.get(f"comparisons.{arm}.convergence.steps"))
        for path in [f"comparisons.{arm}.convergence.steps.{i}"]
    ]
    if not rows:
        return []
    heads = ["Arm", "#Share of films", "#Optimiser steps", "#Difference in AUC", "#p"]
    name = f"Difference from {results.label(results.reference)} by optimiser step, {facts.level} intervals"
    return [
        tag("div", told, id="convergence"),
        folded("Differences step by step", table(name, heads, rows), class_="print"),
    ]
