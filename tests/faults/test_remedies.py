"""Each remedy of docs/faults.md, followed literally on an input that raises it: the fault goes, and counts are right.

Cases stand in the files remedies_of_*.py; those of pixels decode every film, the others read what tables tell.
"""

from __future__ import annotations

import pytest

from faults import remedies, remedies_of_cohorts, remedies_of_films, remedies_of_pixels, remedies_of_tables
from osteotl.cohorts.faults import CODES, errors

pytestmark = pytest.mark.slow
#: how that is read which can now be read
TOLD = {"column_unused", "classes_joined", "label_zero", "patient_unknown"}
MODULES = (
    remedies_of_tables,
    remedies_of_films,
    remedies_of_cohorts,
    remedies_of_pixels,
)  # their import registers the cases


def name_of(case):
    _, _, make, variant = case
    return "-".join([make.__name__, *(str(word)[:20] for word in variant[:1])])


@pytest.mark.parametrize("case", remedies.CASES, ids=name_of)
def test_a_remedy_followed_to_the_letter(tmp_path, case):
    code, words, make, variant = case
    place = remedies.Place(tmp_path)
    steps = make(place, *variant)
    next(steps)
    pixels = make.__module__ == remedies_of_pixels.__name__
    before, _, _ = place.read(pixels)
    found = [fault for fault in before if fault.code == code and words in fault.remedy]
    assert found, [(fault.code, fault.message, fault.remedy) for fault in before]
    expected = steps.send(found[0])
    faults, films, boxes = place.read(pixels)
    assert not errors(faults)
    left = [fault for fault in faults if fault.code == code and fault.file == found[0].file]
    assert bool(left) == expected.stays, left
    new = {fault.code for fault in faults} - {fault.code for fault in before} - TOLD - set(expected.also)
    assert not new, [fault for fault in faults if fault.code in new]
    assert (len(films), int(films["label"].sum()), len(boxes)) == (expected.films, expected.malignant, expected.boxes)
    with pytest.raises(StopIteration):  # further facts that the case checks
        steps.send((films, boxes))


def test_every_documented_fault_has_a_remedy_that_was_followed():
    assert {code for code, *_ in remedies.CASES} == set(CODES)
