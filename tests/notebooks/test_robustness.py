"""Changed films on the one basis: thresholds of unchanged validation films, AUCs of the changed scores, known gaps."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from diagnostic_accuracy.bootstrap import bootstrap
from diagnostic_accuracy.estimates import one
from diagnostic_accuracy.inference import infer
from diagnostic_accuracy.scores import scores_of
from diagnostic_accuracy.thresholds import points_of
from osteotl.outputs import robustness_of
from simulated_scores import predictions

POINTS = points_of({"high_sensitivity": 0.9}, ("validation",))
FEW = {"replicates": 300, "recalibrations": (), "patients": False}


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Blur leaves transfer as it is and makes scratch's scores noise of no class."""
    folder = tmp_path_factory.mktemp("robustness")
    table = predictions(external=(90, 140)).assign(fraction=1.0, logit=0.0)
    table.to_csv(folder / "predictions.csv", index=False)
    external = table[table["cohort"] == "external"]
    noise = np.random.default_rng(8).random(len(external))
    score = np.where(external["arm"] == "scratch", noise, external["score"])
    rows = external[["image_id", "arm", "seed"]].assign(change="blur", step=2, score=score)
    rows.sample(frac=1, random_state=0).to_csv(folder / "robustness.csv", index=False)  # in any order
    settings = {"predictions": None, "robustness": True, "arms": ["scratch", "transfer"], "seeds": [0, 1, 2]}
    asked = SimpleNamespace(**settings, fractions=[1.0])
    return SimpleNamespace(study=asked, read=lambda name: folder / name), scores_of(table.drop(columns="logit"))


def test_scores_are_exchanged_on_external_films_alone(study):
    step, scores = study
    ((change, at, part),) = robustness_of(step, scores)
    assert (change, at) == ("blur", 2)
    pd.testing.assert_frame_equal(part.validation.values, scores.validation.values)
    pd.testing.assert_frame_equal(part.external.values["transfer"], scores.external.values["transfer"])
    changed = pd.read_csv(step.read("robustness.csv")).query("arm == 'scratch' and seed == 1").set_index("image_id")
    assert (part.external.values["scratch", 1] == changed["score"].reindex(part.external.values.index)).all()


def test_what_did_not_change_is_as_before_and_noise_has_no_auc(study):
    step, scores = study
    ((_, _, part),) = robustness_of(step, scores)
    plain, drawn = (bootstrap(one_of, POINTS, **FEW) for one_of in (scores, part))
    place = {"point": "high_sensitivity", "threshold_from": "validation"}
    for ask in ({"measure": "auc"}, {"measure": "sensitivity", **place}):
        before, after = (infer(of, reference="scratch", **ask) for of in (plain, drawn))
        same = {"measure": ask["measure"], "arm": "transfer", "reference": None, "run": None}
        for column in ("estimate", "lower", "upper"):  # the same draws, the same thresholds
            assert one(after, **same)[column] == pytest.approx(one(before, **same)[column])
    auc = infer(drawn, "auc", reference="scratch")
    label = part.external.label
    wanted = np.mean([roc_auc_score(label, part.external.values["scratch", run]) for run in (0, 1, 2)])
    low = one(auc, arm="scratch", reference=None, run=None)
    assert low["estimate"] == pytest.approx(wanted)
    assert low["lower"] < 0.5 < low["upper"]  # the truth
    gap = one(auc, arm="transfer", reference="scratch", run=None)
    kept = one(auc, arm="transfer", reference=None, run=None)
    assert 0 < gap["lower"] < kept["estimate"] - 0.5 < gap["upper"]  # its AUC less that of noise


def test_a_study_without_the_sweep_has_none(study):
    step, scores = study
    off = SimpleNamespace(**{**vars(step.study), "robustness": False})
    assert list(robustness_of(SimpleNamespace(study=off, read=None), scores)) == []
