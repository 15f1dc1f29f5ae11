"""Power and sample size; pROC's numbers come in through tests/test_oracles.py."""

import numpy as np
import pytest
from scipy import stats

from diagnostic_accuracy.planning import PairedVariance, pilot_variance, plan_mcnemar, plan_one_auc, plan_paired_auc


def test_the_four_questions_about_one_auc_agree():
    plan = plan_one_auc(auc=0.8, power=0.9, ratio=2.0)
    assert plan.negatives == pytest.approx(2 * plan.positives)
    sizes = {"positives": plan.positives, "negatives": plan.negatives}
    assert plan_one_auc(auc=0.8, **sizes).power == pytest.approx(0.9)
    assert plan_one_auc(power=0.9, **sizes).auc == pytest.approx(0.8)
    assert plan_one_auc(auc=0.8, power=0.9, alpha=None, **sizes).alpha == pytest.approx(0.05)


def test_paired_plan_by_hand():
    # Obuchowski and McClish, equation 2: (z(.975) sqrt(null) + z(power) sqrt(other)) / difference, squared
    pilot = PairedVariance(0.03, 0.04, 0.05, 1.8)
    films = plan_paired_auc(pilot, power=0.8)
    assert films == pytest.approx(((1.959964 * 0.2 + 0.841621 * 0.05**0.5) / 0.03) ** 2, rel=1e-5)
    assert plan_paired_auc(pilot, difference=0.015, power=0.8) == pytest.approx(4 * films)


def test_mcnemar_plan_is_met_by_simulation():
    pairs = int(np.ceil(plan_mcnemar(0.10, 0.04, power=0.8)))
    b, c, _ = np.random.default_rng(0).multinomial(pairs, [0.10, 0.04, 0.86], size=20_000).T
    power = np.mean((b - c) ** 2 / np.maximum(b + c, 1) > stats.chi2.ppf(0.95, 1))
    assert power == pytest.approx(0.8, abs=0.02)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"auc": 0.8}, "exactly one"),
        ({"auc": 0.5, "power": 0.9}, "auc is 0.5"),
        ({"auc": 0.8, "power": 1.0}, "power is 1.0"),
        ({"auc": 0.8, "positives": -3}, "positives is -3"),
        ({"auc": 0.8, "power": 0.9, "ratio": 0}, "ratio is 0"),
        ({"power": 0.99, "positives": 1e-3, "negatives": 1e-3}, "too few"),
    ],
)
def test_one_auc_refuses(settings, message):
    with pytest.raises(ValueError, match=message):
        plan_one_auc(**settings)


def test_plans_without_an_effect_are_refused():
    with pytest.raises(ValueError, match="effect is 0"):
        plan_mcnemar(0.1, 0.1, power=0.8)
    with pytest.raises(ValueError, match="variance of 0, and of 0 if both"):
        plan_paired_auc(PairedVariance(0.1, 0.0, 0.0, 1.0), power=0.8)
    with pytest.raises(ValueError, match=r"of -0\.02 if both AUCs were the arm's"):
        plan_paired_auc(PairedVariance(0.1, -0.02, 0.03, 1.0), power=0.8)
    with pytest.raises(ValueError, match="no variance"):
        pilot_variance([1, 0, 0], [1, 2, 3], [1, 3, 2])
    with pytest.raises(ValueError, match="inner points"):
        pilot_variance([1, 1, 0, 0], [3, 4, 1, 2], [3, 4, 1, 2], "obuchowski")
