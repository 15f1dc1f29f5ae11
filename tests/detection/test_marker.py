"""The audit on phantoms with a shortcut planted in every malignant film, and on the same phantoms without it."""

from __future__ import annotations

import pytest

from osteotl.cohorts.tables import build_cohorts
from osteotl.detection import audit, training
from osteotl.study import parse_study


def audited(folder, marker):
    """One detector trained from scratch on small phantoms, and its alarms by name."""
    knee = {"reader": "phantom-knee", "image_size": 96, "marker": marker}
    study = parse_study({
        "title": "Marker", "reference": "scratch", "seeds": [0],
        "arms": {name: {"initialise": "random"} for name in ("scratch", "unused")},
        "cohorts": {
            "development": {**knee, "films": 130, "malignant": 65, "validation": 10, "seed": 2},
            "external": {**knee, "films": 120, "malignant": 60, "seed": 3},
        },
        "detector": {"image_size": 96, "epochs": 24, "batch": 8, "augmentation": {"fliplr": 0.5}, "device": "cpu"},
    })  # fmt: skip
    study = study.model_copy(update={"arms": {"scratch": study.arms["scratch"]}})  # a second arm would tell nothing
    out, data = folder / "outputs", folder / "data"
    build_cohorts(study, out, data)
    training.finetune(study, "scratch", 1.0, 0, out, data)
    found = audit.audit_study(study, out, data, workers=1, quiet=True)
    return {alarm["alarm"]: alarm for alarm in found["alarms"]}


@pytest.mark.slow
def test_a_marker_in_every_malignant_film_raises_the_alarm(tmp_path):
    alarms = audited(tmp_path, marker=True)
    # the detector knows the class of films whose lesions are painted over, and its features hold it
    assert alarms["lesion_masked: scratch"]["raised"], alarms["lesion_masked: scratch"]["finding"]
    assert alarms["class_without_lesion: scratch"]["raised"], alarms["class_without_lesion: scratch"]["finding"]
    assert not alarms["source_and_class"]["raised"]


@pytest.mark.slow
def test_without_the_marker_there_is_no_alarm(tmp_path):
    alarms = audited(tmp_path, marker=False)
    assert [alarm["finding"] for alarm in alarms.values() if alarm["raised"]] == []
