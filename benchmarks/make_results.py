"""results/*.json -> RESULTS.md: every measured row with the machine it was measured on; nothing is typed by hand.

python benchmarks/make_results.py          write RESULTS.md
python benchmarks/make_results.py --check  fail where RESULTS.md is not what the rows say
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
HEAD = """# What was measured

Written by `python benchmarks/make_results.py` from `benchmarks/results/*.json`; each table is
made by `./run_all.sh bench NAME`.
Seconds are medians. The ratio is the peer's time over ours in the same run (above 1: ours is faster). A load average
above the number of cores means that wall times are too long; ratios and processor times (in the notes) bear it better.
"""


def render() -> str:
    """The whole page."""
    machines = json.loads((FOLDER / "results" / "machines.json").read_text(encoding="utf-8"))
    parts = [HEAD]
    for path in sorted((FOLDER / "results").glob("*.json")):
        if path.stem == "machines":
            continue
        rows = json.loads(path.read_text(encoding="utf-8"))
        parts.append(f"## {path.stem}\n\n{_place(machines.get(path.stem))}\n\n{_table(rows)}\n")
    return "\n".join(parts)


def _place(machine: dict[str, Any] | None) -> str:
    if machine is None:
        return "Machine not recorded."
    load = f", load average {machine['load_average']} at the end" if "load_average" in machine else ""
    return f"{machine['processor']}, {machine['cores']} cores, Python {machine['python']}{load}."


def _table(rows: list[dict[str, Any]]) -> str:
    lines = ["| name | seconds | peak MB | peer | ratio | n | note |", "|---|---:|---:|---|---:|---:|---|"]
    for row in rows:
        cells = [row["name"], *(_number(row[k]) for k in ("seconds", "peak_mb")), row["peer"] or ""]
        cells += [_number(row["ratio"]), "" if row["n"] is None else f"{row['n']:,}", row["note"].replace("|", "/")]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:,.4g}" if abs(value) < 10_000 else f"{value:,.0f}"


def main() -> int:
    """Write RESULTS.md, or check it."""
    page, text = FOLDER / "RESULTS.md", render()
    if "--check" in sys.argv[1:]:
        if page.read_text(encoding="utf-8") != text:
            print("benchmarks/RESULTS.md is not what benchmarks/results holds: python benchmarks/make_results.py")
            return 1
        return 0
    page.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
