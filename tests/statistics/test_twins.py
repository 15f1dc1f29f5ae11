"""Twins: what must be exact is exact, what must recur recurs, and the same seed gives the same map."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from osteotl.statistics._simulate import placements
from osteotl.statistics._twin_kernels import (
    CONCLUSIONS,
    _bands,
    _malignant_order,
    _normal_order,
    _place,
    superpopulation_kernel,
    thresholds,
)
from osteotl.statistics._twin_worlds import layout_of, twin_world
from osteotl.statistics.published import load_published
from osteotl.statistics.rederivation import rederive
from osteotl.statistics.twins import conditional_twins, twin_map

PAPER = load_published("hasei2025")
OTHERS = Path(__file__).parent / "published"


def test_a_twin_keeps_counts_discordant_pairs_and_auc() -> None:
    rng = np.random.default_rng(1)
    score = np.empty((2, 743))
    ill, well = _malignant_order(rng, 268, 245, 239, 6, 0), _normal_order(rng, 475, 46, 63, 21, 38)
    for arm, (sensitive, false, youden, youden_false, auc) in enumerate(
        [(242, 46, 245, 48, 0.954), (242, 63, 239, 55, 0.961)]
    ):
        bounds = _bands(268, 475, sensitive, false, youden, youden_false)
        _place(rng, score[arm], ill[arm], well[arm], bounds, auc)
        assert placements(score[arm], 268, np.empty(743)) == pytest.approx(auc, abs=0.0004)
    # Youden: the 245 and 239 highest malignant films; six in the arm alone, none in the reference alone
    top = [set(np.argsort(-score[a, :268])[:k].tolist()) for a, k in ((0, 245), (1, 239))]
    assert (len(top[0] - top[1]), len(top[1] - top[0])) == (6, 0)
    # high sensitivity: threshold at the 242nd malignant film; 46 and 63 normal films above it, 21 and 38 alone
    cut = [np.sort(score[a, :268])[268 - 242] for a in range(2)]
    false = [set(np.flatnonzero(score[a, 268:] >= cut[a]).tolist()) for a in range(2)]
    assert (len(false[0]), len(false[1])) == (46, 63)
    assert (len(false[0] - false[1]), len(false[1] - false[0])) == (21, 38)


def test_conditional_twins_of_the_paper() -> None:
    twins = conditional_twins(PAPER, twins=300, seed=1)
    assert twins == conditional_twins(PAPER, twins=300, seed=1)
    # |difference| .007 and each printed p are tied by z: the p of a twin is never far from what its correlation implies
    assert 0 < twins.delong_p[0] < twins.delong_p[2] < twins.delong_p[4] < 1
    assert -1 < twins.correlation[0] < twins.correlation[4] < 1
    said = "\n".join(twins.cannot_hold)
    assert "already meets specificity >= 0.90" in said
    assert "no count of 475 gives it" in said
    assert any("discordant (38, 21)" in h for h in twins.held)
    assert layout_of(PAPER, rederive(PAPER)).false_only == (21, 38)


def test_thresholds_by_hand() -> None:
    # malignant 1 .. 10, normal 0 .. 9 (shifted by .5): 9 of 10 malignant are >= 2; 9 of 10 normal below 8.5 + is needed
    score = np.array([*range(1, 11), *(i + 0.5 for i in range(10))], float)
    sensitive, specific, _ = thresholds(score, 10, 0.9)
    assert sensitive == 2
    assert specific == 9  # the lowest malignant score above 8.5, the ninth normal one
    assert (score[10:] < specific).mean() >= 0.9


def test_the_world_and_its_null() -> None:
    world = twin_world(PAPER)
    a, b = world.curves[:, 0], world.curves[:, 1]
    assert stats.norm.cdf(a / np.sqrt(1 + b**2)) == pytest.approx([0.954, 0.961], abs=0.01)
    null = world.null()
    assert (null.curves[0] == null.curves[1]).all()
    with pytest.raises(ValueError, match="printed AUC"):
        twin_world(load_published(OTHERS / "approval_ratings.yaml"))
    with pytest.raises(ValueError, match="conditional twins need"):
        conditional_twins(load_published(OTHERS / "proc_asah.yaml"), 5)


def test_conclusions_of_a_null_world_recur_at_the_level_of_the_test() -> None:
    world = twin_world(PAPER).null()
    rng = np.random.default_rng(3)
    drawn = superpopulation_kernel(
        rng, world.draw(rng, 400, 0.0), np.array([268, 475, 0, 0]), world.shared, 1.0, 0.0, 0.03
    )
    shares = dict(zip(CONCLUSIONS, drawn.mean(axis=0), strict=True))
    assert shares["auc_not_different"] == pytest.approx(0.95, abs=0.04)  # 4 standard errors of 400 twins
    # a one-sided claim at a fixed threshold would be made in under 2.5 %; re-selected thresholds make it more often
    assert shares["sensitivity_at_high_specificity"] < 0.15


def test_the_map_is_relative_to_recurrence() -> None:
    drawn = twin_map(
        PAPER, twins=30, seed=2, positives=(20,), seed_spreads=(0.0, 0.04), films_per_patient=(1, 2), iccs=(0.6,)
    )
    assert set(drawn.cells["conclusion"]) == set(CONCLUSIONS)
    conditions = drawn.cells.drop_duplicates(["validation_positives", "seed_spread", "films_per_patient", "icc"])
    assert len(conditions) == 3  # one validation size, one spread, one clustering
    row = drawn.cells.iloc[0]
    assert row["relative"] == pytest.approx(row["share"] / drawn.recurrence[row["conclusion"]])
    again = twin_map(
        PAPER, twins=30, seed=2, positives=(20,), seed_spreads=(0.0, 0.04), films_per_patient=(1, 2), iccs=(0.6,)
    )
    assert again.to_dict() == drawn.to_dict()
    assert drawn.recurrence["auc_not_different"] > 0.3
