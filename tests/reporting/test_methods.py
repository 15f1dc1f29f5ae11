"""The text to paste: every number from the files, no markup from labels, nothing said that was not done."""

from __future__ import annotations

import copy
import json
import re

import pandas as pd
import pytest
from marked import ACTIVE, kinds, shown
from records import training_records

from osteotl.cohorts.preparation import prepared_side
from osteotl.reporting.account import Run
from osteotl.reporting.exports import read_run, write_exports
from osteotl.reporting.markdown import md, unescaped
from osteotl.reporting.methods import methods_text, table_one, written
from osteotl.reporting.wording import typeset
from osteotl.study import parse_study

HOSTILE = "*bold* _it_ `code` [link](https://evil.example) ![p](x) <img src=x onerror=a()> $x$ a|b &lt; # ~~s~~ \\n"


@pytest.fixture(scope="module")
def run(page):
    found = read_run(page.study, page.out)
    return Run(found.study, found.statistics, found.integrity, found.provenance, training_records())


def numbers_of(content):
    """Every number below a node, and every number inside its text and its keys."""
    if isinstance(content, dict):
        for key, value in content.items():
            yield from numbers_of(str(key))
            yield from numbers_of(value)
    elif isinstance(content, list):
        yield float(len(content))  # how many runs there are is the length of a list
        for value in content:
            yield from numbers_of(value)
    elif isinstance(content, bool) or content is None:
        return
    elif isinstance(content, int | float):
        yield abs(float(content))
    else:
        yield from (float(n.replace(",", "")) for n in re.findall(r"\d[\d,]*(?:\.\d+)?", str(content)))


def test_every_number_stands_in_a_file_of_the_run(run):
    text = written(run).split("## References")[0].replace("(CC0)", "").replace("p < 0.001", "")
    text = re.sub(r"\[\d+\]", "", text)  # citations
    side = prepared_side(run.study.detector.image_size)  # a rule of the film cache, not a result
    text = text.replace(f"exceeded {side} pixels", "")
    text = re.sub(r"\b(yolov5n|float32|SHA-256 \w+|mid-p|LROC|FROC)\b", "", text)
    study = run.study.model_dump(mode="json")
    known = pd.Series(
        sorted(
            {
                n
                for part in (study, run.statistics, run.integrity, run.provenance, run.training)
                for n in numbers_of(part)
            }
        )
    )
    missing = []
    for found in re.findall(r"(?<![\w.])\d[\d,]*(?:\.\d+)*", text):
        if found.count(".") > 1:  # a version
            assert found in json.dumps(run.provenance), found
            continue
        value, digits = float(found.replace(",", "")), len(found.partition(".")[2])
        half = 0.5 * 10**-digits + 1e-9
        if not any(((known * scale - value).abs() <= half).any() for scale in (1, 100)):
            missing.append(found)
    assert not missing


def flooded(content):
    """The same statistics with one value in the place of every result."""
    if isinstance(content, dict) and "estimate" in content:
        return content | {"estimate": 0.777, "lower": 0.777, "upper": 0.777, "p": 0.555}
    if isinstance(content, dict):
        adjusted = {key: 0.555 for key in ("p", "holm", "bh", "hochberg", "by") if key in content}
        return {key: flooded(value) for key, value in content.items()} | adjusted
    return [flooded(value) for value in content] if isinstance(content, list) else content


def test_no_result_is_typed(run):
    """With one value in the place of every result, no other result may be left in the text."""
    text = written(Run(run.study, flooded(run.statistics), run.integrity, run.provenance, run.training))
    results = text.partition("## Results")[2].partition("## References")[0]
    for comparison in run.statistics["comparisons"].values():
        results = results.replace(md(typeset(comparison["verdict"]["sentence"])), "")
    assert set(re.findall(r"\d\.\d{3}", results)) == {"0.777", "0.555"}


def test_changing_statistics_changes_the_text(run):
    other = copy.deepcopy(run.statistics)
    other["arms"]["transfer"]["auc"] |= {"estimate": 0.4242, "lower": 0.4, "upper": 0.5}
    other["comparisons"]["transfer"]["verdict"]["sentence"] = "The arms changed places."
    text = written(Run(run.study, other, run.integrity, run.provenance, run.training))
    assert "0.424 (0.400 to 0.500)" in text
    assert "The arms changed places." in text
    assert text != written(run)


def test_statistics_named_are_those_that_were_used(run):
    several = written(run)
    assert "Obuchowski and Rockette" in several
    assert "conditional on that run" not in several
    one = copy.deepcopy(run.statistics)
    one["settings"] |= {"seeds": [0], "unit": "film"}
    single = written(Run(run.study, one, run.integrity, run.provenance, run.training))
    assert "conditional on that run" in single
    assert "test of DeLong" in single
    assert "Durkalski" not in single
    # what is cited is listed, what is listed is cited
    for text in (several, single):
        body, _, listed = text.partition("## References")
        cited = [int(n) for n in re.findall(r"\[(\d+)\]", body)]
        assert sorted(set(cited)) == list(range(1, len(re.findall(r"^\d+\. ", listed, flags=re.M)) + 1))


def test_labels_are_never_markup(run):
    other = copy.deepcopy(run.statistics)
    for arm in other["settings"]["arms"].values():
        arm["label"] = HOSTILE
    other["settings"]["title"] = HOSTILE
    text = written(Run(run.study, other, run.integrity, run.provenance, run.training))
    assert not {*ACTIVE, "strong", "codespan"} & set(kinds(text))
    assert " ".join(HOSTILE.split()) in shown(text)


@pytest.mark.parametrize("text", [HOSTILE, "p < 0.05, hsv_v", "1 * 2 _a_", "plain", "a\\b", "&amp; &#38; & co"])
def test_escaping_is_undone(text):
    assert unescaped(md(text)) == " ".join(text.split())
    assert shown(f"x {md(text)}") == "x " + " ".join(text.split())


def test_a_run_that_knows_little_says_little():
    study = parse_study({"title": "Scores", "predictions": "p.csv"})
    gone = {
        "estimate": None,
        "lower": None,
        "upper": None,
        "method": "",
        "n": 0,
        "not_estimable": "all scores are equal",
    }
    bare = {"settings": {"reference": "a", "arms": {"a": {"label": "A"}}, "seeds": [0]}, "arms": {"a": {"auc": gone}}}
    text = methods_text(study, bare)
    assert "not estimable (all scores are equal)" in text
    assert "None" not in text
    assert "Detectors" in text  # the arms are known, how they were trained is not
    for word in ("AdamW", "letterbox", "pairing", "Augmentation", "hashes", "SHA-256"):
        assert word not in text


def test_table_one_counts_films_by_hand(page):
    table = table_one(page.out)
    films = pd.read_csv(page.out / "cohorts" / "external.csv")
    row = table[(table["cohort"] == "external") & (table["class"] == "malignant")].iloc[0]
    chosen = films[films["label"] == 1]
    assert row["films"] == len(chosen)
    assert row["patients"] == chosen["patient_id"].nunique()
    known = int(chosen["sex"].notna().sum())
    assert row["female"] == f"{int((chosen['sex'] == 'F').sum())} of {known}"
    assert row["age unknown"] == int(chosen["age"].isna().sum())
    assert sum(int(n) for n in re.findall(r"(\d+)(?:,|$)", row["views"])) == len(chosen)


def test_table_one_of_films_without_age_sex_or_site(tmp_path):
    (tmp_path / "cohorts").mkdir()
    unknown = dict.fromkeys(("site", "view", "age", "sex", "subtype"))
    frame = pd.DataFrame({"image_id": ["a", "b"], "patient_id": ["p", "p"], "partition": "test", "label": 1, **unknown})
    frame.to_csv(tmp_path / "cohorts" / "external.csv", index=False)
    row = table_one(tmp_path).iloc[0]
    assert (row["films"], row["patients"], row["age unknown"], row["sex unknown"]) == (2, 1, 2, 2)
    assert row["age, median (quartiles)"] == row["female"] == "unknown"
    assert row["views"] == "unknown 2"
    assert table_one(tmp_path / "nothing").empty


def test_exports_are_the_same_bytes_twice(page, tmp_path):
    for folder in ("one", "two"):
        (tmp_path / folder / "cohorts").mkdir(parents=True)
        for name in ("statistics.json", "provenance.json", "cohorts/integrity.json", "cohorts/external.csv"):
            (tmp_path / folder / name).write_bytes((page.out / name).read_bytes())
    first, second = (write_exports(page.study, tmp_path / folder) for folder in ("one", "two"))
    assert [p.relative_to(tmp_path / "one") for p in first] == [p.relative_to(tmp_path / "two") for p in second]
    checked = {"claim2024.csv", "stard_ai2025.csv", "tripod_ai2024.csv"}
    assert {p.name for p in first} == checked | {"methods.md", "scratch.md", "transfer.md", "table_one.csv"}
    for a, b in zip(first, second, strict=True):
        assert a.read_bytes() == b.read_bytes(), a.name


def test_without_statistics_nothing_is_written(page, tmp_path):
    with pytest.raises(ValueError, match=r"statistics\.json is missing"):
        write_exports(page.study, tmp_path)
    assert not list(tmp_path.iterdir())
