"""What belongs to the project: a user may have added studies of their own, which no test may judge."""

import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[1]
_listed = subprocess.run(["git", "ls-files", "study.yaml", "studies/*.yaml"], cwd=ROOT, capture_output=True, text=True,
                         check=True)  # fmt: skip
STUDIES = [ROOT / name for name in sorted(_listed.stdout.split()) if (ROOT / name).is_file()]
