"""Films of no cohort, scored by a trained arm with its locked thresholds and recalibration; for research use."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit

from osteotl.cohorts.film import FilmError
from osteotl.cohorts.preparation import Prepared, prepare_films, prepared_side
from osteotl.cohorts.readers.builder import FILM_SUFFIXES
from osteotl.cohorts.readers.files import files_below
from osteotl.detection import hardware
from osteotl.detection.errors import Replicate
from osteotl.detection.films import Films, load_films
from osteotl.detection.scoring import BOX_COLUMNS, Scores, score_films
from osteotl.files import sha256, write_csv, write_json
from osteotl.study import Study

PLANS = ("registered/analysis_plan.json", "analysis_plan.json")
USE = "For research use. No medical device: do not decide on a patient by it."
NO_BOXES = pd.DataFrame(columns=["image_id", "x_min", "y_min", "x_max", "y_max"])


def score_folder(study: Study, arm: str, folder: str | Path, outputs: str | Path, target: str | Path) -> list[Path]:
    """Score every film below a folder with every run of an arm.

    Parameters
    ----------
    study : Study
        A finished one.
    arm : str
    folder : path
        Films; any file with a suffix of a film is one.
    outputs : path
        The study's outputs folder: weights, the analysis plan.
    target : path
        Where the files are written: ARM_run_SEED.csv and ARM_run_SEED_boxes.csv for every run, ARM_mean_of_N_runs.csv,
        about.json.

    Returns
    -------
    list of Path
        The files.

    Raises
    ------
    ValueError
        The study trains no such arm, or has not trained it; the folder holds no film; a film cannot be read. Every
        film that cannot be read is listed.
    """
    outputs, target = Path(outputs), Path(target)
    runs = _runs(study, arm, outputs)
    plan = json.loads(next(path for name in PLANS if (path := outputs / name).exists()).read_text(encoding="utf-8"))
    films, written, tables = read_folder(folder, study.detector.image_size), [], []
    device = hardware.choose_device(study.detector.device)
    for seed, weights in runs.items():
        found = score_films(weights, films, study.detector.model, device=device, flip=study.detector.test_time_flip)
        tables.append(_run_table(films, found, _of_run(plan, arm, seed)))
        written.append(write_csv(target / f"{arm}_run_{seed}.csv", tables[-1]))
        written.append(write_csv(target / f"{arm}_run_{seed}_boxes.csv", _boxes(films, found)))
    written.append(write_csv(target / f"{arm}_mean_of_{len(runs)}_runs.csv", _mean(tables)))
    about = {"use": USE, "study": study.title, "arm": arm, "fraction": 1.0, "plan": plan["hash"],
             "weights": {str(seed): sha256(path) for seed, path in runs.items()}, "films": len(films)}  # fmt: skip
    return [*written, write_json(target / "about.json", about)]


def read_folder(folder: str | Path, size: int) -> Films:
    """Films below a folder, decoded and scaled as those of a cohort; nothing of them is kept.

    Parameters
    ----------
    folder : path
    size : int
        The detector's image size.

    Raises
    ------
    ValueError
        No film is there, or some cannot be read: each is listed.
    """
    folder = Path(folder)
    paths = files_below(folder, *FILM_SUFFIXES)
    if not paths:
        raise ValueError(f"{folder} holds no film; films end in {', '.join(FILM_SUFFIXES)}")
    with tempfile.TemporaryDirectory() as place:
        ready = prepare_films(paths, Path(place) / ".prepared", prepared_side(size))
        if faults := [str(film) for film in ready if isinstance(film, FilmError)]:
            raise ValueError("\n".join(faults))
        rows = [{"image_id": path.relative_to(folder).as_posix(), "label": 0, "film": film.film, "width": film.width,
                 "height": film.height} for path, film in zip(paths, ready, strict=True)
                if isinstance(film, Prepared)]  # fmt: skip
        return load_films(pd.DataFrame(rows), NO_BOXES, place, size)


def _runs(study: Study, arm: str, outputs: Path) -> dict[int, Path]:
    """Weights of every run of an arm, trained on all labels."""
    if arm not in study.arms:
        trained = ", ".join(study.arms) or "none: its scores were made elsewhere"
        raise ValueError(f"there is no arm {arm!r}; this study trains {trained}")
    runs = {seed: outputs / "finetune" / Replicate(arm, 1.0, seed).folder / "weights.safetensors"
            for seed in study.seeds}  # fmt: skip
    lacking = [path for path in runs.values() if not path.exists()]
    lacking += [] if any((outputs / name).exists() for name in PLANS) else [outputs / PLANS[1]]
    if lacking:
        raise ValueError(f"{lacking[0]} is not there yet: run the study first")
    return runs


def _of_run(plan: dict[str, Any], arm: str, seed: int) -> dict[str, Any]:
    """Threshold by point, and the recalibration, of one run."""

    def own(row: dict[str, Any]) -> bool:
        return (row["arm"], row["fraction"], row["seed"]) == (arm, 1.0, seed)

    cuts = {row["point"]: np.inf if row["threshold"] is None else row["threshold"]
            for row in plan["thresholds"] if own(row)}  # fmt: skip
    given = plan["settings"].get("given", {})
    cuts |= {"given": given[arm]} if arm in given else {}
    return {"cuts": cuts, **next(row for row in plan["recalibration"] if own(row))}


def _run_table(films: Films, found: Scores, locked: dict[str, Any]) -> pd.DataFrame:
    """film, score, logit, risk (missing without a recalibration), then threshold and call (1, 0) of every point."""
    table = pd.DataFrame({"film": films.ids, "score": found.scores.astype(float), "logit": found.logits.astype(float)})
    line = [np.nan if locked[name] is None else locked[name] for name in ("intercept", "slope")]
    table["risk"] = expit(line[0] + line[1] * table["logit"])
    for point, cut in locked["cuts"].items():
        table[f"threshold_{point}"] = cut
        table[f"call_{point}"] = (table["score"] >= cut).astype(int)
    return table


def _mean(tables: list[pd.DataFrame]) -> pd.DataFrame:
    """Mean score and risk over the runs, and the share of runs that call a film; a mean has no threshold of its own."""
    first = tables[0]
    made = pd.DataFrame({"film": first["film"], "runs": len(tables)})
    calls = {name: f"share_of_runs_{name}" for name in first if name.startswith("call_")}
    for name, heading in {"score": "mean_score", "risk": "mean_risk", **calls}.items():
        made[heading] = np.mean([table[name].to_numpy() for table in tables], axis=0)
    return made


def _boxes(films: Films, found: Scores) -> pd.DataFrame:
    """film, corners in pixels of the file, score."""
    counts = [len(boxes) for boxes in found.boxes]
    values = np.concatenate(found.boxes) if sum(counts) else np.empty((0, 5))
    names = pd.DataFrame({"film": np.repeat(films.ids, counts)})
    return names.assign(**dict(zip(BOX_COLUMNS, values.T, strict=True)))
