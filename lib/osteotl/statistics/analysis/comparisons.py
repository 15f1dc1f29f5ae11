"""What is said of one arm against the reference."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from osteotl.statistics.analysis.arms import HEADLINE_RATES
from osteotl.statistics.analysis.details import curve_shape, pair_details
from osteotl.statistics.analysis.lesions import compare_localisation
from osteotl.statistics.analysis.points import Point
from osteotl.statistics.analysis.prepare import RESELECTED, Prepared
from osteotl.statistics.delong import compare_auc
from osteotl.statistics.estimate import Estimate
from osteotl.statistics.locked_points import compare_locked_points
from osteotl.statistics.margins import MarginTest, margin_test
from osteotl.statistics.multiplicity import adjust_family
from osteotl.statistics.paired import mcnemar, paired_calls, paired_difference
from osteotl.statistics.paired_clustered import clustered_difference, clustered_mcnemar
from osteotl.statistics.paired_predictive import compare_predictive_values, predictive_difference
from osteotl.statistics.relearning import relearnt_difference
from osteotl.statistics.replicate_values import crossed_bootstrap
from osteotl.statistics.replicates import ReplicateComparison, compare_replicates

Numbers = dict[str, Any]
MOST_WEIGHTS = 20_000_000  # patients times draws of the seeds x patients bootstrap


def compare(prepared: Prepared, arm: str) -> Numbers:
    """The block `comparisons.ARM` of statistics.json."""
    asked = prepared.settings
    headline = compare_replicates(prepared.auc, arm, asked.reference, asked.confidence)
    points = {point.key: compare_at(prepared, arm, point) for point in prepared.points}
    return {
        "auc_difference": headline.difference.to_dict(),
        "auc_difference_fixed_seeds": headline.fixed_seeds.to_dict(),
        "auc_difference_fixed_films": headline.fixed_films.to_dict(),
        "verdict": verdict(prepared, arm, headline),
        "seeds_by_patients": seeds_by_patients(prepared, arm).to_dict(),
        "average_precision_difference": prepared.bootstrapped(arm, "average_precision", asked.reference).to_dict(),
        "max_f1_difference": prepared.bootstrapped(arm, "max_f1", asked.reference).to_dict(),
        "patient_level": patient_level(prepared, arm),
        "localisation": compare_localisation(prepared, arm),
        "operating_points": points,
        "per_seed": per_seed(prepared, arm),
        "family": family(prepared, points),
    } | _brier(prepared, arm)


def _brier(prepared: Prepared, arm: str) -> Numbers:
    if prepared.risk is None:
        return {}
    return {"brier_difference": prepared.bootstrapped(arm, "brier", prepared.settings.reference).to_dict()}


# --- the primary outcome ----------------------------------------------------------------------------------------------


def verdict(prepared: Prepared, arm: str, headline: ReplicateComparison) -> Numbers:
    """The difference in AUC judged against the margin that was declared beforehand."""
    asked = prepared.settings
    difference = headline.difference
    names = [asked.arms[name]["label"] for name in (arm, asked.reference)]
    if difference.estimate is None or difference.lower is None or headline.se is None:
        reason = difference.not_estimable or "it has no interval"
        sentence = f"The difference in AUC between {names[0]} and {names[1]} cannot be judged: {reason}."
        return {"word": "not estimable", "also": None, "margin": asked.auc_margin, "sentence": sentence}
    found = margin_test(difference.estimate, headline.se, asked.auc_margin, asked.confidence, difference.df)
    return {
        "word": found.word,
        "also": found.also or _why_inconclusive(found),
        "margin": asked.auc_margin,
        "margin_reason": asked.auc_margin_reason,
        "smallest_margin": found.smallest_equivalence_margin,
        "smallest_noninferiority_margin": found.smallest_margin,
        "noninferiority_p": found.p_noninferiority,
        "tost_p": found.p_equivalence,
        "equivalence_interval": list(found.equivalence_interval),
        "sentence": sentence_of(found, *names),
        "flag": headline.flag,
    }


def _why_inconclusive(found: MarginTest) -> str | None:
    """An interval beyond both ends of the margin rules nothing out; one beyond the lower end shows no benefit."""
    if found.word != "inconclusive":
        return None
    low, high = found.interval
    return "too few films to tell" if low < -found.margin and high > found.margin else "no difference shown"


def sentence_of(found: MarginTest, arm: str, reference: str) -> str:
    """The verdict as a clinician would say it."""
    low, high = found.interval
    number = f"difference in AUC {found.difference:+.3f}, {low:+.3f} to {high:+.3f}; margin {found.margin:g}"
    said = {
        "superior": f"The detector {arm} found malignant films better than the one {reference} ({number}).",
        "inferior": f"The detector {arm} found malignant films worse than the one {reference} ({number}).",
        "equivalent": f"The detectors {arm} and {reference} were equivalent within the declared margin ({number}).",
        "non-inferior": f"The detector {arm} was not worse than the one {reference} by the declared margin or more; "
        f"that it is better was not shown ({number}).",
        "inconclusive": f"Between the detectors {arm} and {reference} no difference was shown, and none can be ruled "
        f"out ({number}).",
    }[found.word]
    if found.also == "equivalent":
        said += " The difference is smaller than the margin: different, yet equivalent."
    if _why_inconclusive(found) == "too few films to tell":
        said += " The interval reaches beyond both ends of the margin: too few films or training runs to tell."
    return said


def seeds_by_patients(prepared: Prepared, arm: str) -> Estimate:
    """The crossed bootstrap: a sensitivity analysis that covers too little with few seeds, never the headline."""
    films, asked, method = prepared.external, prepared.settings, "seeds x patients bootstrap"
    if len(prepared.seeds) == 1:
        return Estimate.missing("one training run an arm: there are no seeds to resample", method, films.films.size)
    draws = min(asked.bootstrap, MOST_WEIGHTS // films.units)
    if draws < 100:
        return Estimate.missing("too many films to hold the draws in memory", method, films.films.size)
    scores = prepared.runs(films.score)
    return crossed_bootstrap(
        films.label, scores, arm, asked.reference, "auc", films.clusters, draws, asked.bootstrap_seed, asked.confidence
    )


def per_seed(prepared: Prepared, arm: str) -> Numbers:
    """The published kind of analysis, run by run: paired DeLong (Obuchowski where patients repeat)."""
    films, asked = prepared.external, prepared.settings
    block: Numbers = {}
    for seed in prepared.seeds:
        pair = films.score[arm, seed], films.score[asked.reference, seed]
        found = compare_auc(films.label, *pair, films.clusters, asked.confidence)
        boot = prepared.bootstrap[seed].differences[arm]
        block[str(seed)] = {
            "auc_difference": found.difference.to_dict(),
            "auc_correlation": found.correlation,
            "curve_shape": curve_shape(films, (arm, seed), (asked.reference, seed), asked.bootstrap_seed),
            "average_precision_difference": boot["average_precision"].to_dict(),
            "max_f1_difference": boot["max_f1"].to_dict(),
        }
    return block


def patient_level(prepared: Prepared, arm: str) -> Numbers:
    """The headline with patients as units; empty where no patient repeats."""
    patients, asked = prepared.by_patients, prepared.settings
    if patients is None:
        return {}
    films = patients.external
    headline = compare_replicates(patients.auc, arm, asked.reference, asked.confidence)
    block: Numbers = {"auc_difference": headline.difference.to_dict()}
    for point in patients.points:
        found = compare_locked_points(films.label, patients.calls(point), arm, asked.reference, None, asked.confidence)
        block[point.key] = {name: estimate.to_dict() for name, estimate in found.estimates.items()}
    return block


# --- operating points -------------------------------------------------------------------------------------------------


def compare_at(prepared: Prepared, arm: str, point: Point) -> Numbers:
    """Differences at one point: means over seeds with the joint region, and the paired tables of every seed."""
    films, asked = prepared.external, prepared.settings
    calls = prepared.calls(point)
    locked = compare_locked_points(films.label, calls, arm, asked.reference, films.clusters, asked.confidence)
    block: Numbers = {name: estimate.to_dict() for name, estimate in locked.estimates.items()}
    for name in ("ppv", "npv"):
        values = prepared.rates(point, name)
        block[name] = compare_replicates(values, arm, asked.reference, asked.confidence).difference.to_dict()
    block["joint_region"] = None if locked.region is None else locked.region.tolist()
    block["per_seed"] = {str(seed): _paired(prepared, arm, point, seed) for seed in prepared.seeds}
    return block


def _paired(prepared: Prepared, arm: str, point: Point, seed: int) -> Numbers:
    """The 2x2 table of pairs of one seed with its tests and intervals."""
    films, asked = prepared.external, prepared.settings
    runs = [(arm, seed), (asked.reference, seed)]
    called = [films.score[run] >= point.threshold[run] for run in runs]
    pairs = paired_calls(films.label, *called)
    tables = {"sensitivity": pairs.sensitivity, "specificity": pairs.specificity}
    classes = {"sensitivity": films.label, "specificity": ~films.label}
    block: Numbers = {
        "table": {"malignant": asdict(pairs.sensitivity), "normal": asdict(pairs.specificity)},
        "mcnemar": {name: mcnemar(table).to_dict() for name, table in tables.items()},
        "intervals": {
            name: {
                m: paired_difference(table, asked.confidence, m).to_dict() for m in ("newcombe", "tango", "agresti_min")
            }
            for name, table in tables.items()
        },
    }
    if films.clustered:
        block["clustered"] = {}
        for name, members in classes.items():
            one, other = ((calls == films.label)[members] for calls in called)
            patients = films.codes[members]
            gap = clustered_difference(one, other, patients, asked.confidence).to_dict()
            block["clustered"][name] = {"difference": gap, "durkalski_p": clustered_mcnemar(one, other, patients).p}
    for name in ("ppv", "npv"):
        difference = predictive_difference(films.label, called[0], called[1], name, films.clusters, asked.confidence)
        block[f"{name}_difference"] = difference.to_dict()
        block[f"{name}_p"] = {m: compare_predictive_values(pairs, name, m).p for m in ("kosinski", "leisenring")}
    return block | pair_details(pairs, asked.confidence) | _anew(prepared, arm, point, seed)


def _anew(prepared: Prepared, arm: str, point: Point, seed: int) -> Numbers:
    """Differences with the threshold chosen anew in every draw, on the films that it was learnt on."""
    asked = prepared.settings
    if point.source == "external":
        boot = prepared.bootstrap[seed].differences[arm]
        return {f"{name}_relearnt": boot[f"{point.key}{RESELECTED}/{name}"].to_dict() for name in HEADLINE_RATES}
    pair = [prepared.relearnt[point.key, run] for run in ((arm, seed), (asked.reference, seed))]
    return {
        f"{name}_relearnt": relearnt_difference(pair[0], pair[1], name, asked.confidence).to_dict()
        for name in HEADLINE_RATES
    }


def family(prepared: Prepared, points: Numbers) -> list[Numbers]:
    """The declared secondary family at the locked points (else at those of the external set), adjusted.

    Every declared test counts, also one that could not be made.
    """
    sources = [source for source in ("validation", "external") if any(key.endswith(f"@{source}") for key in points)]
    if not sources:
        return []
    tests = {}
    for name in prepared.settings.family:
        measure, _, point = name.partition("@")
        absent = Estimate.missing("no such operating point was set", "declared test", prepared.external.films.size)
        tests[name] = points.get(f"{point}@{sources[0]}", {}).get(measure) or absent.to_dict()
    adjusted = adjust_family({name: found.get("p") for name, found in tests.items()})
    return [
        {"name": name, "threshold_from": sources[0], "difference": found, **adjusted[name]}
        for name, found in tests.items()
    ]


def adjust_over_all(comparisons: dict[str, Numbers]) -> None:
    """Give every declared test `holm_all`: Holm over the declared families of all comparisons taken together."""
    tests = {(arm, test["name"]): test for arm, block in comparisons.items() for test in block["family"]}
    # keyed by number: names of arms are free text
    adjusted = adjust_family({str(i): test["p"] for i, test in enumerate(tests.values())})
    for i, test in enumerate(tests.values()):
        test["holm_all"] = adjusted[str(i)]["holm"]
