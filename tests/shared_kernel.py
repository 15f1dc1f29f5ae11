"""Notebooks are executed in one kernel per test process: starting one takes longer than most notebooks' cells."""

from __future__ import annotations

import atexit
from functools import cache
from pathlib import Path

import nbformat
from jupyter_client.manager import KernelManager
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parents[1]
# what a notebook may have left behind: names, figures, settings of pandas and Matplotlib, marks of the engine
ANEW = """
%reset -f
import os, matplotlib.pyplot, pandas
from osteotl.workflow import step
matplotlib.pyplot.close("all")
matplotlib.rcdefaults()
%matplotlib inline
pandas.reset_option("^display")
os.environ.pop(step.RUNNING, None)
step.open_step = getattr(step.open_step, "plain", step.open_step)
%reset -f
"""


@cache
def _manager() -> KernelManager:
    manager = KernelManager(kernel_name="python3")
    atexit.register(lambda: manager.shutdown_kernel(now=True) if manager.is_alive() else None)
    return manager


def execute(notebook: nbformat.NotebookNode, config: Path, outputs: Path, before: str = "") -> None:
    """Execute a notebook in place, with values for its parameters cell.

    Parameters
    ----------
    notebook : NotebookNode
    config, outputs : Path
    before : str
        Code to run first.
    """
    parameters = next(cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", []))
    parameters.source = f"config, outputs = {str(config)!r}, {str(outputs)!r}"
    first = [nbformat.v4.new_code_cell(source) for source in (ANEW, before)]
    whole = nbformat.v4.new_notebook(cells=[*first, *notebook.cells], metadata=notebook.metadata)
    client = NotebookClient(whole, km=_manager(), timeout=600, resources={"metadata": {"path": str(ROOT)}})
    try:
        client.execute()
    finally:
        if client.kc is not None:
            client.kc.stop_channels()
    notebook.cells = whole.cells[len(first) :]


def execute_file(name: str, target: Path, config: Path, outputs: Path, before: str = "") -> None:
    """Execute one of the project's notebooks, and write it as executed."""
    notebook = nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4)
    execute(notebook, config, outputs, before)
    target.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, target)
