"""Twins: what must be exact is exact, what must recur recurs, and the same seed gives the same map."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from osteotl.published._kernels import (
    bands,
    covariance,
    orders,
    patients_of,
    place,
    placements,
    superpopulation,
    thresholds,
)
from osteotl.published.printed import load_published
from osteotl.published.twins import CONCLUSIONS, conditional_twins, layout_of, twin_map, twin_world

PAPER = load_published("hasei2025")
OTHERS = Path(__file__).parent


def test_a_twin_keeps_counts_discordant_pairs_and_auc() -> None:
    rng = np.random.default_rng(1)
    score = np.empty((2, 743))
    ill, well = orders(rng, 268, 245, 6, 0), orders(rng, 475, 46, 21, 38)
    for arm, (sensitive, false, youden, youden_false, auc) in enumerate(
        [(242, 46, 245, 48, 0.954), (242, 63, 239, 55, 0.961)]
    ):
        bounds = bands(268, 475, sensitive, false, youden, youden_false)
        place(rng, score[arm], ill[arm], well[arm], bounds, auc)
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
    pd.testing.assert_frame_equal(twins, conditional_twins(PAPER, twins=300, seed=1))
    assert twins["difference"].between(-0.007 - 0.001, -0.007 + 0.001).all()  # .954 - .961, each +- .0005
    assert twins["p"].between(0, 1, inclusive="neither").all()
    assert twins["correlation"].between(-1, 1, inclusive="neither").all()
    # what ties them: p is that of z = difference / SE, and SE follows from the widths and the correlation
    arm, reference = (twins[name] / (2 * 1.959964) for name in ("width_arm", "width_reference"))
    error = np.sqrt(arm**2 + reference**2 - 2 * twins["correlation"] * arm * reference)
    assert 2 * stats.norm.sf(twins["difference"].abs() / error) == pytest.approx(twins["p"].to_numpy(), abs=1e-6)
    assert (twins["p_as_high"] == (twins["p"] >= 0.525)).all()
    assert not (twins["widths_too"] & ~twins["p_as_high"]).any()
    assert layout_of(PAPER).false_only == (21, 38)


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
    null = world.equal_arms()
    assert (null.curves[0] == null.curves[1]).all()
    with pytest.raises(ValueError, match="printed AUC"):
        twin_world(load_published(OTHERS / "approval_ratings.yaml"))
    with pytest.raises(ValueError, match="conditional twins need"):
        conditional_twins(load_published(OTHERS / "proc_asah.yaml"), 5)


def test_conclusions_of_a_null_world_recur_at_the_level_of_the_test() -> None:
    world = twin_world(PAPER).equal_arms()
    rng = np.random.default_rng(3)
    films, none = patients_of(268, 475, 1.0), np.zeros(0, np.int64)
    curves = world.draw(rng, 400, 0.0)
    drawn = superpopulation(rng, curves, np.array([268, 475, 0, 0]), films, none, world.shared, 0.0, 0.03)
    shares = dict(zip(CONCLUSIONS, drawn.mean(axis=0), strict=True))
    assert shares["auc_not_different"] == pytest.approx(0.95, abs=0.04)  # 4 standard errors of 400 twins
    # a one-sided claim at a fixed threshold would be made in under 2.5 %; re-selected thresholds make it more often
    assert shares["sensitivity_at_high_specificity"] < 0.15


def test_the_map_is_relative_to_recurrence() -> None:
    asked = {"twins": 30, "seed": 2, "positives": (20,), "seed_spreads": (0.0, 0.04), "films_per_patient": (1, 2),
             "iccs": (0.6,)}  # fmt: skip
    drawn = twin_map(PAPER, **asked)
    assert set(drawn["conclusion"]) == set(CONCLUSIONS)
    sweep = drawn[drawn["world"] == "sweep"]
    conditions = sweep.drop_duplicates(["validation_positives", "seed_spread", "films_per_patient", "icc"])
    assert len(conditions) == 3  # one validation size, one spread, one clustering
    first = drawn[drawn["world"] == "as published"].set_index("conclusion")["share"]
    row = sweep.iloc[0]
    assert row["relative"] == pytest.approx(row["share"] / first[row["conclusion"]])
    pd.testing.assert_frame_equal(twin_map(PAPER, **asked), drawn)
    assert first["auc_not_different"] > 0.3
    assert (drawn["world"] == "equal arms").sum() == len(CONCLUSIONS)


def test_every_combination_of_conditions_on_request() -> None:
    asked = {"positives": (20,), "seed_spreads": (0.0, 0.04), "films_per_patient": (1, 2), "iccs": (0.0, 0.6)}
    drawn = twin_map(PAPER, twins=2, full=True, **asked)
    sweep = drawn[drawn["world"] == "sweep"]
    assert len(sweep) == 2 * 2 * 3 * len(CONCLUSIONS)  # validation size or none, 2 spreads, one film or 2 x 2 iccs


def test_covariances_are_those_of_delong() -> None:
    from diagnostic_accuracy.delong import auc_covariance

    rng = np.random.default_rng(4)
    score, label = rng.normal(size=(2, 60)).round(1), np.arange(60) < 25  # with ties
    placed = np.empty((2, 60))
    auc = np.array([placements(score[a], 25, placed[a]) for a in range(2)])
    reference = auc_covariance(label, {"a": score[0], "b": score[1]})
    assert auc == pytest.approx(reference.auc)
    assert covariance(placed, auc, 25) == pytest.approx(reference.covariance)
