#!/usr/bin/env bash
# Sets up, runs, checks, tests, opens JupyterLab. `./run_all.sh --help` lists the words it knows.
# It needs Python 3.11 or later, and the network once, for the packages that requirements.lock pins; or a folder with
# those packages, made elsewhere by `./run_all.sh offline FOLDER` and named by OSTEOTL_WHEELS.
set -euo pipefail
here="$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd -P)"
say() { printf 'run_all.sh: %s\n' "$*" >&2; }

usable() { "$1" -c 'import sys; sys.exit(sys.version_info[:2] < (3, 11))' >/dev/null 2>&1; }

find_python() {
  local name
  for name in "$here"/.tools/python/*/bin/python3 python3 python3.13 python3.12 python3.11 python; do
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
  know_library
  printf '%s' "$pins" >"$mark"
}

# `import osteotl` works in the environment without run_all.sh too, as in an editor.
know_library() { printf '%s\n' "$here/lib" >"$("$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/osteotl.pth"; }

# `light` where nothing trains or reads films: plan, published, own scores. Only what a study file says at its top level
# counts, in the plain form `predictions: FILE`; in doubt the full set is right too.
set_needed() {
  local config="$here/study.yaml" word last=""
  case "${1:-}" in plan|published|clean) echo light; return ;; test|bench) echo full; return ;; esac
  for word in "$@"; do
    case "$word" in --predictions|--predictions=*) echo light; return ;; --config=*) config="${word#*=}" ;; esac
    if [ "$last" = --config ]; then config="$word"; fi
    last="$word"
  done
  if [ ! -e "$config" ]; then config="$here/$config"; fi
  if [ ! -f "$config" ]; then echo light; return; fi # the workflow says what is missing
  if grep -E "^[\"']?predictions[\"']?[[:space:]]*:[[:space:]]+[^#[:space:]]" -- "$config" |
    grep -Eqv ":[[:space:]]+(null|Null|NULL|~)[[:space:]]*(#.*)?\$"; then echo light; else echo full; fi
}

# .venv holds what is needed: the mark names its set, the pins it was made from, and the place of the clone.
stands() { case "$(cat -- "$mark" 2>/dev/null)" in "full $pins"|"$needed $pins") return 0 ;; *) return 1 ;; esac; }

# uv, alone in .tools; where Python has no pip of its own, through a virtual environment.
find_uv() {
  uv="$here/.tools/bin/uv"
  if [ -x "$uv" ]; then return; fi
  if [ -n "$wheels" ]; then mkdir -p -- "$here/.tools/bin" && cp -- "$wheels/uv" "$uv"; return; fi
  "$found" -m pip install --quiet --disable-pip-version-check --target "$here/.tools" 'uv>=0.9,<1' 2>/dev/null ||
  { "$found" -m venv --clear "$here/.tools" && "$here/.tools/bin/python" -m pip install --quiet --disable-pip-version-check 'uv>=0.9,<1'; } || {
    say "uv could not be installed: is there a network, and (on Debian) the package python3-venv?"; exit 1; }
}

make_environment() {
  local found uv lock source=() size set="$needed"
  exec 8>"$here/.setup.lock"
  if command -v flock >/dev/null; then flock 8; fi
  if stands; then return; fi # another start has just done it
  if [ -n "$wheels" ] && [ -d "$wheels/python" ] && [ ! -d "$here/.tools/python" ]; then
    mkdir -p -- "$here/.tools" && cp -R -- "$wheels/python" "$here/.tools/python"
  fi
  found="$(find_python)"
  find_uv
  case "$(cat -- "$mark" 2>/dev/null)" in
    "full "*" $here") set=full ;; # only the pins have changed: mend what is there
    "light "*" $here") ;;
    *) "$uv" venv --quiet --clear --no-config --python "$("$found" -c 'import sys; print(sys.executable)')" "$here/.venv" ;;
  esac
  if [ "$set" = light ]; then lock=requirements-light.lock size="$light_size"; else lock=requirements.lock size="$full_size"; fi
  say "setting up .venv from $lock: $size (once)"
  if [ -n "$wheels" ]; then source=(--no-index --find-links "$wheels/wheels"); fi
  "$uv" pip sync --quiet --no-config --require-hashes ${source[@]+"${source[@]}"} --python "$python" "$here/$lock" && know_library || {
    say "the packages could not be installed; what is there is kept, and the next start goes on from here"; exit 1; }
  printf '%s' "$set $pins" >"$mark"
  exec 8>&-
}

# ./run_all.sh offline FOLDER [light]: all that a machine without a network needs, for OSTEOTL_WHEELS=FOLDER there.
collect() {
  local found uv pip folder="${1:-}" lock=requirements.lock version
  if [ -z "$folder" ] || { [ $# -gt 1 ] && [ "$2" != light ]; }; then say "usage: ./run_all.sh offline FOLDER [light]"; exit 2; fi
  if [ "${2:-}" = light ]; then lock=requirements-light.lock; fi
  found="$(find_python)"
  find_uv
  if "$here/.tools/bin/python" -m pip --version >/dev/null 2>&1; then pip="$here/.tools/bin/python"; else pip="$found"; fi
  mkdir -p -- "$folder/wheels"
  cp -- "$uv" "$folder/uv"
  if "$uv" python install --quiet --no-config --no-bin --install-dir "$folder/python" "$portable" 2>/dev/null; then version="$portable"; else
    rm -rf -- "$folder/python"
    version="$("$found" -c 'import sys; print("{}.{}".format(*sys.version_info))')"
    say "no portable Python could be fetched: the other machine needs a Python $version of its own"
  fi
  # setuptools builds the few packages that come as source alone
  "$pip" -m pip download --quiet --disable-pip-version-check --no-deps --python-version "$version" --dest "$folder/wheels" --require-hashes -r "$here/$lock" &&
  "$pip" -m pip download --quiet --disable-pip-version-check --no-deps --dest "$folder/wheels" 'setuptools>=77' || {
    say "the packages could not be collected"; exit 1; }
  say "$folder holds the packages of $lock for Python $version: $(du -sh -- "$folder" | cut -f1). On the other machine: OSTEOTL_WHEELS=FOLDER ./run_all.sh"
}

# --- words that need no set-up ----------------------------------------------------------------------------------------
case "${1:-}" in
  -h|--help|help) PYTHONPATH="$here/lib" exec "$(find_python)" -m osteotl.workflow --help ;;
  --version) PYTHONPATH="$here/lib" exec "$(find_python)" -m osteotl.workflow --version ;;
esac

# --- which packages ---------------------------------------------------------------------------------------------------
light_size="0.3 GB to fetch, 1.0 GB on disk; what trains needs more, added when a study first does"
full_size="3.5 GB to fetch, 7 GB on disk"
portable=3.12
export UV_SYSTEM_CERTS="${UV_SYSTEM_CERTS:-1}" # a hospital's proxy signs with a certificate that the system knows
wheels="${OSTEOTL_WHEELS:-}"
if [ -n "$wheels" ] && [ ! -f "$wheels/uv" ]; then
  say "OSTEOTL_WHEELS names $wheels, which is no folder made by ./run_all.sh offline"; exit 2
fi
if [ "${1:-}" = offline ]; then shift; collect "$@"; exit; fi
needed="$(set_needed "$@")"
pins="$(cat -- "$here/requirements.lock" "$here/requirements-light.lock" | cksum) $here" # a moved clone sets up again
if ! conda_python; then
  python="$here/.venv/bin/python"
  mark="$here/.venv/.osteotl"
  if [ ! -x "$python" ] || ! stands; then make_environment; fi
fi
export PYTHONPATH="$here/lib" PYTHONNOUSERSITE=1 PYTHONUTF8=1 PATH="$(dirname -- "$python"):$PATH"
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1 YOLO_OFFLINE=1 YOLO_AUTOINSTALL=0 YOLO_VERBOSE=0

unset PYTHONDONTWRITEBYTECODE # every step and its kernel would compile a thousand modules anew, 1 to 3 s each

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
  exec "$python" -m pytest -m "$marks" -n "${OSTEOTL_TEST_PROCESSES:-2}" --dist loadfile --no-loadscope-reorder "$@"
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
