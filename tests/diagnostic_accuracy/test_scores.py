"""One table of films and runs: aligned whatever the order, on one scale, with every fault at once."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diagnostic_accuracy.estimates import one
from diagnostic_accuracy.scores import CLIP, counts, scores_of
from simulated_scores import predictions


@given(
    st.randoms(use_true_random=False), st.lists(st.text(min_size=1, max_size=8), min_size=2, max_size=4, unique=True)
)
@settings(max_examples=30)
def test_any_order_and_any_names(random, names):
    """Arms may be called anything: dots, slashes, commas, quotes, @ and emoji are never parsed."""
    table = predictions(dict.fromkeys(names, (0, 1)), external=(4, 5), validation=(3, 3), most_films=2)
    order = list(range(len(table)))
    random.shuffle(order)
    columns = list(table.columns)
    random.shuffle(columns)
    mixed = scores_of(table.iloc[order][columns])
    for (arm, run), rows in table.groupby(["arm", "seed"]):
        wanted = rows.set_index("image_id")["score"]
        pd.testing.assert_series_equal(
            mixed.values[arm, run].sort_index(), wanted.sort_index(), check_names=False, check_index_type=False
        )
    assert set(mixed.arms) == set(names)
    label = mixed.label.to_numpy()
    assert (np.diff(label.astype(int)) <= 0).all(), "malignant films stand first"
    assert mixed.label.equals(mixed.label.sort_index().loc[mixed.label.index])


def test_difficult_names():
    names = ["v1.0", "a/b 50%", 'x,"y"', "β@05 [x]: a; 'q'", "🦴", "../../up"]
    scores = scores_of(predictions(dict.fromkeys(names, (0,))))
    assert scores.arms == names
    assert scores.select(arms=["🦴"], runs=[0]).runs == [("🦴", 0)]
    assert scores.select(arms=["v1.0", "../../up"]).arms == ["v1.0", "../../up"]


def test_one_scale_for_the_whole_study():
    table = predictions({"a": (0,), "b": (0,)})
    edge = table.copy()
    edge.loc[[0, 1], "score"] = [0.0, 1.0]
    scores = scores_of(edge)
    films = edge["image_id"].iloc[:2]
    assert scores.predictor.loc[films, ("a", 0)].tolist() == pytest.approx(
        [np.log(CLIP / (1 - CLIP)), -np.log(CLIP / (1 - CLIP))]
    )
    beyond = table.copy()
    beyond.loc[beyond.index[-1], "score"] = 1.01  # one score of arm b leaves all scores as they are
    assert scores_of(beyond).scale == "score as it is"
    assert scores_of(beyond).predictor.equals(scores_of(beyond).values)
    stored = scores_of(table.assign(logit=range(len(table))))
    assert stored.scale == "stored logits"
    assert scores_of(table.assign(logit=np.inf)).scale == scores.scale


def test_cohorts_filters_and_patients():
    table = predictions(most_films=3)
    age = pd.DataFrame({"image_id": table["image_id"].unique(), "age": np.arange(table["image_id"].nunique()) % 100})
    scores = scores_of(table, age)
    assert len(scores.external.values) + len(scores.validation.values) == len(scores.values)
    young = scores.where("age < 90")
    assert len(young.validation.values) == len(scores.validation.values)
    assert (young.external.facts["age"] < 90).all()
    both = scores.where("age < 90", cohort="both")
    assert (both.facts["age"] < 90).all()
    by_patient = scores.by_patient()
    films = table[(table["arm"] == "transfer") & (table["seed"] == 1)]
    wanted = films.groupby("patient_id").agg(label=("label", "max"), score=("score", "max"))
    assert by_patient.unit == "patient"
    assert by_patient.values["transfer", 1].sort_index().to_numpy() == pytest.approx(wanted["score"].sort_index())
    assert (by_patient.label.sort_index().to_numpy() == wanted["label"].sort_index()).all()
    assert scores.prevalence == pytest.approx(films[films["cohort"] == "external"]["label"].mean())
    few = scores.facts["age"] == 3
    assert scores.keep(few) is None
    tumours = scores.keep(scores.label & (scores.facts["age"] % 2 == 0), normal=True)
    assert (~tumours.external.label).sum() == (~scores.external.label).sum()


def test_counts():
    table = counts(scores_of(predictions(most_films=3)))
    frame = predictions(most_films=3).drop_duplicates("image_id")
    external = frame[frame["cohort"] == "external"]
    ill = external.groupby("patient_id")["label"].max()
    wanted = {
        "films": len(external), "malignant_films": external["label"].sum(), "patients": len(ill),
        "malignant_patients": ill.sum(), "normal_patients": (ill == 0).sum(),
    }  # fmt: skip
    for measure, number in wanted.items():
        assert one(table, measure=measure, group="external")["estimate"] == number
    unnamed = counts(scores_of(predictions().drop(columns="patient_id")))
    assert not unnamed["measure"].str.contains("patients").any()


def test_beside():
    scores = scores_of(predictions())
    one_arm, other = (scores.select(arms=[arm]) for arm in ("scratch", "transfer"))
    assert one_arm.beside(other).values.equals(scores.values)
    with pytest.raises(ValueError, match="both hold the run"):
        scores.beside(other)
    with pytest.raises(ValueError, match="other films"):
        one_arm.beside(other.external)


def test_every_fault_at_once():
    table = predictions({"a": (0, 1)})
    broken = pd.concat([table.iloc[1:], table.iloc[[5]]])
    broken.loc[broken.index[3], "score"] = np.nan
    broken.loc[broken.index[7], "label"] = 1 - broken["label"].iloc[7]
    with pytest.raises(
        ValueError, match=r"did not score 1 films[\s\S]*more than once[\s\S]*no finite[\s\S]*two values of label"
    ):
        scores_of(broken)
    with pytest.raises(ValueError, match=r"no column 'arm'\n[\s\S]*no column 'score'\n2 rows have no seed"):
        scores_of(table.drop(columns=["arm", "score"]).assign(seed=[np.nan] * 2 + [0.0] * (len(table) - 2)))
    with pytest.raises(ValueError, match="both classes"):
        scores_of(table[(table["cohort"] == "validation") | (table["label"] == 1)])
    with pytest.raises(ValueError, match="labels must be 1"):
        scores_of(table.assign(label=table["label"] + 1))
    with pytest.raises(ValueError, match="cohort must be"):
        scores_of(table.assign(cohort="other"))
    with pytest.raises(ValueError, match="no score has the label fraction"):
        scores_of(table.assign(fraction=1.0), fraction=0.5)
    scores = scores_of(table)
    with pytest.raises(ValueError, match="7 is no arm or run"):
        scores.select(runs=[7])
    with pytest.raises(ValueError, match="'b' is no arm or run"):
        scores.select(arms=["b"])
    with pytest.raises(ValueError, match="both classes are needed"):
        scores_of(table, pd.DataFrame({"image_id": table["image_id"].unique(), "age": 3})).where("age > 5")
    with pytest.raises(ValueError, match="cohort is"):
        scores.where("age > 5", cohort="all")


def test_a_table_without_runs_and_cohorts_is_one_external_run_an_arm():
    table = pd.DataFrame({"image_id": ["f1", "f2"] * 2, "label": [1, 0] * 2, "arm": ["a", "a", "b", "b"],
                          "score": [0.8, 0.1, 0.6, 0.3]})  # fmt: skip
    scores = scores_of(table)
    assert scores.runs == [("a", 0), ("b", 0)]
    assert set(scores.cohort) == {"external"}
    assert not scores.patients_known


def test_matching_keeps_the_films_and_runs_of_another_set():
    table = predictions({"a": (0, 1), "b": (0, 1)})
    whole = scores_of(table)
    part = whole.select(arms=["b"], runs=[1])._rows(whole.facts["patient"] != "e000")
    again = scores_of(table.sample(frac=1, random_state=1)).matching(part)
    assert again.runs == [("b", 1)]
    pd.testing.assert_frame_equal(again.values, part.values)
    assert whole.matching(whole).values.equals(whole.values)
