"""The page of comparisons, made from hand-written rows."""

from __future__ import annotations

import pytest

from oracles.parity import family_of, page, reasons
from oracles.registry import Row


def row(quantity, **more):
    told = {"case": "one", "package": "pROC", "version": "1.18.0", "call": "auc", "rtol": 1e-9, "values": 2}
    rest = {"largest_difference": 3e-14, "failures": (), "part": "roc", "example": (0.75, 0.75)}
    return Row(quantity=quantity, **(told | rest | more))


def test_names_of_families():
    names = {
        "auc.s1": "auc",
        "op_sens_ge_0.9.s2": "op_sens_ge_#",
        "pcl_step@0.05": "pcl_step",
        "fom.AFROC": "fom.AFROC",
    }
    assert {name: family_of(name) for name in names} == names
    assert family_of("val.prob.p") == "val.prob"


def test_families_are_added_up():
    text = page(
        [row("auc.s1"), row("auc.s2", case="two", largest_difference=2e-12), row("info_x", informational="why")]
    )
    assert "4 values of 2 cases" in text
    assert "| `auc` | pROC 1.18.0 | 2 | 4 | 0.75 | 0.75 | 2.0e-12 | 1e-09 |" in text
    assert "| `info_x` | pROC 1.18.0 | 1 | why |" in text


def test_a_wide_tolerance_needs_a_reason():
    assert "Monte Carlo" in reasons([row("bootstrap_paired_B500", rtol=0.03)])[0]
    with pytest.raises(LookupError, match="write its reason"):
        reasons([row("something_loose", rtol=0.1)])
