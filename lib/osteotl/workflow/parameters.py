"""Parameters of a notebook, as its cell tagged `parameters` gives them."""

from __future__ import annotations

import ast
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TYPES: dict[str, type] = {"int": int, "float": float, "str": str, "bool": bool}


@dataclass(frozen=True)
class Parameter:
    """One parameter of a notebook: its default, the type of its values, and the comment behind it."""

    name: str
    default: Any
    kind: type
    meaning: str


def parameters_in(source: str) -> list[Parameter]:
    """Parameters in a parameters cell.

    Parameters
    ----------
    source : str
        Lines such as `margin = 0.03  # largest acceptable loss`; a parameter without a default names its type, as
        `icc: float | None = None`.

    Examples
    --------
    >>> parameters_in("icc: float | None = None  # of one patient")
    [Parameter(name='icc', default=None, kind=<class 'float'>, meaning='of one patient')]
    """
    lines, found = source.splitlines(), []
    for node in ast.parse(source).body:
        if not isinstance(node, ast.Assign | ast.AnnAssign) or node.value is None:
            continue
        target = node.target if isinstance(node, ast.AnnAssign) else node.targets[0]
        default = ast.literal_eval(node.value)
        noted = ast.unparse(node.annotation).split(" ")[0] if isinstance(node, ast.AnnAssign) else ""
        meaning = lines[(node.end_lineno or 1) - 1][node.end_col_offset or 0 :].partition("#")[2].strip()
        found.append(Parameter(ast.unparse(target), default, TYPES.get(noted, type(default)), meaning))
    return found


def parameters_of(notebook: Path) -> list[Parameter]:
    """Parameters of a notebook; none where no cell is tagged `parameters`."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    tagged = [cell for cell in cells if "parameters" in cell.get("metadata", {}).get("tags", [])]
    return parameters_in("\n".join("".join(cell["source"]) for cell in tagged))
