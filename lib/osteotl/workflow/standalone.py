"""Run a notebook that belongs to no study, `published` or `planning`, with its parameters as options.

    python -m osteotl.workflow.standalone planning --target mcnemar --margin 0.02

The options, their defaults and what they mean are read from the notebook's parameters cell. The executed notebook and a
page of it (NAME.html, without code, for reading offline) go to its outputs folder beside its tables.
"""

from __future__ import annotations

import argparse
import ast
import logging
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from osteotl.files import write_text
from osteotl.workflow.steps import ROOT, from_root, to_root

RUNNING = "OSTEOTL_STEP"  # as `step.RUNNING`: what the engine runs
TYPES: dict[str, type] = {"int": int, "float": float, "str": str}
PATHS = {"outputs", "predictions", "published", "figures"}
BAD_INPUT = ("ValueError", "ScoresError", "PublishedError", "FileNotFoundError")
STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
    "table{border-collapse:collapse;font-size:.85rem;display:block;overflow-x:auto}"
    "td,th{padding:.2rem .6rem;border-bottom:1px solid #ccc;text-align:right}"
    "img,svg{max-width:100%;height:auto}.anchor-link,.jp-InputPrompt,.jp-OutputPrompt{display:none}pre{white-space:pre-wrap}"
)


def output_folder(outputs: str | Path) -> Path:
    """Where a notebook outside the studies writes: its outputs folder, or `scratch` below it when run by hand.

    Parameters
    ----------
    outputs : str
        As in the notebook's parameters cell; a relative path starts at the project's folder.
    """
    folder = from_root(outputs)
    folder = folder if os.environ.get(RUNNING) else folder / "scratch"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def options_of(source: str) -> list[tuple[str, Any, type, str]]:
    """Name, default, type and meaning of each parameter of a parameters cell.

    Parameters
    ----------
    source : str
        Lines such as `margin = 0.03  # largest acceptable loss`; a parameter without a default names its type, as
        `icc: float | None = None`.

    Examples
    --------
    >>> options_of('margin = 0.03  # largest acceptable loss\\nicc: float | None = None  # of one patient')
    [('margin', 0.03, <class 'float'>, 'largest acceptable loss'), ('icc', None, <class 'float'>, 'of one patient')]
    """
    lines, options = source.splitlines(), []
    for node in ast.parse(source).body:
        if not isinstance(node, ast.Assign | ast.AnnAssign) or node.value is None:
            continue
        target = node.target if isinstance(node, ast.AnnAssign) else node.targets[0]
        default = ast.literal_eval(node.value)
        noted = ast.unparse(node.annotation).split(" ")[0] if isinstance(node, ast.AnnAssign) else ""
        meaning = lines[node.lineno - 1][node.end_col_offset or 0 :].partition("#")[2].strip()
        options.append((ast.unparse(target), default, TYPES.get(noted, type(default)), meaning))
    return options


def _given(notebook: Any, name: str, arguments: list[str]) -> dict[str, Any]:
    """Parameters of the notebook from the words of a command line."""
    cell = next(cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", []))
    parser = argparse.ArgumentParser(prog=f"run_all.sh {'plan' if name == 'planning' else name}",
                                     description=f"Runs notebooks/{name}.ipynb.")  # fmt: skip
    for option, default, kind, meaning in options_of(cell.source):
        said = f"{meaning} (default: {default})".strip().replace("%", "%%")
        parser.add_argument(f"--{option.replace('_', '-')}", type=kind, default=default, help=said)
    given = vars(parser.parse_args(arguments))
    # a path as typed is relative to where the person stands; the notebook runs in the project's folder
    for key in PATHS & given.keys():
        value, typed = given[key], parser.get_default(key) != given[key]
        if value and (Path(value).exists() or (key == "outputs" and typed)):
            given[key] = to_root(value)
    return given


def _page(notebook: Any, title: str) -> str:
    """The executed notebook as one page without code, scripts and references to other files."""
    from nbconvert import HTMLExporter

    body, _ = HTMLExporter(template_name="basic", exclude_input=True, exclude_output_prompt=True).from_notebook_node(
        notebook
    )
    head = f'<meta charset="utf-8"><title>{title}</title><style>{STYLE}</style>'
    return f'<!doctype html>\n<html lang="en"><head>{head}</head><body>\n{body}\n</body></html>\n'


def main(arguments: list[str]) -> int:
    """Run a notebook by its name; exit codes 0 done, 1 failed, 2 bad input."""
    import nbformat
    import papermill
    from jupyter_client.manager import AsyncKernelManager

    class Manager(AsyncKernelManager):
        """Kernels that are reached over sockets in a folder of this user alone, not over the network."""

        def __init__(self, **given: Any):
            super().__init__(**given)
            self.transport, self.ip = "ipc", f"{sockets}/kernel"

    name, *words = arguments
    source = ROOT / "notebooks" / f"{name}.ipynb"
    parameters = _given(nbformat.read(source, as_version=4), name, words)
    folder = from_root(parameters["outputs"])
    folder.mkdir(parents=True, exist_ok=True)
    os.environ[RUNNING] = name
    logging.getLogger("papermill").setLevel(logging.ERROR)  # it does not read types such as `float | None`
    try:
        with tempfile.TemporaryDirectory(prefix="osteotl-") as sockets:
            notebook = papermill.execute_notebook(str(source), None, parameters=parameters, progress_bar=False,
                                                  cwd=str(ROOT), kernel_name="python3",
                                                  kernel_manager_class=Manager)  # fmt: skip
    except papermill.PapermillExecutionError as error:
        known = error.ename in BAD_INPUT
        print(f"run_all.sh: {error.evalue}" if known else error, file=sys.stderr)
        return 2 if known else 1
    for part in (notebook, *notebook.cells):  # times and paths, which differ at every run
        part.metadata.pop("papermill", None)
        part.metadata.pop("execution", None)
    write_text(folder / f"{name}.ipynb", nbformat.writes(notebook) + "\n")
    write_text(folder / f"{name}.html", _page(notebook, name))
    for cell in notebook.cells:
        if "answer" in cell.metadata.get("tags", []):
            print("".join(output.get("text", "") for output in cell.outputs if output.output_type == "stream").rstrip())
    print(f"{to_root(folder)}/{name}.html")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
