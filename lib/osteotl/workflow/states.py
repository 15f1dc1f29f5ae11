"""Which steps are done and still hold, and in plain words why the others must run.

Every finished step leaves a record, OUT/.engine/steps/NAME.json: what its result depended on, what it wrote and how
long it took. A step holds while its record says what is true now; nothing else decides, least of all dates.
"""

from __future__ import annotations

import json
import sysconfig
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from osteotl.files import write_json
from osteotl.workflow import fingerprint
from osteotl.workflow.fingerprint import MISSING
from osteotl.workflow.steps import BESIDE, ENGINE, ROOT, UNCOUNTED, Step, phantoms, steps_of, to_root

LIB = ROOT / "lib"
MEMORY = f"{ENGINE}/memory.json"
KEPT = (
    ENGINE,
    "logs",
    "scratch",
    "study.yaml",
    "published",
    "planning",
    "registered",
    "scored",
)  # in the outputs folder, of no step

# What a record holds, by kind, in the order in which a person would look for a cause; and how a difference is told.
DEPENDS = ("settings", "data", "code", "packages", "reads")
SHOWN = ("display", "shown")  # what a notebook shows of its results: it is executed again, and nothing made anew
WORDS = {
    "settings": "{name} changed from {before} to {now}",
    "data": "films, annotations or files in {name} changed",
    "code": "{name} changed",
    "packages": "the package {name} changed from {before} to {now}",
    "reads": "{name} changed",
    "writes": "{name} is not what {step} wrote (edited by hand?)",
    "display": "{name}, which shows results, changed (outputs hold and are loaded)",
    "shown": "{name} is missing or was altered (outputs hold and are loaded)",
}


class StudyState:
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
        settings = json.loads(json.dumps(self.study.model_dump(mode="json")).replace(here, ""))
        derived = json.dumps(dict(_derived(self.study)), default=str).replace(here, "")
        self.settings = dict(_leaves(settings)) | json.loads(derived)
        # whoever knows the salt can match identifiers, so no record holds it
        self.settings["privacy.salt"] = fingerprint.digest("salt", self.study.privacy.salt)
        self.memory = fingerprint.Memory((read_json(outputs / MEMORY) or {}).get("files"))
        self._code: dict[str, dict[str, dict[str, str]]] = {}

    # --- what is true now ---------------------------------------------------------------------------------------------

    def now(self, step: Step) -> dict[str, dict[str, Any]]:
        """Everything that decides the result of a step, and the result, as they are now; see WORDS."""
        places = tuple(f"{key}." if key else "" for key in step.settings)
        executed = [step.executed] if step.executed else []
        return {
            "settings": {key: value for key, value in self.settings.items() if f"{key}.".startswith(places)},
            "data": {to_root(path): fingerprint.tree(path, self.memory) for path in step.data},
            **{kind: found for kind, found in self._code_of(step).items() if kind != "display"},
            "reads": dict(self._files(step.reads)),
            "writes": dict(self._files(step.writes)) | dict(self._files(step.may_write, where_there=True)),
            "display": self._code_of(step)["display"],
            "shown": {file: self.memory.of(self.outputs / file, shown) for file in executed},
        }

    def _code_of(self, step: Step) -> dict[str, dict[str, str]]:
        """Hashes of code and versions of packages: what makes a step's results, and what only shows them."""
        notebook = step.notebook
        if notebook not in self._code:
            file = ROOT / "notebooks" / f"{notebook}.ipynb"
            parts = self.memory.of(file, fingerprint.notebook) if file.exists() else {}
            made, others = (parts.get(part, ["", []]) for part in ("made", "shown"))
            if not step.cached:  # such a notebook has one part
                made, others = [fingerprint.digest(made[0], others[0]), made[1] + others[1]], ["", []]
            code, packages = self._reached([*made[1], *BESIDE.get(notebook, ())], step)
            display = {}
            if others[0]:
                modules, more = self._reached(others[1], step)
                display = {name: found for name, found in (modules | more).items() if name not in code | packages}
                display[f"{to_root(file)} (cells that show)"] = others[0]
            if parts:
                code |= {to_root(file): made[0]}
            self._code[notebook] = {"code": code, "packages": packages, "display": display}
        return self._code[notebook]

    def _reached(self, imported: Iterable[str], step: Step) -> tuple[dict[str, str], dict[str, str]]:
        """Hashes of modules, and versions of packages, that imports reach."""
        without = UNCOUNTED.get(step.notebook, ())
        modules, tops = fingerprint.reached(imported, LIB, self.memory, without)
        installed = Path(sysconfig.get_path("purelib"))
        return modules, fingerprint.versions(tops, ROOT / "requirements.lock", installed, self.memory)

    def _files(self, names: Iterable[str], where_there: bool = False) -> Iterator[tuple[str, str]]:
        """Files below the outputs folder with their hashes, of names as a step gives them."""
        for name in names:
            file, _, part = name.partition("?")
            path = self.outputs / file
            if part == "film":
                keys = self.memory.of(path, fingerprint.values, part) if path.exists() else []
                films = {key: self.memory.of(ROOT / "data" / ".prepared" / key[:2] / f"{key}.png") for key in keys}
                whole = fingerprint.digest(*(word for film in films.items() for word in film))
                yield f"{file} (its prepared films)", MISSING if MISSING in films.values() else whole
            elif part == "phantom":
                if drawn := [fingerprint.tree(folder, self.memory) for folder in self._phantoms(path.stem)]:
                    yield f"{file} (its phantoms)", fingerprint.digest(*drawn)
            elif part == "shown":
                yield file, self.memory.of(path, shown)
            elif part:
                yield name, self.memory.of(path, fingerprint.rows, *part.split("="))
            elif path.is_dir() or (not name.endswith("/") and (path.exists() or not where_there)):
                for found in fingerprint.files(path, self.memory):
                    yield found.relative_to(self.outputs).as_posix(), self.memory.of(found)

    def _phantoms(self, cohort: str) -> list[Path]:
        """Folders of phantoms that were drawn for a cohort, by the settings that lie beside them."""
        wanted = [
            phantom.model_dump(exclude={"validation"}) for phantom in phantoms(getattr(self.study.cohorts, cohort))
        ]
        there = sorted((ROOT / "data" / "phantoms").glob("*/settings.json")) if wanted else []
        found = {file.parent: self.memory.of(file, read_json) or {} for file in there}
        return [folder for folder, own in found.items() if any(own | settings == own for settings in wanted)]

    def strays(self) -> list[str]:
        """Files below the outputs folder that no step of the study makes, and that are not the engine's own."""
        made = {
            file.partition("?")[0] for s in self.steps.values() for file in (*s.writes, *s.may_write, s.executed or "")
        }
        folders, others = tuple(file for file in made if file.endswith("/")), []
        todo = [self.outputs / name for name in self.memory.of(self.outputs, fingerprint.names) if name not in KEPT]
        while todo:
            path = todo.pop()
            name = path.relative_to(self.outputs).as_posix()
            if path.is_dir() and not path.is_symlink():
                if f"{name}/" not in folders and not (path / ENGINE).is_dir():  # that is the folder of another study
                    todo += [path / entry for entry in self.memory.of(path, fingerprint.names)]
            elif name not in made and not name.startswith(folders) and not name.endswith((".failed.ipynb", ".part")):
                others.append(name)
        return sorted(others)

    # --- whether it holds ---------------------------------------------------------------------------------------------

    def record(self, step: Step) -> dict[str, Any] | None:
        """What a finished step left, or None."""
        return read_json(self.record_path(step))

    def record_path(self, step: Step) -> Path:
        """Where the record of a step lies."""
        return self.outputs / ENGINE / "steps" / f"{step.name}.json"

    def reasons(self, step: Step, *without: str) -> list[str]:
        """Why a step does not hold, in plain words, some kinds of reasons left out; empty: it holds."""
        record = self.record(step)
        if record is None:
            return ["not done yet"]
        now, kinds = self.now(step), [kind for kind in WORDS if kind not in without]
        return [why for kind in kinds for why in differences(kind, record.get(kind, {}), now[kind], step.name)]

    def unmet(self, step: Step) -> list[str]:
        """Why what a step reads is not to be used: the steps that write it do not hold."""
        needs = [self.steps[name] for name in step.needs]
        return [f"{need.name}: {reason}" for need in needs for reason in self.reasons(need, *SHOWN)]

    def plan(self) -> dict[str, list[str]]:
        """Steps to run, in order, each with its reasons; 'after X' means: if the result of X changes."""
        stale: dict[str, list[str]] = {}
        for step in self.steps.values():
            before = [need for need in step.needs if need in stale]
            reasons = self.reasons(step, *["reads"] * bool(before))  # what steps before it will write is not known yet
            if before and not reasons:
                more = f" and {len(before) - 1} more" if len(before) > 1 else ""
                reasons = [f"after {before[0]}{more}, if that changes what it reads"]
            if reasons:
                stale[step.name] = reasons
        return stale

    def remember(self, asked: dict[str, Any] | None = None) -> None:
        """Save what was seen, so that nothing is read twice; with what was asked where all holds, see `unchanged`."""
        for path in (self.config, LIB):
            fingerprint.tree(path, self.memory)
        write_json(self.outputs / MEMORY, {"asked": asked, "files": self.memory.used})


def unchanged(outputs: Path, asked: dict[str, Any]) -> bool:
    """Whether nothing was touched since all steps held for the same request, by the standard library alone."""
    known = read_json(outputs / MEMORY) or {}
    return known.get("asked") == asked and fingerprint.Memory(known["files"]).untouched()


def read_json(path: Path) -> dict[str, Any] | None:
    """A file of the engine's own; one that was cut short or is no JSON counts as absent."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def shown(path: Path) -> str:
    """Hash of sources and results in an executed notebook; a re-save without change leaves it as it is."""
    cells = (read_json(path) or {}).get("cells", [])
    return fingerprint.digest(*(json.dumps([cell.get("source"), cell.get("outputs")]) for cell in cells))


def _leaves(settings: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """Every single setting with its place in study.yaml."""
    if isinstance(settings, dict) and settings:
        for key, value in settings.items():
            yield from _leaves(value, f"{place}.{key}" if place else key)
    else:
        yield place, settings


def _derived(model: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """What a study's settings amount to, beside the settings themselves: properties of its parts, by place."""
    if isinstance(model, dict):
        for key, part in model.items():
            yield from _derived(part, f"{place}{key}.")
    for name, made in vars(type(model)).items():
        if isinstance(made, property) and not name.startswith(("_", "model_")):
            yield f"{place}{name}", getattr(model, name)
    for name in getattr(type(model), "model_fields", ()):
        yield from _derived(getattr(model, name), f"{place}{name}.")


def differences(kind: str, before: dict[str, Any], now: dict[str, Any], step: str) -> list[str]:
    """What differs between a record and now, in plain words; `kind` is one of WORDS, `step` wrote what is compared."""
    words = []
    for name in dict.fromkeys([*before, *now]):
        if kind == "writes" and now.get(name, MISSING) == MISSING:
            words.append(f"{name} is missing")
        elif before.get(name) != now.get(name):
            sides = {"before": _brief(before.get(name)), "now": _brief(now.get(name))}
            words.append(WORDS[kind].format(name=name, step=step, **sides))
    if kind == "settings" and not words and list(before) != list(now):  # arms are shown in the order of the file
        words = ["the order of settings changed"]
    return words


def _brief(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}..."
