"""Tables of decision curves: net benefit of every arm, its difference from the reference, and at other prevalences."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from osteotl.statistics._benefit import ActedOn, benefit_difference, benefit_limits
from osteotl.statistics.analysis.prepare import Prepared
from osteotl.statistics.decision_curve import decision_curve, threshold_grid
from osteotl.statistics.mover import Limits


def benefit_tables(prepared: Prepared) -> dict[str, pd.DataFrame]:
    """decision_curve, net_benefit_difference and net_benefit_prevalence; empty where nothing was recalibrated."""
    if prepared.risk is None:
        return {}
    found = {arm: _mean_limits(prepared, arm) for arm in prepared.arms}
    return {
        "decision_curve": _curves(prepared, found),
        "net_benefit_difference": _differences(prepared, found),
        "net_benefit_prevalence": _elsewhere(prepared),
    }


def _mean_limits(prepared: Prepared, arm: str) -> Limits:
    """Mean over seeds with limits over patients, these runs taken as given."""
    boots = prepared.bootstrap.values()
    observed = ActedOn.mean([boot.observed.acted_on[arm] for boot in boots])
    drawn = ActedOn.mean([boot.draws.acted_on[arm] for boot in boots])
    return benefit_limits(observed, drawn, prepared.settings.confidence)


def _mean_draws(prepared: Prepared, arm: str) -> NDArray[np.float64]:
    names = [n for n in next(iter(prepared.bootstrap.values())).draws.names if n.startswith("net_benefit/")]
    return np.array([prepared.mean_draws(arm, name)[1] for name in names])


def _curves(prepared: Prepared, found: dict[str, Limits]) -> pd.DataFrame:
    """arm (treat all and treat none among them), threshold, net_benefit and its relatives: mean over seeds."""
    grid = threshold_grid(*prepared.settings.decision_range)
    any_risk = next(iter(prepared.risk.values()))  # type: ignore[union-attr]
    rule = decision_curve(prepared.external.label, any_risk, grid)
    parts = [
        pd.DataFrame({"arm": arm, "threshold": grid, "net_benefit": at.estimate, "lower": at.lower, "upper": at.upper})
        for arm, at in found.items()
    ]
    for name, benefit in (("treat all", rule.treat_all), ("treat none", np.zeros(grid.size))):
        parts.append(pd.DataFrame({"arm": name, "threshold": grid, "net_benefit": benefit}))
    columns = ["arm", "threshold", "net_benefit", "lower", "upper"]
    table = pd.concat(parts)[columns].sort_values(["arm", "threshold"], kind="stable", ignore_index=True)
    gain = table["net_benefit"] - table["threshold"].map(dict(zip(grid, rule.treat_all, strict=True)))
    table["standardised"] = table["net_benefit"] / rule.prevalence
    table["interventions_avoided"] = gain * (1 - table["threshold"]) / table["threshold"]  # a film, against treat all
    return table


def _differences(prepared: Prepared, found: dict[str, Limits]) -> pd.DataFrame:
    """Difference in net benefit at every threshold probability, mean over seeds; no p values."""
    reference = prepared.settings.reference
    grid, drawn = threshold_grid(*prepared.settings.decision_range), _mean_draws(prepared, reference)
    parts = []
    for arm in prepared.others:
        gap = benefit_difference(found[arm], found[reference], _mean_draws(prepared, arm), drawn)
        ends = {"difference": gap.estimate, "lower": gap.lower, "upper": gap.upper}
        parts.append(pd.DataFrame({"threshold": grid, **ends}).assign(arm=arm))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def _elsewhere(prepared: Prepared) -> pd.DataFrame:
    """arm, prevalence, threshold, net_benefit, treat_all: mean over seeds, risks moved to the other prevalence.

    The logit of each risk moves by logit(new) - logit(validation) before the cut; point estimates.
    """
    columns = ["arm", "prevalence", "threshold", "net_benefit", "treat_all"]
    if prepared.risk is None or prepared.validation is None:
        return pd.DataFrame(columns=columns)
    learnt, grid = float(prepared.validation.label.mean()), threshold_grid(*prepared.settings.decision_range)
    parts = []
    for arm in prepared.arms:
        for prevalence in prepared.settings.prevalences:
            curves = [
                decision_curve(prepared.external.label, prepared.risk[arm, seed], grid, prevalence, learnt)
                for seed in prepared.seeds
            ]
            benefit = np.mean([curve.net_benefit for curve in curves], axis=0)
            part = {"threshold": grid, "net_benefit": benefit, "treat_all": curves[0].treat_all}
            parts.append(pd.DataFrame(part).assign(arm=arm, prevalence=prevalence)[columns])
    return pd.concat(parts, ignore_index=True)
