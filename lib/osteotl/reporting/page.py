"""outputs/report.html: one file that opens offline."""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path

import pandas as pd
from bs4 import BeautifulSoup
from markupsafe import Markup

from osteotl.files import spreadsheet_safe, visible, write_csv, write_text
from osteotl.reporting.appendix import PageExporter, joined_notebook
from osteotl.reporting.closing import further, limitations
from osteotl.reporting.explorer import template_text
from osteotl.reporting.exports import write_exports
from osteotl.reporting.html import tag
from osteotl.reporting.results import KEY, Results, load_results
from osteotl.reporting.safety import film_names, named_in
from osteotl.reporting.sections import BODY, flags
from osteotl.reporting.summary import summary
from osteotl.reporting.wording import counted
from osteotl.study import Study

LARGEST = 5 * 1024 * 1024


def build_report(study: Study, out: Path, data_dir: Path) -> Path:
    """Compose the page of a finished study.

    Parameters
    ----------
    study : Study
        The configuration that the outputs answer to.
    out : Path
        Outputs folder: statistics.json, which must exist; tables/, figures/, cohorts/, notebooks/, provenance.json.
    data_dir : Path
        Folder that holds `.prepared/`, the films for the gallery.

    Returns
    -------
    Path
        OUT/report.html. The same inputs give the same bytes.

    Raises
    ------
    ValueError
        statistics.json is missing or of another schema, or the page is larger than 5 MiB (what to shrink is named).
    """
    results = load_results(study, Path(out), Path(data_dir))
    write_exports(study, results.out)  # checklists, Methods and Table 1, which the page shows too
    if results.numbers:
        key = pd.DataFrame({"number": results.numbers.values(), "image_id": results.numbers.keys()})
        write_csv(results.out / KEY, spreadsheet_safe(key))
    page = compose(results)
    size = len(page.encode("utf-8"))
    if size > LARGEST:
        raise ValueError(
            f"the page has {size:,} bytes, must be at most {LARGEST:,} to go by e-mail: lower report.gallery_films "
            f"({study.report.gallery_films})"
        )
    return write_text(results.out / "report.html", page)


def compose(results: Results) -> str:
    """The page's HTML."""
    opening = summary(results)
    body = Markup("").join(part for part in (make(results) for make in BODY) if part is not None)
    ending = limitations(results)
    rest = further(results, str(body))
    notebook = joined_notebook(results.out / "notebooks", _names(results), _figure_hashes(results))
    style, script = compact(template_text("report.css") + template_text("explorer.css")), template_text("explorer.js")
    parts = {
        "title": results.facts.get("settings.title") or results.study.title,
        "summary": opening,
        "flags": flags(results),
        "body": body,
        "limitations": ending,
        "further": rest,
        "style": Markup(style),
        "script": Markup(script),
        "policy": policy(style, script),
        "has_notebooks": bool(notebook.cells),
        "contents": contents(Markup("").join([opening, body, ending, rest]), bool(notebook.cells)),
        "meta": _meta(results),
    }
    page, _ = PageExporter().from_notebook_node(notebook, resources={"page": parts})
    return visible(re.sub(r"[ \t]+\n", "\n", page))


def compact(style: str) -> str:
    """The stylesheet without the white space that only its authors need; strings of ours hold none of `{};:,`."""
    return re.sub(r": +", ":", re.sub(r"\s*([{};,])\s*", r"\1", style)).strip()


def policy(style: str, script: str) -> str:
    """A Content-Security-Policy that lets in nothing but this style, this script and pictures inside the file."""

    def quoted(text: str) -> str:
        return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode('utf-8')).digest()).decode()}'"

    return (
        f"default-src 'none'; img-src data:; style-src {quoted(style)}; script-src {quoted(script)}; "
        "base-uri 'none'; form-action 'none'"
    )


def contents(sections: Markup, notebooks: bool) -> Markup:
    """The contents list, from the headings that are there."""
    soup = BeautifulSoup(str(sections), "html.parser")
    items = [
        (node["id"], heading.get_text())
        for node in soup.find_all("section")
        if node.get("id") and (heading := node.find("h2"))
    ]
    if notebooks:
        items.append(("notebooks", "Executed notebooks"))
    return tag("ol", [tag("li", tag("a", title, href=f"#{identifier}")) for identifier, title in items])


def _meta(results: Results) -> Markup:
    facts = results.facts
    base = "cohorts.external"
    said = [
        facts.value(f"{base}.films", "count"),
        " external films of ",
        facts.value(f"{base}.patients", "count"),
        " patients, ",
        facts.value(f"{base}.malignant", "count"),
        " malignant",
        f" · {counted(len(results.arms), 'arm')} · {counted(len(results.seeds), 'training run')} each",
    ]
    if results.study.report.institution:
        said = [results.study.report.institution, " · ", *said]
    return tag("p", said, class_="meta")


def _names(results: Results) -> dict[str, str]:
    folder = results.out / "cohorts"
    names = sorted(path.name for path in folder.glob("*.csv")) if folder.is_dir() else []
    left_out = named_in(results.integrity, results.study.integrity.exclude)
    return film_names((results.csv(f"cohorts/{name}") for name in names), left_out)


def _figure_hashes(results: Results) -> set[str]:
    return {hashlib.sha256(path.read_bytes()).hexdigest() for path in (results.out / "figures").glob("*.png")}
