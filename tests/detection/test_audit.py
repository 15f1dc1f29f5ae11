"""The shortcut audit's parts, with answers derived by hand."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from osteotl.detection import audit, masking, probe
from osteotl.detection.scoring import cohort_films


def test_auc_by_hand():
    # malignant .9 and .4 against normal .5, .4, .1: pairs won 3 + 1.5 of 6
    label, score = np.array([1, 1, 0, 0, 0]), np.array([0.9, 0.4, 0.5, 0.4, 0.1])
    assert audit.auc(label, score) == pytest.approx(4.5 / 6)
    estimate, lower, upper = audit.auc_interval(label, score, np.arange(5))
    assert lower <= estimate <= upper


def test_site_probe_finds_a_site_and_finds_none():
    random = np.random.default_rng(0)
    table = pd.DataFrame({"patient_id": np.arange(200) // 2, "site": ["A", "A", "B", "B"] * 50, "label": 0})
    noise = random.normal(size=(200, 8))
    marked = noise + 3 * (table["site"] == "B").to_numpy()[:, None]
    assert probe.site_probe([table], [marked])["balanced_accuracy"] > 0.95
    assert probe.site_probe([table], [noise])["balanced_accuracy"] == pytest.approx(0.5, abs=0.12)
    assert "not_estimable" in probe.site_probe([table.assign(site="A")], [noise])


def test_class_probe_finds_a_marker_and_finds_none():
    random = np.random.default_rng(0)
    table = pd.DataFrame({"patient_id": np.arange(300) // 2, "label": np.arange(300) % 4 < 2})
    noise = random.normal(size=(300, 16))
    marked = noise + 2 * table["label"].to_numpy()[:, None]
    label = table["label"].to_numpy().astype(int)
    assert audit.auc(label, probe.class_probe(table, marked)) > 0.95
    assert audit.auc(label, probe.class_probe(table, noise)) == pytest.approx(0.5, abs=0.12)


@pytest.fixture(scope="module")
def films(trained):
    return cohort_films(trained.study, trained.out, trained.data, "external")


def test_masking_removes_the_disc_and_borrows_places_for_normal_films(films):
    borrowed = masking.sham_boxes(films)
    assert all(len(boxes) for boxes in borrowed)
    masked, only = masking.masked_films(films, borrowed), masking.only_boxes(films, borrowed)
    for i, label in enumerate(films.table["label"]):
        area = masking._area(borrowed[i], films.size)
        assert (masked.images[i][~area] == films.images[i][~area]).all()
        assert (only.images[i][~area] == masking.PADDING).all()
        if label == 1:  # the disc is 90 brighter than its surroundings
            assert films.images[i].max() > 200
            assert masked.images[i][area].mean() < films.images[i][area].mean() - 30


def test_audit_of_a_small_study(trained, tmp_path):
    import shutil

    out = tmp_path / "outputs"
    shutil.copytree(trained.out, out)
    found = audit.audit_study(trained.study, out, trained.data, workers=1, quiet=True)
    rows = pd.read_csv(out / "audit.csv")
    assert set(rows["audit"]) == {"as_is", "lesion_masked", "only_lesion", "flipped", "class_probe", "baseline"}
    assert len(rows) == 14 * (2 * 5 + 1)
    kinds = ("lesion_masked", "class_without_lesion", "flipped")
    wanted = [f"{kind}: {arm}" for arm in ("scratch", "transfer") for kind in kinds]
    assert [alarm["alarm"] for alarm in found["alarms"]] == [*wanted, "source_and_class", "learnt_nothing"]
    assert json.loads((out / "audit.json").read_text())["alarms"][0].keys() == {"alarm", "raised", "rule", "finding"}


def test_a_run_that_scores_every_film_alike_is_told(tmp_path):
    rows = [("external", "scratch", 1.0, 0, 0.2)] * 5
    rows += [("external", "transfer", 1.0, 0, film / 10) for film in range(5)]
    pd.DataFrame(rows, columns=["cohort", "arm", "fraction", "seed", "score"]).to_csv(tmp_path / "predictions.csv")
    (tmp_path / "finetune/scratch/1/0").mkdir(parents=True)
    (tmp_path / "finetune/scratch/1/0/pairing.json").write_text('{"steps": 24}')
    alarm = audit.learnt_nothing(None, tmp_path)
    assert alarm.raised
    assert alarm.finding == (
        "scratch, seed 0, fraction 1: it has learnt nothing in 24 steps; train longer (detector.epochs)"
    )
