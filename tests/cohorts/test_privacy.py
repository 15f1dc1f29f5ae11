"""Hashed identifiers, and file names that give a person away."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

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
    ("name", "kinds"),
    [
        ("IMG000001.jpeg", []), ("00013118_008.png", []), ("0004cfab-14fd-4e49-80ba-63a80b6bddd6.png", []),
        ("0001_1297860395_01_WRI-L1_M014.png", []), ("case12_lateral.png", []), ("NormalG0_213_16bit.png", []),
        ("knee_19870321.png", ["date"]), ("knee_1987-03-21.dcm", ["date"]), ("21.03.1987_knee.png", ["date"]),
        ("03-21-1987.png", ["date"]), ("19871399.png", []), ("Mueller_knee.png", ["name"]), ("KneeAnna2.png", ["name"]),
        ("DOE^JANE.dcm", ["name"]), ("Xyz^Abc.dcm", ["name"]), ("anna schmidt 1987_03_21.jpg", ["date", "name"]),
        ("annal.png", []), ("scans/maria/001.png", ["name"]),
    ],
)
def test_names_and_dates_in_file_names(name: str, kinds: list[str]) -> None:
    assert telling_tokens(name) == kinds


def test_of_an_absolute_path_only_the_file_name_counts() -> None:
    assert telling_tokens(Path("/scans/maria/001.png")) == []


def test_real_file_names_raise_no_alarm(radiographs: Path) -> None:
    names = [path.relative_to(radiographs) for path in radiographs.rglob("*.*") if path.suffix in (".png", ".jpg")]
    assert names
    assert [name for name in names if telling_tokens(name)] == []
