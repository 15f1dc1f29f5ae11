"""Every example in a docstring runs and prints what it says."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import diagnostic_accuracy

MODULES = sorted(module.name for module in pkgutil.iter_modules(diagnostic_accuracy.__path__))


@pytest.mark.parametrize("name", MODULES)
def test_examples(name: str) -> None:
    module = importlib.import_module(f"diagnostic_accuracy.{name}")
    failed, _ = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert failed == 0


def test_there_are_examples() -> None:
    modules = [importlib.import_module(f"diagnostic_accuracy.{name}") for name in MODULES]
    finder = doctest.DocTestFinder(exclude_empty=True)
    assert sum(len(test.examples) > 0 for module in modules for test in finder.find(module)) > 50
