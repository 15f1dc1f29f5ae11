"""What somebody with a new clone can expect: set-up, first report, the same again, a page of own scores, the tests.

Each row is one command in fresh clones of this commit, timed once. The packages are in the package cache, but for the
row of own scores, whose cache is empty: it fetches them over this machine's connection. Run it on a quiet machine.

- `--folder FOLDER` keeps the clones there;
- `--tests` runs `./run_all.sh test` too, which takes a quarter of an hour.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import tempfile
import time
from pathlib import Path

from _measure import Row, row, save

ROOT = Path(__file__).parents[1]
FILMS = 743  # external films of the default study, and of examples/scores.csv
OURS = ("OSTEOTL", "PYTHON", "VIRTUAL_ENV", "OMP_", "NUMBA", "MPL")  # settings of the clone that runs the benchmark


def clone(folder: Path) -> Path:
    """A clone of this commit, without what git ignores."""
    subprocess.run(["git", "clone", "-q", ROOT, folder], check=True)
    return folder


def command(place: Path, name: str, *words: str, n: int | None = None, note: str = "", **environment: str) -> Row:
    """Wall seconds of ./run_all.sh WORDS, which must end well."""
    plain = {key: value for key, value in os.environ.items() if not key.startswith(OURS)}
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(
        [place / "run_all.sh", *words], cwd=place, env=plain | environment, capture_output=True, text=True, check=False
    )
    seconds, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise RuntimeError(f"./run_all.sh {' '.join(words)} ended with {done.returncode}\n{done.stdout}{done.stderr}")
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    said = f"./run_all.sh {' '.join(words)}".rstrip() + f"; {processor:.0f} s of processor time"
    return row(name, seconds, n=n, note=f"{said}; {note}".removesuffix("; "))


def main() -> list[Row]:
    """Measure, save and hand back the rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--tests", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        place, light = clone(folder / "study"), clone(folder / "light")
        own = ("--predictions", "examples/scores.csv")
        rows = [
            command(place, "set_up", "check", note="packages cached; films of the default study drawn and checked"),
            command(place, "first_report", n=FILMS, note="the default study, set up and drawn before"),
            command(place, "again", note="nothing to do"),
            command(light, "own_scores_first", *own, n=FILMS, note="set-up included, packages fetched",
                    UV_CACHE_DIR=str(folder / "cache")),
            command(light, "own_scores_again", *own, "--outputs", "outputs/again", note="set up before"),
        ]  # fmt: skip
        save("newcomer", rows)
        if options.tests:
            rows.append(command(place, "tests", "test", note="set up before"))
            save("newcomer", rows)
    return rows


if __name__ == "__main__":
    main()
