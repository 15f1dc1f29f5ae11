"""The table of results: its columns, joining, reading and selecting; one number with its interval.

Every number of an analysis is one row. The columns of `IDENTITY` say which number it is and are unique together; those
of `VALUES` hold it; those of `TEXT` say how it was made, and why something is missing. docs/results.md explains each
column. Texts that do not apply are empty, numbers that do not apply are missing (an empty field in CSV).
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

IDENTITY = (
    "section", "measure", "arm", "reference", "run", "fraction", "unit", "point", "threshold_from", "at", "prevalence",
    "group", "reference_group", "recalibration", "confidence",
)  # fmt: skip
VALUES = ("estimate", "lower", "upper", "p", "p_adjusted", "df", "n", "events")
TEXT = ("basis", "method", "note")
COLUMNS = (*IDENTITY, *VALUES, *TEXT)
NUMERIC = ("fraction", "at", "prevalence", "confidence", *VALUES)
_TEXTS = [name for name in COLUMNS if name not in NUMERIC]
_KINDS = [(name, np.dtype(float) if name in NUMERIC else pd.array([""], dtype="str").dtype) for name in COLUMNS]


@dataclass(frozen=True)
class Estimate:
    """One number, its interval and its test.

    Attributes
    ----------
    estimate, lower, upper : float or None
        Finite. None where these data do not define the quantity or its interval; `note` then says why.
    method : str
        Estimator and interval in words.
    n : int
        Units that the number rests on (films, patients or discordant pairs).
    p : float or None
        Two-sided p value in (0, 1], unless `method` says otherwise.
    df : float or None
        Degrees of freedom of a t or F reference distribution; None for a normal one.
    note : str
        Why something is missing, as a sentence; empty otherwise.
    events : int or None
        Units with the event that the number rests on, such as malignant films called malignant.
    basis : str
        What varies in the interval, such as 'runs and patients'.

    Raises
    ------
    ValueError
        A value is not finite, or the estimate is None without a note.
    """

    estimate: float | None
    lower: float | None
    upper: float | None
    method: str
    n: int
    p: float | None = None
    df: float | None = None
    note: str = ""
    events: int | None = None
    basis: str = ""

    def __post_init__(self) -> None:
        for name in ("estimate", "lower", "upper", "p", "df"):
            value = getattr(self, name)
            if value is None:
                continue
            if not math.isfinite(value):
                raise ValueError(f"{name} is {value!r} ({self.method}); give a finite number, or None with a note")
            object.__setattr__(self, name, float(value))
        object.__setattr__(self, "n", int(self.n))
        if self.estimate is None and not self.note:
            raise ValueError(f"estimate is None ({self.method}) without a note that says why")

    @classmethod
    def missing(cls, note: str, method: str, n: int) -> Estimate:
        """A number that these data do not define, with the reason."""
        return cls(None, None, None, method, n, note=note)

    def row(self, **identity: Any) -> dict[str, Any]:
        """The number as a row of the table of results.

        Raises
        ------
        ValueError
            A keyword is not a column of `IDENTITY`.
        """
        if unknown := set(identity) - set(IDENTITY):
            raise ValueError(f"{sorted(unknown)} are no identifying columns; those are {', '.join(IDENTITY)}")
        return {**identity, **vars(self)}


def results(rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Rows as a table of results: all columns in order, texts as text, numbers as float.

    Parameters
    ----------
    rows : iterable of mapping of column to value
        Columns that are left out are empty.

    Returns
    -------
    DataFrame
        Columns `COLUMNS`.

    Raises
    ------
    ValueError
        A column that does not exist, or two rows with the same identity.

    Examples
    --------
    >>> table = results([{"section": "discrimination", "measure": "auc", "arm": "a", "estimate": 0.9}])
    >>> print(table.loc[0, "measure"], table.loc[0, "estimate"])
    auc 0.9
    """
    given = list(rows)
    if unknown := {name for row in given for name in row} - set(COLUMNS):
        raise ValueError(f"{sorted(unknown)} are no columns of a table of results; those are {', '.join(COLUMNS)}")
    columns = {name: _column(name, [row.get(name) for row in given]) for name in COLUMNS}
    return _unique(pd.DataFrame(columns))


def _column(name: str, values: Iterable[Any]) -> Any:
    """A column of a table of results: numbers as float, texts as text, empty where one is missing."""
    if name in NUMERIC:
        return np.array([np.nan if value is None else value for value in values], float)
    return pd.array(["" if value is None or value != value else str(value) for value in values], dtype="str")


def _typed(table: pd.DataFrame) -> pd.DataFrame:
    """The table with every column, each of its own kind."""
    if list(table.dtypes.items()) == _KINDS and not table[_TEXTS].isna().any(axis=None):
        return table
    whole = table.reindex(columns=list(COLUMNS))
    return pd.DataFrame({name: _column(name, whole[name]) for name in COLUMNS})


def _unique(table: pd.DataFrame) -> pd.DataFrame:
    """The table itself, where no two rows have the same identity."""
    identities = zip(*(table[name].tolist() for name in IDENTITY), strict=True)  # ten times faster than `duplicated`
    if len({tuple(None if value != value else value for value in row) for row in identities}) == len(table):
        return table
    repeated = table.duplicated(list(IDENTITY))
    first = {name: value for name, value in table[repeated].iloc[0][list(IDENTITY)].items() if value != ""}
    shown = ", ".join(f"{name}={value}" for name, value in first.items() if value == value)
    raise ValueError(f"{int(repeated.sum())} rows repeat the identity of another row, the first is {shown}")


def join(*tables: pd.DataFrame) -> pd.DataFrame:
    """Tables of results below each other, checked.

    Raises
    ------
    ValueError
        Two rows have the same identity.
    """
    parts = [_typed(table) for table in tables if len(table)]
    return _unique(pd.concat(parts, ignore_index=True)) if parts else results([])


def to_csv(table: pd.DataFrame) -> str:
    """A table of results as CSV text; numbers keep every digit."""
    buffer = io.StringIO()
    join(table).to_csv(buffer, index=False, lineterminator="\n")
    return buffer.getvalue()


def read_results(path: str | Path) -> pd.DataFrame:
    """Read a table of results that `to_csv` made.

    Raises
    ------
    ValueError
        The file lacks a column, or two rows have the same identity.
    """
    table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8")
    if lacking := [name for name in COLUMNS if name not in table]:
        raise ValueError(f"{Path(path).name} is no table of results: it lacks the columns {', '.join(lacking)}")
    for name in NUMERIC:
        table[name] = pd.to_numeric(table[name].replace("", None))
    return join(table)


def select(table: pd.DataFrame, **identity: Any) -> pd.DataFrame:
    """Rows with the given values of identifying columns.

    Parameters
    ----------
    table : DataFrame
        A table of results.
    **identity
        A value, a list of values, or None for 'does not apply' (empty or missing).

    Raises
    ------
    ValueError
        A keyword is not an identifying column.
    """
    chosen = pd.Series(True, index=table.index)
    for name, wanted in identity.items():
        if name not in IDENTITY:
            raise ValueError(f"{name!r} is no identifying column; those are {', '.join(IDENTITY)}")
        column = table[name]
        if wanted is None:
            chosen &= column.isna() if name in NUMERIC else column == ""
        elif isinstance(wanted, list | tuple | set):
            chosen &= column.isin(list(wanted))
        elif name in NUMERIC:
            chosen &= (column - float(wanted)).abs() <= 1e-12
        else:
            chosen &= column == str(wanted)
    return table[chosen]


def one(table: pd.DataFrame, **identity: Any) -> pd.Series:
    """The one row with the given identity; columns that are not given must not tell rows apart.

    Raises
    ------
    ValueError
        No row, or several.
    """
    found = select(table, **identity)
    if len(found) != 1:
        raise ValueError(f"{len(found)} rows have {identity}; give columns that identify one")
    return found.iloc[0]


def estimates_of(table: pd.DataFrame, by: str) -> dict[str, Estimate]:
    """Rows of a table of results as numbers, by the value of one column."""
    found = {}
    for row in table.to_dict("records"):
        values = {one.name: None if pd.isna(row[one.name]) else row[one.name] for one in fields(Estimate)}
        found[str(row[by])] = Estimate(**values | {"n": values["n"] or 0})
    return found
