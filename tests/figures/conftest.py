"""Analysed studies, simulated once a session."""

from __future__ import annotations

import pytest

from figures.analysed import Analysed, analysed, simulated


@pytest.fixture(scope="session")
def study() -> Analysed:
    """Two models, three runs each, validation films."""
    return analysed(simulated())


@pytest.fixture(scope="session")
def one_run() -> Analysed:
    """One run a model, no validation films."""
    return analysed(simulated(runs=1, films=80, validation=0))


@pytest.fixture(scope="session")
def four_models() -> Analysed:
    """Four models."""
    return analysed(simulated(("scratch", "transfer", "photographs", "control"), films=80, validation=40))
