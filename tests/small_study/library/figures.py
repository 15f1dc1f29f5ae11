"""One figure."""

from osteotl.cohorts.trace import trace

from osteotl.files import write_json, write_text


def draw(step):
    """A picture of the statistics."""
    trace(step)
    write_text(step.write("figures/means.svg"), f"<svg>{step.read('statistics.csv').read_text()}</svg>")
    write_json(step.write("figures/index.json"), {"means": {"alt": "means"}})
