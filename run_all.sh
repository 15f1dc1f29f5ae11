#!/usr/bin/env bash
# Sets up, runs, checks, tests, opens JupyterLab. `./run_all.sh --help` lists the words it knows.
# It needs Python 3.11 or later, and the network once, for the packages that requirements.lock pins.
set -euo pipefail
here="$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd -P)"
say() { printf 'run_all.sh: %s\n' "$*" >&2; }

usable() { "$1" -c 'import sys; sys.exit(sys.version_info[:2] < (3, 11))' >/dev/null 2>&1; }

find_python() {
  local name
  for name in python3 python3.13 python3.12 python3.11 python; do
    if usable "$name"; then printf '%s' "$name"; return; fi
  done
  say "Python 3.11 or later is needed and was not found. Install it (Debian: apt-get install python3 python3-venv)."
  exit 2
}

# An active conda environment made from environment.yml is used as it is; any other one, such as conda's own base, is not.
conda_python() {
  [ -n "${CONDA_PREFIX:-}" ] && [ "${OSTEOTL_CONDA:-}" = 1 ] && [ -x "$CONDA_PREFIX/bin/python" ] || return 1
  python="$CONDA_PREFIX/bin/python"
  mark="$CONDA_PREFIX/.osteotl"
  [ "$(cat -- "$mark" 2>/dev/null)" = "$pins" ] && return 0
  if ! "$python" - "$here/requirements.lock" <<'PYTHON'
import re, sys
from importlib import metadata
with open(sys.argv[1], encoding="utf-8") as lock:
    pins = dict(re.findall(r"^([A-Za-z0-9._-]+)==([^ ;\\]+)", lock.read(), flags=re.M))
have = {re.sub(r"[-_.]+", "-", d.metadata["Name"]).lower(): d.version for d in metadata.distributions()}
wrong = [f"{name} {have.get(name, 'is missing')}, pinned {pin}" for name, pin in pins.items() if have.get(name) != pin]
sys.exit("\n".join(wrong[:5]) or None)
PYTHON
  then
    say "this conda environment is not what requirements.lock pins: conda env update --prune -f environment.yml"
    exit 2
  fi
  "$python" -m pip install --quiet --no-deps --no-build-isolation -e "$here"
  printf '%s' "$pins" >"$mark"
}

make_environment() {
  local found uv="$here/.tools/bin/uv"
  found="$(find_python)"
  say "setting up .venv from requirements.lock (once; a minute or so)"
  export UV_SYSTEM_CERTS="${UV_SYSTEM_CERTS:-1}" # a hospital's proxy signs with a certificate that the system knows
  exec 8>"$here/.setup.lock"
  if command -v flock >/dev/null; then flock 8; fi
  if [ "$(cat -- "$mark" 2>/dev/null)" = "$pins" ]; then return; fi # another start has just done it
  if [ ! -x "$uv" ]; then
    "$found" -m venv --clear "$here/.tools" && "$here/.tools/bin/python" -m pip install --quiet --disable-pip-version-check 'uv>=0.9,<1' || {
      say "uv could not be installed: is there a network, and (on Debian) the package python3-venv?"; exit 1; }
  fi
  case "$(cat -- "$mark" 2>/dev/null)" in
    *" $here") ;; # only the pins have changed: mend what is there
    *) "$uv" venv --quiet --clear --no-config --python "$("$found" -c 'import sys; print(sys.executable)')" "$here/.venv" ;;
  esac &&
  "$uv" pip sync --quiet --no-config --require-hashes --compile-bytecode --python "$python" "$here/requirements.lock" &&
  "$uv" pip install --quiet --no-config --no-deps --no-build-isolation --python "$python" -e "$here" || {
    say "the packages could not be installed; what is there is kept, and the next start goes on from here"; exit 1; }
  printf '%s' "$pins" >"$mark"
  exec 8>&-
}

# --- words that need no set-up ----------------------------------------------------------------------------------------
case "${1:-}" in
  -h|--help|help) PYTHONPATH="$here/lib" exec "$(find_python)" -m osteotl.workflow --help ;;
  --version) PYTHONPATH="$here/lib" exec "$(find_python)" -m osteotl.workflow --version ;;
esac

# --- which Python -----------------------------------------------------------------------------------------------------
pins="$(cksum <"$here/requirements.lock") $here" # a moved clone sets up again
if ! conda_python; then
  python="$here/.venv/bin/python"
  mark="$here/.venv/.osteotl"
  if [ ! -x "$python" ] || [ "$(cat -- "$mark" 2>/dev/null)" != "$pins" ]; then make_environment; fi
fi
export PYTHONPATH="$here/lib" PYTHONNOUSERSITE=1 PYTHONUTF8=1 PATH="$(dirname -- "$python"):$PATH"
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1 YOLO_OFFLINE=1 YOLO_AUTOINSTALL=0 YOLO_VERBOSE=0

# --- verbs ------------------------------------------------------------------------------------------------------------
need_browser() {
  command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null && return
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    say "installing Chromium, which the tests of the report need"
    { apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends chromium; } >/dev/null && return
  fi
  say "the tests of the report need Chromium and will fail without it (Debian, as root: apt-get install chromium)"
}

run_tests() {
  cd -- "$here"
  local marks='not slurm' fast=0
  case "${1:-}" in
    --fast) marks='not slow and not slurm'; fast=1; shift ;;
    slurm) shift; exec "$python" -m pytest -m slurm tests/workflow "$@" ;;
  esac
  need_browser
  if [ $# = 0 ]; then
    "$python" -m ruff check .
    "$python" -m mypy
  fi
  exec "$python" -m pytest -m "$marks" -n "${OSTEOTL_TEST_PROCESSES:-2}" --dist loadfile "$@"
}

case "${1:-}" in
  test) shift; run_tests "$@" ;;
  bench)
    shift
    cd -- "$here"
    if [ $# -gt 0 ] && [ ! -f "benchmarks/bench_$1.py" ]; then
      say "no benchmark $1; there are: $(cd benchmarks && ls bench_*.py | sed 's/bench_//; s/\.py//' | tr '\n' ' ')"; exit 2
    fi
    if [ $# -gt 0 ]; then name="$1"; shift; exec "$python" "benchmarks/bench_$name.py" "$@"; fi
    for file in benchmarks/bench_*.py; do "$python" "$file"; done
    exec "$python" benchmarks/make_results.py ;;
  lab|score) verb="$1"; shift; exec "$python" -m "osteotl.workflow.$verb" "$@" ;;
  plan|published) exec "$python" -m osteotl.workflow.standalone "$@" ;;
  *) exec "$python" -m osteotl.workflow "$@" ;;
esac
