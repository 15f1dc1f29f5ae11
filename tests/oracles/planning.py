"""Power and sample size: pROC's power.roc.test."""

from __future__ import annotations

from typing import Any

import pandas as pd

from diagnostic_accuracy.planning import pilot_variance, plan_one_auc, plan_paired_auc
from oracles.registry import Case, quantity


@quantity(r"power_one_(?P<settings>.+)")
def one_curve(case: Case, settings: str) -> dict[str, Any]:
    given = dict(part.split("=") for part in settings.split(","))
    names = {"ncases": "positives", "ncontrols": "negatives", "kappa": "ratio", "sig.level": "alpha"}
    one_sided = given.pop("alternative", "two.sided").strip("'\"") in ("one.sided", "greater")
    sides = 2 if one_sided else 1  # the one-sided test at alpha is the two-sided one at 2 alpha
    known = {names.get(key, key): float(value) for key, value in given.items() if value != "NULL"}
    if given.get("sig.level") == "NULL":
        known["alpha"] = None
    else:
        known["alpha"] = known.get("alpha", 0.05) * sides
    plan = plan_one_auc(**known)
    sizes = {"ncases": plan.positives, "ncontrols": plan.negatives}
    return sizes | {"auc": plan.auc, "sig.level": plan.alpha / sides, "power": plan.power}


@quantity(r"power_paired_(?P<method>delong|obuchowski)_(?P<data>[a-z0-9]+)_(?P<one>[a-z0-9]+)_(?P<other>[a-z0-9]+)")
def two_curves(case: Case, method: str, data: str, one: str, other: str, expected: Any) -> dict[str, Any]:
    """The pilot's scores lie in the sibling case DATA_A_B, whose columns s1 and s2 are A and B."""
    for first, second in ((one, other), (other, one)):
        path = case.path.with_name(f"{data}_{first}_{second}.csv")
        if path.exists():
            frame = pd.read_csv(path)
            columns = ("s1", "s2") if first == one else ("s2", "s1")
            pilot = pilot_variance(frame["y"], frame[columns[0]], frame[columns[1]], method)
            films = plan_paired_auc(pilot, power=expected["power"], alpha=expected["sig.level"])
            asked = {name: expected[name] for name in ("sig.level", "power")}
            return asked | {"ncases": films, "ncontrols": films * pilot.ratio}
    raise FileNotFoundError(f"neither {data}_{one}_{other}.csv nor {data}_{other}_{one}.csv lies beside this case")
