"""Hashed identifiers, and file names that give a person away."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from osteotl.cohorts.names import FILM_WORDS, NAMES
from osteotl.cohorts.privacy import hash_all, hashed, telling_tokens


def test_a_hash_is_blake2b_keyed_with_the_salt() -> None:
    key = hashlib.sha256(b"osteotl").digest()
    assert hashed("4711", "osteotl") == hashlib.blake2b(b"4711", digest_size=6, key=key).hexdigest()
    assert len(hashed("4711", "osteotl")) == 12


def test_salt_and_identifier_both_matter() -> None:
    assert len({hashed("4711", "a"), hashed("4711", "b"), hashed("4712", "a")}) == 3
    assert hashed(4711, "a") == hashed(" 4711 ", "a")  # tables hold numbers with blanks about them


@pytest.mark.parametrize(("identifier", "salt"), [("", "salt"), ("  ", "salt"), (float("nan"), "salt"), ("4711", "")])
def test_nothing_is_not_hashed(identifier: object, salt: str) -> None:
    with pytest.raises(ValueError, match="neither may be empty"):
        hashed(identifier, salt)


def test_many_identifiers_keep_order_and_repeats() -> None:
    assert hash_all(["b", "a", "b"], "s") == [hashed("b", "s"), hashed("a", "s"), hashed("b", "s")]
    assert len(set(hash_all([str(k) for k in range(20_000)], "s"))) == 20_000


@pytest.mark.parametrize(
    "name",
    [
        "IMG000001.jpeg", "00013118_008.png", "0004cfab-14fd-4e49-80ba-63a80b6bddd6.png", "li31prepro.jpg",
        "0001_1297860395_01_WRI-L1_M014.png", "case12_lateral.png", "NormalG0_213_16bit.png", "19871399.png",
        # the names that public collections use
        "patient64541/study1/view1_frontal.jpg", "XR_ELBOW/patient00011/study1_negative/image1.png",
        "CHNCXR_0001_0.png", "JPCLN001.png", "Viral Pneumonia-1021.png", "Lung_Opacity-12.png", "NORMAL2-IM-0012.jpeg",
        "person1_virus_6.jpeg", "BACTERIA-1008087-0001.jpeg", "Osteosarcoma_Femur_Lateral.png", "tb/tb0003.png",
        "FracAtlas/IMG0000000.jpg", "patient_knee_01.png", "Patient_0001.dcm", "filename_12.png", "annal.png",
        "ewing_sarcoma_weber_b.png", "img_mei12.png", "kim3.png", "dob.png",
    ],
)  # fmt: skip
def test_numbers_and_the_words_of_collections_raise_no_alarm(name: str) -> None:
    assert telling_tokens(name) == []


@pytest.mark.parametrize(
    "name",
    [
        "knee_19870321.png", "knee_1987-03-21.dcm", "21.03.1987_knee.png", "03-21-1987.png", "21mar1987.png",
        "21-March-1987.png", "dob_210387.png", "geb 21031987.jpg", "scans/1987_03_21/001.png",
    ],
)  # fmt: skip
def test_dates(name: str) -> None:
    assert telling_tokens(name) == ["date"]


@pytest.mark.parametrize(
    "name",
    [
        "Mueller_knee.png", "m\u00fcller_knie.png", "KneeAnna2.png", "scans/maria/001.png", "jose.png",  # listed
        "Mei_knee.png", "Kim.dcm",  # short, but with a capital and no digit beside
        "DOE^JANE.dcm", "Xyz^Abc.dcm",  # DICOM's form
        "Abernathy_Thaddeus_01.png", "OYELARAN, FOLASADE.dcm", "Quisling-Vidkun.jpg",  # two capitalised words, unlisted
        "patient_oyelaran.png", "name=szymborska.dcm", "Nachname_Quisling_01.png",  # announced
    ],
)  # fmt: skip
def test_names(name: str) -> None:
    assert telling_tokens(name) == ["name"]


def test_a_date_and_a_name_at_once() -> None:
    assert telling_tokens("anna schmidt 1987_03_21.jpg") == ["date", "name"]


def test_the_two_lists_are_folded_and_words_of_collections_win() -> None:
    assert all(word.isascii() and word.islower() for word in NAMES | FILM_WORDS)
    assert "weber" in NAMES & FILM_WORDS
    assert telling_tokens("Weber.png") == []


def test_of_an_absolute_path_only_the_file_name_counts() -> None:
    assert telling_tokens(Path("/scans/maria/001.png")) == []


def test_real_file_names_raise_no_alarm(radiographs: Path) -> None:
    kinds = (".png", ".jpg", ".jpeg", ".dcm", ".tif", ".tiff")
    names = [path.relative_to(radiographs) for path in radiographs.rglob("*.*") if path.suffix.lower() in kinds]
    assert names
    assert [name for name in names if telling_tokens(name)] == []
