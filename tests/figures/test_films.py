"""The contact sheet shows films of every cohort with their boxes where they are."""

import numpy as np
import pandas as pd
from PIL import Image

from osteotl.cohorts.display import contact_sheet


def test_boxes_are_drawn_in_prepared_pixels(tmp_path):
    (tmp_path / ".prepared" / "ab").mkdir(parents=True)
    Image.fromarray(np.zeros((100, 50), np.uint8)).save(tmp_path / ".prepared" / "ab" / "abc.png")
    films = pd.DataFrame({"cohort": "external", "image_id": ["a", "b"], "film": "abc", "label": [1, 0], "width": 100,
                          "height": 200})  # fmt: skip
    boxes = pd.DataFrame({"image_id": ["a"], "x_min": [20], "y_min": [40], "x_max": [60], "y_max": [100]})
    figure = contact_sheet(films, boxes, tmp_path, films_per_cohort=2)
    first, second = figure.axes
    # native 100 x 200 shown at 50 x 100: half of every coordinate
    assert [p.get_bbox().extents.tolist() for p in first.patches] == [[10, 20, 30, 50]]
    assert not second.patches
    assert first.get_title() == "malignant"
