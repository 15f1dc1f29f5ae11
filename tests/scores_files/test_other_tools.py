"""Files of other programs with a known answer: read with the right AUC, or refused in words (other_tools/)."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from osteotl.scores_files.reading import ScoresError, ScoresFile, check_predictions, check_scores, read_scores

FOLDER = Path(__file__).parent / "other_tools"
# made by the generator of the cases with scikit-learn
EXPECTED = json.loads((FOLDER / "expected_auc.json").read_text(encoding="utf-8"))
# the same scores stand in 7_excel.xlsx (which openpyxl reads as floats), 8_percent (x 100), 8_comma_de (four decimals)
# and 17_inverted (1 - score)
AUC_OF_WIDE = {"resnet": 0.8377214770657394, "effnet": 0.9082629574432852}


def aucs(scores: ScoresFile) -> dict[str, float]:
    """Mean over runs of scikit-learn's AUC."""
    table = scores.predictions
    per_run = {key: roc_auc_score(rows["label"], rows["score"]) for key, rows in table.groupby(["arm", "seed"])}
    return pd.Series(per_run).groupby(level=0).mean().to_dict()


def test_readers_who_read_both_conditions() -> None:
    scores = read_scores(FOLDER / "2_readers.csv")
    assert scores.readers
    assert scores.run_names == {0: "Dr A", 1: "Dr B", 2: "Dr C", 3: "Dr D", 4: "Dr E"}
    assert aucs(scores) == pytest.approx(EXPECTED["2_readers"], abs=1e-12)


def test_monai_detections() -> None:
    scores = read_scores(FOLDER / "6_monai")
    assert aucs(scores) == pytest.approx(EXPECTED["6_monai"], abs=1e-12)
    assert scores.predictions["patient_id"].iloc[1] == "P000"
    assert scores.detections is not None
    # the first film of retinanet.json has the box [200, 200, 320, 320] with the score .37024883020552785
    first = scores.detections.iloc[0]
    assert first[["x_min", "y_min", "x_max", "y_max"]].tolist() == [200, 200, 320, 320]
    assert first["score"] == 0.37024883020552785


@pytest.mark.parametrize("name", ["7_excel.xlsx", "8_comma_de.csv", "8_percent_0_100.csv"])
def test_what_excel_makes_of_a_table(name: str) -> None:
    # four decimals tie or part a few pairs of films: 0.5 / (malignant x normal films) each
    assert aucs(read_scores(FOLDER / name)) == pytest.approx(AUC_OF_WIDE, abs=5e-4)


def test_a_workbook_called_csv_and_a_csv_called_xlsx(tmp_path: Path) -> None:
    for source, name in (("7_excel.xlsx", "renamed.csv"), ("8_comma_de.csv", "renamed.xlsx")):
        (tmp_path / name).write_bytes((FOLDER / source).read_bytes())
        assert aucs(read_scores(tmp_path / name)) == aucs(read_scores(FOLDER / source))


def test_scores_in_per_cent_are_named() -> None:
    said = "\n".join(read_scores(FOLDER / "8_percent_0_100.csv").remarks)
    assert "arm 'resnet': scores run from 1.13 to 98.09, as percentages do; divide by 100" in said


def test_reversed_scores_are_a_warning_of_check(capsys: pytest.CaptureFixture[str]) -> None:
    reversed_aucs = aucs(read_scores(FOLDER / "17_inverted.csv"))
    assert reversed_aucs == pytest.approx({arm: 1 - auc for arm, auc in AUC_OF_WIDE.items()}, abs=5e-4)
    assert check_scores(FOLDER / "17_inverted.csv") == 0
    said = capsys.readouterr().out
    for arm, auc in reversed_aucs.items():
        assert f"'{arm}' {auc:.3f}" in said
    assert "warning: the AUC is below .5 in every arm" in said
    assert "reversed" not in "\n".join(read_scores(FOLDER / "7_excel.xlsx").remarks)


def test_unequal_numbers_of_runs_are_read() -> None:
    scores = read_scores(FOLDER / "20_unequal_seeds.csv")
    runs = scores.predictions.drop_duplicates(["arm", "seed"]).groupby("arm")["seed"].agg(list).to_dict()
    assert runs == {"A": [0, 1, 2], "B": [0, 1]}
    assert any("unequal numbers of runs: 'A' 3, 'B' 2" in remark for remark in scores.remarks)


def test_several_faults_are_told_at_once() -> None:
    with pytest.raises(ScoresError) as caught:
        read_scores(FOLDER / "13_faults.csv", reference="resnet")
    # row 22 has no score, img_0009 was appended once more in row 322, img_0005 has another label in row 167
    for part in (
        "score: row 22 missing",
        "film 'img_0009' stands 2 times for arm 'score_resnet': rows 11, 322",
        "labels of film 'img_0005' disagree: 1 in row 7; 0 in row 167",
        "reference 'resnet' is not an arm of the file; arms are 'score_resnet', 'score_effnet'",
    ):
        assert any(part in fault for fault in caught.value.faults), (part, caught.value.faults)
    assert len(caught.value.faults) == 4


@pytest.mark.parametrize("name", ["2_readers.csv", "6_monai", "7_excel.xlsx", "20_unequal_seeds.csv"])
def test_what_comes_out_is_a_table_of_predictions(name: str) -> None:
    table = read_scores(FOLDER / name).predictions
    assert check_predictions(table) is table
    for wrong in (table.drop(columns="label"), table.assign(seed=table["seed"].astype(float)), table.assign(more=1),
                  table.assign(score=float("nan")), table.assign(label=2), pd.concat([table, table])):  # fmt: skip
        with pytest.raises(ValueError, match="no table of predictions"):
            check_predictions(wrong)


@pytest.mark.parametrize(
    "columns", [["prob_benign", "prob_malignant"], ["score_normal", "score_benign", "score_sarcoma"]]
)
def test_probabilities_of_classes_are_no_arms(tmp_path: Path, columns: list[str]) -> None:
    random = np.random.default_rng(3)
    shares = random.dirichlet(np.ones(len(columns)), 20).round(3)
    table = pd.DataFrame(shares, columns=columns).assign(image_id=[f"f{i}" for i in range(20)], label=[0, 1] * 10)
    table.to_csv(tmp_path / "softmax.csv", index=False)
    with pytest.raises(ScoresError, match="add up to 1 in every film"):
        read_scores(tmp_path / "softmax.csv")
    table[columns[0]] = random.random(20)  # two models that say what they like
    table.to_csv(tmp_path / "models.csv", index=False)
    assert len(read_scores(tmp_path / "models.csv").predictions) == 20 * len(columns)


def test_an_arm_that_scores_every_film_alike_is_a_warning(tmp_path: Path) -> None:
    table = pd.read_excel(FOLDER / "7_excel.xlsx").assign(score_resnet=0.5)
    table.to_csv(tmp_path / "flat.csv", index=False)
    said = "\n".join(read_scores(tmp_path / "flat.csv").remarks)
    assert "warning: arm 'resnet' scores every film alike (0.5)" in said
    assert "'effnet' scores every film" not in said
