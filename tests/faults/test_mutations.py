"""Cohorts and score files that somebody damaged: a correct reading or a sentence, and no film, box or score is lost.

Each mutation is what a person, a program or a disk does to a file. Two outcomes are right: what is read is what was
read before, or something is said that was not said before. What no reader can tell is left out: another valid number,
a YOLO file of fewer lines (its layout ends where it ends).
"""

from __future__ import annotations

import csv
import io
import json
import random
import re
import shutil

import pandas as pd
import pytest
import yaml

from cohorts import layouts
from osteotl.cohorts import tables
from osteotl.cohorts.faults import errors
from osteotl.scores_files.reading import check_scores, read_scores

LAYOUTS = {
    "manifest": {}, "btxrd": {}, "nih": {}, "vindr": {}, "rsna": {"patients": "rsna_to_nih.csv"}, "tbx11k": {},
    "coco": {}, "yolo": {}, "voc": {}, "labelme": {},
}  # fmt: skip
SEEDS = 20
#: cells that are neither a number nor a label, nor the name of a film
DAMAGE = ["", "NaN", "inf", "-inf", "1e999", "9" * 400, "[1, 2]", "{}", "x" * 5000, "0x10", "1_000", "12 px", "?", "--",
          "[" * 3000, "\u202e", "=1+1", "#REF!"]  # fmt: skip
#: what stands in JSON in place of what was meant
STRANGE = [None, True, False, "x", [], {}, -1, 10**30, 1e308, float("nan"), float("inf"), [[[[]]]], {"a": 1}, "0", 0.5]


# --- mutations of any file --------------------------------------------------------------------------------------------


def cut(path, rng):
    content = path.read_bytes()
    path.write_bytes(content[: rng.randrange(1, len(content))])


def emptied(path, rng):
    path.write_bytes(b"")


def gone(path, rng):
    path.unlink()


def a_folder(path, rng):
    path.unlink()
    path.mkdir()


def a_loop(path, rng):
    path.unlink()
    path.symlink_to(path.name)


def line_ends(path, rng):
    end = rng.choice([b"\r\n", b"\r"])
    path.write_bytes(re.sub(rb"\r?\n", end, path.read_bytes()))


def another_encoding(path, rng):
    encoding = rng.choice(["utf-16", "utf-8-sig", "utf-16-le", "utf-32"])
    path.write_bytes(path.read_text(encoding="utf-8").encode(encoding))


def bytes_flipped(path, rng):
    content = bytearray(path.read_bytes())
    for _ in range(3):
        content[rng.randrange(len(content))] = rng.choice([0, 0x81, 0xFF])
    path.write_bytes(bytes(content))


def said_twice(path, rng):
    path.write_bytes(path.read_bytes() * 2)


def another_case(path, rng):
    path.rename(path.with_name(path.name.swapcase()))


FILES = [cut, emptied, gone, a_folder, a_loop, line_ends, another_encoding, bytes_flipped, said_twice, another_case]


# --- mutations of tables ----------------------------------------------------------------------------------------------


def rows_of(path):
    return list(csv.reader(io.StringIO(path.read_text(encoding="utf-8"), newline="")))


def write_rows(path, rows):
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    path.write_text(text.getvalue(), encoding="utf-8")


def a_column(change):
    def mutate(path, rng):
        rows = rows_of(path)
        place = rng.randrange(len(rows[0]))
        write_rows(path, change([list(row) for row in rows], place, rng))

    mutate.__name__ = change.__name__
    return mutate


@a_column
def column_deleted(rows, place, rng):
    return [row[:place] + row[place + 1 :] for row in rows]


@a_column
def column_renamed(rows, place, rng):
    rows[0][place] = rng.choice(["", "column", "ünbekannt", rows[0][place] + "_old", "path.1"])
    return rows


@a_column
def column_twice(rows, place, rng):
    return [[*row, row[place] if place < len(row) else ""] for row in rows]


@a_column
def columns_swapped(rows, place, rng):
    """Never two columns of numbers: whether x_max stands in y_max, nobody can tell."""
    numeric = [all(re.fullmatch(r"[\d.]*", row[k]) for row in rows[1:] if k < len(row)) for k in range(len(rows[0]))]
    others = [k for k in range(len(rows[0])) if not (numeric[k] and numeric[place])]
    other = rng.choice(others or [place])
    for row in rows[1:]:
        if max(place, other) < len(row):
            row[place], row[other] = row[other], row[place]
    return rows


@a_column
def header_in_capitals_and_spaces(rows, place, rng):
    rows[0] = [f" {name.upper()} " for name in rows[0]]
    return rows


@a_column
def trailing_spaces(rows, place, rng):
    return [[f"{cell}  " for cell in row] for row in rows]


@a_column
def cell_damaged(rows, place, rng):
    row = rng.choice(rows[1:])
    row[place % len(row)] = rng.choice(DAMAGE)
    return rows


@a_column
def row_twice(rows, place, rng):
    return [*rows, rng.choice(rows[1:])]


@a_column
def row_too_short(rows, place, rng):
    row = rng.choice(rows[1:])
    del row[max(1, place) :]
    return rows


@a_column
def a_row_of_text(rows, place, rng):
    return [*rows, ["Total", str(len(rows) - 1)]]


@a_column
def a_title_above(rows, place, rng):
    return [["Export of 2026-11-30"], *rows]


TABLES = [column_deleted, column_renamed, column_twice, columns_swapped, header_in_capitals_and_spaces, trailing_spaces,
          cell_damaged, row_twice, row_too_short, a_row_of_text, a_title_above]  # fmt: skip


# --- mutations of JSON, XML and text files ----------------------------------------------------------------------------


def nodes(content, found=None):
    """Every (container, key) of a JSON content."""
    found = [] if found is None else found
    for key in content if isinstance(content, dict) else range(len(content)):
        found.append((content, key))
        if isinstance(content[key], dict | list):
            nodes(content[key], found)
    return found


def json_value(path, rng):
    content = json.loads(path.read_text())
    container, key = rng.choice(nodes(content))
    container[key] = rng.choice(STRANGE)
    path.write_text(json.dumps(content))


def json_key_gone(path, rng):
    content = json.loads(path.read_text())
    container, key = rng.choice([node for node in nodes(content) if isinstance(node[0], dict)])
    del container[key]
    path.write_text(json.dumps(content))


def json_key_of_another_case(path, rng):
    content = json.loads(path.read_text())
    container, key = rng.choice([node for node in nodes(content) if isinstance(node[0], dict)])
    container[key.capitalize()] = container.pop(key)
    path.write_text(json.dumps(content))


def json_key_twice(path, rng):
    text = path.read_text()
    key = rng.choice([key for key in json.loads(text) if isinstance(key, str)])
    path.write_text(text.rstrip().removesuffix("}") + f", {json.dumps(key)}: []}}")


def json_nested_deep(path, rng):
    path.write_text(path.read_text().replace("[", "[" * 2000, 1))


def xml_tag(path, rng):
    text = path.read_text()
    tag = rng.choice(sorted(set(re.findall(r"<(\w+)>", text))))
    new = rng.choice([tag.capitalize() if tag[0].islower() else tag.lower(), f"{tag}s"])
    path.write_text(re.sub(rf"<(/?){tag}>", rf"<\1{new}>", text))


def xml_text(path, rng):
    text = path.read_text()
    found = rng.choice(list(re.finditer(r">([^<>]+)<", text)))
    word = rng.choice([w for w in DAMAGE if len(w) < 100])
    path.write_text(text[: found.start(1)] + word + text[found.end(1) :])


def a_word_of_a_line(path, rng):
    words = re.split(r"(\s+)", path.read_text())
    words[2 * rng.randrange((len(words) + 1) // 2)] = rng.choice([w for w in DAMAGE if w and len(w) < 100])
    path.write_text("".join(words))


KINDS = {
    ".csv": [*FILES, *TABLES, *TABLES],
    ".json": [*FILES, json_value, json_value, json_value, json_value, json_key_gone, json_key_gone,
              json_key_of_another_case, json_key_twice, json_nested_deep],
    ".xml": [*FILES, xml_tag, xml_tag, xml_text],
    ".txt": [line_ends, another_encoding, bytes_flipped, a_folder, a_loop, gone, another_case, a_word_of_a_line],
    ".yaml": [*FILES, a_word_of_a_line],
}  # fmt: skip


# --- what is read, and what is said -----------------------------------------------------------------------------------


class Check:
    """`check` on one study file: its exit code, what it read, and what it said."""

    def __init__(self, reader, folder, monkeypatch, capsys):
        cohort = {"reader": reader, "root": str(folder / "films"), **LAYOUTS[reader]}
        self.config, self.data, self.capsys = folder / "study.yaml", folder / "data", capsys
        arms = {"a": {"initialise": "random"}, "b": {"initialise": "random"}}
        study = {"title": "T", "reference": "a", "arms": arms, "cohorts": {"development": cohort}}
        self.config.write_text(yaml.safe_dump(study))
        self.made, assemble = [], tables._assemble
        monkeypatch.setattr(tables, "_assemble", lambda *a, **k: self.made.append(assemble(*a, **k)) or self.made[-1])

    def __call__(self):
        code = tables.check_main(
            ["--config", str(self.config), "--data", str(self.data), "--no-pixels", "--limit", "0"]
        )
        said = self.capsys.readouterr()
        assert "Traceback" not in said.out + said.err
        summary, boxes = self.made.pop()
        assert code == (2 if errors(summary.faults) else 0)
        for found in summary.faults:
            assert found.file in found.message
            assert 10 < len(found.message) < 1_000
            assert found.remedy
            assert not re.search(r"object at 0x|\n", found.message)
        self.counts_add_up(summary)
        told = {found.message for found in summary.faults}
        return self.facts(summary.films, boxes), told | {line for line in said.out.splitlines() if "left out" in line}

    @staticmethod
    def facts(films, boxes):
        """Label of every film, and boxes by film."""
        path = dict(zip(films["image_id"], films["path"], strict=True))
        corners = boxes[["x_min", "y_min", "x_max", "y_max"]].astype(float).round(2).to_numpy().tolist()
        drawn = sorted([path[name], *box] for name, box in zip(boxes["image_id"], corners, strict=True))
        return dict(zip(films["path"], films["label"], strict=True)), drawn

    @staticmethod
    def counts_add_up(summary):
        """Films that are read are kept, or left out for a reason."""
        steps = pd.DataFrame(summary.flow).groupby("step")["films"].sum()
        assert steps["read"] == len(summary.films) + steps.get("left out", 0)


def suffixed(root):
    files = [path for path in sorted(root.rglob("*")) if path.is_file() and path.suffix in KINDS]
    return [path for path in files if path.name != "rsna_to_nih.csv" and path.stat().st_size]


@pytest.mark.parametrize("reader", LAYOUTS)
def test_a_damaged_cohort_is_read_rightly_or_told(tmp_path, reader, monkeypatch, capsys):
    check = Check(reader, tmp_path, monkeypatch, capsys)
    sound, root = getattr(layouts, reader)(tmp_path / "sound"), tmp_path / "films"
    shutil.copytree(sound, root)
    before, said = check()
    silent = []
    for seed in range(SEEDS):
        rng = random.Random(f"{reader} {seed}")
        path = rng.choice(suffixed(root))
        mutate = rng.choice(KINDS[path.suffix])
        mutate(path, rng)
        after, told = check()
        if after != before and not told - said:
            silent.append((seed, path.name, mutate.__name__, after))
        shutil.rmtree(root)
        shutil.copytree(sound, root)
    assert not silent


# --- study files ------------------------------------------------------------------------------------------------------


def test_a_damaged_study_file_is_read_or_refused(tmp_path, capsys):
    layouts.manifest(tmp_path / "films", 2, 2)
    cohort = {"reader": "manifest", "root": "films", "validation": 0.3, "classes": {"a": "1"}, "where": "site == 'A'"}
    arms = {"a": {"initialise": "random", "label": "A"}, "b": {"initialise": "random"}}
    sound = {"title": "T", "reference": "a", "arms": arms, "cohorts": {"development": cohort}, "seeds": [0, 1],
             "fractions": [0.5, 1.0], "detector": {"epochs": 2},
             "integrity": {"severity": {"box_edge": "error"}}}  # fmt: skip
    for seed in range(40):
        rng = random.Random(f"study {seed}")
        study = json.loads(json.dumps(sound))
        container, key = rng.choice(nodes(study))
        container[key] = rng.choice([*STRANGE, "x" * 10_000, [1] * 1_000])
        (tmp_path / "study.yaml").write_text(yaml.safe_dump(study))
        code = tables.check_main(["--config", str(tmp_path / "study.yaml"), "--data", str(tmp_path), "--no-pixels"])
        said = capsys.readouterr()
        assert code in (0, 2)
        assert "Traceback" not in said.out + said.err
        if code and said.err:
            assert "study.yaml" in said.err
            assert all(10 < len(line) < 1_000 for line in said.err.splitlines())


# --- scores -----------------------------------------------------------------------------------------------------------


def scores_table(path):
    rng = random.Random(5)
    rows = [["image_id", "patient_id", "label", "cohort", "arm", "seed", "score", "boxes"]]
    for number in range(12):
        for arm in ("scratch", "transfer"):
            for seed in ("1", "2"):
                score = f"{rng.random():.4f}"
                boxes = f"[[1, 2, 30, 40, {score}]]" if number % 2 else "[]"
                cohort = "external" if number < 8 else "validation"
                rows.append([f"f{number:03d}", f"P{number}", str(number % 2), cohort, arm, seed, score, boxes])
    write_rows(path, rows)


def scores_read(path, capsys):
    """Exit code, scores and boxes that are read, and the lines that `check` prints."""
    code = check_scores(path)
    said = capsys.readouterr()
    assert "Traceback" not in said.err
    assert code in (0, 2)
    if code:
        assert path.name in said.err
        return code, None, set(said.err.splitlines()[1:])
    scores = read_scores(path)
    keys = ["image_id", "label", "cohort", "arm", "seed", "score"]
    values = sorted(map(tuple, scores.predictions[keys].astype(str).to_numpy().tolist()))
    boxes = (
        sorted(map(tuple, scores.detections.astype(str).to_numpy().tolist())) if scores.detections is not None else []
    )
    return code, (values, boxes), set(said.out.splitlines())


def test_a_damaged_table_of_scores_is_read_rightly_or_told(tmp_path, capsys):
    scores_table(tmp_path / "sound.csv")
    _, before, said = scores_read(tmp_path / "sound.csv", capsys)
    silent = []
    for seed in range(70):
        rng = random.Random(f"scores {seed}")
        path = tmp_path / "scores.csv"
        shutil.copy(tmp_path / "sound.csv", path)
        mutate = rng.choice([kind for kind in KINDS[".csv"] if kind not in (gone, another_case, a_folder)])
        mutate(path, rng)
        _, after, told = scores_read(path, capsys)
        left_out = mutate is column_deleted and after and after[0] == before[0]  # boxes: they need not be given
        if after != before and not told - said and not left_out:
            silent.append((seed, mutate.__name__))
        path.unlink()
    assert not silent


EXPORTS = {
    "coco": [{"image_id": k, "category_id": 1, "bbox": [1, 2, 30, 40], "score": 0.1 + k / 10} for k in range(6)],
    "picai": {"case_pred": {f"f{k}": 0.1 + k / 10 for k in range(6)},
              "case_target": {f"f{k}": k % 2 for k in range(6)}},
    "monai": [{"image": f"f{k}.png", "box": [[1, 2, 30, 40]], "label": [0], "label_scores": [0.1 + k / 10]}
              for k in range(6)],
}  # fmt: skip


@pytest.mark.parametrize("kind", EXPORTS)
def test_a_damaged_folder_of_exports_is_read_rightly_or_told(tmp_path, capsys, kind):
    sound = tmp_path / "sound"
    sound.mkdir()
    names = [f"{k}" if kind == "coco" else f"f{k}" for k in range(6)]
    write_rows(sound / "labels.csv", [["image_id", "label"], *([name, str(k % 2)] for k, name in enumerate(names))])
    for arm in ("one", "two"):
        (sound / f"{arm}.json").write_text(json.dumps(EXPORTS[kind]))
    _, before, said = scores_read(sound, capsys)
    silent = []
    for seed in range(20):
        rng = random.Random(f"{kind} {seed}")
        root = tmp_path / "exports"
        shutil.copytree(sound, root)
        path = rng.choice(suffixed(root))
        mutate = rng.choice(KINDS[path.suffix])
        try:
            mutate(path, rng)
        except (KeyError, IndexError):  # a list has no keys
            shutil.rmtree(root)
            continue
        _, after, told = scores_read(root, capsys)
        if after != before and not told - said:
            silent.append((seed, path.name, mutate.__name__))
        shutil.rmtree(root)
    assert not silent
