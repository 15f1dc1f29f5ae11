"""The numbers of a whole page, recomputed from the scores by code that shares nothing with the analysis.

Only numpy, scipy, scikit-learn and statsmodels are used here. A number is taken from the page as a reader takes it: by
the heading of its section, the caption of its table, the words of its row and its column; it must agree to the last
digit that is printed.
"""

from __future__ import annotations

import json
import re
from itertools import product

import numpy as np
import pandas as pd
import pytest
from reading import MINUS, Seen, words
from scipy import stats
from scipy.special import expit, logit
from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score
from statsmodels.api import GLM, Logit, add_constant, families
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

ARMS = ("scratch", "transfer")
LABELS = {"scratch": "model scratch", "transfer": "model transfer"}
RUNS = (0, 1, 2)
TARGETS = {"High sensitivity": 0.9, "High specificity": 0.9, "Youden index": None}


# --- the same numbers from the scores ---------------------------------------------------------------------------------


class Known:
    """What the scores say, run by run, without the project's own code."""

    def __init__(self, table, films, boxes, detections):
        self.table = table
        self.films = films.set_index("image_id")
        self.boxes, self.detections = boxes, detections

    def scores(self, arm, run, cohort="external"):
        """Labels, scores and patients of one run."""
        part = self.table[(self.table["arm"] == arm) & (self.table["seed"] == run) & (self.table["cohort"] == cohort)]
        part = part.sort_values("image_id")
        return part["label"].to_numpy(), part["score"].to_numpy(), part["patient_id"].to_numpy()

    def by_patient(self, arm, run):
        y, s, patient = self.scores(arm, run)
        grouped = pd.DataFrame({"y": y, "s": s, "patient": patient}).groupby("patient").max()
        return grouped["y"].to_numpy(), grouped["s"].to_numpy()

    def threshold(self, arm, run, point, cohort="validation"):
        """By trying every cut: all films called at scores >= cut."""
        y, s, _ = self.scores(arm, run, cohort)
        cuts = np.r_[np.inf, np.unique(s)[::-1]]
        tp = np.array([(s[y == 1] >= cut).sum() for cut in cuts])
        fp = np.array([(s[y == 0] >= cut).sum() for cut in cuts])
        n1, n0 = (y == 1).sum(), (y == 0).sum()
        if point == "High sensitivity":  # fewest false alarms that reach the target, then most tumours
            allowed = np.flatnonzero(tp >= 0.9 * n1 - 1e-9)
            best = min(allowed, key=lambda i: (fp[i], -tp[i], i))
        elif point == "High specificity":  # most tumours that keep the target, then fewest false alarms
            allowed = np.flatnonzero(n0 - fp >= 0.9 * n0 - 1e-9)
            best = min(allowed, key=lambda i: (-tp[i], fp[i], i))
        else:  # largest tp/n1 - fp/n0 in whole numbers, then most tumours
            best = min(range(len(cuts)), key=lambda i: (-(tp[i] * n0 - fp[i] * n1), -tp[i], i))
        return cuts[best]

    def rates(self, arm, run, point, cohort="validation", unit="film"):
        cut = self.threshold(arm, run, point, cohort)
        y, s = self.by_patient(arm, run) if unit == "patient" else self.scores(arm, run)[:2]
        return (s[y == 1] >= cut).mean(), (s[y == 0] < cut).mean()

    def mean_rates(self, arm, point, cohort="validation", unit="film"):
        return np.mean([self.rates(arm, run, point, cohort, unit) for run in RUNS], axis=0)

    @property
    def share(self):
        return self.scores("scratch", 0)[0].mean()

    def calls(self, arm, run, point):
        y, s, _ = self.scores(arm, run)
        return y, s >= self.threshold(arm, run, point)

    def risks(self, arm, run):
        """Logistic recalibration on the validation films, by statsmodels."""
        y, s, _ = self.scores(arm, run, "validation")
        a, b = Logit(y, add_constant(logit(s))).fit(disp=0, tol=1e-10).params
        y, s, _ = self.scores(arm, run)
        return y, expit(a + b * logit(s))

    def correct(self, arm, run):
        """Malignant films whose strongest box lies on the lesion (IoU >= 0.30), by film in order; and box scores."""
        own = self.detections[(self.detections["arm"] == arm) & (self.detections["seed"] == run)]
        best = own.sort_values("score", kind="stable").groupby("image_id").tail(1).set_index("image_id")
        truth = self.boxes.set_index("image_id")
        return pd.Series(
            {film: film in best.index and iou(best.loc[film], truth.loc[film]) >= 0.3 for film in truth.index}
        )


def iou(a, b):
    wide = min(a["x_max"], b["x_max"]) - max(a["x_min"], b["x_min"])
    high = min(a["y_max"], b["y_max"]) - max(a["y_min"], b["y_min"])
    both = max(wide, 0) * max(high, 0)
    area = sum((c["x_max"] - c["x_min"]) * (c["y_max"] - c["y_min"]) for c in (a, b))
    return both / (area - both)


def predictive(sensitivity, specificity, share):
    found, clear = sensitivity * share, specificity * (1 - share)
    alarms, missed = (1 - specificity) * (1 - share), (1 - sensitivity) * share
    return found / (found + alarms), clear / (clear + missed)


def delong(y, one, other):
    """DeLong 1988 by placements: difference, its standard error."""
    parts = []
    for s in (one, other):
        wins = (s[y == 1][:, None] > s[y == 0]) + 0.5 * (s[y == 1][:, None] == s[y == 0])
        parts.append((wins.mean(axis=1), wins.mean(axis=0)))
    ill, well = (parts[0][i] - parts[1][i] for i in (0, 1))
    return ill.mean(), np.sqrt(ill.var(ddof=1) / ill.size + well.var(ddof=1) / well.size)


# --- the study --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def seen(small_page):
    return Seen(small_page[1])


@pytest.fixture(scope="module")
def known(small_page):
    study, _ = small_page
    boxes, detections = (pd.read_csv(study.outputs / f) for f in ("cohorts/boxes.csv", "detections.csv"))
    return Known(study.predictions, study.films, boxes[boxes["cohort"] == "external"], detections)


COMPARED = {}


@pytest.fixture(autouse=True)
def agreement(request, seen):
    """Every number that a test compares must agree; how many there were is counted."""
    before, seen.wrong = seen.compared, []
    yield
    COMPARED[request.node.name] = seen.compared - before
    assert not seen.wrong, seen.wrong


def test_discrimination(seen, known):
    table = ("roc", "Discrimination, mean over")
    means = {}
    for arm in ARMS:
        runs = [known.scores(arm, run)[:2] for run in RUNS]
        means[arm] = np.mean([roc_auc_score(y, s) for y, s in runs])
        seen.check(seen.cell(*table, [LABELS[arm]], "AUC"), means[arm], what=f"AUC {arm}")
        ap = np.mean([average_precision_score(y, s) for y, s in runs])
        seen.check(seen.cell(*table, [LABELS[arm]], "Average precision"), ap, what=f"AP {arm}")
        for run, (y, s) in zip(RUNS, runs, strict=True):
            row = [LABELS[arm], f"Run {run}"]
            seen.check(seen.cell("runs", "Every run", row, "AUC"), roc_auc_score(y, s), what=row)
            seen.check(seen.cell("runs", "Every run", row, "Average precision"), average_precision_score(y, s))
        patients = np.mean([roc_auc_score(*known.by_patient(arm, run)) for run in RUNS])
        seen.check(seen.cell("patients", "By patient: mean", [LABELS[arm]], "AUC"), patients, what=f"patients {arm}")
    gap = means["transfer"] - means["scratch"]
    shown = seen.cell("roc", "Differences from the reference model", [LABELS["transfer"]], "AUC")
    seen.check(shown, gap, what="difference")
    said = words(seen.soup.select_one("#summary .answer"))
    shown = re.search(rf"AUC ([\d.]+) v ([\d.]+), difference ([+{MINUS}][\d.]+)", said)
    seen.check(" ".join(shown.groups()), means["transfer"], means["scratch"], gap, what="answer")


def test_thresholds_and_rates_by_film(seen, known):
    caption = "Thresholds from the validation films (locked): mean"
    for point, arm in product(TARGETS, ARMS):
        row = [point, LABELS[arm]]
        for run in RUNS:
            told = seen.cell("points", "Threshold of every run", row, f"Run {run}")
            seen.check(told, known.threshold(arm, run, point), what=("threshold", *row, run))
        se, sp = known.mean_rates(arm, point)
        ppv, npv = predictive(se, sp, known.share)
        f1 = 2 * ppv * se / (ppv + se)
        accuracy = se * known.share + sp * (1 - known.share)
        wanted = {"Sensitivity, %": 100 * se, "Specificity, %": 100 * sp, "PPV, %": 100 * ppv, "NPV, %": 100 * npv,
                  "LR+": se / (1 - sp), f"LR{MINUS}": (1 - se) / sp, "F1": f1,
                  "Accuracy, %": 100 * accuracy}  # fmt: skip
        for column, value in wanted.items():
            seen.check(seen.cell("points", caption, row, column), value, what=(*row, column))


def test_differences_at_the_points(seen, known):
    for point in TARGETS:
        (se, sp), (se_ref, sp_ref) = known.mean_rates("transfer", point), known.mean_rates("scratch", point)
        values = predictive(se, sp, known.share), predictive(se_ref, sp_ref, known.share)
        gaps = {"Sensitivity": se - se_ref, "Specificity": sp - sp_ref, "PPV": values[0][0] - values[1][0],
                "NPV": values[0][1] - values[1][1]}  # fmt: skip
        for name, gap in gaps.items():
            _heads, rows = seen.table("differences", f"{LABELS['transfer']} minus {LABELS['scratch']}")
            (row,) = [r for r in rows if r[0] == point and r[1] == f"{name}, percentage points"]
            seen.check(row[2], 100 * gap, what=(point, name))


def test_first_screen_by_film_and_by_patient(seen, known):
    rates = {(arm, unit): known.mean_rates(arm, "High sensitivity", unit=unit)
             for arm, unit in product(ARMS, ("film", "patient"))}  # fmt: skip
    said = words(seen.soup.select_one("#summary .answer"))
    reached = re.search(r"reached ([\d.]+) % v ([\d.]+) %", said).groups()
    seen.check(" ".join(reached), *(100 * rates[arm, "film"][0] for arm in ("transfer", "scratch")), what="reached")
    heads = {"film": "films", "patient": "patients"}
    for (arm, unit), (se, sp) in rates.items():
        desk = ("summary", "What it means at the reading desk", [LABELS[arm]])
        missed = seen.cell(*desk, f"Tumours missed, of 100 malignant {heads[unit]}")
        seen.check(missed, 100 * (1 - se), what=("missed", arm, unit))
        alarms = seen.cell(*desk, f"False alarms, on 1,000 normal {heads[unit]}")
        seen.check(alarms, 1000 * (1 - sp), what=("alarms", arm, unit))
    for unit, head in (("film", "Films"), ("patient", "Patients, at the same thresholds")):
        (se, sp), (se_ref, sp_ref) = rates["transfer", unit], rates["scratch", unit]
        box = ("summary", "Differences from")
        seen.check(seen.cell(*box, ["Missed tumours per 100 malignant"], head), 100 * (se_ref - se))
        seen.check(seen.cell(*box, ["False alarms per 1,000 normal"], head), 1000 * (sp_ref - sp))
    for arm in ARMS:
        row = ("patients", "By patient: mean", [LABELS[arm]])
        for column, value in zip(("Sensitivity, %", "Specificity, %"), rates[arm, "patient"], strict=True):
            seen.check(seen.cell(*row, column), 100 * value, what=(arm, column))


def test_icon_arrays_hold_natural_frequencies(seen, known):
    """Of 1,000 films, 10 with a tumour: the whole numbers next to what the mean rates give."""
    for figure, arm in zip(seen.soup.select("#summary .clinic figure"), ARMS, strict=True):
        se, sp = known.mean_rates(arm, "High sensitivity")
        numbers = [int(n) for n in re.findall(r"\d+", words(figure.figcaption).partition(": ")[2])]
        found, alarms = round(10 * se), round(990 * (1 - sp))
        assert numbers == [10, found, 10 - found, alarms, found, found + alarms]
        seen.compared += len(numbers)
        drawn = {kind: len(figure.select(f"svg .{kind}")) for kind in ("missed", "found", "alarm", "clear")}
        if any(drawn.values()) and sum(drawn.values()) == 1000:
            assert drawn == {"missed": 10 - found, "found": found, "alarm": alarms, "clear": 990 - alarms}


def test_predictive_values_at_other_shares(seen, known):
    for share, arm in product((0.1, 0.01), ARMS):
        values = predictive(*known.mean_rates(arm, "High sensitivity"), share)
        row = [f"{100 * share:g} %", LABELS[arm]]
        for column, value in zip(("PPV, %", "NPV, %"), values, strict=True):
            told = seen.cell("predictive-values", "PPV and NPV at", row, column)
            seen.check(told, 100 * value, what=(*row, column))


def test_thresholds_found_on_the_external_films(seen, known):
    for point, arm in product(TARGETS, ARMS):
        se, sp = known.mean_rates(arm, point, cohort="external")
        ppv, _ = predictive(se, sp, known.share)
        for column, value in (("Sensitivity, %", se), ("Specificity, %", sp), ("PPV, %", ppv)):
            told = seen.cell("external-thresholds", "Thresholds found on", [point, LABELS[arm]], column)
            if "not estimable" not in told:
                seen.check(told, 100 * value, what=(point, arm, column))


def test_calibration(seen, known):
    caption = "Calibration, mean over"
    for arm in ARMS:
        found = {name: [] for name in ("brier", "oe", "large", "intercept", "slope", "raw")}
        for run in RUNS:
            y, risk = known.risks(arm, run)
            z = logit(risk)
            found["brier"].append(brier_score_loss(y, risk))
            found["oe"].append(np.log(y.sum() / risk.sum()))
            intercept, slope = Logit(y, add_constant(z)).fit(disp=0).params
            large = GLM(y, np.ones_like(z), family=families.Binomial(), offset=z).fit().params[0]
            found["intercept"].append(intercept)
            found["slope"].append(slope)
            found["large"].append(large)
            found["raw"].append(brier_score_loss(*known.scores(arm, run)[:2]))
        wanted = {"Brier score (0 is perfect)": "brier", "Log of observed to expected (ideal 0)": "oe",
                  "Calibration in the large (ideal 0)": "large", "Calibration intercept (ideal 0)": "intercept",
                  "Calibration slope (ideal 1)": "slope"}  # fmt: skip
        for words_of, name in wanted.items():
            told = seen.cell("calibration", caption, ["Recalibrated", words_of], LABELS[arm])
            seen.check(told, np.mean(found[name]), what=(arm, name))
        told = seen.cell("calibration", caption, ["As given", "Brier score (0 is perfect)"], LABELS[arm])
        seen.check(told, np.mean(found["raw"]), what=(arm, "raw Brier"))


def test_net_benefit(seen, known):
    benefit = {}
    for arm, at in product(ARMS, (0.05, 0.1, 0.2)):
        each = []
        for run in RUNS:
            y, risk = known.risks(arm, run)
            act = risk >= at
            each.append((act & (y == 1)).sum() / y.size - (act & (y == 0)).sum() / y.size * at / (1 - at))
        benefit[arm, at] = 1000 * np.mean(each)
        row = [f"{100 * at:g} %", LABELS[arm]]
        told = seen.cell("decision", "Net benefit at the study's own", row, "Net benefit, per 1,000 films")
        seen.check(told, benefit[arm, at], what=row)
    for at in (0.05, 0.1, 0.2):
        told = seen.cell(
            "decision", "Difference in net benefit", ["As in this study", f"{100 * at:g} %"], LABELS["transfer"]
        )
        seen.check(told, benefit["transfer", at] - benefit["scratch", at], what=("difference", at))


def test_net_benefit_where_tumours_are_rarer(seen, known):
    """Risks are moved by the ratio of the odds of the new share to those of the validation films (Bayes)."""
    valid = known.scores("scratch", 0, "validation")[0].mean()
    for share, at in product((0.1, 0.01), (0.05, 0.1, 0.2)):
        benefit = {}
        for arm in ARMS:
            each = []
            for run in RUNS:
                y, risk = known.risks(arm, run)
                act = expit(logit(risk) + logit(share) - logit(valid)) >= at
                each.append(act[y == 1].mean() * share - act[y == 0].mean() * (1 - share) * at / (1 - at))
            benefit[arm] = 1000 * np.mean(each)
        row = [f"{100 * share:g} %", f"{100 * at:g} %"]
        _heads, rows = seen.table("decision", "Difference in net benefit")
        (found,) = [r for r in rows if r[:2] == row]
        seen.check(found[2], benefit["transfer"] - benefit["scratch"], what=row)


def test_localisation(seen, known):
    point, caption = "High sensitivity", "Localisation, mean over"
    for arm in ARMS:
        lroc, right, wrong = [], [], []
        for run in RUNS:
            part = known.table[(known.table["arm"] == arm) & (known.table["seed"] == run)]
            part = part[part["cohort"] == "external"].set_index("image_id")
            correct = known.correct(arm, run)
            ill, well = part["score"][correct.index], part["score"][part["label"] == 0]
            wins = (ill.to_numpy()[:, None] > well.to_numpy()) + 0.5 * (ill.to_numpy()[:, None] == well.to_numpy())
            lroc.append((correct.to_numpy() * wins.mean(axis=1)).mean())
            called = ill >= known.threshold(arm, run, point)
            right.append((called & correct).mean())
            wrong.append((called & ~correct).mean())
        for row, value in (("Area under the localisation ROC curve (LROC)", np.mean(lroc)),
                           ("Tumours called and correctly localised, %", 100 * np.mean(right)),
                           ("Localisation errors, of 100 malignant", 100 * np.mean(wrong))):  # fmt: skip
            seen.check(seen.cell("localisation", caption, [row], LABELS[arm]), value, what=(arm, row))
        desk = (
            "summary",
            "What it means at the reading desk",
            [LABELS[arm]],
            "Localisation errors, of 100 malignant films",
        )
        seen.check(seen.cell(*desk), 100 * np.mean(wrong), what=(arm, "first screen"))


def coco_ap(hits, scores, lesions):
    """Average precision at 101 recalls: precision made to fall, read at the first recall that reaches each level."""
    order = np.argsort(-scores, kind="mergesort")
    tp = np.cumsum(hits[order])
    precision = np.maximum.accumulate((tp / np.arange(1, tp.size + 1))[::-1])[::-1]
    place = np.searchsorted(tp / lesions, np.linspace(0, 1, 101), side="left")
    return np.append(precision, 0.0)[np.minimum(place, tp.size)].mean()


def test_average_precision_of_boxes(seen, known):
    truth = known.boxes.set_index("image_id")
    assert truth.index.is_unique  # one lesion a film: the strongest box that meets it takes it
    outside = set(known.films.index[known.films["cohort"] == "external"])
    for arm in ARMS:
        half, whole = [], []
        for run in RUNS:
            own = known.detections[(known.detections["arm"] == arm) & (known.detections["seed"] == run)]
            own = own[own["image_id"].isin(outside)].sort_values("score", ascending=False, kind="stable")
            own = own.reset_index(drop=True)
            on = np.array([iou(box, truth.loc[box["image_id"]]) if box["image_id"] in truth.index else 0.0
                           for _, box in own.iterrows()])  # fmt: skip
            values = []
            for overlap in np.arange(50, 100, 5) / 100:
                hit = pd.Series(on >= overlap).groupby(own["image_id"]).cumsum().eq(1).to_numpy() & (on >= overlap)
                values.append(coco_ap(hit, own["score"].to_numpy(), len(truth)))
            half.append(values[0])
            whole.append(np.mean(values))
        row = ("localisation", "Localisation, mean over")
        for at, value in (("IoU 0.5", half), ("IoU 0.50 to 0.95", whole)):
            told = seen.cell(*row, ["Average precision of boxes", at], LABELS[arm])
            seen.check(told, np.mean(value), what=(arm, at))


def test_tests_within_a_run(seen, known):
    for run in RUNS:
        y, one, _patient = known.scores("transfer", run)
        other = known.scores("scratch", run)[1]
        gap, se = delong(y, one, other)
        z = stats.norm.isf(0.025)
        row = [LABELS["transfer"], f"Run {run}"]
        heads, rows = seen.table("as-published", "Difference in AUC")
        (found,) = [r for r in rows if r[:2] == row]
        place = heads.index("Difference in AUC, DeLong's test")
        seen.check(found[place], gap, gap - z * se, gap + z * se, what=("DeLong", run))
        seen.check_p(found[place + 1], 2 * stats.norm.sf(abs(gap / se)), what=("DeLong p", run))
        for rate, value in (("Sensitivity", 1), ("Specificity", 0)):
            a, b = (
                known.calls(arm, run, "High sensitivity")[1][y == value] == value for arm in ("transfer", "scratch")
            )
            gained, lost = (a & ~b).sum(), (~a & b).sum()
            heads, rows = seen.table("as-published", f"{rate}: tests at")
            p_midp = 2 * stats.binom.cdf(min(gained, lost), gained + lost, 0.5) - stats.binom.pmf(
                min(gained, lost), gained + lost, 0.5)  # fmt: skip
            table = [[0, gained], [lost, 0]]
            tests = {"exact": mcnemar(table, exact=True).pvalue, "mid-p": min(p_midp, 1.0),
                     "continuity corrected": mcnemar(table, exact=False, correction=True).pvalue}  # fmt: skip
            for name, p in tests.items():
                (found,) = [r for r in rows if r[1].startswith(f"McNemar's test, {name}")]
                place = heads.index(f"Run {run}")
                seen.check(found[place], 100 * (gained - lost) / a.size, what=(rate, name, run))
                seen.check_p(found[place + 1], p, what=(rate, name, run, "p"))


def test_rates_of_single_runs_have_wilson_intervals(seen, known):
    for arm, run in product(ARMS, RUNS):
        y, called = known.calls(arm, run, "High sensitivity")
        counts = {"Sensitivity, %": ((called & (y == 1)).sum(), (y == 1).sum()),
                  "Specificity, %": ((~called & (y == 0)).sum(), (y == 0).sum()),
                  "PPV, %": ((called & (y == 1)).sum(), called.sum()),
                  "NPV, %": ((~called & (y == 0)).sum(), (~called).sum())}  # fmt: skip
        row = ["High sensitivity", "Validation films (locked)", LABELS[arm], f"Run {run}"]
        for column, (k, n) in counts.items():
            told = seen.cell("as-published", "Rates at every operating point", row, column)
            low, high = proportion_confint(k, n, method="wilson")
            seen.check(told, 100 * k / n, 100 * low, 100 * high, what=(*row, column))


def groups_of(films, boxes):
    """By printed name, which films each group holds; subtypes and sizes of tumours hold all normal films."""
    bins = {"under 10": (0, 10), "10 to 19": (10, 20), "20 to 39": (20, 40), "40 and over": (40, 200)}
    groups = {f"Sex: {word}": films["sex"] == key for key, word in (("F", "female"), ("M", "male"))}
    groups |= {f"Age group: {name}": films["age"].ge(low) & films["age"].lt(high) for name, (low, high) in bins.items()}
    groups |= {f"View: {name}": films["view"] == name for name in ("frontal", "lateral")}
    groups |= {f"Site: {name}": films["site"] == name for name in sorted(films["site"].unique())}
    kinds = sorted(films.loc[films["label"] == 1, "subtype"].unique())
    groups |= {f"Subtype: {name}": films["subtype"].eq(name) | films["label"].eq(0) for name in kinds}
    # terciles of the square root of the largest box's area, as a share of the film's longest side (no film has a scale)
    area = (boxes["x_max"] - boxes["x_min"]) * (boxes["y_max"] - boxes["y_min"])
    side = films[["width", "height"]].max(axis=1)[boxes["image_id"]].to_numpy()
    size = (np.sqrt(area) / side).groupby(boxes["image_id"]).max()
    assert films.get("spacing_mm", pd.Series(dtype=float)).isna().all()
    if size.nunique() >= 3:
        level = pd.qcut(size, 3, labels=["small", "medium", "large"]).reindex(films.index)
        groups |= {
            f"Lesion size: {name}": level.eq(name) | films["label"].eq(0) for name in ("large", "medium", "small")
        }
    # groups with fewer than five films of a class, and groups of all films, are not shown
    return {name: chosen for name, chosen in groups.items()
            if films[chosen]["label"].value_counts().min() >= 5 and not chosen.all()}  # fmt: skip


def pairs_of(films, groups):
    """Interactions: each group of a fact against the one with the most malignant films."""
    facts = {}
    for name in groups:
        facts.setdefault(name.partition(":")[0], []).append(name)
    base = {fact: max(names, key=lambda name: films[groups[name]]["label"].sum()) for fact, names in facts.items()}
    return [(name, base[fact]) for fact, names in facts.items() for name in names if name != base[fact]]


def test_subgroups(seen, known):
    facts = known.films[known.films["cohort"] == "external"]
    groups = groups_of(facts, known.boxes)
    _heads, rows = seen.table("subgroups", "AUC in subgroups")
    # ages stand from the youngest on; the only subtype of a study is no subgroup: it holds all films
    assert list(dict.fromkeys(row[0] for row in rows)) == list(groups)
    for name, chosen in groups.items():
        films = facts[chosen]
        for arm in ARMS:
            part = known.table[(known.table["arm"] == arm) & known.table["image_id"].isin(films.index)]
            runs = [part[part["seed"] == run] for run in RUNS]
            value = np.mean([roc_auc_score(r["label"], r["score"]) for r in runs])
            seen.check(seen.cell("subgroups", "AUC in", [name, LABELS[arm]], "AUC"), value, what=(name, arm))
            cuts = {run: known.threshold(arm, run, "High sensitivity") for run in RUNS}
            called = [(r["score"] >= cuts[run])[r["label"] == 1].mean() for run, r in zip(RUNS, runs, strict=True)]
            clear = [(r["score"] < cuts[run])[r["label"] == 0].mean() for run, r in zip(RUNS, runs, strict=True)]
            row = ("subgroups", "Rates at the operating point", [name, LABELS[arm]])
            for place in (row, ("subgroups", "AUC in", [name, LABELS[arm]])):
                told = seen.cell(*place, "Malignant of all films")
                seen.check(told, films["label"].sum(), len(films), what=(name, arm, "films"))
            seen.check(seen.cell(*row, "Sensitivity, %"), 100 * np.mean(called), what=(name, arm, "sensitivity"))
            if name.startswith(("Subtype", "Lesion size")):  # normal films have neither
                assert seen.cell(*row, "Specificity, %") == ""
            else:
                seen.check(seen.cell(*row, "Specificity, %"), 100 * np.mean(clear), what=(name, arm, "specificity"))


def test_differences_between_subgroups(seen, known):
    """Within a group the difference of the mean AUC; an interaction is the difference of two such differences."""
    facts = known.films[known.films["cohort"] == "external"]
    groups, gap = groups_of(facts, known.boxes), {}
    for name, chosen in groups.items():
        part = known.table[known.table["image_id"].isin(facts[chosen].index)].groupby(["arm", "seed"])
        auc = part[["label", "score"]].apply(lambda r: roc_auc_score(r["label"], r["score"])).groupby("arm").mean()
        gap[name] = auc["transfer"] - auc["scratch"]
    wanted = {name: (gap[name], chosen) for name, chosen in groups.items()}
    for name, base in pairs_of(facts, groups):
        wanted[f"{name} minus {base}"] = (gap[name] - gap[base], groups[name] | groups[base])
    heads, rows = seen.table("subgroups", "Differences from the reference model within groups, then interactions")
    assert [row[:2] for row in rows] == [[name, LABELS["transfer"]] for name in wanted]
    assert {row[heads.index("Test")] for row in rows} == {"exploratory"}  # the study declares no subgroup
    for row, (name, (value, chosen)) in zip(rows, wanted.items(), strict=True):
        seen.check(row[heads.index("Difference in AUC")], value, what=("difference", name))
        films = facts[chosen]
        told = row[heads.index("Malignant of all films")]
        seen.check(told, films["label"].sum(), len(films), what=("difference", name, "films"))
    p, adjusted = heads.index("p"), heads.index("p, adjusted")
    for family in (rows[: len(groups)], rows[len(groups) :]):  # Holm's method within each; p is printed to 3 digits
        shown = [0.0005 if row[p].startswith("<") else float(row[p]) for row in family]
        low, high = (multipletests(np.clip(np.array(shown) + by, 0, 1), method="holm")[1] for by in (-0.0005, 0.0005))
        for row, least, most in zip(family, low, high, strict=True):
            told = 0.0005 if row[adjusted].startswith("<") else float(row[adjusted])
            assert least - 0.0005001 <= told <= most + 0.0005001, (row, least, most)
            seen.compared += 1


def test_counts_of_films_and_patients(seen, known):
    outside = known.films[known.films["cohort"] == "external"]
    heads, rows = seen.table("films", "Films and patients with scores")
    row = next(r for r in rows if r[0] == "External")
    ill = outside[outside["label"] == 1]["patient_id"].nunique()
    wanted = {"Films": len(outside), "Malignant films": (outside["label"] == 1).sum(),
              "Normal films": (outside["label"] == 0).sum(), "Patients": outside["patient_id"].nunique(),
              "Patients with a tumour": ill,
              "Patients without a tumour": outside["patient_id"].nunique() - ill}  # fmt: skip
    for column, value in wanted.items():
        seen.check(row[heads.index(column)], value, what=column)


def test_table_one(seen, known):
    for unit in ("film", "patient"):
        heads, rows = seen.table("films", f"Characteristics by {unit}")
        by_name = {row[0]: row for row in rows}
        outside = known.films[known.films["cohort"] == "external"]
        if unit == "patient":  # malignant if any film is
            outside = outside.sort_values("label", ascending=False, kind="stable").drop_duplicates("patient_id")
        for label, head in ((1, "External: malignant"), (0, "External: not malignant")):
            part, place = outside[outside["label"] == label], heads.index(head)
            seen.check(by_name[f"{unit.capitalize()}s"][place], len(part), what=(unit, head))
            women = (part["sex"] == "F").sum()
            seen.check(by_name["Sex: female"][place], women, 100 * women / len(part), what=(unit, head, "sex"))
            quartiles = np.percentile(part["age"], [50, 25, 75])
            seen.check(by_name["Age, years: median (quartiles)"][place], *quartiles, what=(unit, head, "age"))
            for site in outside["site"].unique():
                seen.check(by_name[f"Site: {site}"][place], (part["site"] == site).sum(), what=(unit, site))


def test_missed_tumours_false_alarms_and_discordant_films(seen, known):
    called, y = {}, known.scores("scratch", 0)[0]
    for arm in ARMS:
        called[arm] = np.sum([known.calls(arm, run, "High sensitivity")[1] for run in RUNS], axis=0)
    missed = ((called["scratch"] < 3) | (called["transfer"] < 3)) & (y == 1)
    alarms = ((called["scratch"] > 0) | (called["transfer"] > 0)) & (y == 0)
    always = ((called["scratch"] == 0) | (called["transfer"] == 0)) & (y == 1)  # by every run of at least one model
    for runs, wanted in (("every run of a model", always), ("some runs only", missed & ~always)):
        told = [words(c) for c in seen.soup.select("#missed caption") if f"Tumours missed by {runs}" in words(c)]
        assert len(told) == bool(wanted.any())  # a table without films is not shown
        for text in told:
            seen.check(text, wanted.sum(), y.sum(), what=("missed by", runs))
            assert len(seen.table("missed", text)[1]) == wanted.sum()
    caption = words(seen.soup.select_one("#false-alarms caption"))
    seen.check(caption, min(40, alarms.sum()), alarms.sum(), what="alarms")
    assert len(seen.table("false-alarms", caption)[1]) == min(40, alarms.sum())
    text = words(seen.soup.select_one("#false-alarms")).partition("At least one run called ")[2]
    everywhere = (called["scratch"] == 3) & (called["transfer"] == 3) & (y == 0)
    seen.check(text, alarms.sum(), (y == 0).sum(), everywhere.sum(), what="alarms in words")
    _, rows = seen.table("missed", "Tumours missed by subtype")
    outside = known.films[known.films["cohort"] == "external"].sort_index()
    for row, (place, arm) in product(rows, ((2, "scratch"), (3, "transfer"))):
        chosen = (outside["subtype"] == row[0]).to_numpy() & (y == 1)
        seen.check(row[place], 100 * (3 - called[arm])[chosen].sum() / (3 * chosen.sum()), what=(row[0], arm))
    _heads, rows = seen.table("discordant", "by the majority of runs")
    for row, value in zip(rows, (1, 0), strict=True):
        a, b = ((called[arm] > 1.5)[y == value] == value for arm in ("transfer", "scratch"))
        wanted = [(a & b).sum(), (a & ~b).sum(), (~a & b).sum(), (~a & ~b).sum()]
        seen.check(" ".join(row[1:]), *wanted, what=("discordant", value))


def test_explorer_counts(seen, known):
    data = json.loads(seen.soup.select_one("[data-explorer]")["data-explorer"])
    y = known.scores("scratch", 0)[0]
    assert (data["n1"], data["n0"]) == ((y == 1).sum(), (y == 0).sum())
    for arm in data["arms"]:
        for run in RUNS:
            held = arm["runs"][str(run)]
            for point in data["points"]:
                name = {"High sensitivity": "High sensitivity", "High specificity": "High specificity",
                        "Youden index": "Youden index"}[point["name"]]  # fmt: skip
                cohort = point["key"].partition("@")[2]
                s, cut = known.scores(arm["id"], run)[1], known.threshold(arm["id"], run, name, cohort)
                wanted = [(s[y == 1] >= cut).sum(), (s[y == 0] >= cut).sum()]
                if point["key"] in held["points"]:
                    assert held["points"][point["key"]] == wanted, (arm["id"], run, point)
                    seen.compared += 2
            valid, scores, _ = known.scores(arm["id"], run, "validation")
            asked, tp = np.cumsum(held["target"]["k"]), np.cumsum(held["target"]["tp"])
            for place in (10, 25, 36):  # the threshold that finds at least k validation tumours with fewest alarms
                cuts = np.r_[np.inf, np.unique(scores)[::-1]]
                found = [((scores[valid == 1] >= c).sum(), (scores[valid == 0] >= c).sum()) for c in cuts]
                allowed = [i for i, (t, _) in enumerate(found) if t >= asked[place]]
                best = min(allowed, key=lambda i: (found[i][1], -found[i][0], i))
                assert tp[place] == (s[y == 1] >= cuts[best]).sum()
                seen.compared += 1


def test_explorer_shows_the_calibration_of_the_mean_over_runs(seen, known):
    """Its curve stands over the risks that the runs give a film on average."""
    data = json.loads(seen.soup.select_one("[data-explorer]")["data-explorer"])
    for arm in data["arms"]:
        risk = np.mean([known.risks(arm["id"], run)[1] for run in RUNS], axis=0)
        predicted, observed = (np.array(values) for values in arm["calibration"])
        assert risk.min() - 0.001 <= predicted[0] <= predicted[-1] <= risk.max() + 0.001
        assert predicted[-1] - predicted[0] > 0.9 * np.ptp(risk)
        assert ((observed >= 0) & (observed <= 1)).all()
        seen.compared += 2


def test_verdict_follows_from_the_printed_interval(seen, known):
    """Heading and words of the answer, from the printed difference, its interval and the margin of 0.03."""
    box = seen.soup.select_one("#summary .answer")
    shown = re.search(rf"difference ([+{MINUS}][\d.]+) \(([+{MINUS}][\d.]+) to ([+{MINUS}][\d.]+)\), p", words(box))
    estimate, low, high = (float(text.replace(MINUS, "-")) for text in shown.groups())
    told = words(seen.cell("roc", "Differences from the reference model", [LABELS["transfer"]], "AUC"))
    assert told == f"{shown[1]} ({shown[2]} to {shown[3]})"
    assert (low > 0) == ("etter" in words(box.h3) and "not shown" not in words(box))
    assert ("a relevant difference is not excluded" in words(box)) == (estimate < 0.03 < high)


def test_more_than_a_hundred_numbers_were_compared():
    assert sum(COMPARED.values()) > 400, COMPARED
