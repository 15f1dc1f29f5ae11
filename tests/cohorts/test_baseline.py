"""The trivial baseline and the age strata."""

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from osteotl.cohorts.baseline import age_stratum, trivial_baseline


@pytest.fixture
def films():
    rng = np.random.default_rng(1)
    label = np.tile([0, 1], 60)
    return pd.DataFrame({
        "image_id": [f"i{k}" for k in range(120)], "label": label,
        "cohort": ["development"] * 80 + ["external"] * 40,
        "partition": ["training"] * 50 + ["validation"] * 30 + ["test"] * 40,
        "age": 20 + 15 * label + rng.normal(0, 5, 120), "sex": "F",
        "view": np.where(rng.random(120) < 0.5, "frontal", "lateral"),
        "site": ["A"] * 80 + ["B"] * 40, "mean_grey": rng.normal(100, 9, 120), "sd_grey": rng.normal(50, 4, 120),
    })  # fmt: skip


def test_scores_every_validation_and_external_film_once(films):
    result = trivial_baseline(films)
    assert result.scores["cohort"].value_counts().to_dict() == {"external": 40, "validation": 30}
    assert result.features == ("age", "mean_grey", "sd_grey", "view")  # sex and site do not vary in training
    assert result.scores["score"].between(0, 1).all()


def test_equals_a_logistic_regression_put_together_by_hand(films):
    train = films[films["partition"] == "training"]
    numbers = ["age", "mean_grey", "sd_grey"]

    def design(table):
        z = (table[numbers] - train[numbers].mean()) / train[numbers].std(ddof=0)
        return np.column_stack([z, table["view"] == "frontal", table["view"] == "lateral"]).astype(float)

    model = LogisticRegression(max_iter=1000).fit(design(train), train["label"])
    expected = model.predict_proba(design(films[films["partition"] != "training"]))[:, 1]
    np.testing.assert_allclose(trivial_baseline(films).scores["score"], expected, rtol=1e-10)


def test_missing_values_and_unseen_words(films):
    films.loc[3:9, "age"] = np.nan
    films.loc[100, ["age", "view"]] = [np.nan, "oblique"]
    assert trivial_baseline(films).scores["score"].notna().all()


def test_labels_of_other_partitions_play_no_part(films):
    flipped = films.assign(label=np.where(films["partition"] == "training", films["label"], 1 - films["label"]))
    pd.testing.assert_series_equal(trivial_baseline(films).scores["score"], trivial_baseline(flipped).scores["score"])


def test_one_class_is_refused(films):
    with pytest.raises(ValueError, match="one class"):
        trivial_baseline(films.assign(label=0))


def test_age_strata_at_their_edges():
    ages = pd.Series([0, 9.9, 10, 19.9, 20, 39.9, 40, 99, np.nan])
    assert (
        age_stratum(ages).astype(object).tolist()[:-1] == ["< 10"] * 2 + ["10-19"] * 2 + ["20-39"] * 2 + [">= 40"] * 2
    )
    assert age_stratum(ages).isna().tolist()[-1]
