"""The generated pages are what their generator writes, and every key and fault is explained."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

import pytest
import yaml

sys.path.insert(0, str(Path(__file__).parents[2] / "docs"))
import make_reference

from osteotl import study
from osteotl.cohorts.faults import CODES
from shipped import STUDIES

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


@pytest.mark.parametrize("name", sorted(make_reference.PAGES))
def test_committed_pages_are_what_the_generator_writes(name):
    assert (DOCS / name).read_text(encoding="utf-8") == make_reference.PAGES[name](), (
        f"docs/{name} is behind the code: run `python docs/make_reference.py`"
    )


def test_every_key_is_described():
    models = [getattr(study, name) for _, name, _ in make_reference.SECTIONS]
    bare = [f"{m.__name__}.{key}" for m in models for key, field in m.model_fields.items() if not field.description]
    assert not bare
    assert all(model.__doc__ for model in models)


def keys(content, prefix=""):
    """Every key of a study file as docs/study.md spells it."""
    for key, value in content.items() if isinstance(content, dict) else ():
        yield prefix + key
        if key == "arms":
            yield from (f"arms.NAME.{k}" for arm in value.values() for k in arm)
        elif not prefix.startswith("cohorts.") and key not in ("augmentation", "reference_standard", "author"):
            yield from keys(value, f"{prefix}{key}.")


@pytest.mark.parametrize("path", STUDIES, ids=lambda p: p.stem)
def test_keys_of_the_shipped_studies_stand_in_the_reference(path):
    page = (DOCS / "study.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^\| `([\w.]+)` \|", page, flags=re.M))
    assert set(keys(yaml.safe_load(path.read_text(encoding="utf-8")))) <= listed


def test_every_fault_that_the_code_can_raise_is_in_the_table():
    """fault("code", ...) calls anywhere in the readers and checks name codes of the table."""
    raised = set()
    for path in (ROOT / "lib" / "osteotl" / "cohorts").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "fault" and node.args:
                raised |= {node.args[0].value} if isinstance(node.args[0], ast.Constant) else set()
    assert len(raised) > 10
    assert raised <= set(CODES)
    page = (DOCS / "faults.md").read_text(encoding="utf-8")
    assert all(f"| `{code}` |" in page for code in CODES)
