"""The page."""

from osteotl.files import write_text


def build_report(study, out, data_dir):
    """Statistics between two tags."""
    with open(data_dir.parent / "trace.txt", "a") as file:
        file.write("report\n")
    for name in ("methods.md", "table_one.csv"):
        if name != "table_one.csv" or (out / "cohorts").is_dir():
            write_text(out / name, "words\n")
    for arm in study.arms or ["a"]:
        write_text(out / "model_cards" / f"{arm}.md", f"card of {arm}\n")
    write_text(out / "checklists/claim.csv", "item,answer\n")
    return write_text(out / "report.html", f"<html>{(out / 'statistics.json').read_text()}</html>")
