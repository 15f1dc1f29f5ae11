"""Every number equal to the reference packages: runs each case of the folder named by OSTEOTL_ORACLES.

Each quantity of each case is mapped once (tests/oracles/*.py) to a function of diagnostic_accuracy; a quantity that is
neither mapped nor on the written informational list is a failure. OSTEOTL_PARITY=FILE also writes the comparisons.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from diagnostic_accuracy.readers import reader_auc
from oracles.registry import Case, cases, compare_case, mapping, quantity
from oracles.replicates import whole_analysis


def pytest_generate_tests(metafunc: Any) -> None:
    if "case" in metafunc.fixturenames:
        folder = os.environ.get("OSTEOTL_ORACLES")
        found = cases(Path(folder)) if folder else []
        metafunc.parametrize("case", found, ids=lambda case: case.name)


def test_every_quantity_of_the_case_agrees(case: Case, record_property: Any) -> None:
    rows = list(compare_case(case))
    record_property("oracle_rows", json.dumps([asdict(row) for row in rows]))
    failures = [f"{row.quantity}: {failure}" for row in rows for failure in row.failures]
    assert not failures, f"{len(failures)} of {case.name} disagree:\n" + "\n".join(failures[:60])


def test_the_folder_holds_cases(oracle_folder: Path) -> None:
    assert len(cases(oracle_folder)) > 0, f"no oracle case in {oracle_folder}"


def test_two_mappings_for_one_quantity_are_refused(tmp_path: Path) -> None:
    quantity("twice_claimed")(lambda case: 0)
    quantity("twice_.*")(lambda case: 1)
    with pytest.raises(LookupError, match="claimed by"):
        mapping("twice_claimed", Case(tmp_path / "x.json", {}))


def test_a_wrong_value_is_found(tmp_path: Path) -> None:
    quantity("always_one")(lambda case: {"value": 1.0, "undefined": None})
    refs = [{"quantity": "always_one", "value": {"value": 1.5, "undefined": "NaN"}, "rtol": 1e-9}]
    (row,) = compare_case(Case(tmp_path / "x.json", {"case": "x", "refs": refs}))
    assert row.values == 2
    assert row.failures == (".value: expected 1.5, got 1.0",)


def test_an_unmapped_quantity_is_a_failure(tmp_path: Path) -> None:
    refs = [{"quantity": "nobody_knows_this", "value": 1, "rtol": 0}]
    (row,) = compare_case(Case(tmp_path / "x.json", {"case": "x", "refs": refs}))
    assert row.failures == ("no function is mapped to this quantity",)


def test_pairs_of_three_modalities_share_one_error() -> None:
    """Sum over pairs of d^2 = I x sum over modalities of (mean - grand mean)^2, so the mean of t^2 over pairs is F.

    That holds where each pair's standard error is sqrt(2 x denominator of F / readers), as RJafroc has it; likewise for
    the chi-square of fixed readers and the F of fixed cases. Degrees of freedom are those of the denominator.
    """
    rng = np.random.default_rng(6)
    label = np.repeat([1, 0], [40, 60])
    film = rng.normal(size=100)
    runs = {
        arm: {seed: film + rng.normal(size=100) + (1.2 + gain + 0.2 * rng.normal()) * label for seed in range(4)}
        for arm, gain in (("a", 0.0), ("b", 0.4), ("c", 0.7))
    }
    tables = whole_analysis(reader_auc(label, runs))
    assert tables["RRRC"]["ciDiffTrt"]["row"] == ["trt1-trt2", "trt1-trt3", "trt2-trt3"]
    for kind, name, statistic in (("RRRC", "FStat", "t"), ("FRRC", "Chisq", "z"), ("RRFC", "F", "t")):
        pairs, test = tables[kind]["ciDiffTrt"], tables[kind]["test"]
        wanted = test[name][0] / (2 if kind == "FRRC" else 1)  # chi-square has I - 1 = 2 degrees of freedom
        assert np.mean(np.square(pairs[statistic])) == pytest.approx(wanted, rel=1e-9)
        assert pairs["Estimate"][0] + pairs["Estimate"][2] == pytest.approx(pairs["Estimate"][1])
        if kind != "FRRC":
            assert pairs["DF"] == pytest.approx([test["DF"][1]] * 3)
