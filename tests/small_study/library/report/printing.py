"""The page's PDF, which no result depends on."""

import os


def write_pdf(report):
    """Printed where the test says that there is a Chromium."""
    if "SMALL_STUDY_PDF" in os.environ:
        report.with_suffix(".pdf").write_text("a PDF\n")
