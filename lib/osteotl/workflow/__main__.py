"""python -m osteotl.workflow: what ./run_all.sh calls once the environment stands."""

import os
import sys

from osteotl.workflow.command_line import main

try:
    sys.exit(main(sys.argv[1:]))
except BrokenPipeError:  # the reader had enough, as in `./run_all.sh -n | head`
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
except OSError as error:  # a full disk, before any step could say so
    sys.exit(f"run_all.sh: {error}")
