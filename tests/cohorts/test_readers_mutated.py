"""Annotation files that somebody damaged: a listed fault or a correct reading; no traceback, hang or silent loss."""

import random
import zipfile
from pathlib import Path

import pytest

from cohorts import layouts
from osteotl.cohorts import tables
from osteotl.cohorts.readers import read_cohort
from osteotl.study import FileCohort, parse_study

ANNOTATIONS = {".json", ".xml", ".csv", ".yaml", ".txt", ".xlsx"}
SNIPPETS = [
    b"", b"\x00", b"\xff\xfe", b'"', b"'", b",", b"{", b"}", b"]", b"[", b"<", b"&", b"\n", b"\r", b"nan", b"-1",
    b"1e999", b"null", b"true", b"..", b"/etc/passwd", b"&lol;", b"99999999999999999999", b"*a", b"&a [*a]",
    b"\xe2\x80\xae", b"{}", b"[]", b"\t", b";",
]  # fmt: skip
LAYOUTS = [
    ("btxrd", {}, lambda root: layouts.btxrd(root)),
    ("btxrd", {}, lambda root: layouts.btxrd(root, "authors", as_xlsx=True)),
    ("nih", {}, layouts.nih),
    ("vindr", {}, layouts.vindr),
    ("rsna", {"patients": "rsna_to_nih.csv"}, layouts.rsna),
    ("tbx11k", {}, layouts.tbx11k),
    ("tbx11k", {"annotations": "annotations/xml"}, layouts.tbx11k),
    ("coco", {}, layouts.coco),
    ("yolo", {}, layouts.yolo),
    ("voc", {}, layouts.voc),
    ("labelme", {}, layouts.labelme),
    ("manifest", {}, layouts.manifest),
]
SEEDS = range(12)


def mutate(content: bytes, rng: random.Random) -> bytes:
    """Cut, flip, insert, repeat or delete somewhere."""
    place = rng.randrange(max(len(content), 1))
    length = rng.choice([1, 3, 20, 200])
    rest = content[place + 1 :]
    return rng.choice([
        lambda: content[:place],
        lambda: content[:place] + bytes(byte ^ (1 << rng.randrange(8)) for byte in content[place : place + 1]) + rest,
        lambda: content[:place] + rng.choice(SNIPPETS) + content[place:],
        lambda: content[:place] + rng.choice(SNIPPETS) + content[place + length :],
        lambda: content[:place] + content[place : place + length] * rng.choice([2, 50]) + content[place + length :],
        lambda: content[:place] + content[place + length :],
    ])()  # fmt: skip


def facts(cohort):
    """What a reading states: labels, and boxes."""
    films = dict(zip(cohort.films["image_id"], cohort.films["label"], strict=True))
    return films, sorted(map(tuple, cohort.boxes.round(3).astype(str).to_numpy().tolist()))


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("reader", "settings", "make"), LAYOUTS, ids=[f"{k}-{case[0]}" for k, case in enumerate(LAYOUTS)]
)
def test_mutated_annotations(tmp_path, reader, settings, make):
    root = make(tmp_path / "films")
    spec = FileCohort(reader=reader, root=root, **settings)
    study = parse_study({
        "title": "T", "cohorts": {"development": {"reader": reader, "root": str(root), **settings}}, "reference": "a",
        "arms": {"a": {"initialise": "random"}, "b": {"initialise": "random"}},
    })  # fmt: skip
    sound = read_cohort(spec, tmp_path)
    before = facts(sound)
    usual = {fault.code for fault in sound.faults}
    files = sorted(path for path in root.rglob("*") if path.suffix in ANNOTATIONS)
    listed = 0
    for seed in SEEDS:
        rng = random.Random(f"{reader}/{seed}")
        path = rng.choice(files)
        content = path.read_bytes()
        path.write_bytes(mutate(content, rng))
        cohort = read_cohort(spec, tmp_path)
        tables.check(study, tmp_path / "data", with_pixels=False)
        path.write_bytes(content)
        steps = [(step.step, step.films) for step in cohort.flow]
        assert sum(n for step, n in steps if step == "read") == len(cohort.films) + sum(
            n for step, n in steps if step == "left out"
        )
        new = {fault.code for fault in cohort.faults} - usual
        listed += bool(new)
        lost = set(sound.films["path"]) - set(cohort.films["path"])
        # a film may vanish only with a fault that tells of it, or counted among those that are not annotated
        assert not lost or new or any(step == "left out" for step, _ in steps), (seed, path.name, lost)
        assert all(fault.file in fault.message for fault in cohort.faults)
    assert listed, "no mutation was noticed: the mutations are too mild"
    assert facts(read_cohort(spec, tmp_path)) == before


# --- crafted attacks --------------------------------------------------------------------------------------------------


def codes(reader, root, **settings):
    return layouts.codes(layouts.read(reader, root, **settings))


def test_xlsx_that_unpacks_to_gigabytes(tmp_path):
    root = layouts.btxrd(tmp_path)
    (root / "dataset.csv").unlink()
    with (
        zipfile.ZipFile(root / "dataset.xlsx", "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("xl/worksheets/sheet1.xml", "w", force_zip64=True) as file,
    ):
        for _ in range(600):
            file.write(b" " * (1 << 20))
    cohort = layouts.read("btxrd", root)
    assert "unpacks to more than" in next(f.message for f in cohort.faults if f.code == "file_unreadable")


@pytest.mark.parametrize(
    "text", ["[" * 100_000, '{"a":' * 100_000, "1" * 10_000, '"\\ud800"', "NaN", "[1,", "\ufeff{}"]
)
def test_json_that_is_deep_long_or_odd(tmp_path, text):
    root = layouts.coco(tmp_path)
    (root / "annotations.json").write_bytes(text.encode("utf-8", "surrogatepass"))
    assert "file_unreadable" in codes("coco", root)


def test_yaml_bomb_and_yaml_that_runs_code(tmp_path):
    root = layouts.yolo(tmp_path)
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{k}: &a{k} [{', '.join([f'*a{k - 1}'] * 9)}]" for k in range(1, 12)]
    for text in (
        "\n".join([*lines, "names: *a11"]),
        "names: !!python/object/apply:os.system ['touch x']",
        "names: 3",
        "[[[",
    ):
        (root / "data.yaml").write_text(text)
        cohort = layouts.read("yolo", root)
        assert "file_unreadable" in layouts.codes(cohort) or "row_invalid" in layouts.codes(cohort)
    assert not Path("x").exists()


def test_xml_that_names_a_file_of_the_machine(tmp_path):
    root = layouts.voc(tmp_path)
    secret = tmp_path / "secret.txt"
    secret.write_text("CANARY")
    (root / "Annotations/a.xml").write_text(
        f'<!DOCTYPE a [<!ENTITY x SYSTEM "file://{secret}">]><annotation><filename>&x;</filename></annotation>'
    )
    cohort = layouts.read("voc", root)
    assert "file_unreadable" in layouts.codes(cohort)
    assert "CANARY" not in " ".join(f.message for f in cohort.faults)


def test_folder_that_links_to_itself(tmp_path):
    root = layouts.coco(tmp_path)
    (root / "images/loop").symlink_to(root / "images", target_is_directory=True)
    assert len(layouts.read("coco", root).films) == 3


@pytest.mark.parametrize("name", ["annotations.json", "images"])
def test_a_folder_where_a_file_should_be_and_the_reverse(tmp_path, name):
    root = layouts.coco(tmp_path)
    path = root / name
    if path.is_dir():
        path.rename(root / "elsewhere")
        path.write_text("x")
    else:
        path.unlink()
        path.mkdir()
    assert layouts.codes(layouts.read("coco", root, annotations="annotations.json", images="images"))


def test_a_film_name_with_terminal_escapes(tmp_path):
    path = layouts.manifest(tmp_path) / "manifest.csv"
    path.write_text(path.read_text().replace("films/f003.png", "films/\x1b[2Jf003.png"))
    assert not any("\x1b" in f.message or "\x1b" in f.file for f in layouts.read("manifest", tmp_path).faults)
