"""Fractions, failures and interruptions."""

from __future__ import annotations

import json

import pandas as pd
import pytest
import torch

from osteotl.detection import films as films_module
from osteotl.detection import training
from osteotl.detection.errors import Replicate, TrainingError
from osteotl.detection.trainer import PairedTrainer


def with_detector(small, **detector):
    return small.study.model_copy(update={"detector": small.study.detector.model_copy(update=detector)})


def test_what_a_replicate_leaves_behind(trained):
    folder = trained.out / "finetune" / "transfer" / "1" / "0"
    assert sorted(path.name for path in folder.iterdir()) == [
        "model.json",
        "pairing.json",
        "training.csv",
        "weights.safetensors",
    ]
    log = pd.read_csv(folder / "training.csv")
    assert list(log) == ["epoch", "step", "loss", "box_loss", "cls_loss", "dfl_loss", "learning_rate"]
    assert log["epoch"].tolist() == [1, 2]
    assert log["step"].tolist() == [4, 8]  # 16 films in batches of 4
    record = json.loads((folder / "pairing.json").read_text())
    assert record["trained"]["films_seen"] == 32
    assert record["steps"] == 8


def test_a_fraction_takes_as_many_steps_as_the_whole(trained):
    replicate = Replicate("scratch", 0.5, 0)
    whole = training.finetune_plan(trained.study, Replicate("scratch", 1.0, 0), 16, trained.out)
    half = training.finetune_plan(trained.study, replicate, 8, trained.out)
    assert (whole.steps, whole.epochs) == (8, 2)
    assert (half.steps, half.epochs) == (8, 4)
    assert half.warmup_steps == whole.warmup_steps
    epochs = training.finetune_plan(with_detector(trained, fraction_training="equal_epochs"), replicate, 8, trained.out)
    assert (epochs.steps, epochs.epochs) == (4, 2)


def test_a_longer_arm_takes_the_steps_of_pretraining_too(trained):
    arms = {
        **trained.study.arms,
        "scratch_long": trained.study.arms["scratch"].model_copy(update={"train_for": "pretrain_and_finetune"}),
    }
    plan = training.finetune_plan(
        trained.study.model_copy(update={"arms": arms}), Replicate("scratch_long", 1.0, 0), 16, trained.out
    )
    assert plan.steps == 8 + 3  # 12 pretraining films in batches of 4, one epoch
    assert plan.declared == ("steps",)


def test_steps_stop_exactly_where_the_plan_says(small):
    study = with_detector(small, epochs=1, fraction_training="both", checkpoints=[2])
    study = study.model_copy(update={"fractions": [0.6, 1.0]})
    done = training.finetune(study, "scratch", 0.6, 0, small.out, small.data)
    assert done.facts["trained"]["steps"] == 4
    assert (done.folder / "checkpoints" / "000002.safetensors").exists()
    fewer = json.loads((done.folder / "equal_epochs" / "pairing.json").read_text())
    assert fewer["training"] == "equal_epochs"
    assert fewer["trained"]["steps"] == 3  # 10 films in batches of 4


def test_weights_are_the_last_average_in_float32(trained):
    from osteotl.detection.weights import load_weights

    folder = trained.out / "finetune" / "scratch" / "1" / "0"
    state, facts = load_weights(folder / "weights.safetensors")
    assert {tensor.dtype for tensor in state.values()} == {torch.float32, torch.int64}
    assert facts["model"] == "yolov5n"
    assert len(state) == 427


def test_diverging_training_names_the_replicate(small, monkeypatch):
    from ultralytics.nn.tasks import DetectionModel

    loss = DetectionModel.loss
    monkeypatch.setattr(DetectionModel, "loss", lambda self, *a: (loss(self, *a)[0] * float("nan"), loss(self, *a)[1]))
    with pytest.raises(
        TrainingError, match=r"arm scratch, fraction 1, seed 0: training diverged, the loss is nan at step 1"
    ):
        training.finetune(small.study, "scratch", 1.0, 0, small.out, small.data)
    assert not (small.out / "finetune" / "scratch" / "1" / "0").exists()


def test_training_that_never_moves_names_the_replicate(small):
    study = with_detector(small, learning_rate=1e-12, epochs=1)
    with pytest.raises(TrainingError, match="arm scratch, fraction 1, seed 0: training never moved"):
        training.finetune(study, "scratch", 1.0, 0, small.out, small.data)


def test_a_fraction_without_a_lesion_names_the_replicate(small):
    path = small.out / "cohorts" / "development.csv"
    table = pd.read_csv(path)
    table.loc[table["partition"] == "training", "label"] = 0
    table.to_csv(path, index=False)
    films_module.cached_films.cache_clear()
    with pytest.raises(TrainingError, match=r"arm transfer, fraction 1, seed 0: none of the 16 training films"):
        training.finetune(small.study, "transfer", 1.0, 0, small.out, small.data)


def test_a_malignant_film_without_a_box_is_refused(small):
    path = small.out / "cohorts" / "boxes.csv"
    boxes = pd.read_csv(path)
    boxes[boxes["cohort"] != "development"].to_csv(path, index=False)
    films_module.cached_films.cache_clear()
    with pytest.raises(ValueError, match="the development cohort holds 8 films of label 1 without lesion box"):
        training.finetune(small.study, "scratch", 1.0, 0, small.out, small.data)


def test_out_of_memory_names_the_batch_to_try(small, monkeypatch):
    def full(self, batch):
        raise torch.cuda.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(PairedTrainer, "preprocess_batch", full)
    monkeypatch.setattr(PairedTrainer, "first_batch", lambda self: "")
    with pytest.raises(
        TrainingError, match=r"arm scratch, fraction 1, seed 0: GPU out of memory with batch 4 .*batch: 2"
    ):
        training.finetune(small.study, "scratch", 1.0, 0, small.out, small.data)


def test_an_interrupted_replicate_leaves_nothing(small, monkeypatch):
    def interrupt(self, step, *_):
        if step == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr("osteotl.detection.progress.Progress.step", interrupt)
    with pytest.raises(KeyboardInterrupt):
        training.finetune(small.study, "scratch", 1.0, 0, small.out, small.data)
    assert (
        not [path for path in (small.out / "finetune").rglob("*") if path.is_file()]
        if (small.out / "finetune").exists()
        else True
    )


def test_given_pretraining_is_checked_and_taken(small, trained):
    given = trained.out / "pretrain" / "weights.safetensors"
    study = with_detector(small, pretrained_weights=given)
    done = training.pretrain(study, small.out, small.data)
    assert done.facts["tensors_that_fit"] == 427
    assert len(done.facts["given_sha256"]) == 64
    assert (small.out / "pretrain" / "training.csv").exists()
