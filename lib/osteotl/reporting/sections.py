"""The body of the page in reading order; each function is one section, or None where a study has nothing for it."""

from __future__ import annotations

from collections.abc import Callable

from markupsafe import Markup

from osteotl.reporting.cohort_sections import audit, flow, subgroups
from osteotl.reporting.curve_sections import calibration, decision, discrimination, seeds
from osteotl.reporting.error_sections import discordant, errors, localisation
from osteotl.reporting.explorer import explorer_html
from osteotl.reporting.gallery import gallery
from osteotl.reporting.html import notice, paragraph, section, tag
from osteotl.reporting.point_sections import operating_points
from osteotl.reporting.results import Results
from osteotl.reporting.wording import typeset


def explorer(results: Results) -> Markup | None:
    """The threshold explorer."""
    lead = paragraph(
        "Move the threshold, the prevalence or the worth of a found tumour and see what follows. Counts are exact, on "
        "the external films. Thresholds picked here are picked on the test films: for thinking, not for reporting. At "
        f"the study's own operating points its own {results.facts.level} intervals stand; elsewhere Wilson's (films "
        "taken as independent) and, for predictive values, Mercaldo's; for a mean over seeds, the range of the seeds."
    )
    return section(
        "explorer",
        "Threshold explorer",
        lead,
        explorer_html(results.facts.statistics, {"scores": results.table("scores")}, standalone=False),
        class_="no-print",
    )


def flags(results: Results) -> Markup | None:
    """Warnings of the analysis."""
    texts = [typeset(text) for text in results.facts.get("flags", [])]
    return (
        notice(tag("strong", "Mind this when reading."), tag("ul", [tag("li", text) for text in texts]), kind="warn")
        if texts
        else None
    )


BODY: tuple[Callable[[Results], Markup | None], ...] = (
    flow,
    operating_points,
    errors,
    discordant,
    localisation,
    subgroups,
    discrimination,
    calibration,
    decision,
    seeds,
    audit,
    explorer,
    gallery,
)
"""The sections between the summary and the limitations."""
