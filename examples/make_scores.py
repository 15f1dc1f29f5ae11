"""Writes scores.csv: two detectors on 743 simulated films (268 malignant), for `./run_all.sh --predictions`.

    python examples/make_scores.py

Each film has a difficulty that both arms share; the arms see it through noise of their own. No film or patient is real.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from osteotl.files import write_csv

MALIGNANT, NORMAL = 268, 475
SHIFT = {"scratch": 2.42, "transfer": 2.55}  # distance between the classes in standard deviations
SHARED = 0.6  # part of the variance that both arms share, film by film


def main() -> None:
    rng = np.random.default_rng(743)
    label = rng.permutation(np.repeat([1, 0], [MALIGNANT, NORMAL]))
    films = [f"film{i:04d}" for i in range(1, len(label) + 1)]
    shared = rng.normal(size=len(label)) * SHARED**0.5
    parts = []
    for arm, shift in SHIFT.items():
        seen = shift * label + shared + rng.normal(size=len(label)) * (1 - SHARED) ** 0.5
        score = 1 / (1 + np.exp(-1.6 * (seen - 1.3)))
        parts.append(pd.DataFrame({"image_id": films, "label": label, "arm": arm, "score": score.round(4)}))
    write_csv(Path(__file__).with_name("scores.csv"), pd.concat(parts))


if __name__ == "__main__":
    main()
