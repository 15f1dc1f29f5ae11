"""One rate."""

import math


def mean(scores):
    """Mean of scores."""
    return math.fsum(scores) / len(scores)
