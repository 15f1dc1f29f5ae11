"""Numbers from scores."""

import csv
import math

from osteotl.cohorts.trace import trace

from osteotl.files import write_json, write_text


class ScoresError(ValueError):
    """Every fault in a file of scores."""

    def __init__(self, faults):
        super().__init__("\n".join(faults))
        self.faults = faults


def analyse(step):
    """Mean score of every arm."""
    trace(step)
    source = step.study.predictions or step.read("predictions.csv")
    with open(source, newline="") as file:
        rows = list(csv.DictReader(file))
    if faults := [
        f"row {i}: score {row['score']!r} is no number" for i, row in enumerate(rows, 2) if "," in row["score"]
    ]:
        raise ScoresError(faults)
    arms = {}
    for row in rows:
        arms.setdefault(row["arm"], []).append(float(row["score"]))
    means = {arm: math.fsum(scores) / len(scores) for arm, scores in arms.items()}
    settings = {"bootstrap": step.study.statistics.bootstrap, "title": step.study.title}
    write_json(step.write("statistics.json"), {"schema": "osteotl.statistics/1", "means": means, "settings": settings})
    write_text(
        step.write("tables/means.csv"), "arm,mean\n" + "".join(f"{arm},{mean!r}\n" for arm, mean in means.items())
    )
