"""How wide the intervals of the next study will be, and how many external films a wanted width needs.

The variance of a measure of one arm has three parts, of external films, validation films and training runs:

    V = D (a / n + b / m) + s^2 / J

with n external and m validation films, J runs, a and b the variances that one film brings, D = 1 + (k - 1) icc the
design effect of k films a patient, and s the standard deviation between runs. `a` is Riley's (below), for films that
come as they come; `b` is the same for what is learnt on the validation films, and 0 where that moves the measure to
second order only (AUC, net benefit). Scores are binormal, risks calibrated. For the ratio of observed to expected Riley
takes the expected number as known; it moves with the observed one, so that width is a bound.

References
----------
Riley RD, Debray TPA, Collins GS, et al., Stat Med 2021;40:4230 (equations for all measures); Riley RD, Snell KIE,
Archer L, et al., BMJ 2024;384:e074821; Newcombe RG, Stat Med 2006;25:559 (AUC); Kish L, Survey Sampling, 1965 (D).
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from diagnostic_accuracy.checks import check_share
from diagnostic_accuracy.estimates import select
from diagnostic_accuracy.pilots import shift_of

Vector = NDArray[np.float64]

#: Width of the 95 % interval that each measure should have, as in pmvalsampsize; sensitivity as the AUC.
WIDTHS = {"auc": 0.1, "sensitivity": 0.1, "calibration_slope": 0.2, "oe": 0.2, "net_benefit": 0.2}
PARTS = ("external films", "validation films", "training runs")
MOST_FILMS = 1_000_000


# --- what one film brings ---------------------------------------------------------------------------------------------


def auc_variance(auc: float, films: float, malignant_share: float) -> float:
    """Variance of an AUC of so many films (Newcombe 2006, method 4; Riley 2021, equation 7).

    Parameters
    ----------
    auc : float in (0, 1)
    films : float above 2
    malignant_share : float in (0, 1)

    Notes
    -----
    Matches `pmvalsampsize` (criterion 3).

    Examples
    --------
    >>> round(2 * 1.96 * auc_variance(0.8, 4252, 0.018) ** 0.5, 4)
    0.1
    """
    share, half = check_share(malignant_share, "malignant_share"), films / 2 - 1
    inner = 1 + half * (1 - auc) / (2 - auc) + half * auc / (1 + auc)
    return auc * (1 - auc) * inner / (films**2 * share * (1 - share))


def slope_variance(linear_predictor: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Variance of the calibration slope, times the number of films, where the risks are right (Riley 2021, eq. 5).

    Parameters
    ----------
    linear_predictor : array of shape (k,)
        Logits of the risks of a population.
    weights : array of shape (k,), optional
        Default: alike.

    Notes
    -----
    Matches `pmvalsampsize` (criterion 2) up to its simulation.

    Examples
    --------
    >>> round(slope_variance([-1.0, 1.0]), 2)  # by hand: 1 / (e / (1 + e)^2)
    5.09
    """
    lp = np.asarray(linear_predictor, float)
    weight = np.full(lp.size, 1 / lp.size) if weights is None else np.asarray(weights, float) / np.sum(weights)
    spread = weight / (2 + np.exp(lp) + np.exp(-lp))  # p (1 - p), without overflow
    i00, i01, i11 = (float((spread * lp**power).sum()) for power in (0, 1, 2))
    return i00 / (i00 * i11 - i01**2)


def net_benefit_variance(sensitivity: float, specificity: float, malignant_share: float, threshold: float) -> float:
    """Variance of the standardised net benefit, times the number of films (Riley 2021, equation 9).

    Parameters
    ----------
    sensitivity, specificity : float in [0, 1]
        At the threshold probability.
    malignant_share, threshold : float in (0, 1)

    Notes
    -----
    Matches `pmvalsampsize` (criterion 4). Net benefit divided by the share of malignant films is at most 1.

    Examples
    --------
    >>> round(net_benefit_variance(0.8, 0.6, 0.4, 0.4), 2)
    1.47
    """
    share = check_share(malignant_share, "malignant_share")
    odds = (1 - share) / share * check_share(threshold, "threshold") / (1 - threshold)
    missed = sensitivity * (1 - sensitivity) / share
    alarms = specificity * (1 - specificity) / (1 - share) + (1 - specificity) ** 2 / (share * (1 - share))
    return missed + odds**2 * alarms


# --- widths -----------------------------------------------------------------------------------------------------------


def expected_precision(
    auc: float, malignant_share: float, films: int, validation: int | None = None, runs: int = 1, *,
    sensitivity: float = 0.9, threshold: float = 0.1, run_sd: Mapping[str, float] | None = None,
    design_effect: float = 1.0, confidence: float = 0.95,
) -> pd.DataFrame:  # fmt: skip
    """Expected intervals of one arm's measures in an external validation.

    Parameters
    ----------
    auc : float in (0.5, 1)
    malignant_share : float in (0, 1)
    films : int
        External films.
    validation : int, optional
        Validation films; default: so many that thresholds and recalibration do not vary.
    runs : int
        With one run the interval holds for that run: nothing is added for others.
    sensitivity : float in (0, 1)
        Target of the threshold that is locked on the validation films.
    threshold : float in (0, 1)
        Threshold probability of the net benefit.
    run_sd : mapping, optional
        Standard deviation between runs by measure ('log_oe' for the ratio); 0 where it is not named.
    design_effect : float, at least 1
    confidence : float in (0, 1)

    Returns
    -------
    DataFrame
        One row a measure (auc, sensitivity, calibration_slope, oe, net_benefit: standardised): value, lower, upper,
        width (before limits are cut to [0, 1]), and the shares of the variance of external films, validation films and
        training runs.

    Raises
    ------
    ValueError
        A share or AUC out of range, or fewer than three films or one run.

    Examples
    --------
    >>> expected_precision(0.8, 0.018, 4252).set_index("measure")["width"].round(3)["auc"]
    np.float64(0.1)
    """
    if not 0.5 < auc < 1 or films < 3 or runs < 1 or design_effect < 1:
        raise ValueError(
            "needs an AUC between 0.5 and 1, and at least 3 films, 1 run and a design effect of 1, "
            f"got {auc}, {films}, {runs} and {design_effect}"
        )
    check_share(sensitivity, "sensitivity")
    rows, spreads = [], dict(run_sd or {}) if runs > 1 else {}
    for measure, (value, own, learnt) in _variances(auc, malignant_share, sensitivity, threshold, films).items():
        spread = spreads.get("log_oe" if measure == "oe" else measure, 0.0)
        parts = np.array([design_effect * own, design_effect * learnt / (validation or math.inf), spread**2 / runs])
        total = float(parts.sum())
        df = total**2 / (parts[2] ** 2 / (runs - 1)) if parts[2] else math.inf
        reach = float(stats.t.ppf(0.5 + confidence / 2, df)) * math.sqrt(total)
        low, high = value - reach, value + reach
        if measure == "oe":
            low, high = value * math.exp(-reach), value * math.exp(reach)
        ends = (max(low, 0.0), min(high, 1.0)) if measure in ("auc", "sensitivity") else (low, high)
        found = {"measure": measure, "value": value, "lower": ends[0], "upper": ends[1], "width": high - low}
        rows.append(found | dict(zip(PARTS, parts / total, strict=True)))
    return pd.DataFrame(rows)


def _variances(
    auc: float, share: float, sensitivity: float, threshold: float, films: int
) -> dict[str, tuple[float, float, float]]:
    """By measure: its value, the variance that the external films bring, and the one that a validation film brings."""
    slope = slope_variance(*binormal_risks(auc, share))
    rate, ratio = sensitivity * (1 - sensitivity) / share, (1 - share) / share
    called = rates_at(auc, share, threshold)
    benefit = called[0] - ratio * threshold / (1 - threshold) * (1 - called[1])
    return {
        "auc": (auc, auc_variance(auc, films, share), 0.0),
        "sensitivity": (sensitivity, rate / films, rate),
        "calibration_slope": (1.0, slope / films, slope),
        "oe": (1.0, ratio / films, ratio),  # on the logarithm: Riley 2021, equation 3
        "net_benefit": (benefit, net_benefit_variance(*called, share, threshold) / films, 0.0),
    }


def binormal_risks(auc: float, malignant_share: float) -> tuple[Vector, Vector]:
    """Logits of the right risks of binormal scores, and their weights in the population.

    Notes
    -----
    Normal films score N(0, 1), malignant ones N(d, 1); by Bayes the logit of the risk is logit(share) + d x - d^2 / 2.
    Points and weights are those of Gauss-Hermite quadrature.

    Examples
    --------
    >>> lp, weight = binormal_risks(0.9, 0.3)
    >>> round(float((weight / (1 + np.exp(-lp))).sum()), 6)  # the mean risk is the share of malignant films
    0.3
    """
    nodes, weights = np.polynomial.hermite_e.hermegauss(80)
    weights, shift = weights / weights.sum(), shift_of(auc)
    score = np.concatenate([nodes, nodes + shift])
    logit = math.log(malignant_share / (1 - malignant_share)) + shift * score - shift**2 / 2
    return logit, np.concatenate([(1 - malignant_share) * weights, malignant_share * weights])


def rates_at(auc: float, malignant_share: float, threshold: float) -> tuple[float, float]:
    """Sensitivity and specificity of binormal scores at a threshold probability.

    Examples
    --------
    >>> [round(rate, 3) for rate in rates_at(0.9, 0.5, 0.5)]  # the cut lies half way between the classes
    [0.818, 0.818]
    """
    shift = shift_of(auc)
    logit = math.log(threshold / (1 - threshold)) - math.log(malignant_share / (1 - malignant_share))
    cut = logit / shift + shift / 2
    return float(stats.norm.sf(cut - shift)), float(stats.norm.cdf(cut))


def films_needed(
    auc: float, malignant_share: float, widths: Mapping[str, float] | None = None, **setting: Any
) -> pd.DataFrame:
    """Fewest external films with which each interval is as narrow as wanted.

    Parameters
    ----------
    auc, malignant_share : float
    widths : mapping of measure to width, optional
        Default: `WIDTHS`.
    **setting
        As `expected_precision`: validation, runs, sensitivity, threshold, run_sd, design_effect, confidence.

    Returns
    -------
    DataFrame
        measure, width, films (missing where no number of external films is enough), malignant.

    Examples
    --------
    >>> films_needed(0.8, 0.018, {"auc": 0.1})["films"].tolist()
    [4252]
    """
    rows = []
    for measure, width in (widths or WIDTHS).items():

        def wide(films: int, measure: str = measure, width: float = width) -> bool:
            found = expected_precision(auc, malignant_share, films, **setting).set_index("measure")
            return bool(found.loc[measure, "width"] > width)

        # with few runs a width can grow again, so the first of many sizes that is narrow enough is looked for
        sizes = np.unique(np.geomspace(3, MOST_FILMS, 100).astype(int)).tolist()
        narrow = next((k for k, size in enumerate(sizes) if not wide(size)), None)
        films = None
        if narrow is not None:
            between = range(sizes[max(narrow - 1, 0)], sizes[narrow] + 1)
            films = between[bisect_left(between, True, key=lambda size: not wide(size))]
        ill = None if films is None else math.ceil(films * malignant_share)
        rows.append({"measure": measure, "width": width, "films": films, "malignant": ill})
    return pd.DataFrame(rows).astype({"films": "Int64", "malignant": "Int64"})


# --- from the shares of a finished study ------------------------------------------------------------------------------


def run_spreads(table: pd.DataFrame, arm: str) -> dict[str, float]:
    """Standard deviations between the runs of an arm in a finished study, for `expected_precision`.

    Parameters
    ----------
    table : DataFrame
        The table of results.
    arm : str

    Returns
    -------
    dict
        By measure; sensitivity is that at the first point, net benefit standardised.
    """
    rows = select(table, section="variance", measure="run_sd", arm=arm)
    rows = rows[rows["estimate"].notna()].drop_duplicates("group")
    found = {str(name): float(value) for name, value in zip(rows["group"], rows["estimate"], strict=True)}
    if "net_benefit" in found:
        found["net_benefit"] /= _count(table, "external", "malignant_films") / _count(table, "external", "films")
    return found


def _count(table: pd.DataFrame, cohort: str, measure: str) -> float:
    rows = select(table, section="cohort", measure=measure, group=cohort)
    return float(rows["estimate"].iloc[0]) if len(rows) else math.nan


def rescaled_differences(
    table: pd.DataFrame, films: int, validation: int | None = None, runs: int | None = None, confidence: float = 0.95
) -> pd.DataFrame:
    """Intervals of a finished study's differences as they would be with other numbers of films and runs.

    Parameters
    ----------
    table : DataFrame
        The table of results of a study with shares of the variance (section 'variance').
    films : int
        External films.
    validation, runs : int, optional
        Validation films and runs of each arm; default: as many as the study has.
    confidence : float in (0, 1)

    Returns
    -------
    DataFrame
        arm, reference, measure, point, difference, width_now, width, and the shares of the new variance. Empty where
        the study has one run an arm, or no shares.

    Notes
    -----
    V = SE^2 (s_r J0 / J + s_e n0 / n + s_v m0 / m) with the study's SE, shares s and numbers. Its degrees of freedom
    are those of Satterthwaite, V^2 / (V_r^2 / nu), with nu from the study's own interval times (J - 1) / (J0 - 1).
    """
    columns = ["arm", "reference", "measure", "point", "difference", "width_now", "width", *PARTS]
    shares, rows = select(table, section="variance", measure="share"), []
    if shares.empty:
        return pd.DataFrame(columns=columns)
    shares = shares.assign(of=shares["group"].str.partition(": ")[0], source=shares["group"].str.partition(": ")[2])
    for (arm, reference, measure, point, source), part in shares.groupby(
        ["arm", "reference", "of", "point", "threshold_from"], sort=False
    ):
        identity = {"measure": measure, "arm": arm, "reference": reference, "point": point, "threshold_from": source}
        found = select(table, section=["discrimination", "operating_points"], unit="film", run=None, **identity)
        has = len(select(table, section="as_published", measure="auc", arm=arm, reference=None))
        known = part["estimate"].tolist()  # runs, external, validation: the order of `variance.shares`
        if has < 2 or (runs or has) < 2 or not np.isfinite([*known, *found["lower"]]).all():
            continue
        sizes = (has / (runs or has), _count(table, "external", "films") / films,
                 1.0 if validation is None else _count(table, "validation", "films") / validation)  # fmt: skip
        width, parts = _rescaled(found.iloc[0], known, sizes, ((runs or has) - 1) / (has - 1), confidence)
        rows.append({"arm": arm, "reference": reference, "measure": measure, "point": point,
                     "difference": float(found["estimate"].iloc[0]),
                     "width_now": float((found["upper"] - found["lower"]).iloc[0]), "width": width,
                     **dict(zip((PARTS[2], *PARTS[:2]), parts, strict=True))})  # fmt: skip
    return pd.DataFrame(rows, columns=columns)


def _rescaled(
    row: pd.Series, shares: list[float], factors: tuple[float, float, float], more: float, confidence: float
) -> tuple[float, Vector]:
    """New width of an interval, and the new shares; `more`: by how much the runs' degrees of freedom grow."""
    df = float(row["df"]) if pd.notna(row["df"]) else math.inf
    error = float(row["upper"] - row["lower"]) / 2 / float(stats.t.ppf(0.5 + row["confidence"] / 2, df))
    parts = error**2 * np.array(shares) * factors
    new = float(parts.sum())
    if shares[0] and df < math.inf:
        df = (new / parts[0]) ** 2 * df * shares[0] ** 2 * more
    return 2 * float(stats.t.ppf(0.5 + confidence / 2, df)) * math.sqrt(new), parts / new
