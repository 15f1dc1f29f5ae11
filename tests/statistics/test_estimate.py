"""One number with its interval."""

import math

import pytest

from osteotl.statistics.estimate import Estimate


def test_to_dict_is_the_number_of_statistics_json():
    number = Estimate(0.9, 0.85, 0.94, "Wilson interval", 268, p=0.03)
    assert number.to_dict() == {
        "estimate": 0.9, "lower": 0.85, "upper": 0.94, "method": "Wilson interval", "n": 268, "p": 0.03
    }  # fmt: skip


def test_a_missing_number_carries_its_reason():
    number = Estimate.missing("no film was called positive", "Wilson interval", 0)
    assert number.to_dict()["estimate"] is None
    assert number.to_dict()["not_estimable"] == "no film was called positive"


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("field", ["estimate", "lower", "upper", "p", "df"])
def test_nothing_infinite_or_undefined_gets_in(field, value):
    fields = {"estimate": 0.5, "lower": 0.4, "upper": 0.6, field: value}
    with pytest.raises(ValueError, match=f"{field} is .*not_estimable"):
        Estimate(**fields, method="test", n=3)


def test_no_estimate_without_a_reason():
    with pytest.raises(ValueError, match="without a reason"):
        Estimate(None, None, None, "test", 3)


def test_map_moves_the_limits_along():
    assert Estimate(0.5, 0.25, 1.0, "test", 3).map(lambda v: v / (1 + v)).interval == (0.2, 0.5)
