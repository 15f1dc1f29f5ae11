"""Rendering: sections and omissions, policy, what is refused; on notebooks made by hand."""

import base64
import hashlib
import re

import nbformat
import pytest
from matplotlib.figure import Figure
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from osteotl.report import Section, omit
from osteotl.report.appendix import chosen
from osteotl.report.pictures import own_figure
from osteotl.report.render import render
from osteotl.report.section import MIME


def returned(value, tags=("section",)):
    """A cell whose output is what a notebook stores for this value."""
    bundle = value._repr_mimebundle_()
    output = new_output("execute_result", data=bundle, execution_count=1)
    return new_code_cell("section", metadata={"tags": list(tags)}, outputs=[output])


def notebook(*cells):
    top = returned(Section("top", "743 films", about={"heading": "A study", "title": "A study (2026-11-30)"}))
    return new_notebook(cells=[new_markdown_cell("## Title"), top, *cells])


ROC = (
    new_markdown_cell("## ROC curves\n\nThe **primary** outcome, $\\frac{1}{2}$."),
    returned(Section("roc", "AUC 0.9")),
)


def test_a_section_is_a_markdown_cell_and_what_its_cell_returned():
    html = render(notebook(*ROC))
    assert '<h2 id="roc-title">ROC curves</h2>' in html
    assert "<strong>primary</strong>" in html
    assert "<mfrac>" in html
    assert "<p>AUC 0.9</p>" in html
    assert '<a href="#roc">ROC curves</a>' in html
    assert "<title>A study (2026-11-30)</title>" in html
    assert "<h1>A study</h1>" in html


def test_an_omitted_section_goes_with_its_heading_and_is_listed_with_its_reason():
    html = render(notebook(*ROC, new_markdown_cell("## Localisation\n\nLead text."), returned(omit("no lesion boxes"))))
    assert "Lead text." not in html
    assert 'href="#localisation"' not in html
    listed = html[html.index('id="omissions"') :]
    assert "<strong>Localisation</strong>: no lesion boxes." in listed


def test_a_reason_is_needed_to_omit():
    with pytest.raises(ValueError, match="reason"):
        omit(" ")


def test_cells_without_the_tag_are_no_part_of_the_page():
    html = render(notebook(*ROC, new_markdown_cell("## Checks\n\nNot shown."), new_code_cell("assert True")))
    assert "Not shown." not in html


def test_a_tagged_cell_that_returns_nothing_is_refused_with_its_source():
    lost = new_code_cell("grid(rows)", metadata={"tags": ["section"]}, outputs=[])
    with pytest.raises(ValueError, match=r"cell 3 of 06_report \('grid\(rows\)'\).*Section\(...\) or omit\(reason\)"):
        render(notebook(lost))


def test_two_sections_with_one_name_are_refused():
    with pytest.raises(ValueError, match="two sections are named 'roc'"):
        render(notebook(*ROC, *ROC))


def test_a_page_needs_its_header():
    with pytest.raises(ValueError, match="no Section"):
        render(new_notebook(cells=list(ROC)))


def test_a_name_that_cannot_be_linked_to_is_refused():
    with pytest.raises(ValueError, match="cannot name a section"):
        Section("ROC curves")


def test_the_policy_allows_exactly_the_style_and_the_script_of_the_page():
    html = render(notebook(*ROC))
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', html)[1]
    assert policy.startswith("default-src 'none'; img-src data:; ")
    assert "unsafe" not in policy
    for kind in ("style", "script"):
        content = re.findall(rf"<{kind}>(.*?)</{kind}>", html, flags=re.S)
        assert len(content) == 1
        digest = base64.b64encode(hashlib.sha256(content[0].encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
    assert " style=" not in html


def test_planted_markup_in_title_section_and_notebook_is_text_or_gone():
    bad = '"><script>window.hacked=1</script>'
    top = returned(Section("top", bad, about={"heading": bad, "title": bad}))
    other = new_notebook(
        cells=[new_code_cell("x", outputs=[new_output("display_data", data={"text/html": f"<p onclick='x'>{bad}"})])]
    )
    cells = [top, new_markdown_cell(f"## A {bad}"), returned(Section("a", bad))]
    html = render(new_notebook(cells=cells), [(bad, other)])
    assert html.count("<script>") == 1
    assert "hacked" not in re.search(r"<script>(.*?)</script>", html, flags=re.S)[1]
    assert "onclick" not in html


def test_a_link_to_what_the_page_does_not_have_becomes_text():
    html = render(
        notebook(new_markdown_cell("## A"), returned(Section("a", Section("b", "x"), _link("film-1"), _link("a"))))
    )
    assert ">film-1</a>" not in html
    assert "film-1" in html
    assert '<a href="#a">a</a>' in html


def _link(name):
    from osteotl.html import tag

    return tag("a", name, href=f"#{name}")


def test_appended_notebooks_keep_their_code_and_repeat_no_identifier():
    other = new_notebook(cells=[
        new_markdown_cell("# 04 Statistics"),
        new_code_cell("show(auc)", outputs=[new_output("execute_result", data={"text/html": '<p id="roc">AUC</p>'})]),
    ])  # fmt: skip
    html = render(notebook(*ROC), [("04_statistics", other)])
    assert "show(auc)" in html
    ids = re.findall(r'\sid="([^"]+)"', html)
    assert len(ids) == len(set(ids))


def test_a_huge_table_of_an_appended_notebook_does_not_make_the_page_too_large_to_send():
    def page(cells):
        table = f"<table>{'<tr><td>0.951</td></tr>' * cells}</table>"
        lines = "AUC\n" + "0.951\n" * cells
        data = {"text/html": table, "text/plain": lines}
        shown = new_notebook(cells=[new_code_cell("show(x)", outputs=[new_output("display_data", data=data)])])
        return render(notebook(*ROC), [("04", shown)])

    assert page(100).count("<td>0.951</td>") == 100
    long = page(100_000)  # 24 characters of HTML and 6 of text a row
    assert "<td>0.951</td>" not in long
    assert "[… 592,004 more characters in outputs/notebooks]" in long


def test_appended_notebooks_are_named_by_what_they_did(tmp_path):
    for stem, heading in (("02_finetune_scratch_1_0", "02 Fine-tuning"), ("03_evaluate", "03 Evaluation")):
        nbformat.write(new_notebook(cells=[new_markdown_cell(f"# {heading}")]), tmp_path / f"{stem}.ipynb")
    titles = [title for title, _ in chosen(tmp_path, {"scratch": "trained from scratch"})]
    assert titles == ["02 Fine-tuning: trained from scratch, run 0", "03 Evaluation"]


def test_the_same_notebooks_give_the_same_bytes():
    one = render(notebook(*ROC), [("x", new_notebook(cells=[new_markdown_cell("text")]))])
    assert one == render(notebook(*ROC), [("x", new_notebook(cells=[new_markdown_cell("text")]))])


def test_a_figure_of_ones_own_is_a_drawing_without_styles():
    figure = Figure()
    figure.subplots().plot([0, 1], [0, 1])
    html = render(
        notebook(new_markdown_cell("## Mine"), returned(Section("mine", own_figure(figure, "mine", "A rising line"))))
    )
    drawn = html[html.index('id="figure-mine"') :]
    assert 'aria-label="A rising line"' in drawn
    assert "<path" in drawn
    assert " style=" not in drawn


def test_a_section_is_stored_and_read_back_by_jupyter(tmp_path):
    path = tmp_path / "06.ipynb"
    nbformat.write(notebook(*ROC), path)
    read = nbformat.read(path, as_version=4)
    assert read.cells[-1].outputs[0].data[MIME]["id"] == "roc"
    assert render(read) == render(notebook(*ROC))
