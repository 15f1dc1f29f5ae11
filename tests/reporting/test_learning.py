"""Scarce labels and checkpoints on the page: drawn, told in words, numbers from statistics.json."""

import json
import shutil
import warnings
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from bs4 import BeautifulSoup
from test_figures import check_words_apart, crowded, texts_of
from test_page import check_numbers

from osteotl.reporting.figures import FIGURES, draw_all, read_tables
from osteotl.reporting.page import build_report
from osteotl.reporting.style import apply
from osteotl.reporting.wording import typeset
from osteotl.statistics.analysis import Inputs, Settings, analyse


def told_apart(rows, gain, step):
    """The same films scored with the given separation for each arm, whatever the seed."""
    noise = np.random.default_rng(step).normal(size=len(rows))
    logit = rows["label"] * rows["arm"].map(gain) - 1 + noise
    return rows.assign(logit=logit, score=1 / (1 + np.exp(-logit)))


@pytest.fixture(scope="module")
def learnt(page, tmp_path_factory):
    """The ordinary study with half of the labels, both ways, and two checkpoints; the arms end alike."""
    out = tmp_path_factory.mktemp("learnt") / "outputs"
    shutil.copytree(page.out, out)
    base = pd.read_csv(out / "predictions.csv", dtype={"image_id": str, "patient_id": str})
    ends = dict.fromkeys(page.study.arms, 2.5)
    whole, half = (told_apart(base, ends, 1), told_apart(base.assign(fraction=0.5), dict.fromkeys(ends, 1.0), 2))
    outside = base[base["cohort"] == "external"]
    early = dict.fromkeys(ends, 3.0) | {page.study.reference: 0.1}
    extra = [told_apart(outside, early, step).assign(training="equal_steps", step=step, last_step=90)
             for step in (30, 60)]  # fmt: skip
    other = told_apart(outside.assign(fraction=0.5), dict.fromkeys(ends, 0.5), 3)
    extra.append(other.assign(training="equal_epochs", step=45, last_step=45))
    settings = replace(Settings.of(page.study), bootstrap=100, fraction_training="both")
    made = analyse(Inputs(settings, pd.concat([whole, half]), extra=pd.concat(extra)))
    shutil.rmtree(out / "tables")
    made.write(lambda name: (out / name).parent.mkdir(exist_ok=True, parents=True) or out / name)
    draw_all(made.statistics, read_tables(out / "tables"), out / "figures")
    return replace(page, out=out, report=build_report(page.study, out, page.data))


def test_the_page_says_that_the_start_buys_convergence(learnt):
    soup = BeautifulSoup(learnt.report.read_text(encoding="utf-8"), "html.parser")
    statistics = json.loads((learnt.out / "statistics.json").read_text())
    found = statistics["comparisons"]["transfer"]["convergence"]
    assert found["buys"] == "convergence"
    assert typeset(found["sentence"]) in soup.select_one("#seeds #convergence").get_text()
    assert soup.select_one("#seeds #figure-steps_curve img")["alt"].endswith(typeset(found["sentence"]))


def test_the_page_says_which_share_of_labels_equals_all(learnt):
    soup = BeautifulSoup(learnt.report.read_text(encoding="utf-8"), "html.parser")
    statistics = json.loads((learnt.out / "statistics.json").read_text())
    equal = statistics["learning"]["transfer"]["equal_fraction"]
    text = soup.select_one("#label-savings").get_text()
    assert equal["sentence"] in text
    for name in ("estimate", "lower", "upper"):
        shown = soup.select_one(f'[data-source="learning.transfer.equal_fraction.{name}"]')
        assert (shown is None) is (equal[name] is None)
    assert ("not reached" in text) is (None in equal.values())


def test_every_number_is_the_one_in_statistics_json(learnt):
    assert check_numbers(learnt) > 300
    soup = BeautifulSoup(learnt.report.read_text(encoding="utf-8"), "html.parser")
    sources = [node["data-source"] for node in soup.select("[data-source]")]
    assert "arms.transfer.learning_curve_equal_epochs.0.auc.estimate" in sources
    assert "comparisons.transfer.convergence.steps.0.difference.estimate" in sources


@pytest.mark.parametrize("many", [False, True])
@pytest.mark.parametrize("name", ["learning_curve", "steps_curve"])
def test_figures_keep_their_words_apart(learnt, name, many):
    study = json.loads((learnt.out / "statistics.json").read_text()), read_tables(learnt.out / "tables")
    apply()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure = FIGURES[name](*(crowded(*study) if many else study)).figure
        texts = texts_of(figure)
    check_words_apart(figure, texts)
    plt.close(figure)


def test_both_ways_to_train_a_fraction_are_drawn(learnt):
    table = read_tables(learnt.out / "tables")["learning_curve"]
    statistics = json.loads((learnt.out / "statistics.json").read_text())
    drawn = FIGURES["learning_curve"](statistics, {"learning_curve": table})
    one = FIGURES["learning_curve"](statistics, {"learning_curve": table[table["training"] == "equal_steps"]})
    assert "at equal epochs" in drawn.alt
    assert "at equal epochs" not in one.alt
    assert len(drawn.figure.axes[0].lines) == 2 * len(one.figure.axes[0].lines)
    legends = [text.get_text() for text in drawn.figure.legends[0].get_texts()]
    assert "hollow: equal epochs" in legends
    plt.close("all")


def test_without_checkpoints_the_figure_is_left_out_with_the_reason(learnt, tmp_path):
    statistics, tables = json.loads((learnt.out / "statistics.json").read_text()), read_tables(learnt.out / "tables")
    del tables["steps_curve"]
    assert draw_all(statistics, tables, tmp_path)["left_out"]["steps_curve"] == (
        "no checkpoint was scored (detector.checkpoints)"
    )
