"""The allow-list: what passes, what does not, and what is private."""

import pandas as pd
import pytest

from osteotl.report.safety import clean, film_names, private, without_paths

PICTURE = "data:image/png;base64,AAAA/BBBB+CC="


@pytest.mark.parametrize(
    "kept",
    [
        '<p data-row="3" id="x" class="n">AUC</p>',
        '<svg aria-label="ROC" viewBox="0 0 9 9"><path d="M 0 0" stroke="var(--arm-0, #000)"></path></svg>',
        '<button aria-pressed="true" type="button">on</button>',
        '<input aria-label="target" max="10" min="0" type="range">',
        f'<img alt="a film" src="{PICTURE}">',
        '<a href="#films">films</a>',
        '<a href="https://doi.org/10.1148/ryai.240300">CLAIM</a>',
        "<details open><summary>more</summary>text</details>",
        '<g clip-path="url(#roc-clip)"></g>',
    ],
)
def test_what_sections_need_passes(kept):
    assert clean(kept) == kept


@pytest.mark.parametrize(
    ("given", "left"),
    [
        ("<p onclick='run()'>x</p>", "<p>x</p>"),
        ("<script>run()</script>x", "x"),
        ("<style>p{}</style>x", "x"),
        ('<p style="color:red">x</p>', "<p>x</p>"),
        ('<img src="https://example.org/x.png" alt="x">', '<img alt="x">'),
        ('<img src="data:image/svg+xml;base64,AAAA">', "<img>"),
        ('<a href="javascript:run()">x</a>', "<a>x</a>"),
        ('<a href="https://example.org">x</a>', "<a>x</a>"),
        ('<svg><use href="https://example.org#x"></use></svg>', "<svg><use></use></svg>"),
        ('<svg><rect fill="url(https://example.org#x)"></rect></svg>', "<svg><rect></rect></svg>"),
        ("<svg><foreignObject><p>x</p></foreignObject></svg>", "<svg></svg>"),
        ("<iframe src='x'></iframe>x", "x"),
        ("<form action='https://example.org'>x</form>", "<form>x</form>"),
        ("<!-- secret -->x", "x"),
        ("<custom-element>x</custom-element>", "x"),
    ],
)
def test_what_runs_loads_or_styles_goes(given, left):
    assert clean(given) == left


def test_paths_and_names_of_films_go_from_text_and_attributes_but_pictures_stay():
    names = pd.DataFrame({"path": ["site/secret name 7.png", "a/film123.png"], "image_id": ["h1", "h2"]})
    known, image = film_names([names]), f'<img alt="film123.png" src="{PICTURE}">'
    html = f'<p title="/Users/someone/x.png">secret name 7.png, film123 in /Users/someone/x.png</p>{image}'
    assert clean(html, known) == f'<p title="…/x.png">h1, h2 in …/x.png</p><img alt="h2" src="{PICTURE}">'
    assert private("a/film123.png", known) == "h2"


@pytest.mark.parametrize("text", ["and/or", "1/2", "a </g> b", "https://doi.org/10.1/x", "sensitivity / specificity"])
def test_what_is_no_path_stays(text):
    assert without_paths(text) == text
