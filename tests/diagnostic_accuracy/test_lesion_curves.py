"""FROC, LROC and AP on films small enough to do by hand, and what must hold for any films."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diagnostic_accuracy.lesion_curves import froc, lesion_average_precision, lroc, lroc_of_ratings
from diagnostic_accuracy.lesion_draws import free_response_draws
from diagnostic_accuracy.lesion_figures import (
    KERNELS,
    compare_figures,
    exact_bootstrap_covariance,
    false_positives_per_film,
    figure_of_merit,
    jackknife_covariance,
    kernel,
    lesion_sensitivity,
    lesion_sensitivity_difference,
    replicate_figures,
)
from diagnostic_accuracy.lesions import Marks, marks_from_ratings
from diagnostic_accuracy.roc import area_until, read_curve


def small() -> Marks:
    """Two diseased films (one and two lesions), two lesion-free.

    film 0: hit .9, false .3 | film 1: hit .6, one lesion missed | film 2: false .6 | film 3: nothing
    """
    return marks_from_ratings([True, True, False, False], [0, 0, 1, 2], [0.9, 0.3, 0.6, 0.6], [0, -1, 1, -1], [0, 1, 1])


def random_marks(seed: int, films: int = 40) -> Marks:
    rng = np.random.default_rng(seed)
    ill = np.arange(films) < films // 3
    lesion_film = np.repeat(np.flatnonzero(ill), rng.integers(1, 3, ill.sum()))
    found = np.flatnonzero(rng.random(len(lesion_film)) < 0.7)
    false = rng.integers(0, films, films)
    film = np.concatenate([lesion_film[found], false])
    score = np.round(rng.random(len(film)), 1)
    return marks_from_ratings(ill, film, score, np.concatenate([found, np.full(len(false), -1)]), lesion_film)


def test_froc_points_by_hand() -> None:
    curve = froc(small())
    assert curve.threshold.tolist() == [0.9, 0.6, 0.3]
    assert curve.hits.tolist() == [1, 2, 2]
    assert curve.false_positives.tolist() == [0, 1, 2]  # .6: film 2; .3: film 0
    assert curve.false_positives_lesion_free.tolist() == [0, 1, 1]
    # per film: 0, 1/4, 2/4; sensitivity 1/3, 2/3, 2/3
    assert curve.sensitivity_at([0, 1 / 8, 1 / 4, 8], "step") == pytest.approx([1 / 3, 1 / 3, 2 / 3, 2 / 3])
    assert curve.sensitivity_at(1 / 8) == pytest.approx([0.5])  # half way from 1/3 to 2/3
    # area to 1/4: mean height (1/3 + 2/3)/2 over the whole range
    assert curve.area(0.25) == pytest.approx(0.5)
    assert curve.area(1.0) == pytest.approx(0.25 * 0.5 + 0.75 * 2 / 3)


def test_average_precision_by_hand() -> None:
    ap = lesion_average_precision(small())
    # recalls 1/3, 2/3, 2/3 at precisions 1, 2/3, 1/2
    assert ap["step"] == pytest.approx(1 / 3 + 2 / 9)
    assert ap["envelope"] == pytest.approx(1 / 3 + 2 / 9)
    # 34 of 101 levels (0 .. .33) at 1, 33 (.34 .. .66) at 2/3, 34 at 0
    assert ap["coco101"] == pytest.approx((34 + 33 * 2 / 3) / 101)


def test_figures_of_merit_by_hand() -> None:
    marks = small()
    # noise: film 2 .6, film 3 none. film 0: .9 beats both: 1. film 1: .6 ties .6 (1/2) and beats none (1): 3/4;
    # missed: loses to .6 (0), ties none (1/2): 1/4; mean of its two lesions 1/2
    assert figure_of_merit(marks, "wAFROC") == pytest.approx((1 + 0.5) / 2)
    assert figure_of_merit(marks, "AFROC") == pytest.approx((1 + 0.75 + 0.25) / 3)
    assert figure_of_merit(marks, "HrAuc") == pytest.approx((1 + 0.75) / 2)
    assert figure_of_merit(marks, "LROC") == pytest.approx((1 + 0.75) / 2)
    assert figure_of_merit(marks, "HrSe") == 1
    assert figure_of_merit(marks, "HrSp") == 0.5
    assert figure_of_merit(marks, "MaxLLF") == pytest.approx(2 / 3)
    assert figure_of_merit(marks, "MaxNLF") == 0.5
    assert figure_of_merit(marks, "MaxNLFAllCases") == 0.5
    # FROC: false .3 and .6 against .9 (2 wins), .6 (1 + 1/2), missed (0): 3.5 / (4 films x 3 lesions)
    assert figure_of_merit(marks, "FROC") == pytest.approx(3.5 / 12)


def test_nothing_found_earns_half_of_the_silent_lesion_free_films() -> None:
    # README of the definitions: a missed lesion ties with a lesion-free film without any box: wAFROC = HrSp / 2
    marks = marks_from_ratings([True, False, False], [1], [0.4], [-1], [0])
    assert figure_of_merit(marks, "wAFROC") == figure_of_merit(marks, "HrSp") / 2 == 0.25


def test_lroc_by_hand() -> None:
    curve = lroc(small())
    assert curve.threshold.tolist() == [0.9, 0.6]
    assert curve.share_correct.tolist() == [0.5, 1.0]
    assert curve.false_positive_fraction.tolist() == [0, 0.5]
    # (0,0) up to (0,.5), line to (.5,1), flat: .5 x .75 + .5 x 1
    assert curve.area == pytest.approx(0.875)
    points = curve.false_positive_fraction, curve.share_correct
    assert read_curve(*points, [0.25, 0.5]) == pytest.approx([0.75, 1.0])
    assert read_curve(*points, 0.25, "step") == pytest.approx([0.5])
    assert area_until(*points, 0.25) == pytest.approx(0.25 * (0.5 + 0.75) / 2)


def test_reading_a_vertical_step() -> None:
    x, y = np.array([0.1, 0.1, 0.2]), np.array([0.2, 0.6, 0.8])
    assert read_curve(x, y, [0.1, 0.15, 0.9]) == pytest.approx([0.6, 0.7, 0.8])
    assert read_curve(x, y, 0.1, "rjafroc") == pytest.approx([0.2])
    assert read_curve(x, y, 0.05) == pytest.approx([0.1])
    with pytest.raises(ValueError, match="rates >= 0"):
        read_curve(x, y, -1)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_weights_equal_repetition_and_replicates_equal_weights(seed: int) -> None:
    marks = random_marks(seed, 24)
    rng = np.random.default_rng(seed)
    weights = np.where(marks.diseased, rng.integers(0, 3, 24), rng.integers(0, 3, 24))
    weights[[0, -1]] += 1  # one of each class at least
    repeated = repeat_films(marks, weights)
    for name in KERNELS:
        one = kernel(marks, name)
        expected = figure_of_merit(repeated, name)
        assert figure_of_merit(marks, name, weights) == pytest.approx(expected)
        assert replicate_figures(one, weights[None]) == pytest.approx([expected])
    assert free_response_draws(marks, weights[None], [0.5])[0] == pytest.approx(froc(repeated).sensitivity_at([0.5]))
    assert lesion_average_precision(marks, weights)["step"] == pytest.approx(lesion_average_precision(repeated)["step"])


def repeat_films(marks: Marks, times: np.ndarray) -> Marks:
    """The films physically repeated: slow and obvious."""
    ill, film, score, lesion, lesion_film = [], [], [], [], []
    for k in range(marks.films):
        mine, lesions = np.flatnonzero(marks.film == k), np.flatnonzero(marks.lesion_film == k)
        for _ in range(times[k]):
            index = {int(old): len(lesion_film) + i for i, old in enumerate(lesions)}
            hits = {float(marks.lesion_rating[o]): [] for o in lesions}
            for o in lesions:
                hits[float(marks.lesion_rating[o])].append(index[int(o)])
            for m in mine:
                film.append(len(ill))
                score.append(marks.score[m])
                lesion.append(hits[float(marks.score[m])].pop() if marks.hit[m] else -1)
            lesion_film += [len(ill)] * len(lesions)
            ill.append(bool(marks.diseased[k]))
    return marks_from_ratings(ill, film, score, lesion, lesion_film)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_leaving_a_film_out_equals_weight_zero(seed: int) -> None:
    marks = random_marks(seed, 18)
    for name in KERNELS:
        one = kernel(marks, name)
        left = np.array([one.value(np.arange(18) != k) for k in range(18)])
        # (K - 1)/K times the sum of squared deviations
        assert jackknife_covariance([one])[0, 0] == pytest.approx(17 / 18 * ((left - left.mean()) ** 2).sum())


def test_scores_enter_through_their_order_alone() -> None:
    marks = random_marks(3)
    hit_lesion = np.isfinite(marks.lesion_rating)
    moved = Marks(marks.diseased, marks.film, np.exp(5 * marks.score), marks.hit, marks.duplicate, marks.lesion_film,
                  np.where(hit_lesion, np.exp(5 * np.where(hit_lesion, marks.lesion_rating, 0)), -np.inf),
                  marks.lesion_weight)  # fmt: skip
    for name in KERNELS:
        assert figure_of_merit(moved, name) == pytest.approx(figure_of_merit(marks, name))
    assert lesion_average_precision(moved) == lesion_average_precision(marks)


def test_exact_bootstrap_error_is_what_many_replicates_show() -> None:
    marks = random_marks(5)
    rng = np.random.default_rng(0)
    ill, healthy = np.flatnonzero(marks.diseased), np.flatnonzero(~marks.diseased)
    weights = np.zeros((4000, marks.films))
    weights[:, ill] = rng.multinomial(len(ill), np.full(len(ill), 1 / len(ill)), 4000)
    weights[:, healthy] = rng.multinomial(len(healthy), np.full(len(healthy), 1 / len(healthy)), 4000)
    one = kernel(marks, "wAFROC")
    exact = np.sqrt(exact_bootstrap_covariance([one])[0, 0])
    # the standard deviation of 4,000 replicates varies by exact / sqrt(8000); 4 of those
    assert replicate_figures(one, weights).std() == pytest.approx(exact, abs=4 * exact / np.sqrt(8000))


def test_identical_runs_have_no_standard_error_but_a_reason() -> None:
    difference = compare_figures(small(), small())
    assert difference.estimate == 0
    assert difference.p is None
    assert difference.lower is None
    assert difference.note


def test_swapping_runs_mirrors_the_comparison() -> None:
    first, second = (random_marks(s) for s in (1, 1))
    second = Marks(first.diseased, first.film, first.score[::-1].copy(), first.hit, first.duplicate, first.lesion_film,
                   first.lesion_rating / 2, first.lesion_weight)  # fmt: skip
    one, other = compare_figures(first, second), compare_figures(second, first)
    assert one.estimate == pytest.approx(-other.estimate)
    assert one.p == pytest.approx(other.p)


def test_intervals_at_the_ends_are_explained() -> None:
    marks = small()
    none = lesion_sensitivity(marks, 2.0)
    assert none["wald"].estimate == 0
    assert none["logit"].note
    assert none["wilson"].upper == pytest.approx(0.5615, abs=1e-3)  # Wilson 0 of 3: z2 / (3 + z2)
    single = marks_from_ratings([True, False], [0], [0.5], [0], [0])
    assert lesion_sensitivity(single, 0.1)["wald"].lower is None
    assert lesion_sensitivity_difference(single, single, 0.1).note
    rate = false_positives_per_film(marks, 0.0)["poisson"]
    assert (rate.events, rate.estimate) == (2, 0.5)


def test_an_exact_rate_of_nothing_is_the_rule_of_three_and_more() -> None:
    # no event in 100: upper = -ln(.025)/100
    silent = marks_from_ratings([True] + [False] * 99, [0], [0.5], [0], [0])
    rate = false_positives_per_film(silent, 0.1)["poisson"]
    assert rate.lower == 0
    assert rate.upper == pytest.approx(-np.log(0.025) / 100)


def test_one_class_is_refused_with_a_way_out() -> None:
    only_ill = marks_from_ratings([True, True], [0], [0.5], [0], [0, 1])
    with pytest.raises(ValueError, match="wAFROC1"):
        figure_of_merit(only_ill, "wAFROC")
    assert figure_of_merit(only_ill, "wAFROC1") == pytest.approx((1 + 0.5) / 2)
    with pytest.raises(ValueError, match="one of the two is absent"):
        lroc(only_ill)
    healthy = marks_from_ratings([False], [], [], [], [])
    with pytest.raises(ValueError, match="no lesion"):
        froc(healthy)
    with pytest.raises(ValueError, match="not a number"):
        lroc_of_ratings([True, False], [np.nan, 1], [True, False])


def test_no_boxes_at_all_is_a_defined_answer() -> None:
    marks = marks_from_ratings([True, False], [], [], [], [0])
    assert froc(marks).sensitivity_at().tolist() == [0.0] * 7
    assert froc(marks).area(1) == 0
    assert lesion_average_precision(marks)["step"] == 0
    assert lroc(marks).area == 0
    assert figure_of_merit(marks, "wAFROC") == 0.5


def test_patients_of_one_film_each_give_the_jackknife_over_films() -> None:
    common = random_marks(1)

    def run(quieter: float) -> Marks:
        """The same films and marks, the lesions found with lower scores."""
        return Marks(common.diseased, common.film, common.score, common.hit, common.duplicate, common.lesion_film,
                     common.lesion_rating * quieter, common.lesion_weight)  # fmt: skip

    kernels = [kernel(run(quieter), "wAFROC") for quieter in (1.0, 0.6)]
    by_film = jackknife_covariance(kernels)
    assert jackknife_covariance(kernels, np.arange(common.films)) == pytest.approx(by_film)
    # two films a patient: leaving a patient out is weight 0 for both films; (K-1)/K times the sum of squares
    patients = np.arange(common.films) // 2
    left = np.array([kernels[0].value(patients != k) for k in range(common.films // 2)])
    expected = (left.size - 1) / left.size * ((left - left.mean()) ** 2).sum()
    assert jackknife_covariance(kernels, patients)[0, 0] == pytest.approx(expected)
    with pytest.raises(ValueError, match="same films"):
        jackknife_covariance([kernels[0], kernel(small(), "wAFROC")])
