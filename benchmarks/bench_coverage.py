"""Do the intervals cover what they claim? Simulated cohorts whose true values are known.

Designs: 268 malignant and 475 normal films (the study's), 30 and 60, and patients with one to three films. Proportions
and McNemar's tests are enumerated exactly, not simulated. Each row says how many cohorts it rests on (fewer where one
cohort is expensive) and the Monte Carlo error; anything under 93 % is flagged.

Cohort c is drawn from a generator of its own, a function of the row's seed and c alone: coverage does not depend on the
number of processes (one for each processor that this one may use).

The plot results/coverage.png is made from the rows.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
from scipy import stats

from _measure import RESULTS, Row, row, save
from osteotl.files import write_text
from osteotl.statistics import coverage
from osteotl.statistics.bootstrap import joint_bootstrap, weighted_statistics
from osteotl.statistics.coverage import FLAG_UNDER
from osteotl.statistics.delong import auc_covariance, logit_interval, wald_interval
from osteotl.statistics.paired import PairedTable, mcnemar
from osteotl.statistics.rates import proportion_interval
from osteotl.statistics.replicate_values import auc_replicates, crossed_bootstrap, rate_replicates
from osteotl.statistics.replicates import arm_mean, compare_replicates

NOMINAL = 0.95
KNOWN = Path(coverage.__file__).with_name("coverage.csv")
AUC = {"scratch": 0.95, "transfer": 0.96}
SHARED = 0.6  # correlation of the two arms' scores on a film


def coverage_row(name: str, covered: float, cohorts: int | None, seconds: float, n: int, note: str) -> Row:
    """A row with the coverage, its Monte Carlo error (None: exact), and a flag under 93 %."""
    error = None if cohorts is None else float(np.sqrt(max(covered * (1 - covered), 1e-9) / cohorts))
    shown = f"{covered:.3f}" + ("" if error is None else f" (Monte Carlo error {error:.3f}, {cohorts:,} cohorts)")
    text = f"{shown}; {note}" + ("; UNDER 93 %" if covered < FLAG_UNDER else "")
    extra = {"coverage": round(covered, 5), "cohorts": cohorts, "monte_carlo_error": error, "nominal": NOMINAL}
    return row(name, seconds, n=n, note=text) | extra


Hits = Counter[str]
BLOCK = 100  # cohorts handed to a process at once


def pooled(pool: Executor, count: Callable[[range], Hits], cohorts: int) -> Hits:
    """Hits summed over all cohorts, blocks of them side by side."""
    edges = [*range(0, cohorts, BLOCK), cohorts]
    total: Hits = Counter()
    for hits in pool.map(count, [range(*block) for block in pairwise(edges)]):
        total.update(hits)
    return total


# --- AUC --------------------------------------------------------------------------------------------------------------


def scores_of(label: np.ndarray, rng: np.random.Generator, patient: np.ndarray | None = None) -> dict[str, np.ndarray]:
    """Two binormal arms of known AUC; films of a patient share half of the variance."""

    def noise() -> np.ndarray:
        if patient is None:
            return rng.normal(size=label.size)
        return (rng.normal(size=patient.max() + 1)[patient] + rng.normal(size=label.size)) / np.sqrt(2)

    common = noise()
    gap = {arm: np.sqrt(2) * stats.norm.ppf(auc) for arm, auc in AUC.items()}
    return {arm: np.sqrt(SHARED) * common + np.sqrt(1 - SHARED) * noise() + gap[arm] * label for arm in AUC}


def designs(rng: np.random.Generator, design: str) -> tuple[np.ndarray, np.ndarray | None]:
    """Labels and patients of one cohort of a design."""
    if design != "clustered":
        malignant, normal = (int(part) for part in design.split("/"))
        return np.r_[np.ones(malignant, int), np.zeros(normal, int)], None
    films = rng.integers(1, 4, 370)  # 130 malignant and 240 normal patients, about 740 films
    patient = np.repeat(np.arange(films.size), films)
    return (patient < 130).astype(int), patient


def films_of(design: str) -> int:
    """Films of a cohort (the first one's, where their number varies)."""
    return designs(np.random.default_rng(0), design)[0].size


def auc_hits(design: str, seed: int, cohorts: range) -> Hits:
    """How many intervals of one AUC, Wald and logit, and of a paired difference hold the truth."""
    hits: Hits = Counter(dict.fromkeys(("auc_wald", "auc_logit", "auc_difference"), 0))
    for cohort in cohorts:
        rng = np.random.default_rng([seed, cohort])
        label, patient = designs(rng, design)
        fit = auc_covariance(label, scores_of(label, rng, patient), patient)
        area, variance = float(fit.auc[0]), float(fit.covariance[0, 0])
        se = np.sqrt(variance)
        intervals = {"wald": wald_interval(area, se), "logit": logit_interval(area, se) if 0 < area < 1 else (1.0, 1.0)}
        for kind, (low, high) in intervals.items():
            hits[f"auc_{kind}"] += low <= AUC["scratch"] <= high
        low, high = wald_interval(float(fit.auc[1] - fit.auc[0]), np.sqrt(fit.variance_of([-1.0, 1.0])))
        hits["auc_difference"] += low <= AUC["transfer"] - AUC["scratch"] <= high
    return hits


def auc_coverage(pool: Executor, design: str, cohorts: int, seed: int = 1) -> list[Row]:
    """DeLong (or Obuchowski's clustered) intervals."""
    start = time.perf_counter()
    hits = pooled(pool, partial(auc_hits, design, seed), cohorts)
    seconds = (time.perf_counter() - start) / len(hits)
    note = ("Obuchowski 1997" if design == "clustered" else "DeLong") + ", true AUC 0.95 and 0.96"
    return [
        coverage_row(f"{name}_{design}", count / cohorts, cohorts, seconds, films_of(design), note)
        for name, count in hits.items()
    ]


# --- the joint bootstrap ----------------------------------------------------------------------------------------------

POINTS = {"cut": dict.fromkeys(AUC, 1.5)}
MADE = " made"  # marks, among hits, how many intervals there were
RULES = {"reselected": ("high_sensitivity", 0.90)}
BENEFIT_AT = (0.02, 0.05, 0.1, 0.2, 0.5)
WATCHED = (
    "auc",
    "average_precision",
    "max_f1",
    "brier",
    "calibration_intercept",
    "calibration_slope",
    "cut/sensitivity",
    "cut/specificity",
    "cut/ppv",
    "cut/npv",
    "cut/accuracy",
    "cut/f1",
    "cut/lr_positive",
    "cut/lr_negative",
    "reselected/specificity",  # its sensitivity is the target itself: there is nothing to cover
    "reselected/ppv",
    *(f"net_benefit/{t:g}" for t in BENEFIT_AT),
)


def risks_of(scores: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Miscalibrated probabilities that rise with the scores."""
    return {arm: 1 / (1 + np.exp(-(1.4 * s - 2.2))) for arm, s in scores.items()}


def bootstrap_hits(design: str, truth: dict[str, float], replicates: int, seed: int, cohorts: range) -> Hits:
    """How many intervals of the joint bootstrap were made and hold the truth, for one arm and for the difference."""
    hits: Hits = Counter(dict.fromkeys([name + kind for name in truth for kind in ("", MADE)], 0))
    for cohort in cohorts:
        rng = np.random.default_rng([seed, cohort])
        label, patient = designs(rng, design)
        scores = scores_of(label, rng, patient)
        result = joint_bootstrap(
            label,
            scores,
            risks=risks_of(scores),
            patients=patient,
            thresholds=POINTS,
            reselect=RULES,
            net_benefit_at=BENEFIT_AT,
            replicates=replicates,
            seed=cohort,
            threads=1,
        )
        for name in WATCHED:
            for kind, estimates in (("", result.estimates["scratch"]), ("_difference", result.differences["transfer"])):
                low, high = estimates[name].interval
                if low is not None and high is not None:
                    hits[name + kind] += low <= truth[name + kind] <= high
                    hits[f"{name + kind}{MADE}"] += 1
    return hits


def bootstrap_coverage(pool: Executor, design: str, cohorts: int, replicates: int = 2_000, seed: int = 2) -> list[Row]:
    """Intervals of the joint bootstrap, for one arm and for the difference."""
    start = time.perf_counter()
    truth = true_values(design)
    hits = pooled(pool, partial(bootstrap_hits, design, truth, replicates, seed), cohorts)
    seconds = (time.perf_counter() - start) / len(truth)
    notes = dict.fromkeys(truth, f"percentile bootstrap, B = {replicates:,}")
    notes["max_f1"] = f"bootstrap that allows for the optimism of a maximum, B = {replicates:,}"
    for name in truth:
        if name.startswith("net_benefit"):
            notes[name] = f"MOVER from Wilson limits of both classes, variances by bootstrap, B = {replicates:,}"
        if (made := hits[f"{name}{MADE}"]) < cohorts:
            notes[name] += f", not estimable in {1 - made / cohorts:.1%} of cohorts"
    return [
        coverage_row(
            f"bootstrap_{name}_{design}",
            hits[name] / max(hits[f"{name}{MADE}"], 1),
            hits[f"{name}{MADE}"],
            seconds,
            films_of(design),
            notes[name],
        )
        for name in truth
    ]


def true_values(design: str, films: int = 2_000_000) -> dict[str, float]:
    """Values in a cohort so large that its own error does not matter, at the design's prevalence."""
    rng = np.random.default_rng(99)
    label, _ = designs(rng, design)
    many = (np.arange(films) < round(films * label.mean())).astype(int)
    scores = scores_of(many, rng)
    whole = weighted_statistics(
        many,
        scores,
        np.ones(films),
        risks=risks_of(scores),
        thresholds=POINTS,
        reselect=RULES,
        net_benefit_at=BENEFIT_AT,
    )
    value = {name: [float(whole.of(arm, name)[0]) for arm in ("scratch", "transfer")] for name in WATCHED}
    return {name: one for name, (one, _) in value.items()} | {
        f"{name}_difference": other - one for name, (one, other) in value.items()
    }


# --- proportions and McNemar, exactly ---------------------------------------------------------------------------------


def proportion_coverage(n: int) -> list[Row]:
    """Coverage over p = 0.005 .. 0.995, by summing the binomial distribution."""
    grid = np.arange(5, 1000, 5) / 1000
    counts = np.arange(n + 1)
    probability = stats.binom.pmf(counts[:, None], n, grid)
    rows = []
    for method in ("wilson", "clopper_pearson", "midp"):
        start = time.perf_counter()
        limits = np.array([proportion_interval(int(x), n, NOMINAL, method) for x in counts])
        inside = (limits[:, :1] <= grid) & (grid <= limits[:, 1:])
        covered = (probability * inside).sum(axis=0)
        note = f"exact, mean over 199 values of p; lowest {covered.min():.3f} at p = {grid[covered.argmin()]:g}"
        seconds = time.perf_counter() - start
        extra = {"lowest": round(float(covered.min()), 5)}
        rows.append(coverage_row(f"{method}_n{n}", float(covered.mean()), None, seconds, n, note) | extra)
    return rows


def mcnemar_size(pairs: int) -> list[Row]:
    """Largest probability of p <= 0.05 under equality, over shares of discordant pairs, by enumeration."""
    start = time.perf_counter()
    shares = np.array([0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5])
    rejects = {name: np.zeros(pairs + 1) for name in ("exact", "midp", "corrected", "uncorrected")}
    for total in range(1, pairs + 1):
        chance = stats.binom.pmf(np.arange(total + 1), total, 0.5)
        likely = np.flatnonzero(chance > 1e-12)
        for b in likely[: likely.size // 2 + 1]:  # symmetric: b and total - b reject alike
            test = mcnemar(PairedTable(0, int(b), int(total - b), pairs - total)).to_dict()
            weight = chance[b] * (1 if 2 * b == total else 2)
            for name, p in test.items():
                rejects[name][total] += weight * (p is not None and p <= 0.05)
    weights = stats.binom.pmf(np.arange(pairs + 1)[:, None], pairs, shares)
    seconds = (time.perf_counter() - start) / 4
    rows = []
    for name, rejected in rejects.items():
        size = rejected @ weights
        note = f"size {size.max():.4f} at most (nominal 0.05), at {shares[size.argmax()]:g} of pairs discordant; exact"
        rows.append(row(f"mcnemar_{name}_{pairs}", seconds, n=pairs, note=note) | {"size": round(float(size.max()), 5)})
    return rows


# --- seeds x patients -------------------------------------------------------------------------------------------------


def runs_of(seeds: int, rng: np.random.Generator, malignant: int, normal: int) -> tuple[np.ndarray, dict]:
    """Two arms of equal expected AUC; seeds differ in how well they separate, and on which films."""
    label = np.r_[np.ones(malignant, int), np.zeros(normal, int)]
    film = rng.normal(size=label.size)
    runs = {}
    for arm in ("reference", "arm"):
        taste = rng.normal(size=label.size)
        runs[arm] = {
            seed: film + 0.5 * taste + 0.6 * rng.normal(size=label.size) + (2.4 + 0.35 * rng.normal()) * label
            for seed in range(seeds)
        }
    return label, runs


def reader_hits(seeds: int, seed: int, cohorts: range) -> Hits:
    """Obuchowski and Rockette's intervals that hold 0."""
    hits: Hits = Counter(hits=0)
    for cohort in cohorts:
        label, runs = runs_of(seeds, np.random.default_rng([seed, seeds, cohort]), 60, 100)
        low, high = compare_replicates(auc_replicates(label, runs), "arm", "reference").difference.interval
        hits["hits"] += low is not None and high is not None and low <= 0 <= high
    return hits


def crossed_hits(seeds: int, seed: int, draws: int, cohorts: range) -> Hits:
    """Intervals of the seeds x patients bootstrap that hold 0."""
    hits: Hits = Counter(hits=0)
    for cohort in cohorts:
        label, runs = runs_of(seeds, np.random.default_rng([seed, seeds, cohort]), 60, 100)
        low, high = crossed_bootstrap(label, runs, "arm", "reference", draws=draws, seed=cohort).interval
        hits["hits"] += low is not None and high is not None and low <= 0 <= high
    return hits


def seeds_coverage(
    pool: Executor, seeds: int, cohorts: int, crossed: int, draws: int = 500, seed: int = 3
) -> list[Row]:
    """Coverage of no difference between two arms that are equal in expectation."""
    plans = (
        ("obuchowski_rockette", partial(reader_hits, seeds, seed), cohorts, "the headline"),
        ("crossed_bootstrap", partial(crossed_hits, seeds, seed, draws), crossed, f"{draws} draws, not the headline"),
    )
    rows = []
    for name, count, number, note in plans:
        start = time.perf_counter()
        covered = pooled(pool, count, number)["hits"] / number
        seconds = time.perf_counter() - start
        rows.append(
            coverage_row(
                f"{name}_{seeds}_seeds",
                covered,
                number,
                seconds,
                160,
                f"{seeds} seeds, 60 malignant and 100 normal films: {note}",
            )
        )
    return rows


MEANS = ("auc", "sensitivity", "specificity")
CUT = 0.0  # of the scores of `runs_of`: sensitivity .97, specificity .50


def mean_hits(design: str, seeds: int, seed: int, cohorts: range) -> Hits:
    """Intervals of one arm's means over seeds that hold what a new run is expected to have."""
    malignant, normal = (int(part) for part in design.split("/"))
    noise, shift = 1 + 0.5**2 + 0.6**2, 0.35**2  # variances of `runs_of`
    truth = {
        "auc": stats.norm.cdf(2.4 / np.sqrt(2 * noise + shift)),
        "sensitivity": stats.norm.cdf((2.4 - CUT) / np.sqrt(noise + shift)),
        "specificity": stats.norm.cdf(CUT / np.sqrt(noise)),
    }
    hits: Hits = Counter({name + kind: 0 for name in MEANS for kind in ("", "_wald")})
    for cohort in cohorts:
        label, runs = runs_of(seeds, np.random.default_rng([seed, seeds, cohort]), malignant, normal)
        scores = {"arm": runs["arm"]}
        calls = {"arm": {one: score >= CUT for one, score in runs["arm"].items()}}
        for name in MEANS:
            data = auc_replicates(label, scores) if name == "auc" else rate_replicates(label, calls, name)
            for kind, one in (("", data), ("_wald", replace(data, denominators=None))):
                scale = "wald" if kind else "logit"
                low, high = arm_mean(one, "arm", scale=scale).interval
                hits[name + kind] += low is not None and high is not None and low <= truth[name] <= high
    return hits


def means_coverage(pool: Executor, design: str, seeds: int, cohorts: int, seed: int = 4) -> list[Row]:
    """Means of one arm over seeds: AUC on the logit, rates by Wilson at the effective number of patients."""
    start = time.perf_counter()
    hits = pooled(pool, partial(mean_hits, design, seeds, seed), cohorts)
    seconds = (time.perf_counter() - start) / len(hits)
    return [
        coverage_row(
            f"mean_{name}_{seeds}_seeds_{design}", hits[name] / cohorts, cohorts, seconds, films_of(design),
            f"mean of one arm over {seeds} seeds, {_how(name)}",
        )
        for name in hits
    ]  # fmt: skip


def _how(name: str) -> str:
    if name.endswith("_wald"):
        return "symmetric, not shown in reports"
    return "logit" if name == "auc" else "Wilson at the effective number of patients"


# --- all of it --------------------------------------------------------------------------------------------------------


def rows_of(scale: float, pool: Executor) -> Iterator[Row]:
    """Every row, with `scale` times the full number of cohorts."""
    many, some, few = (max(20, int(count * scale)) for count in (10_000, 4_000, 2_000))
    for design in ("268/475", "30/60", "clustered"):
        yield from auc_coverage(pool, design, many)
    for n in (30, 60, 268, 475):
        yield from proportion_coverage(n)
    for pairs in (30, 60, 268):
        yield from mcnemar_size(pairs)
    for design, cohorts in (("268/475", many), ("30/60", many), ("clustered", some)):
        yield from bootstrap_coverage(pool, design, cohorts)
    for seeds in (2, 3, 5, 10):
        yield from seeds_coverage(pool, seeds, many, few)
    for design in ("268/475", "30/60"):
        for seeds in (2, 3, 5):
            yield from means_coverage(pool, design, seeds, some)


def plot(rows: list[Row]) -> None:
    """Coverage of every row with its Monte Carlo error, as results/coverage.png."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    shown = [one for one in rows if "coverage" in one][::-1]
    figure, axes = plt.subplots(figsize=(8, 0.17 * len(shown) + 1.2), layout="constrained")
    for place, one in enumerate(shown):
        error = 1.96 * (one["monte_carlo_error"] or 0)
        colour = "#b3261e" if one["coverage"] < FLAG_UNDER else "#1f5a94"
        axes.errorbar(one["coverage"], place, xerr=error, fmt="o", markersize=3, color=colour, linewidth=1)
    axes.axvspan(0.94, 0.96, color="0.9", zorder=0)
    axes.axvline(NOMINAL, color="0.4", linewidth=0.8)
    axes.set_yticks(range(len(shown)), [one["name"] for one in shown], fontsize=6)
    axes.set_ylim(-1, len(shown))
    axes.set_xlabel(
        "Coverage of nominal 95 % intervals\n(red: under 93 %; band: 94-96 %; bars: Monte Carlo)", fontsize=8
    )
    figure.savefig(RESULTS / "coverage.png", dpi=150, metadata={"Software": None})
    plt.close(figure)


def main(scale: float = 1.0) -> list[Row]:
    """Run everything, save rows and plot."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # the processes inherit it: one thread each
    processes = len(os.sched_getaffinity(0))
    with ProcessPoolExecutor(processes, multiprocessing.get_context("spawn")) as pool:
        rows = save("coverage", list(rows_of(scale, pool)))
    plot(rows)
    save_known(rows)
    return rows


def save_known(rows: list[Row]) -> None:
    """What marks intervals in a report: coverages of the bootstrap and of training runs, beside the library."""
    kept = [one for one in rows if one["name"].startswith(("bootstrap_", "obuchowski_", "crossed_", "mean_"))]
    lines = ["name,coverage", *(f"{one['name']},{one['coverage']:g}" for one in kept)]
    write_text(KNOWN, "\n".join(lines) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0, help="share of the full number of cohorts")
    main(parser.parse_args().scale)
