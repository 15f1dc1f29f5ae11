"""The page: sections that notebook 06 returns, and their rendering to one HTML file (`osteotl.report.render`)."""

from osteotl.report.outputs import Outputs, read_outputs
from osteotl.report.section import Section, omit

__all__ = ["Outputs", "Section", "omit", "read_outputs"]
