"""Weights that must be refused."""

from __future__ import annotations

import pickle

import pytest
import torch

from osteotl.detection.errors import WeightsError
from osteotl.detection.initialisation import initialise, rebuild_detector
from osteotl.detection.weights import digest, load_checkpoint, load_weights, save_weights
from osteotl.study import Arm


@pytest.fixture
def good(trained):
    return trained.out / "finetune" / "scratch" / "1" / "0" / "weights.safetensors"


class Payload:
    """Runs code when it is unpickled."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return (open, (self.path, "w"))


def test_saving_and_loading_keeps_every_bit(good, tmp_path):
    state, facts = load_weights(good)
    again = save_weights(tmp_path / "again.safetensors", state, facts)
    assert again.read_bytes() == good.read_bytes()
    assert digest(load_weights(again)[0]) == digest(state)


@pytest.mark.parametrize("keep", [0, 5, 1000, -1000])
def test_truncated_weights_are_refused(good, tmp_path, keep):
    path = tmp_path / "short.safetensors"
    path.write_bytes(good.read_bytes()[:keep])
    with pytest.raises(WeightsError, match=r"short\.safetensors: not a whole safetensors file"):
        load_weights(path)


def header_of(text):
    """A file of weights with this header and no tensors."""
    return len(text).to_bytes(8, "little") + text.encode()


DEEP = "[" * 5_000 + "]" * 5_000


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (header_of('{"a": ' + DEEP + "}"), "not a whole safetensors file"),
        (header_of('{"__metadata__": {"osteotl": "' + DEEP + '"}}'), "nested too deeply"),
        (header_of('{"__metadata__": {"osteotl": "[1]"}}'), "no mapping of facts"),
        (header_of('{"__metadata__": {"osteotl": "{"}}'), "not a whole safetensors file"),
        (header_of("{}"), "holds no tensors"),
        (
            header_of('{"a": {"dtype": "F32", "shape": [99999999999, 9], "data_offsets": [0, 4]}}') + bytes(4),
            "not a whole",
        ),
        (header_of('{"a": {"dtype": "Q7", "shape": [1], "data_offsets": [0, 4]}}') + bytes(4), "not a whole"),
        ((2**60).to_bytes(8, "little") + b"{}", "not a whole safetensors file"),
        ((2**64 - 1).to_bytes(8, "little"), "not a whole safetensors file"),
    ],
)
def test_hostile_headers_are_refused_in_one_sentence(tmp_path, content, what):
    path = tmp_path / "odd.safetensors"
    path.write_bytes(content)
    with pytest.raises(WeightsError) as caught:
        load_weights(path)
    assert what in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600


def test_devices_are_no_weights():
    with pytest.raises(WeightsError, match="no such file of weights"):
        load_weights("/dev/zero")


def test_missing_weights_are_named(tmp_path):
    with pytest.raises(WeightsError, match=r"none\.safetensors: no such file"):
        load_weights(tmp_path / "none.safetensors")


def test_weights_that_are_not_finite_are_refused(good, tmp_path):
    from safetensors.torch import save_file

    state, _ = load_weights(good)
    state["model.0.conv.weight"][0] = float("nan")
    save_file(state, tmp_path / "nan.safetensors")
    with pytest.raises(
        WeightsError, match=r"1 tensors hold values that are not finite \(first: model\.0\.conv\.weight"
    ):
        load_weights(tmp_path / "nan.safetensors")
    with pytest.raises(WeightsError, match="not finite"):
        save_weights(tmp_path / "again.safetensors", state, {})


@pytest.mark.parametrize("change", ["shape", "missing", "foreign"])
def test_weights_of_another_architecture_are_refused(good, tmp_path, change):
    state, facts = load_weights(good)
    name = "model.0.conv.weight"
    if change == "shape":
        state[name] = state[name][:, :, :3, :3].contiguous()
    elif change == "missing":
        del state[name]
    else:
        state["model.99.weight"] = torch.ones(1)
    path = save_weights(tmp_path / "other.safetensors", state, facts)
    with pytest.raises(WeightsError, match="1 of 427 tensors do not fit this detector"):
        rebuild_detector(path, "yolov5n")


def test_weights_of_another_model_are_refused(good, small):
    with pytest.raises(WeightsError, match=r"weights of yolov5n, but detector\.model is yolov5s"):
        rebuild_detector(good, "yolov5s")
    with pytest.raises(WeightsError, match="training from scratch under another name"):
        initialise(Arm(initialise=str(good)), "yolov5s", 0, small.out)


def test_a_pickle_named_safetensors_is_refused_unread(tmp_path):
    path, trace = tmp_path / "code.safetensors", tmp_path / "ran"
    path.write_bytes(pickle.dumps(Payload(trace)))
    with pytest.raises(WeightsError, match="a pickle or zip archive, which can carry code"):
        load_weights(path)
    assert not trace.exists()


def test_a_checkpoint_that_carries_code_is_refused_unrun(tmp_path):
    path, trace = tmp_path / "code.pt", tmp_path / "ran"
    torch.save({"model": Payload(trace)}, path)
    with pytest.raises(WeightsError, match=r"code\.pt: refused by safe loading"):
        load_checkpoint(path)
    assert not trace.exists()


def test_an_ultralytics_checkpoint_moves_all_it_can(tmp_path, small):
    from ultralytics.nn.tasks import DetectionModel

    torch.manual_seed(7)
    colour = DetectionModel("yolov5n.yaml", ch=3, nc=80, verbose=False)
    torch.save({"model": colour, "ema": None, "train_args": {}}, tmp_path / "colour.pt")
    arm = Arm(initialise=str(tmp_path / "colour.pt"), allow_pickle=True)
    detector, start = initialise(arm, "yolov5n", 0, small.out)
    assert start.notes[0] == "first filters summed over 3 colours"
    assert start.share > 0.8  # the class branch holds the rest
    assert all(".cv3." in name for name in start.left_random)  # 80 classes widen the class branch alone
    assert torch.equal(
        detector.state_dict()["model.0.conv.weight"], colour.state_dict()["model.0.conv.weight"].sum(1, keepdim=True)
    )


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut", b"not a checkpoint"])
def test_a_damaged_checkpoint_is_refused(tmp_path, content):
    (tmp_path / "damaged.pt").write_bytes(content)
    with pytest.raises(WeightsError, match=r"damaged\.pt: refused by safe loading"):
        load_checkpoint(tmp_path / "damaged.pt")


def test_a_torch_that_does_not_refuse_code_is_noticed(tmp_path, monkeypatch):
    """ultralytics then turns `safe_only` into a full load without a word."""
    from ultralytics.nn import tasks

    torch.save({"model": Payload(tmp_path / "ran")}, tmp_path / "a.pt")
    monkeypatch.setattr(tasks._SafeLoad, "SUPPORTED", False)
    with pytest.raises(WeightsError, match=r"does not refuse code in a \.pt file"):
        load_checkpoint(tmp_path / "a.pt")
    assert not (tmp_path / "ran").exists()
