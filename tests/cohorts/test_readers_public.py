"""Readers of the public sets, on fixtures in their exact layouts."""

import json

import pandas as pd
import pytest

from cohorts import layouts
from osteotl.cohorts.readers.vindr import fuse

KNEE = "(malignant == 1 and (femur == 1 or tibia == 1 or fibula == 1 or knee == 1)) or (tumor == 0 and lower_limb == 1)"


class TestBtxrd:
    @pytest.mark.parametrize("as_xlsx", [False, True])
    @pytest.mark.parametrize("spelling", ["figshare", "authors"])
    def test_both_spellings_give_the_same_films(self, tmp_path, spelling, as_xlsx):
        cohort = layouts.read("btxrd", layouts.btxrd(tmp_path, spelling, as_xlsx), where=KNEE)
        # rows of layouts.BTXRD_ROWS: malignant at tibia (2), femur, knee (2), fibula; normal lower limbs n1 n2 n4 n5
        assert cohort.films["label"].sum() == 6
        assert (cohort.films["label"] == 0).sum() == 4
        assert len(cohort.boxes) == 6  # polygon and rectangle are one lesion
        assert cohort.films["site"].value_counts().to_dict() == {"centre 1": 5, "centre 2": 3, "centre 3": 2}
        assert layouts.codes(cohort) == ["licence_conflict", "patient_derived"]

    def test_facts_of_a_film(self, tmp_path):
        films = layouts.read("btxrd", layouts.btxrd(tmp_path)).films.set_index("image_id")
        film = films.loc["IMG000002.jpeg"]
        assert (film["view"], film["age"], film["sex"], film["subtype"]) == ("lateral", 12, "M", "osteosarcoma")

    def test_benign_films_are_negative_and_bring_no_lesion_box(self, tmp_path):
        cohort = layouts.read("btxrd", layouts.btxrd(tmp_path), where="benign == 1")
        assert cohort.films["label"].tolist() == [0]
        assert cohort.boxes.empty

    def test_pseudo_patients_from_names(self, tmp_path):
        films = layouts.read("btxrd", layouts.btxrd(tmp_path, "authors")).films.set_index("image_id")["patient_id"]
        assert films["IMG000001.jpeg"] == films["IMG000002.jpeg"]  # b1-M-12-x-tibia-1 and -2
        assert films.nunique() == 12  # the two '35m_' tell age and sex only and differ in subtype: two people

    def test_pseudo_patients_from_neighbours(self, tmp_path):
        films = layouts.read("btxrd", layouts.btxrd(tmp_path, "figshare")).films.set_index("image_id")["patient_id"]
        assert films["IMG000001.jpeg"] == films["IMG000002.jpeg"]  # equal centre, age, gender, tumour, subtype
        assert films.nunique() == 12

    def test_nested_annotation_folder(self, tmp_path):
        root = layouts.btxrd(tmp_path)
        (root / "Annotations").rename(root / "nested")
        (root / "Annotations").mkdir()
        (root / "nested").rename(root / "Annotations/Annotations")
        assert len(layouts.read("btxrd", root).boxes) == 7

    @pytest.mark.parametrize(
        ("spoil", "code"),
        [
            (lambda root: (root / "images/IMG000003.jpeg").unlink(), "film_missing"),
            (lambda root: (root / "Annotations/IMG000999.json").write_text('{"shapes": []}'), "unknown_id"),
            (lambda root: (root / "Annotations/IMG000003.json").write_text("{"), "file_unreadable"),
            (lambda root: (root / "Annotations/IMG000003.json").write_text("[]"), "file_unreadable"),
            (lambda root: edit(root, "IMG000003.jpeg,1,30,F", "IMG000003.jpeg,1,30,F,9"), "row_invalid"),
            (lambda root: edit(root, "center", "zentrum"), "column_missing"),
            (lambda root: (root / "Annotations/IMG000006.json").write_text(
                layouts.labelme_json("IMG000006.jpeg", layouts.lesion("osteosarcoma", 1, 1, 9, 9))), "normal_with_box"),
        ],
    )  # fmt: skip
    def test_faults(self, tmp_path, spoil, code):
        root = layouts.btxrd(tmp_path)
        spoil(root)
        assert code in layouts.codes(layouts.read("btxrd", root))


def edit(root, old, new):
    path = root / "dataset.csv"
    path.write_text(path.read_text().replace(old, new, 1))


class TestNih:
    def test_boxes_labels_and_patients(self, tmp_path):
        cohort = layouts.read("nih", layouts.nih(tmp_path), classes={"Mass": "mass", "Nodule": "nodule"})
        films = cohort.films.set_index("image_id")
        # 2_000 and 5_000 name Mass but were never searched for boxes: left out, never 0
        assert films["label"].to_dict() == {
            "00000001_000.png": 1, "00000001_001.png": 0, "00000003_000.png": 0, "00000004_000.png": 0}  # fmt: skip
        assert films.loc["00000001_000.png", "age"] == 58  # '058Y'
        assert films["patient_id"].nunique() == 3
        assert layouts.corners(cohort, "00000001_000.png") == [(256, 512, 384, 576)]  # in 1024 px, scaled later
        assert films["annotated_as"].eq("scaled").all()

    def test_infiltrate_is_infiltration(self, tmp_path):
        cohort = layouts.read("nih", layouts.nih(tmp_path), classes={"Infiltration": "infiltrate"})
        assert cohort.films.set_index("image_id")["label"]["00000003_000.png"] == 1

    def test_padded_rows_and_an_implausible_age(self, tmp_path):
        path = layouts.nih(tmp_path) / "BBox_List_2017.csv"
        lines = path.read_text().splitlines()
        path.write_text("\n".join([lines[0], *(line + ",,," for line in lines[1:])]))
        cohort = layouts.read("nih", tmp_path)
        assert len(cohort.boxes) == 2
        assert "value_implausible" in layouts.codes(cohort)  # 414Y

    def test_box_of_an_unknown_film(self, tmp_path):
        path = layouts.nih(tmp_path) / "BBox_List_2017.csv"
        path.write_text(path.read_text() + "99999999_000.png,Mass,1,2,3,4\n")
        assert "unknown_id" in layouts.codes(layouts.read("nih", tmp_path))


class TestVindr:
    def test_two_of_three_readers(self, tmp_path):
        cohort = layouts.read("vindr", layouts.vindr(tmp_path), classes={"Nodule/Mass": "mass", "Cardiomegaly": None})
        assert cohort.films.set_index("image_id")["label"].to_dict() == {"f1": 1, "f2": 0, "f3": 0, "f4": 0}
        # equal weights: the fused box is the mean of (10..50) and (14..54)
        assert layouts.corners(cohort, "f1") == [(12, 10, 52, 50)]
        minority = next(f for f in cohort.faults if f.code == "box_minority")
        assert "2 lesions" in minority.message

    def test_one_reader_is_enough_where_asked(self, tmp_path):
        cohort = layouts.read(
            "vindr", layouts.vindr(tmp_path), classes={"Nodule/Mass": "mass", "Cardiomegaly": None}, agreement=1
        )
        assert cohort.films.set_index("image_id")["label"].to_dict() == {"f1": 1, "f2": 1, "f3": 0, "f4": 0}
        assert layouts.corners(cohort, "f1") == [(12, 10, 52, 50), (80, 70, 100, 90)]

    def test_consensus_table_without_readers(self, tmp_path):
        path = layouts.vindr(tmp_path) / "train.csv"
        table = pd.read_csv(path).drop_duplicates("image_id").drop(columns=["rad_id", "class_id"])
        table.to_csv(path, index=False)
        cohort = layouts.read("vindr", tmp_path)
        assert cohort.films.set_index("image_id")["label"].to_dict() == {"f1": 1, "f2": 1, "f3": 0, "f4": 1}

    def test_sizes_of_resized_copies(self, tmp_path):
        root = layouts.vindr(tmp_path)
        layouts.table(root / "train_meta.csv", ["image_id", "dim0", "dim1"], [["f1", 2000, 2400]])
        film = layouts.read("vindr", root, table="train_meta.csv").films.set_index("image_id").loc["f1"]
        assert (film["annotated_width"], film["annotated_height"], film["annotated_as"]) == (2400, 2000, "scaled")

    def test_no_finding_with_a_box(self, tmp_path):
        path = layouts.vindr(tmp_path) / "train.csv"
        path.write_text(path.read_text().replace("f3,No finding,14,R1,,,,", "f3,No finding,14,R1,1,2,3,4"))
        assert "row_invalid" in layouts.codes(layouts.read("vindr", tmp_path))

    def test_fusion_keeps_disjoint_boxes_apart(self):
        boxes = pd.DataFrame(
            [["a", 0, 0, 10, 10], ["b", 0, 0, 10, 10], ["b", 50, 50, 60, 60]],
            columns=["rad_id", "x_min", "y_min", "x_max", "y_max"],
        )
        assert [(tuple(round(v, 3) for v in box), readers) for box, readers in fuse(boxes)] == [
            ((0, 0, 10, 10), 2), ((50, 50, 60, 60), 1)]  # fmt: skip


class TestRsna:
    def test_labels_boxes_and_true_patients(self, tmp_path):
        cohort = layouts.read("rsna", layouts.rsna(tmp_path), patients="rsna_to_nih.csv")
        films = cohort.films.set_index("image_id")
        assert films["label"].to_dict() == {"aaaa-1": 1, "bbbb-2": 0, "cccc-3": 0, "dddd-4": 1}
        assert films["patient_id"].to_dict() == {
            "aaaa-1": "00000007", "bbbb-2": "00000007", "cccc-3": "00000008", "dddd-4": "film:dddd-4"}  # fmt: skip
        assert layouts.corners(cohort, "aaaa-1") == [(256, 512, 384, 768), (600, 100, 800, 400)]
        assert films.loc["cccc-3", "rsna_class"] == "No Lung Opacity / Not Normal"
        assert layouts.codes(cohort) == ["not_annotated", "patient_unmapped"]  # eeee-5 is a test film

    def test_contradicting_targets(self, tmp_path):
        path = layouts.rsna(tmp_path) / "stage_2_train_labels.csv"
        path.write_text(path.read_text() + "bbbb-2,1,2,3,4,1\n")
        assert "row_invalid" in layouts.codes(layouts.read("rsna", tmp_path))


class TestTbx11k:
    def test_json(self, tmp_path):
        cohort = layouts.read("tbx11k", layouts.tbx11k(tmp_path))
        labels = {
            name.rsplit("/", 1)[-1]: label
            for name, label in zip(cohort.films["image_id"], cohort.films["label"], strict=True)
        }
        # tb0007 has no box, test films have no annotation, extra films were not searched: left out
        assert labels == {"tb0005.png": 1, "h0001.png": 0, "s0001.png": 0}
        assert layouts.corners(cohort, "imgs/tb/tb0005.png") == [
            (100, 50, 140, 94)
        ]  # in 512 px, read once of two files
        assert cohort.films.set_index("image_id").loc["imgs/tb/tb0005.png", "annotated_width"] == 512

    def test_xml_is_one_based_and_in_the_original_size(self, tmp_path):
        cohort = layouts.read("tbx11k", layouts.tbx11k(tmp_path), annotations="annotations/xml")
        assert layouts.corners(cohort, "imgs/tb/tb0005.png") == [(100, 200, 300, 400)]
        film = cohort.films.set_index("image_id").loc["imgs/tb/tb0005.png"]
        assert (film["annotated_width"], film["annotated_height"]) == (1000, 2000)
        assert cohort.films["label"].tolist().count(0) == 2

    def test_files_that_disagree(self, tmp_path):
        path = layouts.tbx11k(tmp_path) / "annotations/json/TBX11K_trainval.json"
        content = json.loads(path.read_text())
        content["annotations"][0]["bbox"] = [1, 2, 3, 4]
        path.write_text(json.dumps(content))
        assert "duplicate_id" in layouts.codes(layouts.read("tbx11k", tmp_path))
