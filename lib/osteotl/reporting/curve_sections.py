"""How well the scores separate and what they mean: ROC, calibration, decision curves, training runs."""

from __future__ import annotations

from markupsafe import Markup

from osteotl.reporting.charts import Scale, interval_mark
from osteotl.reporting.html import folded, paragraph, section, table
from osteotl.reporting.learning_sections import learning
from osteotl.reporting.pictures import place
from osteotl.reporting.results import Results


def discrimination(results: Results) -> Markup | None:
    """ROC: the primary outcome."""
    facts = results.facts
    measures = {"auc": "AUC, films", "patient_level.auc": "AUC, patients", "average_precision": "Average precision",
                "max_f1": "Largest F1"}  # fmt: skip
    known = [m for m in measures if any(facts.get(f"arms.{arm}.{m}") is not None for arm in results.arms)]
    rows = [[results.mark(arm), *(facts.number(f"arms.{arm}.{m}", "auc") for m in known)] for arm in results.arms]
    heads = ["Arm", *(f"#{measures[m]}" for m in known)]
    numbers = table(f"Discrimination, {results.over_runs}, {facts.level} intervals", heads, rows)
    reason = facts.get("settings.auc_margin_reason")
    why = None
    if reason and facts.get("settings.auc_margin"):
        margin = facts.value("settings.auc_margin", "auc")
        why = paragraph("The margin is ", margin, ", because ", str(reason).rstrip("."), ".")
    pictures = place(results, "roc", "auc_difference")
    return section("roc", "ROC and the paired difference", pictures, numbers, _auc_differences(results), why)


def _auc_differences(results: Results) -> Markup | None:
    """Forest plot: the headline, its sensitivity analysis, and each seed alone."""
    facts, margin = results.facts, results.facts.get("settings.auc_margin")
    kinds = [
        ("auc_difference", "all seeds (the headline)"),
        ("seeds_by_patients", "seeds \N{MULTIPLICATION SIGN} patients bootstrap (sensitivity analysis)"),
        *[(f"per_seed.{seed}.auc_difference", f"seed {seed} alone") for seed in results.seeds],
    ]
    paths = [(f"comparisons.{arm}.{kind}", arm, name) for arm in results.others for kind, name in kinds]
    paths = [entry for entry in paths if facts.get(entry[0]) is not None]
    ends = [facts.get(f"{path}.{end}") for path, _, _ in paths for end in ("lower", "upper", "estimate")]
    scale = Scale.around(ends, 0.0, (-margin, margin) if margin else None)
    rows = []
    for path, arm, name in paths:
        mark = interval_mark(facts.get(path), scale, results.arms.index(arm))
        rows.append([[results.mark(arm), f": {name}"], facts.number(path, "signed3"), mark, facts.p(path)])
    if not rows:
        return None
    caption = "Difference in AUC; grey band: the margin declared beforehand"
    return table(caption, ["Comparison", "#Difference", "Interval", "#p"], rows, class_="forest-table")


def calibration(results: Results) -> Markup | None:
    """Whether a risk of 20 % means one in five."""
    facts, seed = results.facts, results.first_seed
    names = (
        ("brier_recalibrated", "Brier score (0 is perfect)", "auc"),
        ("brier_raw", "Brier score, raw", "auc"),
        ("calibration_in_the_large", "Calibration in the large (ideal 0; above: risks too low)", "signed3"),
        ("calibration_in_the_large_raw", "Calibration in the large, raw", "signed3"),
        ("calibration_slope", "Calibration slope (ideal 1; below: risks too extreme)", "fixed2"),
        ("calibration_slope_raw", "Calibration slope, raw", "fixed2"),
        ("ici", "Mean distance of predicted from observed risk (ICI)", "auc"),
        ("e90", "The same, 90th percentile (E90)", "auc"),
    )
    rows = [
        [name, *(facts.number(f"arms.{arm}.per_seed.{seed}.{key}", style) for arm in results.arms)]
        for key, name, style in names
        if any(facts.get(f"arms.{a}.per_seed.{seed}.{key}") is not None for a in results.arms)
    ]
    lead = paragraph(
        "A detector's confidence is not a probability: scores were recalibrated on the validation films first. Raw "
        "values stand beside for comparison."
        if facts.get("cohorts.validation")
        else "There were no validation films to recalibrate on: scores are shown raw and must not be read as "
        "probabilities."
    )
    numbers = (
        table(f"Calibration, seed {seed}", ["Measure", *[f"#{results.label(a)}" for a in results.arms]], rows)
        if rows
        else None
    )
    return section("calibration", "Calibration", lead, place(results, "calibration", "scores"), numbers)


def decision(results: Results) -> Markup | None:
    """Net benefit against threshold probability."""
    pictures = place(results, "decision_curve")
    if not pictures:
        return None
    if "decision_curve" not in results.figures:
        return section("decision", "Decision curves", pictures)
    low, high = (results.facts.value(f"settings.decision_range.{i}", "percent0") for i in (0, 1))
    return section(
        "decision",
        "Decision curves",
        paragraph(
            "Net benefit weighs missed tumours against false alarms at the threshold probability at which one "
            "would act; shown from ",
            low,
            " to ",
            high,
            ".",
        ),
        pictures,
    )


def seeds(results: Results) -> Markup | None:
    """Every training run, and label fractions."""
    facts = results.facts
    measures = {"auc": "AUC, films", "auc_patient": "AUC, patients", "average_precision": "Average precision"}
    runs_of = [(arm, seed, f"arms.{arm}.per_seed.{seed}") for arm in results.arms for seed in results.seeds]
    known = [m for m in measures if any(facts.get(f"{base}.{m}") is not None for *_, base in runs_of)]
    rows = [
        [[results.mark(arm), f", seed {seed}"], *(facts.number(f"{base}.{m}", "auc") for m in known)]
        for arm, seed, base in runs_of
    ]
    runs = table("Every training run", ["Run", *(f"#{measures[m]}" for m in known)], rows)
    parts = [place(results, "seeds"), runs, *learning(results)]
    return section("seeds", "Training runs and scarce labels", *parts, _variance(results))


def _variance(results: Results) -> Markup | None:
    """How much of the AUC's variance is the training run's, the patients' and both together."""
    facts, sources = results.facts, ("seed", "patient", "interaction")
    rows = [
        [results.mark(arm), *(facts.value(f"variance.{arm}.{source}", "small") for source in sources)]
        for arm in results.arms
        if facts.get(f"variance.{arm}") is not None
    ]
    if not rows:
        return None
    heads = ["Arm", "#Training runs", "#Patients", "#Runs and patients together"]
    return folded("Where the variance of the AUC comes from", table("Variance of the AUC by source", heads, rows))
