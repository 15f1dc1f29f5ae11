"""Films turned by their EXIF orientation: the warning is right for boxes drawn on the film as shown and as stored."""

import numpy as np
import pytest
from PIL import Image

from cohorts import layouts
from osteotl.cohorts import tables
from osteotl.cohorts.radiograph import read_radiograph
from osteotl.study import parse_study

BOX = (10, 20, 40, 60)  # x_min, y_min, x_max, y_max in the frame that a person drew in
ORIENTATIONS = range(2, 9)


def bright(shape, box):
    """A dark film that is bright inside a box alone."""
    pixels = np.random.default_rng(3).integers(0, 60, shape).astype(np.uint8)
    pixels[box[1] : box[3], box[0] : box[2]] = 230
    return pixels


def stored_as(shown, orientation):
    """Pixels that a reader who obeys the orientation shows as `shown` (EXIF 2.3, tag 0x0112).

    Orientation n says which side of the picture row 0 and column 0 of the stored pixels are: 2 right, 3 below and
    right, 4 below; 5 to 8 the same with rows and columns exchanged.
    """
    back = {2: shown[:, ::-1], 3: shown[::-1, ::-1], 4: shown[::-1], 5: shown.T, 6: shown[:, ::-1].T,
            7: shown[::-1, ::-1].T, 8: shown[::-1].T}  # fmt: skip
    return np.ascontiguousarray(back[orientation])


def study_on(root, stored, orientation, suffix):
    """A folder with one turned film a and a plain film b; the box of a is BOX."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    root.mkdir(exist_ok=True)
    Image.fromarray(stored).save(root / f"a{suffix}", **({"exif": exif} if orientation > 1 else {}))
    layouts.film(root / "b.png", seed=3)
    layouts.table(root / "manifest.csv", ["path", "label"], [[f"a{suffix}", 1], ["b.png", 0]])
    layouts.table(root / "boxes.csv", ["path", "x_min", "y_min", "x_max", "y_max"], [[f"a{suffix}", *BOX]])
    content = {"title": "T", "reference": "a", "arms": {"a": {"initialise": "random"}, "b": {"initialise": "random"}},
               "cohorts": {"development": {"reader": "manifest", "root": str(root)}}}  # fmt: skip
    return [fault for fault in tables.check(parse_study(content), root / "data") if fault.code == "box_turned"]


def inside(path):
    """Mean grey inside BOX of a film as it is read, and outside."""
    pixels = read_radiograph(path).pixels.astype(float)
    mask = np.zeros(pixels.shape, bool)
    mask[BOX[1] : BOX[3], BOX[0] : BOX[2]] = True
    return pixels[mask].mean(), pixels[~mask].mean()


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif"])
@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_boxes_drawn_on_the_film_as_shown_are_right_and_the_film_is_named(tmp_path, orientation, suffix):
    root = tmp_path / "knees"
    (fault,) = study_on(root, stored_as(bright((100, 120), BOX), orientation), orientation, suffix)
    assert fault.file == f"knees/a{suffix}"
    assert f"EXIF orientation {orientation}; its boxes are read as drawn on the turned film" in fault.message
    within, without = inside(root / f"a{suffix}")
    assert within > 200
    assert without < 80


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_boxes_drawn_on_the_film_as_stored_are_right_once_the_remedy_is_followed(tmp_path, orientation):
    root, stored = tmp_path / "knees", bright((100, 120), BOX)
    (fault,) = study_on(root, stored, orientation, ".png")
    assert "if they were drawn on the film as stored, save it without the EXIF tag (pixels as they are)" in fault.remedy
    within, without = inside(root / "a.png")
    assert within < 200  # the box lies beside what it marks, as the warning says
    assert study_on(root, stored, 1, ".png") == []
    within, without = inside(root / "a.png")
    assert within > 200
    assert without < 80
