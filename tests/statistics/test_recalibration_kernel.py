"""The compiled loop against the plain, safeguarded fits that it replaces."""

import numpy as np
import pytest

from osteotl.statistics import recalibration
from osteotl.statistics._bootstrap_plan import draw_units
from osteotl.statistics.resampling import draw_weights


def films(rng, size, malignant, patients):
    label = np.arange(size) < malignant
    units = np.arange(size) if patients is None else rng.integers(0, patients, size)
    return label, rng.normal(2.0 * label - 2, 1.3), units


@pytest.mark.parametrize(
    ("sizes", "sampling"),
    [
        ((250, 100, 300, 110, None), "by_class"),
        ((250, 100, 300, 110, 120), "consecutive"),  # several films of a patient
        ((40, 8, 60, 10, None), "by_class"),  # some replicates are separated: NaN in both
    ],
)
def test_compiled_replicates_equal_safeguarded_fits(sizes, sampling):
    rng = np.random.default_rng(3)
    validation, external = films(rng, *sizes[:2], sizes[4]), films(rng, *sizes[2:4], sizes[4])
    sets = [(label, x, *draw_units(units, label, sampling)) for label, x, units in (validation, external)]
    ours = recalibration._replicates(sets[0], sets[1], 120, (10, 11))[1:]
    weights = [
        draw_weights(label, units, 120, seed, sampling).astype(float)
        for (label, _, units), seed in ((validation, 10), (external, 11))
    ]
    plain = np.array(
        [recalibration._judge(*validation[:2], weights[0][b], *external[:2], weights[1][b]) for b in range(120)]
    )
    assert (np.isnan(ours) == np.isnan(plain)).all()
    np.testing.assert_allclose(ours, plain, rtol=1e-8, atol=1e-10)


def test_a_wide_scale_of_logits_changes_nothing():
    rng = np.random.default_rng(5)
    validation, external = films(rng, 80, 30, None), films(rng, 90, 30, None)
    near = recalibration.recalibrated_intervals(validation[:2], external[:2], replicates=100)
    wide = [(label, 1000 * x + 5000) for label, x, _ in (validation, external)]
    far = recalibration.recalibrated_intervals(wide[0], wide[1], replicates=100)
    for name, number in near.items():
        assert far[name].interval == pytest.approx(number.interval, rel=1e-6, abs=1e-8)
