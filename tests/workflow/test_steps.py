"""What each step declares to read, heed and write: the engine runs again exactly what these name."""

import pytest

from osteotl.study import parse_study
from osteotl.workflow.steps import steps_of

PHANTOMS = {name: {"reader": f"phantom-{kind}", "films": 20}
            for name, kind in (("pretrain", "chest"), ("development", "knee"), ("external", "knee"))}  # fmt: skip


def declared(arms=None, fractions=(1.0,), robustness=False, **detector):
    """The steps of a small study."""
    arms = {"scratch": {"initialise": "random"}, "transfer": {"initialise": "pretrain"}} | (arms or {})
    return steps_of(parse_study({"title": "Small", "cohorts": PHANTOMS, "arms": arms, "reference": "scratch",
                                 "seeds": [0], "fractions": list(fractions), "robustness": robustness,
                                 "detector": detector}))  # fmt: skip


def test_scoring_writes_occlusion_maps_and_whoever_follows_reads_them():
    steps = declared()
    assert "occlusion/" in steps["03_evaluate"].writes
    assert "occlusion/" in steps["06_report"].reads


@pytest.mark.parametrize(
    ("detector", "fractions", "made"),
    [
        ({}, (0.5, 1.0), False),
        ({"checkpoints": [4]}, (1.0,), True),
        ({"fraction_training": "both"}, (0.5, 1.0), True),
        ({"fraction_training": "both"}, (1.0,), False),  # equal steps and equal epochs are the same run
        ({"fraction_training": "equal_epochs"}, (0.5, 1.0), False),
    ],
)
def test_extra_predictions_pass_from_scoring_to_statistics_where_they_are_made(detector, fractions, made):
    steps = declared(fractions=fractions, **detector)
    assert ("predictions_extra.csv" in steps["03_evaluate"].writes) is made
    assert ("predictions_extra.csv" in steps["04_statistics"].reads) is made


@pytest.mark.parametrize("asked", [True, False])
def test_changed_films_pass_from_scoring_to_statistics_where_they_are_asked_for(asked):
    steps = declared(robustness=asked)
    assert ("robustness.csv" in steps["03_evaluate"].writes) is asked
    assert ("robustness.csv" in steps["04_statistics"].reads) is asked
    assert "robustness" in steps["03_evaluate"].settings


def test_statistics_heed_what_tells_checkpoints_and_fractions_apart():
    assert {"detector.checkpoints", "detector.fraction_training"} <= set(declared()["04_statistics"].settings)


def test_a_replicate_writes_its_checkpoints_and_scoring_reads_them():
    folder = "finetune/transfer/1/0/checkpoints/"
    steps = declared(checkpoints=[4, 8])
    assert folder in steps["02_finetune_transfer_1_0"].writes
    assert folder in steps["03_evaluate"].reads
    assert folder not in declared()["02_finetune_transfer_1_0"].writes


def test_a_fraction_trained_both_ways_writes_both():
    steps = declared(fractions=(0.5, 1.0), fraction_training="both")
    assert "finetune/scratch/0.5/0/equal_epochs/" in steps["02_finetune_scratch_0.5_0"].writes
    assert "finetune/scratch/0.5/0/equal_epochs/" in steps["03_evaluate"].reads
    assert not any("equal_epochs" in file for file in steps["02_finetune_scratch_1_0"].writes)


def test_a_replicate_leaves_the_facts_of_its_model_card():
    steps = declared()
    assert "finetune/scratch/1/0/model.json" in steps["02_finetune_scratch_1_0"].writes
    assert "finetune/scratch/1/0/model.json" in steps["06_report"].reads


def test_an_arm_that_trains_longer_makes_every_replicate_count_the_pretraining_films():
    longer = {"scratch_long": {"initialise": "random", "train_for": "pretrain_and_finetune"}}
    steps, without = declared(longer), declared()
    for arm in ("scratch", "transfer", "scratch_long"):
        assert "cohorts/pretrain.csv" in steps[f"02_finetune_{arm}_1_0"].reads
    assert "cohorts/pretrain.csv" not in without["02_finetune_scratch_1_0"].reads
    assert "cohorts/pretrain.csv" not in without["02_finetune_transfer_1_0"].reads
    assert "detector.pretrain_epochs" in steps["02_finetune_scratch_long_1_0"].settings
    assert "detector.pretrain_epochs" not in steps["02_finetune_scratch_1_0"].settings


def test_phantoms_altered_by_hand_are_noticed(tmp_path, monkeypatch):
    """A table of drawn films, or a film, that was changed: the step that drew them no longer holds."""
    from osteotl.cohorts import phantoms
    from osteotl.study import PhantomCohort
    from osteotl.workflow import states

    monkeypatch.setattr(states, "ROOT", tmp_path)
    (tmp_path / "study.yaml").write_text(
        "title: T\narms: {a: {initialise: random}, b: {initialise: random}}\nreference: a\ncohorts:\n"
        "  development: {reader: phantom-texture, films: 6, image_size: 64, validation: 0.3}\n"
    )
    drawn = phantoms.generate(PhantomCohort(reader="phantom-texture", films=6, image_size=64), tmp_path / "data")
    other = phantoms.generate(PhantomCohort(reader="phantom-texture", films=4, image_size=64), tmp_path / "data")

    def now():
        whole = states.StudyState(tmp_path / "study.yaml", tmp_path / "outputs")
        return dict(whole._files(["cohorts/development.csv?phantom", "cohorts/external.csv?phantom"]))

    before = now()
    assert list(before) == ["cohorts/development.csv (its phantoms)"]
    (other / "films.csv").write_text("another study's\n")
    assert now() == before
    table = (drawn / "boxes.csv").read_text()
    (drawn / "boxes.csv").write_text(table.replace("1", "2"))
    assert now() != before
    (drawn / "boxes.csv").write_text(table)
    assert now() == before
