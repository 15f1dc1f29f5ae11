"""Links lead somewhere, and the papers that go with a release agree with it."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import nbformat
import pytest
import yaml

import osteotl
from osteotl.report.summary import Comparison, answer
from shipped import STUDIES

ROOT = Path(__file__).parents[2]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md")), ROOT / "examples" / "README.md"]


def text_of(page: Path) -> str:
    """A page without its code."""
    return re.sub(r"^```.*?^```|`[^`\n]*`", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)


def anchors(page: Path) -> set[str]:
    """Headings as a forge turns them into anchors, and anchors that the page sets itself."""
    text = page.read_text(encoding="utf-8")
    titles = re.findall(r"^#+ (.+)$", text, flags=re.M)
    named = re.findall(r'<a id="([^"]+)"></a>', text)
    return {*named, *(re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles)}


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_lead_somewhere(page):
    text = text_of(page)
    links = [*re.findall(r"\]\(([^)\s]+)\)", text), *re.findall(r'(?:src|srcset)="([^"]+)"', text)]
    dead = []
    for link in links:
        if re.match(r"\w+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            dead.append(link)
    assert not dead


def test_every_page_of_docs_can_be_reached_from_the_readme():
    seen, todo = set(), [ROOT / "README.md"]
    while todo:
        page = todo.pop()
        if page in seen or not page.exists():
            continue
        seen.add(page)
        names = re.findall(r"\]\(([^)#\s]+\.md)", text_of(page))
        todo += [(page.parent / name).resolve() for name in names if "://" not in name]
    assert set((ROOT / "docs").glob("*.md")) <= seen


def test_release_papers_agree():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == osteotl.__version__
    assert citation["references"][0]["journal"] == "Cancers"
    assert re.search(rf"^## {re.escape(osteotl.__version__)}$", (ROOT / "CHANGELOG.md").read_text(), flags=re.M)


CLAIM = re.compile(
    r"\b\d[\d.,]*\s*(?:x|×|times)\s+(?:as (?:fast|long)|faster|quicker|slower)"
    r"|\b\d[\d.,]*\s*(?:s|ms|seconds?|minutes?|min|hours?)\b"
    r"|\b\d[\d.,]*\s*(?:values|quantities)\b"
)
TO_A_ROW = re.compile(r"\[[^\]]*\]\((?:\.\./)?(?:benchmarks/RESULTS|PARITY)\.md#[^)\s]+\)")


def test_no_speed_or_agreement_is_claimed_but_by_a_link_to_its_row():
    """'3 times faster', '20 s', '900 values agree'; that the row is there is test_links_lead_somewhere's."""
    pages = [ROOT / "README.md", *(p for p in (ROOT / "docs").glob("*.md") if p.name != "api.md")]
    claims = [(page.name, found[0]) for page in pages if (found := CLAIM.search(TO_A_ROW.sub("", text_of(page))))]
    assert not claims
    for claim in ("ready in 20 s", "3 × as fast", "50,656 values agree", "[12 ms](benchmarks/RESULTS.md)"):
        assert CLAIM.search(TO_A_ROW.sub("", claim)), claim
    assert len(TO_A_ROW.findall((ROOT / "README.md").read_text(encoding="utf-8"))) >= 5


def verdicts() -> set[str]:
    """Every heading that the answer can have: intervals on all sides of zero and of a margin of 0.03."""
    limits = [value / 100 for value in range(-6, 7)]
    found = set()
    for lower, upper in [(low, high) for low in limits for high in limits if low < high]:
        for estimate in (0.9 * lower + 0.1 * upper, 0.1 * lower + 0.9 * upper):
            row = {"estimate": estimate, "lower": lower, "upper": upper, "p": 0.5, "note": "", "measure": "auc",
                   "reference": "b", "unit": "film", "at": None, "basis": "", "n": 100}  # fmt: skip
            for word in ("", "non-inferior"):
                found.add(answer(Comparison("a", "b", None, None, row, 0.03, word=word)).heading)
    return found | {answer(Comparison("a", "b", None, None, None, 0.03)).heading}


def test_the_clinicians_page_explains_every_verdict():
    page = " ".join((ROOT / "docs" / "clinician.md").read_text(encoding="utf-8").split())
    found = verdicts()
    assert len(found) > 10
    assert not [words for words in found if words not in page]
    listed = set(re.findall(r"\| ([A-Z][^|]+) \| [^|]+ \|(?= \| [A-Z]| The)", page.partition("| section |")[0]))
    assert listed <= found


def test_the_clinicians_page_lists_the_sections_of_the_report():
    """In their order; title, answer and methods are told apart from the table."""
    page = (ROOT / "docs" / "clinician.md").read_text(encoding="utf-8")
    cells = nbformat.read(ROOT / "notebooks" / "06_report.ipynb", as_version=4).cells
    headings = [
        before.source.partition("\n")[0].removeprefix("## ")
        for before, cell in itertools.pairwise(cells)
        if "section" in cell.metadata.get("tags", [])
    ]
    parts = re.findall(r"^\| ([A-Z][^|]+) \| [^|]+ \| [^|]*\|$", page, flags=re.M)
    assert parts == [name for name in headings if name not in ("Title", "The answer", "Methods and checklists")]


def test_every_study_that_ships_is_told():
    page = (ROOT / "docs" / "design.md").read_text(encoding="utf-8")
    shipped = {path.name for path in STUDIES if path.parent.name == "studies"}
    assert not [name for name in shipped if f"| `studies/{name}` |" not in page]


def test_the_glossary_is_in_order():
    words = re.findall(r"^\| ([^|]+) \|", (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8"), flags=re.M)[2:]
    assert words == sorted(words, key=str.casefold)


def test_issue_templates_have_a_name_and_ask_for_no_film():
    for page in sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.md")):
        head = yaml.safe_load(page.read_text(encoding="utf-8").split("---")[1])
        assert set(head) >= {"name", "about"}
    assert "No film" in (ROOT / ".github" / "ISSUE_TEMPLATE" / "bug.md").read_text(encoding="utf-8")
