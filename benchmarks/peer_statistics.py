"""What other packages need for the same statistics; run by bench_statistics.py with the peers' own Python.

Prints one JSON list. Every bootstrap runs at B <= 200 and is scaled to B = 10,000, and its note says so.
"""

import contextlib
import importlib.metadata
import io
import json
import sys
import time
import warnings

import numpy as np

TARGET = 10_000
GRID = (np.arange(100) + 0.5) / 100


def timed(function, replicates=None):
    """Seconds of one call, scaled to B = 10,000 where it holds a bootstrap."""
    start = time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        function()
    seconds = time.perf_counter() - start
    return seconds if replicates is None else seconds * TARGET / replicates


def scikit_learn_loop(label, arms, replicates):
    """The timed set by scikit-learn, resampling within classes."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import average_precision_score, brier_score_loss, confusion_matrix, roc_auc_score, roc_curve

    rng = np.random.default_rng(0)
    malignant, normal = np.flatnonzero(label == 1), np.flatnonzero(label == 0)
    for _ in range(replicates):
        rows = np.r_[rng.choice(malignant, malignant.size), rng.choice(normal, normal.size)]
        y = label[rows]
        for score in arms.values():
            s = score[rows]
            roc_auc_score(y, s), average_precision_score(y, s), brier_score_loss(y, s)
            LogisticRegression(C=np.inf).fit(np.log(s / (1 - s))[:, None], y)
            fpr, tpr, thresholds = roc_curve(y, s, drop_intermediate=False)
            chosen = [thresholds[np.argmax(tpr >= 0.9)], thresholds[np.argmax(tpr - fpr)]]
            chosen.append(thresholds[np.flatnonzero(fpr <= 0.1)[-1]])
            for cut in (0.3, 0.5, 0.7, *chosen):
                confusion_matrix(y, s >= cut)
            for cut in GRID:
                called = s >= cut
                (called & (y == 1)).mean() - (called & (y == 0)).mean() * cut / (1 - cut)


def mlstatkit_bootstrap(label, arms, replicates):
    from MLstatkit import Bootstrapping

    Bootstrapping(label, arms["transfer"], "roc_auc", n_bootstraps=replicates, random_state=0)


def mlstatkit_delong(label, arms):
    from MLstatkit import Delong_test

    Delong_test(label, arms["transfer"], arms["scratch"])


def confidenceinterval_bootstrap(label, arms, replicates):
    from confidenceinterval import roc_auc_score

    roc_auc_score(label, arms["transfer"], method="bootstrap_percentile", n_resamples=replicates)


def dcurves_bootstrap(label, arms, replicates):
    import pandas as pd
    from dcurves import dca

    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"y": label, **arms})
    for _ in range(replicates):
        again = frame.iloc[rng.integers(0, len(frame), len(frame))].reset_index(drop=True)
        dca(data=again, outcome="y", modelnames=list(arms), thresholds=GRID)


def measure(name, peer, against, n, note, function, replicates=None):
    """One row; a peer that fails is a row that says how."""
    row = {"name": name, "peer": peer, "against": against, "n": n, "seconds": None, "note": note}
    try:
        row["peer"] = f"{peer} {importlib.metadata.version(peer)}"
        row["seconds"] = timed(function, replicates)
    except Exception as error:
        row["note"] = f"not measured: {type(error).__name__}: {error}"
    return row


def main():
    """Measure every peer on the cohort of the file named on the command line."""
    warnings.simplefilter("ignore")
    data = np.load(sys.argv[1])
    label, arms = data["label"], {name: data[name] for name in data.files if name != "label"}
    n, scaled = label.size, "B = {}, scaled to 10,000"
    ours = "joint_bootstrap_743"
    rng = np.random.default_rng(0)
    large = np.r_[np.ones(6_000, int), np.zeros(14_000, int)]
    pair = {arm: rng.normal(size=20_000) + 2 * large for arm in ("scratch", "transfer")}
    rows = [
        measure("scikit_learn_loop", "scikit-learn", ours, n, "the whole timed set; " + scaled.format(100),
                lambda: scikit_learn_loop(label, arms, 100), 100),
        measure("mlstatkit_bootstrap", "MLstatkit", ours, n, "AUC of one arm only; " + scaled.format(200),
                lambda: mlstatkit_bootstrap(label, arms, 200), 200),
        measure("confidenceinterval_bootstrap", "confidenceinterval", ours, n, "AUC of one arm; " + scaled.format(200),
                lambda: confidenceinterval_bootstrap(label, arms, 200), 200),
        measure("dcurves_bootstrap", "dcurves", ours, n, "net benefit of two arms only; " + scaled.format(20),
                lambda: dcurves_bootstrap(label, arms, 20), 20),
        measure("mlstatkit_delong_20k", "MLstatkit", "delong_1m", 20_000, "n = 20,000, a fiftieth of our row's films",
                lambda: mlstatkit_delong(large, pair)),
    ]  # fmt: skip
    print(json.dumps(rows))


if __name__ == "__main__":
    main()
