"""The files of a finished study that the page is made from, read once."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from markupsafe import Markup

from diagnostic_accuracy.estimates import read_results, select
from osteotl.display import mark, saved
from osteotl.study import Study

TEXTS = dict.fromkeys(("image_id", "patient_id", "film", "run", "seed", "subtype", "site", "view", "sex", "group"), str)


@dataclass(frozen=True)
class Outputs:
    """One finished study.

    Attributes
    ----------
    study : Study
        The checked configuration.
    folder, data : Path
        The outputs folder; the folder that holds `.prepared/`.
    results : DataFrame
        statistics.csv; rows are named by their number.
    analysis, figures, integrity, audit, provenance : dict
        analysis.json, figures/index.json, cohorts/integrity.json, audit.json, provenance.json; empty
        where there is none.
    """

    study: Study
    folder: Path
    data: Path
    results: pd.DataFrame
    analysis: dict[str, Any]
    figures: dict[str, Any]
    integrity: dict[str, Any]
    audit: dict[str, Any]
    provenance: dict[str, Any]
    _read: dict[str, pd.DataFrame] = field(default_factory=dict, repr=False)

    # --- models and runs ---

    @property
    def settings(self) -> dict[str, Any]:
        """Settings of the analysis."""
        return self.analysis["settings"]

    @property
    def labels(self) -> dict[str, str]:
        """Label of every model, the reference model first."""
        named = {str(arm["name"]): str(arm.get("label") or arm["name"]) for arm in self.analysis["arms"]}
        return {name: named[name] for name in sorted(named, key=lambda name: name != self.reference)}

    @property
    def reference(self) -> str:
        """The reference model."""
        names = [str(arm["name"]) for arm in self.analysis["arms"]]
        return str(self.settings["reference"]) if self.settings.get("reference") in names else names[0]

    @property
    def others(self) -> list[str]:
        """Models that are compared with the reference model."""
        return [name for name in self.labels if name != self.reference]

    @property
    def runs(self) -> dict[str, list[str]]:
        """Runs of every model."""
        return {arm: [str(run) for run in self.analysis["runs"].get(arm, [])] for arm in self.labels}

    @property
    def over_runs(self) -> str:
        """What a number of a model stands for: `mean over 3 training runs`."""
        counts = sorted({len(runs) for runs in self.runs.values()})
        kind = str(self.analysis.get("kind", "training runs"))
        if counts == [1]:
            return f"one {kind.removesuffix('s')} a model"
        return f"mean over {' to '.join(map(str, dict.fromkeys((counts[0], counts[-1]))))} {kind}"

    def mark(self, arm: str) -> Markup:
        """Sign and label of a model."""
        return mark(arm, self.labels)

    # --- results ---

    def select(self, **identity: Any) -> pd.DataFrame:
        """Rows of results; what is not named is the mean over runs, all labels, all films, at no assumed prevalence.

        Parameters
        ----------
        **identity
            As in `diagnostic_accuracy.estimates.select`; `...` leaves a column open. `reference` is open where an arm
            is not named, so give `reference=None` for models and the reference model's name for differences.
        """
        plain = {"run": None, "unit": "film", "prevalence": None, "group": None, "reference_group": None}
        if identity.get("section") not in ("learning",):
            plain["fraction"] = self.fraction  # type: ignore[assignment]
        chosen = {k: v for k, v in {**plain, **identity}.items() if v is not ...}
        fraction = chosen.pop("fraction", ...)
        found = select(self.results, **chosen)
        if fraction is ...:
            return found
        return found[found["fraction"].isna() | (found["fraction"] == fraction)]

    def one(self, **identity: Any) -> pd.Series | None:
        """The first row of `select`, or None."""
        found = self.select(**identity)
        return None if found.empty else found.iloc[0]

    @property
    def fraction(self) -> float:
        """The largest label fraction: what the page shows unless it says otherwise."""
        known = self.results["fraction"].dropna()
        return float(known.max()) if len(known) else 1.0

    @property
    def point(self) -> dict[str, Any]:
        """Operating point of the answer: `point` and `threshold_from`; empty where the study has none."""
        source = self.settings.get("main_source")
        return {"point": self.settings["main_point"], "threshold_from": source} if source else {}

    # --- files ---

    def table(self, name: str) -> pd.DataFrame:
        """A table of outputs/tables; empty where there is none."""
        return self.csv(f"tables/{name}.csv")

    def csv(self, file: str) -> pd.DataFrame:
        """A CSV below the outputs folder; identifiers, runs and groups are text."""
        if file not in self._read:
            path = self.folder / file
            there = path.is_file() and path.stat().st_size > 1
            self._read[file] = pd.read_csv(path, dtype=TEXTS) if there else pd.DataFrame()
        return self._read[file]

    @property
    def films(self) -> pd.DataFrame:
        """Cohort tables below each other, with a column `cohort`; empty for scores made elsewhere."""
        names = ("pretrain", "other_modality", "development", "external")
        parts = {name: self.csv(f"cohorts/{name}.csv") for name in names}
        held = [frame.assign(cohort=name) for name, frame in parts.items() if len(frame)]
        return pd.concat(held, ignore_index=True) if held else pd.DataFrame()

    @property
    def phantoms(self) -> bool:
        """Whether the external films are synthetic."""
        external = self.study.cohorts and (self.study.cohorts.external or self.study.cohorts.development)
        parts = getattr(external, "parts", None) or ([external] if external else [])
        return any(str(getattr(part, "reader", "")).startswith("phantom") for part in parts)


def read_outputs(step: Any) -> Outputs:
    """Read what 03, 04 and 05 wrote.

    Parameters
    ----------
    step : OpenStep
        Of notebook 06; anything with `study`, `outputs`, `data` and `read` will do.

    Raises
    ------
    ValueError
        statistics.csv or analysis.json is missing.
    """
    folder = Path(step.outputs)
    for name in ("statistics.csv", "analysis.json"):
        if not (folder / name).is_file():
            raise ValueError(f"{name} is missing: the page shows what 04_statistics wrote. Run ./run_all.sh first")
    index = read_json(folder / "figures" / "index.json")
    return Outputs(
        study=step.study,
        folder=folder,
        data=Path(step.data),
        results=saved(read_results(folder / "statistics.csv")),
        analysis=read_json(folder / "analysis.json"),
        figures=index,
        integrity=read_json(folder / "cohorts" / "integrity.json"),
        audit=read_json(folder / "audit.json"),
        provenance=read_json(folder / "provenance.json"),
    )


def read_json(path: Path) -> dict[str, Any]:
    """The content of a JSON file, or nothing where there is none."""
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
