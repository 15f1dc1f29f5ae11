"""Partitions: by patient, stratified, the same from a seed, and steady when films are added."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from osteotl.cohorts.partition import assign_partitions, in_fraction


def films(patients: int, seed: int = 0, sites: tuple[str, ...] = ("A", "B"), start: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    rows = []
    for k in range(start, start + patients):
        label, site = int(rng.random() < 0.4), str(rng.choice(sites))
        rows += [(f"p{k}", site, label)] * int(rng.integers(1, 4))
    return pd.DataFrame(rows, columns=["patient_id", "site", "label"])


def test_no_patient_stands_in_two_partitions() -> None:
    cohort = films(300)
    part = assign_partitions(cohort, seed=1, validation=0.25, test_share=0.2)
    assert set(part) == {"training", "validation", "test"}
    assert part.groupby(cohort["patient_id"]).nunique().eq(1).all()


@pytest.mark.parametrize("wanted", [50, 173, 400])
def test_a_count_is_met_exactly_and_stratified(wanted: int) -> None:
    cohort = films(400)
    part = assign_partitions(cohort, seed=3, validation=wanted)
    assert (part == "validation").sum() == wanted
    held = cohort[part == "validation"].groupby(["site", "label"]).size()
    expected = cohort.groupby(["site", "label"]).size() * wanted / len(cohort)
    assert (held - expected).abs().max() <= 1  # largest remainder


@pytest.mark.parametrize("patients", [12, 60, 600])
def test_a_share_is_stratified_within_its_leeway(patients: int) -> None:
    cohort = films(patients)
    part = assign_partitions(cohort, seed=5, test_share=0.3)
    everybody = cohort.drop_duplicates("patient_id")
    for _, group in everybody.groupby(["site", "label"]):
        held = (part[group.index] == "test").mean()
        assert abs(held - 0.3) <= max(0.3 / 3, 1 / len(group))
        assert len(group) == 1 or 0 < held < 1


def test_the_order_of_films_does_not_matter_and_the_seed_does() -> None:
    cohort = films(100)
    part = assign_partitions(cohort, 0, 0.3, 0.2)
    shuffled = assign_partitions(cohort.sample(frac=1, random_state=0), 0, 0.3, 0.2)
    pd.testing.assert_series_equal(shuffled.sort_index(), part)
    assert (assign_partitions(cohort, 1, 0.3, 0.2) != part).any()


def test_added_patients_do_not_move_those_before_them() -> None:
    small, more = films(1200), films(200, seed=9, start=1200)
    before = assign_partitions(small, 0, 0.4, 0.3)
    after = assign_partitions(pd.concat([more, small], ignore_index=True), 0, 0.4, 0.3)
    pd.testing.assert_series_equal(after.iloc[len(more) :].reset_index(drop=True), before)


def test_with_a_count_added_patients_move_at_most_as_many_as_they_are() -> None:
    small, more = films(400), films(20, seed=9, start=400)
    before = assign_partitions(small, 0, 250)
    after = assign_partitions(pd.concat([small, more], ignore_index=True), 0, 250).iloc[: len(small)]
    moved = small.loc[before != after.to_numpy(), "patient_id"].nunique()
    assert moved <= 2 * 20


def test_films_added_to_known_patients_follow_them() -> None:
    cohort = films(200)
    twice = pd.concat([cohort, cohort.iloc[::5]], ignore_index=True)
    before, after = (assign_partitions(c, 0, test_share=0.3) for c in (cohort, twice))
    pd.testing.assert_series_equal(after.iloc[: len(cohort)], before)


def test_the_hash_of_a_patient_decides() -> None:
    # printf 0/validation/p7 | sha256sum, and so on: first digit below 8 is a place below one half
    digits = {"p0": 0xC, "p1": 0xA, "p2": 0xA, "p3": 0, "p4": 0, "p5": 1}
    cohort = pd.DataFrame({"patient_id": list(digits), "site": "A", "label": 0})
    part = assign_partitions(cohort, 0, validation=0.5)
    assert set(cohort.loc[part == "validation", "patient_id"]) == {p for p, digit in digits.items() if digit < 8}


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"validation": 10_000}, "none would be left to train"),
        ({"drop": "site"}, "lack the column 'site'"),
        ({"lose": "label"}, "no patient_id or no label"),
    ],
)
def test_what_cannot_be_partitioned_is_refused(change: dict[str, object], rule: str) -> None:
    cohort = films(20)
    if "drop" in change:
        cohort = cohort.drop(columns=str(change["drop"]))
    if "lose" in change:
        cohort[str(change["lose"])] = np.nan
    with pytest.raises(ValueError, match=rule):
        assign_partitions(cohort, 0, int(str(change.get("validation", 5))))


def test_fractions_are_nested_whole_patients_and_stratified() -> None:
    cohort = films(300)
    inside = {f: in_fraction(cohort, f) for f in (0.05, 0.1, 0.25, 0.5, 1.0)}
    for smaller, larger in zip(list(inside), list(inside)[1:], strict=False):
        assert not (inside[smaller] & ~inside[larger]).any()
    assert inside[1.0].all()
    assert inside[0.1].groupby(cohort["patient_id"]).nunique().eq(1).all()
    for fraction, kept in inside.items():
        share = kept.groupby([cohort["site"], cohort["label"]]).mean()
        assert (share - fraction).abs().max() < 0.05
        assert (share > 0).all()


@pytest.mark.parametrize("fraction", [0, -0.1, 1.5])
def test_an_impossible_fraction_is_refused(fraction: float) -> None:
    with pytest.raises(ValueError, match="must lie in"):
        in_fraction(films(10), fraction)
