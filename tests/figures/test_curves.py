"""Figures: what they draw is what the tables hold, the mean over runs is the strong line, nothing overlaps."""

from __future__ import annotations

import re
import warnings
from dataclasses import replace
from itertools import combinations
from xml.etree import ElementTree

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image
from sklearn.metrics import roc_auc_score

from diagnostic_accuracy import estimates
from osteotl import figures
from osteotl.figures import Figure, Omitted, read_tables, save_figures
from osteotl.figures.curves import calibration_groups
from osteotl.figures.parts import fixed, interval, looks, one_in, themed

HOSTILE = "_under $x$ \\frac{ <b>&amp;</b> {0} %s of eighty characters, to which this name of a model is padded"
COLUMN = round(84 / 25.4 * 300)  # pixels of one journal column at 300 dpi

DRAWN = {
    "roc": {},
    "precision_recall": {},
    "localisation": {"hit_rule": "iou30"},
    "calibration": {},
    "decision_curve": {},
    "auc_difference": {"margin": 0.03},
    "difference_draws": {"margin": 0.03},
    "operating_points": {},
    "runs": {},
    "subgroups": {},
    "scores": {},
    "predictive_values": {},
}


def draw(name, study, **settings):
    """One figure of a study."""
    return getattr(figures, name)(study.results, study.tables, study.labels, **DRAWN[name] | settings)


@pytest.fixture(scope="module")
def drawn(study):
    return {name: draw(name, study) for name in DRAWN}


@pytest.fixture(scope="module")
def saved(drawn, tmp_path_factory):
    folder = tmp_path_factory.mktemp("figures")
    return folder, save_figures(drawn, folder)


# --- what is drawn ----------------------------------------------------------------------------------------------------


def lines_of(figure, panel=0):
    """x and y of every line of a panel that has more than two points, by its width."""
    return [
        (line.get_linewidth(), line.get_xydata())
        for line in figure.picture.axes[panel].lines
        if len(line.get_xdata()) > 2
    ]


@pytest.mark.parametrize(
    ("name", "table"), [("roc", "roc"), ("precision_recall", "precision_recall"), ("localisation", "froc")]
)
def test_the_strong_line_is_the_mean_over_runs_and_faint_ones_are_the_runs(study, drawn, name, table):
    rows = study.tables[table]
    strong = [xy for width, xy in lines_of(drawn[name]) if width > 1]
    faint = [xy for width, xy in lines_of(drawn[name]) if width <= 1]
    for arm in study.labels:
        own = rows[rows["arm"] == arm]
        mean = own.loc[own["run"] == "", ["x", "y"]].to_numpy()
        assert any(xy.shape == mean.shape and np.array_equal(xy, mean) for xy in strong)
        for _, run in own[own["run"] != ""].groupby("run"):
            assert any(np.array_equal(xy, run[["x", "y"]].to_numpy()) for xy in faint)
    assert "mean over 3 runs" in drawn[name].caption
    labels = [text.get_text() for legend in drawn[name].picture.legends for text in legend.get_texts()]
    assert "strong: mean over 3 runs" in labels


def test_with_one_run_the_strong_line_is_that_run_and_the_label_says_so(one_run):
    figure = draw("roc", one_run)
    assert "Strong line: the only run" in figure.caption
    assert not [text for legend in figure.picture.legends for text in legend.get_texts() if "mean" in text.get_text()]
    assert max(width for width, _ in lines_of(figure)) > 1


def test_runs_of_people_are_called_readers(study):
    read = replace(study, results=study.results.assign(basis="readers and patients"))
    assert "mean over 3 readers" in draw("roc", read).caption
    assert "reader 0" in set(draw("runs", read).numbers["row"])


def test_roc_marks_the_mean_operating_points_of_the_validation_thresholds(study, drawn):
    axes = drawn["roc"].picture.axes[0]
    marks = [line.get_xydata() for line in axes.lines if line.get_marker() not in ("None", None, "")]
    for arm in study.labels:
        rate = {
            measure: estimates.one(study.results, measure=measure, arm=arm, run=None, reference=None, unit="film",
                                   prevalence=None, point="youden", threshold_from="validation")["estimate"]
            for measure in ("sensitivity", "specificity")
        }  # fmt: skip
        wanted = [1 - rate["specificity"], rate["sensitivity"]]
        assert any(np.isclose(mark, wanted).all(axis=1).any() for mark in marks)


def test_alternative_texts_state_the_numbers_of_the_results(study, drawn):
    whole = {"section": "discrimination", "measure": "auc", "run": None, "unit": "film"}
    for arm, label in study.labels.items():
        row = estimates.one(study.results, arm=arm, reference=None, **whole)
        assert f"{label} {interval(row)}" in drawn["roc"].alt
    assert interval(estimates.one(study.results, reference="scratch", **whole)) in drawn["auc_difference"].alt
    changed = study.results.copy()
    hit = estimates.select(changed, arm="scratch", reference=None, **whole).index
    changed.loc[hit, ["estimate", "lower", "upper"]] = [0.1234, 0.1, 0.2]
    assert "0.123 (0.100 to 0.200)" in draw("roc", replace(study, results=changed)).alt


def test_runs_shows_every_auc_without_interval_and_the_mean_with_one(study, drawn):
    numbers = drawn["runs"].numbers
    outside = study.scores.external
    for run in (0, 1, 2):
        shown = numbers[(numbers["arm"] == "transfer") & (numbers["row"] == f"run {run}")].iloc[0]
        assert shown["estimate"] == pytest.approx(roc_auc_score(outside.label, outside.values["transfer", run]))
        assert pd.isna(shown["lower"])
    assert numbers.loc[numbers["row"] == "mean", "lower"].notna().all()


def test_histograms_average_the_runs(study, drawn):
    """Every film stands once, however many runs there are."""
    numbers, outside = drawn["scores"].numbers, study.scores.external
    for arm in study.labels:
        own = numbers[numbers["arm"] == arm]
        assert own["malignant"].sum() == pytest.approx(outside.label.sum())
        assert own["normal"].sum() == pytest.approx((~outside.label).sum())


def test_decision_curves_show_models_differences_and_acting_on_every_film(study):
    figure = draw("decision_curve", study, prevalence=0.1)
    upper, lower = figure.picture.axes
    at = np.sort(study.results.loc[study.results["measure"] == "net_benefit", "at"].dropna().unique())
    # net benefit of acting on every film at a share of 0.1: 0.1 - 0.9 t / (1 - t)
    everyone = 1000 * (0.1 - 0.9 * at / (1 - at))
    assert any(np.allclose(line.get_ydata(), everyone) for line in upper.lines if len(line.get_ydata()) == len(at))
    rows = estimates.select(study.results, measure="net_benefit", prevalence=0.1, reference="scratch", run=None)
    wanted = 1000 * rows.sort_values("at")["estimate"].to_numpy()
    assert any(np.allclose(line.get_ydata(), wanted) for line in lower.lines if len(line.get_ydata()) == len(at))
    assert "1 in 10 malignant" in figure.alt


def test_calibration_groups_are_averaged_group_by_group():
    table = pd.DataFrame({"arm": "a", "recalibration": "none", "run": ["0", "0", "1", "1"],
                          "predicted": [0.1, 0.5, 0.3, 0.7], "observed": [0.0, 0.4, 0.2, 1.0]})  # fmt: skip
    mean = calibration_groups(table).query("run == ''")
    # first groups (0.1 + 0.3) / 2 and (0 + 0.2) / 2; second groups (0.5 + 0.7) / 2 and (0.4 + 1) / 2
    assert mean[["predicted", "observed"]].round(12).to_numpy().tolist() == [[0.2, 0.1], [0.6, 0.7]]


# --- files ------------------------------------------------------------------------------------------------------------


def test_same_numbers_same_bytes(study, saved, tmp_path):
    folder, index = saved
    assert save_figures({name: draw(name, study) for name in DRAWN}, tmp_path) == index
    for path in sorted(folder.iterdir()):
        assert (tmp_path / path.name).read_bytes() == path.read_bytes(), path.name


def test_every_figure_fits_a_column_and_has_its_numbers_and_words(saved):
    folder, index = saved
    assert set(index) == set(DRAWN)
    for name, entry in index.items():
        with Image.open(folder / f"{name}.png") as picture:
            assert abs(picture.width - COLUMN) <= 1, name
        assert len(pd.read_csv(folder / f"{name}.csv")), name
        assert {"title", "caption", "alt", "good", "bad"} <= set(entry)
        assert not {"high_sensitivity", "transfer", "nan", "{"} & set(
            re.split(r"[\s;,.:()]+", " ".join(entry.values()))
        )


def test_svg_has_the_colours_of_the_page_and_nothing_that_its_policy_forbids(saved):
    folder, index = saved
    names = set()
    for name, entry in index.items():
        text = (folder / f"{name}.svg").read_text(encoding="utf-8")
        root = ElementTree.fromstring(text)
        assert root.get("role") == "img"
        assert root.get("aria-label") == entry["alt"]
        colours = {node.get(side) for node in root.iter() for side in ("fill", "stroke")} - {
            None,
            "none",
            "currentColor",
        }
        assert all(re.fullmatch(r"var\(--(soft|rule|paper|arm-\d), #[0-9a-f]{6}\)", colour) for colour in colours), (
            colours
        )
        for node in root.iter():
            assert node.tag.rpartition("}")[2] in {"svg", "g", "path", "text", "tspan", "clipPath", "rect", "defs"}, (
                node.tag
            )
            assert not {"style", "class"} & set(node.attrib) or node is root
            if node.get("id"):
                assert node.get("id").startswith(f"{name}-")
                names.add(node.get("id"))
            if node.get("clip-path"):
                assert f'id="{node.get("clip-path")[5:-1]}"' in text
        assert "<text" in text, "text must stay text"
    assert names


def test_an_svg_of_several_figures_repeats_no_identifier(saved):
    folder, index = saved
    found = [i for name in index for i in re.findall(r'\bid="([^"]+)"', (folder / f"{name}.svg").read_text())]
    assert len(found) == len(set(found))


def test_themed_by_hand():
    names = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
    svg = (f'<svg {names} width="72pt" height="36pt">'
           '<metadata>x</metadata><defs><path id="m" d="M 0 0.123456 L 1 1" style="stroke: #0067a3"/></defs>'
           '<g id="a"><use xlink:href="#m" x="10.5" y="2" style="stroke: #000000"/></g></svg>')  # fmt: skip
    root = ElementTree.fromstring(themed(svg, "mine", "a & b"))
    (path,) = root.iter("{http://www.w3.org/2000/svg}path")
    # 72 pt are 96 CSS pixels; the reference becomes the shape where it stands; the later style wins
    assert (root.get("width"), root.get("aria-label")) == ("96", "a & b")
    assert dict(path.attrib) == {"d": "M 0 0.12 L 1 1", "transform": "translate(10.5 2)", "stroke": "currentColor"}


def test_tables_are_read_with_empty_texts(tmp_path):
    (tmp_path / "roc.csv").write_text("arm,run,threshold,x,y\n1.0,,,0,0\n1.0,0,0.5,1,1\n")
    table = read_tables(tmp_path)["roc"]
    assert table["arm"].tolist() == ["1.0", "1.0"]
    assert table["run"].tolist() == ["", "0"]


def test_signs_that_the_font_lacks_are_text_in_the_svg(study, tmp_path):
    labels = {arm: f"v1.0 \N{BONE} {arm}" for arm in study.labels}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        save_figures({"roc": draw("roc", replace(study, labels=labels))}, tmp_path)
    assert "v1.0 \N{BONE} transfer" in (tmp_path / "roc.svg").read_text(encoding="utf-8")


# --- words on the picture ---------------------------------------------------------------------------------------------


def texts_of(figure):
    """Every text that a reader sees, with where it stands in pixels."""
    FigureCanvasAgg(figure)  # a closed figure has none
    figure.draw_without_rendering()
    renderer = figure.canvas.get_renderer()
    found = [t for axes in figure.axes for t in [*axes.texts, axes.xaxis.label, axes.yaxis.label, axes.title]]
    found += [axes._left_title for axes in figure.axes]
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            found += [tick.label1 for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]
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


@pytest.mark.parametrize("kind", ["study", "hostile", "four_models", "one_run"])
@pytest.mark.parametrize("name", list(DRAWN))
def test_no_text_overlaps_another_or_leaves_the_figure(request, name, kind):
    done = request.getfixturevalue("study" if kind == "hostile" else kind)
    labels = dict.fromkeys(done.labels, HOSTILE) if kind == "hostile" else done.labels
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure = draw(name, replace(done, labels=labels))
    if isinstance(figure, Figure):
        with plt.rc_context({"text.parse_math": False}):
            check_words_apart(figure.picture, texts_of(figure.picture))


# --- what is missing --------------------------------------------------------------------------------------------------


def test_what_a_study_lacks_is_left_out_with_the_reason(study, one_run, tmp_path):
    assert draw("runs", one_run).reason == "one run of a model: the spread between runs is unknown"
    assert draw("calibration", one_run).reason == "the study has no table calibration.csv"
    assert draw("decision_curve", one_run) == Omitted("no net benefit was computed")
    alone = replace(study, labels={"scratch": "trained from scratch"})
    assert draw("auc_difference", alone).reason == "one model: nothing to compare it with"
    assert figures.learning_curve(study.results, study.tables, study.labels).reason.startswith("one label fraction")
    assert figures.steps_curve(study.results, study.tables, study.labels).reason.startswith("no checkpoint")
    index = save_figures({"runs": draw("runs", one_run)}, tmp_path)
    assert index == {"runs": {"left_out": "one run of a model: the spread between runs is unknown"}}
    assert [path.name for path in tmp_path.iterdir()] == ["index.json"]


def test_numbers_that_cannot_be_estimated_are_said_and_not_drawn_as_nan(study):
    hollow = study.results.assign(estimate=np.nan, lower=np.nan, upper=np.nan)
    for name in ("roc", "precision_recall", "auc_difference", "operating_points", "subgroups", "runs"):
        figure = draw(name, replace(study, results=hollow))
        assert "estima" in figure.alt, name
        assert "nan" not in figure.alt.lower().split(), name


def test_learning_and_steps_curves_show_the_mean_with_intervals(study):
    parts = [study.results.assign(fraction=f) for f in (0.1, 1.0)]
    figure = figures.learning_curve(estimates.join(*parts), study.tables, study.labels)
    assert figure.alt.startswith("AUC against the share of labels: with 10 % of the labels trained from scratch 0.")
    assert not [text for text in figure.picture.legends[0].get_texts() if "hollow" in text.get_text()]
    epochs = estimates.select(study.results, section="discrimination", measure="auc").assign(
        section="learning", group="equal_epochs", fraction=0.1
    )
    both = figures.learning_curve(estimates.join(*parts, epochs), study.tables, study.labels)
    assert [text for text in both.picture.legends[0].get_texts() if text.get_text() == "hollow: equal epochs"]
    rows = [{"arm": arm, "run": run, "step": step, "estimate": 0.8, "lower": 0.7, "upper": 0.9}
            for arm in study.labels for run in ("", "0") for step in (1, 500)]  # fmt: skip
    figure = figures.steps_curve(study.results, {"steps_curve": pd.DataFrame(rows)}, study.labels)
    assert "after 1 step trained from scratch 0.800 (0.700 to 0.900)" in figure.alt
    assert "after 500 steps" in figure.alt


def test_robustness_starts_at_the_unchanged_films_and_names_the_lowest_auc(study):
    assert figures.robustness(study.results, study.tables, study.labels).reason.startswith("films were not changed")
    main = estimates.select(study.results, section=["discrimination", "operating_points"], unit="film", run=None)
    main = main[main["measure"].isin(["auc", "sensitivity"]) & main["point"].isin(["", "high_sensitivity"])]
    main = main[(main["threshold_from"] != "external") & main["prevalence"].isna() & (main["reference"] == "")]
    parts = []
    for number, change in enumerate(("exposure", "blur")):
        for step in (1, 2, 3):
            fall = 0.05 * step + 0.01 * number
            lower = {name: main[name] - fall for name in ("estimate", "lower", "upper")}
            parts.append(main.assign(section="robustness", group=change, at=float(step), **lower))
    figure = figures.robustness(estimates.join(study.results, *parts), study.tables, study.labels)
    auc = estimates.one(main, measure="auc", arm="scratch")
    lowest = f"{auc['estimate'] - 0.16:.3f} ({auc['lower'] - 0.16:.3f} to {auc['upper'] - 0.16:.3f})"
    assert f"trained from scratch {lowest} (blur, step 3)" in figure.alt
    drawn = figure.numbers[(figure.numbers["measure"] == "auc") & (figure.numbers["arm"] == "scratch")]
    assert drawn[drawn["at"] == 0]["estimate"].tolist() == [auc["estimate"]] * 2  # once for each change
    assert len(figure.numbers) == len(study.labels) * 2 * 2 * 4  # measures, changes, steps
    titles = [axes.get_title() for axes in figure.picture.axes]
    assert [title for title in titles if title] == ["exposure", "blur"] * 2


# --- looks and words --------------------------------------------------------------------------------------------------


def test_models_differ_by_more_than_colour():
    six = looks({f"arm{i}": f"model {i}" for i in range(6)})
    assert len({look.dashes for look in six.values()}) == len({look.marker for look in six.values()}) == 6


@pytest.mark.parametrize(
    ("prevalence", "words"),
    [(0.36, "36 in 100"), (0.1, "1 in 10"), (0.01, "1 in 100"), (0.001, "1 in 1,000"), (0.025, "1 in 40"),
     (0.5, "1 in 2"), (0.75, "75 in 100"), (0.003, "3 in 1,000")],
)  # fmt: skip
def test_prevalence_as_clinicians_say_it(prevalence, words):
    assert one_in(prevalence) == words


def test_numbers_have_true_minus_signs_and_zero_has_none():
    assert fixed(-0.0004) == "0.000"
    assert fixed(-1234.5, 1) == "\N{MINUS SIGN}1,234.5"
    assert interval({"estimate": 0.5, "lower": None, "upper": None}) == "0.500 (no interval)"
    assert interval(None) == "not estimable"
