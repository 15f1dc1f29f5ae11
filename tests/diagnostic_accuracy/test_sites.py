"""Pooling over sites: metafor's published numbers, a derivation by hand, and simulated sites with known truth."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.special import expit, logit

from diagnostic_accuracy.bootstrap import bootstrap
from diagnostic_accuracy.contrasts import contrast
from diagnostic_accuracy.estimates import one
from diagnostic_accuracy.scores import scores_of
from diagnostic_accuracy.sites import METHOD, pool, pool_sites
from diagnostic_accuracy.subgroups import subgroup_draws


def test_the_pooled_mean_is_that_of_metafor():
    # Kacker 2004 (nine laboratories), by metafor's rma(y, v, method = "PM", control = list(tol = 1e-9)), as printed in
    # the tests of statsmodels
    y = np.array([61.0, 61.4, 62.21, 62.3, 62.34, 62.6, 62.7, 62.84, 65.9])
    v = np.array([0.2025, 1.2100, 0.0900, 0.2025, 0.3844, 0.5625, 0.0676, 0.0225, 1.8225])
    found = pool(y, v)
    assert found.tau2 == pytest.approx(0.705395309224248, rel=1e-7)
    assert found.mean == pytest.approx(62.4076199113286, rel=1e-9)
    # with this tau^2 the scale of Hartung and Knapp is 1, so that both standard errors agree
    assert np.sqrt(found.variance) == pytest.approx(0.338030602684471, rel=1e-6)
    q = 24.801897741835  # metafor's QE; Higgins and Thompson: I^2 = (Q - (k - 1)) / Q
    assert found.i2 == pytest.approx((q - 8) / q, rel=1e-9)


def test_alike_sites_have_no_variance_between_them_and_no_narrower_interval():
    # y = 0, 0.1, 0.2 and v = 1: Q = 0.02 < k - 1, so tau^2 = 0; Hartung and Knapp's scale, Q / 2 = 0.01, counts as 1
    found = pool(np.array([0.0, 0.1, 0.2]), np.ones(3))
    assert (found.tau2, found.i2) == (0, 0)
    assert found.variance == pytest.approx(1 / 3)


def table(rng, aucs, gain=0.0, films=80, spread=0.0, runs=3):
    """Sites with binormal scores: an AUC of `aucs` in the arm 'old', one better by `gain` on the probit in 'new'.

    Each run shifts the separation of its arm by a normal number of the given spread, at all sites alike.
    """
    rows = []
    shifts = {arm: rng.normal(0, spread, runs) for arm in ("old", "new")}
    for s, auc in enumerate(aucs):
        label, base = np.arange(films) % 2, rng.normal(size=films)
        for arm, more in (("old", 0.0), ("new", gain)):
            for run in range(runs):
                away = np.sqrt(2) * (stats.norm.ppf(auc) + more) + shifts[arm][run]
                score = np.sqrt(0.7) * base + np.sqrt(0.3) * rng.normal(size=films) + away * label
                rows.append(pd.DataFrame({"image_id": [f"{s}-{i}" for i in range(films)], "label": label, "arm": arm,
                                          "seed": run, "score": score, "site": f"S{s}"}))  # fmt: skip
    return pd.concat(rows, ignore_index=True)


def sites_of(rows, replicates=400):
    facts = rows[["image_id", "site"]].drop_duplicates()
    scores = scores_of(rows.drop(columns="site").assign(patient_id=rows["image_id"]), facts)
    draws = bootstrap(scores, replicates=replicates, recalibrations=(), patients=False)
    names = sorted(facts["site"].unique())
    return subgroup_draws(draws, {f"site={name}": scores.keep(scores.facts["site"] == name) for name in names})


def test_estimates_follow_by_hand_from_the_sites_and_their_runs():
    parts = sites_of(table(np.random.default_rng(3), [0.7, 0.8, 0.85, 0.9], 0.3, spread=0.1))
    found = pool_sites(parts, "old")
    auc = np.array([part.observed["auc", "film"][:3] for part in parts.values()])  # of 'new' or 'old': the first arm
    drawn = np.array([part.values["auc", "film"][:, :3] for part in parts.values()])
    mean = auc.mean(axis=1)
    v = drawn.mean(axis=2).var(axis=1, ddof=1) / (mean * (1 - mean)) ** 2  # delta method on the logit
    pooled = pool(logit(mean), v)
    share = pooled.weights / (mean * (1 - mean))
    runs = contrast([share @ auc], [np.einsum("s,sbr->br", share, drawn)])
    more = max(runs.variance - runs.fixed, 0)
    total = pooled.variance + more
    df = total**2 / (pooled.variance**2 / 3 + (runs.variance**2 / runs.df if more else 0))
    arm = next(iter(parts.values())).scores.arms[0]
    row = one(found, measure="auc", arm=arm, reference="")
    half = stats.t.ppf(0.975, df) * np.sqrt(total)
    assert row["estimate"] == pytest.approx(expit(pooled.mean))
    assert [row["lower"], row["upper"]] == pytest.approx(list(expit([pooled.mean - half, pooled.mean + half])))
    new = one(found, measure="auc_new_site", arm=arm, reference="")
    half = stats.t.ppf(0.975, 2) * np.sqrt(pooled.tau2 + total)  # Higgins, Thompson and Spiegelhalter 2009: k - 2
    assert [new["lower"], new["upper"]] == pytest.approx(list(expit([pooled.mean - half, pooled.mean + half])))
    assert row["basis"] == "sites, runs and patients"
    assert row["n"] == 4
    assert one(found, measure="i2", arm=arm, reference="")["estimate"] == pooled.i2


def test_the_difference_is_pooled_as_it_is_and_tested():
    parts = sites_of(table(np.random.default_rng(5), [0.7, 0.75, 0.8, 0.85], 0.4, films=300))
    row = one(pool_sites(parts, "old"), measure="auc", arm="new", reference="old")
    gaps = []
    for part in parts.values():
        columns = pd.Series(part.observed["auc", "film"], index=[arm for arm, _ in part.runs]).groupby(level=0).mean()
        gaps.append(columns["new"] - columns["old"])
    assert min(gaps) < row["estimate"] < max(gaps)
    assert row["lower"] > 0
    half = row["upper"] - row["estimate"]
    error = half / stats.t.ppf(0.975, row["df"])
    assert row["p"] == pytest.approx(2 * stats.t.sf(row["estimate"] / error, row["df"]))


def test_intervals_cover_the_mean_of_all_sites_and_new_sites():
    """150 studies of six sites whose logit of the AUC has mean 1.4 and standard deviation 0.35, three runs an arm.

    The pooled interval must hold expit(1.4), the prediction interval the AUC of a seventh site, in 95 % of the studies:
    132 of 150 or fewer have a chance of 1 in 1,000.
    """
    held = {"auc": 0, "auc_new_site": 0}
    for seed in range(150):
        rng = np.random.default_rng(seed)
        auc = expit(rng.normal(1.4, 0.35, 7))
        found = pool_sites(sites_of(table(rng, auc[:6], spread=0.12), 200), "old")
        for measure, truth in (("auc", expit(1.4)), ("auc_new_site", auc[6])):
            row = one(found, measure=measure, arm="old", reference="")
            held[measure] += row["lower"] <= truth <= row["upper"]
    assert min(held.values()) > 132, held


def test_what_cannot_be_pooled_says_why():
    rows = table(np.random.default_rng(1), [0.7, 0.8, 0.9])
    parts = sites_of(rows)
    two = dict(list(parts.items())[:2])
    assert pool_sites(two, "old").empty
    perfect = rows.assign(score=np.where(rows["site"] == "S1", rows["label"], rows["score"]))
    found = pool_sites(sites_of(perfect), "old")
    row = one(found, measure="auc", arm="old", reference="")
    assert np.isnan(row["estimate"])
    assert row["note"] == "the draws do not vary at S1, which would get all the weight"
    assert row["method"] == METHOD
