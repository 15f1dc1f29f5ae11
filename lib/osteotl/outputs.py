"""What the analysis reads and writes: scores, boxes and facts of a study; the table of results and its companions.

`04_statistics` reads with `read_scores` and `read_boxes` and writes with `save_results`; figures and page read with
`read_results`.
"""

from __future__ import annotations

import contextlib
import io
import json
import re
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import numpy as np
import pandas as pd
from scipy.special import expit

from diagnostic_accuracy import estimates
from diagnostic_accuracy.bootstrap import Draws
from diagnostic_accuracy.missing import incomplete
from diagnostic_accuracy.scores import READERS, TRAINING_RUNS, Scores, scores_of
from osteotl.files import remove, spreadsheet_safe, write_bytes, write_csv, write_json, write_text
from osteotl.scores_files.reading import ScoresFile
from osteotl.scores_files.reading import read_scores as read_scores_file

FACTS = ("site", "view", "age", "sex", "subtype", "spacing_mm", "mean_grey", "sd_grey", "width", "height")
AGE_GROUPS = {"under 10": (0, 10), "10 to 19": (10, 20), "20 to 39": (20, 40), "40 and over": (40, 200)}
OF_TUMOURS = ("subtype", "lesion_size")  # facts of malignant films alone: all normal films are compared with each group

MANY_SCORES, DRAWS_OF_MANY = 500_000, 2_000  # 10,000 draws of a million scores take minutes
FILM_NUMBERS = "film_numbers.csv"  # says which film of own scores a number on the page means; not for sharing


class SettingsError(ValueError):
    """Results were made with other settings than those of the study; `faults` names each difference."""

    def __init__(self, faults: list[str]):
        super().__init__("\n".join(faults))
        self.faults = faults


def read_scores(step: Any, fraction: float | None = None, file: str = "predictions.csv") -> Scores:
    """The scores of a study, aligned, with the facts of its films.

    Parameters
    ----------
    step : OpenStep
    fraction : float, optional
        Label fraction; default: all labels.
    file : str
        Table of scores below the outputs folder; a study with scores of its own reads its own file.
    """
    if step.study.predictions is None:
        table = _scored(step, file)
        return scores_of(table[~incomplete(table)], _facts(step), fraction, TRAINING_RUNS)
    table, kind = predictions_of_file(*_own_file(step))
    table = table if step.study.report.show_ids else numbered(table)[0]
    return scores_of(table, _known(table.drop_duplicates("image_id").replace("", np.nan)), fraction, kind)


def read_with_missing(step: Any) -> tuple[pd.DataFrame, str]:
    """The scores of a study with the films that lack some, which `read_scores` leaves out, and what its runs are.

    Parameters
    ----------
    step : OpenStep

    Returns
    -------
    table : DataFrame
        As `scores_of` takes it, and score (NaN: missing) and, of own scores, reason.
    kind : {"training runs", "readers"}
    """
    if step.study.predictions is None:
        return _scored(step, "predictions.csv"), TRAINING_RUNS
    return predictions_of_file(*_own_file(step), missing=True)


def _own_file(step: Any) -> tuple[Path, str | None, Iterable[str]]:
    return step.study.predictions, step.study.reference, step.study.statistics.operating_points.given


def numbered(table: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """A table of own scores with running numbers in place of the ids of films and patients, and the key to them.

    Parameters
    ----------
    table : DataFrame
        image_id, and patient_id where patients are known.

    Returns
    -------
    table : DataFrame
        Numbers are texts of one length in the order of the ids, so that no result depends on whether ids are numbered.
    key : DataFrame
        what (film or patient), number, id.
    """
    parts = []
    for column, what in (("image_id", "film"), ("patient_id", "patient")):
        if column in table:
            ids = sorted(table[column].unique().tolist())
            numbers = [f"{place:0{len(str(len(ids)))}d}" for place in range(1, len(ids) + 1)]
            table = table.assign(**{column: table[column].map(dict(zip(ids, numbers, strict=True)))})
            parts.append(pd.DataFrame({"what": what, "number": numbers, "id": ids}))
    return table, pd.concat(parts, ignore_index=True)


def predictions_of_file(
    path: str | Path, reference: str | None = None, given: Iterable[str] = (), missing: bool = False
) -> tuple[pd.DataFrame, str]:
    """The table of a score file as `scores_of` takes it, and what its runs are (readers or training runs).

    Parameters
    ----------
    path, reference, given
        As for `scores_files.reading.read_scores`.
    missing : bool
        With the films that lack a score.

    Returns
    -------
    table : DataFrame
        Without patient_id where the file names none: films are then drawn, and every basis says so.
    kind : {"training runs", "readers"}

    Raises
    ------
    ScoresError
        With every fault of the file.
    """
    path = Path(path)
    stamp = (path.stat().st_mtime_ns, path.stat().st_size) if path.is_file() else object()
    read = _read_once(path, reference, tuple(given), stamp)
    table = read.predictions.drop(columns="logit")  # one scale for the whole study: see Scores.predictor
    if missing and len(read.incomplete):
        table = pd.concat([table, read.incomplete], ignore_index=True)
    if (table["patient_id"] == table["image_id"]).all():
        table = table.drop(columns="patient_id")
    if read.run_names:
        table["seed"] = table["seed"].map(lambda run: read.run_names.get(run, run))
    return table, READERS if read.readers else TRAINING_RUNS


@lru_cache(maxsize=1)
def _read_once(path: Path, reference: str | None, given: tuple[str, ...], stamp: object) -> ScoresFile:
    """A file that 04 asks for several times; a changed one, and a folder, is read again."""
    return read_scores_file(path, reference, given)


def _scored(step: Any, file: str) -> pd.DataFrame:
    table = pd.read_csv(step.read(file), dtype={"image_id": str, "patient_id": str, "arm": str})
    # a study file that names fewer arms, seeds or fractions than were scored selects among them
    study = step.study
    for column, wanted in {"arm": study.arms, "seed": study.seeds, "fraction": study.fractions}.items():
        table = table[table[column].isin(list(wanted))]
    return table


def read_extra(step: Any) -> pd.DataFrame:
    """Scores of weights that were trained beside the last ones: checkpoints, and runs of equal epochs.

    Returns
    -------
    DataFrame
        Columns of predictions.csv, then `training` (equal_steps or equal_epochs), `step` and `last_step` (optimiser
        steps of these weights, and of their whole run). Empty where the study has none.
    """
    study = step.study
    if study.predictions is not None or not study.scores_extras:
        return pd.DataFrame(columns=["image_id", "arm", "fraction", "seed", "training", "step", "last_step"])
    table = _scored(step, "predictions_extra.csv")
    both = (study.detector.fraction_training == "both") & (table["training"] == "equal_epochs")
    # a checkpoint of the last step holds the last weights, which predictions.csv has
    return table[both | (table["step"] < table["last_step"])]


def equal_epochs_of(extra: pd.DataFrame, scores: Scores) -> dict[float, Scores]:
    """Runs that saw each of their labels as often as a run on all labels, by label fraction.

    Parameters
    ----------
    extra : DataFrame
        From `read_extra`.
    scores : Scores
        Only its films and runs are kept.

    Returns
    -------
    dict of float to Scores
        Empty unless the study trained both ways (`detector.fraction_training: both`).
    """
    rows = extra[extra["step"] == extra["last_step"]]
    return {float(fraction): scores_of(part).matching(scores) for fraction, part in rows.groupby("fraction")}


def checkpoints_of(extra: pd.DataFrame, scores: Scores) -> dict[int, Scores]:
    """Runs on all labels after so many optimiser steps, before the last one.

    Parameters
    ----------
    extra : DataFrame
        From `read_extra`.
    scores : Scores
        Only its films and runs are kept.

    Returns
    -------
    dict of int to Scores
        Rising; empty where no checkpoint was scored. An arm that trains for fewer steps has no later ones.
    """
    rows = extra[(extra["step"] < extra["last_step"]) & (extra["fraction"] == extra["fraction"].max())]
    return {int(at): scores_of(part).matching(scores) for at, part in rows.groupby("step")}


def robustness_of(step: Any, scores: Scores) -> Iterator[tuple[str, int, Scores]]:
    """Scores of changed external films, with those of the validation films as they are.

    Parameters
    ----------
    step : OpenStep
    scores : Scores
        Only its films and runs are kept.

    Yields
    ------
    (str, int, Scores)
        Change, its step (1 to 3), scores. Nothing where the study asks for none (`robustness`).
    """
    if step.study.predictions is not None or not step.study.robustness:
        return
    own = _scored(step, "predictions.csv")
    own = own[own["fraction"] == own["fraction"].max()].drop(columns="logit")
    changed = pd.read_csv(step.read("robustness.csv"), dtype={"image_id": str, "arm": str})
    keys = ["image_id", "arm", "seed"]
    validation, external = own[own["cohort"] == "validation"], own[own["cohort"] == "external"].drop(columns="score")
    for (change, at), part in changed.groupby(["change", "step"], sort=False):
        joined = external.merge(part[[*keys, "score"]], on=keys, how="left", validate="one_to_one")
        yield str(change), int(at), scores_of(pd.concat([validation, joined])).matching(scores)


def _facts(step: Any) -> pd.DataFrame:
    """Facts of the validation and external films of a study's cohorts."""
    names = {"image_id": str, "site": str, "view": str, "sex": str, "subtype": str}
    tables = [pd.read_csv(step.read(f"cohorts/{name}.csv"), dtype=names) for name in ("development", "external")]
    known = _known(pd.concat(tables, ignore_index=True))
    with contextlib.suppress(FileNotFoundError):
        boxes = pd.read_csv(step.read("cohorts/boxes.csv"), dtype={"image_id": str})
        if len(sizes := lesion_sizes(boxes, tables[1])):
            known["lesion_size"] = known["image_id"].map(sizes)
    return known


def _known(films: pd.DataFrame) -> pd.DataFrame:
    """The facts that some of the films have, with groups of age."""
    known = films[["image_id", *(name for name in FACTS if name in films and films[name].notna().any())]].copy()
    if "age" in known:
        bins = [low for low, _ in AGE_GROUPS.values()] + [200]
        known["age_group"] = pd.cut(known["age"], bins, right=False, labels=list(AGE_GROUPS)).astype(object)
    return known


def lesion_sizes(boxes: pd.DataFrame, films: pd.DataFrame) -> pd.Series:
    """Terciles of the size of the largest lesion of each film: small, medium, large.

    Parameters
    ----------
    boxes : DataFrame
        image_id, x_min, y_min, x_max, y_max in native pixels.
    films : DataFrame
        image_id, label, width, height, and spacing_mm where known. Only malignant films are sized.

    Returns
    -------
    Series
        By image_id; the square root of the box's area, in mm where the spacing of every such film is known, else as a
        share of the film's longest side. Empty where the sizes do not tell three groups apart.
    """
    own = boxes.merge(films[films["label"] == 1], on="image_id")
    sides = (own["x_max"] - own["x_min"]) * (own["y_max"] - own["y_min"])
    spacing = pd.to_numeric(own["spacing_mm"], errors="coerce") if "spacing_mm" in own else pd.Series(dtype=float)
    whole = len(own) > 0 and len(spacing) == len(own) and bool(spacing.notna().all())
    scale = spacing if whole else 1 / own[["width", "height"]].max(axis=1)
    size = (np.sqrt(sides) * scale).groupby(own["image_id"]).max()
    edges = size.quantile([1 / 3, 2 / 3]).to_numpy()
    place = np.searchsorted(edges, size.to_numpy())
    levels = pd.Series(np.array(["small", "medium", "large"], object)[place], size.index)
    return levels if levels.nunique() == 3 else levels.iloc[:0]


def subgroups_of(scores: Scores, names: Sequence[str]) -> Iterator[tuple[str, Scores]]:
    """Subgroups of the external films, such as `sex=F`, with all validation films.

    Parameters
    ----------
    scores : Scores
    names : sequence of str
        Facts of the films, as far as they are known.

    Yields
    ------
    (str, Scores)
        Ages from the youngest, other groups by name. Subtypes and sizes of tumours are compared with all normal films.
        Left out are groups with fewer than five films of a class, and a group of all films, which is none.
    """
    ages = list(AGE_GROUPS)
    for name in (name for name in names if name in scores.facts):
        levels = scores.external.facts[name].dropna().unique()
        for level in sorted(levels, key=lambda one: (ages.index(one) if one in ages else 0, one)):
            part = scores.keep(scores.facts[name] == level, normal=name in OF_TUMOURS)
            if part is not None and len(part.external.values) < len(scores.external.values):
                yield f"{name}={level}", part


def made_alike(study: Any, arm: str, reference: str) -> bool:
    """Whether two arms of a study differ in random numbers only: an A/A comparison."""
    one, other = study.arms.get(arm), study.arms.get(reference)
    if one is None or other is None or one.seed_offset == other.seed_offset:
        return False
    return bool((one.initialise, one.train_for) == (other.initialise, other.train_for))


def read_boxes(step: Any, fraction: float = 1.0) -> tuple[pd.DataFrame, pd.DataFrame] | None:
    """Predicted boxes (arm, seed), and reference boxes of external films; None where a study has none."""
    if step.study.predictions is not None:
        return None
    try:
        predicted, reference = (pd.read_csv(step.read(f), dtype={"image_id": str, "arm": str})
                                for f in ("detections.csv", "cohorts/boxes.csv"))  # fmt: skip
    except FileNotFoundError:
        return None
    predicted = predicted[predicted["fraction"] == fraction]
    reference = reference[reference["cohort"] == "external"]
    return (predicted, reference) if len(reference) else None


def settings_of(study: Any, scores: Scores) -> dict[str, Any]:
    """The settings of an analysis, as study.yaml asks for them; fewer draws of very many scores if it names none."""
    asked = {
        "title": study.title,
        "reference": study.reference or scores.arms[0],
        "arms": list(study.arms) or scores.arms,
        **study.statistics.fixed_settings,
    }
    if scores.values.size >= MANY_SCORES and "bootstrap" not in study.statistics.model_fields_set:
        asked["bootstrap"] = DRAWS_OF_MANY
    return asked


def labels_of(study: Any, scores: Scores) -> dict[str, str]:
    """What each arm is called on a page: its label, else its name."""
    return {name: (study.arms[name].label or name) if name in study.arms else name for name in scores.arms}


@dataclass(frozen=True)
class Results:
    """What 04 wrote.

    Attributes
    ----------
    table : DataFrame
        The table of results; its row numbers are those of the file.
    analysis : dict
        Settings, arms, verdicts, warnings, deviations from the plan.
    tables : dict of str to DataFrame
        Curves and lists: roc, precision_recall, scores, films, calibration, draws, ...
    """

    table: pd.DataFrame
    analysis: dict[str, Any]
    tables: dict[str, pd.DataFrame]


def save_results(
    step: Any, table: pd.DataFrame, analysis: Mapping[str, Any], tables: Mapping[str, pd.DataFrame]
) -> Path:
    """Write statistics.csv, statistics.xlsx, analysis.json, tables/*.csv and, for own scores, the key to film numbers.

    Under the engine they go to the study's outputs, and settings that differ from study.yaml are refused. By hand they
    go to the study's scratch folder.

    Parameters
    ----------
    step : Step
        Of the notebook 04.
    table : DataFrame
        The table of results.
    analysis : mapping
        What is no number: settings, verdicts, warnings.
    tables : mapping of name to DataFrame
        Curves, scores and films.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    SettingsError
        Under the engine: the settings are not those of study.yaml.
    """
    changed = analysis.get("changed", [])
    if changed and step.by_engine:
        raise SettingsError([f"{text}; change study.yaml, or run the notebook by hand" for text in changed])
    path = step.write("statistics.csv")
    remove(path.parent / "tables")
    for name, part in tables.items():
        write_csv(step.write(f"tables/{name}.csv"), part)
    write_text(path, estimates.to_csv(table))
    write_bytes(step.write("tables/statistics.xlsx"), lambda file: file.write(workbook(spreadsheet_safe(table))))
    write_json(step.write("analysis.json"), analysis)
    if step.study.predictions is not None and not step.study.report.show_ids:
        given, _ = predictions_of_file(*_own_file(step))
        write_csv(step.write(FILM_NUMBERS), spreadsheet_safe(numbered(given)[1]))
    return path.parent


def workbook(table: pd.DataFrame) -> bytes:
    """An Excel workbook with the table as its one sheet: numbers as numbers, missing values as empty cells.

    Written directly, since pandas takes a second for some thousand rows; the same table gives the same bytes.
    """
    columns = [[_cell(name), *map(_cell, table[name])] for name in table]
    rows = "".join(f"<row>{''.join(cells)}</row>" for cells in zip(*columns, strict=True))
    sheet = f'<worksheet xmlns="{_SHEETS}/main"><sheetData>{rows}</sheetData></worksheet>'
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as packed:
        for name, text in {**_WORKBOOK, "xl/worksheets/sheet1.xml": sheet}.items():
            whole = f'<?xml version="1.0" encoding="UTF-8"?>{text}'
            packed.writestr(zipfile.ZipInfo(name), whole, compress_type=zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def _cell(value: Any) -> str:
    if isinstance(value, str):
        text = escape(_NO_XML.sub("", value))
        return f'<c t="inlineStr"><is><t xml:space="preserve">{text}</t></is></c>' if text else "<c/>"
    return f"<c><v>{float(value)!r}</v></c>" if pd.notna(value) else "<c/>"


_NO_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")  # characters that XML 1.0 cannot hold
_SHEETS = "http://schemas.openxmlformats.org/spreadsheetml/2006"
_DOCUMENT = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml"
#: The parts of a workbook beside its sheet (ECMA-376, Office Open XML).
_WORKBOOK = {
    "[Content_Types].xml": f'<Types xmlns="{_PACKAGE}/content-types">'
    '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    f'<Override PartName="/xl/workbook.xml" ContentType="{_TYPE}.sheet.main+xml"/>'
    f'<Override PartName="/xl/worksheets/sheet1.xml" ContentType="{_TYPE}.worksheet+xml"/></Types>',
    "_rels/.rels": f'<Relationships xmlns="{_PACKAGE}/relationships">'
    f'<Relationship Id="rId1" Type="{_DOCUMENT}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
    "xl/workbook.xml": f'<workbook xmlns="{_SHEETS}/main" xmlns:r="{_DOCUMENT}">'
    '<sheets><sheet name="statistics" sheetId="1" r:id="rId1"/></sheets></workbook>',
    "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{_PACKAGE}/relationships">'
    f'<Relationship Id="rId1" Type="{_DOCUMENT}/worksheet" Target="worksheets/sheet1.xml"/></Relationships>',
}


def read_results(step: Any) -> Results:
    """What 04 wrote, from scratch where it was run by hand, else from the study's outputs."""
    path = step.read("statistics.csv")
    tables = {file.stem: pd.read_csv(file, dtype={"image_id": str, "arm": str, "run": str}, keep_default_na=True)
              for file in sorted((path.parent / "tables").glob("*.csv"))}  # fmt: skip
    analysis = json.loads(step.read("analysis.json").read_text(encoding="utf-8"))
    return Results(estimates.read_results(path), analysis, tables)


def differences(used: Mapping[str, Any], asked: Mapping[str, Any]) -> list[str]:
    """Settings of an analysis that are not those of study.yaml, one sentence each."""
    return [
        f"{name} is {used.get(name)!r}, study.yaml says {asked.get(name)!r}"
        for name in sorted({*used, *asked})
        if used.get(name) != asked.get(name)
    ]


def selected(scores: Scores, whole: Scores) -> list[str]:
    """What an analysis leaves out of a study, one sentence each.

    Parameters
    ----------
    scores : Scores
        Those that were analysed.
    whole : Scores
        Those of the study.
    """
    found = []
    for name in ("external", "validation"):
        part, every = (len(getattr(one, name).values) for one in (scores, whole))
        if part != every:
            found.append(f"{part:,} of {every:,} {name} films are analysed")
    lacking = [f"{arm} {run}" for arm, run in whole.runs if (arm, run) not in set(scores.runs)]
    return [*found, f"left out are the runs {', '.join(lacking)}"] if lacking else found


def fractions_of(step: Any) -> list[float]:
    """Label fractions of a study, where there are several."""
    fractions = sorted(step.study.fractions) if step.study.predictions is None else [1.0]
    return fractions if len(fractions) > 1 else []


def scores_table(draws: Draws) -> pd.DataFrame:
    """Every score: image_id, patient_id, cohort, label, arm, run, score, risk (missing without recalibration)."""
    scores = draws.scores
    parts = []
    for r, (arm, run) in enumerate(scores.runs):
        line = draws.lines["logistic"][r] if "logistic" in draws.lines else (np.nan, np.nan)
        score, predictor = scores.values[arm, run].to_numpy(), scores.predictor[arm, run].to_numpy()
        films = scores.facts[["patient", "cohort", "label"]].rename(columns={"patient": "patient_id"})
        films = films.rename_axis("image_id").reset_index().astype({"label": int})
        parts.append(films.assign(arm=arm, run=str(run), score=score, risk=expit(line[0] + line[1] * predictor)))
    return pd.concat(parts, ignore_index=True)


def films_table(draws: Draws, placed: pd.DataFrame | None) -> pd.DataFrame:
    """Calls of every external film at the main point, over the runs of each arm.

    Parameters
    ----------
    draws : Draws
    placed : DataFrame or None
        image_id, arm, placed (runs whose best mark is on the lesion), where boxes are known.

    Returns
    -------
    DataFrame
        One row a film and arm: image_id, patient_id, label, the facts of the film, arm, runs, called (in how many runs
        it is called malignant), mean_score, and placed where known.
    """
    external = draws.scores.external
    facts = external.facts.drop(columns="cohort").rename(columns={"patient": "patient_id"})
    facts = facts.assign(label=facts["label"].astype(int)).rename_axis("image_id").reset_index()
    parts = []
    for arm in draws.scores.arms:
        columns = [i for i, (name, _) in enumerate(draws.runs) if name == arm]
        values = external.values.to_numpy()[:, columns]
        made = facts.assign(arm=arm, runs=len(columns), mean_score=values.mean(axis=1))
        if draws.points:
            main = draws.points[0]
            cuts = draws.thresholds[main.name, main.threshold_from][columns]
            made["called"] = (values >= cuts).sum(axis=1)
        parts.append(made)
    table = pd.concat(parts, ignore_index=True)
    return table if placed is None else table.merge(placed, on=["image_id", "arm"], how="left")
