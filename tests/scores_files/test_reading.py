"""Scores made elsewhere: every layout, and every fault at once with its row."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from osteotl.scores_files.reading import COLUMNS, ScoresError, ScoresFile, check_scores, read_scores

EXAMPLE = Path(__file__).parents[2] / "examples" / "scores.csv"


def write(folder: Path, text: str, name: str = "scores.csv") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def faults(folder: Path, text: str, reference: str | None = None) -> list[str]:
    with pytest.raises(ScoresError) as caught:
        read_scores(write(folder, text), reference)
    return caught.value.faults


LONG = "image_id,label,arm,score\na,1,A,0.9\nb,0,A,0.2\na,1,B,0.8\nb,0,B,0.3\n"


def test_the_example_is_what_its_generator_describes() -> None:
    scores = read_scores(EXAMPLE)
    table = scores.predictions
    assert list(table.columns) == list(COLUMNS)
    assert scores.arms == ("scratch", "transfer")
    assert scores.reference == "scratch"
    assert len(table) == 2 * 743
    assert table[table["arm"] == "scratch"]["label"].sum() == 268
    assert set(table["cohort"]) == {"external"}
    said = " | ".join(scores.remarks)
    assert "no cohort column" in said
    assert "no patient_id column" in said
    assert "reference arm: 'scratch'" in said


def test_long_and_wide_and_parquet_agree(tmp_path: Path) -> None:
    long = read_scores(write(tmp_path, LONG)).predictions
    wide = read_scores(write(tmp_path, "image_id,label,score_A,score_B\na,1,0.9,0.8\nb,0,0.2,0.3\n")).predictions
    pd.testing.assert_frame_equal(long, wide)
    frame = pd.read_csv(write(tmp_path, LONG))
    frame.to_parquet(tmp_path / "scores.parquet")
    pd.testing.assert_frame_equal(long, read_scores(tmp_path / "scores.parquet").predictions)


def test_a_predictions_file_of_a_study_comes_back_as_it_was(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = []
    for arm in ("scratch", "transfer"):
        for seed in (0, 1):
            for cohort, films in (("validation", 6), ("external", 8)):
                for i in range(films):
                    logit = rng.normal()
                    rows.append((f"{cohort[0]}{i:02d}", f"p{cohort[0]}{i // 2}", cohort, i % 2, arm, 1.0, seed,
                                 1 / (1 + np.exp(-logit)), logit))  # fmt: skip
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    frame.to_csv(tmp_path / "predictions.csv", index=False)
    back = read_scores(tmp_path / "predictions.csv").predictions
    pd.testing.assert_frame_equal(back, frame, check_exact=True, check_dtype=False)


def test_identifiers_stay_text(tmp_path: Path) -> None:
    scores = read_scores(write(tmp_path, LONG.replace("\na,", "\n007,").replace("\nb,", "\nNA,")))
    assert scores.predictions["image_id"].tolist() == ["007", "NA", "007", "NA"]


def test_guesses_are_said_and_semicolons_read(tmp_path: Path) -> None:
    text = "Filename;Truth;Model;Confidence\na;malignant;A;0.9\nb;normal;A;0.2\na;malignant;B;0.8\nb;normal;B;0.3\n"
    scores = read_scores(write(tmp_path, text), reference="B")
    assert scores.predictions["label"].tolist() == [1, 0, 1, 0]
    assert scores.reference == "B"
    said = " | ".join(scores.remarks)
    for guess in ("'Filename' is taken as image_id", "'Model' is taken as arm", "'malignant' is read as 1"):
        assert guess in said


def test_wide_columns_that_are_no_scores_are_left_out_and_said(tmp_path: Path) -> None:
    scores = read_scores(write(tmp_path, "image_id,label,year,net,reader one\na,1,2010,0.9,5\nb,0,2012,0.2,1\n"))
    assert scores.arms == ("net", "reader one")
    assert any("columns left out: 'year'" in r for r in scores.remarks)
    assert scores.predictions.loc[scores.predictions["arm"] == "reader one", "logit"].isna().all()
    assert any("outside [0, 1]" in r for r in scores.remarks)


def test_wide_seeds_and_readers_as_seeds(tmp_path: Path) -> None:
    wide = read_scores(write(tmp_path, "image_id,label,A_seed0,A_seed1,B_seed0,B_seed1\na,1,1,1,1,1\nb,0,0,0,0,0\n"))
    assert wide.arms == ("A", "B")
    assert sorted(set(wide.predictions["seed"])) == [0, 1]
    rows = [f"{film},{label},{arm},{reader},{label}" for arm in ("CT", "MR") for reader in ("Kim", "Roe")
            for film, label in (("a", 1), ("b", 0))]  # fmt: skip
    readers = read_scores(write(tmp_path, "image_id,label,modality,reader,rating\n" + "\n".join(rows) + "\n"))
    assert readers.arms == ("CT", "MR")
    assert any("'Kim' = 0, 'Roe' = 1" in r for r in readers.remarks)


def test_every_fault_at_once_with_its_row(tmp_path: Path) -> None:
    text = (
        "image_id,label,arm,score\n"
        "a,1,A,0.9\n"  # 2
        "b,0,A,93%\n"  # 3
        'c,0,A,"0,4"\n'  # 4
        "d,0,A,high\n"  # 5
        "e,0,A,\n"  # 6
        "a,1,A,0.8\n"  # 7: film twice
        "a,0,B,0.7\n"  # 8: other label
        "b,2,B,inf\n"  # 9: label 2, infinite
        "c,0,B,0.2\n"  # 10; films d and e are missing in B
    )
    found = faults(tmp_path, text, reference="C")
    assert all(f.startswith("scores.csv: ") for f in found)
    for part in (
        "score: row 3 with a percent sign",
        "score: row 4 with a decimal comma",
        "score: row 5 text, not a number",
        "score: row 6 missing",
        "score: row 9 not finite",
        "label: row 9 neither 1 (malignant) nor 0 (not), e.g. '2'",
        "film 'a' stands 2 times for arm 'A': rows 2, 7",
        "labels of film 'a' disagree: 1 in rows 2, 7; 0 in row 8",
        "arm 'B' lacks films that others scored: 'd' (row 5), 'e' (row 6)",
        "reference 'C' is not an arm of the file; arms are 'A', 'B'",
    ):
        assert any(part in f for f in found), (part, found)


def test_a_missing_score_needs_a_reason_and_its_film_is_left_out(tmp_path: Path) -> None:
    text = (
        "image_id,label,arm,score,reason\n"
        "a,1,A,0.9,\nb,0,A,,timeout\nc,0,A,0.1,\nd,0,A,0.3,\n"
        "a,1,B,0.8,\nb,0,B,0.7,\nc,0,B,0.2,\nd,0,B,0.4,\n"
    )
    scores = read_scores(write(tmp_path, text))
    assert set(scores.predictions["image_id"]) == {"a", "c", "d"}
    lost = scores.incomplete
    assert lost["arm"].tolist() == ["A", "B"]
    assert lost["score"].isna().tolist() == [True, False]
    assert lost["reason"].tolist() == ["timeout", ""]
    warned = [remark for remark in scores.remarks if remark.startswith("warning")]
    assert warned[0].startswith("warning: 1 film without a score of every run (arm 'A' 1; 'timeout')")
    assert "score: row 3 missing" in faults(tmp_path, text.replace("timeout", ""))[0]
    # what is left must hold both classes
    assert "every external film is normal" in "\n".join(faults(tmp_path, text.replace("a,1,A,0.9,", "a,1,A,,broken")))
    wide = "image_id,label,A,B,reason\na,1,0.9,0.8,\nb,0,,0.7,timeout\nc,0,0.1,0.2,\nd,0,0.3,0.4,\n"
    assert read_scores(write(tmp_path, wide)).incomplete["score"].isna().tolist() == [True, False]


def test_a_box_has_a_score_whatever_its_row_gives_as_a_reason(tmp_path: Path) -> None:
    text = "image_id,label,arm,score,x_min,y_min,x_max,y_max,reason\n"
    text += "a,1,A,0.9,0,0,5,5,\nb,0,A,,0,0,5,5,broken\na,1,B,0.8,0,0,5,5,\nb,0,B,0.2,0,0,5,5,\n"
    found = faults(tmp_path, text)
    assert any("boxes: row 3 without a score" in fault for fault in found), found


def test_decimal_commas_that_split_a_field_are_explained(tmp_path: Path) -> None:
    found = faults(tmp_path, "image_id,label,arm,score\na,1,A,0,9\nb,0,A,0,2\n")
    assert "rows 2, 3 more than the header's 4 fields; a decimal comma" in found[0]


def test_decimal_commas_are_read_where_they_are_sure_and_refused_as_written_where_not(tmp_path: Path) -> None:
    scores = read_scores(write(tmp_path, "image_id;label;A;B\na;1;0,9;0,8\nb;0;0,2;0,3\n"))
    assert scores.predictions["score"].tolist() == [0.9, 0.2, 0.8, 0.3]
    assert any("column 'A': decimal commas are read as points ('0,9')" in r for r in scores.remarks)
    found = faults(tmp_path, "image_id;label;A;B\na;1;0,9;1,234\nb;0;0.2;2,345\n")
    assert found == [
        "scores.csv: column 'A': row 2 with a decimal comma (write 0.93, not 0,93), e.g. '0,9'",
        "scores.csv: column 'B': rows 2, 3 with a comma that may part thousands or decimals (write 1234 or 1.234), "
        "e.g. '1,234'",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty"),
        ("image_id,label,arm\na,1,A\n", "no column 'score'"),
        ("image_id,label,score\na,1,0.5\nb,0,0.4\n", "no column 'arm'"),
        ("image_id,label,arm,score\na,1,A,0.5\nb,0,A,0.4\n", "one arm only"),
        ("image_id,label,arm,score\na,1,A,0.5\na,1,B,0.4\n", "every external film is malignant"),
        (LONG.replace("arm,score", "score,score"), "stands twice in the header"),
        (
            "image_id,label,arm,score,cohort\na,1,A,1,train\nb,0,A,0,test\na,1,B,1,train\nb,0,B,0,test\n",
            "no training films here",
        ),
    ],
)
def test_tables_that_cannot_be_used(tmp_path: Path, text: str, message: str) -> None:
    assert message in "\n".join(faults(tmp_path, text))


def test_blank_lines_do_not_shift_rows(tmp_path: Path) -> None:
    found = faults(tmp_path, "image_id,label,arm,score\na,1,A,0.9\n\n\nb,0,A,x\na,1,B,0.8\nb,0,B,0.3\n")
    assert found == ["scores.csv: score: row 5 text, not a number, e.g. 'x'"]


def test_boxes_as_rows_give_the_highest_score_and_detections(tmp_path: Path) -> None:
    text = (
        "image_id,label,arm,score,x_min,y_min,x_max,y_max\n"
        "a,1,A,0.4,0,0,5,5\na,1,A,0.9,1,1,6,6\nb,0,A,0.1,,,,\na,1,B,0.8,0,0,5,5\nb,0,B,0.3,2,2,3,3\n"
    )
    scores = read_scores(write(tmp_path, text))
    assert scores.predictions["score"].tolist() == [0.9, 0.1, 0.8, 0.3]
    assert scores.detections is not None
    assert len(scores.detections) == 4


def test_boxes_and_lesions_as_lists(tmp_path: Path) -> None:
    text = LONG.replace("score\n", "score,boxes,lesions\n").replace("0.9\n", '0.9,"[[0,0,5,5,0.9]]","[[1,1,4,4]]"\n')
    text = text.replace("0.2\n", "0.2,,\n").replace("0.8\n", "0.8,[],\n").replace("0.3\n", "0.3,[],\n")
    scores = read_scores(write(tmp_path, text))
    assert scores.detections is not None
    assert scores.detections.iloc[0].tolist() == ["a", "A", 1.0, 0, 0.0, 0.0, 5.0, 5.0, 0.9]
    assert scores.lesions is not None
    assert scores.lesions.to_numpy().tolist() == [["a", 1.0, 1.0, 4.0, 4.0]]
    assert "boxes: row 2 not a list" in "\n".join(faults(tmp_path, text.replace("[[0,0,5,5,0.9]]", "[[0,0]]")))


# --- exports ----------------------------------------------------------------------------------------------------------


def folder(tmp_path: Path) -> Path:
    write(tmp_path, "image_id,label,width,height\nimg_1,1,200,100\nimg_2,0,200,100\n003,1,200,100\n", "run/labels.csv")
    return tmp_path / "run"


def test_yolo_coco_and_picai_exports_stand_side_by_side(tmp_path: Path) -> None:
    run = folder(tmp_path)
    write(run, "0 0.5 0.5 0.1 0.2 0.75\n0 0.2 0.2 0.1 0.1 0.25\n", "yolo/labels/img_1.txt")
    write(run, "0 0.5 0.5 0.1 0.2 0.6\n", "yolo/labels/003.txt")
    coco = [{"image_id": "img_1", "category_id": 1, "bbox": [90, 40, 20, 20], "score": 0.7},
            {"image_id": 3, "category_id": 1, "bbox": [0, 0, 5, 5], "score": 0.5},
            {"image_id": "img_2", "category_id": 1, "bbox": [0, 0, 5, 5], "score": 0.1}]  # fmt: skip
    write(run, json.dumps(coco), "coco.json")
    picai = {"case_pred": {"img_1": 0.9, "img_2": 0.2, "003": 0.8}, "case_target": {"img_1": 1, "img_2": 0, "003": 1}}
    write(run, json.dumps(picai), "picai.json")
    scores = read_scores(run)
    assert scores.arms == ("coco", "picai", "yolo")
    table = scores.predictions.pivot_table(index="image_id", columns="arm", values="score")
    assert table.loc["img_1"].to_dict() == {"coco": 0.7, "picai": 0.9, "yolo": 0.75}
    assert table.loc["003"].to_dict() == {"coco": 0.5, "picai": 0.8, "yolo": 0.6}
    assert table.loc["img_2", "yolo"] == 0
    assert any("yolo: 1 film without a box scored 0" in r for r in scores.remarks)
    # centre .5, .5 of 200 x 100, size .1 x .2: the same corners as COCO's [90, 40, 20, 20]
    assert scores.detections is not None
    best = (
        scores.detections.sort_values("score", ascending=False)
        .groupby("arm")[["x_min", "y_min", "x_max", "y_max"]]
        .first()
    )
    assert best.loc["yolo"].tolist() == pytest.approx([90, 40, 110, 60])
    assert best.loc["coco"].tolist() == [90, 40, 110, 60]


def test_a_coco_reference_standard_gives_labels_and_lesions(tmp_path: Path) -> None:
    truth = {"images": [{"id": 7, "file_name": "x/a.png"}, {"id": 8, "file_name": "x/b.png"}],
             "annotations": [{"image_id": 7, "bbox": [1, 2, 3, 4]}]}  # fmt: skip
    write(tmp_path, json.dumps(truth), "run/labels.json")
    for arm, score in (("one_seed0", 0.9), ("two_seed0", 0.8)):
        write(tmp_path, json.dumps([{"image_id": 7, "bbox": [0, 0, 1, 1], "score": score}]), f"run/{arm}.json")
    scores = read_scores(tmp_path / "run")
    assert scores.predictions["label"].tolist() == [1, 0, 1, 0]
    assert scores.lesions is not None
    assert scores.lesions.to_numpy().tolist() == [["a", 1.0, 2.0, 4.0, 6.0]]
    assert scores.arms == ("one", "two")


def test_faults_of_exports_are_listed_together(tmp_path: Path) -> None:
    run = folder(tmp_path)
    write(run, "0 0.5 0.5 0.1 0.2\n", "yolo/img_1.txt")
    write(run, "0 0.5 0.5 0.1 0.2 0.3\n", "yolo/unknown.txt")
    write(run, json.dumps({"case_pred": {"img_1": 0.5}}), "picai.json")
    with pytest.raises(ScoresError) as caught:
        read_scores(run)
    said = "\n".join(caught.value.faults)
    assert "line 1 has no confidence; export with save_conf=True" in said
    assert "unknown.txt: a film that the labels do not name" in said
    assert "picai.json: no score for 'img_2', '003'" in said


def test_a_folder_without_labels_says_what_to_add(tmp_path: Path) -> None:
    write(tmp_path, "[]", "run/a.json")
    with pytest.raises(ScoresError, match=r"no labels\.csv"):
        read_scores(tmp_path / "run")


def test_result_is_a_plain_value(tmp_path: Path) -> None:
    assert isinstance(read_scores(write(tmp_path, LONG)), ScoresFile)


# --- what `check` prints ----------------------------------------------------------------------------------------------


def checked(path: Path, capsys: pytest.CaptureFixture[str], content: str) -> str:
    """What `check` prints of a sound table."""
    path.write_text(content, encoding="utf-8")
    assert check_scores(path) == 0
    return capsys.readouterr().out


def test_a_check_counts_the_warnings_that_it_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = "image_id,label,arm,score\n" + "".join(f"f{k},{k % 2},{arm},{0.1 + 0.01 * k + k % 2 / 2}\n"
                                                  for k in range(20) for arm in "AB")  # fmt: skip
    assert checked(tmp_path / "good.csv", capsys, good).endswith("\nNo fault found.\n")
    # every film of both arms scores alike, and an AUC of .5 in both is below no limit: two warnings
    alike = "image_id,label,arm,score\n" + "".join(f"f{k},{k % 2},{arm},0.3\n" for k in range(20) for arm in "AB")
    assert checked(tmp_path / "alike.csv", capsys, alike).endswith("\nNo fault found; 2 warnings above.\n")
    # scores of A fall with the label and B has an AUC of 0: one warning for all arms
    turned = good.replace(",1,", ",x,").replace(",0,", ",1,").replace(",x,", ",0,")
    assert checked(tmp_path / "turned.csv", capsys, turned).endswith("\nNo fault found; 1 warning above.\n")


def test_one_of_a_kind_is_said_in_the_singular(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [("v1", "P", "validation", 1), ("e1", "P", "external", 1), ("e2", "", "external", 0)]
    table = "image_id,patient_id,cohort,label,score_A,score_B\n" + "".join(
        f"{film},{patient},{cohort},{label},{label - 0.1 * label},{0.5 + 0.1 * label}\n"
        for film, patient, cohort, label in rows
    )
    said = checked(tmp_path / "one.csv", capsys, table)
    assert "validation: 1 film of 1 patient, 1 malignant" in said
    assert "1 row without patient_id" in said
    assert "1 patient in validation AND external" in said
    assert "1 score of exactly 0 or 1" in said  # that of e2 by A
    assert not re.search(r"\b1 (?!in )\w+s\b", said)


@pytest.mark.parametrize("odd", ["\x1b[31m", "\u202e", "\u2066", "\x07"])
def test_nothing_that_moves_a_terminal_is_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str], odd: str) -> None:
    """In names of columns, labels, arms, films and files: read or refused, nothing is printed as it stands."""
    base = "image_id,label,arm,score,view\na,1,A,0.9,x\nb,0,A,0.2,x\na,1,B,0.8,x\nb,0,B,0.3,x\n"
    for place in ("view", "x\n", "0.9", ",A,", "a,1", ",1,"):
        path = tmp_path / f"s{odd.replace('/', '')}.csv"
        path.write_text(base.replace(place, place[:-1] + odd + place[-1:], 1), encoding="utf-8")
        check_scores(path)
        printed = "".join(capsys.readouterr())
        assert odd[0] not in printed
        assert "Traceback" not in printed
