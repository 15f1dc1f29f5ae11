"""Devices and how many replicates fit."""

from __future__ import annotations

import pytest

from osteotl.detection import hardware


def test_without_a_gpu_everything_runs_on_the_cpu(monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert hardware.choose_device("auto") == "cpu"
    with pytest.raises(ValueError, match=r"detector\.device is 'cuda:1', but torch sees 0 GPUs here"):
        hardware.choose_device("cuda:1")
    assert hardware.settle_threads("cpu") == 1


def test_replicates_are_packed_by_memory():
    small = hardware.replicate_memory("yolov5n", 160, 8)
    large = hardware.replicate_memory("yolov5s", 640, 16)
    assert 1.2 < small < 1.4  # context, and eight films at a sixteenth of the area
    assert large == pytest.approx(1.2 + 16 * 0.28)
    assert hardware.replicates_per_gpu("yolov5s", 640, 16, free=24.0) == 3  # 21.6 of 24 GB / 5.68
    assert hardware.replicates_per_gpu("yolov5x", 640, 64, free=8.0) == 1  # never none
    assert hardware.replicate_memory("yolov5s", 640, 16, "bf16") < large
