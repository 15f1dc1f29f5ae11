"""The whole comparison: predictions in, statistics.json and its tables out.

`analyse_study` reads what a study has, `analyse` computes. The parts, in the order in which they run: `inputs` (what is
read, films aligned), `points` (thresholds and recalibration), `arms`, `comparisons`, `extras` (subgroups, audit,
baseline), `curves` (tables for the figures), `assemble` (the document).
"""

from osteotl.statistics.analysis.assemble import Analysis, analyse, analyse_study
from osteotl.statistics.analysis.inputs import Inputs, Settings

__all__ = ["Analysis", "Inputs", "Settings", "analyse", "analyse_study"]
