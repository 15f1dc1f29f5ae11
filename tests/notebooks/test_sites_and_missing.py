"""Sites pooled, boxes by size and missing scores, from the table of scores to the page."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from bs4 import BeautifulSoup
from scipy.special import expit
from sklearn.metrics import roc_auc_score

from diagnostic_accuracy.estimates import one, select
from notebooks.finished_study import explore, page_of, published, with_films, with_scores
from simulated_scores import predictions

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def three_sites(tmp_path_factory):
    """A study with films of three external sites and lesions of three sizes."""
    study = with_films(tmp_path_factory.mktemp("sites"), predictions(external=(36, 60)))
    place = study.outputs / "cohorts"
    films = pd.read_csv(place / "external.csv", dtype=str)
    films.assign(site=np.array(["B", "C", "D"])[np.arange(len(films)) % 3]).to_csv(place / "external.csv", index=False)
    boxes = pd.read_csv(place / "boxes.csv")
    boxes.assign(y_max=40 + np.arange(len(boxes)) % 3 * 4).to_csv(place / "boxes.csv", index=False)
    page = BeautifulSoup(published(study).read_text(encoding="utf-8"), "html.parser")
    return page, pd.read_csv(study.outputs / "statistics.csv", keep_default_na=False)


def test_results_of_three_sites_are_pooled_and_shown(three_sites):
    page, table = three_sites
    rows = table[(table["section"] == "sites") & (table["run"] == "")]
    measures = {"auc", "auc_new_site", "tau2", "i2", "log_oe", "calibration_slope"}
    assert set(rows["measure"]) == measures
    # the pooled AUC lies between the smallest and the largest of the sites
    own = table[(table["section"] == "subgroups") & (table["measure"] == "auc") & (table["run"] == "")]
    own = own[(own["arm"] == "transfer") & (own["reference"] == "") & own["group"].str.startswith("site=")]
    pooled = rows[(rows["measure"] == "auc") & (rows["arm"] == "transfer") & (rows["reference"] == "")].iloc[0]
    assert own["estimate"].astype(float).min() < float(pooled["estimate"]) < own["estimate"].astype(float).max()
    assert (pooled["n"], pooled["basis"]) == (3, "sites, runs and patients")
    shown = page.select_one("#sites").get_text(" ")
    for words in (
        "Random effects over 3 sites",
        "AUC, what a new site may see",
        "Calibration slope",
        "tau²",
        "Site: D",
    ):
        assert words in shown


def test_boxes_by_size_and_their_errors_are_shown_and_nothing_is_said_of_missing_scores(three_sites):
    page, _ = three_sites
    shown = page.select_one("#boxes").get_text(" ")
    for words in ("Lesion size: small", "Lesion size: large", "IoU 0.5", "Misplaced boxes", "Lesions that no box hits"):
        assert words in shown
    assert page.select_one("#missing") is None
    assert "no score is missing" in page.select_one("#omissions").get_text(" ")


@pytest.fixture(scope="module")
def lacking(tmp_path_factory):
    """Scores of other programs: `new` lacks two malignant films and a normal one, `old` one malignant film."""
    rng, films = np.random.default_rng(2), 60
    label = np.arange(films) % 2
    site = np.array(["North", "South", "West"])[np.arange(films) % 3]
    frame = pd.DataFrame({"image_id": [f"f{i:02d}" for i in range(films)], "label": label, "site": site, "age": 35})
    parts = [frame.assign(arm=arm, score=expit(rng.normal(1.5 * label))) for arm in ("old", "new")]
    table = pd.concat(parts, ignore_index=True).assign(reason="")
    for arm, film in (("new", "f01"), ("new", "f03"), ("new", "f02"), ("old", "f05")):
        table.loc[(table["arm"] == arm) & (table["image_id"] == film), ["score", "reason"]] = [np.nan, "timeout"]
    study = with_scores(tmp_path_factory.mktemp("missing"), table, "old")
    return explore(study, {}), page_of(study), table


def test_sites_that_a_file_of_scores_names_are_pooled(lacking):
    explored, page, table = lacking
    scored = table[~table["image_id"].isin(["f01", "f02", "f03", "f05"])]  # of all models
    of_sites = {"section": "subgroups", "measure": "auc", "run": None, "reference": None, "reference_group": None}
    for (site, arm), films in scored.groupby(["site", "arm"]):
        found = one(explored.results, arm=arm, group=f"site={site}", **of_sites)
        assert found["estimate"] == pytest.approx(roc_auc_score(films["label"], films["score"]), abs=1e-12)
    assert "Random effects over 3 sites" in page.select_one("#sites").get_text(" ")


def test_complete_cases_stand_beside_the_worst_case_of_each_arm(lacking):
    explored, page, table = lacking
    old, new = (table[table["arm"] == arm][["image_id", "label", "score"]] for arm in ("old", "new"))
    whole = old.rename(columns={"score": "old"}).merge(new.rename(columns={"score": "new"}))
    complete = whole.dropna()
    gap = roc_auc_score(complete["label"], complete["new"]) - roc_auc_score(complete["label"], complete["old"])
    asked = {"measure": "auc", "arm": "new", "reference": "old", "run": None}
    main = one(explored.results, section="discrimination", unit="film", **asked)
    assert main["estimate"] == pytest.approx(gap, abs=1e-12)
    ill = whole["label"] == 1
    extremes = {}
    for worst in ("new", "old"):
        aucs = {}
        for arm in ("new", "old"):  # 2 lies above and -1 below every score
            filled = whole[arm].fillna(pd.Series(np.where(ill == (arm != worst), 2.0, -1.0)))
            aucs[arm] = roc_auc_score(whole["label"], filled)
        row = one(explored.results, section="missing", group=f"worst={worst}", **asked)
        extremes[worst] = aucs["new"] - aucs["old"]
        assert row["estimate"] == pytest.approx(extremes[worst], abs=1e-12)
    assert extremes["new"] < gap < extremes["old"]
    counts = select(explored.results, section="missing", group="external", arm=None).set_index("measure")["estimate"]
    assert counts.to_dict() == {"missing_malignant_films": 3, "missing_normal_films": 1}
    ends = [f"{end:+.3f}".replace("-", "\N{MINUS SIGN}") for end in (extremes["new"], extremes["old"])]
    said = page.select_one("#summary").get_text(" ")
    assert "Missing scores: 4 of 60 external films are left out (old 1, new 3)." in said
    assert f"lies between {ends[0]} and {ends[1]}." in said
    shown = page.select_one("#missing").get_text(" ")
    for words in ("Reason: timeout", "Missing scores at their worst for new", "Left out (the main analysis)"):
        assert words in shown
