"""Conditions on tables that people write, such as ``site == 'A' and age >= 40``, parsed and evaluated safely.

A condition may come from a stranger's file. It is parsed into a syntax tree, and only what is listed here is accepted;
nothing is ever handed to `eval`, `DataFrame.query` or `DataFrame.eval`.

==========================  =========================================================================================
names of columns            ``age``; any other name in backticks: `` `age at film` ``
numbers, texts              ``3``, ``-0.5``, ``1e3``, ``'A'``, ``"it's"``, ``True``, ``False``
comparisons                 ``==  !=  <  <=  >  >=``, also chained: ``40 <= age < 60``
lists                       ``site in ['A', 'B']``, ``site not in ['A']``, ``site.isin(['A', 'B'])``
texts that hold a text      ``view.str.contains('ap')``, ``.str.startswith('ap')``, ``.str.endswith('ap')``: plain text,
                            never a regular expression
known or not                ``age.isna()``, ``age.notna()``
joined                      ``and``, ``or``, ``not`` (or ``&``, ``|``, ``~``, which bind as the words do), brackets
==========================  =========================================================================================

Missing values follow the rule of pandas' queries: a missing value equals nothing, is in no list, holds no text and is
neither below nor above anything. So every comparison with it is false, but for ``!=`` and ``not in``, which are true;
``not`` turns false into true. ``not (age < 40)`` therefore keeps rows whose age is missing, and ``age >= 40`` does not.
"""

from __future__ import annotations

import ast
import difflib
import operator
import re
import unicodedata
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

MAX_CHARACTERS = 10_000
MAX_DEPTH = 40

Condition = Callable[[pd.DataFrame], np.ndarray]
Scalar = int | float | str

_COMPARISONS: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_TEXT_METHODS: dict[str, Callable[[str, str], bool]] = {
    "contains": operator.contains,
    "startswith": str.startswith,
    "endswith": str.endswith,
}
_KNOWN = (
    "a condition compares columns with values (== != < <= > >=, in [...]) and joins comparisons by and, or, not; "
    ".isin([...]), .isna(), .notna(), .str.contains('text'), .str.startswith('text'), .str.endswith('text') are known"
)


def evaluate(text: str, table: pd.DataFrame) -> np.ndarray:
    """Parse a condition and answer it for every row of a table.

    Parameters
    ----------
    text : str
        At most 10,000 characters, nested at most 40 deep. The module's documentation lists what may stand in it.
    table : DataFrame
        n rows; a column that the condition uses holds numbers or texts, and may hold missing values.

    Returns
    -------
    ndarray of bool, shape (n,)

    Raises
    ------
    ValueError
        The text is no condition (the message says what is wrong and what is known), or a column does not exist, stands
        twice, or holds another kind of value than it is compared with.

    Examples
    --------
    >>> table = pd.DataFrame({"site": ["A", "B", None], "age": [30.0, 50.0, 70.0]})
    >>> evaluate("site == 'A' or age > 60", table).tolist()
    [True, False, True]
    """
    source, quoted = _prepared(text)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a backslash in a text is the writer's business
            tree = ast.parse(source, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise ValueError(f"{_short(text)} cannot be read as a condition{_hint(text)}; {_KNOWN}") from None
    _shallow(tree, text)
    parser = _Parser(quoted)
    condition = parser.condition(tree)
    for name in parser.names:
        _present(name, table)
    return condition(table)


# --- from text to syntax tree -----------------------------------------------------------------------------------------


def _short(text: str) -> str:
    return repr(text if len(text) <= 200 else text[:200] + " ...")


# a text in quotes, a name in backticks, and what means something outside both only
_PIECE = re.compile(
    r"""(?P<text>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")|`(?P<name>[^`]*)`|(?P<other>[&|~\n\r#'"`])""", re.DOTALL
)
_WORDS = {"&": " and ", "|": " or ", "~": " not ", "\n": " ", "\r": " "}
_STRAY = {
    "#": "# has no meaning outside a text; put a name that holds it in backticks",
    "`": "a backtick is not closed",
    "'": "a text is not closed: a second ' is missing",
    '"': 'a text is not closed: a second " is missing',
}
_REMEDIES = {
    r"&&|\|\|": "write and, or",
    r"\b(AND|OR|NOT|IN)\b": "write and, or, not, in in small letters",
    r"(?<![=!<>])=(?!=)": "write == to compare",
    r"<>|!(?!=)": "write != for unequal, not for the opposite",
    r"@": "names with @ are not known",
}


def _prepared(text: str) -> tuple[str, dict[str, str]]:
    """Text that Python's grammar reads, and which identifiers in it stand for names in backticks."""
    if not isinstance(text, str) or not text.strip():
        raise ValueError(f"a condition is a text such as \"site == 'A'\" (got {text!r})")
    if len(text) > MAX_CHARACTERS:
        raise ValueError(f"the condition has {len(text):,} characters; at most {MAX_CHARACTERS:,} are read")
    for character in text:
        if unicodedata.category(character) in ("Cc", "Cf", "Cs") and character not in "\t\n\r":
            raise ValueError(f"the condition holds the invisible character U+{ord(character):04X}; remove it")
    mark = "column"
    while mark in text:
        mark += "_"
    quoted: dict[str, str] = {}

    def replaced(piece: re.Match[str]) -> str:
        name, other = piece["name"], piece["other"]
        if name is not None:
            if not name.strip():
                raise ValueError(f"{_short(text)}: backticks hold no name")
            quoted[f"{mark}{len(quoted)}"] = name
            return f" {mark}{len(quoted) - 1} "
        if piece["text"] and text.startswith(3 * piece["text"][0], piece.start()):
            raise ValueError(f"{_short(text)}: a text stands in single or double quotes, not in three")
        if other in _STRAY:
            raise ValueError(f"{_short(text)}: {_STRAY[other]}")
        return piece["text"] or _WORDS[other]

    return _PIECE.sub(replaced, text).strip(), quoted


def _hint(text: str) -> str:
    outside = _PIECE.sub(lambda piece: piece["other"] or "x", text)
    return next((f": {remedy}" for found, remedy in _REMEDIES.items() if re.search(found, outside)), "")


def _shallow(tree: ast.expr, text: str) -> None:
    level: list[ast.AST] = [tree]
    for _ in range(MAX_DEPTH):
        level = [child for node in level for child in ast.iter_child_nodes(node)]
        if not level:
            return
    raise ValueError(f"{_short(text)} is nested more than {MAX_DEPTH} deep; simplify it")


# --- from syntax tree to condition ------------------------------------------------------------------------------------


class _Parser:
    """Turns the nodes that are known into functions of a table; every other node is refused."""

    def __init__(self, quoted: dict[str, str]):
        self.quoted = quoted
        self.names: list[str] = []

    def shown(self, node: ast.AST) -> str:
        """A part of the condition, as it was written."""
        text = ast.unparse(node)
        for mark in re.findall("|".join(rf"\b{mark}\b" for mark in self.quoted), text) if self.quoted else []:
            text = text.replace(mark, f"`{self.quoted[mark]}`", 1)
        return text if len(text) <= 120 else text[:120] + " ..."

    def refuse(self, node: ast.AST, why: str = "") -> ValueError:
        return ValueError(f"{self.shown(node)}: {why or _KNOWN}")

    def condition(self, node: ast.expr) -> Condition:
        """A part that is true or false for every row."""
        match node:
            case ast.BoolOp(op=joint, values=values):
                parts = [self.condition(value) for value in values]
                join = np.logical_and if isinstance(joint, ast.And) else np.logical_or
                return lambda table: join.reduce([part(table) for part in parts])
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                part = self.condition(operand)
                return lambda table: ~part(table)
            case ast.Compare():
                return self.comparison(node)
            case ast.Call():
                return self.method(node)
            case ast.Name():
                name = self.name(node)
                return lambda table: _truth(name, table)
        raise self.refuse(node)

    def name(self, node: ast.expr) -> str:
        if not isinstance(node, ast.Name):
            raise self.refuse(node)
        name = self.quoted.get(node.id, node.id)
        self.names.append(name)
        return name

    def comparison(self, node: ast.Compare) -> Condition:
        """One comparison or a chain: every neighbouring pair must hold."""
        sides = [node.left, *node.comparators]
        parts = [self.pair(node, *pair) for pair in zip(sides[:-1], node.ops, sides[1:], strict=True)]
        return lambda table: np.logical_and.reduce([part(table) for part in parts])

    def pair(self, node: ast.Compare, left: ast.expr, op: ast.cmpop, right: ast.expr) -> Condition:
        if isinstance(op, ast.In | ast.NotIn):
            name, values = self.name(left), self.values(right)
            wanted = isinstance(op, ast.In)
            return lambda table: _among(name, values, table) == wanted
        if type(op) not in _COMPARISONS:
            raise self.refuse(node, "is and is not are not known; write ==, != or .isna()")
        if isinstance(right, ast.List | ast.Tuple):
            raise self.refuse(node, "a column is compared with one value; write in [...] for a list")
        if not any(isinstance(side, ast.Name) for side in (left, right)):
            raise self.refuse(node, "a comparison needs a column on one side")
        first, second = self.operand(left), self.operand(right)
        return lambda table: _compared(first, _COMPARISONS[type(op)], second, table)

    def operand(self, node: ast.expr) -> _Column | Scalar:
        return _Column(self.name(node)) if isinstance(node, ast.Name) else self.scalar(node)

    def scalar(self, node: ast.expr) -> Scalar:
        """A number or a text."""
        try:
            value = ast.literal_eval(node)  # literals only: no name, no call
        except ValueError:
            raise self.refuse(node, f"no number, text or column; {_KNOWN}") from None
        if value is None:
            raise self.refuse(node, "write .isna() or .notna() to ask for missing values")
        if not isinstance(value, int | float | str):
            raise self.refuse(node, f"no number, text or column; {_KNOWN}")
        if not isinstance(value, str) and not abs(value) < 2**63:
            raise self.refuse(node, "the number is too large")
        return value

    def values(self, node: ast.expr) -> list[Scalar]:
        if not isinstance(node, ast.List | ast.Tuple):
            raise self.refuse(node, "in is followed by a list such as ['A', 'B']; .str.contains('A') searches texts")
        return [self.scalar(value) for value in node.elts]

    def method(self, node: ast.Call) -> Condition:
        """`.isin([...])`, `.isna()`, `.notna()`, `.str.contains('text')` and its kin."""
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name() as column, attr="isin"), args=[listed], keywords=[]):
                name, values = self.name(column), self.values(listed)
                return lambda table: _among(name, values, table)
            case ast.Call(
                func=ast.Attribute(value=ast.Name() as column, attr="isna" | "notna" as asked), args=[], keywords=[]
            ):
                name = self.name(column)
                return lambda table: table[name].isna().to_numpy(bool) == (asked == "isna")
            case ast.Call(
                func=ast.Attribute(value=ast.Attribute(value=ast.Name() as column, attr="str"), attr=asked),
                args=[ast.Constant(value=str() as text)],
                keywords=[],
            ) if asked in _TEXT_METHODS:
                name, holds = self.name(column), _TEXT_METHODS[asked]
                return lambda table: _holds(name, holds, text, table)
        raise self.refuse(node)


# --- values -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Column:
    name: str


def _present(name: str, table: pd.DataFrame) -> None:
    count = int((table.columns == name).sum())
    if count > 1:
        raise ValueError(f"the column {name!r} stands {count} times in the table; name each column once")
    if not count:
        columns = [str(column) for column in table.columns]
        folded = {column.casefold(): column for column in columns}
        close = difflib.get_close_matches(name.casefold(), folded, 1, 0.5)
        meant = f"; did you mean {folded[close[0]]}?" if close else ""
        raise ValueError(f"there is no column {name!r}{meant}")


def _kind(value: Any) -> str:
    """What a value is compared as."""
    if isinstance(value, str):
        return "texts"
    return "numbers" if isinstance(value, int | float | np.number | np.bool_) else "other values"


def _values(column: pd.Series, rows: np.ndarray) -> tuple[np.ndarray, set[str]]:
    """A column's values in the rows named, none of them missing, and their kinds."""
    values = column[rows]
    if pd.api.types.is_numeric_dtype(values.dtype) and not pd.api.types.is_complex_dtype(values.dtype):
        return values.to_numpy(), {"numbers"} if len(values) else set()
    listed = values.astype(object).to_numpy()
    return listed, {_kind(value) for value in listed}


def _where_known(
    name: str, table: pd.DataFrame, answered: Callable[[np.ndarray, set[str]], np.ndarray | list[bool]]
) -> np.ndarray:
    """An answer from a column's values and their kinds; false where the value is missing."""
    known = table[name].notna().to_numpy(bool)
    answer = np.zeros(len(table), bool)
    answer[known] = answered(*_values(table[name], known))
    return answer


def _same_kind(name: str, kinds: set[str], other: Iterable[Scalar]) -> None:
    for value in other:
        kind = _kind(value)
        if kinds and kinds != {kind}:
            remedy = "write it in quotes" if kind == "numbers" else "write it without quotes"
            remedy = remedy if len(kinds) == 1 and "other values" not in kinds else "give the column one kind of value"
            raise ValueError(f"{name} holds {' and '.join(sorted(kinds))} and is compared with {value!r}; {remedy}")


def _compared(
    left: _Column | Scalar, compare: Callable[[Any, Any], Any], right: _Column | Scalar, table: pd.DataFrame
) -> np.ndarray:
    """A comparison, row by row; one with a missing value is false, or true for !=."""
    answer = np.full(len(table), compare is operator.ne)
    columns = [side.name for side in (left, right) if isinstance(side, _Column)]
    known = table[columns].notna().to_numpy(bool).all(axis=1)
    if known.any():
        first, second = _side(left, right, known, table), _side(right, left, known, table)
        answer[known] = compare(first, second).astype(bool)
    return answer


def _side(side: _Column | Scalar, other: _Column | Scalar, known: np.ndarray, table: pd.DataFrame) -> Any:
    """One side's values, which must be of the same kind as the other's."""
    if not isinstance(side, _Column):
        return side
    values, kinds = _values(table[side.name], known)
    if not isinstance(other, _Column):
        _same_kind(side.name, kinds, [other])
    elif len(kinds | _values(table[other.name], known)[1]) > 1:
        raise ValueError(f"{side.name} and {other.name} hold numbers and texts, which cannot be compared")
    return values


def _among(name: str, values: list[Scalar], table: pd.DataFrame) -> np.ndarray:
    def answered(listed: np.ndarray, kinds: set[str]) -> np.ndarray:
        _same_kind(name, kinds, values)
        return pd.Series(listed).isin(values).to_numpy(bool)

    return _where_known(name, table, answered)


def _holds(name: str, holds: Callable[[str, str], bool], text: str, table: pd.DataFrame) -> np.ndarray:
    def answered(values: np.ndarray, kinds: set[str]) -> list[bool]:
        if kinds - {"texts"}:
            raise ValueError(f"{name} holds {' and '.join(sorted(kinds))}; .str searches texts only")
        return [holds(value, text) for value in values]

    return _where_known(name, table, answered)


def _truth(name: str, table: pd.DataFrame) -> np.ndarray:
    def answered(values: np.ndarray, _: set[str]) -> np.ndarray:
        if not all(isinstance(value, bool | np.bool_) for value in values):
            raise ValueError(f"{name} alone is no condition; compare it with a value, as in {name} == 1")
        return values.astype(bool)

    return _where_known(name, table, answered)
