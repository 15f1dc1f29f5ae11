"""The page."""

from osteotl.files import write_text


def build_report(study, out, data_dir):
    """Statistics between two tags."""
    with open(data_dir.parent / "trace.txt", "a") as file:
        file.write("report\n")
    return write_text(out / "report.html", f"<html>{(out / 'statistics.json').read_text()}</html>")
