"""Which steps are done and still hold, and in plain words why the others must run.

Every finished step leaves a record, OUT/.engine/steps/NAME.json: what its result depended on (`depends`), what it wrote
(`outputs`, with hashes) and how long it took. A step holds while its record says what is true now; nothing else
decides, least of all dates.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Any

from osteotl.files import write_json
from osteotl.workflow import fingerprint
from osteotl.workflow.steps import ENGINE, ROOT, Step, steps_of, to_root

MEMORY = f"{ENGINE}/memory.json"


class Whole:
    """A study, its outputs folder and the records in it.

    Parameters
    ----------
    config, outputs : Path
        The study file and the outputs folder.

    Raises
    ------
    StudyError
        The study file cannot be used.
    """

    def __init__(self, config: Path, outputs: Path):
        from osteotl.study import load_study

        self.config, self.outputs = config, outputs
        self.study = load_study(config)
        self.steps = steps_of(self.study)
        here = json.dumps(f"{ROOT}/")[1:-1]  # a project that is moved as a whole stays what it is
        self.settings = json.loads(json.dumps(self.study.model_dump(mode="json")).replace(here, ""))
        self.memory = fingerprint.Memory((read_json(outputs / MEMORY) or {}).get("files"))
        self._records: dict[str, dict[str, Any] | None] = {}

    @cached_property
    def lock(self) -> str:
        """Hash of the pinned packages."""
        return self.memory.of(ROOT / "requirements.lock", fingerprint.file_hash)

    def record(self, name: str) -> dict[str, Any] | None:
        """What a finished step left, or None."""
        if name not in self._records:
            path = record_path(self.outputs, name)
            self.memory.see(path)
            record = self._records[name] = read_json(path)
            for file, (content, seen) in (record or {}).get("outputs", {}).items():
                self.memory.known.setdefault(str(self.outputs / file), [seen, {"content": content}])
        return self._records[name]

    # --- what a step depends on ---------------------------------------------------------------------------------------

    def depends(self, step: Step) -> dict[str, Any]:
        """Everything that decides the result of a step, as it is now."""
        notebook, units = self._code(step)
        return {
            "notebook": notebook,
            "packages": self._packages(tuple(units)),
            "lock": self.lock,
            "settings": {key or "study": _setting(self.settings, key) for key in step.settings},
            "reads": {file: self._content(file) for file in step.reads},
            "data": {to_root(path): fingerprint.tree(path, self.memory) for path in step.data},
        }

    def _code(self, step: Step) -> list[Any]:
        if step.notebook == "report":
            return ["", [f"{fingerprint.PACKAGE}.reporting"]]
        path, lib = ROOT / "notebooks" / f"{step.notebook}.ipynb", ROOT / "lib"
        if not path.exists():
            return ["missing", []]
        return self.memory.of(path, lambda p: fingerprint.notebook(p, lib), "code")

    def _packages(self, units: tuple[str, ...]) -> dict[str, str]:
        known = self.__dict__.setdefault("_hashes", {})
        if units not in known:
            known[units] = fingerprint.packages(list(units), ROOT / "lib", self.memory)
        return known[units]

    def _content(self, file: str) -> str:
        name, _, part = file.partition("?")
        path = self.outputs / name
        if part and path.is_file():
            column, _, value = part.partition("=")
            return self.memory.of(path, lambda p: fingerprint.rows(p, column, value), part)
        return fingerprint.tree(path, self.memory)

    # --- whether it holds ---------------------------------------------------------------------------------------------

    def made_differently(self, step: Step, reads: bool = True) -> list[str]:
        """Why the outputs of a step are not what it would write now; empty: they hold."""
        record = self.record(step.name)
        if record is None:
            return ["not done yet"]
        return _differences(record["depends"], self.depends(step), reads) + self.spoilt(step)

    def spoilt(self, step: Step) -> list[str]:
        """Outputs that are missing or are not what the step wrote."""
        record = self.record(step.name)
        if record is None:
            return [f"{step.name} is not done"]
        recorded = {file: ["missing"] for file in step.writes if not file.endswith("/")}
        faults = []
        for file, entry in {**recorded, **record["outputs"]}.items():
            now = self._content(file)
            if now == "missing":
                faults.append(f"{file} is missing")
            elif now != entry[0]:
                faults.append(f"{file} is not what {step.name} wrote (edited by hand?)")
        if step.notebook == "00_cohorts" and (gone := self._films_gone(step)):
            faults.append(f"{gone} prepared films are missing from data/.prepared")
        return faults

    def _films_gone(self, step: Step) -> int:
        """Prepared films that a cohort table names and the cache has lost."""
        keys = set[str]()
        for table in (self.outputs / file for file in step.writes if file.endswith(".csv")):
            if table.is_file():
                keys |= set(self.memory.of(table, lambda path: fingerprint.column(path, "film"), "film"))
        cache = ROOT / "data" / ".prepared"
        return sum(not (cache / key[:2] / f"{key}.png").exists() for key in keys)

    def plan(self, names: Iterable[str] | None = None) -> dict[str, list[str]]:
        """Steps to run, in order, each with its reasons in plain words; 'after X' means: if the result of X changes."""
        stale: dict[str, list[str]] = {}
        for step in self.steps.values() if names is None else [self.steps[name] for name in names]:
            before = [need for need in step.needs if need in stale]
            reasons = self.made_differently(step, reads=not before)  # what steps before it will write is not known yet
            if not reasons and step.executed and self.executed(step) != (self.record(step.name) or {}).get("executed"):
                reasons = ["its executed notebook is missing or was altered (outputs hold and are loaded)"]
            if not reasons and before:
                reasons = [f"after {_named(before)}, if that changes what it reads"]
            if reasons:
                stale[step.name] = reasons
        return stale

    def executed(self, step: Step) -> str | None:
        """Hash of sources and results in the executed notebook; a re-save without change leaves it as it is."""
        path = self.outputs / str(step.executed)
        return self.memory.of(path, _shown, "shown") if path.is_file() else None

    # --- keeping ------------------------------------------------------------------------------------------------------

    def keep(self, step: Step, depends: dict[str, Any], seconds: float, finished: str) -> None:
        """Write the record of a step that has just ended well."""
        outputs = {}
        for path in self.written(step):
            name = path.relative_to(self.outputs).as_posix()
            outputs[name] = [fingerprint.file_hash(path), fingerprint.signature(path)]
        record = {"step": step.name, "depends": depends, "outputs": outputs,
                  "executed": self.executed(step) if step.executed else None,
                  "seconds": round(seconds, 2), "finished": finished}  # fmt: skip
        write_json(record_path(self.outputs, step.name), record)

    def written(self, step: Step) -> list[Path]:
        """The files that a step has written; of a name that ends in /, all below it."""
        return self._below(step.writes)

    def inputs(self, step: Step) -> list[Path]:
        """The files that a step reads, as far as they are there."""
        return [path for path in self._below(file.partition("?")[0] for file in step.reads) if path.is_file()]

    def _below(self, names: Iterable[str]) -> list[Path]:
        found: list[Path] = []
        for place in (self.outputs / name for name in names):
            found += fingerprint.files(place, self.memory) if place.is_dir() else [place]
        return found

    def remember(self, asked: list[str]) -> None:
        """Save what was seen while all steps held, so that the next check reads nothing twice; see `unchanged`."""
        for path in (Path(asked[0]), self.config, ROOT / "Snakefile", ROOT / "lib" / fingerprint.PACKAGE):
            fingerprint.tree(path, self.memory)
        names = re.findall(r"\$\{?(\w+)", Path(asked[0]).read_text(encoding="utf-8"))
        environment = {name: os.environ.get(name) for name in names}
        write_json(self.outputs / MEMORY, {"asked": asked, "environment": environment, "files": self.memory.used})


def unchanged(outputs: Path, asked: list[str]) -> bool:
    """Whether nothing was touched since all steps held for the same request, by the standard library alone.

    Parameters
    ----------
    outputs : Path
        The outputs folder.
    asked : list of str
        What distinguishes requests: the study file first, then what options add to it.
    """
    known = read_json(outputs / MEMORY)
    if not known or known.get("asked") != asked:
        return False
    same = all(os.environ.get(name) == value for name, value in known["environment"].items())
    return same and fingerprint.Memory(known["files"]).untouched()


def record_path(outputs: Path, name: str) -> Path:
    """Where the record of a step lies."""
    return outputs / ENGINE / "steps" / f"{name}.json"


def read_json(path: Path) -> dict[str, Any] | None:
    """A file of the engine's own; one that was cut short or is no JSON counts as absent."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _shown(path: Path) -> str:
    content = read_json(path)
    cells = content.get("cells", []) if content else [path.read_bytes().hex()]
    keep = [[c.get("source"), [{k: v for k, v in o.items() if k not in ("execution_count", "metadata")} for o in
             c.get("outputs", [])]] if isinstance(c, dict) else c for c in cells]  # fmt: skip
    return fingerprint.digest(json.dumps(keep, sort_keys=True))


def _setting(settings: Any, key: str) -> Any:
    for part in key.split(".") if key else []:
        settings = settings.get(part) if isinstance(settings, dict) else None
    return settings


def _named(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"


def _differences(before: dict[str, Any], now: dict[str, Any], reads: bool) -> list[str]:
    """In the order in which a person would look for a cause: settings, data, code, inputs."""
    words = []
    for key in dict.fromkeys([*before["settings"], *now["settings"]]):
        words += _changed(key, before["settings"].get(key), now["settings"].get(key))
    words += [f"films, annotations or files in {path} changed" for path in _unequal(before, now, "data")]
    words += [f"code of {unit} changed" for unit in _unequal(before, now, "packages")]
    words += ["code of its notebook changed"] * (before["notebook"] != now["notebook"])
    words += ["requirements.lock changed"] * (before["lock"] != now["lock"])
    return words + [f"{file} changed" for file in _unequal(before, now, "reads") if reads]


def _unequal(before: dict[str, Any], now: dict[str, Any], part: str) -> list[str]:
    return [k for k in sorted({*before[part], *now[part]}) if before[part].get(k) != now[part].get(k)]


def _changed(key: str, before: Any, now: Any) -> list[str]:
    if json.dumps(before) == json.dumps(now):
        return []
    if isinstance(before, dict) and isinstance(now, dict) and before != now:
        parts = dict.fromkeys([*before, *now])
        return [word for part in parts for word in _changed(f"{key}.{part}", before.get(part), now.get(part))]
    return [f"{key.removeprefix('study.')} changed from {_brief(before)} to {_brief(now)}"]


def _brief(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}..."
