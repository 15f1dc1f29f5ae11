"""One number with its interval: what every function of this package hands back."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True)
class Estimate:
    """A number, its interval, how it was made, and from how many units.

    Attributes
    ----------
    estimate, lower, upper : float or None
        Finite; None where the quantity is not defined for these data (then `not_estimable` says why), or where a
        point estimate exists but its interval does not.
    method : str
        Estimator and interval in words, as a methods section would print it.
    n : int
        Units that the number rests on (films, patients or discordant pairs; `method` says which where it matters).
    p : float or None
        Two-sided p value in (0, 1], unless `method` says otherwise.
    df : float or None
        Degrees of freedom of a t or F reference distribution; None for a normal one.
    not_estimable : str or None
        Reason why something is missing, as a sentence for the reader.

    Raises
    ------
    ValueError
        If a value is not finite: a result that is not defined must be None with a reason, never NaN.
    """

    estimate: float | None
    lower: float | None
    upper: float | None
    method: str
    n: int
    p: float | None = None
    df: float | None = None
    not_estimable: str | None = None

    def __post_init__(self) -> None:
        for name in ("estimate", "lower", "upper", "p", "df"):
            value = getattr(self, name)
            if value is None:
                continue
            if not math.isfinite(value):
                raise ValueError(
                    f"{name} is {value!r} ({self.method}): an Estimate holds finite numbers; "
                    "use None and say why in not_estimable"
                )
            object.__setattr__(self, name, float(value))
        object.__setattr__(self, "n", int(self.n))
        if self.estimate is None and not self.not_estimable:
            raise ValueError(f"estimate is None ({self.method}) without a reason in not_estimable")

    @classmethod
    def missing(cls, reason: str, method: str, n: int) -> Estimate:
        """A number that these data do not define, with the reason."""
        return cls(None, None, None, method, n, not_estimable=reason)

    @property
    def interval(self) -> tuple[float | None, float | None]:
        """Lower and upper limit."""
        return self.lower, self.upper

    def map(self, transform: Callable[[float], float]) -> Estimate:
        """The same number on another, increasing scale (limits are mapped as they are)."""

        def mapped(value: float | None) -> float | None:
            return None if value is None else transform(value)

        return replace(self, estimate=mapped(self.estimate), lower=mapped(self.lower), upper=mapped(self.upper))

    def to_dict(self) -> dict[str, Any]:
        """The `Number` of statistics.json: p, df and not_estimable appear only where they exist."""
        number: dict[str, Any] = {
            "estimate": self.estimate,
            "lower": self.lower,
            "upper": self.upper,
            "method": self.method,
            "n": self.n,
        }
        optional = {"p": self.p, "df": self.df, "not_estimable": self.not_estimable}
        return number | {name: value for name, value in optional.items() if value is not None}
