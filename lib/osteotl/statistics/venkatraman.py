"""Venkatraman's permutation test: do two ROC curves have the same shape, not only the same area?

References
----------
Venkatraman ES, Begg CB, Biometrika 1996;83:835 (paired films).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from osteotl.statistics.checks import IDENTICAL_ARMS, Estimate, check_labels, check_scores


def _distance(sign: NDArray[np.int64], one: NDArray[np.float64], other: NDArray[np.float64]) -> int:
    """Sum over all ranks of the absolute difference in misclassified films between two orderings (E of the paper).

    Walking up one rank turns a malignant film into a miss (+1) or frees a false alarm (-1), so the numbers of errors
    are running sums of signs. Ties are taken in film order, as pROC takes them.
    """
    steps = sign[np.argsort(one, kind="stable")] - sign[np.argsort(other, kind="stable")]
    return int(np.abs(np.cumsum(steps)).sum())


def venkatraman_test(
    labels: ArrayLike, arm: ArrayLike, reference: ArrayLike, permutations: int = 2000, seed: int = 0
) -> Estimate:
    """Permutation test of equal ROC curves for two arms on the same films.

    Parameters
    ----------
    labels : array of shape (n,), 1 malignant, 0 normal
    arm, reference : array of shape (n,)
        Scores on the same films in the same order.
    permutations : int, at least 1
    seed : int
        Of the random swaps; the same seed gives the same p.

    Returns
    -------
    Estimate
        `estimate` is Venkatraman's E (0 = the orderings err alike at every rank), `p` = (1 + #) / (permutations + 1).

    Raises
    ------
    ValueError
        Faulty labels or scores, or fewer than one permutation.

    Notes
    -----
    Under the null hypothesis the two ranks of a film are exchangeable: each permutation swaps them for a random half of
    the films, with ties broken at random. Matches `pROC::roc.test(method = "venkatraman", paired = TRUE)`, whose p
    lacks the two ones.
    """
    positive = check_labels(labels)
    if permutations < 1:
        raise ValueError(f"permutations is {permutations}; give at least 1 (2000 is usual)")
    ranks = [_ranks(check_scores(s, positive.size, n)) for s, n in ((arm, "arm"), (reference, "reference"))]
    sign = np.where(positive, 1, -1)
    observed = _distance(sign, *ranks)
    method = f"Venkatraman and Begg 1996, {permutations} permutations"
    if np.array_equal(ranks[0], ranks[1]):
        return Estimate(0, None, None, method, positive.size, 1.0, not_estimable=IDENTICAL_ARMS)
    rng = np.random.default_rng(seed)
    reached = 0
    for _ in range(permutations):
        one, other = (rank + rng.uniform(-0.5, 0.5, positive.size) for rank in ranks)
        swap = rng.random(positive.size) < 0.5
        permuted = _distance(sign, np.where(swap, other, one), np.where(swap, one, other))
        reached += permuted >= observed
    return Estimate(observed, None, None, method, positive.size, (1 + reached) / (permutations + 1))


def _ranks(score: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ranks 1..n, ties in film order."""
    ranks = np.empty(score.size)
    ranks[np.argsort(score, kind="stable")] = np.arange(1, score.size + 1)
    return ranks
