"""Any table and any folder: a checked table of predictions comes out, or sentences that a terminal can print."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import openpyxl
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from osteotl.scores_files.reading import ScoresError, check_predictions, read_scores

quick = settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
some = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def read_or_refuse(path: Path) -> None:
    """Only two ends are allowed."""
    faults: list[str] = []
    try:
        scores = read_scores(path)
    except ScoresError as error:
        faults = error.faults or [""]
    for fault in faults:
        assert 0 < len(fault) < 2_000
        assert "\n" not in fault
        assert "Traceback" not in fault
    if faults:
        return
    check_predictions(scores.predictions)
    assert scores.reference in scores.arms
    assert len(scores.arms) > 1


NAMES = (
    "image_id label arm score seed reader cohort fraction patient_id logit boxes lesions x_min y_min x_max y_max age"
)
HEADERS = st.sampled_from([*NAMES.split(), "sex", "score_A", "score_B", "net", "Score", "", "=x", "x\ny"])
WORDS = "0 1 a b A B 0.5 0,5 93% NA nan inf -inf 1e999 1e30 validation test TRUE 1.0 -1 ../../x"
CELLS = st.one_of(
    st.sampled_from(WORDS.split()),
    st.sampled_from(["", "[[0,0,5,5,0.9]]", "[" * 3000, '"', "'", ";", "\u202e", "x" * 400, "<b>"]),
    st.text(max_size=8),
    st.floats().map(repr),
    st.integers().map(str),
)  # fmt: skip


def as_csv(rows: list[list[str]], separator: str) -> str:
    return "\n".join(separator.join('"' + cell.replace('"', '""') + '"' for cell in row) for row in rows)


@quick
@given(st.binary(max_size=300))
def test_any_bytes(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "scores.csv"
        path.write_bytes(content)
        read_or_refuse(path)


@quick
@given(st.lists(HEADERS, min_size=1, max_size=8), st.lists(st.lists(CELLS, max_size=9), max_size=8),
       st.sampled_from([",", ";", "\t", "|"]), st.booleans())  # fmt: skip
def test_any_table(header: list[str], rows: list[list[str]], separator: str, quoted: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "scores.csv"
        text = as_csv([header, *rows], separator)
        path.write_text(text if quoted else text.replace('"', ""), encoding="utf-8", errors="replace")
        read_or_refuse(path)


GOOD = [["image_id", "label", "arm", "score", "seed", "cohort", "boxes"],
        *([film, label, arm, score, seed, "external", "[]"] for arm in ("A", "B") for seed in ("0", "1")
          for film, label, score in (("a", "1", "0.9"), ("b", "0", "0.2"), ("c", "1", "0.6")))]  # fmt: skip


@quick
@given(st.lists(st.tuples(st.integers(0, len(GOOD) - 1), st.integers(0, 6), CELLS), max_size=5))
def test_a_good_table_with_some_cells_changed(changes: list[tuple[int, int, str]]) -> None:
    rows = [list(row) for row in GOOD]
    for row, column, cell in changes:
        rows[row][column] = cell
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "scores.csv"
        path.write_text(as_csv(rows, ","), encoding="utf-8", errors="replace")
        read_or_refuse(path)


EXCEL = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 5),
    st.floats(allow_nan=False, allow_infinity=False),
    st.datetimes(),
    st.sampled_from(["image_id", "label", "arm", "score", "A", "#N/A"]),
)


@some
@given(st.lists(st.lists(EXCEL, max_size=6), max_size=6))
def test_any_workbook(rows: list[list[object]]) -> None:
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    with tempfile.TemporaryDirectory() as folder:
        book.save(Path(folder) / "scores.csv")
        read_or_refuse(Path(folder) / "scores.csv")


KEYS = "image_id bbox score case_pred case_target f0 f1 image box label label_scores images annotations id file_name"
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.sampled_from(["f0", "f1", "x/f0.png", "0"])),
    lambda inner: st.one_of(
        st.lists(inner, max_size=5),
        st.dictionaries(st.sampled_from([*KEYS.split(), "category_id"]), inner, max_size=4),
    ),
    max_leaves=20,
)


@quick
@given(JSON, JSON, st.booleans())
def test_any_export(export: object, labels: object, table: bool) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "one.json").write_text(json.dumps(export))
        (folder / "two.json").write_text('[{"image_id": "f0", "bbox": [0, 0, 1, 1], "score": 0.5}]')
        (folder / "labels.json").write_text(json.dumps(labels))
        if table:
            (folder / "labels.csv").write_text("image_id,label\nf0,1\nf1,0\n")
        read_or_refuse(folder)


@some
@given(st.lists(st.one_of(st.text(max_size=40), st.lists(CELLS, max_size=8).map(" ".join)), max_size=4))
def test_any_lines_of_yolo(lines: list[str]) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "labels.csv").write_text("image_id,label,width,height\nf0,1,100,90\nf1,0,100,90\n")
        for arm in ("one", "two"):
            (folder / arm).mkdir()
            (folder / arm / "f0.txt").write_text("0 0.5 0.5 0.1 0.1 0.9\n")
        (folder / "two" / "f1.txt").write_text("\n".join(lines), encoding="utf-8", errors="replace")
        read_or_refuse(folder)
