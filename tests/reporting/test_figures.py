"""Figures: the same bytes twice, nothing outside or on top of one another, findings that follow the numbers."""

from __future__ import annotations

import copy
import json
import warnings
from itertools import combinations

import matplotlib.pyplot as plt
import pandas as pd
import pytest
from PIL import Image

from osteotl.reporting.figures import FIGURES, NoData, draw_all, read_tables
from osteotl.reporting.figures.parts import one_in
from osteotl.reporting.style import apply, looks
from osteotl.reporting.wording import interval

HOSTILE = "_under $x$ \\frac{ <b>&amp;</b> {0} %s of sixty characters, or so"
COLUMN = round(84 / 25.4 * 300)
"""Pixels of one journal column at 300 dpi."""


@pytest.fixture(scope="module")
def study(page):
    """statistics.json and the tables of a study that the real functions analysed."""
    return json.loads((page.out / "statistics.json").read_text()), read_tables(page.out / "tables")


@pytest.fixture(scope="module")
def drawn(study, tmp_path_factory):
    folder = tmp_path_factory.mktemp("figures")
    return folder, draw_all(*study, folder)


def hollow(content):
    """The same statistics with every number missing."""
    if isinstance(content, dict) and "estimate" in content:
        return content | {"estimate": None, "lower": None, "upper": None, "not_estimable": "planted"}
    if isinstance(content, dict):
        return {key: hollow(value) for key, value in content.items()}
    return [hollow(value) for value in content] if isinstance(content, list) else content


def relabelled(statistics, text):
    """The same statistics, the arms named by hostile text."""
    changed = copy.deepcopy(statistics)
    for arm in changed["settings"]["arms"].values():
        arm["label"] = text
    return changed


def test_same_numbers_same_bytes(study, drawn, tmp_path):
    folder, index = drawn
    assert draw_all(*study, tmp_path) == index
    for path in sorted(folder.iterdir()):
        assert (tmp_path / path.name).read_bytes() == path.read_bytes(), path.name


def test_every_figure_fits_a_column_and_has_its_numbers_beside_it(drawn):
    folder, index = drawn
    assert set(index["figures"]) | set(index["left_out"]) == set(FIGURES)
    for name, words in index["figures"].items():
        with Image.open(folder / f"{name}.png") as picture:
            assert abs(picture.width - COLUMN) <= 1, name
            assert picture.info["dpi"] == pytest.approx((300, 300), abs=1)
        assert len(pd.read_csv(folder / f"{name}.csv")), name
        assert {"alt", "title", "shown", "good", "bad"} <= set(words)
        assert not any("{" in text for text in words.values()), name


def texts_of(figure):
    """Every text that a reader sees, with where it stands in pixels."""
    figure.draw_without_rendering()
    renderer = figure.canvas.get_renderer()
    found = [t for axes in figure.axes for t in [*axes.texts, axes.xaxis.label, axes.yaxis.label, axes.title]]
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            found += [tick.label1 for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]
        found += axes.get_legend().get_texts() if axes.get_legend() else []
    found += [t for legend in figure.legends for t in legend.get_texts()]
    return [(t.get_text(), t.get_window_extent(renderer)) for t in found if t.get_text() and t.get_visible()]


def check_words_apart(figure, texts):
    """No text leaves the figure, and none lies on another."""
    width, height = figure.get_size_inches() * figure.dpi
    for words, box in texts:
        assert min(box.x0, box.y0, width - box.x1, height - box.y1) >= -1, words
    for (one, a), (other, b) in combinations(texts, 2):
        overlap = min(a.x1, b.x1) - max(a.x0, b.x0), min(a.y1, b.y1) - max(a.y0, b.y0)
        assert min(overlap) < 1.5, (one, other)


def crowded(statistics, tables):
    """The same study with four arms."""
    more, tables = copy.deepcopy(statistics), dict(tables)
    for arm in ("photographs", "control"):
        more["settings"]["arms"][arm] = {"label": f"the arm of {arm} with a name of some length"}
        for part in ("arms", "comparisons"):
            more[part][arm] = copy.deepcopy(more[part]["transfer"])
        more["subgroups"] += [g | {"arm": arm} for g in statistics["subgroups"] if g["arm"] == "transfer"]
        for name, table in tables.items():
            if "arm" in table:
                tables[name] = pd.concat([table, table[table["arm"] == "transfer"].assign(arm=arm)])
    return more, tables


@pytest.mark.parametrize("kind", ["ordinary", "hostile", "crowded"])
@pytest.mark.parametrize("name", list(FIGURES))
def test_no_text_overlaps_another_or_leaves_the_figure(study, name, kind):
    statistics, tables = crowded(*study) if kind == "crowded" else study
    apply()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            figure = FIGURES[name](relabelled(statistics, HOSTILE) if kind == "hostile" else statistics, tables).figure
        except NoData:
            return
        texts = texts_of(figure)
    check_words_apart(figure, texts)
    plt.close(figure)


def test_alternative_texts_state_what_the_numbers_say(study, drawn):
    statistics, tables = study
    figures = drawn[1]["figures"]
    for result in statistics["arms"].values():
        assert interval(result["auc"]) in figures["roc"]["alt"]
        assert interval(result["average_precision"]) in figures["precision_recall"]["alt"]
    for comparison in statistics["comparisons"].values():
        assert comparison["verdict"]["sentence"] in figures["auc_difference"]["alt"]
    changed = copy.deepcopy(statistics)
    changed["arms"]["scratch"]["auc"] |= {"estimate": 0.1234, "lower": 0.1, "upper": 0.2}
    assert "0.123 (0.100 to 0.200)" in FIGURES["roc"](changed, tables).alt
    plt.close("all")


def test_nothing_estimable_is_drawn_and_said(study, tmp_path):
    statistics, tables = study
    index = draw_all(hollow(statistics), tables, tmp_path)
    for name in ("roc", "auc_difference", "operating_points", "subgroups", "seeds", "calibration"):
        text = index["figures"][name]["alt"]
        # the verdict's sentence is text and stays; every number of the other figures is gone
        assert name == "auc_difference" or "estimable" in text, name
        assert "nan" not in text.lower().split()
    assert index["left_out"]["predictive_values"] == "no predictive value was estimable"


def test_what_a_study_lacks_is_left_out_with_the_reason(study, tmp_path):
    statistics, tables = study
    fewer = {name: table for name, table in tables.items() if name not in ("froc", "decision_curve")}
    index = draw_all(statistics, fewer, tmp_path)
    assert index["left_out"]["localisation"] == "the study has no table froc.csv"
    assert not (tmp_path / "localisation.png").exists()
    assert not (tmp_path / "decision_curve.svg").exists()


def test_arms_differ_by_more_than_colour():
    six = looks([f"arm{i}" for i in range(6)], "arm3")
    assert next(iter(six)) == "arm3"
    assert len({(look.dashes) for look in six.values()}) == len({look.marker for look in six.values()}) == 6


def test_axes_show_where_the_data_are(study):
    statistics, tables = study
    apply()
    low, high = FIGURES["subgroups"](statistics, tables).figure.axes[0].get_xlim()
    drawn = pd.DataFrame([g["auc"] for g in statistics["subgroups"]]).dropna(subset=["lower"])
    assert low > 0.8 * drawn["lower"].min()
    assert high < 1.2
    froc = tables["froc"].groupby(["arm", "seed"])[["fp_per_film", "sensitivity"]]
    rises = max(run.loc[run["sensitivity"].idxmax(), "fp_per_film"] for _, run in froc)
    assert FIGURES["localisation"](statistics, tables).figure.axes[0].get_xlim()[1] >= rises
    plt.close("all")


@pytest.mark.parametrize(
    ("prevalence", "words"),
    [(0.36, "36 in 100"), (0.1, "1 in 10"), (0.01, "1 in 100"), (0.001, "1 in 1,000"), (0.025, "1 in 40"),
     (0.5, "1 in 2"), (0.75, "75 in 100"), (0.003, "3 in 1,000")],
)  # fmt: skip
def test_prevalence_as_clinicians_say_it(prevalence, words):
    assert one_in(prevalence) == words
