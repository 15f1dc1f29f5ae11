"""Checkpoints and runs of equal epochs are scored beside the main weights, where the study asks for them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from detection.conftest import Small, make_study
from osteotl.detection import extra_scores, scoring
from osteotl.detection.errors import TrainingError


@pytest.fixture(scope="module")
def extra(drawn, tmp_path_factory):
    """Half the labels trained for equal steps and for equal epochs, with a checkpoint of each."""
    import shutil

    from osteotl.detection import training

    out = tmp_path_factory.mktemp("extra") / "outputs"
    shutil.copytree(drawn / "outputs", out)
    study = make_study(fraction_training="both", checkpoints=[3, 1000])
    arms = dict.fromkeys(("scratch", "scratch_b"), study.arms["scratch"])
    study = study.model_copy(update={"fractions": [0.5, 1.0], "arms": arms})
    for replicate in study.replicates()[:2]:
        training.finetune(study, *replicate, out, drawn / "data")
    return Small(study, out, drawn / "data")


def test_checkpoints_and_equal_epochs_are_scored_where_asked_for(extra, tmp_path):
    extra_scores.write_extras(extra.study, extra.out, extra.data, lambda name: tmp_path / name, workers=1)
    rows = pd.read_csv(tmp_path / "predictions_extra.csv")
    # 16 films in batches of 4, 2 epochs: 8 steps; half of the films in 2 epochs: half of the steps
    kinds = rows.groupby(["fraction", "training", "step"]).size().to_dict()
    assert kinds == {(0.5, "equal_steps", 3): 14, (0.5, "equal_epochs", 4): 14, (1.0, "equal_steps", 3): 14}
    assert list(rows)[-5:] == ["score", "logit", "training", "step", "last_step"]
    assert rows.groupby(["fraction", "training"])["last_step"].unique().map(list).to_dict() == {
        (0.5, "equal_steps"): [8], (0.5, "equal_epochs"): [4], (1.0, "equal_steps"): [8],
    }  # fmt: skip
    films = scoring.cohort_films(extra.study, extra.out, extra.data, "external")
    path = extra.out / "finetune" / "scratch" / "1" / "0" / "checkpoints" / "000003.safetensors"
    np.testing.assert_array_equal(rows.loc[rows["fraction"] == 1, "score"], scoring.score_films(path, films).scores)


def test_without_being_asked_for_extras_leave_no_file(extra, trained, tmp_path):
    (tmp_path / "predictions_extra.csv").write_text("of an earlier run\n")
    extra_scores.write_extras(trained.study, extra.out, extra.data, lambda name: tmp_path / name)
    assert list(tmp_path.iterdir()) == []
    assert not make_study(fraction_training="both").scores_extras  # no fraction below 1


def test_checkpoints_that_nobody_reached_are_named(trained):
    study = make_study(checkpoints=[1000])
    with pytest.raises(TrainingError, match=r"detector.checkpoints is \[1000\] and no replicate trained that far"):
        extra_scores.score_extras(study, trained.out, trained.data, quiet=True)
