"""Exports of detectors beside labels: the score of a film is that of its highest box; the rest is named."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path

import pytest

from osteotl.scores_files.reading import ScoresError, ScoresFile, read_scores
from osteotl.workflow import fingerprint

LABELS = "image_id,label,width,height\nf0,1,100,50\nf1,0,100,50\n"
# a second arm that every folder needs
OTHER = json.dumps([{"image_id": "f0", "bbox": [1, 2, 3, 4], "score": 0.6}])


def folder(root: Path, **files: str | bytes | list | dict) -> Path:
    """A folder of exports; `__` in a name parts folders."""
    made = {"labels.csv": LABELS, "other.json": OTHER} | {name.replace("__", "/"): text for name, text in files.items()}
    for name, content in made.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        text = content if isinstance(content, str | bytes) else json.dumps(content)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return root


def read(root: Path, **files: str | bytes | list | dict) -> ScoresFile:
    return read_scores(folder(root, **files))


def scores_of(file: ScoresFile, arm: str) -> dict[str, float]:
    rows = file.predictions[file.predictions["arm"] == arm]
    return dict(zip(rows["image_id"], rows["score"], strict=True))


def fault(root: Path, **files: str | bytes | list | dict) -> str:
    with pytest.raises(ScoresError) as caught:
        read(root, **files)
    assert len(caught.value.faults) == 1, caught.value.faults
    assert len(caught.value.faults[0]) < 500
    return caught.value.faults[0]


DETECTIONS = [{"image_id": "f0", "category_id": 1, "bbox": [10, 10, 5, 5], "score": 0.9},
              {"image_id": "f0", "category_id": 1, "bbox": [0, 0, 5, 5], "score": 0.4},
              {"image_id": "f1", "category_id": 1, "bbox": [0, 0, 5, 5], "score": 0.2}]  # fmt: skip
TWO = [[10, 10, 15, 15], [0, 0, 5, 5]]
MONAI = [{"image": "/data/f0.nii.gz", "box": TWO, "label": [0, 0], "label_scores": [0.9, 0.4]},
         {"image": "/data/f1.nii.gz", "box": [[0, 0, 5, 5]], "label": [0], "label_scores": [0.2]}]  # fmt: skip
NNDET = {"1": {"score": 0.9, "label": 0, "box": [10, 10, 15, 15]}, "2": {"score": 0.4, "label": 0, "box": [0, 0, 5, 5]}}


@pytest.mark.parametrize(
    "files",
    [
        {"net.json": DETECTIONS},
        {"net__predictions.json": DETECTIONS},
        {"net.json": [{**one, "file_name": f"images/{one['image_id']}.png", "image_id": 7} for one in DETECTIONS]},
        {"net.json": MONAI},
        {"net.json": {"validation": MONAI}},
        {"net.json": {"case_pred": {"f0": 0.9, "f1": 0.2}, "auroc": 1.0}},
        {"net.csv": "image_id,score\nf0,0.9\nf1,0.2\n"},
        {"net.csv": "filename;confidence\nf0.png;0,9\nf1.png;0,2\n"},
        {"net__f0.txt": "0 0.5 0.5 0.1 0.1 0.9\n0 0.2 0.2 0.1 0.1 0.4\n", "net__f1.txt": "0 0.5 0.5 0.1 0.1 0.2\n"},
        {"net__labels__f0.txt": "0 0.5 0.5 0.1 0.1 0.9\n", "net__labels__f1.txt": "0 0.5 0.5 0.1 0.1 0.2\n"},
        {"net__f0_boxes.json": NNDET, "net__f1_boxes.json": {"1": {"score": 0.2, "label": 0, "box": [0, 0, 5, 5]}}},
    ],
    ids=lambda files: next(iter(files)),
)
def test_what_is_read(tmp_path: Path, files: dict) -> None:
    """The highest of .9 and .4 on the malignant film, .2 on the other, whoever writes it."""
    read_file = read(tmp_path, **files)
    assert scores_of(read_file, "net") == {"f0": 0.9, "f1": 0.2}
    assert scores_of(read_file, "other") == {"f0": 0.6, "f1": 0.0}


@pytest.mark.parametrize(
    ("files", "what"),
    [
        ({"net.json": {"images": [], "annotations": []}}, "a COCO reference standard, not detections"),
        ({"net.json": [{"image_id": 1, "segmentation": {}, "score": 1}]}, "masks without boxes"),
        ({"net.json": [{"name": "tumour", "class": 0, "confidence": 0.9, "box": {"x1": 0}}]}, "Ultralytics' tojson()"),
        ({"net.json": {"shapes": [], "imagePath": "x"}}, "LabelMe annotations, not scores"),
        ({"net.json": {"a": 1}}, "neither COCO detections"),
        ({"net.json": "[" * 5_000 + "]" * 5_000}, "net.json: JSON nested too deeply"),
        ({"net.json": "{"}, "net.json: not JSON"),
        ({"net.json": "9" * 5_000}, "net.json: not JSON"),
        ({"net.json": [DETECTIONS[0], {**DETECTIONS[1], "category_id": 2}]}, "boxes of 2 classes ('1', '2')"),
        ({"net.json": [{**DETECTIONS[0], "score": float("nan")}]}, "detection 1 has no finite score"),
        ({"net.json": '[{"image_id": "f0", "bbox": [0, 0, 1e999, 5], "score": 0.5}]'}, "detection 1 has no finite"),
        ({"net.json": [{**DETECTIONS[0], "bbox": [0, 0, 0, 5]}]}, "no box of x, y, width, height above 0"),
        ({"net.json": [{**DETECTIONS[0], "bbox": None}]}, "no box of x, y, width, height above 0"),
        ({"net.json": [{**DETECTIONS[0], "image_id": 7}]}, "give the reference standard as labels.json"),
        ({"net.json": [{**MONAI[0], "label_scores": [0.9]}]}, "not as many label_scores as boxes"),
        ({"net.json": [{**MONAI[0], "box": [[10, 10, 5, 5], [0, 0, 5, 5]]}]}, "ConvertBoxMode to xyxy"),
        ({"net.json": [{**MONAI[0], "label": [0, 1]}]}, "boxes of 2 classes ('0', '1')"),
        ({"net.json": [{**MONAI[0], "image": "other.nii"}]}, "films that the labels do not name: 'other.nii'"),
        ({"net.json": {"case_pred": {"f0": "high", "f1": 1}}}, "the score of 'f0' is no number"),
        ({"net.json": {"case_pred": {"f0": 1}}}, "no score for 'f1'"),
        ({"net.csv": "image_id,score\nf0,0.9\nf0,0.8\nf1,0\n"}, "a film stands twice"),
        ({"net.csv": "image_id,score\nf0,0.9\nf0.png,0.8\nf1,0\n"}, "two cases are one film"),
        ({"net.csv": "image_id,score\nf0,0.9\nf1,\n"}, "net.csv: score: row 3 missing"),
        ({"results.csv": "epoch,train/box_loss\n1,0.5\n"}, "Ultralytics' results.csv holds losses, no scores"),
        ({"net__f0.txt": "0 0.5 0.5 0.1 0.1\n"}, "net/f0.txt: line 1 has no confidence; export with save_conf=True"),
        ({"net__f0.txt": "0.93 malignant\n0.07 normal\n"}, "two fields, as a classifier writes them"),
        ({"net__f0.txt": "0 " + "0.5 " * 8 + "0.9\n"}, "has 10 fields where a box has 6"),
        ({"net__f0.txt": "0 320 240 50 50 0.9\n"}, "is not relative to the film"),
        ({"net__f0.txt": "0 0.5 0.5 0.1 0.1 nan\n"}, "is not relative to the film"),
        ({"net__f0.txt": "0 0.5 0.5 0.1 0.1 high\n"}, "no number"),
        ({"net__f0.txt": "0 .5 .5 .1 .1 .9\n2 .5 .5 .1 .1 .9\n"}, "boxes of 2 classes ('0', '2')"),
        ({"net__other.txt": "0 0.5 0.5 0.1 0.1 0.9\n"}, "net/other.txt: a film that the labels do not name"),
        ({"net__f0_boxes.json": [1]}, "not nnDetection's boxes"),
        ({"net__f0_boxes.pkl": pickle.dumps({"pred_scores": [0.9]})}, "never opened"),
        ({"net.pkl": pickle.dumps([1])}, "net.pkl: pickled results (nnDetection, mmdetection, PyTorch) can carry code"),
        ({"net.json": DETECTIONS, "net.csv": "image_id,score\nf0,1\nf1,0\n"}, "net.json and net.csv are the same arm"),
        ({"labels.csv": "image_id,label\nf0,1\nf0,1\nf1,0\n"}, "labels.csv: film 'f0' stands twice"),
        ({"labels.csv": "image_id,label\nf0,1\nf1,2\n"}, "labels.csv: label: row 3 neither 1"),
        ({"labels.csv": "film,note\nf0,1\n"}, "labels.csv: no column 'label'"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_what_is_refused_in_one_sentence(tmp_path: Path, files: dict, what: str) -> None:
    assert what in fault(tmp_path, **files)


def test_litter_is_passed_over_and_what_is_left_out_is_named(tmp_path: Path) -> None:
    files = {
        ".DS_Store": b"\0",
        "._net.json": b"\0\5\x16",
        "__pycache__x": "",
        "notes.md": "mine",
        "plots__a.png": b"x",
    }
    made = folder(tmp_path, **{"net.json": DETECTIONS})
    for name, content in files.items():
        path = made / name.replace("plots__", "plots/")
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    scores = read_scores(made)
    assert scores.arms == ("net", "other")
    assert any(
        "left out, for they hold no scores that are known here: 'notes.md', 'plots/'" in r for r in scores.remarks
    )


def test_pipes_in_a_folder_are_not_opened(tmp_path: Path) -> None:
    os.mkfifo(folder(tmp_path) / "net.json")
    with pytest.raises(ScoresError, match=r"net\.json: no regular file"):
        read_scores(tmp_path)


def test_labels_may_be_a_workbook_and_runs_stand_in_names(tmp_path: Path) -> None:
    import openpyxl

    book = openpyxl.Workbook()
    for row in (["image_id", "label", "patient_id", "sex"], ["f0", 1, "P", "F"], ["f1", 0, "P", "F"]):
        book.active.append(row)
    made = folder(tmp_path, **{"net_seed3.json": DETECTIONS, "net_seed4.json": DETECTIONS})
    (made / "labels.csv").unlink()
    book.save(made / "labels.xlsx")
    table = read_scores(made).predictions
    assert table.groupby("arm")["seed"].agg(set).to_dict() == {"net": {3, 4}, "other": {0}}
    assert set(table["patient_id"]) == {"P"}
    assert set(table["sex"]) == {"F"}


def test_a_stem_that_two_films_share_names_neither(tmp_path: Path) -> None:
    labels = "image_id,label\na/x.png,1\nb/x.png,0\n"
    exact = "image_id,score\na/x.png,0.9\nb/x.png,0.1\n"
    scores = read(tmp_path, **{"labels.csv": labels, "net.csv": exact, "other.json": "[]"})
    assert scores_of(scores, "net") == {"a/x.png": 0.9, "b/x.png": 0.1}
    with pytest.raises(ScoresError, match="films that the labels do not name: 'x'"):
        read(tmp_path, **{"labels.csv": labels, "net.csv": "image_id,score\nx,0.9\n", "other.json": "[]"})


def test_three_dimensional_boxes_give_scores_alone(tmp_path: Path) -> None:
    solid = [{**MONAI[0], "box": [[0, 0, 0, 5, 5, 5]] * 2}, {**MONAI[1], "box": [[0, 0, 0, 5, 5, 5]]}]
    scores = read(tmp_path, **{"net.json": solid, "other.json": solid})
    assert scores_of(scores, "net") == {"f0": 0.9, "f1": 0.2}
    assert scores.detections is None
    assert any("net.json: boxes are left out" in remark for remark in scores.remarks)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"annotations": [{"image_id": 9, "bbox": [1, 2, 3, 4]}]}, "annotation 1 is on an image that is not listed"),
        ({"annotations": [{"image_id": 1, "bbox": [1, 2, 0, 4]}]}, "annotation 1 has no box"),
        ({"annotations": [{"image_id": 1, "bbox": [1, 2, 3, 4], "category_id": c} for c in (1, 2)]}, "2 categories"),
        ({"images": [{"id": 1, "file_name": "a/f0.png"}, {"id": 2, "file_name": "b/f0.png"}]}, "two images have one"),
        ({"images": 5}, "labels.json: not a COCO reference standard"),
    ],
)
def test_faults_of_a_reference_standard(tmp_path: Path, change: dict, what: str) -> None:
    truth = {"images": [{"id": 1, "file_name": "f0.png"}, {"id": 2, "file_name": "f1.png"}],
             "annotations": [{"image_id": 1, "bbox": [1, 2, 3, 4], "category_id": 1}]}  # fmt: skip
    made = folder(tmp_path, **{"net.json": DETECTIONS, "labels.json": truth})
    (made / "labels.csv").unlink()
    assert read_scores(made).predictions.groupby("image_id")["label"].first().to_dict() == {"f0": 1, "f1": 0}
    (made / "labels.json").write_text(json.dumps(truth | change))
    with pytest.raises(ScoresError) as caught:
        read_scores(made)
    assert any(what in said for said in caught.value.faults), caught.value.faults


LITTER = (".DS_Store", "Thumbs.db", "desktop.ini", "._net.json", "~$labels.csv", ".~lock.labels.csv#", "__MACOSX")


def test_litter_is_neither_read_nor_named_nor_does_it_run_anything_again(tmp_path: Path) -> None:
    made = folder(tmp_path, **{"net.json": DETECTIONS})
    inner = made / "boxes"
    inner.mkdir()
    (inner / "f0.txt").write_text("0 .5 .5 .2 .2 .9\n")
    before = read_scores(made), fingerprint.tree(made, fingerprint.Memory())
    for place, names in ((made, LITTER), (inner, (*LITTER, "._f0.txt", "._f1_boxes.json", "._x.pkl"))):
        for name in names:
            (place / name).write_bytes(b"\0\5\x16\7 0 0 0 0 0")
    after = read_scores(made), fingerprint.tree(made, fingerprint.Memory())
    assert after[0].remarks == before[0].remarks
    assert after[0].predictions.equals(before[0].predictions)
    assert after[1] == before[1]
    (inner / "f1.txt").write_text("0 .5 .5 .2 .2 .9\n")  # no litter
    assert fingerprint.tree(made, fingerprint.Memory()) != before[1]


def test_a_crowd_of_a_reference_standard_makes_its_film_malignant_and_is_no_lesion(tmp_path: Path) -> None:
    truth = {
        "images": [{"id": k, "file_name": f"f{k}.png"} for k in range(3)],
        "annotations": [
            {"image_id": 0, "bbox": [1, 2, 3, 4], "iscrowd": 1},
            {"image_id": 1, "bbox": [1, 2, 3, 4], "iscrowd": 0},
        ],
    }
    detections = [{"image_id": k, "bbox": [1, 2, 3, 4], "score": 0.5 + k / 10} for k in range(3)]
    made = folder(tmp_path, **{"labels.json": truth, "net.json": detections})
    (made / "labels.csv").unlink()
    scores = read_scores(made)
    labels = scores.predictions.drop_duplicates("image_id").set_index("image_id")["label"].to_dict()
    assert labels == {"f0": 1, "f1": 1, "f2": 0}
    assert scores.lesions["image_id"].tolist() == ["f1"]
    assert "labels.json: crowds (iscrowd) of 1 film are no lesion boxes" in scores.remarks
