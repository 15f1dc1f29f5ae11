"""report.pdf: the page as a tagged PDF, where a Chromium is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
SECONDS = 120


def find_browser() -> str | None:
    """Path of an installed Chromium, or None."""
    return next((found for name in BROWSERS if (found := shutil.which(name))), None)


def write_pdf(report: Path) -> Path | None:
    """Print the page beside itself; a convenience of which no result depends.

    A PDF holds the time of its making, so it is no output that must repeat, and nothing waits for it.

    Parameters
    ----------
    report : Path
        report.html of a finished study; an earlier PDF beside it is removed first.

    Returns
    -------
    Path or None
        report.pdf; None where no Chromium is installed, or it failed: then its last words go to standard error.
    """
    pdf = Path(report).with_suffix(".pdf")
    pdf.unlink(missing_ok=True)
    if not (browser := find_browser()):
        return None
    try:
        words = _print(browser, Path(report), pdf)
    except (OSError, subprocess.TimeoutExpired) as error:
        words = str(error)
    if pdf.is_file():
        return pdf
    print(f"no {pdf.name}: Chromium did not print {Path(report).name} ({words})", file=sys.stderr)
    return None


def _print(browser: str, report: Path, pdf: Path) -> str:
    """Run Chromium; returns what it had to say. The PDF appears whole or not at all."""
    with tempfile.TemporaryDirectory() as folder:
        printed = Path(folder) / pdf.name
        apart = ["--no-sandbox"] if os.geteuid() == 0 else []  # Chromium's sandbox does not work for root
        options = ["--headless", *apart, "--disable-gpu", "--disable-background-networking", "--disable-sync",
                   "--no-first-run", "--export-tagged-pdf", "--generate-pdf-document-outline",
                   "--no-pdf-header-footer", f"--user-data-dir={folder}/profile"]  # fmt: skip
        command = [browser, *options, f"--print-to-pdf={printed}", report.resolve().as_uri()]
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
        if not done.returncode and printed.is_file():
            shutil.move(printed, pdf)
    return f"exit {done.returncode}: {' '.join(done.stderr.split())[-500:]}"
