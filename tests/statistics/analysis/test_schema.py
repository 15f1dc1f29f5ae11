"""docs/statistics.md against real documents: no path that it lacks, none of its paths that never occurs."""

from __future__ import annotations

import re
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

PAGE = Path(__file__).parents[3] / "docs" / "statistics.md"
SECTIONS = ("settings", "cohorts", "arms", "comparisons", "variance", "subgroups", "learning", "audit", "baseline",
            "flags", "schema")  # fmt: skip
PLACEHOLDERS = {"ARM", "SEED", "POINT", "AUDIT"}
ANYTHING = ("audit.alarms", "audit.site_probe")  # written by 03; not described here
RARE = {*ANYTHING}


def documented():
    """Every path pattern of the page, as lists of components."""
    patterns = []
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        found = re.match(r"\| `([^`]+)` \|", line)
        if not found or found[1].split(".")[0].split("[")[0] not in SECTIONS:
            continue
        choices = [
            part[1:-1].replace(" ", "").split(",") if part.startswith("{") else [part]
            for part in re.split(r"(\{[^}]*\})", found[1])
            if part
        ]
        patterns += ["".join(one) for one in product(*choices)]
    return patterns


def paths(content, place=()):
    """Every leaf of a document: a Number, a plain value, or an empty list or mapping."""
    if isinstance(content, dict) and not {"estimate", "method", "n"} <= set(content) and content:
        for key, value in content.items():
            yield from paths(value, (*place, key))
    elif isinstance(content, list) and content and not _pair(content, place):
        for value in content:
            yield from paths(value, (*place[:-1], f"{place[-1]}[]"))
    else:
        yield place, content


def _pair(content, place):
    """A corner of the joint region is one value."""
    return place[-1] == "joint_region[]" and not isinstance(content[0], list)


def matches(pattern, place):
    parts = pattern.split(".")
    return len(parts) == len(place) and all(
        one == other or (one.removesuffix("[]") in PLACEHOLDERS and one.endswith("[]") == other.endswith("[]"))
        for one, other in zip(parts, place, strict=True)
    )


def begins(pattern, place):
    """A place that is null or empty where the page has something below it."""
    parts = pattern.split(".")
    if len(place) > len(parts):
        return False
    same = all(one in PLACEHOLDERS or one.removesuffix("[]") == other for one, other in zip(parts, place, strict=False))
    return same and (len(place) < len(parts) or parts[-1].endswith("[]"))


@pytest.fixture(scope="module")
def documents(predictions_of, extra_of, settings_of, analysed):
    """One document with everything, and some that lack this or that."""
    every = predictions_of(fractions=(0.5, 1.0), films_per_patient=2)
    out = every[every["cohort"] == "external"]
    films = out.drop_duplicates("image_id")[["image_id", "patient_id", "label"]].reset_index(drop=True)
    facts = films.assign(age=np.arange(len(films)) % 60, sex=np.where(films.index % 2, "F", "M"), width=300, height=400,
                         view="frontal", site="B", spacing_mm=0.15, subtype="")  # fmt: skip
    corners = {"x_min": 100.0, "y_min": 120.0, "x_max": 160.0, "y_max": 200.0}
    boxes = films.loc[films["label"] == 1, ["image_id"]].assign(**corners)
    moved = {name: value + 12 * (out["score"] < 0.5) for name, value in corners.items()}
    marks = out[["image_id", "arm", "fraction", "seed", "score"]].assign(**moved)
    first = (out["fraction"] == 1.0) & (out["seed"] == 0)
    masked = out.loc[first, ["image_id", "arm", "fraction", "seed", "score"]].assign(audit="lesion_masked")
    alone = films[["image_id"]].assign(audit="baseline", score=np.linspace(0.1, 0.9, len(films)))
    alarm = {"alarm": "source_and_class", "raised": True, "rule": "", "finding": "one source holds all"}
    audit = {"alarms": [alarm], "site_probe": {"auc": 0.5}, "baseline_covariates": ["age"]}
    extra = [extra_of(every, {"scratch": 1.0, "transfer": 2.0}, 10),
             extra_of(every, {"scratch": 1.0, "transfer": 2.0}, 40, 40, "equal_epochs", 0.5)]  # fmt: skip
    whole = analysed(every, settings_of(fraction_training="both"), extra=pd.concat(extra),
                     detections=marks, boxes=boxes, films=facts, audit=audit,
                     audit_scores=pd.concat([masked, alone]), unscored={"external": 1})  # fmt: skip
    alone_seed = predictions_of(seeds=(0,))
    return [whole, analysed(alone_seed), analysed(alone_seed[alone_seed["cohort"] == "external"])]


def test_every_path_is_documented(documents):
    patterns, missing = documented(), set()
    for document in documents:
        for place, content in paths(document):
            if ".".join(place[:2]).removesuffix("[]").startswith(ANYTHING):
                continue
            empty = content is None or content in ([], {})
            if not any(matches(p, place) or (empty and begins(p, place)) for p in patterns):
                missing.add(".".join(place))
    assert not missing, "\n".join(sorted(missing))


def test_every_documented_path_occurs(documents):
    seen = {place for document in documents for place, _ in paths(document)}
    idle = [p for p in documented() if p not in RARE and not any(matches(p, place) for place in seen)]
    assert not idle, "\n".join(idle)


def test_the_page_names_the_version_of_the_documents(documents):
    assert f"`{documents[0]['schema']}`" in PAGE.read_text(encoding="utf-8")


def test_tables_have_the_columns_of_the_page(predictions, settings_of, extra_of):
    from osteotl.statistics.analysis import Inputs, analyse

    extra = extra_of(predictions, {"scratch": 1.0, "transfer": 2.0}, 10)
    tables = analyse(Inputs(settings_of(), predictions, extra=extra)).tables
    assert {"learning_curve", "steps_curve", "steps_difference"} <= set(tables)
    page = PAGE.read_text(encoding="utf-8")
    for name, table in tables.items():
        if name in ("missed", "false_alarms"):
            continue
        found = re.search(rf"\| `{name}\.csv` \| ([^|]+) \|", page)
        assert found, name
        columns = [part.strip() for part in re.sub(r"\([^)]*\)", "", found[1]).split(",")]
        assert columns == list(table), name
