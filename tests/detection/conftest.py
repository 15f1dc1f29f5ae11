"""A dozen drawn films in the files that 00_cohorts writes: bright discs are lesions."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from osteotl.study import Study, parse_study

SIZE = 64
COHORTS = {
    "pretrain": ("training", 12),
    "development": ("training", 16),
    "validation": ("validation", 10),
    "external": ("test", 14),
}


@dataclass(frozen=True)
class Small:
    """A study of a few films and where it lies."""

    study: Study
    out: Path
    data: Path


def draw(number: int, lesion: bool, shape: tuple[int, int]) -> tuple[np.ndarray, list[float]]:
    """One film and the box of its lesion."""
    random = np.random.default_rng(number)
    height, width = shape
    film = random.normal(90, 12, shape)
    x, y, r = random.uniform(0.3, 0.7) * width, random.uniform(0.3, 0.7) * height, 0.15 * min(shape)
    if lesion:
        rows, columns = np.mgrid[:height, :width]
        film[np.hypot(columns - x, rows - y) < r] += 90
    return np.clip(film, 0, 255).astype(np.uint8), [x - r, y - r, x + r, y + r]


def write_cohorts(root: Path, malignant_training: bool = True) -> None:
    """Write tables, boxes and prepared films below root/outputs and root/data."""
    tables: dict[str, list[dict]] = {}
    boxes, number = [], 0
    for name, (partition, count) in COHORTS.items():
        cohort = "development" if name == "validation" else name
        for i in range(count):
            number += 1
            lesion = i % 2 == 0 and (malignant_training or name != "development")
            shape = (SIZE, 48) if i % 3 else (40, SIZE)
            film, box = draw(number, lesion, shape)
            key = hashlib.sha256(str(number).encode()).hexdigest()[:32]
            path = root / "data" / ".prepared" / key[:2] / f"{key}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path), film)
            image_id = hashlib.sha256(f"film {number}".encode()).hexdigest()[:12]
            patient = hashlib.sha256(f"patient {name} {i // 2 if i % 4 == 0 else i}".encode()).hexdigest()[:12]
            tables.setdefault(cohort, []).append(
                {
                    "image_id": image_id,
                    "patient_id": patient,
                    "site": "B" if name == "external" else "A",
                    "partition": partition,
                    "label": int(lesion),
                    "path": f"{number}.png",
                    "film": key,
                    "width": 2 * shape[1],
                    "height": 2 * shape[0],
                    "view": "frontal",
                    "age": 10 + i,
                    "sex": "F" if i % 2 else "M",
                    "subtype": "",
                    "spacing_mm": "",
                    "mean_grey": float(film.mean()),
                    "sd_grey": float(film.std()),
                }
            )
            if lesion:
                boxes.append([image_id, *(2 * side for side in box), "disc", cohort])
    folder = root / "outputs" / "cohorts"
    folder.mkdir(parents=True)
    for cohort, rows in tables.items():
        pd.DataFrame(rows).to_csv(folder / f"{cohort}.csv", index=False)
    columns = ["image_id", "x_min", "y_min", "x_max", "y_max", "finding", "cohort"]
    pd.DataFrame(boxes, columns=columns).to_csv(folder / "boxes.csv", index=False)


def make_study(**detector: object) -> Study:
    """Two arms, one seed, 64 px, two epochs."""
    phantom = {"reader": "phantom-knee", "films": 26, "validation": 10}
    return parse_study(
        {
            "title": "Small",
            "reference": "scratch",
            "seeds": [0],
            "fractions": [1.0],
            "cohorts": {
                "pretrain": {"reader": "phantom-chest", "films": 12},
                "development": phantom,
                "external": {"reader": "phantom-knee", "films": 14},
            },
            "arms": {"scratch": {"initialise": "random"}, "transfer": {"initialise": "pretrain"}},
            "detector": {
                "model": "yolov5n",
                "image_size": SIZE,
                "epochs": 2,
                "pretrain_epochs": 1,
                "batch": 4,
                **detector,
            },
        }
    )


@pytest.fixture(scope="session")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with outputs/cohorts and data/.prepared, never written to by a test."""
    root = tmp_path_factory.mktemp("drawn")
    write_cohorts(root)
    return root


@pytest.fixture(scope="session")
def trained(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Small:
    """Pretrained and fine-tuned once for all tests that only read."""
    import shutil

    from osteotl.detection import training

    root = tmp_path_factory.mktemp("trained")
    shutil.copytree(drawn / "outputs", root / "outputs")
    small = Small(make_study(), root / "outputs", drawn / "data")
    training.pretrain(small.study, small.out, small.data)
    for arm, fraction, seed in small.study.replicates():
        training.finetune(small.study, arm, fraction, seed, small.out, small.data)
    return small


@pytest.fixture
def small(trained: Small, tmp_path: Path) -> Small:
    """Cohorts and pretraining of one's own to write beside."""
    import shutil

    shutil.copytree(trained.out / "cohorts", tmp_path / "outputs" / "cohorts")
    shutil.copytree(trained.out / "pretrain", tmp_path / "outputs" / "pretrain")
    return Small(trained.study, tmp_path / "outputs", trained.data)
