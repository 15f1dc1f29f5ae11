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
    places : tuple of Path
        Folders in which files are looked for, the first first: where a run by hand writes, and the outputs folder.
    data : Path
        The folder that holds `.prepared/`.
    results : DataFrame
        statistics.csv; rows are named by their number.
    analysis, figures, integrity, audit, provenance : dict
        analysis.json, figures/index.json, cohorts/integrity.json, audit.json, provenance.json; empty
        where there is none.
    """

    study: Study
    places: tuple[Path, ...]
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
        named = {str(arm): str(label or arm) for arm, label in self.analysis["arms"].items()}
        return {name: named[name] for name in sorted(named, key=lambda name: name != self.reference)}

    @property
    def reference(self) -> str:
        """The reference model."""
        names, named = list(self.analysis["arms"]), self.settings.get("reference")
        return str(named if named in names else names[0])

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
            return f"one {kind.removesuffix('s')} per model"
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
            As in `diagnostic_accuracy.estimates.select`; a list also gives the order, `...` leaves a column open.
            Give `reference=None` for models and the reference model's name for differences.
        """
        plain = {"run": None, "unit": "film", "prevalence": None, "group": None, "reference_group": None}
        if identity.get("section") not in ("learning",):
            plain["fraction"] = self.fraction  # type: ignore[assignment]
        chosen = {k: v for k, v in {**plain, **identity}.items() if v is not ...}
        fraction = chosen.pop("fraction", ...)
        found = select(self.results, **chosen)
        for name, order in reversed([(n, v) for n, v in chosen.items() if isinstance(v, list)]):
            found = found.sort_values(name, key=lambda column, o=order: column.map(o.index), kind="stable")
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
    def point(self) -> dict[str, str]:
        """Operating point of the answer, as `point` and `threshold_from`; empty where the study has none.

        Of thresholds locked on validation films where there are any, else of given ones, else of those found on the
        external films: the high-sensitivity point if it is among them, else the first.
        """
        points = self.analysis.get("points") or []
        for source in ("validation", "given", "external"):
            if names := [p["name"] for p in points if p["threshold_from"] == source]:
                name = "high_sensitivity" if "high_sensitivity" in names else names[0]
                return {"point": name, "threshold_from": source}
        return {}

    @property
    def fixed_sources(self) -> list[str]:
        """Where thresholds come from that saw no external film: validation films, given beforehand."""
        there = {p["threshold_from"] for p in self.analysis.get("points") or []}
        return [source for source in ("validation", "given") if source in there]

    @property
    def target(self) -> float | None:
        """The rate that the operating point of the answer aims at."""
        named = tuple(self.point.values())
        points = self.analysis.get("points") or []
        targets = [p["target"] for p in points if (p["name"], p["threshold_from"]) == named]
        return float(targets[0]) if targets and targets[0] is not None else None

    @property
    def margin(self) -> float:
        """The smallest difference in AUC that the study called relevant."""
        return float(self.settings["auc_margin"])

    # --- files ---

    def find(self, file: str) -> Path | None:
        """Path of a file, named as below the outputs folder; None where there is none."""
        return _find(self.places, file)

    def table(self, name: str) -> pd.DataFrame:
        """A table of outputs/tables; empty where there is none."""
        return self.csv(f"tables/{name}.csv")

    def csv(self, file: str) -> pd.DataFrame:
        """A CSV below the outputs folder; identifiers, runs and groups are text. An empty run is the mean over runs."""
        if file not in self._read:
            path = self.find(file)
            there = path is not None and path.stat().st_size > 1
            table = pd.read_csv(path, dtype=TEXTS) if there else pd.DataFrame()
            self._read[file] = table.fillna({"run": ""}) if "run" in table else table
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
        Of notebook 06; anything with `study`, `out`, `outputs` and `data` will do.

    Raises
    ------
    ValueError
        statistics.csv or analysis.json is missing.
    """
    places = tuple(dict.fromkeys((Path(step.out), Path(step.outputs))))
    for name in ("statistics.csv", "analysis.json"):
        if _find(places, name) is None:
            raise ValueError(f"{name} is missing: the page shows what 04_statistics wrote. Run ./run_all.sh first")
    return Outputs(
        study=step.study,
        places=places,
        data=Path(step.data),
        results=saved(read_results(str(_find(places, "statistics.csv")))),
        analysis=_json(places, "analysis.json"),
        figures=_json(places, "figures/index.json"),
        integrity=_json(places, "cohorts/integrity.json"),
        audit=_json(places, "audit.json"),
        provenance=_json(places, "provenance.json"),
    )


def _find(places: tuple[Path, ...], file: str) -> Path | None:
    return next((place / file for place in places if (place / file).exists()), None)


def _json(places: tuple[Path, ...], file: str) -> dict[str, Any]:
    path = _find(places, file)
    return json.loads(path.read_text(encoding="utf-8")) if path else {}
