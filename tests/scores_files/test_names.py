"""Names of arms are free text; what cannot be told apart or seen is refused; readers, facts and headers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from osteotl.scores_files.faults import MOST_ARMS
from osteotl.scores_files.reading import ScoresError, check_scores, read_scores


def table(*arms: str, **columns: list[object]) -> pd.DataFrame:
    """Two films of each class in every arm."""
    rows = [{"image_id": f"f{i}", "label": i % 2, "arm": arm, "score": 0.1 + 0.2 * i} for arm in arms for i in range(4)]
    return pd.DataFrame(rows).assign(**columns)


def read(folder: Path, frame: pd.DataFrame, reference: str | None = None):
    frame.to_csv(folder / "scores.csv", index=False)
    return read_scores(folder / "scores.csv", reference)


def fault(folder: Path, frame: pd.DataFrame) -> str:
    with pytest.raises(ScoresError) as caught:
        read(folder, frame)
    assert len(caught.value.faults) == 1, caught.value.faults
    return caught.value.faults[0]


ODD = [
    "../../x", "a/b", "unet/res 50%", 'β@05 [x]: a; "q"', "v1.0", "<img src=x onerror=alert(1)>", "$x^2$", "{{ x }}",
    "C:\\x", "=1+1", "-2", "+A1", "@x", "CON", "שלום", "x\u200fy", "👩‍⚕️ 🦴", "a" * 120, "null.", "%s", "..", "'; --",
]  # fmt: skip


@pytest.mark.parametrize("name", ODD)
def test_arms_are_free_text(tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    scores = read(tmp_path, table("A", name), reference=name)
    assert scores.arms == ("A", name)
    assert scores.reference == name
    assert set(scores.predictions["arm"]) == {"A", name}
    assert list(tmp_path.iterdir()) == [tmp_path / "scores.csv"]
    assert check_scores(tmp_path / "scores.csv") == 0
    printed = capsys.readouterr().out
    assert all(c.isprintable() or c == "\n" for c in printed)


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("a" * 121, "more than 120 characters"), ("a\x1b[31m", "U+001B"), ("a\u202eb", "U+202E"),
        ("a\u2067b", "U+2067"), ("a\x07", "U+0007"), ("a\nb", "U+000A"), ("a\x85b", "U+0085"),
    ],
)  # fmt: skip
def test_what_is_not_shown_is_no_name(tmp_path: Path, name: str, what: str) -> None:
    said = fault(tmp_path, table("A", name))
    assert what in said
    assert said.isprintable()


def test_films_have_long_names_but_shown_ones(tmp_path: Path) -> None:
    films = table("A", "B")
    assert read(tmp_path, films.assign(image_id=films["image_id"] + "a" * 300))
    assert "image_id: rows 2, 3, 4, 5, 6, 7, 8, 9 hold the character U+0085, which is not shown" in fault(
        tmp_path, films.assign(image_id=films["image_id"] + "\x85b")
    )


@pytest.mark.parametrize(
    ("one", "other"), [("A", "a"), ("unet 50", "unet  50"), ("x", "x\u200b"), ("ﬁne", "fine"), ("Straße", "STRASSE")]
)
def test_arms_that_cannot_be_told_apart(tmp_path: Path, one: str, other: str) -> None:
    assert f"arms {one!r} and {other!r} differ in case, spaces or invisible marks only" in fault(
        tmp_path, table(one, other)
    )


def test_fractions_equal_to_six_digits(tmp_path: Path) -> None:
    frames = [table("A", "B").assign(fraction=share) for share in (1.0, 0.1, 0.1000000001)]
    assert "fractions 0.1 and 0.1000000001 are equal to six digits" in fault(tmp_path, pd.concat(frames))


def test_more_arms_than_a_page_holds(tmp_path: Path) -> None:
    said = fault(tmp_path, table(*(f"net {i:02d}" for i in range(50))))
    assert f"50 arms, where one page holds {MOST_ARMS}: keep those to be compared" in said


def test_patients_that_differ_in_case_are_named(tmp_path: Path) -> None:
    frame = table("A", "B").assign(patient_id=["P01", "p01", "P2", "P3"] * 2)
    assert "patients 'P01' and 'p01' differ in case" in "\n".join(read(tmp_path, frame).remarks)


def test_readers_take_the_part_of_runs_or_of_arms(tmp_path: Path) -> None:
    frames = [table("film", "film and AI").assign(reader=name) for name in ("Kim", "Roe")]
    both = read(tmp_path, pd.concat(frames))
    assert both.readers
    assert both.run_names == {0: "Kim", 1: "Roe"}
    alone = read(tmp_path, table("Kim", "Roe").rename(columns={"arm": "reader"}))
    assert not alone.readers
    assert alone.arms == ("Kim", "Roe")
    wide = pd.DataFrame({"case": ["a", "b"] * 2, "label": [1, 0] * 2, "reader": ["Kim", "Kim", "Roe", "Roe"],
                         "score_film": [5, 1, 4, 2], "score_AI": [4, 2, 5, 1]})  # fmt: skip
    assert read(tmp_path, wide).readers
    assert read(tmp_path, wide).arms == ("film", "AI")
    seeds = read(tmp_path, pd.concat([f.rename(columns={"reader": "seed"}) for f in frames]))
    assert not seeds.readers


def test_readers_must_have_read_every_arm(tmp_path: Path) -> None:
    frame = pd.concat([table("film", "AI").assign(reader="Kim"), table("film").assign(reader="Roe")])
    assert "arm 'AI' was not read by 1 of the 2 readers" in fault(tmp_path, frame)
    accepted = read(tmp_path, frame.rename(columns={"reader": "seed"}))
    assert accepted.predictions.groupby("arm")["seed"].nunique().to_dict() == {"AI": 1, "film": 2}


def test_seed_and_reader_at_once(tmp_path: Path) -> None:
    assert "both name the runs" in fault(tmp_path, table("A", "B").assign(seed=0, reader="Kim"))


def test_facts_of_films_are_kept_and_agree(tmp_path: Path) -> None:
    frame = table("A", "B").assign(age=[12, "", "old", 40] * 2, Sex=["F", "M", "", "F"] * 2, note="mine")
    scores = read(tmp_path, frame)
    assert list(scores.predictions.columns[-2:]) == ["age", "sex"]
    np.testing.assert_array_equal(scores.predictions["age"], [12, np.nan, np.nan, 40] * 2)
    assert scores.predictions["sex"].tolist() == ["F", "M", "", "F"] * 2
    said = "\n".join(scores.remarks)
    assert "age: rows 4, 8 text, not a number, e.g. 'old': taken as unknown" in said
    assert "columns left out: 'note'" in said
    frame.loc[0, "Sex"] = "M"
    assert "column 'sex' of film 'f0' disagree: 'M' in row 2; 'F' in row 6" in fault(tmp_path, frame)


def test_a_header_that_is_nearly_right_is_named(tmp_path: Path) -> None:
    said = fault(tmp_path, table("A", "B").rename(columns={"image_id": "imageid_"}))
    assert "no column 'image_id' (columns are 'imageid_', 'label', 'arm', 'score'); is 'imageid_' meant?" in said


@pytest.mark.parametrize("tiny", [1e-9, 1e-7, 1e-300, 5e-324])
def test_logits_of_zero_and_one_keep_the_order_of_scores(tmp_path: Path, tiny: float) -> None:
    """An exact 0 beside 1e-9 must not get a higher logit than it."""
    scores = [0.0, tiny, 0.3, 1.0]
    got = read(tmp_path, table("A", "B").assign(score=scores * 2)).predictions["logit"].to_numpy()[:4]
    assert np.isfinite(got).all()
    assert (np.diff(got) >= 0).all()
    assert got[2] == pytest.approx(np.log(0.3 / 0.7))
    assert got[0] <= np.log(1e-6)
