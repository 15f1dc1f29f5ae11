"""PARITY.md from the comparisons with reference packages.

Run it in the repository:

    OSTEOTL_ORACLES=FOLDER python tests/oracles/parity.py

It compares every case of the folder, as tests/test_oracles.py does, and writes PARITY.md. A family whose tolerance is
wider than 1e-6 must have its reason in WIDER; a quantity that is no goal has its reason in `registry.INFORMATIONAL`.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from oracles import registry
from oracles.registry import Row

PAGE = Path(__file__).parents[2] / "PARITY.md"
NARROW = 1e-6

PARTS = {
    "roc": "ROC curves, AUC and its tests",
    "operating": "Operating points and proportions",
    "paired": "Paired tests and intervals",
    "risks": "Precision-recall, and draws at given weights",
    "calibration": "Calibration and decision curves",
    "replicates": "Several readers (Obuchowski-Rockette)",
    "lesions": "Lesions: FROC, LROC, AFROC, COCO",
    "planning": "Planning and multiplicity",
}

WIDER = {
    r"bootstrap_paired.*|auc(_diff)?_se_stratified_bootstrap_exact": "Monte Carlo figures, ours or both: within 4 "
    "standard errors",
    r"ici_loess.*": "recorded so, since loess interpolates; ours does the same and is closer, as shown",
    r"val.prob.*": "rms stops its fit earlier than R's glm, bins risks by 0.001 before it counts pairs, and prints "
    "1 - pchisq, which is 0 below rounding",
    r"cal_slope.*": "R's glm takes standard errors from the weights before its last step, and stops at 1e-8 of the "
    "deviance",
    r"midp": "PropCIs searches mid-p limits on a grid: 0.0005",
    r"exact.*x.*": "exact2x2 searches the limits of the odds ratio to about 1e-4",
    r"power.*": "pROC solves for sample sizes and power with uniroot's default tolerance",
}

INTRODUCTION = """\
# Parity

Our numbers beside those of the field's reference packages, on the same inputs. This page is generated
(`python tests/oracles/parity.py`); the same comparisons are a test (`tests/test_oracles.py`) that fails on any
difference beyond the stated tolerance.

{values:,} values of {cases} cases were compared in {quantities:,} quantities; {failures} quantities disagree.
{information} further quantities are recorded for information only: there we differ on purpose, see the end.

- *Largest difference*: largest relative difference over all values of the family (absolute where the reference is 0);
  '-' = none beyond 1e-12. Values with a tolerance of their own are not part of it.
- *Tolerance*: relative, as recorded with the reference. *(n)*: n values have a tolerance of their own, whose reason
  stands under 'Wider tolerances'.
- 'Plain Python': a second implementation, written from the definition alone.
- *Ours* and *theirs*: the first number of the family, as an example.
"""


def family_of(quantity: str) -> str:
    """Name of a quantity without the score, point or rule that it was computed for."""
    if quantity.startswith("val.prob"):
        return "val.prob"
    if quantity.startswith("power_one"):  # followed by its arguments
        return "power_one"
    name = re.split(r"\.(?=[a-z0-9])|@", quantity, maxsplit=1)[0]
    return re.sub(r"\d+(\.\d+)?", "#", name)


def package_of(row: Row) -> str:
    """Package with its version; where the version names the packages, it says it all."""
    version = re.sub(r"\s*\([^)]*\)|, [^;]*", "", row.version).replace("brute plain Python", "plain Python")
    first = row.package.split()[0]
    named = first.split("::")[0] in version or first == "brute"
    return (version if named else f"{row.package} {version}").replace("|", "/")


def families(rows: Iterable[Row]) -> Iterator[tuple[tuple[str, str, str], list[Row]]]:
    """Rows by part, family and package."""

    def key(row: Row) -> tuple[str, str, str]:
        return row.part, family_of(row.quantity), package_of(row)

    for group, members in groupby(sorted(rows, key=key), key):
        yield group, list(members)


def line(family: str, package: str, rows: list[Row]) -> str:
    """One family of one package as a row of the table."""
    largest, wider = max(row.largest_difference for row in rows), sum(row.wider for row in rows)
    example = next((row.example for row in rows if row.example), None)
    theirs, ours = (f"{number:.10g}" for number in example) if example else ("", "")
    rtol = max(row.rtol for row in rows)
    tolerance = (f"{rtol:.0e}" if rtol else "equal") + (f" ({wider})" if wider else "")
    cells = [
        f"`{family}`",
        package,
        str(len({row.case for row in rows})),
        f"{sum(row.values for row in rows):,}",
        ours,
        theirs,
        f"{largest:.1e}" if largest else "-",
        tolerance,
    ]
    return f"| {' | '.join(cells)} |"


def reasons(rows: list[Row]) -> list[str]:
    """Why some tolerances are wide; a family without a written reason is an error.

    Raises
    ------
    LookupError
        A tolerance above 1e-6 without a reason in WIDER.
    """
    wide = sorted({family_of(row.quantity) for row in rows if row.wider or row.rtol > NARROW})
    said = []
    for family in wide:
        found = [why for pattern, why in WIDER.items() if re.fullmatch(pattern, family)]
        if not found:
            raise LookupError(f"{family} has a tolerance above {NARROW:g}: write its reason into WIDER")
        said.append(f"| `{family}` | {found[0]} |")
    return said


def page(rows: list[Row]) -> str:
    """PARITY.md as text."""
    compared = [row for row in rows if row.informational is None]
    noted = [row for row in rows if row.informational is not None]
    parts = [
        INTRODUCTION.format(
            values=sum(row.values for row in compared),
            cases=len({row.case for row in rows}),
            quantities=len(compared),
            failures=sum(bool(row.failures) for row in compared),
            information=len(noted),
        )
    ]
    titles = list(PARTS)
    made = sorted(families(compared), key=lambda item: (titles.index(item[0][0]), item[0][1:]))
    for part, members in groupby(made, key=lambda item: item[0][0]):
        head = ("quantity", "package", "cases", "values", "ours", "theirs", "largest difference", "tolerance")
        parts += [f"\n## {PARTS[part]}\n", f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
        parts += [line(family, package, group) for (_, family, package), group in members]
    parts += ["\n## Wider tolerances\n", "| quantity | reason |", "|---|---|", *reasons(compared)]
    parts += ["\n## Different on purpose\n", "| quantity | package | cases | reason |", "|---|---|---|---|"]
    for (_, family, package), group in families(noted):
        why = "; ".join(dict.fromkeys(row.informational or "" for row in group))
        parts.append(f"| `{family}` | {package} | {len({row.case for row in group})} | {why} |")
    return "\n".join(parts) + "\n"


def main() -> int:
    """Compare every case and write the page; 1 if any value disagrees."""
    folder = os.environ.get("OSTEOTL_ORACLES")
    if not folder:
        print("OSTEOTL_ORACLES is not set: it names the folder of reference values", file=sys.stderr)
        return 2
    rows = [row for case in registry.cases(Path(folder)) for row in registry.compare_case(case)]
    PAGE.write_text(page(rows), encoding="utf-8")
    failures = sum(bool(row.failures) for row in rows)
    print(f"{PAGE.name}: {sum(row.values for row in rows):,} values compared, {failures} quantities disagree")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
