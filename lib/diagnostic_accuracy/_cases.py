"""Ranking measures, threshold rules and rates of one run's cases, at rows of case weights; the bootstrap's inner loop.

One pass over the cases serves all of them. `bootstrap` and `subgroups` are the only callers.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diagnostic_accuracy._kernels import compiled, first_at_least
from diagnostic_accuracy.thresholds import RULES, Point

Floats = NDArray[np.float64]
Weights = NDArray[np.uint16]
Key = tuple[Any, ...]
Column = tuple[Key, Floats]

CODES: dict[Any, int] = {rule: code for code, rule in enumerate(RULES.values())}
_HIGH_SENSITIVITY, _HIGH_SPECIFICITY, _YOUDEN, _CLOSEST = RULES.values()


@dataclass(frozen=True)
class Cases:
    """One run's cases, sorted downwards.

    Attributes
    ----------
    order : int array, shape (cases,)
    negated : array, shape (cases,)
        Negated scores in that order, hence ascending.
    malignant : bool array, shape (cases,)
        Labels in that order.
    ends : int array
        How many cases score at least each distinct score.
    starts, stops : int arrays
        The distinct scores that a malignant case has: how many cases score above, and at least, it. No malignant case
        lies between a stop and the next start.
    """

    order: NDArray[np.int32]
    negated: Floats
    malignant: NDArray[np.bool_]
    ends: NDArray[np.int64]
    starts: NDArray[np.int64]
    stops: NDArray[np.int64]

    @classmethod
    def of(cls, score: Floats, label: NDArray[np.bool_]) -> Cases:
        order = np.argsort(-score, kind="stable")
        down, malignant = score[order], label[order]
        ends = np.flatnonzero(np.append(np.diff(down) != 0, True)) + 1
        starts = np.r_[0, ends[:-1]]
        ill = np.logical_or.reduceat(malignant, starts)
        return cls(order.astype(np.int32), -down, malignant, ends, starts[ill], ends[ill])

    def ranked(
        self, weights: Weights, pi: Floats, cuts: Floats, learnt: Sequence[tuple[int, Point]] = ()
    ) -> tuple[Floats, Floats, Floats, Floats]:
        """AUC and average precision of every draw, shape (draws,); sensitivity and specificity, shape (points, draws).

        `cuts` (draws, points) holds thresholds; those of the points in `learnt`, by column, are learnt on the draw and
        written there, NaN where a class is missing. One row of weights stands for all draws. The share of malignant
        cases is pi[draw] for average precision.
        """
        auc, precision = np.empty(len(cuts)), np.empty(len(cuts))
        return auc, precision, *self._judged(weights, pi, auc, precision, cuts, learnt)

    def rates(self, weights: Weights, cuts: Floats, learnt: Sequence[tuple[int, Point]] = ()) -> tuple[Floats, Floats]:
        """Sensitivity and specificity alone."""
        none = np.empty(0)
        return self._judged(weights, none, none, none, cuts, learnt)

    def _judged(
        self,
        weights: Weights,
        pi: Floats,
        auc: Floats,
        precision: Floats,
        cuts: Floats,
        learnt: Sequence[tuple[int, Point]],
    ) -> tuple[Floats, Floats]:
        codes, targets = np.full(cuts.shape[1], -1), np.full(cuts.shape[1], np.nan)
        for k, point in learnt:
            targets[k] = _target(point)
            codes[k] = CODES.get(point.rule, -1)
            if codes[k] < 0:
                cuts[:, k] = self._by_python(weights, point)
        sensitivity, specificity = np.empty(cuts.shape[::-1]), np.empty(cuts.shape[::-1])
        _judge(
            weights, self.order, self.negated, self.malignant, self.starts, self.stops, pi, codes, targets, cuts, auc,
            precision, sensitivity, specificity,
        )  # fmt: skip
        return sensitivity, specificity

    def _by_python(self, weights: Weights, point: Point) -> Floats:
        """The threshold that a rule written in Python chooses in every draw."""
        counts = [np.cumsum(weights[:, self.order] * side, axis=1, dtype=np.int64)[:, self.ends - 1]
                  for side in (self.malignant, ~self.malignant)]  # fmt: skip
        tp, fp = (np.pad(one, ((0, 0), (1, 0))) for one in counts)
        chosen = np.array([_index(point, *row) for row in zip(tp, fp, strict=True)])
        return np.where(chosen >= 0, np.r_[np.inf, -self.negated[self.ends - 1]][chosen], np.nan)


def ranked(
    unit: str,
    side: Cases,
    weights: Weights,
    pi: Floats,
    cuts: Floats,
    names: Sequence[tuple[str, str]],
    learnt: Sequence[tuple[int, Point]] = (),
) -> Iterator[Column]:
    """Ranking measures of one run, and rates at thresholds (draws, points), as `Draws.values` names them."""
    auc, precision, *both = side.ranked(weights, pi, cuts, learnt)
    yield ("auc", unit), auc
    yield ("average_precision", unit), precision
    for rate, found in zip(("sensitivity", "specificity"), both, strict=True):
        for name, values in zip(names, found, strict=True):
            yield (rate, *name, unit), values


def _target(point: Point) -> float:
    return np.nan if point.target is None else point.target


def _index(point: Point, tp: NDArray[np.int64], fp: NDArray[np.int64]) -> int:
    """What a rule written in Python chooses; -1 where a class is missing."""
    if not (tp[-1] and fp[-1]):
        return -1
    chosen = int(point.rule(tp, fp, int(tp[-1]), int(fp[-1]), _target(point)))  # type: ignore[misc]
    if not 0 <= chosen < tp.size:
        raise ValueError(
            f"the rule of {point.name!r} returned {chosen}; it must return an index from 0 to {tp.size - 1}"
        )
    return max(int(np.searchsorted(tp, tp[chosen])), int(np.searchsorted(fp, fp[chosen])))


@compiled()
def _count(weights, order, malignant, starts, stops, tp, fp, above):  # type: ignore[no-untyped-def]
    """Weighted malignant and normal cases called positive at each cut; normal ones that score above it.

    Cut 0 calls no case positive, cut i the first stops[i - 1], the last cut all. Only scores that a malignant case has
    are cuts: a rule never chooses another, but the last, and the loop over normal cases in between has no branch.
    """
    ill, well, at = np.int64(0), np.int64(0), 0
    for g in range(stops.shape[0]):
        for i in range(at, starts[g]):
            well += np.int64(weights[order[i]])
        above[g], at = well, stops[g]
        for i in range(starts[g], at):
            w = np.int64(weights[order[i]])
            if malignant[i]:
                ill += w
            else:
                well += w
        tp[g + 1], fp[g + 1] = ill, well
    for i in range(at, order.shape[0]):
        well += np.int64(weights[order[i]])
    tp[stops.shape[0] + 1], fp[stops.shape[0] + 1] = ill, well


@compiled()
def _choose(code, tp, fp, target):  # type: ignore[no-untyped-def]
    """The cut that a named rule chooses. Of cuts with equal counts the highest is taken, which a drawn case scored."""
    pos, neg = tp[-1], fp[-1]
    if code == 0:
        i = _HIGH_SENSITIVITY(tp, fp, pos, neg, target)
    elif code == 1:
        i = _HIGH_SPECIFICITY(tp, fp, pos, neg, target)
    elif code == 2:
        i = _YOUDEN(tp, fp, pos, neg, target)
    else:
        i = _CLOSEST(tp, fp, pos, neg, target)
    return max(first_at_least(tp, tp[i]), first_at_least(fp, fp[i]))


@compiled()
def _called(negated, cut, before):  # type: ignore[no-untyped-def]
    """How many cases score at least the negated threshold `cut`, of which `before` are known to."""
    called, step, n = before, 1, negated.shape[0]
    while called + step <= n and negated[called + step - 1] <= cut:
        called += step
        step *= 2
    while step > 1:
        step //= 2
        if called + step <= n and negated[called + step - 1] <= cut:
            called += step
    return called


@compiled()
def _rank(tp, fp, above, pi):  # type: ignore[no-untyped-def]
    """AUC, and average precision with a share pi of malignant cases."""
    pos, neg = float(tp[-1]), float(fp[-1])
    twice, area, ill, well = 0.0, 0.0, pi / pos, (1.0 - pi) / neg
    for g in range(above.shape[0]):
        gained = float(tp[g + 1] - tp[g])
        if gained > 0.0:
            twice += gained * (2.0 * neg - float(fp[g + 1]) - float(above[g]))
            found = ill * float(tp[g + 1])
            area += gained * found / (found + well * float(fp[g + 1]))
    return twice / (2.0 * pos * neg), area / pos


@compiled()
def _judge(  # type: ignore[no-untyped-def]
    weights, order, negated, malignant, starts, stops, pi, codes, targets, cuts, auc, precision, sensitivity,
    specificity,
):  # fmt: skip
    """Fill auc and precision (where they hold draws), the cuts of rules (codes >= 0), and the rates at all cuts.

    Of falling thresholds each is looked for from where the one before it was found.
    """
    groups = stops.shape[0]
    tp, fp, above = np.zeros(groups + 2, np.int64), np.zeros(groups + 2, np.int64), np.zeros(groups, np.int64)
    for b in range(cuts.shape[0]):
        drawn = min(b, weights.shape[0] - 1)
        if b == drawn:
            _count(weights[b], order, malignant, starts, stops, tp, fp, above)
        pos, neg = float(tp[-1]), float(fp[-1])
        defined = pos > 0.0 and neg > 0.0
        if auc.shape[0]:
            auc[b], precision[b] = _rank(tp, fp, above, pi[b]) if defined else (np.nan, np.nan)
        called, before = 0, -np.inf
        for k in range(codes.shape[0]):
            if codes[k] >= 0:
                cuts[b, k] = np.nan
            if not defined or (codes[k] < 0 and math.isnan(cuts[b, k])):
                sensitivity[k, b], specificity[k, b] = np.nan, np.nan
                continue
            if codes[k] >= 0:
                i = _choose(codes[k], tp, fp, targets[k])
                cuts[b, k] = np.inf if i == 0 else -negated[stops[i - 1] - 1 if i <= groups else negated.shape[0] - 1]
                alarms = fp[i]
            else:
                cut = -cuts[b, k]
                called, before = _called(negated, cut, called if cut >= before else 0), cut
                i = first_at_least(stops, called + 1)
                alarms = fp[i]
                for case in range(stops[i - 1] if i else 0, called):
                    alarms += np.int64(weights[drawn, order[case]])
            sensitivity[k, b], specificity[k, b] = tp[i] / pos, (neg - alarms) / neg
