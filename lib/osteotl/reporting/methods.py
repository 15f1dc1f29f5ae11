"""Methods and Results written from the run, ready to paste, and Table 1; free to reuse (CC0)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from osteotl.files import read_yaml
from osteotl.reporting.account import Run
from osteotl.reporting.markdown import capital, md
from osteotl.reporting.phrases import fill_in, phrases
from osteotl.study import Study

WORDS = Path(__file__).parent / "methods.yaml"


def methods_text(
    study: Study,
    statistics: Mapping[str, Any],
    integrity: Mapping[str, Any] | None = None,
    provenance: Mapping[str, Any] | None = None,
    training: Mapping[str, Mapping[str, Any]] | None = None,
) -> str:
    """Methods and Results as Markdown, every number from the run's files.

    Parameters
    ----------
    study : Study
    statistics, integrity, provenance : mapping
        statistics.json, cohorts/integrity.json, provenance.json.
    training : mapping, optional
        Arm: {"model": model.json, "pairing": pairing.json}.

    Returns
    -------
    str
        Sections Methods, Results and References. A sentence whose facts the run does not know is left out; a number
        that could not be estimated is said to be so.
    """
    return written(Run(study, statistics, integrity or {}, provenance or {}, training or {}))


def written(run: Run) -> str:
    """`methods_text` for a run already read."""
    words = read_yaml(WORDS)
    known = {name: None if text is None else md(text) for name, text in phrases(run).items()}
    told = words["methods"]
    parts = [
        "# Methods and results, written from the run",
        "This text was written by OsteoTL from the files of the run and may be used freely (CC0). It says what was "
        "done, not whether that was wise: read it before you paste it.",
        "## Methods",
        *_paragraph("Data", told["data"], known),
        *_paragraph("Detectors", told["detectors"], known),
        *_paragraph("Statistical analysis", _analysis(run, told), known),
        *_paragraph("Software", told["software"], known),
        "## Results",
    ]
    for heading, sentences in words["results"].items():
        parts += _paragraph(heading, sentences, known)
    return _cited("\n\n".join(parts), words["references"]) + "\n"


def _analysis(run: Run, told: Mapping[str, list[str]]) -> list[str]:
    """The sentences on what was computed: they differ with the number of runs and of films per patient."""
    clustered = run.get("settings.unit") == "patient" and (run.get("cohorts.external.max_films_per_patient") or 1) > 1
    runs = "several_runs" if len(run.get("settings.seeds", [])) > 1 else "one_run"
    names = ("outcomes", runs, "clustered" if clustered else "unclustered", "tests")
    return [sentence for name in names for sentence in told[name]]


def _paragraph(heading: str, sentences: list[str], known: Mapping[str, str | None]) -> list[str]:
    kept = [capital(sentence) for sentence in fill_in(sentences, known)]
    return [f"### {heading}", " ".join(kept)] if kept else []


def _cited(text: str, references: Mapping[str, str]) -> str:
    """`[[key]]` as numbers in the order of their first use, and the list of them."""
    keys = list(dict.fromkeys(re.findall(r"\[\[(\w+)\]\]", text)))
    text = re.sub(r"\[\[(\w+)\]\]", lambda match: f"[{keys.index(match[1]) + 1}]", text)
    listed = "\n".join(f"{i}. {references[key]}" for i, key in enumerate(keys, 1))
    return f"{text}\n\n## References\n\n{listed}"


# --- Table 1 ----------------------------------------------------------------------------------------------------------


def table_one(out: Path) -> pd.DataFrame:
    """Characteristics of the films by cohort, partition and class, from OUT/cohorts/*.csv.

    Parameters
    ----------
    out : Path
        Outputs folder.

    Returns
    -------
    DataFrame
        One row per cohort, partition and class: films, patients, age as median (quartiles), ages unknown, female of
        films with a known sex, sexes unknown, views, sites, subtypes. Empty where the study has no cohort tables.
    """
    rows = []
    for cohort in ("pretrain", "other_modality", "development", "external"):
        path = Path(out) / "cohorts" / f"{cohort}.csv"
        if not path.is_file():
            continue
        films = pd.read_csv(path, dtype={"patient_id": str, "site": str, "view": str, "sex": str, "subtype": str})
        positive = ("malignant", "not malignant") if cohort in ("development", "external") else ("lesion", "no lesion")
        for (partition, label), group in films.groupby(["partition", "label"], sort=True):
            rows.append({"cohort": cohort, "partition": partition, "class": positive[0 if label == 1 else 1],
                         **_characteristics(group)})  # fmt: skip
    return pd.DataFrame(rows)


def _characteristics(films: pd.DataFrame) -> dict[str, Any]:
    age = pd.to_numeric(films["age"], errors="coerce").dropna()
    sex = films["sex"].dropna()
    low, middle, high = age.quantile([0.25, 0.5, 0.75]) if len(age) else (None, None, None)
    return {
        "films": len(films),
        "patients": films["patient_id"].nunique(),
        "age, median (quartiles)": f"{middle:.0f} ({low:.0f} to {high:.0f})" if len(age) else "unknown",
        "age unknown": len(films) - len(age),
        "female": f"{(sex == 'F').sum()} of {len(sex)}" if len(sex) else "unknown",
        "sex unknown": len(films) - len(sex),
        "views": _tally(films["view"]),
        "sites": _tally(films["site"]),
        "subtypes": _tally(films["subtype"]) if films["subtype"].notna().any() else "",
    }


def _tally(values: pd.Series) -> str:
    return ", ".join(f"{name} {count}" for name, count in values.fillna("unknown").value_counts().sort_index().items())
