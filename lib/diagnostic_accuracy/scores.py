"""Scores: everything that an analysis needs of the films, aligned once.

Cases (films, or patients) are rows, runs (an arm and one of its training runs or readers) are columns. Malignant cases
stand first, then normal ones, each sorted by identifier, so that neither the order of a file's rows nor that of its
arms changes a result.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import logit

from diagnostic_accuracy.checks import check_one_of
from diagnostic_accuracy.estimates import Estimate, results
from diagnostic_accuracy.expressions import evaluate

Codes = NDArray[np.int64]
Runs = list[tuple[str, object]]

# Scores are clipped here before their logit is taken: an exact 0 or 1 has none. The same for all films of a study.
CLIP = 1e-6

TRAINING_RUNS, READERS = "training runs", "readers"
KEYS = ("image_id", "patient_id", "cohort", "label", "arm", "fraction", "seed", "score", "logit")
DEFAULTS = {"seed": 0, "cohort": "external"}  # of columns that a table of scores may lack


@dataclass(frozen=True)
class Scores:
    """Cases x runs, with what is known of the cases.

    Attributes
    ----------
    values : DataFrame of shape (cases, runs)
        Scores; higher means more suspicious. Columns are a MultiIndex (arm, run), the index is the case.
    predictor : DataFrame of shape (cases, runs)
        What a recalibration works on: stored logits, or the logit of the clipped score, or the score (see `scale`).
    facts : DataFrame
        Same index: label (bool, malignant), patient, cohort ('validation' or 'external'), and further columns.
    scale : str
        What `predictor` holds, in words.
    kind : {"training runs", "readers"}
        Training runs are nested in arms; readers read with all arms and are crossed with them.
    patients_known : bool
        Whether patients were named; otherwise each film counts as a patient of its own.
    unit : {"film", "patient"}
        What a case is.
    """

    values: pd.DataFrame
    predictor: pd.DataFrame
    facts: pd.DataFrame
    scale: str = "score"
    kind: str = TRAINING_RUNS
    patients_known: bool = True
    unit: str = "film"

    @property
    def label(self) -> pd.Series:
        """True for malignant cases."""
        return self.facts["label"]

    @property
    def patient(self) -> pd.Series:
        """Patient of each case."""
        return self.facts["patient"]

    @property
    def cohort(self) -> pd.Series:
        """'validation' or 'external'."""
        return self.facts["cohort"]

    @cached_property
    def runs(self) -> Runs:
        """(arm, run) of every column."""
        return list(self.values.columns)

    @cached_property
    def arms(self) -> list[str]:
        """Arms in the order of the columns."""
        return list(dict.fromkeys(arm for arm, _ in self.runs))

    @cached_property
    def external(self) -> Scores:
        """External cases."""
        return self._rows(self.cohort == "external")

    @cached_property
    def validation(self) -> Scores:
        """Validation cases; there may be none."""
        return self._rows(self.cohort == "validation")

    @cached_property
    def prevalence(self) -> float:
        """Share of malignant cases among the external ones."""
        return float(self.label[self.cohort == "external"].mean())

    def select(self, arms: Sequence[str] | None = None, runs: Sequence[object] | None = None) -> Scores:
        """Some arms, or the runs with some names, of all films.

        Raises
        ------
        ValueError
            An arm or run that does not exist.
        """
        lacking: list[object] = [arm for arm in arms or [] if arm not in self.arms]
        lacking += [run for run in runs or [] if run not in {r for _, r in self.runs}]
        if lacking:
            raise ValueError(f"{lacking[0]!r} is no arm or run of these scores; they hold {self.runs}")
        chosen = [c for c in self.runs if (arms is None or c[0] in arms) and (runs is None or c[1] in runs)]
        return self._columns(chosen)

    def where(self, condition: str, cohort: str = "external") -> Scores:
        """Films that meet a condition; thresholds and recalibration stay those of all validation films.

        Parameters
        ----------
        condition : str
            Such as ``"sex == 'F' and age < 40"`` (see `expressions`), on the columns of `facts`.
        cohort : {"external", "both"}
            Filter external films only, or validation films as well.

        Raises
        ------
        ValueError
            The condition cannot be read, or no external film of some class meets it.
        """
        check_one_of(cohort, ("external", "both"), "cohort")
        met = np.asarray(evaluate(condition, self.facts), bool)
        kept = self._rows(met | ((self.cohort == "validation").to_numpy() & (cohort == "external")))
        _check_classes(kept.external.label, f"{condition!r} keeps")
        return kept

    def keep(self, films: pd.Series, normal: bool = False, fewest: int = 5) -> Scores | None:
        """External films of a subgroup, with all validation films; None where a class has too few.

        Parameters
        ----------
        films : Series of bool
            Which films belong to the subgroup.
        normal : bool
            Keep all normal films, as for subtypes of tumours.
        fewest : int
            Films that each class must have at least.
        """
        chosen = films.fillna(False).to_numpy(bool) | (normal & ~self.label.to_numpy())
        kept = self._rows(chosen | (self.cohort == "validation").to_numpy())
        sizes = kept.external.label.value_counts()
        return kept if len(sizes) == 2 and sizes.min() >= fewest else None

    def beside(self, other: Scores) -> Scores:
        """The runs of both, on the same films.

        Raises
        ------
        ValueError
            They hold other films, or share a run.
        """
        if not self.values.index.equals(other.values.index):
            raise ValueError("the two sets of scores hold other films; score the same films with both")
        if twice := set(self.runs) & set(other.runs):
            raise ValueError(f"both hold the run {sorted(map(str, twice))[0]}; give their arms other names")
        values, predictor = [self.values, other.values], [self.predictor, other.predictor]
        return replace(self, values=pd.concat(values, axis=1), predictor=pd.concat(predictor, axis=1))

    def matching(self, other: Scores) -> Scores:
        """The films and runs that another set of scores holds too; its filters then apply here as well."""
        kept = self._rows(self.values.index.isin(other.values.index))
        return kept._columns([run for run in self.runs if run in set(other.runs)])

    def by_patient(self) -> Scores:
        """Patients as cases: malignant if any film is, with the largest score over the films."""
        keys = [self.cohort.to_numpy(), self.patient.to_numpy()]
        values, predictor = (frame.groupby(keys, sort=True).max() for frame in (self.values, self.predictor))
        facts = self.facts.groupby(keys, sort=True).first()
        facts["label"] = self.label.groupby(keys, sort=True).max().astype(bool)
        frames = [frame.set_axis(facts["patient"].to_numpy(), axis=0) for frame in (values, predictor, facts)]
        rows = np.lexsort((np.arange(len(facts)), ~facts["label"].to_numpy()))
        values, predictor, facts = (frame.iloc[rows] for frame in frames)
        return replace(self, values=values, predictor=predictor, facts=facts, unit="patient")

    def _rows(self, kept: NDArray[np.bool_] | pd.Series) -> Scores:
        kept = np.asarray(kept)
        return replace(self, values=self.values[kept], predictor=self.predictor[kept], facts=self.facts[kept])

    def _columns(self, chosen: Runs) -> Scores:
        columns = pd.MultiIndex.from_tuples(chosen, names=["arm", "run"])
        return replace(self, values=self.values[columns], predictor=self.predictor[columns])


def scores_of(
    predictions: pd.DataFrame,
    facts: pd.DataFrame | None = None,
    fraction: float | None = None,
    kind: str = TRAINING_RUNS,
) -> Scores:
    """Align a table with one row a film and run.

    Parameters
    ----------
    predictions : DataFrame
        image_id, label (1 malignant, 0 not), arm, score; and where known seed (the run; without it an arm has one run,
        0), cohort ('validation' or 'external'; without it all films are external), patient_id, logit and fraction.
    facts : DataFrame, optional
        image_id and further columns, one row a film, such as age and sex.
    fraction : float, optional
        Label fraction to take; default: the largest one.
    kind : {"training runs", "readers"}

    Returns
    -------
    Scores

    Raises
    ------
    ValueError
        A column is missing, runs scored different films, a film was scored twice or has two labels or patients, a score
        is not finite, or an external class is missing. All faults are listed.

    Examples
    --------
    >>> table = pd.DataFrame({"image_id": ["f1", "f2"], "cohort": "external", "label": [1, 0], "arm": "a", "seed": 0,
    ...                       "score": [0.8, 0.1]})
    >>> scores_of(table).values.to_numpy().tolist()
    [[0.8], [0.1]]
    """
    predictions = predictions.assign(**{name: value for name, value in DEFAULTS.items() if name not in predictions})
    _check_named(predictions)
    if fraction is None and "fraction" in predictions:
        fraction = float(predictions["fraction"].max())
    rows = predictions if "fraction" not in predictions else predictions[predictions["fraction"] == fraction]
    if rows.empty:
        raise ValueError(f"no score has the label fraction {fraction:g}")
    films, film, column, runs = _codes(rows)
    _check_complete(rows, films, film, column, runs)
    order, known = _facts(rows, films, film, facts)
    columns = pd.MultiIndex.from_tuples(runs, names=["arm", "run"])
    size = (len(films), len(runs))
    place = np.empty(len(films), np.int64)
    place[order] = np.arange(len(films))

    def frame(name: str) -> pd.DataFrame:
        table = np.full(size, np.nan)
        table[place[film], column] = rows[name].to_numpy(float)
        return pd.DataFrame(table, index=known.index, columns=columns)

    values = frame("score")
    stored = "logit" in rows and np.isfinite(rows["logit"].to_numpy(float)).all()
    predictor, scale = (frame("logit"), "stored logits") if stored else _predictor(values)
    patients = "patient_id" in rows and bool(rows["patient_id"].notna().all())
    return Scores(values, predictor, known, scale, kind, patients)


def _check_named(predictions: pd.DataFrame) -> None:
    needed = ("image_id", "label", "arm", "score")
    faults = [f"there is no column {name!r}" for name in needed if name not in predictions]
    for name in (name for name in ("image_id", "arm", "seed") if name in predictions):
        missing = np.flatnonzero(predictions[name].isna())
        if missing.size:
            faults.append(f"{missing.size} rows have no {name}, the first is row {missing[0]}")
    if faults:
        raise ValueError("\n".join(faults))


def _codes(rows: pd.DataFrame) -> tuple[pd.Index, Codes, Codes, Runs]:
    """Films, the film of each row, the run of each row, and the runs: arms as they appear, their runs sorted."""
    film, films = pd.factorize(rows["image_id"], sort=True)
    arm_code, arms = pd.factorize(rows["arm"])
    run_code, names = pd.factorize(rows["seed"], sort=True)
    pair, pairs = pd.factorize(arm_code * len(names) + run_code, sort=True)
    runs = [(str(arms[code // len(names)]), names[code % len(names)]) for code in pairs]
    return films, film, pair, [(arm, run.item() if hasattr(run, "item") else run) for arm, run in runs]


def _check_complete(rows: pd.DataFrame, films: pd.Index, film: Codes, column: Codes, runs: Runs) -> None:
    counts = np.bincount(film * len(runs) + column, minlength=len(films) * len(runs)).reshape(len(films), len(runs))
    faults = []
    for what, bad in (("did not score", counts == 0), ("scored more than once", counts > 1)):
        for j in np.flatnonzero(bad.any(axis=0))[:20]:
            found = np.flatnonzero(bad[:, j])
            faults.append(
                f"{runs[j][0]}, run {runs[j][1]}, {what} {found.size} films, the first is {films[found[0]]!r}"
            )
    finite = np.isfinite(pd.to_numeric(rows["score"], errors="coerce").to_numpy(float))
    if not finite.all():
        first = rows["image_id"][~finite].iloc[0]
        faults.append(f"{int((~finite).sum())} scores are no finite numbers, the first is that of {first!r}")
    for name in ("label", "patient_id", "cohort"):
        if name in rows:
            table = pd.DataFrame({"film": film, "value": pd.factorize(rows[name])[0]}).drop_duplicates()
            several = table["film"][table["film"].duplicated()].to_numpy()
            if several.size:
                faults.append(f"{several.size} films have two values of {name}, the first is {films[several[0]]!r}")
    if faults:
        raise ValueError("\n".join(faults))


def _facts(rows: pd.DataFrame, films: pd.Index, film: Codes, more: pd.DataFrame | None) -> tuple[Codes, pd.DataFrame]:
    """Order of the films (malignant first), and the table of facts in that order."""
    first = np.full(len(films), -1)
    first[film[::-1]] = np.arange(len(rows))[::-1]
    one = rows.iloc[first]
    label = one["label"].to_numpy()
    if not np.isin(label, (0, 1)).all():
        raise ValueError(f"labels must be 1 (malignant) or 0; found {sorted(set(label.tolist()) - {0, 1})[:5]}")
    patient = one["patient_id"].to_numpy() if "patient_id" in rows and rows["patient_id"].notna().all() else films
    facts = pd.DataFrame(
        {"label": label == 1, "patient": patient, "cohort": one["cohort"].to_numpy()},
        index=pd.Index(films, name="film"),
    )
    if more is not None:
        extra = more.drop_duplicates("image_id").set_index("image_id").reindex(films)
        facts = facts.join(extra[[name for name in extra if name not in facts and name not in KEYS]])
    if strange := set(facts["cohort"]) - {"validation", "external"}:
        raise ValueError(f"cohort must be validation or external; found {sorted(map(str, strange))[:5]}")
    _check_classes(facts["label"][facts["cohort"] == "external"], "there are")
    order = np.lexsort((np.arange(len(films)), ~facts["label"].to_numpy()))
    return order, facts.iloc[order]


def _check_classes(label: pd.Series, told: str) -> None:
    if label.nunique() < 2:
        found = f"{int(label.sum())} malignant and {int((~label).sum())} normal external films"
        raise ValueError(f"{told} {found}; both classes are needed")


def _predictor(values: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """One scale for a whole study: the logit of the clipped score where all scores lie in [0, 1], else the score."""
    if not ((values >= 0) & (values <= 1)).all(axis=None):
        return values, "score as it is"
    return logit(values.clip(CLIP, 1 - CLIP)), f"logit of the score, clipped at {CLIP:g}"


def counts(scores: Scores) -> pd.DataFrame:
    """How many films and patients of each class the cohorts hold, as a table of results (section 'cohort').

    A cohort without films has no rows.
    """
    rows = []
    for cohort in ("validation", "external"):
        part = scores.validation if cohort == "validation" else scores.external
        label = part.label
        found = {"films": len(label), "malignant_films": int(label.sum()), "normal_films": int((~label).sum())}
        if scores.patients_known:
            ill, well = (set(part.patient[side]) for side in (label, ~label))
            found |= {"patients": len(ill | well), "malignant_patients": len(ill), "normal_patients": len(well - ill)}
        for measure, number in found.items() if len(label) else ():
            counted = Estimate(number, None, None, "count", number, note="a count, without an interval")
            rows.append(counted.row(section="cohort", measure=measure, group=cohort))
    return results(rows)
