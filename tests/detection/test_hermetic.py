"""What the detector library may not do to the rest of the process."""

from __future__ import annotations

import io

import PIL.Image
import pytest

from osteotl.detection import scoring


def test_pillow_still_says_that_a_film_is_damaged():
    assert scoring.DetectionModel.__module__.startswith("ultralytics")  # it is loaded, and changes Image.open
    with pytest.raises(PIL.UnidentifiedImageError):
        PIL.Image.open(io.BytesIO(b"\x89PNG\r\n\x1a\n half of one"))
