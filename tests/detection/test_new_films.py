"""New films: the scores are those of a cohort's films, one file a run, and the mean is named as such."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pandas as pd
import pytest

from osteotl.detection import scoring
from osteotl.detection.new_films import USE, score_folder
from osteotl.files import write_json


@pytest.fixture(scope="module")
def scored(trained, tmp_path_factory):
    """The external films in a folder of their own, scored; their rows of predictions.csv and the files."""
    folder = tmp_path_factory.mktemp("films")
    films = scoring.cohort_films(trained.study, trained.out, trained.data, "external").table
    for row in films.itertuples():
        place = folder / ("left" if row.Index % 2 else "right")
        place.mkdir(exist_ok=True)
        shutil.copy(trained.data / ".prepared" / row.film[:2] / f"{row.film}.png", place / f"{row.image_id}.png")
    predictions = scoring.score_study(trained.study, "external", trained.out, trained.data, 1, True).predictions
    runs = [{"arm": "transfer", "fraction": 1.0, "seed": seed} for seed in trained.study.seeds]
    plan = {
        "hash": "0a1b", "settings": {"given": {"transfer": 0.02}},
        "thresholds": [{**run, "point": "youden", "threshold": 0.004} for run in runs],
        "recalibration": [{**run, "intercept": 1.5, "slope": 0.5} for run in runs],
    }  # fmt: skip
    write_json(trained.out / "analysis_plan.json", plan)
    before = sorted((trained.data / ".prepared").rglob("*"))
    written = score_folder(trained.study, "transfer", folder, trained.out, folder.parent / "scored")
    assert sorted((trained.data / ".prepared").rglob("*")) == before, "a new film was kept"
    return predictions[predictions["arm"] == "transfer"], {path.name: path for path in written}


def test_scores_are_those_of_the_predictions(trained, scored):
    predictions, files = scored
    for seed in trained.study.seeds:
        table = pd.read_csv(files[f"transfer_run_{seed}.csv"])
        image = table["film"].str.extract(r"/(\w+)\.png", expand=False)
        wanted = predictions[predictions["seed"] == seed].set_index("image_id").loc[image]
        assert len(table) == len(predictions[predictions["seed"] == seed])
        np.testing.assert_allclose(table["logit"], wanted["logit"], atol=1e-5)
        np.testing.assert_allclose(table["score"], wanted["score"], atol=1e-6)
        np.testing.assert_allclose(table["risk"], 1 / (1 + np.exp(-1.5 - 0.5 * wanted["logit"])), atol=1e-5)
        for point, cut in (("youden", 0.004), ("given", 0.02)):
            assert (table[f"threshold_{point}"] == cut).all()
            assert (table[f"call_{point}"] == (table["score"] >= cut)).all()
        boxes = pd.read_csv(files[f"transfer_run_{seed}_boxes.csv"])
        assert list(boxes) == ["film", "x_min", "y_min", "x_max", "y_max", "score"]
        assert set(boxes["film"]) <= set(table["film"])


def test_the_mean_is_named_as_such(trained, scored):
    _, files = scored
    seeds = trained.study.seeds
    mean = pd.read_csv(files[f"transfer_mean_of_{len(seeds)}_runs.csv"])
    runs = [pd.read_csv(files[f"transfer_run_{seed}.csv"]) for seed in seeds]
    assert (mean["runs"] == len(seeds)).all()
    np.testing.assert_allclose(mean["mean_score"], np.mean([run["score"] for run in runs], axis=0), atol=1e-12)
    np.testing.assert_allclose(mean["share_of_runs_call_youden"], np.mean([r["call_youden"] for r in runs], axis=0))
    assert not [name for name in mean if name.startswith("threshold")]
    about = json.loads(files["about.json"].read_text())
    assert (about["use"], about["arm"], set(about["weights"])) == (USE, "transfer", {str(seed) for seed in seeds})


def test_what_cannot_be_scored_is_told(trained, tmp_path):
    with pytest.raises(ValueError, match="there is no arm 'other'; this study trains scratch, transfer"):
        score_folder(trained.study, "other", tmp_path, trained.out, tmp_path)
    with pytest.raises(ValueError, match=r"is not there yet: run the study first"):
        score_folder(trained.study, "transfer", tmp_path, tmp_path, tmp_path)
    with pytest.raises(ValueError, match=r"holds no film; films end in \.png"):
        score_folder(trained.study, "transfer", tmp_path, trained.out, tmp_path)
    for name in ("a.png", "b.jpg"):
        (tmp_path / name).write_text("no film")
    with pytest.raises(ValueError, match=r"(?s)a\.png: .*\nb\.jpg: "):
        score_folder(trained.study, "transfer", tmp_path, trained.out, tmp_path)
