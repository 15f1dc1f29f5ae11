"""The detector library without network, without side effects, and without waiting for what is never used.

`prepare()` must run before `ultralytics` is imported; the package calls it when it is itself imported.
"""

from __future__ import annotations

import atexit
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import logging
import os
import shutil
import sys
import types
from pathlib import Path
from typing import Any

from osteotl.files import scratch_folder

_FONT = "Arial.ttf"  # the name that ultralytics looks for before it tries a download
_prepared: list[Path] = []
_original: list[Any] = []


def prepare(folder: str | Path | None = None) -> Path:
    """Make `import ultralytics` silent and offline; calling it again changes nothing.

    Parameters
    ----------
    folder : path, optional
        Where ultralytics may keep its settings; default: a temporary folder of this process, so that replicates
        side by side share no state.

    Returns
    -------
    Path
        The settings folder in use.

    Raises
    ------
    RuntimeError
        If ultralytics was imported before this call, when it may have asked the network already.
    """
    if _prepared:
        return _prepared[0]
    if "ultralytics" in sys.modules:
        raise RuntimeError("ultralytics was imported before osteotl.detection.hermetic.prepare(): import osteotl first")
    folder = Path(folder) if folder else _temporary()
    folder.mkdir(parents=True, exist_ok=True)
    _font(folder / "Ultralytics")
    os.environ.update(
        YOLO_CONFIG_DIR=str(folder),
        YOLO_OFFLINE="1",
        YOLO_AUTOINSTALL="0",
        YOLO_VERBOSE="0",
        ULTRALYTICS_SAFE_LOAD="1",
        OMP_NUM_THREADS=os.environ.get("OMP_NUM_THREADS", "1"),
    )
    _without_compiler()
    _prepared.append(folder)
    return folder


def silence() -> None:
    """Switch off ultralytics' log below errors, every integration with outside services, and its hold on Pillow."""
    utils = importlib.import_module("ultralytics.utils")
    # its Image.open answers a damaged film, in all of the process, with an attempt to install a plugin
    pillow: Any = importlib.import_module("PIL.Image")
    pillow.open = importlib.import_module("ultralytics.utils.patches")._image_open
    utils.LOGGER.setLevel(logging.ERROR)
    off = {name: False for name, value in utils.SETTINGS.items() if isinstance(value, bool)}
    dict.update(utils.SETTINGS, off)  # in memory only: SETTINGS.update writes and announces its file
    torch: Any = importlib.import_module("torch")
    if torch.use_deterministic_algorithms is not _deterministic:
        _original.append(torch.use_deterministic_algorithms)
        torch.use_deterministic_algorithms = _deterministic


def _deterministic(mode: bool, *, warn_only: bool = False) -> None:
    """torch.use_deterministic_algorithms, which otherwise loads the compiler to set one of the compiler's options."""
    torch = importlib.import_module("torch")
    if isinstance(sys.modules.get("torch._dynamo"), _Compiler):
        torch._C._set_deterministic_algorithms(mode, warn_only=warn_only)
    else:
        _original[0](mode, warn_only=warn_only)


def _temporary() -> Path:
    folder = scratch_folder()
    owner = os.getpid()

    def remove() -> None:
        if os.getpid() == owner:  # a forked child must not take its parent's folder away
            shutil.rmtree(folder, ignore_errors=True)

    atexit.register(remove)
    return folder


def _font(folder: Path) -> None:
    """Any TrueType font under the expected name spares a download that ignores YOLO_OFFLINE."""
    folder.mkdir(parents=True, exist_ok=True)
    target, found = folder / _FONT, importlib.util.find_spec("matplotlib")
    if target.exists() or found is None or found.origin is None:
        return
    source = Path(found.origin).parent / "mpl-data" / "fonts" / "ttf" / "DejaVuSans.ttf"
    if source.exists():
        shutil.copyfile(source, target)


class _Compiler(types.ModuleType):
    """Stands for torch._dynamo until something asks it for more than 'do not compile this'.

    Every torch optimiser imports torch's compiler (3.8 s, 60 % of what a replicate's imports cost) only to be told
    that a function is not to be compiled. Any other question loads the real module in its place.
    """

    @staticmethod
    def disable(function: Any = None, *_: Any, **__: Any) -> Any:
        return function if function is not None else (lambda inner: inner)

    @staticmethod
    def graph_break(*_: Any, **__: Any) -> None:
        return None

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(_real_compiler(), name)


class _Loaded(importlib.abc.Loader):
    """Hands over a module that is loaded already."""

    def __init__(self, module: types.ModuleType):
        self.module = module

    def create_module(self, spec: Any) -> types.ModuleType:
        return self.module

    def exec_module(self, module: types.ModuleType) -> None:
        return None


class _Finder(importlib.abc.MetaPathFinder):
    """Lets `import torch._dynamo.anything` load the real package first."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        if not name.startswith("torch._dynamo.") or not isinstance(sys.modules.get("torch._dynamo"), _Compiler):
            return None
        real = _real_compiler()
        if name in sys.modules:  # loaded by the package itself: a second copy would split its state
            return importlib.machinery.ModuleSpec(name, _Loaded(sys.modules[name]))
        return importlib.machinery.PathFinder.find_spec(name, real.__path__)


def _real_compiler() -> types.ModuleType:
    if isinstance(sys.modules.get("torch._dynamo"), _Compiler):
        del sys.modules["torch._dynamo"]
        sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, _Finder)]
    return importlib.import_module("torch._dynamo")


def _without_compiler() -> None:
    if "torch._dynamo" in sys.modules or os.environ.get("OSTEOTL_TORCH_COMPILER") == "1":
        return
    stand_in = _Compiler("torch._dynamo")
    stand_in.__path__ = []  # a package, so that its modules are looked for
    sys.modules["torch._dynamo"] = stand_in
    sys.meta_path.insert(0, _Finder())
