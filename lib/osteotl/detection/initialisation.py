"""Where a detector's first weights come from, tensor by tensor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from ultralytics.nn.tasks import DetectionModel

from osteotl.detection import hermetic
from osteotl.detection.errors import WeightsError
from osteotl.detection.weights import check_shapes, digest, load_checkpoint, load_weights
from osteotl.files import sha256
from osteotl.study import Arm

hermetic.silence()

CLASSES = {0: "lesion"}  # one class in every cohort: pretraining then moves all tensors, the head's too
FIRST = "model.0.conv.weight"
LEAST_SHARE = 0.5  # below this share of parameters a 'transfer' would be training from scratch under another name


@dataclass(frozen=True)
class Initialisation:
    """Which tensors came from where.

    Attributes
    ----------
    kind : str
        random, pretrain, other_modality or file.
    source, source_sha256 : str or None
        The file, and the hash of its bytes.
    tensors, from_source : int
        All tensors of the detector, and those taken from the source.
    share : float
        Share of parameters taken from the source, in [0, 1].
    left_random : list of str
        Tensors that keep the random values which every arm of this seed starts from.
    random_init, start : str
        Hash of those random values, and of the weights that training starts from.
    notes : list of str
        What was adapted (colour filters summed to grey, class convolutions left random).
    """

    kind: str
    source: str | None
    source_sha256: str | None
    tensors: int
    from_source: int
    share: float
    left_random: list[str]
    random_init: str
    start: str
    notes: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


def build_detector(model: str, seed: int | None = None) -> DetectionModel:
    """A detector for grey films and one class, random weights from `seed` alone.

    Parameters
    ----------
    model : str
        yolov5n, yolov5s, yolov5m, yolov5l or yolov5x.
    seed : int, optional
        Seeds torch first; None leaves its random state to the caller.

    Returns
    -------
    DetectionModel
        In training mode, float32, on the CPU.
    """
    if seed is not None:
        torch.manual_seed(seed)
    detector = DetectionModel(f"{model}.yaml", ch=1, nc=len(CLASSES), verbose=False)
    detector.names = dict(CLASSES)
    return detector


def rebuild_detector(path: str | Path, model: str) -> DetectionModel:
    """The detector that a weights file describes, in evaluation mode.

    Raises
    ------
    WeightsError
        If the file is damaged or of another architecture.
    """
    state, facts = load_weights(path)
    if facts.get("model", model) != model:
        raise WeightsError(f"{path}: weights of {facts['model']}, but detector.model is {model}")
    detector = build_detector(model, seed=0)
    check_shapes(state, detector.state_dict(), path)
    detector.load_state_dict(state, strict=True)
    return detector.eval()


def initialise(arm: Arm, model: str, seed: int, out: str | Path) -> tuple[DetectionModel, Initialisation]:
    """Build the detector of an arm, ready to train.

    Parameters
    ----------
    arm : Arm
        `initialise` says where weights come from.
    model : str
        Detector, as in study.yaml.
    seed : int
        Of the random values; the arm's own offset included.
    out : path
        The outputs folder, where this study's pretraining lies.

    Raises
    ------
    WeightsError
        If the source cannot be used.
    """
    detector = build_detector(model, seed)
    random_init = digest(detector.state_dict())
    if arm.initialise == "random":
        everything = list(detector.state_dict())
        return detector, Initialisation(
            "random", None, None, len(everything), 0, 0.0, everything, random_init, random_init
        )
    path = source_of(arm, out)
    state, _ = load_checkpoint(path) if path.suffix == ".pt" else load_weights(path)
    taken, notes = _transfer(detector, state, path)
    after = detector.state_dict()
    share = sum(after[name].numel() for name in taken) / sum(tensor.numel() for tensor in after.values())
    if share < LEAST_SHARE:
        raise WeightsError(
            f"{path}: only {len(taken)} of {len(after)} tensors ({share:.0%} of parameters) fit {model}; that would be "
            f"training from scratch under another name. Use weights of {model}, or change detector.model"
        )
    left = [name for name in after if name not in taken]
    kind = arm.initialise if arm.initialise in ("pretrain", "other_modality") else "file"
    shown = path.relative_to(out).as_posix() if path.is_relative_to(out) else path.name
    return detector, Initialisation(
        kind, shown, sha256(path), len(after), len(taken), share, left, random_init, digest(after), notes
    )


def source_of(arm: Arm, out: str | Path) -> Path:
    """The file that an arm's first weights come from."""
    if arm.initialise in ("pretrain", "other_modality"):
        return Path(out) / arm.initialise / "weights.safetensors"
    return Path(arm.initialise)


def _transfer(detector: DetectionModel, state: Mapping[str, torch.Tensor], path: Path) -> tuple[set[str], list[str]]:
    """Copy what fits, name by name; touches no random state, so that all arms draw the same numbers afterwards."""
    own, notes = detector.state_dict(), []
    fits = {name: state[name] for name, tensor in own.items() if name in state and state[name].shape == tensor.shape}
    first = state.get(FIRST)
    if (
        FIRST not in fits
        and first is not None
        and first.dim() == own[FIRST].dim()
        and first.shape[0] == own[FIRST].shape[0]
        and first.shape[2:] == own[FIRST].shape[2:]
    ):
        fits[FIRST] = first.sum(1, keepdim=True)
        notes.append(f"first filters summed over {first.shape[1]} colours")
    foreign = [name for name in own if name not in fits]
    if foreign:
        notes.append(f"{len(foreign)} tensors of other shape left random (first: {foreign[0]})")
    detector.load_state_dict({**own, **fits}, strict=True)
    return set(fits), notes
