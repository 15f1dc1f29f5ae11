"""Replicates side by side on several GPUs: one each, then packed, never beyond memory. GPUs are pretended."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from osteotl.detection import gpu_slots, hardware
from osteotl.study import Detector

QUICK = Path(__file__).parents[2] / "studies" / "quick.yaml"


@pytest.mark.parametrize(
    ("taken", "places", "chosen"),
    [
        ({}, {"a": 2, "b": 2}, "a"),
        ({"a": 1}, {"a": 2, "b": 2}, "b"),  # one each before any two
        ({"a": 1, "b": 1}, {"a": 2, "b": 2}, "a"),
        ({"a": 1, "b": 1}, {"a": 1, "b": 2}, "b"),  # the first has memory for one only
        ({"a": 2, "b": 2}, {"a": 2, "b": 2}, None),
        ({"c": 5}, {"a": 1}, "a"),  # what runs on a GPU that is not ours to use does not count
        ({}, {}, None),
    ],
)
def test_the_emptiest_gpu_with_a_place_is_next(taken, places, chosen):
    assert gpu_slots.emptiest(taken, places) == chosen


def test_memory_decides_how_many_share_a_gpu():
    cards = [hardware.Gpu(0, "g", 24.0, 1.0, "GPU-a"), hardware.Gpu(1, "g", 8.0, 8.0, "GPU-b")]
    detector = Detector(model="yolov5s", image_size=640, batch=16)
    # 1.2 + 16 x .28 = 5.68 GB each: three in 90 % of 24 GB, one in 90 % of 8; what is free now is others' of ours
    assert gpu_slots.places_for(detector, cards) == {"GPU-a": 3, "GPU-b": 1}
    assert gpu_slots.places_for(detector, cards, most=2) == {"GPU-a": 2, "GPU-b": 1}


def test_places_are_spread_filled_and_given_back(tmp_path):
    places = {"GPU-a": 2, "GPU-b": 1}
    held = [gpu_slots.take_place(tmp_path, places) for _ in range(4)]
    assert [place and place[0] for place in held] == ["GPU-a", "GPU-b", "GPU-a", None]
    held[1][1].close()
    assert gpu_slots.take_place(tmp_path, places)[0] == "GPU-b"


@pytest.fixture
def machine(tmp_path):
    """Environment of a machine whose nvidia-smi lists two GPUs of 24 GB."""
    tool = tmp_path / "bin" / "nvidia-smi"
    tool.parent.mkdir()
    tool.write_text("#!/bin/sh\necho '0, Card, 24576, 24000, GPU-a'\necho '1, Card, 24576, 24000, GPU-b'\n")
    tool.chmod(0o755)
    kept = {k: v for k, v in os.environ.items() if k != "CUDA_VISIBLE_DEVICES"}
    own = {"PATH": f"{tool.parent}:{os.environ['PATH']}", "TMPDIR": str(tmp_path), "OSTEOTL_REPLICATES_PER_GPU": "1"}
    return kept | own


def start(machine, study=QUICK, **more):
    """A 'replicate' that says which GPU it sees and then lasts until its input ends."""
    command = [sys.executable, "-m", "osteotl.detection.gpu_slots", str(study), "sh", "-c",
               "echo $CUDA_VISIBLE_DEVICES; read wait"]  # fmt: skip
    return subprocess.Popen(command, env=machine | more, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def test_processes_side_by_side_see_a_gpu_each_and_the_next_one_waits(machine):
    one, two = start(machine), start(machine)
    seen = [process.stdout.readline().strip() for process in (one, two)]
    assert sorted(seen) == ["GPU-a", "GPU-b"]
    three = start(machine)
    with pytest.raises(subprocess.TimeoutExpired):
        three.wait(3)
    two.kill()  # a killed run, too, gives its place back
    two.wait()
    assert three.stdout.readline().strip() == seen[1]
    for process in (one, three):
        process.communicate("\n", timeout=60)
        assert process.returncode == 0


def test_the_scheduler_s_choice_and_a_named_device_stand(machine, tmp_path):
    only = start(machine, CUDA_VISIBLE_DEVICES="1")
    assert only.communicate("\n", timeout=60)[0].strip() == "GPU-b"
    named = tmp_path / "study.yaml"
    named.write_text(QUICK.read_text().replace("detector: {", "detector: {device: cpu, "))
    assert start(machine, named).communicate("\n", timeout=60)[0].strip() == ""
