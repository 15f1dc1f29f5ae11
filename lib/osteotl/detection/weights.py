"""Weights as safetensors: read strictly, written whole, never a pickle."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes

from osteotl.detection.errors import WeightsError
from osteotl.files import write_bytes

_KEY = "osteotl"


def save_weights(path: str | Path, state: Mapping[str, torch.Tensor], facts: Mapping[str, Any]) -> Path:
    """Write tensors and the facts needed to rebuild the detector.

    Parameters
    ----------
    path : path
        Ends in .safetensors.
    state : mapping of tensors
        A state dict; floating tensors are stored as float32.
    facts : mapping
        model, classes, channels, image_size and what else describes the run; JSON values.

    Returns
    -------
    Path

    Raises
    ------
    WeightsError
        If a tensor is not finite: weights that cannot score must not look finished.
    """
    tensors = {name: _plain(tensor) for name, tensor in state.items()}
    _finite(tensors, str(path))
    # one metadata entry only: safetensors writes several in an order that changes from run to run
    content = to_bytes(tensors, metadata={_KEY: json.dumps(dict(facts), sort_keys=True)})
    return write_bytes(path, lambda file: file.write(content))


def load_weights(path: str | Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Read tensors and their facts.

    Returns
    -------
    state : dict of float32 tensors
    facts : dict
        Empty where the file was not written by `save_weights`.

    Raises
    ------
    WeightsError
        If the file is missing, truncated, not safetensors (a pickle can carry code), or holds values that are not
        finite.
    """
    path = Path(path)
    if not path.is_file():
        raise WeightsError(f"{path}: no such file of weights")
    if _is_pickle(path):
        raise WeightsError(
            f"{path}: a pickle or zip archive, which can carry code; convert it to .safetensors, or name a .pt and set "
            "allow_pickle: true to have it read by safe loading"
        )
    try:
        with safe_open(str(path), framework="pt") as file:
            state = {name: _plain(file.get_tensor(name)) for name in file.keys()}  # noqa: SIM118 - not a mapping
            facts = json.loads((file.metadata() or {}).get(_KEY, "{}"))
    except RecursionError:
        raise WeightsError(f"{path}: facts nested too deeply; these are no weights of this project") from None
    except (SafetensorError, OSError, ValueError, TypeError, KeyError, RuntimeError) as error:
        said = " ".join(str(error).split())[:200]
        raise WeightsError(f"{path}: not a whole safetensors file ({said}); make or copy it again") from error
    if not isinstance(facts, dict):
        raise WeightsError(f"{path}: the metadata entry {_KEY!r} is no mapping of facts")
    if not state:
        raise WeightsError(f"{path}: holds no tensors")
    _finite(state, str(path))
    return state, facts


def load_checkpoint(path: str | Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Read an ultralytics .pt by safe loading: only known model classes are rebuilt, nothing is run.

    Raises
    ------
    WeightsError
        If the file is missing, damaged, carries anything else than a known detector, or is not finite.
    """
    path = Path(path)
    if not path.is_file():
        raise WeightsError(f"{path}: no such file of weights")
    from ultralytics.nn.tasks import DetectionModel, torch_safe_load

    _refuses_code()
    try:
        content, _ = torch_safe_load(str(path.resolve()), safe_only=True)
    except Exception as error:  # whatever a hostile file raises, it is refused
        raise WeightsError(f"{path}: refused by safe loading ({type(error).__name__}: {_first_line(error)})") from error
    model = (content.get("ema") or content.get("model")) if isinstance(content, dict) else None
    if not isinstance(model, DetectionModel):
        raise WeightsError(f"{path}: holds {type(model).__name__}, not an ultralytics detector")
    state = {name: _plain(tensor) for name, tensor in model.float().state_dict().items()}
    _finite(state, str(path))
    head: Any = model.model[-1]  # type: ignore[index]
    return state, {"classes": int(head.nc), "names": [str(name) for name in model.names.values()]}


class _Code:
    """An object whose pickle calls a function of ours when it is read without protection."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _ran, ()


_probes: list[str] = []


def _ran() -> None:
    _probes.append("a probe's code ran")


def _refuses_code() -> None:
    """Assert, on a harmless probe, that the libraries at hand run nothing from a pickle.

    Raises
    ------
    WeightsError
        They do: ultralytics' `safe_only` silently becomes a full load where torch lacks a restricted one.
    """
    from ultralytics.nn.tasks import torch_safe_load

    _probes.clear()
    with tempfile.TemporaryDirectory() as folder:
        probe = Path(folder) / "probe.pt"
        torch.save({"model": _Code()}, probe)
        try:
            torch_safe_load(str(probe), safe_only=True)
            refused = False
        except Exception:  # refused, with whatever kind of error; that nothing ran is asked below
            refused = True
    if _probes or not refused:
        raise WeightsError(
            f"torch {torch.__version__} with this ultralytics does not refuse code in a .pt file, so none is read; "
            "install the versions of requirements.lock, or convert the file to .safetensors"
        )


def digest(state: Mapping[str, torch.Tensor]) -> str:
    """One hash over names and values of all tensors."""
    total = hashlib.sha256()
    for name in sorted(state):
        total.update(name.encode() + state[name].detach().cpu().contiguous().numpy().tobytes())
    return total.hexdigest()


def check_shapes(state: Mapping[str, torch.Tensor], wanted: Mapping[str, torch.Tensor], path: str | Path) -> None:
    """Refuse weights that are not of exactly this architecture.

    Raises
    ------
    WeightsError
        Naming the first tensors that are missing, foreign or of another shape.
    """
    faults = [f"{name} is missing" for name in wanted if name not in state]
    faults += [f"{name} is foreign" for name in state if name not in wanted]
    faults += [
        f"{name} has shape {tuple(state[name].shape)}, not {tuple(tensor.shape)}"
        for name, tensor in wanted.items()
        if name in state and state[name].shape != tensor.shape
    ]
    if faults:
        raise WeightsError(
            f"{path}: {len(faults)} of {len(wanted)} tensors do not fit this detector ({'; '.join(faults[:3])}); "
            "train it with the model of this study, or change detector.model"
        )


def _plain(tensor: torch.Tensor) -> torch.Tensor:
    tensor = tensor.detach().cpu().contiguous()
    return tensor.float() if tensor.is_floating_point() else tensor.clone()


def _finite(state: Mapping[str, torch.Tensor], where: str) -> None:
    bad = [name for name, tensor in state.items() if not bool(torch.isfinite(tensor).all())]
    if bad:
        raise WeightsError(f"{where}: {len(bad)} tensors hold values that are not finite (first: {bad[0]})")


def _is_pickle(path: Path) -> bool:
    with path.open("rb") as file:
        head = file.read(4)
    return head[:2] == b"PK" or head[:1] == b"\x80"


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or ["no message"])[0][:200]
