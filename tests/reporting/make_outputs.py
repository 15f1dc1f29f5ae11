"""A coherent outputs folder from simulated scores, so that the page can be built and looked at without training.

Run as a script to look at a page:  python tests/reporting/make_outputs.py FOLDER
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image, ImageFilter

from osteotl.files import write_csv, write_json
from osteotl.statistics.analysis import analyse_study
from osteotl.statistics.plan import make_plan
from osteotl.study import Study, parse_study

LABELS = {
    "scratch": "trained from scratch",
    "transfer": "pretrained on chest radiographs",
    "photographs": "pretrained on photographs",
    "control": "trained from scratch again",
}
SUBTYPES = ["osteosarcoma", "Ewing sarcoma", "chondrosarcoma", "lymphoma of bone"]


def _hash(text: str, digits: int = 12) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:digits]


def _file(i: int, text: str) -> str:
    """A film's file name; a name can hold all of `text` but its slashes."""
    return f"secret name {i}{text.replace('/', '')}.png"


def make_study(
    arms: tuple[str, ...], seeds: tuple[int, ...], fractions: tuple[float, ...], scores: Path | None, text: str
) -> Study:
    """The configuration that the folder answers to: films, or `scores`; `text` is planted wherever a user can write."""
    content: dict[str, Any] = {
        "title": f"Phantom study{text}",
        "arms": {
            a: {
                "initialise": "random" if scores or a in ("scratch", "control") else "pretrain",
                "label": (LABELS[a] + text)[:60],
            }
            for a in arms
        },
        "reference": arms[0],
        "seeds": list(seeds),
        "fractions": list(fractions),
        "report": {
            "institution": f"Institute of Phantoms{text}",
            "author": {"funding": f"Grant 7{text}", "CLAIM 2024, 13": f"CR{text}"},
            "reference_standard": {
                "malignant": f"a lesion drawn by the phantom generator, its box known exactly{text}",
                "normal": "no lesion drawn; benign distractors may be present",
            },
        },
        "statistics": {
            "bootstrap": 200,
            "auc_margin_reason": f"a smaller difference would not change which detector is picked{text}",
        },
    }
    if scores:
        content["predictions"] = str(scores)
    else:
        content["cohorts"] = {
            "pretrain": {"reader": "phantom-chest", "films": 300},
            "development": {"reader": "phantom-knee", "films": 450, "validation": 250},
            "external": {"reader": "phantom-knee", "films": 743, "malignant": 268, "site": "B"},
        }
    return parse_study(content)


def knee(rng: np.random.Generator, box: tuple[float, ...] | None, width: int, height: int) -> Image.Image:
    """A grey sketch of a knee, a mottled blob in `box` if there is one."""
    y, x = np.mgrid[:height, :width]
    x, y = x / width, y / height
    gap = 0.5 + rng.uniform(-0.04, 0.04)
    femur, tibia = y < gap - 0.012, y > gap + 0.012
    half = np.where(
        femur,
        0.13 + 0.13 * np.exp(-(((y - gap + 0.06) / 0.12) ** 2)),
        0.12 + 0.14 * np.exp(-(((y - gap - 0.07) / 0.11) ** 2)),
    )
    edge = np.abs(x - 0.5) - half
    bone = (femur | tibia) / (1 + np.exp(np.clip(edge * 70, -30, 30)))
    film = 0.10 + 0.16 / (1 + np.exp((np.abs(x - 0.5) - 0.38) * 30)) + 0.34 * bone
    film = film + 0.16 * np.exp(-(((edge + 0.014) / 0.011) ** 2)) * (femur | tibia)
    coarse = Image.fromarray((rng.random((24, 20)) * 255).astype(np.uint8)).resize(
        (width, height), Image.Resampling.BICUBIC
    )
    fine = Image.fromarray((rng.random((110, 90)) * 255).astype(np.uint8)).resize(
        (width, height), Image.Resampling.BICUBIC
    )
    film = film + 0.10 * (np.asarray(coarse) / 255 - 0.5) + bone * 0.10 * (np.asarray(fine) / 255 - 0.5)
    if box is not None:
        u = (x * width - (box[0] + box[2]) / 2) / max(1, (box[2] - box[0]) / 2)
        v = (y * height - (box[1] + box[3]) / 2) / max(1, (box[3] - box[1]) / 2)
        inside = 1 / (1 + np.exp(np.clip((np.hypot(u, v) - 0.85) * 10, -30, 30)))
        film = film - inside * (0.10 - 0.30 * (np.asarray(fine) / 255 - 0.5))
    return Image.fromarray((np.clip(film + rng.normal(0, 0.012, film.shape), 0, 1) * 255).astype(np.uint8)).filter(
        ImageFilter.SMOOTH
    )


def make_cohort(
    rng: np.random.Generator, cohort: str, films: int, malignant: int, boxes: bool, text: str
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Cohort table and boxes; every fifth film shares its patient with the one before."""
    label = np.zeros(films, int)
    label[rng.permutation(films)[:malignant]] = 1
    rows, drawn = [], []
    patient = ""
    for i in range(films):
        if not (i % 5 == 4 and label[i] == label[i - 1]):
            patient = _hash(f"patient{cohort}{i}")
        image_id, width, height = _hash(f"{cohort}{i}"), int(rng.integers(300, 380)), int(rng.integers(380, 460))
        rows.append(
            {
                "image_id": image_id,
                "patient_id": patient,
                "site": ("B" if cohort == "external" else "A") + text,
                "partition": "test"
                if cohort == "external"
                else ("validation" if cohort == "validation" else "training"),
                "label": label[i],
                "path": f"phantoms/{_file(i, text)}",
                "film": _hash(f"film{cohort}{i}", 32),
                "width": width,
                "height": height,
                "view": ["frontal", "lateral"][i % 2] + text,
                "age": int(rng.integers(6, 78)),
                "sex": "FM"[int(rng.integers(2))],
                "subtype": (SUBTYPES[i % 4] + text) if label[i] else "",
                "spacing_mm": 0.15,
                "mean_grey": 90.0,
                "sd_grey": 40.0,
            }
        )
        if label[i] and boxes:
            w, h = rng.uniform(0.10, 0.24) * width, rng.uniform(0.10, 0.2) * height
            x, y = width * 0.5 + rng.uniform(-0.1, 0.1) * width - w / 2, height * rng.uniform(0.2, 0.7)
            drawn.append(
                {
                    "image_id": image_id,
                    "x_min": x,
                    "y_min": y,
                    "x_max": x + w,
                    "y_max": y + h,
                    "finding": f"malignant{text}",
                    "cohort": cohort,
                }
            )
    columns = ["image_id", "x_min", "y_min", "x_max", "y_max", "finding", "cohort"]
    return pd.DataFrame(rows), pd.DataFrame(drawn, columns=columns)


def make_predictions(rng: np.random.Generator, cohorts: dict[str, pd.DataFrame], study: Study) -> pd.DataFrame:
    """Binormal scores: a part shared by all arms (the film's difficulty), a part of each replicate."""
    parts = []
    for name, frame in cohorts.items():
        shared = rng.normal(size=len(frame))
        for k, arm in enumerate(study.arms):
            for fraction in study.fractions:
                for seed in study.seeds:
                    shift = 2.35 + 0.15 * k + 0.5 * np.log10(fraction) + rng.normal(0, 0.08)
                    x = frame["label"] * shift + 0.75 * shared + 0.66 * rng.normal(size=len(frame)) - 2.2
                    parts.append(
                        pd.DataFrame(
                            {
                                "image_id": frame["image_id"],
                                "patient_id": frame["patient_id"],
                                "cohort": name,
                                "label": frame["label"],
                                "arm": arm,
                                "fraction": fraction,
                                "seed": seed,
                                "score": 1 / (1 + np.exp(-x)),
                                "logit": x,
                            }
                        )
                    )
    return pd.concat(parts, ignore_index=True)


def make_detections(
    rng: np.random.Generator, predictions: pd.DataFrame, external: pd.DataFrame, boxes: pd.DataFrame
) -> pd.DataFrame:
    """One or two boxes a film; a confident film usually has its box on the lesion."""
    sizes = external.set_index("image_id")[["width", "height"]]
    lesion = boxes.drop_duplicates("image_id").set_index("image_id")
    rows = []
    for row in predictions[predictions["cohort"].eq("external")].itertuples():
        width, height = sizes.loc[row.image_id]
        x0, y0 = rng.uniform(0.3, 0.5) * width, rng.uniform(0.2, 0.7) * height
        box = np.array([x0, y0, x0 + 0.16 * width, y0 + 0.13 * height])
        if row.image_id in lesion.index and rng.random() < 0.55 + 0.4 * row.score:
            box = lesion.loc[row.image_id, ["x_min", "y_min", "x_max", "y_max"]].to_numpy(float) + rng.normal(0, 8, 4)
        rows.append([row.image_id, row.arm, row.fraction, row.seed, *box, row.score])
    return pd.DataFrame(
        rows, columns=["image_id", "arm", "fraction", "seed", "x_min", "y_min", "x_max", "y_max", "score"]
    )


def make_outputs(
    out: Path,
    data: Path,
    *,
    arms: tuple[str, ...] = ("scratch", "transfer"),
    seeds: tuple[int, ...] = (0, 1, 2),
    fractions: tuple[float, ...] = (1.0,),
    validation: bool = True,
    scores_only: bool = False,
    films: int = 743,
    malignant: int = 268,
    text: str = "",
    notebooks: bool = True,
    figures: bool = True,
) -> Study:
    """Write OUT (and prepared films below `data`) and return the study; `text` is planted in every free text."""
    rng = np.random.default_rng(7)
    study = make_study(arms, seeds, fractions, out / "predictions.csv" if scores_only else None, text)
    external, boxes = make_cohort(rng, "external", films, malignant, not scores_only, text)
    cohorts = {"external": external}
    if validation:
        cohorts["validation"] = make_cohort(rng, "validation", 250, 100, False, text)[0]
    predictions = make_predictions(rng, cohorts, study)
    write_csv(out / "predictions.csv", predictions)
    if not scores_only:
        write_csv(out / "cohorts" / "external.csv", external)
        write_csv(out / "cohorts" / "boxes.csv", boxes)
        training = make_cohort(rng, "training", 60, 25, False, text)[0]
        write_csv(
            out / "cohorts" / "development.csv",
            pd.concat([training, *[cohorts[c] for c in cohorts if c != "external"]]),
        )
        write_csv(out / "detections.csv", make_detections(rng, predictions, external, boxes))
        _write_films(rng, data, external, boxes)
    _analyse(out, study, predictions)
    write_json(out / "cohorts" / "integrity.json", _integrity(external, validation, text))
    write_json(out / "provenance.json", _provenance(text))
    if figures:
        _write_figures(out, text)
    if notebooks:
        _write_notebooks(out, study, text)
    return study


def _analyse(out: Path, study: Study, predictions: pd.DataFrame) -> None:
    """What 03 and 04 write, by the real functions."""
    if study.predictions is None:
        _before_analysis(out, study, predictions)
    analyse_study(study, lambda name: out / name).write(lambda name: out / name)


def _before_analysis(out: Path, study: Study, predictions: pd.DataFrame) -> None:
    """The plan and the audit; masked lesions are simulated by scores that know nothing."""
    write_json(out / "analysis_plan.json", make_plan(study, predictions[predictions["cohort"].eq("validation")]))
    external = predictions[predictions["cohort"].eq("external")]
    shuffled = external.assign(audit="lesion_masked", score=np.random.default_rng(1).random(len(external)))
    write_csv(out / "audit.csv", shuffled[["image_id", "arm", "fraction", "seed", "audit", "score"]])
    alarm = {"alarm": "lesion_masked", "raised": False, "rule": "stays below 0.60", "finding": "0.50"}
    write_json(out / "audit.json", {"alarms": [alarm], "site_probe": []})


def _write_films(rng: np.random.Generator, data: Path, external: pd.DataFrame, boxes: pd.DataFrame) -> None:
    """Every external film as a sketch, lesions where the boxes are."""
    lesion = boxes.drop_duplicates("image_id").set_index("image_id")
    for row in external.itertuples():
        box = (
            tuple(lesion.loc[row.image_id, ["x_min", "y_min", "x_max", "y_max"]])
            if row.image_id in lesion.index
            else None
        )
        path = data / ".prepared" / row.film[:2] / f"{row.film}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        knee(rng, box, row.width, row.height).save(path, compress_level=1)


def _integrity(external: pd.DataFrame, validation: bool, text: str) -> dict[str, Any]:
    patients = int(external["patient_id"].nunique())
    flow = [
        {"cohort": "development", "step": "read", "films": 456, "patients": 361, "reason": ""},
        {
            "cohort": "development",
            "step": "left out",
            "films": 6,
            "patients": 4,
            "reason": f"unreadable or duplicate film{text}",
        },
        {"cohort": "development", "step": "training", "films": 200, "patients": 158, "reason": ""},
    ]
    if validation:
        flow.append({"cohort": "development", "step": "validation", "films": 250, "patients": 199, "reason": ""})
    flow += [
        {
            "cohort": "external",
            "step": "read",
            "films": len(external) + 3,
            "patients": patients + 2,
            "reason": "",
        },
        {"cohort": "external", "step": "left out", "films": 3, "patients": 2, "reason": f"no reference standard{text}"},
        {"cohort": "external", "step": "test", "films": len(external), "patients": patients, "reason": ""},
    ]
    faults = [
        {
            "severity": "warning",
            "code": "near_duplicate",
            "file": f"phantoms/secret name 7.png{text}",
            "message": f"looks like another film{text}",
            "remedy": "check both",
        }
    ]
    return {"faults": faults, "counts": {"warning": 1, "error": 0}, "flow": flow, "not_for_sharing": True}


def _provenance(text: str) -> dict[str, Any]:
    return {
        "osteotl": "0.1.0",
        "python": "3.11.9",
        "packages": {"numpy": "2.3.4", "torch": "2.11.0", "ultralytics": "8.4.190"},
        "hashes": {"predictions.csv": _hash("p", 64), "study.yaml": _hash("s", 64)},
        "threads": 1,
        "command": f"/Users/someone/osteotl/run_all.sh{text}",
        "seconds": {"02_finetune": 81.2},
    }


FIGURES = {
    "roc": (
        "ROC curves of both arms on the external films",
        "The curves of the two arms lie on top of each other above 90% specificity.",
    ),
    "calibration": (
        "Calibration before and after recalibration",
        "After recalibration predicted and observed risk agree within 5 points.",
    ),
    "decision_curve": (
        "Decision curves",
        "Net benefit of both arms exceeds that of reading every film as suspicious from 2% on.",
    ),
    "precision_recall": ("Precision-recall curves", "Precision stays above 0.8 up to a recall of 0.85 in both arms."),
    "scores": ("Distribution of scores", "Scores of malignant and normal films overlap between 0.3 and 0.6."),
}


def _write_figures(out: Path, text: str) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    index = {}
    (out / "figures").mkdir(parents=True, exist_ok=True)
    roc = pd.read_csv(out / "tables" / "roc.csv")
    for name, (caption, alt) in FIGURES.items():
        figure, axes = plt.subplots(figsize=(5, 4))
        for (arm, seed), part in roc.groupby(["arm", "seed"]):
            axes.plot(part["fpr"], part["tpr"], lw=1, label=f"{arm} {seed}")
        axes.set(xlabel="1 - specificity", ylabel="sensitivity")
        axes.legend(frameon=False)
        for end in ("png", "svg"):
            figure.savefig(
                out / "figures" / f"{name}.{end}", dpi=200, metadata={"Date": None} if end == "svg" else None
            )
        plt.close(figure)
        index[name] = {
            "alt": alt + text,
            "caption": caption + text,
            "shown": f"What the curves are.{text}",
            "good": "A curve that hugs the upper left corner.",
            "bad": "A curve near the diagonal.",
        }
    left_out = {"learning_curve": f"one label fraction{text}", "subgroups": "no subgroup columns"}
    write_json(out / "figures" / "index.json", {"figures": index, "left_out": left_out})


def _write_notebooks(out: Path, study: Study, text: str) -> None:
    import nbformat

    v4 = nbformat.v4
    folder = out / "notebooks"
    folder.mkdir(parents=True, exist_ok=True)
    png = out / "figures" / "roc.png"
    names = [
        "00_cohorts",
        "01_pretrain",
        *(f"02_finetune_{a}_{f:g}_{s}" for a in study.arms for f in study.fractions for s in study.seeds),
        "03_evaluate",
        "04_statistics",
        "05_figures",
    ]
    for name in names:
        cells = [
            v4.new_markdown_cell(f"# {name}\n\n**Question.** What do the films hold? $\\frac{{a}}{{b}}$ {text}"),
            v4.new_code_cell(
                "from osteotl.study import load_study\nstudy = load_study('study.yaml')  # one "
                "file\nprint(study.title)",
                outputs=[
                    v4.new_output("stream", name="stdout", text=f"/Users/someone/data/x.png {_file(7, text)} {text}\n"),
                    v4.new_output(
                        "display_data",
                        data={
                            "text/html": "<table border='1' style='color:red' onclick='x()'>"
                            f"<tr><th>a</th><td>1{text}</td></tr></table>"
                            "<script>alert(1)</script>",
                            "text/plain": "table",
                        },
                    ),
                ],
            ),
        ]
        if png.exists() and name.startswith(("04", "05")):
            import base64

            cells.append(
                v4.new_code_cell(
                    "figure",
                    outputs=[
                        v4.new_output(
                            "display_data",
                            data={"image/png": base64.b64encode(png.read_bytes()).decode(), "text/plain": "figure"},
                            metadata={"image/png": {"alt": "ROC curves of both arms"}},
                        )
                    ],
                )
            )
        nbformat.write(v4.new_notebook(cells=cells), folder / f"{name}.ipynb")


if __name__ == "__main__":
    from osteotl.reporting.page import build_report

    folder = Path(sys.argv[1])
    made = make_outputs(folder / "outputs", folder / "data")
    print(build_report(made, folder / "outputs", folder / "data"))
