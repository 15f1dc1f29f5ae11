"""What every test shares."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

# the first example compiles numba's loops; the same examples every time, so that a failure repeats
settings.register_profile("osteotl", deadline=None, derandomize=True)
settings.load_profile("osteotl")

sys.path.insert(0, str(Path(__file__).parent))  # `from oracles import registry` in the oracle mappings


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Sum the oracle comparisons over all workers; write them where OSTEOTL_PARITY names a file."""
    reports = [report for kind in ("passed", "failed") for report in terminalreporter.stats.get(kind, [])]
    properties = [value for report in reports for name, value in report.user_properties if name == "oracle_rows"]
    if not properties:
        return
    rows = sorted((row for text in properties for row in json.loads(text)), key=lambda r: (r["case"], r["quantity"]))
    terminalreporter.write_line(f"{sum(row['values'] for row in rows)} values compared")
    if path := os.environ.get("OSTEOTL_PARITY"):
        Path(path).write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests first, so that no process works on the last of them while the other has nothing to do."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(scope="session")
def oracle_folder() -> Path:
    """The folder of reference values; tests that need it skip only when OSTEOTL_ORACLES is unset."""
    folder = os.environ.get("OSTEOTL_ORACLES")
    if not folder:
        pytest.skip("OSTEOTL_ORACLES is not set: it names the folder of reference values")
    if not Path(folder).is_dir():
        pytest.fail(f"OSTEOTL_ORACLES is {folder!r}, which is not a folder")
    return Path(folder)


ARGUMENTS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
             "--disable-dev-shm-usage", "--disable-background-networking", "--disable-component-update"]  # fmt: skip


@dataclass
class Opened:
    """A page in the browser with everything it asked for and complained about."""

    page: Any
    requests: list[str]
    complaints: list[str]


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """One Chromium for all tests that need a browser."""
    from playwright.sync_api import sync_playwright

    from osteotl.report.printing import find_browser

    path = find_browser()
    assert path, "no Chromium found: browser tests need one (leave them out with -m 'not browser')"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS, timeout=120_000)
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium: Any) -> Iterator[Callable[..., Opened]]:
    """`open_page(path, width=1280, ...)` loads a file and listens."""
    contexts = []

    def opener(report: Path, width: int = 1280, height: int = 900, **options: Any) -> Opened:
        context = chromium.new_context(viewport={"width": width, "height": height}, **options)
        contexts.append(context)
        opened = Opened(context.new_page(), [], [])
        opened.page.on("request", lambda request: opened.requests.append(request.url))
        opened.page.on("console", lambda message: opened.complaints.append(message.text))
        opened.page.on("pageerror", lambda error: opened.complaints.append(str(error)))
        opened.page.goto(report.as_uri(), wait_until="load")
        return opened

    yield opener
    for context in contexts:
        context.close()
