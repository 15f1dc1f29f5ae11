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
    assert plan_one_auc(power=0.9, **sizes).effect == pytest.approx(0.8)
    assert plan_one_auc(auc=0.8, power=0.9, alpha=None, **sizes).alpha == pytest.approx(0.05)


def test_paired_plan_and_its_power_agree():
    pilot = PairedVariance(0.03, 0.05, 0.06, 0.03, 1.8)
    plan = plan_paired_auc(pilot, power=0.8)
    assert plan_paired_auc(pilot, positives=plan.positives).power == pytest.approx(0.8)
    assert plan_paired_auc(pilot, difference=0.015, power=0.8).positives == pytest.approx(4 * plan.positives)


def test_mcnemar_plan_is_met_by_simulation():
    plan = plan_mcnemar(0.10, 0.04, power=0.8)
    rng = np.random.default_rng(0)
    pairs = int(np.ceil(plan.positives))
    b, c, _ = rng.multinomial(pairs, [0.10, 0.04, 0.86], size=20_000).T
    power = np.mean((b - c) ** 2 / np.maximum(b + c, 1) > stats.chi2.ppf(0.95, 1))
    assert power == pytest.approx(0.8, abs=0.02)
    assert plan_mcnemar(0.10, 0.04, pairs=plan.positives).power == pytest.approx(0.8)


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
    with pytest.raises(ValueError, match="either pairs"):
        plan_mcnemar(0.1, 0.05)
    with pytest.raises(ValueError, match="arms that differ"):
        plan_paired_auc(PairedVariance(0.1, 0.0, 0.0, 0.0, 1.0), power=0.8)
    with pytest.raises(ValueError, match="no variance"):
        pilot_variance([1, 0, 0], [1, 2, 3], [1, 3, 2])
    with pytest.raises(ValueError, match="inner points"):
        pilot_variance([1, 1, 0, 0], [3, 4, 1, 2], [3, 4, 1, 2], "obuchowski")
