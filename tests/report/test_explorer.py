"""The explorer: exact counts at every setting, linked curves, keyboard, screen reader, and the page without script."""

from __future__ import annotations

import base64
import hashlib
import json
import math
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from bs4 import BeautifulSoup
from markupsafe import Markup
from sklearn.metrics import roc_auc_score

from diagnostic_accuracy import estimates
from figures.analysed import analysed, simulated
from osteotl.report.explorer import (
    explorer,
    explorer_data,
    ladder_of,
    static_table,
    target_counts,
    threshold_steps,
    thresholds_of,
)

HOSTILE = "\"><script>window.hacked=1</script><img src=x onerror=window.hacked=1>'&lt; of eighty characters, or so"


@pytest.fixture(scope="module")
def study():
    done = analysed(simulated(films=160, validation=60))
    return replace(done, results=done.results.set_axis([str(i) for i in range(len(done.results))]))


@pytest.fixture(scope="module")
def no_validation():
    return analysed(simulated(runs=2, films=80, validation=0))


@pytest.fixture(scope="module")
def one_run():
    return analysed(simulated(runs=1, films=80, validation=40))


def written(folder: Path, body: Markup) -> Path:
    """A page with the explorer, under the policy of the real page."""
    template = files("osteotl.report") / "template"
    style, script = ((template / f"explorer.{kind}").read_text(encoding="utf-8") for kind in ("css", "js"))

    def quoted(text):
        return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"

    policy = f"default-src 'none'; img-src data:; style-src {quoted(style)}; script-src {quoted(script)}"
    path = folder / "page.html"
    path.write_text(
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" '
        f'content="{policy}"><title>x</title><style>{style}</style></head><body><main><h1>Page</h1><h2>Explorer</h2>{body}'
        f"</main><script>{script}</script></body></html>",
        encoding="utf-8",
    )
    return path


@pytest.fixture(scope="module")
def page(study, tmp_path_factory):
    return written(tmp_path_factory.mktemp("page"), explorer(study.tables, study.results, study.labels))


# --- counts, in Python ------------------------------------------------------------------------------------------------


def test_target_counts_by_hand():
    label, score = [1, 1, 1, 1, 0, 0, 0, 0, 0], [0.9, 0.8, 0.8, 0.1, 0.85, 0.8, 0.3, 0.1, 0.0]
    # on the films themselves. None or one asked for: just above the 0.85 of a normal film, one found; two or three:
    # down to above the normal 0.3, three found (0.8 stands twice), two false alarms; all four: 0.1, four false alarms
    counts = target_counts(label, score, label, score)
    assert {key: values.tolist() for key, values in counts.items()} == {
        "k": [0, 1, 2, 3, 4], "tp": [1, 1, 3, 3, 4], "fp": [0, 0, 2, 2, 4]}  # fmt: skip
    # on other films, at those thresholds (0.9, 0.9, 0.8, 0.8, 0.1)
    other = target_counts(label, score, [1, 1, 0, 0], [0.95, 0.5, 0.82, 0.05])
    assert other["tp"].tolist() == [1, 1, 1, 1, 2]
    assert other["fp"].tolist() == [0, 0, 1, 1, 1]


def test_at_most_a_thousand_targets():
    rng = np.random.default_rng(1)
    label, score = np.repeat([1, 0], [5000, 10]), rng.random(5010)
    asked = target_counts(label, score, label, score)["k"]
    assert (len(asked), asked[-1]) == (1001, 5000)


def test_threshold_steps_by_hand():
    ladder = {"of": "risk", "low": 0.0, "step": 1 / 1000}
    steps = threshold_steps([1, 1, 1, 0], [0.29, 0.2899, 1.0, 0.57], ladder)
    # 0.29 is called at 0.290 and not at 0.291; differences of 289, 290, 1000
    assert steps == {"1": [289, 1, 710], "0": [570]}
    assert thresholds_of(ladder)[[290, 570]].tolist() == [0.29, 0.57]


def test_without_risks_the_ladder_covers_the_scores():
    scores = pd.DataFrame({"score": [-3.0, 7.0], "risk": [np.nan, np.nan]})
    ladder = ladder_of(scores)
    assert ladder["of"] == "score"
    assert thresholds_of(ladder)[[0, 500, 1000]].tolist() == [-3.0, 2.0, 7.0]


def test_data_are_compact_and_hold_every_run(study):
    data = explorer_data(study.tables, study.results, study.labels)
    assert data["runs"] == ["0", "1", "2"]
    assert [arm["label"] for arm in data["arms"]] == list(study.labels.values())
    assert len(json.dumps(data)) < 60_000


def test_without_scores_the_table_stands_alone(study):
    text = explorer({}, study.results, study.labels)
    assert "cannot be moved" in text
    assert "data-explorer" not in text
    assert "high sensitivity" in text


def test_the_table_without_script_shows_the_results_with_their_rows(study):
    soup = BeautifulSoup(static_table(study.results, study.labels), "html.parser")
    row = estimates.one(study.results, section="operating_points", measure="sensitivity", arm="transfer", run=None,
                        reference=None, unit="film", point="youden", threshold_from="validation")  # fmt: skip
    shown = soup.select_one(f"[data-row='{row.name}']")
    low, high = 100 * row["lower"], 100 * row["upper"]
    assert shown.get_text() == f"{100 * row['estimate']:.1f} ({low:.1f} to {high:.1f})"
    # 3 rules, thresholds from validation and from external films, 2 models
    assert len(soup.select("tbody tr")) == 12


def test_labels_are_escaped(study):
    text = explorer(study.tables, study.results, dict.fromkeys(study.labels, HOSTILE))
    soup = BeautifulSoup(text, "html.parser")
    assert not soup.select("script, img")
    assert json.loads(soup.select_one(".explorer")["data-explorer"])["arms"][0]["label"] == HOSTILE


# --- the page ---------------------------------------------------------------------------------------------------------


def choose(opened, name, value):
    opened.page.locator(f"[data-control={name}]").select_option(value)


def slide(opened, value, name="slider"):
    slider = opened.page.locator(f"[data-control={name}]")
    slider.evaluate("(s, v) => { s.value = v; s.dispatchEvent(new Event('input', {bubbles: true})); }", str(value))


def cells(opened, arm, kind="count"):
    """Numbers of one model's card."""
    script = """(box, kind) => Object.fromEntries(
        [...box.querySelectorAll(`[data-${kind}]`)].map(cell => [cell.dataset[kind], cell.textContent]))"""
    texts = opened.page.locator(f".card[data-arm={arm}]").evaluate(script, kind)
    return {
        key: float(text.replace(",", "").replace("\N{MINUS SIGN}", "-").rstrip(" %\xa0")) for key, text in texts.items()
    }


def counted(study, arm, run, threshold, column="score"):
    """Counts by comparing every film."""
    table = study.tables["scores"]
    films = table[(table["cohort"] == "external") & (table["arm"] == arm) & (table["run"] == run)]
    called, sick = films[column] >= threshold, films["label"] == 1
    return {"tp": int((called & sick).sum()), "fp": int((called & ~sick).sum()), "fn": int((~called & sick).sum()),
            "tn": int((~called & ~sick).sum())}  # fmt: skip


def validation_threshold(study, arm, run, target):
    """The threshold of the high-sensitivity rule, by trying every score of the validation films."""
    table = study.tables["scores"]
    films = table[(table["cohort"] == "validation") & (table["arm"] == arm) & (table["run"] == run)]
    sick, well = films.loc[films["label"] == 1, "score"], films.loc[films["label"] == 0, "score"]
    tried = []
    for threshold in sorted(films["score"]):
        found, alarms = int((sick >= threshold).sum()), int((well >= threshold).sum())
        if found >= math.ceil(target * len(sick) - 1e-9):
            tried.append((alarms, -found, -threshold))
    return -min(tried)[2]


@pytest.mark.browser
def test_it_opens_on_the_mean_over_runs_with_the_target_as_slider(page, open_page):
    opened = open_page(page)
    assert opened.complaints == []
    assert [url for url in opened.requests if not url.startswith("data:")] == [page.as_uri()]
    assert opened.page.locator("[data-control=run]").input_value() == "mean"
    assert opened.page.locator("[data-control=mode]").input_value() == "target"
    assert "90.0 % of the validation tumours" in opened.page.locator(".explorer-live").inner_text()
    assert not opened.page.locator(".explorer-static").is_visible()
    assert (
        "Strong lines: mean over 3 runs; faint lines: single runs" in opened.page.locator(".explorer-live").inner_text()
    )


def test_runs_of_people_are_called_readers(study):
    read = study.results.assign(basis="readers and patients")
    assert explorer_data(study.tables, read, study.labels)["word"] == "reader"
    assert "mean over readers" in static_table(read, study.labels)


@pytest.mark.browser
def test_every_target_has_the_mean_counts_of_the_validation_thresholds(study, page, open_page):
    opened = open_page(page)
    compared = 0
    for target in (0.5, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.925, 0.95, 0.975, 0.99, 1.0):
        slide(opened, round(1000 * target))
        for arm in study.labels:
            runs = [counted(study, arm, run, validation_threshold(study, arm, run, target)) for run in ("0", "1", "2")]
            shown = cells(opened, arm)
            for key in ("tp", "fp", "fn", "tn"):
                assert shown[key] == pytest.approx(np.mean([c[key] for c in runs]), abs=0.0501), (target, arm, key)
                compared += 1
    assert compared == 104


@pytest.mark.browser
def test_every_threshold_of_a_single_run_has_exact_counts(study, page, open_page):
    opened = open_page(page)
    compared = 0
    for run in ("0", "1", "2"):
        choose(opened, "run", run)
        for step in (0, 1, 33, 100, 290, 500, 570, 707, 900, 999, 1000):
            slide(opened, step)
            for arm in study.labels:
                wanted = counted(study, arm, run, step / 1000, "risk")
                assert cells(opened, arm) == wanted, (run, step, arm)
                compared += len(wanted)
    assert compared == 264


@pytest.mark.browser
def test_operating_points_are_those_of_the_results_with_their_intervals(study, page, open_page):
    opened = open_page(page)
    choose(opened, "mode", "point")
    compared = 0
    for source in ("validation", "external"):
        for point in ("high_sensitivity", "high_specificity", "youden"):
            choose(opened, "point", f"{point}@{source}")
            for arm in study.labels:
                rates = cells(opened, arm, "rate")
                for measure in ("sensitivity", "specificity", "ppv", "npv"):
                    row = estimates.one(study.results, section="operating_points", measure=measure, arm=arm, run=None,
                                        reference=None, unit="film", point=point, threshold_from=source)  # fmt: skip
                    assert rates[measure] == pytest.approx(100 * row["estimate"], abs=0.0501)
                    compared += 1
                    text = opened.page.locator(
                        f".card[data-arm={arm}] tr:has([data-rate={measure}]) .limits"
                    ).inner_text()
                    if not np.isnan(row["lower"]):
                        wanted = f"({100 * row['lower']:.1f} % to {100 * row['upper']:.1f} %)"
                        assert text.replace("\xa0", " ") == wanted
    assert compared == 48  # with the two tests above: 416 counts and rates


@pytest.mark.browser
def test_the_prevalence_changes_predictive_values_by_bayes(page, open_page):
    opened = open_page(page)
    slide(opened, -200, "prevalence")  # 1 in 100
    now, rates = cells(opened, "transfer"), cells(opened, "transfer", "rate")
    sensitivity, specificity = now["tp"] / (now["tp"] + now["fn"]), now["tn"] / (now["tn"] + now["fp"])
    ppv = 0.01 * sensitivity / (0.01 * sensitivity + 0.99 * (1 - specificity))
    assert rates["ppv"] == pytest.approx(100 * ppv, abs=0.3)  # counts are shown to one decimal
    assert rates["missed"] == pytest.approx(10 * (1 - sensitivity), abs=0.1)
    opened.page.get_by_role("button", name="as in the study").click()
    assert cells(opened, "transfer", "rate")["ppv"] > 50


def marked(opened, title):
    """Where the marks of a chart stand, in the units of its axes."""
    found = opened.page.locator(f"[data-chart='{title}'] .mark")
    return [[float(m.get_attribute("data-x")), float(m.get_attribute("data-y"))] for m in found.all()]


@pytest.mark.browser
def test_one_control_moves_the_mark_of_every_chart(study, page, open_page):
    opened = open_page(page)
    charts = ["ROC curve", "Precision-recall curve", "Decision curve"]
    before = {title: marked(opened, title) for title in charts}
    slide(opened, 700)
    for i, arm in enumerate(study.labels):
        now, rates = cells(opened, arm), cells(opened, arm, "rate")
        n1, n0 = now["tp"] + now["fn"], now["tn"] + now["fp"]
        assert marked(opened, "ROC curve")[i] == pytest.approx([now["fp"] / n0, now["tp"] / n1], abs=2e-3)
        assert marked(opened, "Precision-recall curve")[i] == pytest.approx(
            [now["tp"] / n1, rates["ppv"] / 100], abs=2e-3
        )
        # at the study's share, one tumour worth nine false alarms: threshold probability 0.1
        benefit = 1000 * (now["tp"] - now["fp"] / 9) / (n1 + n0)
        assert marked(opened, "Decision curve")[i] == pytest.approx([0.1, benefit], abs=1)
        assert rates["benefit"] == pytest.approx(benefit, abs=1)
    assert all(marked(opened, title) != before[title] for title in charts)
    assert len(marked(opened, "Calibration after recalibration")) == 2


@pytest.mark.browser
def test_with_a_single_run_the_calibration_mark_stands_at_the_threshold(page, open_page):
    opened = open_page(page)
    choose(opened, "run", "1")
    slide(opened, 250)
    assert [mark[0] for mark in marked(opened, "Calibration after recalibration")] == [0.25, 0.25]
    slide(opened, 600)
    assert [mark[0] for mark in marked(opened, "Calibration after recalibration")] == [0.6, 0.6]


@pytest.mark.browser
def test_decision_curves_are_those_of_the_results_at_every_prevalence(study, page, open_page):
    """The drawn line, read back from its path, against net benefit in the table of results."""
    opened = open_page(page)
    for share, slid in ((None, None), (0.1, -100)):
        if slid is not None:
            slide(opened, slid, "prevalence")
        top = 1080 * (share or study.scores.prevalence)
        for i, arm in enumerate(study.labels):
            path = opened.page.locator(f"[data-chart='Decision curve'] .line.dash-{i}").last.get_attribute("d")
            points = [tuple(map(float, part.split())) for part in path.replace("M", "L").split("L")[1:]]
            rows = estimates.select(
                study.results, measure="net_benefit", arm=arm, run=None, reference=None, prevalence=share
            )
            found = rows.set_index("at")["estimate"]
            for x, y in points:
                at = round((x - 46) / (320 - 46 - 16) * 0.2, 2)  # the frame of the chart
                if at in found.index:
                    benefit = -0.2 * top + 1.2 * top * (250 - 40 - y) / (250 - 22 - 40)
                    assert benefit == pytest.approx(1000 * found[at], abs=0.02 * top), (share, arm, at)


@pytest.mark.browser
def test_icons_add_up_to_a_thousand_films(page, open_page):
    opened = open_page(page)
    text = opened.page.locator(".card[data-arm=transfer] figure svg").get_attribute("aria-label")
    numbers = [int(word) for word in text.replace("1,000", "").split() if word.isdigit()]
    assert sum(numbers) == 1000
    drawn = opened.page.locator(".card[data-arm=transfer] .dot").evaluate_all(
        "paths => paths.map(path => path.getAttribute('d').match(/M/g).length)"
    )
    assert sum(drawn) == 1000


@pytest.mark.browser
def test_changes_are_announced_once_they_settle(page, open_page):
    opened = open_page(page)
    opened.page.wait_for_timeout(600)
    first = opened.page.locator(".explorer [role=status]").inner_text()
    for value in range(700, 800, 10):
        slide(opened, value)
    opened.page.wait_for_timeout(600)
    said = opened.page.locator(".explorer [role=status]").inner_text()
    assert said != first
    assert said.startswith("Target sensitivity 79.0 %. trained from scratch sensitivity")
    assert "false alarms per 1,000 films" in said
    assert (
        opened.page.locator("[data-control=slider]").get_attribute("aria-valuetext")
        == "79.0 % of the validation tumours"
    )


@pytest.mark.browser
def test_keyboard_reaches_every_control(page, open_page):
    opened = open_page(page)
    opened.page.locator("[data-control=run]").focus()
    reached = []
    for _ in range(6):
        reached.append(
            opened.page.evaluate("document.activeElement.dataset.control || document.activeElement.textContent")
        )
        opened.page.keyboard.press("Tab")
    assert reached[:5] == ["run", "mode", "slider", "prevalence", "odds"]  # the button is disabled: nothing to undo
    opened.page.locator("[data-control=slider]").focus()
    before = opened.page.locator("[data-control=slider]").input_value()
    opened.page.keyboard.press("ArrowLeft")
    assert int(opened.page.locator("[data-control=slider]").input_value()) == int(before) - 5


@pytest.mark.browser
def test_without_validation_films_the_thresholds_are_found_on_these_films_and_it_says_so(
    no_validation, tmp_path, open_page
):
    done = no_validation
    opened = open_page(written(tmp_path, explorer(done.tables, done.results, done.labels)))
    assert opened.complaints == []
    assert (
        "90.0 % of the tumours; thresholds found on these films" in opened.page.locator(".explorer-live").inner_text()
    )
    need = math.ceil(0.9 * int(done.scores.label.sum()) - 1e-9)
    assert cells(opened, "transfer")["tp"] >= need
    assert not opened.page.locator("[data-chart='Decision curve']").is_visible()
    choose(opened, "run", "0")
    slide(opened, 300)
    assert cells(opened, "scratch") == counted(done, "scratch", "0", 0.3)


@pytest.mark.browser
def test_a_study_of_one_run_has_the_threshold_as_slider_and_whole_counts(one_run, tmp_path, open_page):
    opened = open_page(written(tmp_path, explorer(one_run.tables, one_run.results, one_run.labels)))
    assert opened.complaints == []
    assert opened.page.locator("[data-control=run]").count() == 0
    assert opened.page.locator("[data-control=mode]").input_value() == "threshold"
    slide(opened, 400)
    assert cells(opened, "transfer") == counted(one_run, "transfer", "0", 0.4, "risk")
    assert "." not in opened.page.locator(".card[data-arm=transfer] [data-count=tp]").inner_text()


@pytest.mark.browser
def test_without_script_the_table_stands_there(page, open_page):
    opened = open_page(page, java_script_enabled=False)
    assert opened.page.locator(".explorer-static").is_visible()
    assert opened.page.locator(".explorer-live").count() == 0


@pytest.mark.browser
@pytest.mark.parametrize("width", [320, 390, 1280])
def test_no_sideways_scrolling_with_long_labels(study, tmp_path, open_page, width):
    text = explorer(study.tables, study.results, dict.fromkeys(study.labels, HOSTILE))
    opened = open_page(written(tmp_path, text), width=width)
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= width
    assert opened.page.evaluate("window.hacked") is None
    assert opened.complaints == []


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(page, open_page, scheme):
    from axe_playwright_python.sync_playwright import Axe

    opened = open_page(page, color_scheme=scheme)
    found = Axe().run(opened.page).response["violations"]
    assert [f"{v['id']}: {v['nodes'][0]['html'][:160]}" for v in found if v["impact"] in ("serious", "critical")] == []


def test_the_mean_roc_has_the_mean_area(study):
    """The embedded curves are those of the scores: their areas are sklearn's."""
    data = explorer_data(study.tables, study.results, study.labels)
    every = study.tables["scores"].query("cohort == 'external'").set_index(["arm", "run"]).sort_index()
    for arm in data["arms"]:
        for run, part in arm["runs"].items():
            tp, fp = (np.cumsum(part["curve"][key]) for key in ("tp", "fp"))
            films = every.loc[(arm["id"], run)]
            area = np.trapezoid(tp / data["n1"], fp / data["n0"])
            assert area == pytest.approx(roc_auc_score(films["label"], films["score"]))
