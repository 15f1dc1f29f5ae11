"""Does the detector look at the tumour? Films scored again without it, with nothing else, and mirrored; a site probe.

Every alarm has a rule that is fixed here and printed beside its finding.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import rankdata, spearmanr

from osteotl.cohorts.baseline import source_coincidence, trivial_baseline
from osteotl.detection import hardware
from osteotl.detection.errors import Replicate
from osteotl.detection.films import Films, external_cohort, read_cohort
from osteotl.detection.masking import masked_films, mirrored_films, only_boxes, sham_boxes
from osteotl.detection.occlusion import occlusion_maps, write_maps
from osteotl.detection.probe import class_probe, film_features, site_probe
from osteotl.detection.scoring import cohort_films, open_detector, processes, score_films, side_by_side
from osteotl.files import plural, write_csv, write_json
from osteotl.study import Study

RESAMPLES = 1000
MASKED_LIMIT = 0.60  # AUC without the lesion whose lower confidence limit may not lie above
FLIP_LOSS = 0.05  # loss of AUC on mirrored films that is too much
ALIKE = 1e-6  # scores that differ by less are alike
COINCIDENCE_LIMIT = 0.50  # Cramer's V between site and class from which they cannot be told apart


@dataclass(frozen=True)
class Alarm:
    """One rule, whether it was broken, and by how much.

    Attributes
    ----------
    alarm : str
        lesion_masked, class_without_lesion, flipped (each with its arm), source_and_class, or learnt_nothing.
    raised : bool
    rule, finding : str
        For the reader; the finding holds the numbers.
    """

    alarm: str
    raised: bool
    rule: str
    finding: str


def audit_study(
    study: Study, out: str | Path, data_dir: str | Path, workers: int | None = None, quiet: bool = False
) -> dict[str, Any]:
    """Audit the first listed seed of every arm, trained on all labels, on the external films.

    Parameters
    ----------
    study : Study
    out, data_dir : path
        Writes OUT/audit.csv, OUT/audit.json and OUT/occlusion/*.png.
    workers : int, optional
        Processes.
    quiet : bool
        No line on the terminal.

    Returns
    -------
    dict
        Content of audit.json: `auc` (arm, audit, estimate, limits), `alarms`, `site_probe`, `source_and_class`,
        `occlusion` (what `occlusion.write_maps` returns), `baseline_covariates`, `replicates`, `films`.
    """
    films = cohort_films(study, out, data_dir, "external")
    cohort_films(study, out, data_dir, "training")
    replicates = [Replicate(arm, max(study.fractions), study.seeds[0]) for arm in study.arms]
    jobs = [(study, replicate, str(out), str(data_dir)) for replicate in replicates]
    parts = side_by_side(_audit_job, jobs, processes(study, workers), "audit", quiet)
    rows = pd.concat([scores for scores, _, _ in parts], ignore_index=True)
    maps = {replicate.arm: found for replicate, (_, _, found) in zip(replicates, parts, strict=True)}
    curves = _aucs(rows, films, study)
    coincidence, coincidence_alarm = source_and_class(out)
    baseline = trivial_baseline(_training_table(out), films.table)
    content = {
        "auc": curves,
        "alarms": [asdict(alarm) for alarm in [*_alarms(curves, rows), coincidence_alarm, learnt_nothing(study, out)]],
        "site_probe": [probe for _, probe, _ in parts],
        "source_and_class": coincidence,
        "occlusion": write_maps(maps, films, Path(out) / "occlusion"),
        "baseline_covariates": list(baseline.covariates),
        "replicates": [asdict(replicate) for replicate in replicates],
        "films": {"external": len(films), "with_box": int(sum(len(boxes) > 0 for boxes in films.boxes))},
    }
    unarmed = baseline.scores[["image_id", "score"]].assign(audit="baseline")  # the rows without arm, fraction and seed
    write_csv(Path(out) / "audit.csv", pd.concat([rows, unarmed], ignore_index=True))
    write_json(Path(out) / "audit.json", content)
    return content


def audit_scores(weights: str | Path, films: Films, model: str, device: str = "cpu") -> pd.DataFrame:
    """Scores of changed films by one detector.

    Returns
    -------
    DataFrame
        image_id, audit, score; audit is as_is, lesion_masked (malignant films, and normal films painted over in a
        borrowed place), only_lesion (the same places kept, all else grey), flipped.
    """
    detector = open_detector(weights, model, device)
    borrowed = sham_boxes(films)
    changed = {
        "as_is": films,
        "lesion_masked": masked_films(films, borrowed),
        "only_lesion": only_boxes(films, borrowed),
        "flipped": mirrored_films(films),
    }
    parts = []
    for name, variant in changed.items():
        scores = score_films(detector, variant, device=device, boxes=False).scores.astype(float)
        parts.append(pd.DataFrame({"image_id": films.ids, "audit": name, "score": scores}))
    return pd.concat(parts, ignore_index=True)


def source_and_class(out: str | Path) -> tuple[dict[str, Any], Alarm]:
    """Whether site and class go together among the films to train on and to test on; needs the cohort tables only.

    Parameters
    ----------
    out : path
        The outputs folder, with cohorts/.

    Returns
    -------
    coincidence : dict
        As `cohorts.baseline.source_coincidence` gives it.
    alarm : Alarm
    """
    coincidence = source_coincidence(pd.concat([_training_table(out), external_cohort(out)]))
    worst = coincidence["worst"]
    finding = "each partition comes from one site" if worst is None else (
        f"{worst['partition']}: Cramer's V {worst['cramers_v']:.2f} between site and class ({worst['table']})"
    )  # fmt: skip
    alarm = Alarm(
        "source_and_class",
        worst is not None and worst["cramers_v"] >= COINCIDENCE_LIMIT,
        f"source and class coincide when Cramer's V between site and class reaches {COINCIDENCE_LIMIT} in a partition",
        finding,
    )
    return coincidence, alarm


def learnt_nothing(study: Study, out: str | Path) -> Alarm:
    """Whether a training run scores every external film alike: a comparison with it says nothing about its start.

    Parameters
    ----------
    study : Study
    out : path
        The outputs folder, with predictions.csv and what training wrote.
    """
    path, found, run_of = Path(out) / "predictions.csv", [], ["arm", "fraction", "seed"]
    scores = pd.read_csv(path) if path.is_file() else pd.DataFrame(columns=["cohort", *run_of, "score"])
    for (arm, fraction, seed), run in scores[scores["cohort"] == "external"].groupby(run_of, sort=False):
        if np.ptp(run["score"]) < ALIKE:
            folder = Path(out) / "finetune" / Replicate(str(arm), float(fraction), int(seed)).folder
            steps = json.loads((folder / "pairing.json").read_text(encoding="utf-8"))["steps"]
            found.append(f"{arm}, seed {seed}, fraction {fraction:g}: it has learnt nothing in {plural(steps, 'step')}")
    return Alarm(
        "learnt_nothing",
        bool(found),
        f"a training run's scores of the external films must differ by {ALIKE:g} at least",
        f"{'; '.join(found)}; train longer (detector.epochs)" if found else "the scores of every run differ",
    )


def auc(label: np.ndarray, score: np.ndarray) -> float:
    """Probability that a malignant film outscores a normal one, ties counting half (Mann-Whitney)."""
    positives = label == 1
    ranks = rankdata(score)[positives].sum()
    n, m = int(positives.sum()), int((~positives).sum())
    return float((ranks - n * (n + 1) / 2) / (n * m))


def auc_interval(
    label: np.ndarray, score: np.ndarray, patient: np.ndarray, seed: int = 0
) -> tuple[float, float, float]:
    """AUC with a percentile interval (95 %) from resampled patients.

    Returns
    -------
    estimate, lower, upper : float
    """
    random = np.random.default_rng(seed)
    _, code = np.unique(patient, return_inverse=True)
    order = np.argsort(code, kind="stable")
    bounds = np.searchsorted(code[order], np.arange(code.max() + 2))
    groups = [order[a:b] for a, b in pairwise(bounds)]
    found = []
    for _ in range(RESAMPLES):
        keep = np.concatenate([groups[k] for k in random.integers(0, len(groups), len(groups))])
        if len(set(label[keep])) == 2:
            found.append(auc(label[keep], score[keep]))
    lower, upper = np.quantile(found, [0.025, 0.975])
    return auc(label, score), float(lower), float(upper)


def _audit_job(arguments: tuple[Study, Replicate, str, str]) -> tuple[pd.DataFrame, dict[str, Any], list[dict]]:
    study, replicate, out, data_dir = arguments
    films = cohort_films(study, out, data_dir, "external")
    training = cohort_films(study, out, data_dir, "training")
    device, model = hardware.choose_device(study.detector.device), study.detector.model
    weights = Path(out) / "finetune" / replicate.folder / "weights.safetensors"
    rows = audit_scores(weights, films, model, device)
    as_is = rows.loc[rows["audit"] == "as_is", "score"].to_numpy()
    maps = occlusion_maps(open_detector(weights, model, device), films, as_is, device)
    features = {"training": film_features(weights, training, model, device)}
    features["external"] = film_features(weights, films, model, device)
    masked = film_features(weights, masked_films(films, sham_boxes(films)), model, device)
    guess = pd.DataFrame({"image_id": films.ids, "audit": "class_probe", "score": class_probe(films.table, masked)})
    rows = pd.concat([rows, guess], ignore_index=True)
    named = rows[["image_id"]].assign(arm=replicate.arm, fraction=replicate.fraction, seed=replicate.seed)
    probe = site_probe([training.table, films.table], [features["training"], features["external"]])
    return named.assign(audit=rows["audit"], score=rows["score"]), {"arm": replicate.arm, **probe}, maps


def _aucs(rows: pd.DataFrame, films: Films, study: Study) -> list[dict[str, Any]]:
    facts = films.table.set_index("image_id")
    found = []
    for (arm, audit), part in rows.groupby(["arm", "audit"], sort=False):
        part = part.set_index("image_id").loc[films.ids]
        label, patient = facts.loc[films.ids, "label"].to_numpy(), facts.loc[films.ids, "patient_id"].to_numpy()
        estimate, lower, upper = auc_interval(label, part["score"].to_numpy(), patient, study.statistics.bootstrap_seed)
        found.append({"arm": arm, "audit": audit, "auc": estimate, "lower": lower, "upper": upper})
    return found


def _alarms(curves: list[dict[str, Any]], rows: pd.DataFrame) -> list[Alarm]:
    by = {(row["arm"], row["audit"]): row for row in curves}
    arms = list(dict.fromkeys(row["arm"] for row in curves))
    alarms = []
    for arm in arms:
        masked, plain, flipped = by[arm, "lesion_masked"], by[arm, "as_is"], by[arm, "flipped"]
        alarms.append(
            Alarm(
                f"lesion_masked: {arm}",
                masked["lower"] > MASKED_LIMIT,
                f"with lesions painted over, the AUC's lower 95% limit may not exceed {MASKED_LIMIT}",
                f"AUC {masked['auc']:.3f} ({masked['lower']:.3f} to {masked['upper']:.3f}); "
                f"with lesions in sight {plain['auc']:.3f}",
            )
        )
        alarms.append(_class_alarm(arm, by[arm, "class_probe"]))
        loss = plain["auc"] - flipped["auc"]
        agreement = _agreement(rows[rows["arm"] == arm])
        alarms.append(
            Alarm(
                f"flipped: {arm}",
                loss > FLIP_LOSS,
                f"mirroring every film may not cost more than {FLIP_LOSS} of AUC",
                f"AUC {flipped['auc']:.3f} against {plain['auc']:.3f}; rank correlation of scores {agreement}",
            )
        )
    return alarms


def _class_alarm(arm: str, probe: dict[str, Any]) -> Alarm:
    return Alarm(
        f"class_without_lesion: {arm}",
        probe["lower"] > MASKED_LIMIT,
        "with lesions painted over, a linear classifier on the detector's features may not tell the classes: "
        f"its AUC's lower 95% limit may not exceed {MASKED_LIMIT}",
        f"AUC {probe['auc']:.3f} ({probe['lower']:.3f} to {probe['upper']:.3f}), cross-validated by patient",
    )


def _agreement(rows: pd.DataFrame) -> str:
    """Rank correlation of the scores of a film and of its mirror image, or that equal scores have none."""
    wide = rows.set_index(["audit", "image_id"])["score"]
    plain, flipped = wide.loc["as_is"], wide.loc["flipped"].loc[wide.loc["as_is"].index]
    if np.ptp(plain) == 0 or np.ptp(flipped) == 0:
        return "not defined (equal scores)"
    return f"{spearmanr(plain, flipped).statistic:.3f}"


def _training_table(out: str | Path) -> pd.DataFrame:
    table = read_cohort(out, "development")
    return table[table["partition"] == "training"].reset_index(drop=True)
