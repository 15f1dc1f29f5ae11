"""Descriptive detail of a single run, and of a pair of runs: outside the headline and the declared family."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from osteotl.statistics.analysis.inputs import Cohort, Run
from osteotl.statistics.calibration import brier_score, unreliability_test
from osteotl.statistics.estimate import Estimate
from osteotl.statistics.paired import PairedCalls
from osteotl.statistics.paired_predictive import relative_likelihood_ratio, relative_predictive_value
from osteotl.statistics.roc import partial_auc, sensitivity_at_specificity, specificity_at_sensitivity
from osteotl.statistics.venkatraman import venkatraman_test

Numbers = dict[str, Any]
LEVEL = 0.9  # where the curve is read, and where its part begins
PERMUTATIONS = 500
MOST_PERMUTED_FILMS = 20_000


def curve_details(films: Cohort, run: Run) -> Numbers:
    """The part of the ROC curve with specificity >= 0.9, and the curve read at 0.9 either way."""
    label, score, size = films.label, films.score[run], films.label.size
    part = partial_auc(label, score, LEVEL, corrected=True)
    method = f"partial AUC, specificity {LEVEL:g} to 1, McClish's correction, point estimate"
    reason = "the part of the curve lies below the diagonal, for which the correction is not defined"
    read = {
        "sensitivity_at_specificity": sensitivity_at_specificity(label, score, LEVEL),
        "specificity_at_sensitivity": specificity_at_sensitivity(label, score, LEVEL),
    }
    how = f"ROC curve read at {LEVEL:g}, point estimate"
    return {
        "partial_auc": (
            Estimate.missing(reason, method, size) if part is None else Estimate(part, None, None, method, size)
        ).to_dict(),
        **{name: Estimate(value, None, None, how, size).to_dict() for name, value in read.items()},
    }


def risk_details(label: NDArray[np.bool_], risk: NDArray[np.float64]) -> Numbers:
    """Murphy's parts of the Brier score, and the test of intercept 0 and slope 1, of recalibrated risks."""
    parts = brier_score(label, risk)
    method = f"Murphy's decomposition over {parts.groups} groups of risk, point estimate"
    block = {
        f"brier_{name}": Estimate(getattr(parts, name), None, None, method, label.size).to_dict()
        for name in ("reliability", "resolution", "uncertainty")
    }
    try:
        test = unreliability_test(label, risk)
        chi, p, reason = test.chi_square, test.p, test.not_estimable
    except ValueError as error:  # the fit does not converge: risks that are all but 0 and 1
        chi, p, reason = None, None, str(error)
    how = "Cox's unreliability test (2 df), films taken as independent, point estimate"
    # below the smallest positive number a p value is still not 0
    p = None if p is None else max(p, np.finfo(float).tiny)
    return block | {"unreliability": Estimate(chi, None, None, how, label.size, p, not_estimable=reason).to_dict()}


def pair_details(pairs: PairedCalls, confidence: float) -> Numbers:
    """Ratios arm / reference of predictive values and of likelihood ratios, from one 2x2 table of pairs a class."""
    made = {
        f"{name}_ratio": relative_predictive_value(pairs, name, confidence).ratio.to_dict() for name in ("ppv", "npv")
    }
    return made | {
        f"{name}_ratio": relative_likelihood_ratio(pairs, name, confidence).ratio.to_dict()
        for name in ("lr_positive", "lr_negative")
    }


def curve_shape(films: Cohort, arm: Run, reference: Run, seed: int) -> Numbers:
    """Venkatraman's test that two runs have one ROC curve, which equal AUCs do not show."""
    if films.label.size > MOST_PERMUTED_FILMS:
        reason = f"more than {MOST_PERMUTED_FILMS:,} films: the permutations would take minutes"
        return Estimate.missing(reason, "Venkatraman and Begg 1996", films.label.size).to_dict()
    found = venkatraman_test(films.label, films.score[arm], films.score[reference], PERMUTATIONS, seed)
    return found.to_dict() | {"method": f"{found.method}, films taken as independent, point estimate"}
