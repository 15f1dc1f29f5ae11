"""results/*.json -> RESULTS.md and the README's measured rows; nothing is typed by hand.

python benchmarks/make_results.py          write both
python benchmarks/make_results.py --check  fail where one of them is not what the rows say
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
README = FOLDER.parent / "README.md"
FRONT = (
    ("statistics", "joint_bootstrap_743", "seconds", "10,000 joint bootstrap replicates of all measures, two arms"),
    ("statistics", "scikit_learn_loop", "ratio", "the same as a loop over scikit-learn"),
    ("statistics", "confidenceinterval_bootstrap", "ratio", "AUC of one arm alone by confidenceinterval"),
    ("statistics", "delong_1m", "seconds", "paired DeLong test with its interval"),
    (
        "newcomer",
        "set_up",
        "seconds",
        "set-up of a new clone with packages at hand, and drawing the default study's films",
    ),
    ("newcomer", "first_report", "seconds", "the default study: seven trainings, scores, statistics, report"),
    ("newcomer", "again", "seconds", "the same again, with nothing changed"),
    ("newcomer", "own_scores_first", "seconds", "own scores in a new clone: fetching packages, set-up, report"),
    ("newcomer", "own_scores_again", "seconds", "own scores after that"),
)
"""Rows that the README shows, each linked to its place in RESULTS.md: (table, row, column, in words)."""
HEAD = """# What was measured

Written by `python benchmarks/make_results.py` from `benchmarks/results/*.json`; each table is
made by `./run_all.sh bench NAME`.
Seconds are medians. The ratio is the peer's time over ours in the same run (above 1: ours is faster). A load average
above the number of cores means that wall times are too long; ratios and processor times (in the notes) bear it better.
"""

PICTURES = {
    "statistics": "![Processor time against films, replicates and seeds, log-log](results/growth.png)",
}


def render() -> str:
    """The whole page."""
    machines = json.loads((FOLDER / "results" / "machines.json").read_text(encoding="utf-8"))
    parts = [HEAD]
    for path in sorted((FOLDER / "results").glob("*.json")):
        if path.stem == "machines":
            continue
        rows = json.loads(path.read_text(encoding="utf-8"))
        parts.append(f"## {path.stem}\n\n{_place(machines.get(path.stem))}\n\n{_table(path.stem, rows)}\n")
        if path.stem in PICTURES:
            parts.append(PICTURES[path.stem] + "\n")
    return "\n".join(parts)


def _place(machine: dict[str, Any] | None) -> str:
    if machine is None:
        return "Machine not recorded."
    load = f", load average {machine['load_average']} at the end" if "load_average" in machine else ""
    return f"{machine['processor']}, {machine['cores']} cores, Python {machine['python']}{load}."


def front(text: str) -> str:
    """README.md with the rows of `FRONT` between its markers.

    Raises
    ------
    ValueError
        A row of `FRONT` was not measured.
    """
    lines = ["| what | films | measured |", "|---|---:|---:|"]
    for table, name, column, words in FRONT:
        rows = json.loads((FOLDER / "results" / f"{table}.json").read_text(encoding="utf-8"))
        row = next((row for row in rows if row["name"] == name), None)
        if row is None:
            raise ValueError(f"results/{table}.json has no row {name!r}, which FRONT names: measure it or change FRONT")
        said = f"{_number(row[column])} {'s' if column == 'seconds' else '× as long'}"
        films = "" if row["n"] is None else f"{row['n']:,}"
        lines.append(f"| {words} | {films} | [{said}](benchmarks/RESULTS.md#{table}-{name}) |")
    block = "\n".join(["<!-- measured -->", "", *lines, "", "<!-- /measured -->"])
    return re.sub(r"<!-- measured -->.*<!-- /measured -->", lambda _: block, text, flags=re.S)


def _table(table: str, rows: list[dict[str, Any]]) -> str:
    lines = ["| name | seconds | peak MB | peer | ratio | n | note |", "|---|---:|---:|---|---:|---:|---|"]
    for row in rows:
        cells = [
            f'<a id="{table}-{row["name"]}"></a>{row["name"]}',
            *(_number(row[k]) for k in ("seconds", "peak_mb")),
            row["peer"] or "",
        ]
        cells += [_number(row["ratio"]), "" if row["n"] is None else f"{row['n']:,}", row["note"].replace("|", "/")]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:,.4g}" if abs(value) < 10_000 else f"{value:,.0f}"


def main() -> int:
    """Write RESULTS.md and the README's rows, or check them."""
    pages = {FOLDER / "RESULTS.md": render(), README: front(README.read_text(encoding="utf-8"))}
    stale = [page.name for page, text in pages.items() if page.read_text(encoding="utf-8") != text]
    if stale and "--check" in sys.argv[1:]:
        print(f"{', '.join(stale)}: not what benchmarks/results holds: python benchmarks/make_results.py")
        return 1
    for page, text in pages.items() if stale else ():
        page.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
