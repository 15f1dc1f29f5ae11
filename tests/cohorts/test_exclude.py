"""What `integrity.exclude` leaves out: a film, a folder, a pattern; never a table, and never in silence."""

import shutil

import pytest

from cohorts import layouts
from osteotl.cohorts.faults import fault
from osteotl.cohorts.pool import exclude, read_pool
from osteotl.study import parse_study


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Films films/f000.png ... f011.png of 12, two of them in other folders."""
    root = layouts.manifest(tmp_path_factory.mktemp("data") / "knees", 6, 6)
    for old, new in (("films/f002.png", "films/second/f002.png"), ("films/f003.png", "films/odd [1].png")):
        (root / new).parent.mkdir(exist_ok=True)
        shutil.move(root / old, root / new)
        for name in ("manifest.csv", "boxes.csv"):
            (root / name).write_text((root / name).read_text().replace(old, new))
    return root


def pool_of(root):
    """The films of a study, not decoded."""
    study = parse_study({
        "title": "T", "reference": "a", "arms": {"a": {"initialise": "random"}, "b": {"initialise": "random"}},
        "cohorts": {"development": {"reader": "manifest", "root": str(root)}},
    })  # fmt: skip
    return read_pool(study.cohorts, root)


@pytest.mark.parametrize(
    ("name", "films"),
    [
        ("knees/films/f000.png", 1),
        ("films/f000.png", 1),
        ("f000.png", 1),
        ("./films/f000.png", 1),
        ("films\\f000.png", 1),
        ("knees/films/second", 1),
        ("films/second/", 1),
        ("second", 1),
        ("knees/films", 12),
        ("films/f00*.png", 8),  # f000, f001 and f004 to f009
        ("f01?.png", 2),  # f010 and f011
        ("knees/*/f010.png", 1),
        ("odd [1].png", 1),  # a name first, a pattern only where no film has that name
        ("*.png", 12),
    ],
)
def test_a_name_a_folder_and_a_pattern(root, name, films):
    pool = pool_of(root)
    exclude(pool, [name])
    assert 12 - len(pool.films) == films
    left = [(step["films"], step["reason"]) for step in pool.flow if step["step"] == "left out"]
    assert left == [(films, "excluded by name (integrity.exclude)")]
    assert "exclude_unknown" not in {found.code for found in pool.faults}
    assert set(pool.boxes["image_id"]) <= set(pool.films["image_id"])


@pytest.mark.parametrize(
    "name",
    ["f999.png", "films/none", "g*.png", "manifest.csv", "knees/boxes.csv", "*.csv", "[", "", "data", ".", "../*"],
)
def test_what_is_no_film_is_an_error_and_silences_nothing(root, name):
    pool = pool_of(root)
    pool.faults.append(fault("file_unreadable", "knees/boxes.csv", "is broken", "mend it"))
    pool.faults.append(fault("class_unmapped", "knees", "boxes were left out", "name them"))
    exclude(pool, [name])
    assert len(pool.films) == 12
    assert {"file_unreadable", "class_unmapped", "exclude_unknown"} <= {found.code for found in pool.faults}


def test_a_fault_of_an_excluded_film_goes_with_it(root):
    for name in ("knees/films/lost/gone.png", "films/lost", "films/lost/*"):
        pool = pool_of(root)
        pool.faults.append(fault("film_missing", "knees/films/lost/gone.png", "is not there", "add it"))
        exclude(pool, [name])
        assert {"film_missing", "exclude_unknown"}.isdisjoint({found.code for found in pool.faults})
        assert len(pool.films) == 12
