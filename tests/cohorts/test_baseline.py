"""What can be had without looking at a film: covariates, and source."""

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from osteotl.cohorts.baseline import source_coincidence, trivial_baseline


@pytest.fixture
def films():
    rng = np.random.default_rng(1)
    label = np.tile([0, 1], 60)
    return pd.DataFrame({
        "image_id": [f"i{k}" for k in range(120)], "label": label,
        "age": 20 + 15 * label + rng.normal(0, 5, 120), "sex": "F",
        "view": np.where(rng.random(120) < 0.5, "frontal", "lateral"), "width": 160, "height": 160,
        "site": ["A"] * 80 + ["B"] * 40, "mean_grey": rng.normal(100, 9, 120), "sd_grey": rng.normal(50, 4, 120),
    })  # fmt: skip


def scored(films):
    return trivial_baseline(films[:50], films[50:])


def test_scores_every_film_once_and_leaves_constants_out(films):
    result = scored(films)
    assert result.scores["image_id"].tolist() == films["image_id"][50:].tolist()
    assert result.covariates == ("age", "mean_grey", "sd_grey", "view")  # the others do not vary in training
    assert result.scores["score"].between(0, 1).all()


def test_equals_a_logistic_regression_put_together_by_hand(films):
    numbers = ["age", "mean_grey", "sd_grey"]

    def design(table):
        z = (table[numbers] - films[:50][numbers].mean()) / films[:50][numbers].std(ddof=0)
        return np.column_stack([z, table["view"] == "frontal", table["view"] == "lateral"]).astype(float)

    model = LogisticRegression(max_iter=1000).fit(design(films[:50]), films["label"][:50])
    expected = model.predict_proba(design(films[50:]))[:, 1]
    np.testing.assert_allclose(scored(films).scores["score"], expected, rtol=1e-10)


def test_missing_values_and_unseen_words(films):
    films.loc[3:9, "age"] = np.nan
    films.loc[100, ["age", "view"]] = [np.nan, "oblique"]
    assert scored(films).scores["score"].notna().all()


def test_an_empty_cell_is_no_word(films):
    # the detector's tables hold "" where the cohort's hold a missing value
    blank, missing = films.assign(sex=""), films.assign(sex=np.nan)
    blank.loc[:20, "view"], missing.loc[:20, "view"] = "", np.nan
    assert scored(blank).covariates == scored(missing).covariates == ("age", "mean_grey", "sd_grey", "view")
    np.testing.assert_array_equal(scored(blank).scores["score"], scored(missing).scores["score"])


def test_labels_of_scored_films_play_no_part(films):
    flipped = films.assign(label=films["label"].where(films.index < 50, 1 - films["label"]))
    pd.testing.assert_series_equal(scored(films).scores["score"], scored(flipped).scores["score"])


def test_without_a_covariate_that_varies_there_is_no_baseline(films):
    same = {"age": 30.0, "mean_grey": 100.0, "sd_grey": 50.0, "view": "frontal"}
    result = scored(films.assign(**same))
    assert result.covariates == ()
    assert result.scores.empty
    assert list(result.scores) == ["image_id", "label", "score"]


def test_one_class_is_refused(films):
    with pytest.raises(ValueError, match="50 training films are of one class"):
        scored(films.assign(label=0))


def test_source_and_class_that_coincide():
    films = pd.DataFrame({"partition": "test", "site": ["A"] * 5 + ["B"] * 5, "label": [1] * 5 + [0] * 5})
    assert source_coincidence(films)["worst"]["cramers_v"] == pytest.approx(1.0)
    films["label"] = [1, 0] * 5  # A 3 of 5, B 2 of 5: chi-square 0.4, V = sqrt(0.4 / 10)
    assert source_coincidence(films)["worst"]["cramers_v"] == pytest.approx(0.2)
    films["site"] = "A"
    assert source_coincidence(films) == {"partitions": [], "worst": None}


def test_the_partition_where_source_and_class_are_closest_is_named():
    one = pd.DataFrame({"partition": "training", "site": ["A", "A", "B", "B"], "label": [1, 0, 1, 0]})
    two = pd.DataFrame({"partition": "test", "site": ["A", "A", "B", "B"], "label": [1, 1, 0, 0]})
    found = source_coincidence(pd.concat([one, two]))
    assert found["worst"]["partition"] == "test"
    assert found["worst"]["table"] == "A: 2 malignant, 0 normal; B: 0 malignant, 2 normal"
    assert len(found["partitions"]) == 2
