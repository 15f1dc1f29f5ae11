"""Changed films by hand and against scipy; the sweep scores what `score_films` scores."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import ndimage

from osteotl.detection import robustness
from osteotl.detection.films import PADDING, Films, Placement
from osteotl.detection.robustness import CHANGES, changed_films
from osteotl.detection.scoring import cohort_films, score_films

SIDE, LEFT, WIDTH = 64, 8, 48


def films_of(film: np.ndarray, name: str = "abc") -> Films:
    """One film of 48 x 64 pixels in the middle of a square of 64, drawn from one of 96 x 128."""
    square = np.full((SIDE, SIDE), PADDING, np.uint8)
    square[:, LEFT : LEFT + WIDTH] = film
    place = Placement(0.5, 0.5, LEFT, 0, 2 * WIDTH, 2 * SIDE)
    return Films(pd.DataFrame({"image_id": [name]}), square[None], [np.empty((0, 4))], [place], SIDE)


def changed(film: np.ndarray, change: str, step: int) -> np.ndarray:
    done = changed_films(films_of(film), change, step).images[0]
    assert (done[:, :LEFT] == PADDING).all()  # the padding is no part of the film
    assert (done[:, LEFT + WIDTH :] == PADDING).all()
    return done[:, LEFT : LEFT + WIDTH]


@pytest.fixture
def film():
    """Smooth, grey levels from 40 to 200, no symmetry."""
    noise = np.random.default_rng(0).normal(size=(SIDE, WIDTH))
    smooth = ndimage.gaussian_filter(noise, 4)
    return (40 + 160 * (smooth - smooth.min()) / np.ptp(smooth)).astype(np.uint8)


def test_exposure_and_contrast_by_hand():
    film = np.full((SIDE, WIDTH), 100, np.uint8)
    film[:, : WIDTH // 2] = 200  # mean 150
    assert set(np.unique(changed(film, "exposure", 1))) == {120, 240}  # x 1.2
    assert set(np.unique(changed(film, "exposure", 3))) == {170, 255}  # x 1.7, cut at white
    assert set(np.unique(changed(film, "contrast", 1))) == {110, 190}  # 150 +- 50 x .8
    assert set(np.unique(changed(film, "contrast", 3))) == {130, 170}  # x .4


def test_blur_and_rotation_are_scipys(film):
    for step, share in ((1, 0.006), (2, 0.012), (3, 0.024)):
        wanted = ndimage.gaussian_filter(film.astype(float), share * SIDE, mode="nearest")
        assert np.abs(changed(film, "blur", step) - wanted).max() <= 1.5
    for step, degrees in ((1, 3), (2, 6), (3, 10)):
        wanted = ndimage.rotate(film.astype(float), degrees, reshape=False, order=1, cval=PADDING)
        inner = (slice(12, -12), slice(12, -12))  # edges are interpolated with the padding in two ways
        assert np.abs(changed(film, "rotation", step)[inner] - wanted[inner]).max() <= 6
        turned = ndimage.rotate(film.astype(float), -degrees, reshape=False, order=1, cval=PADDING)
        assert np.abs(changed(film, "rotation", step)[inner] - turned[inner]).max() > 6  # anticlockwise, not clockwise


def test_noise_has_its_standard_deviation_and_depends_on_the_film_alone():
    film = np.full((SIDE, WIDTH), 120, np.uint8)
    for step, deviation in ((1, 5), (2, 10), (3, 20)):
        assert changed(film, "noise", step).std() == pytest.approx(deviation, rel=0.05)  # 3,072 pixels
    again, other = (changed_films(films_of(film, name), "noise", 1).images for name in ("abc", "abd"))
    assert (again[0][:, LEFT : LEFT + WIDTH] == changed(film, "noise", 1)).all()
    assert (again != other).any()


@pytest.mark.parametrize("change", ["resolution", "compression", "blur", "noise", "rotation", "contrast", "exposure"])
def test_each_step_changes_more(film, change):
    noisy = np.clip(film + np.random.default_rng(1).normal(0, 8, film.shape), 0, 255).astype(np.uint8)
    moved = [np.abs(changed(noisy, change, step).astype(float) - noisy).mean() for step in (1, 2, 3)]
    assert 0 < moved[0] < moved[1] < moved[2]


def test_other_changes_are_refused(film):
    with pytest.raises(ValueError, match="'fog' at step 1: changes are exposure"):
        changed_films(films_of(film), "fog", 1)
    with pytest.raises(ValueError, match="steps 1, 2 and 3"):
        changed_films(films_of(film), "blur", 4)


def test_the_sweep_scores_every_change_by_every_run(trained, tmp_path):
    study = trained.study.model_copy(update={"robustness": True})
    robustness.write_sweep(study, trained.out, trained.data, lambda name: tmp_path / name, workers=1)
    table = pd.read_csv(tmp_path / "robustness.csv")
    assert list(table) == ["image_id", "arm", "seed", "change", "step", "score"]
    assert len(table) == 14 * 2 * len(CHANGES) * 3  # films, runs, changes, steps
    assert not table.duplicated(["image_id", "arm", "seed", "change", "step"]).any()
    films = cohort_films(study, trained.out, trained.data, "external")
    brighter = films.images.astype(float)
    for image, place in zip(brighter, films.placements, strict=True):
        rows = slice(place.top, place.top + round(place.height * place.scale_y))
        columns = slice(place.left, place.left + round(place.width * place.scale_x))
        image[rows, columns] *= 1.4
    by_hand = replace(films, images=np.clip(np.rint(brighter), 0, 255).astype(np.uint8))
    weights = trained.out / "finetune" / "transfer" / "1" / "0" / "weights.safetensors"
    wanted = score_films(weights, by_hand, study.detector.model, boxes=False).scores
    rows = table.query("arm == 'transfer' and change == 'exposure' and step == 2").set_index("image_id")
    assert rows.loc[films.ids, "score"].to_numpy() == pytest.approx(wanted, abs=1e-6)
    robustness.write_sweep(trained.study, trained.out, trained.data, lambda name: tmp_path / name)
    assert not (tmp_path / "robustness.csv").exists()  # the study no longer asks for it
