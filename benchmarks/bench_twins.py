"""Twins of the published cohort: 1,000 conditional ones and the full map (`./run_all.sh bench twins`)."""

from __future__ import annotations

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from _measure import RESULTS, Row, row, save
from osteotl.files import write_csv
from osteotl.published.printed import load_published
from osteotl.published.twins import conditional_twins, twin_map

TWINS = 200


def main() -> list[Row]:
    """Measure, and save the numbers and the map itself."""
    paper = load_published("hasei2025")
    conditional_twins(paper, 2)
    twin_map(paper, 2)
    start = time.perf_counter()
    conditional = conditional_twins(paper, 1000)
    first = time.perf_counter()
    twin_map(paper)
    second = time.perf_counter()
    full = twin_map(paper, TWINS, full=True)
    last = time.perf_counter()
    conditions = (full["world"] == "sweep").sum() // full["conclusion"].nunique()
    quantiles = conditional.astype(float).quantile([0, 0.05, 0.5, 0.95, 1]).rename_axis("quantile").reset_index()
    write_csv(RESULTS / "twins" / "conditional.csv", quantiles)
    write_csv(RESULTS / "twins" / "map.csv", full)
    span = f"DeLong p {conditional['p'].min():.2f}-{conditional['p'].max():.2f}"
    return save("twins", [
        row("conditional_twins_1000", first - start, n=1000, note=span),
        row("twin_map_reduced", second - first, n=100, note="each condition alone"),
        row("twin_map_full", last - second, n=TWINS, note=f"{conditions} conditions"),
    ])  # fmt: skip


if __name__ == "__main__":
    main()
