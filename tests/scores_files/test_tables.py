"""Files as they come: encodings, renamed and damaged files, devices; each is read or refused in one sentence, soon."""

from __future__ import annotations

import io
import json
import os
import time
import zipfile
from pathlib import Path

import numpy as np
import openpyxl
import pandas as pd
import pytest

from osteotl.scores_files import tables
from osteotl.scores_files.reading import ScoresError, read_scores

LONG = "image_id,label,arm,score\na,1,A,0.9\nb,0,A,0.2\na,1,B,0.8\nb,0,B,0.3\n"
SECONDS = 20  # for what takes well under one on a quiet machine


def refused(path: Path) -> str:
    """The one sentence with which a file is refused."""
    began = time.perf_counter()
    with pytest.raises(ScoresError) as caught:
        read_scores(path)
    assert time.perf_counter() - began < SECONDS
    assert len(caught.value.faults) == 1, caught.value.faults
    assert len(caught.value.faults[0]) < 500
    assert "\n" not in caught.value.faults[0]
    return caught.value.faults[0]


def put(folder: Path, content: str | bytes, name: str = "scores.csv") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


# --- read -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("encoding", "remark"),
    [("utf-8", ""), ("utf-8-sig", ""), ("utf-16", ""), ("cp1252", "read as Windows-1252")],
)
def test_encodings(tmp_path: Path, encoding: str, remark: str) -> None:
    scores = read_scores(put(tmp_path, LONG.replace("A,", "Müller é,").encode(encoding)))
    assert scores.arms == ("Müller é", "B")
    assert remark in "\n".join(scores.remarks)
    assert bool(remark) == any("1252" in said for said in scores.remarks)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace("\n", "\r"),
        lambda text: text.replace(",", "\t"),
        lambda text: text.replace(",", "|"),
        lambda text: "sep=;\n" + text.replace(",", ";"),
        lambda text: "\n\n" + text,
        lambda text: text.replace("\n", ",\n"),
        lambda text: text.replace("image_id", '"image_id"').replace("a,1", '"a","1"'),
        lambda text: text.replace(",", " , "),
    ],
)
def test_dialects_of_csv_say_the_same(tmp_path: Path, change) -> None:
    expected = read_scores(put(tmp_path, LONG, "plain.csv")).predictions
    pd.testing.assert_frame_equal(read_scores(put(tmp_path, change(LONG))).predictions, expected)


def test_scores_keep_every_digit(tmp_path: Path) -> None:
    # Python's float() of the printed digits is the nearest double, and repr prints the shortest that comes back
    values = np.random.default_rng(0).random(200)
    rows = [f"f{i},{i % 2},{arm},{value!r}" for arm in "AB" for i, value in enumerate(values.tolist())]
    read = read_scores(put(tmp_path, "image_id,label,arm,score\n" + "\n".join(rows))).predictions
    assert read["score"].tolist() == [*values, *values]


def test_workbooks(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "scores"
    header = ["image_id", "label", "arm", "score", "age"]
    first = [[], header, [7, True, "A", 0.9, 12.5], [8, False, "A", "0.2", None], []]
    for row in [*first, [7, 1, "B", 1, 12.5], [8, 0, "B", 0.3, None]]:
        sheet.append(row)
    book.create_sheet("notes").append(["mine"])
    book.save(tmp_path / "scores.xlsx")
    scores = read_scores(tmp_path / "scores.xlsx")
    assert scores.predictions["image_id"].tolist() == ["7", "8", "7", "8"]
    assert scores.predictions["age"].tolist()[::2] == [12.5, 12.5]
    assert any("sheet 'scores' is read; left out: 'notes'" in remark for remark in scores.remarks)
    sheet["D3"] = "high"
    book.save(tmp_path / "scores.xlsx")
    assert refused(tmp_path / "scores.xlsx") == "scores.xlsx: score: row 3 text, not a number, e.g. 'high'"


def test_parquet_with_gaps_lists_and_an_index(tmp_path: Path) -> None:
    frame = pd.DataFrame({"image_id": [7.0, 8.0, 7.0, 8.0], "label": [1, 0, 1, 0], "arm": pd.Categorical(list("AABB")),
                          "score": np.array([0.9, 0.2, 0.8, 0.3], np.float32),
                          "boxes": [[[0, 0, 5, 5, 0.9]], [], None, []]}).set_index("image_id")  # fmt: skip
    frame.to_parquet(tmp_path / "scores.pq")
    scores = read_scores(tmp_path / "scores.pq")
    assert scores.predictions["image_id"].tolist() == ["7", "8", "7", "8"]
    assert scores.predictions["score"].tolist() == [float(np.float32(x)) for x in (0.9, 0.2, 0.8, 0.3)]
    assert scores.detections is not None
    assert scores.detections["x_max"].tolist() == [5.0]


# --- refused ----------------------------------------------------------------------------------------------------------


def zipped(**files: bytes) -> bytes:
    kept = io.BytesIO()
    with zipfile.ZipFile(kept, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name.replace("__", "/").replace("_xml", ".xml"), content)
    return kept.getvalue()


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"", "empty"),
        (b"\n\n \n", "empty"),
        (b"\xd0\xcf\x11\xe0" + bytes(500), "old Excel workbook"),
        (b"\x1f\x8b\x08" + bytes(50), "gzip"),
        (b"\x89PNG\r\n\x1a\n", "a picture"),
        (b"\x80\x04\x95", "never opened"),
        (b"%PDF-1.7", "PDF"),
        (b"PAR1 but no more", "not a whole Parquet"),
        (b"PK\x03\x04 but no more", "damaged workbook or archive"),
        (zipped(a=b"x"), "a zip archive"),
        (zipped(mimetype=b"application/vnd.oasis", content_xml=b"<x/>"), "OpenDocument"),
        (zipped(xl__workbook_xml=b"<x/>"), "damaged Excel workbook"),
        (b"<html><table><tr><td>a</td></tr></table></html>", "HTML"),
        (b'[{"image_id": 1}]', "into a folder beside labels.csv"),
        (LONG.encode().replace(b"0.9", b"0.\0"), "row 2 holds a NUL character"),
        (LONG.encode("utf-16")[2:], "NUL"),
        (b"image_id,label\x81\xff\n", "not UTF-8"),
        (LONG.replace("a,1,A", '"a,1,A').encode(), "quotation mark"),
        (LONG.replace("0.9", "0,9").encode(), "row 2 more than the header's 4 fields; a decimal comma"),
    ],
)
def test_other_kinds_of_files_are_named(tmp_path: Path, content: bytes, word: str) -> None:
    assert word in refused(put(tmp_path, content))


def test_devices_pipes_and_missing_files_are_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    assert "no regular file" in refused(tmp_path / "pipe.csv")
    assert "no regular file" in refused(Path("/dev/zero"))
    assert "No such file" in refused(tmp_path / "none.csv")
    assert "null" in refused(tmp_path / "nul\0.csv")


def test_too_large_files_and_workbooks_that_unpack_to_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "MOST_BYTES", 1_000_000)
    bomb = put(tmp_path, zipped(xl__workbook_xml=bytes(2_000_000)), "bomb.xlsx")
    assert bomb.stat().st_size < 10_000
    assert "unpacks to more than 1 MB" in refused(bomb)
    with pytest.raises(tables.TableError, match="larger than"):
        tables.read_whole(bomb, most=100)


def test_a_hundred_thousand_columns(tmp_path: Path) -> None:
    header = ["image_id", "label", *(f"net{i}" for i in range(100_000))]
    wide = put(tmp_path, "\n".join([",".join(header), ",".join(["a", "1"] + ["0.5"] * 100_000)]))
    assert "100,002 columns, where 2,000 are the most" in refused(wide)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("0.9", "1.7e308"), "score: row 2 beyond 1e+09"),
        (("0.9", "1e999"), "score: row 2 not finite, e.g. '1e999'"),
        (("0.9", "-inf"), "score: row 2 not finite, e.g. '-inf'"),
        (("0.9", "NaN"), "score: row 2 missing"),
        (("0.9", "NA"), "score: row 2 missing"),
        (("0.9", "#N/A"), "score: row 2 missing"),
        (("0.9", "0x1p-1"), "score: row 2 text, not a number, e.g. '0x1p-1'"),
        (("0.9", "1_0"), "score: row 2 text, not a number, e.g. '1_0'"),
        (("a,1,A", "a,,A"), "label: row 2 empty"),
        (("a,1,A", "a,malign,A"), "label: row 2 neither 1 (malignant) nor 0 (not), e.g. 'malign'"),
    ],
)
def test_the_cell_of_the_file_stands_in_the_message(tmp_path: Path, change: tuple[str, str], message: str) -> None:
    with pytest.raises(ScoresError) as caught:
        read_scores(put(tmp_path, LONG.replace(*change, 1)))
    assert any(message in fault for fault in caught.value.faults), caught.value.faults
    assert not any("'nan'" in fault for fault in caught.value.faults)


@pytest.mark.parametrize("seed", ["1e30", "10000000000000000000000", "-1", "0.5", "1e999", "2147483648"])
def test_impossible_seeds(tmp_path: Path, seed: str) -> None:
    rows = [line + f",{seed}" for line in LONG.splitlines()[1:]]
    with pytest.raises(ScoresError) as caught:
        read_scores(put(tmp_path, "image_id,label,arm,score,seed\n" + "\n".join(rows)))
    rule = f"column 'seed': rows 2, 3, 4, 5 not a whole number from 0 to 2147483647, e.g. '{seed}'"
    assert any(rule in fault for fault in caught.value.faults), caught.value.faults


def test_a_seed_for_every_row_is_no_seed(tmp_path: Path) -> None:
    rows = [f"f{i % 40},{i % 2},{'AB'[i % 2]},0.5,{i}" for i in range(200_000)]
    path = put(tmp_path, "image_id,label,arm,score,seed\n" + "\n".join(rows))
    assert "200,000 runs (arms, fractions, seeds), where 1,000 are the most" in refused(path)


@pytest.mark.parametrize(
    ("cell", "what"),
    [
        ("[" * 5_000 + "]" * 5_000, "not a list of boxes"),
        ("[[0,0,NaN,5,0.9]]", "not finite"),
        ("[[0,0,1e999,5,0.9]]", "not finite"),
        ("[[0,0,5,5,Infinity]]", "not finite"),
        ("[[0,0,1e300,5,0.9]]", "beyond"),
        ("[[0,0," + "9" * 400 + ",5,0.9]]", "beyond"),
        ("[[5,5,0,0,0.9]]", "not rising"),
        ("[[0,0,5,5]]", "not a list of boxes with 5 numbers"),
        ("[[0,0,5,5,true]]", "not a list of boxes"),
        ('[["0","0","5","5","1"]]', "not a list of boxes"),
        ('{"a": 1}', "not a list of boxes"),
        ("9" * 5_000, "not a list of boxes"),
        ("text", "not a list of boxes"),
    ],
)
def test_boxes_that_are_none(tmp_path: Path, cell: str, what: str) -> None:
    quoted = '"' + cell.replace('"', '""') + '"'
    text = LONG.replace("score\n", "score,boxes\n").replace("0.9\n", f"0.9,{quoted}\n")
    for value in ("0.2", "0.8", "0.3"):
        text = text.replace(f"{value}\n", f"{value},\n")
    assert what in refused(put(tmp_path, text))
    assert "boxes: row 2" in refused(put(tmp_path, text))


def test_boxes_as_rows_have_four_rising_corners(tmp_path: Path) -> None:
    text = (
        "image_id,label,arm,score,x_min,y_min,x_max,y_max\n"
        "a,1,A,0.4,0,0,5,5\nb,0,A,0.1,5,5,1,1\na,1,B,0.8,0,0,5,\nb,0,B,0.3,,,,\n"
    )
    with pytest.raises(ScoresError) as caught:
        read_scores(put(tmp_path, text))
    assert len(caught.value.faults) == 2
    assert "boxes: row 4 some corners only" in caught.value.faults[0]
    assert "boxes: row 3 a box whose corners are not finite, not rising" in caught.value.faults[1]


def test_lesions_of_a_film_stand_on_any_of_its_rows_but_agree(tmp_path: Path) -> None:
    lesions = {"A,0.9": "", "A,0.2": "", "B,0.8": json.dumps([[1, 1, 4, 4]]), "B,0.3": ""}
    rows = [f'{line},"{lesions[line[4:]]}"' for line in LONG.splitlines()[1:]]
    header = "image_id,label,arm,score,lesions\n"
    scores = read_scores(put(tmp_path, header + "\n".join(rows)))
    assert scores.lesions is not None
    assert scores.lesions.to_numpy().tolist() == [["a", 1.0, 1.0, 4.0, 4.0]]
    rows[0] = rows[0].replace('""', '"[[2,2,4,4]]"')
    assert "lesions of film 'a' disagree" in refused(put(tmp_path, header + "\n".join(rows)))


# --- titles and sheets ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_titles_above_the_header(tmp_path: Path, separator: str) -> None:
    titles = f"Scores of March, 2024\n\nmodel{separator}A and B\n"
    scores = read_scores(put(tmp_path, titles + LONG.replace(",", separator)))
    assert scores.predictions["score"].tolist() == [0.9, 0.2, 0.8, 0.3]
    assert "the header is read from row 4; 3 rows above it are left out" in scores.remarks  # an empty one is among them
    odd = put(tmp_path, titles + LONG.replace(",", separator).replace("0.8", "x"))
    assert "row 7 text, not a number" in refused(odd)


def test_scores_on_another_sheet_below_a_title(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    book.active.append(["Read me"])
    book.active.append(["by the team", "2024"])
    sheet = book.create_sheet("Scores")
    for row in [["All models"], *(line.split(",") for line in LONG.splitlines())]:
        sheet.append(row)
    book.create_sheet("Log").append(["2024", "done"])
    book.save(tmp_path / "scores.xlsx")
    scores = read_scores(tmp_path / "scores.xlsx")
    assert scores.predictions["score"].tolist() == [0.9, 0.2, 0.8, 0.3]
    assert "sheet 'Scores' is read; left out: 'Sheet', 'Log'" in scores.remarks
    assert "the header is read from row 2; 1 row above it is left out" in scores.remarks
