"""The page of a notebook that stands alone."""

import base64

import nbformat
import pytest

from osteotl.report.render import render_alone

PIXEL = base64.b64encode(b"\x89PNG\r\n\x1a\n").decode()


def executed(*cells):
    """A notebook of (kind, source, outputs)."""
    made = {"markdown": nbformat.v4.new_markdown_cell, "code": nbformat.v4.new_code_cell}
    notebook = nbformat.v4.new_notebook()
    for kind, source, *outputs in cells:
        cell = made[kind](source)
        if kind == "code":
            cell.outputs = [nbformat.v4.new_output("display_data", data=data) for data in outputs]
        notebook.cells.append(cell)
    return notebook


def test_headings_are_sections_and_outputs_their_content():
    page = render_alone(
        executed(
            ("markdown", "# Planning\n\nHow many films?"),
            ("markdown", "## Power\n\nBy simulation."),
            ("code", "show(1)", {"text/html": "<table><tr><td>218</td></tr></table><script>alert(1)</script>"}),
            ("code", "plot()", {"image/png": PIXEL, "text/plain": "<Figure>"}),
            ("markdown", "Read it so."),
            ("markdown", "## Power\n\nAgain."),
            ("code", "print(1)", {"text/plain": "a < b"}),
        ),
        "planning",
    )
    assert "<h1>Planning</h1>" in page
    assert page.index("By simulation.") < page.index("218") < page.index("Read it so.")
    assert "alert(1)" not in page
    assert 'alt="Figure: Power' in page
    assert "a &lt; b" in page
    assert page.count("<h2") == 3  # both sections, and the notebook with its code
    assert "show(1)" in page
    assert "Content-Security-Policy" in page


def test_a_notebook_without_prose_is_refused():
    with pytest.raises(ValueError, match="has no Markdown cell"):
        render_alone(executed(("code", "1")), "planning")
