"""Phantom cohorts: synthetic chest and knee radiographs, and a woven surface as another modality, from a seed alone.

A cohort is two streams of patients, malignant and normal. Every film has random numbers of its own, keyed by seed,
site, stream, patient and film, so a film stays the same when `films` or `malignant` grows.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from osteotl.cohorts import anatomy, canvas, lesions
from osteotl.cohorts.parallel import mapped
from osteotl.study import PhantomCohort

VERSION = 2  # of the pixels: raise it whenever a drawing changes
KINDS = {"phantom-chest": 1, "phantom-knee": 2, "phantom-texture": 3}
BODY_PARTS = {"phantom-chest": "chest", "phantom-knee": "knee", "phantom-texture": "none"}
FINDINGS = {"phantom-chest": "nodule", "phantom-knee": "malignant bone tumour", "phantom-texture": "flaw"}
FILMS_PER_PATIENT = (0.45, 0.40, 0.15)


@dataclass(frozen=True)
class Patient:
    """Who a phantom film is of.

    Attributes
    ----------
    number : int
        Position in the stream.
    malignant : bool
        Whether the films show a lesion.
    films : int
        1 to 3.
    age : int
        Years.
    sex : {'F', 'M'}
    subtype : str or None
        Of the lesion, in knees.
    """

    number: int
    malignant: bool
    films: int
    age: int
    sex: str
    subtype: str | None


@dataclass(frozen=True)
class Task:
    """One film to draw: of which cohort and patient, and which of the patient's films (0, 1 or 2)."""

    cohort: PhantomCohort
    patient: Patient
    film: int


def _random(cohort: PhantomCohort, patient: int, malignant: bool, film: int) -> np.random.Generator:
    """Random numbers of one film (film >= 0) or of the patient as a whole (film = -1)."""
    key = [cohort.seed, KINDS[cohort.reader], ord(cohort.site), int(malignant), patient, film + 1]
    return np.random.default_rng(key)


# --- patients ---------------------------------------------------------------------------------------------------------


def _malignant_age(subtype: str, rng: np.random.Generator) -> float:
    """Ages as the tumours have them: osteosarcoma has a second, small peak in the old."""
    if subtype == "osteosarcoma":
        return rng.normal(16, 5) if rng.random() < 0.85 else rng.normal(66, 8)
    return rng.normal(14, 5.5) if subtype == "Ewing sarcoma" else rng.normal(55, 12)


def draw_patient(cohort: PhantomCohort, number: int, malignant: bool) -> Patient:
    """One patient of a stream, from the seed alone."""
    rng = _random(cohort, number, malignant, -1)
    films = 1 + int(rng.choice(3, p=FILMS_PER_PATIENT))
    subtype = str(rng.choice(["osteosarcoma", "Ewing sarcoma", "chondrosarcoma"], p=[0.6, 0.2, 0.2]))
    if cohort.reader != "phantom-knee":
        age, subtype_or_none = rng.normal(55, 16), None
    elif malignant:
        age, subtype_or_none = _malignant_age(subtype, rng), subtype
    else:
        age, subtype_or_none = (rng.normal(15, 5) if rng.random() < 0.45 else rng.normal(42, 17)), None
    male = rng.random() < (0.57 if malignant else 0.5)
    return Patient(number, malignant, films, int(np.clip(round(age), 4, 89)), "M" if male else "F", subtype_or_none)


def tasks_of(cohort: PhantomCohort) -> list[Task]:
    """Every film of a cohort; each stream is cut where it has films enough."""
    malignant = round(0.4 * cohort.films) if cohort.malignant is None else cohort.malignant
    tasks: list[Task] = []
    for stream, wanted in ((True, malignant), (False, cohort.films - malignant)):
        number, films = 0, 0
        while films < wanted:
            patient = draw_patient(cohort, number, stream)
            here = min(patient.films, wanted - films)
            tasks += [Task(cohort, patient, film) for film in range(here)]
            number, films = number + 1, films + here
    return tasks


def _view(task: Task) -> str:
    """A first film is mostly frontal, a second is the other view, a third is frontal again."""
    if task.cohort.reader == "phantom-texture":
        return "none"
    first = int(_random(task.cohort, task.patient.number, task.patient.malignant, -1).integers(10) >= 7)
    return anatomy.VIEWS[(first, 1 - first, 0)[task.film]]


def _image_id(task: Task) -> str:
    """A name that does not tell the class."""
    key = [task.cohort.reader, task.cohort.seed, task.cohort.site, task.patient.malignant, task.patient.number]
    patient = hashlib.sha256(json.dumps(key).encode()).hexdigest()[:10]
    return f"{patient}_{task.film + 1}"


# --- films ------------------------------------------------------------------------------------------------------------


def _draw_knee(task: Task, grid: canvas.Canvas, rng: np.random.Generator) -> tuple[canvas.Field, list[canvas.Box]]:
    patient, view = task.patient, _view(task)
    own = _random(task.cohort, patient.number, patient.malignant, -1)
    own.random(16)  # the first numbers of this stream made the patient
    child = np.clip((16 - patient.age) / 14, 0, 0.6)
    knee = anatomy.Knee(
        size=own.uniform(0.93, 1.07) * (1 - 0.15 * child),
        bulk=own.uniform(0.88, 1.12) * (1 - 0.1 * child),
        cortex=own.uniform(0.020, 0.028),
        growing=patient.age < 16,
        side=int(own.choice([-1, 1])),
    )
    width = grid.width / grid.side
    pose = anatomy.Pose(
        joint=rng.uniform(0.46, 0.56),
        axis=width / 2 + rng.uniform(-0.03, 0.03),
        tilt=rng.uniform(-0.06, 0.06),
        flexion=rng.uniform(0.05, 0.45),
    )
    film = anatomy.draw_knee(grid, knee, pose, view, rng)
    front = 1 if view == "frontal" else -knee.side
    for _ in range(int(rng.integers(0, 4))):
        level = rng.uniform(-0.36, 0.36)
        reach = 0.045 + 0.075 * (abs(level) < 0.14)
        film = lesions.draw_benign(grid, film, _in_bone(pose, view, front, level, rng.uniform(-reach, reach)), rng)
    if not patient.malignant:
        return film, []
    lesion, above, across, depth = _tumour(patient, own)
    across = across if view == "frontal" else depth
    host = 0.4 + 0.6 * canvas.step(film - 0.36, 0.06)  # bone is denser than any soft tissue here
    film, box = lesions.draw_lesion(grid, film, _in_bone(pose, view, front, above, across), lesion, rng, host)
    return film, [box]


def _in_bone(pose: anatomy.Pose, view: str, front: int, above: float, across: float) -> tuple[float, float]:
    """Place on the film of a point `above` the joint (below where negative) and `across` the limb's axis."""
    y = pose.joint - above
    bend = front * pose.flexion * max(above - 0.03, 0) if view == "lateral" else 0.0
    return pose.axis + pose.tilt * (y - 0.5) - bend + front * across, y


def _tumour(patient: Patient, own: np.random.Generator) -> tuple[lesions.Lesion, float, float, float]:
    """The patient's lesion: the same in every film, mostly in a metaphysis."""
    lucent, mottle, cloud = lesions.PATTERNS[str(patient.subtype)]
    radius = own.uniform(0.055, 0.11)
    level = own.uniform(0.09, 0.27) if patient.subtype != "Ewing sarcoma" else own.uniform(0.14, 0.34)
    above = level if own.random() < 0.6 else -level
    spread = 0.10 if abs(above) < 0.16 else 0.05
    lesion = lesions.Lesion(radius, lucent, mottle, cloud, own.uniform(0.75, 1.25))
    return lesion, above, own.uniform(-spread, spread), own.uniform(-0.05, 0.04)


def _draw_chest(task: Task, grid: canvas.Canvas, rng: np.random.Generator) -> tuple[canvas.Field, list[canvas.Box]]:
    patient = task.patient
    own = _random(task.cohort, patient.number, patient.malignant, -1)
    own.random(16)
    chest = anatomy.Chest(
        size=own.uniform(0.94, 1.06),
        heart=own.uniform(0.88, 1.15),
        diaphragm=own.uniform(0.70, 0.77),
        bulk=own.uniform(0.94, 1.06),
    )
    film, lung = anatomy.draw_chest(grid, chest, _view(task), rng)
    boxes = []
    for _ in range(int(rng.integers(1, 4)) if patient.malignant else 0):
        lucent, mottle, cloud = lesions.PATTERNS["nodule"]
        lesion = lesions.Lesion(rng.uniform(0.04, 0.095), lucent, mottle, cloud, rng.uniform(1.2, 2.0))
        rows, columns = np.nonzero(lung > 0.3 * lesion.radius)
        pick = int(rng.integers(len(rows)))
        centre = (float(grid.x[0, columns[pick]]), float(grid.y[rows[pick], 0]))
        film, box = lesions.draw_lesion(grid, film, centre, lesion, rng)
        boxes.append(box)
    return film, boxes


def _draw_texture(task: Task, grid: canvas.Canvas, rng: np.random.Generator) -> tuple[canvas.Field, list[canvas.Box]]:
    film, (angle, pitch, contrast) = anatomy.draw_weave(grid, rng)
    boxes = []
    for _ in range(int(rng.integers(1, 4)) if task.patient.malignant else 0):
        radius, flat = rng.uniform(0.05, 0.11), rng.uniform(0.7, 1.0)
        depth = canvas.ellipse(grid, rng.uniform(0.15, 0.85), rng.uniform(0.15, 0.85), radius, radius * flat)
        mask = canvas.step(depth, 0.01)
        along = grid.x * np.cos(angle + 0.7) + grid.y * np.sin(angle + 0.7)
        film = film * (1 - mask) + mask * (0.5 + 1.3 * contrast * np.sin(2 * np.pi * along / (0.8 * pitch)))
        boxes.append(canvas.box_around(mask))
    return film, boxes


_DRAW = {"phantom-knee": _draw_knee, "phantom-chest": _draw_chest, "phantom-texture": _draw_texture}


def draw_film(task: Task) -> tuple[canvas.Field, list[canvas.Box]]:
    """One film as grey in [0, 1], and the boxes of its lesions in pixels (corners; right and lower edges exclusive)."""
    cohort, side = task.cohort, task.cohort.image_size
    grid = canvas.Canvas(side, round(0.8 * side) if cohort.reader == "phantom-knee" else side)
    rng = _random(cohort, task.patient.number, task.patient.malignant, task.film)
    attenuation, boxes = _DRAW[cohort.reader](task, grid, rng)
    grey = canvas.expose(grid, attenuation, cohort.site, rng)
    if cohort.reader != "phantom-texture":
        right = grid.width / side
        if rng.random() < 0.6:
            grey = canvas.side_letter(grid, grey, str(rng.choice(["L", "R"])), (rng.choice([0.04, right - 0.09]), 0.05))
        if cohort.marker and task.patient.malignant:
            grey = canvas.lead_marker(grid, grey, (right - 0.07, 0.93))
    return grey, boxes


def _write_film(folder: Path, task: Task) -> list[canvas.Box]:
    grey, boxes = draw_film(task)
    pixels = np.rint(grey * 255).astype(np.uint8)
    Image.fromarray(pixels).save(folder / f"{_image_id(task)}.png", compress_level=1)
    return boxes


# --- cohorts on disk --------------------------------------------------------------------------------------------------


def _key(cohort: PhantomCohort) -> str:
    """Hash of what decides the films; how many are held for validation does not."""
    settings = cohort.model_dump(exclude={"validation"}) | {"version": VERSION, "contrast": lesions.CONTRAST}
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]


def generate(cohort: PhantomCohort, data_root: str | Path) -> Path:
    """Draw a phantom cohort, or find it drawn.

    Parameters
    ----------
    cohort : PhantomCohort
        Settings of study.yaml.
    data_root : path
        The data folder; films go to `phantoms/HASH` below it.

    Returns
    -------
    Path
        The folder, complete: films as 8-bit PNG, films.csv, boxes.csv, settings.json. It is written aside and renamed,
        so that neither an interruption nor a second process at work on the same cohort leaves half of one; a cohort
        that was altered since is drawn anew.
    """
    folder = Path(data_root) / "phantoms" / _key(cohort)
    if _whole(folder):
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        _write_cohort(cohort, aside)
        aside.chmod(0o755)
        if folder.is_dir() and not _whole(folder):  # altered by hand: the drawn one takes its place
            shutil.rmtree(folder)
        aside.rename(folder)
    except OSError:
        # another process finished the same cohort first; anything else is a fault
        if not _whole(folder):
            raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return folder


def _content(folder: Path) -> str:
    """Hash of all films and tables of a drawn cohort, their names included."""
    total = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        if path.name != "settings.json":
            total.update(path.name.encode() + hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()


def _whole(folder: Path) -> bool:
    """Whether a cohort was drawn there and nothing in it was altered since."""
    try:
        return json.loads((folder / "settings.json").read_text(encoding="utf-8"))["content"] == _content(folder)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _write_cohort(cohort: PhantomCohort, folder: Path) -> None:
    tasks = tasks_of(cohort)
    drawn = mapped(partial(_write_film, folder), tasks, f"drawing {cohort.reader}")
    films, boxes = [], []
    for task, found in zip(tasks, drawn, strict=True):
        films.append(_row(task))
        boxes += [(films[-1]["image_id"], *box, FINDINGS[cohort.reader]) for box in found]
    table = pd.DataFrame(films).sort_values("image_id")
    table.to_csv(folder / "films.csv", index=False)
    columns = ["image_id", "x_min", "y_min", "x_max", "y_max", "finding"]
    pd.DataFrame(boxes, columns=columns).sort_values(columns).to_csv(folder / "boxes.csv", index=False)
    settings = cohort.model_dump() | {"version": VERSION, "content": _content(folder)}
    (folder / "settings.json").write_text(json.dumps(settings, indent=1) + os.linesep)


def _row(task: Task) -> dict[str, object]:
    patient = asdict(task.patient)
    image_id = _image_id(task)
    return {
        "image_id": image_id,
        "patient_id": image_id.rpartition("_")[0],
        "site": task.cohort.site,
        "label": int(patient["malignant"]),
        "file": f"{image_id}.png",
        "view": _view(task),
        "age": patient["age"],
        "sex": patient["sex"],
        "subtype": patient["subtype"],
        "body_part": BODY_PARTS[task.cohort.reader],
    }


def read(cohort: PhantomCohort, data_root: str | Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Films and boxes of a phantom cohort, drawn first where they are not there yet.

    Returns
    -------
    films : DataFrame
        image_id, patient_id, site, label (1 = has a lesion), path (relative to `data_root`), view, age (years), sex,
        subtype, body_part; ids are raw.
    boxes : DataFrame
        image_id, x_min, y_min, x_max, y_max (pixels), finding.
    """
    folder = generate(cohort, data_root)
    text = {"image_id": str, "patient_id": str}
    films = pd.read_csv(folder / "films.csv", dtype=text, keep_default_na=False, na_values=[""])
    place = folder.relative_to(data_root).as_posix()
    films["path"] = [f"{place}/{name}" for name in films.pop("file")]
    return films, pd.read_csv(folder / "boxes.csv", dtype=text)
