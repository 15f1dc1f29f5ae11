"""Input validation of every statistic.

Bad input (a NaN, a third label, arms of unequal length) raises `ValueError` with the offending value, its place, the
rule and a way out. Input that is sound but degenerate (constant scores, identical arms, one positive) is not an error:
functions then return an `Estimate` whose `note` gives one of the reasons below.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from diagnostic_accuracy.estimates import Estimate as Estimate  # statistics take it from here with their checks

# Reasons for `Estimate.note`, worded once.
CONSTANT_SCORES = "all scores are equal: they cannot rank films"
IDENTICAL_ARMS = "the two arms rank every film alike: the difference is 0 without sampling variation"
NO_VARIANCE = "the estimated variance is 0 (as with perfect separation): no interval can be derived from it"
SINGLE_POSITIVE = "only one malignant film: the variance between malignant films cannot be estimated"
SINGLE_NEGATIVE = "only one normal film: the variance between normal films cannot be estimated"
NO_DISCORDANT = "no discordant pair: the two arms call every film alike"


def _vector(values: ArrayLike, name: str, n: int | None) -> NDArray[Any]:
    array = np.asarray(values)
    if array.ndim != 1:
        raise ValueError(f"{name} has {array.ndim} dimensions, shape {array.shape}; give one value per film (1-D)")
    if array.size == 0:
        raise ValueError(f"{name} is empty; give at least one film")
    if n is not None and array.size != n:
        raise ValueError(f"{name} has {array.size} values, the labels have {n}; give one value per film, same order")
    return array


def check_labels(labels: ArrayLike, name: str = "labels", both_classes: bool = True) -> NDArray[np.bool_]:
    """Labels as booleans (True = malignant).

    Parameters
    ----------
    labels : array of shape (n,), values 0 and 1 only
    both_classes : bool
        Ask for at least one of each class.

    Raises
    ------
    ValueError
        Empty, not one-dimensional, a value other than 0 or 1, or only one class.
    """
    numbers = check_scores(labels, None, name)
    bad = np.flatnonzero((numbers != 0) & (numbers != 1))
    if bad.size:
        raise ValueError(
            f"{name}[{bad[0]}] is {np.asarray(labels)[bad[0]]}; labels are 1 (malignant) or 0 (not): recode them"
        )
    positive = numbers == 1
    if both_classes and (positive.all() or not positive.any()):
        raise ValueError(
            f"{name} holds one class only ({int(positive.sum())} malignant of {positive.size}); "
            "both classes are needed to measure discrimination"
        )
    return positive


def check_scores(scores: ArrayLike, n: int | None = None, name: str = "scores") -> NDArray[np.float64]:
    """Scores as float64, all finite, `n` of them.

    Raises
    ------
    ValueError
        Empty, not one-dimensional, NaN or infinite, not numeric, or not `n` values.
    """
    array = _vector(scores, name, n)
    try:
        numbers = array.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} holds values that are not numbers ({error}); give one number per film") from error
    bad = np.flatnonzero(~np.isfinite(numbers))
    if bad.size:
        raise ValueError(
            f"{name}[{bad[0]}] is {numbers[bad[0]]} ({bad.size} of {numbers.size} values are not finite); "
            "find out why these films have no score and leave them out openly"
        )
    return numbers


def check_probabilities(probabilities: ArrayLike, n: int | None = None, name: str = "risk") -> NDArray[np.float64]:
    """Like `check_scores`, and within [0, 1].

    Raises
    ------
    ValueError
        As `check_scores`, or a value outside [0, 1].
    """
    numbers = check_scores(probabilities, n, name)
    bad = np.flatnonzero((numbers < 0) | (numbers > 1))
    if bad.size:
        raise ValueError(
            f"{name}[{bad[0]}] is {numbers[bad[0]]:g} ({bad.size} values lie outside [0, 1]); "
            "this statistic needs probabilities: recalibrate the scores on the validation set first"
        )
    return numbers


def check_weights(weights: ArrayLike, n: int | None = None, name: str = "weights") -> NDArray[np.float64]:
    """Case weights: finite, at least 0, not all 0.

    Raises
    ------
    ValueError
        As `check_scores`, a negative weight, or a sum of 0.
    """
    numbers = check_scores(weights, n, name)
    bad = np.flatnonzero(numbers < 0)
    if bad.size:
        raise ValueError(f"{name}[{bad[0]}] is {numbers[bad[0]]:g}; weights count films and cannot be negative")
    if not numbers.any():
        raise ValueError(f"{name} are all 0; at least one film must count")
    return numbers


def check_patients(patients: ArrayLike | None, n: int) -> NDArray[np.int64]:
    """Patient of each film as codes 0, 1, ... in order of appearance (identifiers may repeat, none may be missing).

    None: every film is a patient of its own.

    Raises
    ------
    ValueError
        Empty, not one-dimensional, a missing identifier, or not `n` values.
    """
    if patients is None:
        return np.arange(n)
    codes, _ = pd.factorize(_vector(patients, "patients", n))
    bad = np.flatnonzero(codes < 0)
    if bad.size:
        raise ValueError(f"patients[{bad[0]}] is missing ({bad.size} films); every film needs the patient it shows")
    return codes.astype(np.int64)


def check_share(value: float, name: str, ends: bool = False) -> float:
    """A number between 0 and 1 (exclusive unless `ends`).

    Raises
    ------
    ValueError
        Outside the range, or not a number.
    """
    inside = 0 <= value <= 1 if ends else 0 < value < 1
    if not inside:
        raise ValueError(f"{name} is {value!r}; it must lie {'in [0, 1]' if ends else 'strictly between 0 and 1'}")
    return float(value)


def check_confidence(confidence: float) -> float:
    """A confidence level such as 0.95.

    Raises
    ------
    ValueError
        Not strictly between 0 and 1.
    """
    return check_share(confidence, "confidence")


def check_one_of(value: str, allowed: Sequence[str], name: str) -> str:
    """One word of a short list.

    Raises
    ------
    ValueError
        The word is not on the list.
    """
    if value not in allowed:
        raise ValueError(f"{name} is {value!r}; it must be one of {', '.join(allowed)}")
    return value
