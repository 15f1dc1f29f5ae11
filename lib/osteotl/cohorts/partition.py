"""Patient-wise partitions and nested label fractions, decided by hashes of patients: added films move few others."""

from __future__ import annotations

import hashlib

import numpy as np
import pandas as pd

from osteotl.files import plural

LEEWAY = 1 / 3  # how far a stratum's share may stray from the one asked for before patients are moved


def _place(seed: int, purpose: str, patient: str) -> float:
    """A patient's place in [0, 1) for one purpose; independent of every other patient."""
    digest = hashlib.sha256(f"{seed}/{purpose}/{patient}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def _patients(films: pd.DataFrame, seed: int, purpose: str) -> pd.DataFrame:
    """One row per patient in hash order: films, stratum (site and label; malignant where any film is)."""
    missing = [c for c in ("patient_id", "site", "label") if c not in films]
    if missing:
        raise ValueError(f"films lack the column {missing[0]!r}: a partition needs patient_id, site and label")
    if films["patient_id"].isna().any() or films["label"].isna().any():
        raise ValueError("a film has no patient_id or no label: exclude it, with a reason, before partitioning")
    patients = films.groupby("patient_id", sort=True).agg(
        films=("label", "size"), label=("label", "max"), site=("site", lambda s: min(map(str, s)))
    )
    patients["stratum"] = patients["site"] + "/" + patients["label"].astype(str)
    patients["place"] = [_place(seed, purpose, str(patient)) for patient in patients.index]
    return patients.sort_values(["place"], kind="stable")


def _fill(counts: list[int], wanted: int) -> list[bool]:
    """Take patients in order until `wanted` films are there; one that would overshoot is passed over."""
    taken, films = [], 0
    for count in counts:
        fits = films + count <= wanted
        taken.append(fits)
        films += count if fits else 0
    return taken


def _quotas(sizes: pd.Series, wanted: int) -> dict[str, int]:
    """Share a number of films out over strata in proportion to their films (largest remainder)."""
    exact = sizes * wanted / sizes.sum()
    quotas = np.floor(exact).astype(int)
    order = (exact - quotas).sort_values(ascending=False, kind="stable").index
    quotas[order[: wanted - int(quotas.sum())]] += 1
    return {str(stratum): int(quota) for stratum, quota in quotas.items()}


def _by_count(patients: pd.DataFrame, wanted: int) -> set[str]:
    """Patients that hold `wanted` films together, stratum by stratum."""
    if wanted >= patients["films"].sum():
        raise ValueError(
            f"{plural(wanted, 'film')} to be held out of {int(patients['films'].sum())}: none would be left to train "
            "on; lower cohorts.development.validation"
        )
    quotas = _quotas(patients.groupby("stratum")["films"].sum(), wanted)
    held: set[str] = set()
    for stratum, group in patients.groupby("stratum"):
        taken = _fill(group["films"].tolist(), quotas[str(stratum)])
        held.update(group.index[taken])
    return held


def _by_share(patients: pd.DataFrame, share: float) -> set[str]:
    """Patients whose place lies below the share; a stratum that strays too far is brought back in hash order."""
    held: set[str] = set()
    for _, group in patients.groupby("stratum"):
        number = int((group["place"] < share).sum())
        exact = share * len(group)
        low, high = np.ceil(exact * (1 - LEEWAY)), np.floor(exact * (1 + LEEWAY))
        if low > high:  # a stratum too small for any leeway
            low = high = round(exact)
        if len(group) > 1:  # each side gets somebody
            low, high = max(low, 1), min(max(high, 1), len(group) - 1)
        held.update(group.index[: int(np.clip(number, low, high))])
    return held


def assign_partitions(
    films: pd.DataFrame, seed: int = 0, validation: float = 0, test_share: float | None = None
) -> pd.Series:
    """Partition a development cohort by patient, stratified by label and site.

    Parameters
    ----------
    films : DataFrame
        patient_id, site, label (1 malignant, 0 not), one row per film. Order does not matter.
    seed : int
        Another seed, another partition; nothing else is random.
    validation : int or float
        Films (1 or more) or share of the films (below 1) held for thresholds, after the test partition is out.
    test_share : float, optional
        Share of the patients held for internal testing, where there is no external cohort.

    Returns
    -------
    Series
        'training', 'validation' or 'test' for every film, on the index of `films`.

    Raises
    ------
    ValueError
        A patient or label is missing, or no film would be left for training.

    Notes
    -----
    A share is decided by each patient's own hash, so patients added later do not move those before them, unless a
    stratum (site and label) strays by more than a third of its share. A count is met exactly where films per patient
    allow it, by taking patients in hash order: an added patient can push out only those last in that order.
    """
    part = pd.Series("training", index=films.index, dtype=object, name="partition")
    if test_share:
        patients = _patients(films, seed, "test")
        part[films["patient_id"].isin(_by_share(patients, test_share))] = "test"
    rest = films[part == "training"]
    if validation:
        patients = _patients(rest, seed, "validation")
        held = _by_share(patients, validation) if validation < 1 else _by_count(patients, int(validation))
        part[rest.index[rest["patient_id"].isin(held)]] = "validation"
    return part


def in_fraction(films: pd.DataFrame, fraction: float, seed: int = 0) -> pd.Series:
    """Which training films belong to a label fraction; each fraction holds every smaller one.

    Parameters
    ----------
    films : DataFrame
        patient_id, site, label: the training partition.
    fraction : float
        In (0, 1].
    seed : int
        Orders the patients.

    Returns
    -------
    Series of bool
        On the index of `films`. Whole patients, stratified by label and site, at least one patient per stratum.

    Raises
    ------
    ValueError
        The fraction is not in (0, 1].
    """
    if not 0 < fraction <= 1:
        raise ValueError(f"fraction must lie in (0, 1], got {fraction}: 1 is all labels")
    kept: set[str] = set()
    for _, group in _patients(films, seed, "fraction").groupby("stratum"):
        middle = group["films"].cumsum() - group["films"] / 2
        inside = np.array(middle <= fraction * group["films"].sum())
        inside[0] = True
        kept.update(group.index[inside])
    return films["patient_id"].isin(kept).rename("in_fraction")
