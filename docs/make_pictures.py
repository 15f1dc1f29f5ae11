"""Takes the README's pictures from a finished report, light and dark.

    python docs/make_pictures.py [OUT]

OUT is an outputs folder (default: outputs). Needs Chromium. The pictures are committed: take them from the default
study, whose films are phantoms, never from one with films of patients.
"""

from __future__ import annotations

import sys
from pathlib import Path

from PIL import Image

from osteotl.report.printing import find_browser

ROOT = Path(__file__).resolve().parents[1]
PICTURES = {"report.png": "light", "report-dark.png": "dark"}
WIDTH, HEIGHT, SCALE = 1440, 1284, 1.0


def take(report: Path, folder: Path) -> list[Path]:
    """Photograph the first screen of a report in both colour schemes.

    Parameters
    ----------
    report : Path
        report.html of a finished study.
    folder : Path
        Where the pictures go.

    Raises
    ------
    ValueError
        There is no report, or no Chromium.
    """
    from playwright.sync_api import sync_playwright

    if not report.is_file():
        raise ValueError(f"{report} is not there: run ./run_all.sh first, or name another outputs folder")
    if not (browser_path := find_browser()):
        raise ValueError("Chromium is needed to take pictures (Debian: apt-get install chromium)")
    folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path, args=["--headless", "--no-sandbox"])
        for name, scheme in PICTURES.items():
            context = browser.new_context(
                viewport={"width": WIDTH, "height": HEIGHT}, device_scale_factor=SCALE, color_scheme=scheme
            )
            page = context.new_page()
            page.goto(report.resolve().as_uri(), wait_until="load")
            page.screenshot(path=folder / name)
            context.close()
            with Image.open(folder / name) as picture:  # 256 colours: a quarter of the bytes
                small = picture.convert("RGB").quantize(256, dither=Image.Dither.NONE)
            small.save(folder / name, optimize=True)
        browser.close()
    return [folder / name for name in PICTURES]


if __name__ == "__main__":
    outputs = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "outputs"
    try:
        for picture in take(outputs / "report.html", ROOT / "docs" / "pictures"):
            print(picture.relative_to(ROOT))
    except ValueError as error:
        sys.exit(str(error))
