"""The page in a real browser."""

import json
import math
import re
import zlib

import pandas as pd
import pytest
from axe_playwright_python.sync_playwright import Axe
from make_outputs import make_outputs

from osteotl.reporting.page import build_report
from osteotl.report.printing import write_pdf

pytestmark = pytest.mark.browser
Z = 1.959963984540054


def test_one_file_no_requests_no_complaints(page, open_page):
    opened = open_page(page.report)
    assert [url for url in opened.requests if not url.startswith("data:")] == [page.report.as_uri()]
    assert opened.complaints == []


def test_loads_within_a_second(page, open_page):
    """By the browser's own clock; the best of five, so that a busy machine is not taken for a slow page."""
    clock = "performance.getEntriesByType('navigation')[0].loadEventEnd"
    opened = open_page(page.report)
    times = []
    for _ in range(5):
        opened.page.reload(wait_until="load")
        opened.page.wait_for_function(f"{clock} > 0")
        times.append(opened.page.evaluate(clock))
    assert min(times) < 1000


@pytest.mark.parametrize(("scheme", "rules"), [("light", None), ("dark", ["color-contrast"])])
def test_axe_finds_nothing_serious(page, open_page, scheme, rules):
    """All of the page, opened; of a long table ten rows, for axe looks at each cell and the others repeat them."""
    opened = open_page(page.report, color_scheme=scheme)
    opened.page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    opened.page.evaluate("document.querySelectorAll('tbody tr:nth-child(n + 11)').forEach(row => row.remove())")
    # axe's own script gets past our policy by the browser's debugging door
    options = {"runOnly": rules} if rules else {}
    violations = Axe().run(opened.page, options=options).response["violations"]
    serious = [
        f"{v['id']}: {v['nodes'][0]['html'][:160]}" for v in violations if v["impact"] in ("serious", "critical")
    ]
    assert serious == []


@pytest.mark.parametrize("width", [320, 360, 768, 1280, 1920])
def test_no_sideways_scrolling(page, open_page, width):
    opened = open_page(page.report, width=width)
    opened.page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= width


def test_unusual_studies_open_without_complaints(unusual, open_page):
    opened = open_page(unusual.report, width=320)
    assert opened.complaints == []
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= 320


def test_planted_scripts_stay_inert(hostile, open_page):
    opened = open_page(hostile.report)
    opened.page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    opened.page.locator("[data-control=mode]").select_option("target")
    assert opened.page.evaluate("window.hacked") is None
    assert [url for url in opened.requests if not url.startswith("data:")] == [hostile.report.as_uri()]
    assert opened.complaints == []


def test_without_script_the_table_stands_there(page, open_page):
    opened = open_page(page.report, java_script_enabled=False)
    assert opened.page.locator(".explorer-static").is_visible()
    assert not opened.page.locator(".explorer-live").is_visible()
    assert "PPV in this study" in opened.page.locator(".explorer-static").inner_text()


# --- explorer ---------------------------------------------------------------------------------------------------------


def wilson(k, n):
    """Wilson (1927), written apart from the script's."""
    p = k / n
    root = Z * math.sqrt(p * (1 - p) / n + Z**2 / (4 * n**2))
    return [(p + Z**2 / (2 * n) + sign * root) / (1 + Z**2 / n) for sign in (-1, 1)]


def card(opened, arm):
    """What one arm's card shows."""
    box = opened.page.locator(f".card[data-arm={arm}]")
    counts = {k: int(box.locator(f"[data-count={k}]").inner_text().replace(",", "")) for k in ("tp", "fp", "fn", "tn")}
    texts = {
        k: box.locator(f"[data-rate={k}]").inner_text() for k in ("sensitivity", "specificity", "ppv", "npv", "benefit")
    }
    limits = box.locator("tr:has([data-rate=sensitivity]) .ci").inner_text()
    return counts, texts, limits


def slide(opened, value):
    slider = opened.page.locator("[data-control=slider]")
    slider.evaluate("(s, v) => { s.value = v; s.dispatchEvent(new Event('input', {bubbles: true})); }", str(value))


def test_points_equal_statistics_json(page, open_page):
    opened = open_page(page.report)
    statistics = json.loads((page.out / "statistics.json").read_text(encoding="utf-8"))
    for key in statistics["arms"]["scratch"]["operating_points"]:
        opened.page.locator("[data-control=point]").select_option(key)
        for seed in ("0", "2"):
            opened.page.locator("[data-control=seed]").select_option(seed)
            for arm in statistics["arms"]:
                counts, texts, limits = card(opened, arm)
                point = statistics["arms"][arm]["per_seed"][seed]["operating_points"][key]
                assert counts == {k: point[k] for k in counts}
                assert texts["sensitivity"] == f"{100 * point['sensitivity']['estimate']:.1f}%"
                low, high = point["sensitivity"]["lower"], point["sensitivity"]["upper"]
                assert limits == f"{100 * low:.1f}% to {100 * high:.1f}%"


def test_mean_over_seeds_shows_the_studys_interval(page, open_page):
    opened = open_page(page.report)
    statistics = json.loads((page.out / "statistics.json").read_text(encoding="utf-8"))
    opened.page.locator("[data-control=seed]").select_option("mean")
    key = opened.page.locator("[data-control=point]").input_value()
    number = statistics["arms"]["transfer"]["operating_points"][key]["sensitivity"]
    box = opened.page.locator(".card[data-arm=transfer] tr:has([data-rate=sensitivity])")
    wanted = f"{100 * number['estimate']:.1f}% {100 * number['lower']:.1f}% to {100 * number['upper']:.1f}%"
    assert " ".join(box.inner_text().split()) == f"Sensitivity {wanted}"


@pytest.mark.parametrize("mode", ["risk", "target"])
def test_every_threshold_tried_has_exact_counts(page, open_page, mode):
    opened = open_page(page.report)
    scores = pd.read_csv(page.out / "tables" / "scores.csv", dtype={"seed": str})
    opened.page.locator("[data-control=mode]").select_option(mode)
    for step in (1, 33, 100, 290, 500, 570, 900, 999, 1000):
        slide(opened, step)
        for arm, films in scores[scores["seed"].eq("0")].groupby("arm"):
            counts, texts, limits = card(opened, arm)
            sick, well = films[films["label"].eq(1)], films[films["label"].eq(0)]
            column, threshold = "risk", step / 1000
            if mode == "target":
                need = math.ceil(step * len(sick) / 1000 - 1e-9)
                column, threshold = "score", sick["score"].sort_values(ascending=False).iloc[need - 1]
                below = well.loc[well["score"] < threshold, "score"].max()  # as low as specificity allows
                threshold = sick.loc[~(sick["score"] <= below), "score"].min()
            tp, fp = int((sick[column] >= threshold).sum()), int((well[column] >= threshold).sum())
            assert counts == {"tp": tp, "fp": fp, "fn": len(sick) - tp, "tn": len(well) - fp}
            low, high = wilson(tp, len(sick))
            assert limits == f"{100 * max(0, low):.1f}% to {100 * min(1, high):.1f}%"
            benefit = 1000 * (tp - fp / 9) / len(films)  # at the study's prevalence, one tumour for nine false alarms
            assert texts["benefit"].replace("\N{MINUS SIGN}", "-") == f"{benefit:.1f}"
            if tp + fp:
                assert texts["ppv"] == f"{100 * tp / (tp + fp):.1f}%"


def test_prevalence_changes_predictive_values_by_bayes(page, open_page):
    opened = open_page(page.report)
    slider = opened.page.locator("[data-control=prevalence]")
    slider.evaluate("s => { s.value = -200; s.dispatchEvent(new Event('input', {bubbles: true})); }")  # 1 in 100
    counts, texts, _ = card(opened, "transfer")
    sens, spec = counts["tp"] / (counts["tp"] + counts["fn"]), counts["tn"] / (counts["tn"] + counts["fp"])
    ppv = 0.01 * sens / (0.01 * sens + 0.99 * (1 - spec))
    assert texts["ppv"] == f"{100 * ppv:.1f}%"
    assert texts["sensitivity"] == f"{100 * sens:.1f}%"


def test_keyboard_tour_of_the_explorer(page, open_page):
    opened = open_page(page.report)
    keyboard = opened.page.keyboard
    opened.page.locator("[data-control=mode]").focus()
    keyboard.press("ArrowDown")  # the recalibrated risk
    assert opened.page.locator("[data-control=mode]").input_value() == "risk"
    keyboard.press("Tab")
    focused = "document.activeElement.dataset.control"
    assert opened.page.evaluate(focused) == "slider"
    before = card(opened, "transfer")[0]
    for _ in range(30):
        keyboard.press("ArrowRight")
    assert opened.page.locator("[data-control=slider]").input_value() == "130"
    assert card(opened, "transfer")[0]["tp"] <= before["tp"]
    keyboard.press("Tab")
    assert opened.page.evaluate(focused) == "seed"
    keyboard.press("Tab")
    assert opened.page.evaluate(focused) == "prevalence"
    keyboard.press("Home")
    keyboard.press("Tab")
    keyboard.press("Enter")  # 'as in the study'
    assert "per 1,000" not in opened.page.locator("[data-control=prevalence] + .after").inner_text()
    keyboard.press("Tab")
    assert opened.page.evaluate(focused) == "odds"


# --- print ------------------------------------------------------------------------------------------------------------


def pages_text(pdf):
    """Text of each page of a PDF that Chromium wrote: glyph codes through their ToUnicode maps."""
    raw = pdf.read_bytes()
    objects = dict(re.findall(rb"(?s)(\d+) 0 obj\b(.*?)\bendobj", raw))
    streams = {}
    for key, body in objects.items():
        if found := re.search(rb"(?s)stream\r?\n(.*?)\r?\nendstream", body):
            # an object, for a stream whose last byte looks like the line's end has lost it to the pattern
            streams[key] = zlib.decompressobj().decompress(found[1]) if b"FlateDecode" in body else found[1]
    maps = {
        key: _glyphs(streams[m[1]]) for key, body in objects.items() if (m := re.search(rb"/ToUnicode (\d+) 0 R", body))
    }
    for body in objects.values():
        if re.search(rb"/Type\s*/Page\b", body):
            fonts = dict(re.findall(rb"/(F\d+) (\d+) 0 R", body))
            content = streams[re.search(rb"/Contents (\d+) 0 R", body)[1]]
            yield _text(content, {name: maps.get(number, {}) for name, number in fonts.items()})


def _glyphs(cmap):
    found = {}
    for low, high, start in re.findall(rb"<(\w{4})> <(\w{4})> <(\w{4})>", cmap):
        found |= {int(low, 16) + i: chr(int(start, 16) + i) for i in range(int(high, 16) - int(low, 16) + 1)}
    found |= {int(code, 16): chr(int(char[:4], 16)) for code, char in re.findall(rb"(?m)^<(\w{4})> <(\w{4,})>$", cmap)}
    return found


def _text(content, fonts):
    text, glyphs = [], {}
    for name, shown in re.findall(rb"/(F\d+) [\d.]+ Tf|<([0-9A-Fa-f]+)>", content):
        if name:
            glyphs = fonts.get(name, {})
        else:
            text += [glyphs.get(int(shown[i : i + 4], 16), "?") for i in range(0, len(shown), 4)]
    return "".join(text)


def test_every_printed_page_says_research_use_only(page):
    pdf = write_pdf(page.report)
    pages = [text.replace(" ", "") for text in pages_text(pdf)]
    assert 4 <= len(pages) <= 30
    assert all("Researchuseonly" in text for text in pages)
    assert "Whatitwouldmeanatthereadingdesk" in pages[0]
    # the two-minute page is one page: its last column and the next section's heading do not share a sheet
    assert "Twomissesofeacharm" in pages[0]
    assert "Filmsandpatients" not in pages[0]
    assert "Filmsandpatients" in pages[1]
    assert b"/StructTreeRoot" in pdf.read_bytes()


def test_three_arms_fit_the_first_printed_page_too(tmp_path):
    arms = ("scratch", "transfer", "photographs")
    study = make_outputs(tmp_path / "out", tmp_path / "data", arms=arms, films=60, malignant=24, notebooks=False)
    first, second, *_ = (text.replace(" ", "") for text in pages_text(write_pdf(build_report(
        study, tmp_path / "out", tmp_path / "data"))))  # fmt: skip
    assert "Twomissesofeacharm" in first
    assert "tooweakforanalarm" in first
    assert "Filmsandpatients" in second
