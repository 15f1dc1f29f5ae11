"""conda's door leads to the same pins; how conda itself solves is not tried here."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]


def content():
    return yaml.safe_load((ROOT / "environment.yml").read_text())


def test_the_channels_and_python():
    assert content()["channels"] == ["conda-forge", "nodefaults"]
    assert "python>=3.11,<3.14" in content()["dependencies"]
    assert content()["variables"] == {"OSTEOTL_CONDA": 1}


def test_no_registry_is_named_and_every_pin_has_a_hash():
    lock = (ROOT / "requirements.lock").read_text()
    assert "://" not in lock
    pins = [line for line in lock.splitlines() if "==" in line and not line.startswith((" ", "#"))]
    assert len(pins) > 100
    assert lock.count("--hash=sha256:") >= len(pins)


@pytest.mark.slow
def test_the_pip_section_installs_into_an_empty_environment(tmp_path):
    lines = next(entry["pip"] for entry in content()["dependencies"] if isinstance(entry, dict))
    assert lines == ["-r requirements.lock"]
    (tmp_path / "pip.txt").write_text("\n".join(lines).replace("requirements.lock", str(ROOT / "requirements.lock")))
    uv = ROOT / ".tools/bin/uv"
    if not uv.exists():
        subprocess.run([sys.executable, "-m", "venv", tmp_path / "tools"], check=True)
        uv = tmp_path / "tools/bin/uv"
        subprocess.run([uv.with_name("python"), "-m", "pip", "install", "--quiet", "uv>=0.9,<1"], check=True)
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, tmp_path / "env"], check=True)
    python = tmp_path / "env/bin/python"
    install = [uv, "pip", "install", "--quiet", "--require-hashes", "--python", python, "-r", tmp_path / "pip.txt"]
    subprocess.run(install, check=True)
    subprocess.run([*install[:4], "--no-deps", "--no-build-isolation", "--python", python, "-e", ROOT], check=True)
    code = "import papermill, snakemake, osteotl, pandas; print(osteotl.__file__)"
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout.strip().endswith("lib/osteotl/__init__.py")
