"""Arms that differ in initialisation only: proof, and what breaks it."""

from __future__ import annotations

import copy
import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from osteotl.detection import hardware, pairing, training
from osteotl.detection.errors import PairingError, Replicate
from osteotl.files import sha256

FRESH = """
import socket
def refuse(*_, **__):
    raise AssertionError("the network was asked")
socket.getaddrinfo = socket.socket.connect = refuse
import sys
sys.path.insert(0, sys.argv[1])
from conftest import make_study
from osteotl.detection import training
training.finetune(make_study(), "scratch", 1.0, 0, sys.argv[2], sys.argv[3])
"""


def read(folder: Path) -> dict:
    return json.loads((folder / "pairing.json").read_text())


def test_two_fresh_processes_without_network_agree_bit_for_bit(trained, tmp_path):
    ours = trained.out / "finetune" / "scratch" / "1" / "0"
    out = tmp_path / "outputs"
    out.mkdir()
    os.symlink(trained.out / "cohorts", out / "cohorts")
    here = str(Path(__file__).parent)
    subprocess.run([sys.executable, "-c", FRESH, here, str(out), str(trained.data)], check=True, timeout=120)
    theirs = out / "finetune" / "scratch" / "1" / "0"
    assert read(theirs) == read(ours)
    assert sha256(theirs / "weights.safetensors") == sha256(ours / "weights.safetensors")
    assert (theirs / "training.csv").read_bytes() == (ours / "training.csv").read_bytes()


def test_arms_of_a_finished_study_are_paired(trained):
    records = pairing.read_records(trained.study, lambda name: trained.out / name)
    pairing.check_batches(records)
    table = pairing.table(records).set_index("fact")
    unequal = table.index[~table["equal"]].tolist()
    assert unequal == ["weights from", "tensors from there", "share of parameters", "weights at the start"]
    assert table.loc["tensors from there", "transfer"] == "427 of 427"
    assert table.loc["tensors from there", "scratch"] == "0 of 427"


def facts(small, arm="transfer", study=None, films=None):
    films = films or training.fraction_films(small.study, 1.0, 0, small.out, small.data)
    return training.static_facts(study or small.study, arm, 1.0, 0, small.out, films)


def changed(small, **detector):
    return small.study.model_copy(update={"detector": small.study.detector.model_copy(update=detector)})


def test_static_facts_agree_between_arms(trained):
    pairing.check_static([facts(trained, "scratch"), facts(trained)])


@pytest.mark.parametrize(
    ("name", "detector"),
    [
        ("augmentation", {"augmentation": {"fliplr": 0.0}}),
        ("learning rate", {"learning_rate": 0.002}),
        ("batch size", {"batch": 8}),
        ("optimiser", {"optimizer": "SGD"}),
        ("epochs", {"epochs": 3}),
    ],
)
def test_a_setting_of_one_arm_stops_with_its_name(trained, name, detector):
    other = facts(trained, study=changed(trained, **detector))
    with pytest.raises(PairingError, match=name):
        pairing.check_static([facts(trained, "scratch"), other])


def test_the_seed_of_one_arm_stops_with_its_name(trained):
    films = training.fraction_films(trained.study, 1.0, 0, trained.out, trained.data)
    other = {**training.static_facts(trained.study, "transfer", 1.0, 1, trained.out, films)}
    with pytest.raises(PairingError) as caught:
        pairing.check_static([facts(trained, "scratch"), other])
    named = "\n".join(caught.value.differences)
    assert "seed: scratch has 0, transfer has 1" in named
    assert "random state at the start" in named
    assert "first batch" in named


def test_an_arm_that_declares_other_seeds_may_have_them(trained):
    arms = {**trained.study.arms, "scratch_b": trained.study.arms["scratch"].model_copy(update={"seed_offset": 100})}
    study = trained.study.model_copy(update={"arms": arms})
    pairing.check_static([facts(trained, "scratch"), facts(trained, "scratch_b", study)])
    slower = study.model_copy(update={"detector": study.detector.model_copy(update={"learning_rate": 0.01})})
    with pytest.raises(PairingError, match="learning rate"):
        pairing.check_static([facts(trained, "scratch"), facts(trained, "scratch_b", slower)])


def with_controls(study):
    """The study with the control arms of studies/controls.yaml, each listed before the arms of the question."""
    scratch = study.arms["scratch"]
    controls = {
        "scratch_b": scratch.model_copy(update={"seed_offset": 100}),
        "scratch_long": scratch.model_copy(update={"train_for": "pretrain_and_finetune"}),
    }
    return study.model_copy(update={"arms": {**controls, **study.arms}})


@pytest.fixture(scope="module")
def controlled(trained, tmp_path_factory):
    """The records of a finished study with control arms."""
    out = tmp_path_factory.mktemp("controlled") / "outputs"
    shutil.copytree(trained.out, out)
    study = with_controls(trained.study)
    for arm in ("scratch_b", "scratch_long"):
        training.finetune(study, arm, 1.0, 0, out, trained.data)
    return pairing.read_records(study, lambda name: out / name)


def test_declared_differences_of_control_arms_are_no_fault(controlled):
    pairing.check_batches(controlled)
    records = {record["static"]["arm"]: record for record in controlled}
    # 16 films in batches of 4: 2 epochs are 8 steps; 12 chest films for 1 epoch add 3, so 11 steps in 3 epochs
    assert records["scratch"]["trained"]["steps"] == 8
    assert records["scratch_long"]["trained"]["steps"] == 11
    plain, longer = (records[arm]["trained"]["batches"] for arm in ("scratch", "scratch_long"))
    assert longer[:2] == plain
    assert not set(records["scratch_b"]["trained"]["batches"]) & set(plain)
    assert records["scratch_b"]["static"]["film_content"] == records["scratch"]["static"]["film_content"]


@pytest.mark.parametrize(
    ("arm", "part", "name", "value", "named"),
    [
        ("scratch_b", "static", "film_content", "0" * 64, "pixels or boxes of the films"),
        ("scratch_b", "static", "steps", 9, "optimiser steps"),
        ("scratch_b", "trained", "films_seen", 31, "films seen"),
        ("scratch_b", "trained", "steps", 9, "steps taken"),
        ("scratch_b", "static", "threads", 2, "threads"),
        ("scratch_long", "static", "seed", 1, "seed"),
        ("scratch_long", "static", "first_batch", "0" * 64, "first batch"),
        ("scratch_long", "static", "augmentation", {}, "augmentation"),
        ("scratch_long", "trained", "batches", ["0" * 64] * 3, "from epoch 1 on"),
        ("transfer", "static", "seed", 1, "seed"),
        ("transfer", "trained", "steps", 11, "steps taken"),
    ],
)
def test_other_differences_of_control_arms_are_refused(controlled, arm, part, name, value, named):
    records = copy.deepcopy(controlled)
    next(r for r in records if r["static"]["arm"] == arm)[part][name] = value
    with pytest.raises(PairingError, match=named):
        pairing.check_batches(records)


def test_class_count_of_one_arm_stops_with_its_name(trained):
    from ultralytics.nn.tasks import DetectionModel

    films = training.fraction_films(trained.study, 1.0, 0, trained.out, trained.data)
    plan = training.finetune_plan(trained.study, Replicate("transfer", 1.0, 0), len(films), trained.out)
    torch.manual_seed(0)
    two = DetectionModel("yolov5n.yaml", ch=1, nc=2, verbose=False)
    other = training._facts(plan, training._opened(plan, two, films), films, "transfer")
    with pytest.raises(PairingError, match="class count: scratch has 1, transfer has 2"):
        pairing.check_static([facts(trained, "scratch"), other])


def test_order_of_films_of_one_arm_stops_with_its_name(trained):
    films = training.fraction_films(trained.study, 1.0, 0, trained.out, trained.data)
    other = facts(trained, films=films.subset(np.arange(len(films))[::-1]))
    with pytest.raises(PairingError, match="order of the films"):
        pairing.check_static([facts(trained, "scratch"), other])


def test_threads_of_one_arm_stop_with_their_name(trained, monkeypatch):
    first = facts(trained, "scratch")
    monkeypatch.setattr(hardware, "settle_threads", lambda device: torch.set_num_threads(2) or 2)
    other = facts(trained)
    torch.set_num_threads(1)
    with pytest.raises(PairingError, match="threads: scratch has 1, transfer has 2"):
        pairing.check_static([first, other])


def test_finetune_stops_before_training(small, monkeypatch):
    plan_of = training.finetune_plan

    def skewed(study, replicate, *rest):
        plan = plan_of(study, replicate, *rest)
        return replace(plan, augmentation={**plan.augmentation, "scale": 0.9}) if replicate.arm == "transfer" else plan

    monkeypatch.setattr(training, "finetune_plan", skewed)
    with pytest.raises(PairingError, match="augmentation"):
        training.finetune(small.study, "scratch", 1.0, 0, small.out, small.data)
    assert not (small.out / "finetune").exists()


def test_batches_that_differ_are_found_afterwards(trained):
    records = pairing.read_records(trained.study, lambda name: trained.out / name)
    for name, change in {
        "from epoch 2 on": lambda t: t["batches"].__setitem__(1, "0" * 64),
        "films seen": lambda t: t.__setitem__("films_seen", 1),
        "steps taken": lambda t: t.__setitem__("steps", 1),
    }.items():
        broken = copy.deepcopy(records)
        change(broken[1]["trained"])
        with pytest.raises(PairingError, match=name):
            pairing.check_batches(broken)


def test_a_transfer_keeps_what_it_lacks_equal_to_scratch(small, trained):
    from osteotl.detection.initialisation import build_detector, initialise
    from osteotl.detection.weights import load_weights, save_weights
    from osteotl.study import Arm

    state, given = load_weights(small.out / "pretrain" / "weights.safetensors")
    head = [name for name in state if ".cv3." in name and name.endswith("2.weight")]
    other = {name: (tensor.repeat(2, 1, 1, 1) if name in head else tensor) for name, tensor in state.items()}
    path = save_weights(small.out / "two_classes.safetensors", other, given)
    detector, start = initialise(Arm(initialise=str(path)), "yolov5n", 0, small.out)
    scratch = build_detector("yolov5n", 0).state_dict()
    assert start.left_random == head
    assert start.from_source == 427 - 3
    for name, tensor in detector.state_dict().items():
        assert torch.equal(tensor, scratch[name] if name in head else state[name])
