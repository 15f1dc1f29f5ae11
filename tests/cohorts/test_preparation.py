"""Prepared films: named by content, whole or absent, found again."""

from __future__ import annotations

import hashlib
import io
import os
import resource
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from osteotl.cohorts import parallel, preparation
from osteotl.cohorts.film import FilmError
from osteotl.cohorts.preparation import Prepared, prepare_film, prepare_films, prepared_path, prepared_side

RNG = np.random.default_rng(0)


def film(folder: Path, name: str, height: int = 90, width: int = 120, top: int = 256) -> Path:
    path = folder / name
    Image.fromarray(RNG.integers(0, top, (height, width), dtype=np.uint8)).save(path)
    return path


def ready(result: Prepared | FilmError) -> Prepared:
    assert isinstance(result, Prepared), result
    return result


def settled(paths: list[Path]) -> None:
    """Let the files look old enough to be trusted by their times."""
    for path in paths:
        os.utime(path, (1e9, 1e9))


def test_a_prepared_film_is_scaled_uniformly_and_described(tmp_path: Path) -> None:
    path = film(tmp_path, "film.png", 300, 400)
    facts = ready(prepare_film(path, tmp_path / "cache", 200))
    pixels = np.asarray(Image.open(path))
    shown = Image.open(prepared_path(tmp_path / "cache", facts.film))
    assert (facts.width, facts.height) == (400, 300)
    assert shown.size == (200, 150)
    assert shown.mode == "L"
    assert facts.mean_grey == pytest.approx(pixels.mean())
    assert facts.sd_grey == pytest.approx(pixels.std())
    assert facts.levels == 256
    assert facts.extremes == pytest.approx(np.isin(pixels, (0, 255)).mean())
    assert facts.file_hash == hashlib.sha256(path.read_bytes()).hexdigest()
    assert len(facts.perceptual_hash) == 16


def test_a_small_film_keeps_its_pixels(tmp_path: Path) -> None:
    path = film(tmp_path, "film.png")
    facts = ready(prepare_film(path, tmp_path / "cache", 640))
    np.testing.assert_array_equal(Image.open(prepared_path(tmp_path / "cache", facts.film)), Image.open(path))


@pytest.mark.parametrize(("image_size", "side"), [(160, 640), (640, 640), (1024, 1024)])
def test_prepared_films_suit_reader_and_detector(image_size: int, side: int) -> None:
    assert prepared_side(image_size) == side


def test_the_key_follows_content_and_settings(tmp_path: Path) -> None:
    one, cache = film(tmp_path, "one.png"), tmp_path / "cache"
    copy = tmp_path / "copy.png"
    copy.write_bytes(one.read_bytes())
    first = ready(prepare_film(one, cache, 640))
    assert ready(prepare_film(copy, cache, 640)).film == first.film
    assert ready(prepare_film(one, cache, 64)).film != first.film
    assert ready(prepare_film(film(tmp_path, "two.png"), cache, 640)).film != first.film
    assert len(first.film) == 32


def test_exact_duplicates_share_a_pixel_hash_whatever_their_encoding(tmp_path: Path) -> None:
    path = film(tmp_path, "film.png")
    Image.open(path).save(tmp_path / "film.tif")
    Image.open(path).transpose(Image.Transpose.ROTATE_90).save(tmp_path / "turned.png")
    one, two, turned = (
        ready(prepare_film(tmp_path / name, tmp_path / "cache", 640)) for name in ("film.png", "film.tif", "turned.png")
    )
    assert one.pixel_hash == two.pixel_hash != turned.pixel_hash
    assert one.file_hash != two.file_hash


def test_near_duplicates_have_near_perceptual_hashes(tmp_path: Path) -> None:
    grid = np.linspace(0, 3, 200)
    scene = ((np.sin(grid[:, None] * 4) * np.cos(grid[None, :] * 3) + 1) * 120).astype(np.uint8)
    Image.fromarray(scene).save(tmp_path / "a.png")
    Image.fromarray(scene).resize((150, 150)).save(tmp_path / "b.jpg", quality=60)
    film(tmp_path, "c.png")
    films = [ready(prepare_film(tmp_path / name, tmp_path / "cache", 640)) for name in ("a.png", "b.jpg", "c.png")]
    hashes = [int(film.perceptual_hash, 16) for film in films]
    assert (hashes[0] ^ hashes[1]).bit_count() <= 6
    assert (hashes[0] ^ hashes[2]).bit_count() > 12


def test_faults_come_back_in_place_and_the_others_are_prepared(tmp_path: Path) -> None:
    paths = [film(tmp_path, f"{k}.png") for k in range(30)]  # enough to be spread over processes
    paths[7].write_bytes(paths[7].read_bytes()[:-40])
    paths[20] = tmp_path / "gone.png"
    results = prepare_films(paths, tmp_path / "cache", 640)
    assert [k for k, r in enumerate(results) if isinstance(r, FilmError)] == [7, 20]
    assert "truncated" in str(results[7])
    assert [ready(r).file_hash for k, r in enumerate(results) if k not in (7, 20)] == [
        hashlib.sha256(p.read_bytes()).hexdigest() for k, p in enumerate(paths) if k not in (7, 20)
    ]


def test_processes_and_one_process_agree(tmp_path: Path) -> None:
    paths = [film(tmp_path, f"{k}.png") for k in range(30)]
    alone = prepare_films(paths, tmp_path / "a", 64, processes=1)
    assert prepare_films(paths, tmp_path / "b", 64, processes=2) == alone


def test_unchanged_films_are_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [film(tmp_path, f"{k}.png") for k in range(3)]
    cache = tmp_path / "cache"
    monkeypatch.setattr(preparation, "_settled", lambda stamp, now: True)
    before = prepare_films(paths, cache, 640)

    def read(*_: object) -> bytes:
        raise AssertionError("read again")

    monkeypatch.setattr(preparation, "load_bytes", read)
    assert prepare_films(paths, cache, 640) == before


def test_a_film_that_changes_is_another_film(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, cache = film(tmp_path, "film.png"), tmp_path / "cache"
    monkeypatch.setattr(preparation, "_settled", lambda stamp, now: True)
    before = ready(prepare_films([path], cache, 640)[0])
    settled([path])
    content = bytearray(path.read_bytes())
    path.write_bytes(film(tmp_path, "other.png").read_bytes()[: len(content)].ljust(len(content), b"\0"))
    settled([path])  # size and modification time as before: only the change time tells
    after = prepare_films([path], cache, 640)[0]
    assert isinstance(after, FilmError) or after.film != before.film


def test_a_film_touched_just_now_is_not_trusted_by_its_times() -> None:
    now = time.time_ns()
    assert not preparation._settled([1, now - 10**9, now - 10**9, 1], now)
    assert preparation._settled([1, now - 3 * 10**9, now - 3 * 10**9, 1], now)


@pytest.mark.parametrize("damage", [b"", b"\x89PNG\r\n\x1a\n half of one"])
def test_a_damaged_prepared_film_is_made_anew(tmp_path: Path, damage: bytes) -> None:
    path, cache = film(tmp_path, "film.png"), tmp_path / "cache"
    facts = ready(prepare_films([path], cache, 640)[0])
    place = prepared_path(cache, facts.film)
    whole = place.read_bytes()
    place.write_bytes(damage)
    assert ready(prepare_films([path], cache, 640)[0]) == facts
    assert place.read_bytes() == whole


@pytest.mark.parametrize("facts", ["none", "of the film", "of another film"])
def test_a_prepared_film_replaced_by_another_picture_is_made_anew(facts: str, tmp_path: Path) -> None:
    """Whether the other picture brings no facts, the film's own, or is another prepared film under its name."""
    cache, films = tmp_path / "cache", [tmp_path / "a.png", tmp_path / "b.png"]
    for seed, film in enumerate(films):
        Image.fromarray(np.random.default_rng(seed).integers(0, 256, (40, 50), dtype=np.uint8)).save(film)
        os.utime(film, (1, 1))
    first, second = (prepared_path(cache, made.film) for made in prepare_films(films, cache, 640))
    right = first.read_bytes()
    if facts == "of another film":
        first.write_bytes(second.read_bytes())
    else:
        text = PngInfo()
        if facts == "of the film":
            text.add_text("osteotl", Image.open(first).info["osteotl"])
        Image.new("L", (50, 40), 128).save(first, pnginfo=text)
    prepare_films(films, cache, 640)
    assert first.read_bytes() == right


def test_an_interruption_leaves_no_half_film(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, cache = film(tmp_path, "film.png"), tmp_path / "cache"

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Image.Image, "save", interrupted)
        with pytest.raises(KeyboardInterrupt):
            prepare_film(path, cache, 640)
    assert [p for p in cache.rglob("*") if p.is_file()] == []
    assert isinstance(prepare_film(path, cache, 640), Prepared)


def test_users_files_stay_as_they_are(tmp_path: Path) -> None:
    paths = [film(tmp_path, f"{k}.png") for k in range(3)]
    before = [(p.read_bytes(), p.stat().st_mtime_ns) for p in paths]
    prepare_films(paths, tmp_path / "cache", 32)
    assert [(p.read_bytes(), p.stat().st_mtime_ns) for p in paths] == before


def test_prepared_films_hold_nothing_that_names_a_person(tmp_path: Path) -> None:
    """A prepared film keeps no file name: only what `Prepared` lists."""
    path = film(tmp_path, "Doe_Jane_19870321.png")
    facts = ready(prepare_film(path, tmp_path / "cache", 640))
    assert b"Jane" not in prepared_path(tmp_path / "cache", facts.film).read_bytes()


def _dies(path: Path) -> str:
    if path.name == "17":
        os._exit(11)  # as a fault in a decoder's C code would
    return path.name


def test_a_decoder_that_crashes_costs_one_film() -> None:
    paths = [Path(str(k)) for k in range(30)]
    expected = [str(k) if k != 17 else "crashed" for k in range(30)]
    assert parallel.mapped(_dies, paths, "test", 2, lambda path: "crashed") == expected


def test_memory_is_flat_in_the_number_of_films(tmp_path: Path) -> None:
    noise = io.BytesIO()
    Image.fromarray(RNG.integers(0, 256, (1500, 1500), dtype=np.uint8)).save(noise, "PNG", compress_level=1)
    paths = []
    for k in range(24):
        paths.append(tmp_path / f"{k}.png")
        paths[-1].write_bytes(noise.getvalue() + bytes([k]))  # another file each, decoded anew
    prepare_films(paths[:4], tmp_path / "few", 640, processes=1)
    few = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    prepare_films(paths, tmp_path / "many", 640, processes=1)
    # twenty films more would be 44 MB of pixels if they were kept
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - few < 20 * 1024


@pytest.mark.parametrize(("threads", "start"), [(1, "fork"), (2, "forkserver")])
def test_a_process_with_threads_is_not_forked(monkeypatch, threads, start):
    monkeypatch.setattr(parallel.threading, "active_count", lambda: threads)
    assert parallel._context(_dies).get_start_method() == start
