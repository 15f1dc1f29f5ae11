"""Own scores: films and patients are called by numbers, and nothing else changes."""

from types import SimpleNamespace

import pandas as pd

from osteotl.outputs import numbered, read_scores, save_results
from osteotl.study import parse_study

IDS = [f"Maria Musterfrau 1956-03-{k:02d}" for k in (9, 4, 7, 1, 12, 11, 2, 3, 5, 6, 8)]


def step_of(folder, show_ids=False):
    """A step of a study on scores of our own, with planted ids."""
    rows = [f"{name},PLANTED-{k // 2},external,{k % 2},{0.1 + 0.05 * k},{0.9 - 0.04 * k}" for k, name in enumerate(IDS)]
    path = folder / "scores.csv"
    path.write_text("image_id,patient_id,cohort,label,score_A,score_B\n" + "\n".join(rows) + "\n")
    study = parse_study({"title": "T", "reference": "A", "predictions": str(path), "report": {"show_ids": show_ids}})
    out = folder / "out"
    (out / "tables").mkdir(parents=True, exist_ok=True)
    return SimpleNamespace(study=study, by_engine=True, write=lambda name: out / name, out=out)


def test_numbers_keep_the_order_of_the_ids():
    table, key = numbered(pd.DataFrame({"image_id": IDS, "patient_id": ["b", "a"] * 5 + ["c"]}))
    # eleven films: two digits; sorted as texts 01, 02, 03, 04, ... 09, 11, 12, so 09 is the eighth ... and 01 the first
    places = {name: f"{place:02d}" for place, name in enumerate(sorted(IDS), 1)}
    assert table["image_id"].tolist() == [places[name] for name in IDS]
    assert table["patient_id"].tolist() == ["2", "1"] * 5 + ["3"]
    films = key[key["what"] == "film"]
    assert dict(zip(films["id"], films["number"], strict=True)) == places
    assert sorted(table["image_id"]) == [places[name] for name in sorted(IDS)]


def test_no_id_leaves_the_key(tmp_path):
    step = step_of(tmp_path)
    scores = read_scores(step)
    text = scores.facts.to_csv() + scores.values.to_csv()
    assert "Muster" not in text
    assert "PLANTED" not in text
    frame = pd.DataFrame({"section": ["s"], "measure": ["auc"], "estimate": [0.5]})
    save_results(step, frame, {}, {"films": scores.facts.reset_index()})
    others = [path.read_bytes() for path in step.out.rglob("*") if path.is_file() and path.name != "film_numbers.csv"]
    assert others
    assert not any(b"Muster" in content or b"PLANTED" in content for content in others)
    key = pd.read_csv(step.out / "film_numbers.csv", dtype=str)
    assert set(key.loc[key["what"] == "film", "id"]) == set(IDS)


def test_numbers_change_no_score(tmp_path):
    plain, shown = read_scores(step_of(tmp_path)), read_scores(step_of(tmp_path, show_ids=True))
    places = {name: f"{place:02d}" for place, name in enumerate(sorted(IDS), 1)}
    assert list(plain.facts.index) == [places[name] for name in shown.facts.index]
    for one, two in zip(plain.runs, shown.runs, strict=True):
        assert plain.values[one].tolist() == shown.values[two].tolist()
    assert plain.facts["label"].tolist() == shown.facts["label"].tolist()
