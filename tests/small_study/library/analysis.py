"""Numbers from scores."""

import csv

from osteotl.cohorts.trace import trace
from osteotl.rates import mean

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
    lines = ["arm,mean", *(f"{arm},{mean(scores)!r}" for arm, scores in arms.items())]
    write_text(step.write("statistics.csv"), "\n".join(lines) + "\n")
    settings = {"bootstrap": step.study.statistics.bootstrap, "title": step.study.title}
    write_json(step.write("analysis.json"), {"settings": settings})
    if step.study.predictions is not None:
        write_text(step.write("film_numbers.csv"), "what,number,id\n")
    write_text(step.write("tables/means.csv"), "\n".join(lines) + "\n")
