"""Films without a score: counted by hand, and filled in at the worst and at the best by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from diagnostic_accuracy.estimates import select
from diagnostic_accuracy.missing import incomplete, missing_scores, worst_case
from diagnostic_accuracy.scores import scores_of

GAP = float("nan")


def table():
    """Two arms on six external films, three malignant (a, b, c), and a validation film without a score."""
    films = {"image_id": list("abcdef"), "label": [1, 1, 1, 0, 0, 0], "cohort": "external"}
    new = pd.DataFrame({**films, "arm": "new", "score": [0.9, 0.3, GAP, GAP, 0.4, 0.1], "reason": ""})
    old = pd.DataFrame({**films, "arm": "old", "score": [0.8, GAP, 0.7, 0.6, 0.5, 0.2], "reason": ""})
    new.loc[2, "reason"] = "timeout"
    last = pd.DataFrame({"image_id": "v", "label": 0, "cohort": "validation", "arm": ["new", "old"],
                         "score": [GAP, 0.1], "reason": "timeout"})  # fmt: skip
    return pd.concat([new, old, last], ignore_index=True).assign(seed=0)


def auc(scores, arm):
    """The share of pairs of a malignant and a normal film in which the malignant one scores higher."""
    values, label = scores.external.values[arm, 0], scores.external.label
    ill, well = values[label].to_numpy()[:, None], values[~label].to_numpy()
    return float(((ill > well) + 0.5 * (ill == well)).mean())


def test_films_that_lack_a_score_are_counted_by_class_arm_and_reason():
    assert set(table()["image_id"][incomplete(table())]) == {"b", "c", "d", "v"}
    found = missing_scores(table())

    def counts(arm, group):
        rows = found[(found["arm"] == arm) & (found["group"] == group)].set_index("measure")["estimate"]
        return rows["missing_malignant_films"], rows["missing_normal_films"]

    assert counts("", "external") == (2, 1)  # b and c; d
    assert counts("new", "external") == (1, 1)
    assert counts("old", "external") == (1, 0)
    assert counts("", "validation") == (0, 1)
    assert counts("", "reason=timeout") == (1, 0)  # c; the validation film is not counted among reasons
    assert counts("", "reason=not said") == (1, 1)
    assert set(select(found, group="external")["n"]) == {6}
    assert missing_scores(table()[~incomplete(table())]).empty


def test_the_extremes_of_the_auc_are_those_of_a_hand_count():
    # worst for new: c below and d above all. Pairs won by malignant a .9, b .3, c low against d high, e .4, f .1:
    # a beats e and f, b beats f: 3 of 9. old at its best: b is above all: a .8, b high, c .7 beat d .6, e .5, f .2: 9
    worst = scores_of(worst_case(table(), "new"))
    assert (auc(worst, "new"), auc(worst, "old")) == (pytest.approx(3 / 9), 1.0)
    # worst for old: b below all, a and c beat everything: 6 of 9. new at its best: c above, d below all: a beats d, e
    # and f, b beats d and f, c beats all: 8 of 9
    best = scores_of(worst_case(table(), "old"))
    assert (auc(best, "new"), auc(best, "old")) == (pytest.approx(8 / 9), pytest.approx(6 / 9))
    assert "v" not in best.values.index


def test_filled_scores_lie_beyond_those_of_their_own_run():
    rows = table()
    low, high = rows[rows["arm"] == "new"]["score"].agg(["min", "max"])
    filled = worst_case(rows, "new").set_index(["arm", "image_id"])["score"]
    assert filled["new", "c"] < low
    assert filled["new", "d"] > high
    assert np.isfinite(filled).all()


def test_an_unknown_arm_and_a_run_without_scores_are_refused():
    with pytest.raises(ValueError, match="arm"):
        worst_case(table(), "other")
    silent = table().assign(score=lambda t: t["score"].where(t["arm"] == "old"))
    with pytest.raises(ValueError, match="'new' has a run without any score"):
        worst_case(silent, "new")
