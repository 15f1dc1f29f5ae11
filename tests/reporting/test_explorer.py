"""The explorer's counts, by counting films one by one."""

import json

import numpy as np
import pandas as pd
import pytest

from osteotl.reporting.explorer import explorer_data, explorer_fragment, risk_counts, sensitivity_counts

LABEL = np.array([1, 1, 1, 1, 0, 0, 0, 0, 0])
SCORE = np.array([0.9, 0.8, 0.8, 0.1, 0.85, 0.8, 0.3, 0.1, 0.0])


def test_risk_counts_by_hand():
    counts = risk_counts(LABEL, SCORE)
    assert len(counts["tp"]) == len(counts["fp"]) == 1001
    # at 0.8: 0.9, 0.8, 0.8 of the malignant, 0.85 and 0.8 of the others; a film at the threshold is called
    assert (counts["tp"][800], counts["fp"][800]) == (3, 2)
    assert (counts["tp"][801], counts["fp"][801]) == (1, 1)
    assert (counts["tp"][0], counts["fp"][0]) == (4, 5)
    assert (counts["tp"][1000], counts["fp"][1000]) == (0, 0)


def test_sensitivity_counts_by_hand():
    # none or one asked for: just above the 0.85 of a normal film, one found; two or three: down to above the
    # normal 0.3, three found (0.8 stands twice), two false alarms; all four: 0.1, four false alarms
    assert sensitivity_counts(LABEL, SCORE) == {"k": [0, 1, 2, 3, 4], "tp": [1, 1, 3, 3, 4], "fp": [0, 0, 2, 2, 4]}


def test_at_most_a_thousand_steps():
    rng = np.random.default_rng(1)
    label, score = np.repeat([1, 0], [5000, 10]), rng.random(5010)
    counts = sensitivity_counts(label, score)
    assert len(counts["k"]) == 1001
    assert counts["k"][-1] == 5000


@pytest.mark.parametrize("seed", range(3))
def test_counts_agree_with_comparing_every_film(seed):
    rng = np.random.default_rng(seed)
    label = (rng.random(300) < 0.4).astype(int)
    risk = np.round(rng.random(300), 3)  # on the grid: the hard case for a float threshold
    counts = risk_counts(label, risk)
    for k in (1, 7, 29, 290, 570, 999):
        called = np.array([round(r * 1000) >= k for r in risk])
        assert counts["tp"][k] == int((called & (label == 1)).sum())
        assert counts["fp"][k] == int((called & (label == 0)).sum())


def test_target_090_is_the_studys_own_external_point(page):
    statistics = json.loads((page.out / "statistics.json").read_text(encoding="utf-8"))
    scores = pd.read_csv(page.out / "tables" / "scores.csv", dtype={"seed": str})
    data = explorer_data(statistics, scores)
    need = int(np.ceil(0.9 * data["n1"] - 1e-9))
    for arm in data["arms"]:
        for seed, run in arm["runs"].items():
            place = run["target"]["k"].index(need)
            point = statistics["arms"][arm["id"]]["per_seed"][seed]["operating_points"]["high_sensitivity@external"]
            assert [run["target"]["tp"][place], run["target"]["fp"][place]] == [point["tp"], point["fp"]]


def test_the_fragment_stands_alone_in_a_notebook(page):
    fragment = explorer_fragment(page.out)
    assert "<style>" in fragment
    assert "explorer-data" in fragment
    assert "explorer-static" in fragment


def test_the_fragment_without_scores_shows_the_table(page, tmp_path):
    (tmp_path / "statistics.json").write_bytes((page.out / "statistics.json").read_bytes())
    fragment = explorer_fragment(tmp_path)
    assert "cannot be moved" in fragment
    assert "High sensitivity".lower() in fragment.lower()
