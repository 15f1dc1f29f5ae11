"""./run_all.sh score --arm ARM FOLDER: scores and boxes of new films from a trained arm, for research use.

Thresholds and recalibration are those that the study locked on its validation films. Every run of the arm has files of
its own; one more holds their mean. They go to OUT/scored/NAME OF THE FOLDER.
"""

from __future__ import annotations

import importlib
import sys

from osteotl.files import file_name, visible
from osteotl.study import StudyError, load_study
from osteotl.workflow.command_line import OPTIONS, Words, existing, outputs_of
from osteotl.workflow.run_notebook import hermetic
from osteotl.workflow.steps import ROOT, to_root


def main(words: list[str]) -> int:
    """Score the films of a folder, as the words of the command line say; returns the exit code."""
    parser = Words("./run_all.sh score", description=__doc__, allow_abbrev=False)
    parser.add_argument("folder", metavar="FOLDER", type=existing, help="the films; folders below it are read too")
    parser.add_argument("--arm", metavar="ARM", required=True, help="the arm whose runs score them")
    for name in ("config", "outputs"):
        metavar, kind, text = OPTIONS[name]
        parser.add_argument(f"--{name}", metavar=metavar, type=kind, help=text)
    chosen = parser.parse_args(words)
    config = chosen.config or ROOT / "study.yaml"
    outputs = outputs_of(config, chosen.outputs)
    hermetic(outputs)
    target = outputs / "scored" / file_name(chosen.folder.resolve().name)
    module = importlib.import_module("osteotl.detection.new_films")  # by name: the workflow imports no science
    try:
        written = module.score_folder(load_study(config), chosen.arm, chosen.folder, outputs, target)
    except (StudyError, ValueError) as error:
        print(f"run_all.sh: {visible(str(error))}", file=sys.stderr)
        return 2
    print(module.USE, *(to_root(path) for path in written), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
