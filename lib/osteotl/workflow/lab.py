"""./run_all.sh lab [--config FILE] [--outputs DIR] [WORDS OF JUPYTER]: explore a study on copies of the notebooks.

The copies lie in OUT/scratch/notebooks, so that saving them, which JupyterLab does by itself, never changes what the
next run does: that runs notebooks/ alone.
"""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from typing import Any

from osteotl.files import visible, write_json, write_text
from osteotl.workflow.command_line import OPTIONS, Words, outputs_of
from osteotl.workflow.fingerprint import digest
from osteotl.workflow.folder import OWNER, Refused, check_folder
from osteotl.workflow.states import read_json
from osteotl.workflow.steps import ROOT, to_root

START = "start.ipynb"
AS_COPIED = ".as_copied.json"  # hash of every copy as it was made: one that nobody has changed is renewed
TEXT = """\
# Explore the study {title}

These notebooks are copies. Change what you like: nothing here changes `{outputs}`, and `./run_all.sh` runs the
notebooks in `notebooks/` alone. What you compute goes to `{outputs}/scratch`.

Begin with [04_statistics](04_statistics.ipynb): it computes every number of the report, one question a cell, in
seconds. Every setting stands in the cell that uses it. Change one, and run on: `margin = 0.02`,
`confidence = 0.9`, `scores = scores.where("sex == 'F'")`, `scores = scores.select(runs=[0])`.

| notebook | what it shows |
|---|---|
{rows}

- 00 to 03 load what the study has made; they make something anew only where settings, code or films have changed.
- 04 to 06 compute each time. 05 and 06 read what you saved last from 04, or else the results of the study.
- To change the analysis for good, edit the notebook in `notebooks/` or `study.yaml`, and start `./run_all.sh`.
- `./run_all.sh clean` removes the scratch folder, these copies too.
- A copy that you have not changed is renewed at the next `./run_all.sh lab`. To get a fresh one, delete the copy.

docs/notebooks.md has an example for each kind of question.
"""


def main(words: list[str]) -> int:
    """Copy the notebooks and start JupyterLab in place of this process; other words go to Jupyter."""
    parser = Words("./run_all.sh lab", description=(__doc__ or "").split("\n\n")[1], allow_abbrev=False)
    for name in ("config", "outputs"):
        metavar, kind, text = OPTIONS[name]
        parser.add_argument(f"--{name}", metavar=metavar, type=kind, help=text)
    own, others = _split(words)
    chosen = parser.parse_args(own)
    config = chosen.config or ROOT / "study.yaml"
    outputs = outputs_of(config, chosen.outputs)
    try:
        check_folder(outputs, read_json(outputs / OWNER) or {"config": to_root(config)})
    except Refused as refusal:
        print(f"run_all.sh: {visible(str(refusal))}", file=sys.stderr)
        return refusal.code
    kept = outputs / "study.yaml"  # a study of scores given on the command line
    folder = copy_notebooks(kept if kept.is_file() else config, outputs)
    root = ["--allow-root"] if os.geteuid() == 0 else []  # as in a container; JupyterLab refuses without a word
    print(f"JupyterLab opens on {to_root(folder / START)}", flush=True)
    os.chdir(folder)
    os.execv(sys.executable, [sys.executable, "-m", "jupyter", "lab", *root, *others, str(folder / START)])


def _split(words: list[str]) -> tuple[list[str], list[str]]:
    """Our own words, and those of Jupyter."""
    own: list[str] = []
    others: list[str] = []
    names = ("--config", "--outputs", "-h", "--help")
    for place, word in enumerate(words):
        value_of_ours = place > 0 and words[place - 1] in names[:2]
        (own if value_of_ours or word.partition("=")[0] in names else others).append(word)
    return own, others


def copy_notebooks(config: Path, outputs: Path) -> Path:
    """Copy the project's notebooks for a study; returns their folder.

    A copy that somebody has changed is kept as it is. All others are made as notebooks/ says now, with the study and
    its outputs folder as values of their parameters.
    """
    folder = outputs / "scratch" / "notebooks"
    folder.mkdir(parents=True, exist_ok=True)
    copied: dict[str, Any] = read_json(folder / AS_COPIED) or {}
    rows = []
    for source in sorted((ROOT / "notebooks").glob("*.ipynb")):
        copy, content = folder / source.name, json.loads(source.read_text(encoding="utf-8"))
        _set_parameters(content, {"config": to_root(config), "outputs": to_root(outputs)})
        if not copy.exists() or _code(copy) == copied.get(source.name):
            write_text(copy, json.dumps(content, indent=1, ensure_ascii=False) + "\n")
            copied[source.name] = _code(copy)
        question = re.search(r"\*\*Question\.\*\*\s*(.+?)(?:\n\n|\Z)", "".join(content["cells"][0]["source"]), re.S)
        about = " ".join(question[1].split()) if question else ""
        rows.append(f"| [{source.stem}]({source.name}) | {about} |")
    text = TEXT.format(title=f"`{to_root(config)}`", outputs=to_root(outputs), rows="\n".join(rows))
    cell = {"cell_type": "markdown", "id": "start", "metadata": {}, "source": text.splitlines(keepends=True)}
    write_json(folder / START, {"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5})
    write_json(folder / AS_COPIED, copied)
    return folder


def _code(path: Path) -> str:
    """Hash of the sources in a notebook; results and layout do not count."""
    cells = (read_json(path) or {}).get("cells", [])
    return digest(*("".join(cell.get("source", [])) for cell in cells))


def _set_parameters(content: dict[str, Any], values: dict[str, str]) -> None:
    for cell in content["cells"]:
        if "parameters" in cell.get("metadata", {}).get("tags", []):
            source = "".join(cell["source"])
            for name, value in values.items():
                source = re.sub(rf"^{name} = .*$", f"{name} = {value!r}".replace("\\", "\\\\"), source, flags=re.M)
            cell["source"] = source.splitlines(keepends=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
