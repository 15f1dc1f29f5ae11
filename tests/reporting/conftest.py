"""Pages of simulated studies, built once a session, and a browser to look at them with."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from make_outputs import make_outputs

from osteotl.reporting.page import build_report
from osteotl.study import Study

PLANTED = "\"><script>window.hacked=1</script><img src=x onerror=window.hacked=1>'&lt;"
"""What a hostile label looks like: it tries to leave an attribute, an element and a string."""


@dataclass(frozen=True)
class Page:
    """One built page with what it was made from."""

    study: Study
    out: Path
    data: Path
    report: Path


def _page(folder: Path, **kind: Any) -> Page:
    study = make_outputs(folder / "outputs", folder / "data", **kind)
    return Page(study, folder / "outputs", folder / "data", build_report(study, folder / "outputs", folder / "data"))


@pytest.fixture(scope="session")
def page(tmp_path_factory: pytest.TempPathFactory) -> Page:
    """The ordinary study: two arms, three seeds, validation films, boxes."""
    return _page(tmp_path_factory.mktemp("page"), films=180, malignant=70)


@pytest.fixture(scope="session")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Page:
    """The same with a script planted in every text that a user or a film can bring."""
    return _page(tmp_path_factory.mktemp("hostile"), films=80, malignant=30, text=PLANTED)


UNUSUAL: dict[str, dict[str, Any]] = {
    "one_seed": {"seeds": (3,)},
    "no_validation": {"validation": False, "scores_only": True, "notebooks": False},
    "scores_only": {"scores_only": True, "notebooks": False, "figures": False},
    "many_arms": {"arms": ("scratch", "transfer", "photographs", "control")},
    "fractions": {"fractions": (0.1, 0.25, 1.0)},
}


@pytest.fixture(scope="session", params=sorted(UNUSUAL))
def unusual(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Page:
    """Studies that lack something, or have more of it."""
    return _page(tmp_path_factory.mktemp(request.param), films=60, malignant=24, **UNUSUAL[request.param])
