"""Simulated twins of a published comparison: cohorts of the same size in which its conclusions are drawn again.

Conditional twins keep the printed counts and discordant pairs exactly and leave all else free: what no twin shows
cannot hold together. Superpopulation twins are new cohorts from the world that the printed figures suggest, effects
drawn from their uncertainty, or from a null world: how often would the same conclusions be drawn, and how does that
change with the validation set, the seeds and repeated films? A map, never a verdict: even with nothing changed p = .037
recurs about half of the time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from osteotl.statistics._twin_kernels import CONCLUSIONS, conditional_kernel, superpopulation_kernel
from osteotl.statistics._twin_worlds import Layout, TwinWorld, layout_of, twin_world
from osteotl.statistics.published import PrintedAuc, Published
from osteotl.statistics.rederivation import Rederivation, rederive

POSITIVES = (20, 50, 100, 200)
SEED_SPREADS = (0.0, 0.01, 0.02, 0.04)
FILMS_PER_PATIENT = (1.0, 2.0, 3.0)
ICCS = (0.0, 0.3, 0.6)


@dataclass(frozen=True)
class ConditionalTwins:
    """Twins with the printed counts and discordant pairs exact and AUCs that print as printed.

    Attributes
    ----------
    twins : int
    delong_p, correlation : tuple of float
        Lowest, 5 %, median, 95 % and highest over the twins.
    p_printed : str or None
    share_with_printed_p : float
        Twins whose DeLong p prints at least as high as the printed one (AUCs anywhere within their rounding).
    share_with_intervals_too : float
        Of them, twins whose two AUC intervals are also as wide as printed (within rounding).
    interval_widths, printed_widths : tuple of (arm, reference)
        Median width of the AUC intervals over twins, and as printed.
    cannot_hold : tuple of str
        Printed values that no twin shows, and those left out because they contradict others.
    held : tuple of str
        What is exact in every twin.
    """

    twins: int
    delong_p: tuple[float, ...]
    correlation: tuple[float, ...]
    p_printed: str | None
    share_with_printed_p: float
    share_with_intervals_too: float
    interval_widths: tuple[float, float]
    printed_widths: tuple[float, float]
    cannot_hold: tuple[str, ...]
    held: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def conditional_twins(published: Published, twins: int = 1000, seed: int = 0) -> ConditionalTwins:
    """Draw twins that keep what is printed and can be kept.

    Parameters
    ----------
    published : Published
        With AUCs, a high-sensitivity and a Youden point (the layout of `hasei2025`).
    twins : int
    seed : int

    Raises
    ------
    ValueError
        Figures without the points that the construction needs.
    """
    found = rederive(published)
    layout = layout_of(published, found)
    rng = np.random.default_rng(seed)
    drawn = conditional_kernel(twins, rng, layout.counts(), layout.targets, layout.half)
    if not layout.printed_p:
        raise ValueError(f"{published.title}: no printed p of the AUC difference to compare twins with")
    p, correlation = drawn[:, 3], drawn[:, 4]
    half = 0.5 * 10.0 ** -len(layout.printed_p.partition(".")[2])
    reached = p >= float(layout.printed_p) - half
    share = float(reached.mean())
    wide = drawn[:, 1:3] * 2 * stats.norm.isf(0.025)
    widths = np.median(wide, axis=0).tolist()
    printed = [
        a for a in (published.auc[published.arm], published.auc[published.reference]) if isinstance(a, PrintedAuc)
    ]
    shown = [float(a.upper) - float(a.lower) for a in printed]
    all_of_it = float((reached & (np.abs(wide - shown) <= 2 * layout.half + 1e-12).all(axis=1)).mean())
    lost = _cannot_hold(found, layout, p, share, all_of_it)
    return ConditionalTwins(twins, _five(p), _five(correlation), layout.printed_p, share, all_of_it,
                            (widths[0], widths[1]), (shown[0], shown[1]), lost, layout.held)  # fmt: skip


def _five(values: NDArray[np.float64]) -> tuple[float, ...]:
    return tuple(float(v) for v in np.quantile(values, [0, 0.05, 0.5, 0.95, 1]))


def _cannot_hold(found: Rederivation, layout: Layout, p: NDArray[np.float64], share: float,
                 all_of_it: float) -> tuple[str, ...]:  # fmt: skip
    said = [b.sentence for b in found.rule_breaks]
    said += [
        f"{c.rate} {c.printed} at {c.point}: no count of {c.n} gives it"
        for c in found.counts
        if c.agrees == "impossible"
    ]
    if share == 0:
        said.append(f"DeLong p {layout.printed_p}: with the printed AUCs and discordant pairs no twin reaches it "
                    f"(highest {p.max():.2f})")  # fmt: skip
    elif all_of_it == 0:
        reach = f"DeLong p {layout.printed_p} (reached by {share:.1%} of twins)"
        said.append(f"{reach} together with the printed widths of both AUC intervals: no twin shows all of them")
    return tuple(said)


# --- superpopulation --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class TwinMap:
    """How often each conclusion is drawn, by condition, relative to its recurrence under the published conditions.

    Attributes
    ----------
    conclusions : mapping of short name to sentence
    recurrence : mapping of conclusion to share
        Under the published conditions (thresholds from the test films, one run, one film a patient).
    null : mapping of conclusion to share
        The same where both arms are alike.
    cells : DataFrame
        validation_positives, seed_spread, films_per_patient, icc, conclusion, share, relative (share / recurrence; None
        where the recurrence is 0), twins.
    """

    conclusions: dict[str, str]
    recurrence: dict[str, float]
    null: dict[str, float]
    cells: pd.DataFrame
    twins: int

    def to_dict(self) -> dict[str, Any]:
        """For statistics.json: the cells as records."""
        records = self.cells.astype(object).where(self.cells.notna(), None).to_dict("records")
        return {"conclusions": self.conclusions, "recurrence": self.recurrence, "null": self.null, "cells": records,
                "twins": self.twins}  # fmt: skip


def twin_map(
    published: Published, twins: int = 100, seed: int = 0, positives: Sequence[int] = POSITIVES,
    seed_spreads: Sequence[float] = SEED_SPREADS, films_per_patient: Sequence[float] = FILMS_PER_PATIENT,
    iccs: Sequence[float] = ICCS, full: bool = False,
) -> TwinMap:  # fmt: skip
    """Sweep the conditions and count conclusions.

    Parameters
    ----------
    published : Published
    twins : int
        Cohorts per condition.
    seed : int
        The same seed gives the same map.
    positives : malignant validation films that set the thresholds (normal ones in the published ratio)
    seed_spreads : standard deviations of the AUC between training runs
    films_per_patient, iccs : films of one patient, and their correlation
    full : bool
        Every combination; default: each condition alone, the others as published (the reduced grid of a report).

    Returns
    -------
    TwinMap
    """
    world = twin_world(published)
    rng = np.random.default_rng(seed)
    recurrence = _shares(world, rng, twins * 2, None, 0.0, 1.0, 0.0)
    null = _shares(world.null(), rng, twins * 2, None, 0.0, 1.0, 0.0)
    rows = []
    for condition in _conditions(positives, seed_spreads, films_per_patient, iccs, full):
        shares = _shares(world, rng, twins, *condition)
        for name, share in shares.items():
            relative = share / recurrence[name] if recurrence[name] else None
            rows.append((*condition, name, share, relative, twins))
    columns = [
        "validation_positives",
        "seed_spread",
        "films_per_patient",
        "icc",
        "conclusion",
        "share",
        "relative",
        "twins",
    ]
    return TwinMap(dict(CONCLUSIONS), recurrence, null, pd.DataFrame(rows, columns=columns), twins)


def _conditions(positives: Sequence[int], spreads: Sequence[float], per_patient: Sequence[float], iccs: Sequence[float],
                full: bool) -> list[tuple[int | None, float, float, float]]:  # fmt: skip
    clusters = [(1.0, 0.0), *((f, i) for f, i in product(per_patient, iccs) if f > 1)]
    if full:
        return [(n, s, f, i) for n in (None, *positives) for s in spreads for f, i in clusters]
    alone: list[tuple[int | None, float, float, float]] = [(n, 0.0, 1.0, 0.0) for n in positives]
    alone += [(None, s, 1.0, 0.0) for s in spreads if s]
    return alone + [(None, 0.0, f, i) for f, i in clusters if f > 1 and i]


def _shares(world: TwinWorld, rng: np.random.Generator, twins: int, positives: int | None, spread: float,
            films_per_patient: float, icc: float) -> dict[str, float]:  # fmt: skip
    """Share of twins in which each conclusion is drawn; positives None: thresholds from the test films."""
    ill, well = world.films
    held = 0 if positives is None else positives
    drawn = superpopulation_kernel(
        rng, world.draw(rng, twins, spread), np.array([ill, well, held, round(held * well / ill)]), world.shared,
        films_per_patient, icc, world.margin,
    )  # fmt: skip
    return {name: float(drawn[:, i].mean()) for i, name in enumerate(CONCLUSIONS)}
