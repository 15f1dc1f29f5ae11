"""Arms that start from a file: this project's weights, a detector of colour photographs, a part of one."""

from __future__ import annotations

import json
import shutil

import pytest
import torch

from osteotl.detection import training
from osteotl.detection.errors import WeightsError
from osteotl.detection.initialisation import FIRST, build_detector, initialise
from osteotl.detection.weights import load_weights, save_weights
from osteotl.files import sha256
from osteotl.study import Arm


def with_arm(small, **arm):
    arms = {**small.study.arms, "elsewhere": Arm(**arm)}
    return small.study.model_copy(update={"arms": arms})


@pytest.fixture
def photographs(tmp_path):
    """A checkpoint as ultralytics publishes them: three colours and 80 classes, as for COCO; its weights."""
    from ultralytics.nn.tasks import DetectionModel

    torch.manual_seed(5)
    model = DetectionModel("yolov5n.yaml", ch=3, nc=80, verbose=False)
    path = tmp_path / "photographs.pt"
    torch.save({"model": model, "ema": None}, path)
    return path, model.state_dict()


def test_an_arm_from_a_file_trains_as_from_the_same_weights_in_the_study(small, trained, tmp_path):
    path = tmp_path / "chest.safetensors"
    shutil.copy(trained.out / "pretrain" / "weights.safetensors", path)
    study = with_arm(small, initialise=str(path))
    training.finetune(study, "elsewhere", 1.0, 0, small.out, small.data)
    folder = small.out / "finetune" / "elsewhere" / "1" / "0"
    told = json.loads((folder / "pairing.json").read_text())["initialisation"]
    assert (told["kind"], told["source"]) == ("file", "chest.safetensors")  # no folder of the machine
    assert told["source_sha256"] == sha256(path)
    assert (told["from_source"], told["share"]) == (427, 1.0)
    # the file holds this study's own pretraining, so both arms must take the same way, bit for bit
    ours, _ = load_weights(folder / "weights.safetensors")
    theirs, _ = load_weights(trained.out / "finetune" / "transfer" / "1" / "0" / "weights.safetensors")
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in ours.items())


def test_an_arm_from_a_detector_of_photographs_trains(small, photographs):
    path, given = photographs
    study = with_arm(small, initialise=str(path), allow_pickle=True)
    detector, start = initialise(study.arms["elsewhere"], "yolov5n", 0, small.out)
    # a class branch is as wide as there are classes, 64 to 100 in yolov5n: with 80 all tensors have another shape
    branch = [name for name in given if name.startswith("model.24.cv3.")]
    assert start.left_random == [name for name in branch if not name.endswith("num_batches_tracked")]
    assert start.notes[0] == "first filters summed over 3 colours"
    assert start.share == pytest.approx(0.853, abs=0.001)
    scratch, after = build_detector("yolov5n", 0).state_dict(), detector.state_dict()
    assert all(torch.equal(after[name], scratch[name]) for name in start.left_random)  # as in every other arm
    grey = torch.rand(2, 1, 32, 32)
    seen = torch.nn.functional.conv2d(grey.repeat(1, 3, 1, 1), given[FIRST])  # a grey film as three equal colours
    assert torch.allclose(torch.nn.functional.conv2d(grey, after[FIRST]), seen, atol=1e-5)
    training.finetune(study, "elsewhere", 1.0, 0, small.out, small.data)
    assert (small.out / "finetune" / "elsewhere" / "1" / "0" / "weights.safetensors").is_file()


def test_a_backbone_alone_is_refused(small, photographs, tmp_path):
    # as of a classifier of photographs (ImageNet): layers 0 to 9 of yolov5n
    backbone = {name: tensor for name, tensor in photographs[1].items() if int(name.split(".")[1]) <= 9}
    path = save_weights(tmp_path / "backbone.safetensors", backbone, {})
    with pytest.raises(WeightsError, match=r"only 198 of 427 tensors \(42% of parameters\) fit yolov5n"):
        initialise(Arm(initialise=str(path)), "yolov5n", 0, small.out)
