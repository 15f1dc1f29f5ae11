"""A name planted in file names, folders, tags, tables and annotations, kept or left out, is handed on by no layout."""

import json
import re

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from cohorts import layouts
from osteotl.cohorts import tables
from osteotl.cohorts.faults import CODES
from osteotl.display import characteristics
from osteotl.figures import contact_sheet
from osteotl.report.render import _films_of_faults
from osteotl.report.safety import film_names, private
from osteotl.study import parse_study

NAME = "Mustermann_Erika_1961-04-23"  # in the name of every film
SEEN = re.compile("mustermann|erika|1961-04|planted", re.IGNORECASE)
TEXTS = (".csv", ".json", ".xml", ".txt", ".yaml")


def planted(reader, root):
    """A layout's fixture whose films, tables and annotations are full of names, and the settings that read it."""
    {"manifest": layouts.manifest}.get(reader, getattr(layouts, reader))(root)
    films = [path for path in root.rglob("*") if path.suffix in (".png", ".jpeg")]
    stems = sorted({path.stem for path in films}, key=len, reverse=True)
    for path in [path for path in root.rglob("*") if path.suffix in TEXTS]:
        text = path.read_text()
        for stem in stems:  # a name where a film is named: before its suffix, or as a cell or text of its own
            text = re.sub(rf'(?<![\w.-]){re.escape(stem)}(?=\.(?:png|jpe?g)|[,"])', f"{NAME}_{stem}", text)
        path.write_text(_with_notes(path.suffix, text))
        if path.stem in stems:
            path.rename(path.with_name(f"{NAME}_{path.name}"))
    for path in films:
        tags = PngInfo()
        tags.add_text("Author", "PLANTEDTAG")
        more = {"pnginfo": tags} if path.suffix == ".png" else {"comment": b"PLANTEDTAG"}
        Image.open(path).save(path.with_name(f"{NAME}_{path.name}"), **more)
        path.unlink()
    kept = sorted(root.rglob(f"{NAME}_*.*g"))
    (kept[0].parent / f"{NAME} (unlisted).png").write_bytes(layouts.film(root / "x.png", seed=99).read_bytes())
    (root / "x.png").unlink()
    layouts.table(
        root / "persons.csv",
        ["image_id", "patient_id"],
        [[path.relative_to(root).as_posix(), f"PLANTEDPATIENT-{k}"] for k, path in enumerate(kept)],
    )
    return kept


def _with_notes(suffix, text):
    """An annotation or table with remarks of the person who wrote it."""
    if suffix == ".json":
        content = json.loads(text)
        content["info"] = {"contributor": "PLANTEDAUTHOR"}
        for part in ("images", "annotations", "shapes"):
            for entry in content.get(part, []):
                entry["description"] = "PLANTEDNOTE"
        return json.dumps(content)
    if suffix == ".xml":
        return text.replace("<annotation>", "<annotation><source><annotator>PLANTEDAUTHOR</annotator></source>", 1)
    return text


def shared_of(out, data):
    """What the notebook of the cohorts shows and hands on, as it is."""
    films, content = tables.read_films(out), tables.read_integrity(out / "integrity.json")
    boxes = tables.pd.read_csv(out / "boxes.csv", dtype={"image_id": str})
    return {
        "flow": tables.flow_table(content).to_csv(),
        "faults": tables.fault_table(content).to_csv(),
        "counts": json.dumps(content["counts"]),
        "characteristics": "".join(str(characteristics(films, unit).__html__()) for unit in ("film", "patient")),
        "sheet": str(contact_sheet(films, boxes, data, films_per_cohort=6)._repr_html_()),
        "identifiers": films.drop(columns="path").to_csv(),
        "prepared": "".join(path.read_bytes().decode("latin-1") for path in (data / ".prepared").rglob("*.png")),
    }


@pytest.mark.parametrize(
    "reader", ["btxrd", "coco", "labelme", "manifest", "nih", "rsna", "tbx11k", "vindr", "voc", "yolo"]
)
def test_no_layout_hands_a_planted_name_on(tmp_path, reader):
    root = tmp_path / "Praxis_Mustermann_Planted"
    root.mkdir()
    kept = planted(reader, root)
    study = parse_study({
        "title": "T", "reference": "a", "arms": {"a": {"initialise": "random"}, "b": {"initialise": "random"}},
        "cohorts": {"development": {"reader": reader, "root": str(root), "patients": "persons.csv"}},
        "integrity": {"severity": dict.fromkeys(CODES, "warning"), "exclude": [kept[0].name]},
    })  # fmt: skip
    summary = tables.build_cohorts(study, tmp_path / "out", tmp_path / "data")
    assert len(summary.films)
    assert any("unlisted" in name for name in summary.left_out)
    shared = shared_of(tmp_path / "out/cohorts", tmp_path / "data")
    assert {name: SEEN.findall(text) for name, text in shared.items()} == {name: [] for name in shared}
    # what is never shared names films, kept ones and others; the page's filter knows each of them in any spelling
    known = film_names(
        [tables.pd.read_csv(path, dtype=str) for path in (tmp_path / "out/cohorts").glob("*.csv")],
        _films_of_faults(tmp_path / "out"),
    )
    for path in kept:
        for spelling in (path.name, path.stem, path.relative_to(root), path.relative_to(tmp_path), path):
            text = private(f"<{spelling}>, read from {spelling}: as it is.", known)
            assert NAME not in text, text
