"""The configuration: what is refused, where, with which rule, all at once."""

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osteotl import study as module
from osteotl.study import StudyError, load_study, parse_study
from osteotl.study_rules import files_missing
from shipped import STUDIES

ROOT = Path(__file__).parents[1]
KNEES = {"reader": "phantom-knee", "films": 20}
SMALL = {
    "title": "small",
    "cohorts": {"pretrain": {"reader": "phantom-chest", "films": 20}, "development": KNEES, "external": KNEES},
    "arms": {"scratch": {"initialise": "random"}, "transfer": {"initialise": "pretrain"}},
    "reference": "scratch",
}
TOP = list(module.Study.model_fields)
KEYS = sorted({key for _, made in vars(module).items() if isinstance(made, type) and issubclass(made, module.BaseModel)
               for key in made.model_fields})  # fmt: skip


def faults_of(**changes) -> str:
    with pytest.raises(StudyError) as caught:
        parse_study(SMALL | changes)
    return "\n".join(caught.value.faults)


@pytest.mark.parametrize("path", STUDIES, ids=lambda p: p.name)
def test_shipped_studies_are_valid(path, monkeypatch):
    for name in ("OSTEOTL_RADIOGRAPHS", "BTXRD_ROOT", "CHEST_ROOT"):
        monkeypatch.setenv(name, "/films")
    assert load_study(path).title


def test_default_study_is_the_published_external_set_with_three_seeds():
    # 743 external films of which 268 malignant [abstract]; at least 100 malignant validation films
    study = load_study(ROOT / "study.yaml")
    assert (study.cohorts.external.films, study.cohorts.external.malignant) == (743, 268)
    assert len(study.replicates()) == 2 * 3


def test_five_runs_are_the_default_study_with_five_seeds():
    five, default = load_study(ROOT / "studies/phantoms_five_runs.yaml"), load_study(ROOT / "study.yaml")
    assert list(five.seeds) == [0, 1, 2, 3, 4]
    apart = {"seeds", "title"}
    assert five.model_dump(exclude=apart) == default.model_dump(exclude=apart)


def test_control_arms_beside_the_two_of_the_default_study():
    study, default = load_study(ROOT / "studies" / "controls.yaml"), load_study(ROOT / "study.yaml")
    assert {name: study.arms[name] for name in default.arms} == dict(default.arms)
    external = study.cohorts.external.parts
    assert (study.cohorts.pretrain, study.cohorts.development, external[0]) == (
        default.cohorts.pretrain, default.cohorts.development, default.cohorts.external,
    )  # fmt: skip
    assert [part.site for part in external] == ["B", "C", "D"]  # three: the least for results pooled over sites
    assert study.detector == default.detector
    assert study.arms["scratch_b"].seed_offset not in {abs(a - b) for a in study.seeds for b in study.seeds}
    assert study.arms["scratch_long"].train_for == "pretrain_and_finetune"
    assert study.cohorts.other_modality.reader == "phantom-texture"
    assert study.arms["other_modality"].initialise == "other_modality"


@pytest.mark.parametrize(
    ("changes", "place", "rule"),
    [
        ({"fraktions": [1]}, "fraktions", "did you mean fractions?"),
        ({"seed": 1}, "seed", "did you mean seeds?"),
        ({"reader": "coco"}, "reader", "unknown key here (docs"),
        ({"fractions": [0]}, "fractions.0", "greater than 0"),
        ({"fractions": [0.5]}, "fractions", "must hold 1.0"),
        ({"fractions": [1.0, 1.0]}, "fractions", "named twice"),
        ({"seeds": [1, 1]}, "seeds", "named twice"),
        ({"seeds": []}, "seeds", "at least 1"),
        ({"reference": "nobody"}, "reference", "not an arm"),
        ({"arms": {"scratch": {"initialise": "random"}}}, "arms", "at least two"),
        ({"arms": {"scratch": {"initialise": "random"}, "a b": {"initialise": "random"}}}, "arms.a b", "pattern"),
        (
            {"arms": {"scratch": {"initialise": "random"}, "x": {"initialise": "w.pt"}}},
            "arms.x.initialise",
            "carry code",
        ),
        (
            {"arms": {"scratch": {"initialise": "random"}, "x": {"initialise": "chest"}}},
            "arms.x.initialise",
            "safetensors",
        ),
        (
            {"arms": {"scratch": {"initialise": "random"}, "x": {"initialise": "other_modality"}}},
            "arms.x",
            "other_modality",
        ),
        ({"statistics": {"operating_points": {"high_sensitivity": 1.2}}}, "high_sensitivity", "less than 1"),
        ({"statistics": {"decision_range": [0.2, 0.1]}}, "decision_range", "must rise"),
        ({"statistics": {"family": ["auc@youden"]}}, "statistics", "measure@point"),
        ({"detector": {"image_size": 100}}, "detector.image_size", "multiple of 32"),
        ({"detector": {"epoch": 3}}, "detector.epoch", "did you mean epochs?"),
        ({"detector": {"augmentation": {"mosiac": 1}}}, "detector.augmentation", "'mosiac' is no augmentation"),
        ({"detector": {"augmentation": {"hsv_h": 0.1}}}, "detector.augmentation", "does nothing on grey films"),
        ({"detector": {"checkpoints": [0]}}, "detector.checkpoints.0", "greater than or equal to 1"),
        ({"detector": {"checkpoints": [5, 5]}}, "detector.checkpoints", "named twice"),
        ({"statistics": {"thresholds_from": ["external"] * 2}}, "statistics.thresholds_from", "named twice"),
        ({"statistics": {"family": ["ppv@youden"] * 2}}, "statistics.family", "named twice"),
        ({"arms": {n: {"initialise": "random", "label": "x"} for n in ("scratch", "b")}}, "arms", "label 'x'"),
        ({"cohorts": SMALL["cohorts"] | {"development": {"films": 9}}}, "cohorts.development.reader", "missing"),
        ({"cohorts": SMALL["cohorts"] | {"development": KNEES | {"validation": 1.5}}}, "development", "whole number"),
        ({"cohorts": SMALL["cohorts"] | {"development": KNEES | {"validation": 1.0}}}, "development", "whole number"),
        ({"cohorts": SMALL["cohorts"] | {"development": {"reader": "x"}}}, "cohorts.development", "btxrd"),
        ({"cohorts": SMALL["cohorts"] | {"development": KNEES | {"malignant": 20}}}, "cohorts.development", "smaller"),
        ({"reference": ["scratch"]}, "reference", "valid string"),
        ({"title": ["x"]}, "title", "valid string"),
        ({"arms": ["scratch"]}, "arms", "dictionary"),
        ({"arms": {"scratch": "random", "transfer": None}}, "arms.scratch", "dictionary"),
        ({"arms": {1: {"initialise": "random"}, "b": {"initialise": "random"}}}, "arms.1", "string"),
        ({"arms": {n: {"initialise": "random"} for n in ("scratch", "Scratch")}}, "arms", "differ in case"),
        ({"arms": {n: {"initialise": "random", "label": n + "x"} for n in ("scratch", "B", "b")}}, "arms", "differ in"),
        ({"arms": {f"a{i}": {"initialise": "random"} for i in range(60)}}, "arms", "at most 50"),
        ({"fractions": "all"}, "fractions", "valid list"),
        ({"fractions": [1.0, [1.0]]}, "fractions.1", "number"),
        ({"fractions": [1.0, 0.1, 0.10000001]}, "fractions", "equal to six digits"),
        ({"seeds": 3}, "seeds", "valid list"),
        ({"seeds": [10**30]}, "seeds.0", "less than or equal to 2147483647"),
        ({"seeds": [1e30]}, "seeds.0", "exceeded maximum size"),
        ({"seeds": ["one"]}, "seeds.0", "integer"),
        ({"seeds": list(range(200_000))}, "seeds", "at most 1000"),
        (
            {"seeds": list(range(900)), "fractions": [1.0, *(i / 10 for i in range(1, 10))]},
            "seeds",
            "10,000 training runs",
        ),
        ({"seeds": [[0] * 10] * 10}, "seeds.0", "integer"),
        ({"detector": {"learning_rate": float("nan")}}, "detector.learning_rate", "finite"),
        ({"detector": {"augmentation": {"fliplr": float("inf")}}}, "detector.augmentation", "finite"),
        ({"detector": {"epochs": True}}, "detector", "epochs must not be true"),
        ({"detector": {"augmentation": {"fliplr": True}}}, "detector", "augmentation must not be true"),
        ({"seeds": [True]}, "study", "seeds must not be true"),
        ({"detector": 5}, "detector", "dictionary"),
        (
            {"cohorts": SMALL["cohorts"] | {"development": {"reader": ["btxrd"]}}},
            "cohorts.development",
            "must be one of",
        ),
        ({"cohorts": {"development": {"reader": "coco", "root": ["a"]}}}, "root", "path"),
        (
            {"cohorts": {"development": {"reader": "coco", "root": "a", "patient_pattern": "(" * 900}}},
            "pattern",
            "regular",
        ),
        ({"cohorts": {"development": {"reader": "coco", "root": "a\0b"}}}, "cohorts.development.root", "U+0000"),
        ({"title": "\x1b[31mred"}, "title", "U+001B"),
        ({"title": "\u202etfel"}, "title", "U+202E"),
        ({"ti\0tle": "x"}, "study", "U+0000"),
    ],
)
def test_impossible_values_name_their_place_and_rule(changes, place, rule):
    text = faults_of(**changes)
    assert place in text
    assert rule in text


def test_the_reference_standard_of_phantoms_is_known_and_never_that_of_films():
    """study.yaml is there to be copied: what is said of phantoms must not be said of a hospital's films."""
    default = load_study(ROOT / "study.yaml")
    assert "phantom generator" in default.reference_standard["malignant"]
    ours = {"development": {"reader": "manifest", "root": "a"}, "external": {"reader": "manifest", "root": "b"}}
    content = default.model_dump(mode="json", exclude_unset=True)
    assert parse_study(content | {"cohorts": content["cohorts"] | ours}).reference_standard == {}
    stated = parse_study(SMALL | {"report": {"reference_standard": {"malignant": "histology"}}})
    assert stated.reference_standard["malignant"] == "histology"


def test_all_faults_at_once():
    text = faults_of(foo=1, reference="nobody", fractions=[0], statistics={"confidence": 2})
    for word in ("foo", "nobody", "fractions", "confidence"):
        assert word in text


def test_an_arm_named_twice_is_refused(tmp_path):
    file = tmp_path / "study.yaml"
    file.write_text("title: x\narms:\n  a: {initialise: random}\n  a: {initialise: pretrain}\n")
    with pytest.raises(StudyError, match=r"line 4: 'a' is named twice \(first on line 3\)"):
        load_study(file)


def test_unset_environment_variable_is_named(monkeypatch):
    monkeypatch.delenv("NOWHERE", raising=False)
    text = faults_of(cohorts={"development": {"reader": "coco", "root": "$NOWHERE/films"}})
    assert "environment variable NOWHERE is not set" in text


def test_paths_start_at_the_file(tmp_path):
    file = tmp_path / "study.yaml"
    file.write_text("title: x\npredictions: scores.csv\n")
    assert load_study(file).predictions == tmp_path / "scores.csv"


def test_many_faults_are_counted():
    text = faults_of(**{f"key{i}": 1 for i in range(3_000)})
    assert len(text.splitlines()) == 51
    assert "... and 2,950 more faults" in text


@pytest.mark.parametrize("reference", ["unet/res 50%", "../../x", 'β@05 [x]: a; "q"', "v1.0", "<b>", "A" * 120])
def test_the_reference_of_scores_made_elsewhere_is_free_text(reference):
    assert parse_study({"title": "x", "predictions": "scores.csv", "reference": reference}).reference == reference
    assert "not an arm" in faults_of(reference=reference)


def test_given_thresholds_fit_the_arms():
    points = {"operating_points": {"given": {"vendor": 0.4}}}
    said = faults_of(statistics=points)
    assert "statistics.operating_points.given: 'vendor' is no arm; the arms are 'scratch', 'transfer'" in said
    assert "statistics.operating_points.given: there is no threshold for 'scratch'" in said
    points["operating_points"]["given"] = {"scratch": 0.4, "transfer": 3}
    study = parse_study(SMALL | {"statistics": points})
    assert study.statistics.operating_points.names == ["high_sensitivity", "high_specificity", "youden", "given"]
    assert "given" not in study.statistics.operating_points.rules
    assert "sensitivity@given" in study.statistics.declared_family


def test_files_that_are_no_files_are_told_before_a_run(tmp_path):
    os.mkfifo(tmp_path / "w.safetensors")
    arms = SMALL["arms"] | {"transfer": {"initialise": str(tmp_path / "w.safetensors")}}
    assert "arms.transfer.initialise" in files_missing(parse_study(SMALL | {"arms": arms}))[0]
    scores = parse_study({"title": "x", "predictions": "/dev/zero"})
    assert files_missing(scores) == [
        "predictions: /dev/zero is no regular file but a folder, device or pipe; correct the path (a relative one "
        "starts at the study file's folder)"
    ]
    assert not files_missing(parse_study({"title": "x", "predictions": str(tmp_path)}))


WORDS = ["scratch", "random", "pretrain", "x.pt", "phantom-knee", "coco", "auc@youden", "a\0b", "$NO_SUCH"]
HOSTILE = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=10),
        st.sampled_from(WORDS),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.sampled_from(KEYS), inner, max_size=4)),
    max_leaves=12,
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.sampled_from(TOP), HOSTILE, max_size=4))
def test_any_content_is_a_study_or_a_list_of_sentences(content):
    try:
        study = parse_study(SMALL | content)
    except StudyError as error:
        said = error.faults
    else:
        said = files_missing(study) or ["fine"]
    assert said
    assert all(sentence and "\n" not in sentence and len(sentence) < 2_000 for sentence in said)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 3), st.text(max_size=6)), max_size=6))
def test_any_mutation_of_the_shipped_study(changes):
    text = (ROOT / "study.yaml").read_text()
    for at, length, more in changes:
        place = at % len(text)
        text = text[:place] + more + text[place + length :]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "study.yaml"
        path.write_text(text, encoding="utf-8", errors="replace")
        try:
            assert load_study(path).title
        except StudyError as error:
            faults = error.faults
            assert faults


@pytest.mark.parametrize("text", ["[1, 2]", "title: [", "\x00", "", "title: *x"])
def test_rubbish_is_refused_in_words(tmp_path, text):
    file = tmp_path / "study.yaml"
    file.write_text(text)
    with pytest.raises(StudyError):
        load_study(file)


@pytest.mark.parametrize(("text", "what"), [("", "an empty file"), ("- a", "a list"), ("a", "text")])
def test_a_file_that_is_no_mapping_is_told_what_it_is(tmp_path, text, what):
    file = tmp_path / "study.yaml"
    file.write_text(text)
    with pytest.raises(StudyError, match=f"key: value.*{what}"):
        load_study(file)


def test_missing_file_is_refused_in_words(tmp_path):
    with pytest.raises(StudyError, match="--config"):
        load_study(tmp_path / "none.yaml")


def test_changed_films_need_films():
    with pytest.raises(StudyError, match="robustness: needs films to change"):
        parse_study({"title": "x", "predictions": "scores.csv", "robustness": True})
    assert parse_study({**SMALL, "robustness": True}).robustness
    assert not parse_study(SMALL).robustness
