"""What every figure is made of: style, models' looks, legends, and saving with an SVG for the page."""

from __future__ import annotations

import re
import textwrap
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial, wraps
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO
from xml.etree import ElementTree

import matplotlib as mpl
import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.lines import Line2D

from diagnostic_accuracy import estimates
from osteotl.files import spreadsheet_safe, write_bytes, write_csv, write_json, write_text

Tables = Mapping[str, pd.DataFrame]
Labels = Mapping[str, str]

MM = 1 / 25.4
WIDTH, HEIGHT = 84 * MM, 76 * MM
MINUS = "\N{MINUS SIGN}"

# Colours are roles: the page gives each a value for light, dark and forced colours. Those of the models are Okabe and
# Ito's, darkened to a contrast of 4.5 on white; line and marker repeat what they say.
INK, SOFT, RULE, PAPER = "#1c2226", "#57626a", "#b9c1c6", "#ffffff"
ARMS = ("#0067a3", "#b84a00", "#00795a", "#a34a7c", "#6a3d9a", "#8a6100")
_ROLES = {
    INK: "currentColor",
    "#000000": "currentColor",
    SOFT: f"var(--soft, {SOFT})",
    RULE: f"var(--rule, {RULE})",
    PAPER: f"var(--paper, {PAPER})",
    **{colour: f"var(--arm-{i}, {colour})" for i, colour in enumerate(ARMS)},
}
_DASHES = ((1, 0), (5, 1.6), (1.2, 1.2), (5, 1.4, 1.2, 1.4), (8, 2), (3, 1))
_MARKERS = ("o", "s", "^", "D", "v", "P")
_STYLE: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 7.5,
    "figure.figsize": (WIDTH, HEIGHT),
    "figure.dpi": 100,
    "figure.facecolor": "none",
    "figure.constrained_layout.use": True,
    "figure.constrained_layout.w_pad": 0.06,
    "figure.constrained_layout.h_pad": 0.06,
    "axes.facecolor": "none",
    "axes.labelsize": 7.5,
    "axes.titlesize": 7.5,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "lines.linewidth": 1.3,
    "savefig.dpi": 300,
    "svg.hashsalt": "osteotl",
    "svg.fonttype": "none",  # text stays text: it can be selected, and takes the page's font
    "text.parse_math": False,  # a label may hold a dollar sign
}


@contextmanager
def _style() -> Iterator[None]:
    """The common style. A sign that the font lacks is a box in the PNG; the SVG has it as text."""
    with mpl.rc_context(_STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        yield


class NoData(Exception):
    """The study has nothing to draw here; the message says what is missing."""


@dataclass(frozen=True)
class Figure:
    """A figure, the numbers that it draws, and its finding in words.

    Attributes
    ----------
    picture : matplotlib Figure
    numbers : DataFrame
        Written beside the picture as CSV.
    title, caption : str
        What is shown.
    alt : str
        The finding in words, for a screen reader.
    good, bad : str
        What a good and a bad result look like.
    photograph : bool
        Shows films: saved as PNG only.
    """

    picture: Canvas
    numbers: pd.DataFrame
    title: str
    caption: str
    alt: str
    good: str = ""
    bad: str = ""
    photograph: bool = False

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> tuple[dict[str, Any], dict[str, Any]]:
        """The picture and its alternative text in a notebook."""
        with _style():
            shown = {"image/png": _png(self.picture, 110), "text/plain": self.alt}
        return shown, {"image/png": {"alt": self.alt}}

    @property
    def entry(self) -> dict[str, str]:
        """The words of index.json."""
        words = {"title": self.title, "caption": self.caption, "alt": self.alt, "good": self.good, "bad": self.bad}
        return {key: text for key, text in words.items() if text}


@dataclass(frozen=True)
class Omitted:
    """A figure that the study has no data for."""

    reason: str

    def _repr_markdown_(self) -> str:
        return f"Left out: {self.reason}."

    @property
    def entry(self) -> dict[str, str]:
        """The words of index.json."""
        return {"left_out": self.reason}


def styled(draw: Callable[..., Figure]) -> Callable[..., Figure | Omitted]:
    """Draw in the common style; `NoData` becomes `Omitted`."""

    @wraps(draw)
    def figure(*args: Any, **settings: Any) -> Figure | Omitted:
        with _style():
            try:
                drawn = draw(*args, **settings)
            except NoData as reason:
                return Omitted(str(reason))
            drawn.picture.draw_without_rendering()  # the layout once, not once a format
            drawn.picture.set_layout_engine("none")
            plt.close(drawn.picture)  # shown once, as the value of its cell
            return drawn

    return figure


# --- files ------------------------------------------------------------------------------------------------------------


def read_tables(folder: str | Path) -> dict[str, pd.DataFrame]:
    """The tables of 04_statistics by name without `.csv`; texts that are empty stay empty texts.

    Parameters
    ----------
    folder : path
        The folder `tables` of the outputs.
    """
    texts = dict.fromkeys(("arm", "run", "image_id", "patient_id", "reference", "recalibration", "curve"), str)
    found = {}
    for path in sorted(Path(folder).glob("*.csv")):
        table = pd.read_csv(path, dtype=texts)
        named = [name for name in texts if name in table]
        table[named] = table[named].fillna("")
        found[path.stem] = table
    return found


def save_figures(figures: Mapping[str, Figure | Omitted], folder: Path) -> dict[str, dict[str, str]]:
    """Write NAME.svg (themed), NAME.png (300 dpi), NAME.csv of every figure, and index.json.

    Parameters
    ----------
    figures : mapping of name to Figure or Omitted
    folder : path
        The same figures give the same bytes.

    Returns
    -------
    dict
        index.json: {name: {title, caption, alt, good, bad}} or {name: {left_out: reason}}.
    """
    folder = Path(folder)
    for name, figure in figures.items():
        if isinstance(figure, Omitted):
            continue
        with _style():
            content = _png(figure.picture, 150 if figure.photograph else 300)
            write_bytes(folder / f"{name}.png", partial(_put, content))
            if not figure.photograph:
                write_text(folder / f"{name}.svg", themed(_svg(figure.picture), name, figure.alt))
        write_csv(folder / f"{name}.csv", spreadsheet_safe(figure.numbers.drop(columns="image_id", errors="ignore")))
    index = {name: figure.entry for name, figure in figures.items()}
    write_json(folder / "index.json", index)
    return index


def _put(content: bytes, file: BinaryIO) -> None:
    file.write(content)


def _png(picture: Canvas, dpi: int) -> bytes:
    buffer = BytesIO()
    picture.savefig(buffer, format="png", dpi=dpi, facecolor="white", metadata={"Software": None})
    return buffer.getvalue()


def _svg(picture: Canvas) -> str:
    buffer = BytesIO()
    picture.savefig(buffer, format="svg", facecolor="none", metadata={"Date": None, "Creator": None})
    return buffer.getvalue().decode("utf-8")


# --- SVG for the page -------------------------------------------------------------------------------------------------

_NS = "{http://www.w3.org/2000/svg}"
_HREF = "{http://www.w3.org/1999/xlink}href"
_DROPPED = {"font-family", "stroke-miterlimit", "stroke-linejoin", "stroke-linecap"}
_USUAL = {("text-anchor", "start"), ("opacity", "1"), ("fill", "currentColor")}
_KEPT = {"d", "x", "y", "width", "height", "viewBox", "transform", "clip-path", "id", "points"}


def themed(svg: str, name: str, alt: str) -> str:
    """Matplotlib's SVG as the page inlines it.

    No style attributes (the page's policy forbids them), no references but to clip paths, whose identifiers begin with
    the figure's name; colours are roles that the page's stylesheet sets; numbers have two decimals.

    Parameters
    ----------
    svg : str
    name : str
        Of the figure.
    alt : str
        Becomes the drawing's label.
    """
    ElementTree.register_namespace("", _NS[1:-1])
    root = ElementTree.fromstring(svg)
    symbols = {node.get("id"): node for node in root.iter() if node.get("id")}
    width, height = (float(root.get(side, "1pt").removesuffix("pt")) for side in ("width", "height"))
    _rewrite(root, symbols, name)
    attributes = {"class": "plot", "role": "img", "aria-label": alt, "viewBox": f"0 0 {width:.0f} {height:.0f}",
                  "width": f"{width / 0.75:.0f}", "height": f"{height / 0.75:.0f}", "fill": "currentColor",
                  "font-family": "sans-serif", "stroke-linejoin": "round"}  # fmt: skip
    root.attrib.clear()
    root.attrib.update(attributes)
    ElementTree.indent(root, "")
    return ElementTree.tostring(root, encoding="unicode") + "\n"


def _rewrite(node: ElementTree.Element, symbols: Mapping[str | None, ElementTree.Element], name: str) -> None:
    for child in list(node):
        kind = child.tag.removeprefix(_NS) if isinstance(child.tag, str) else ""
        if kind in ("metadata", "style") or not kind:
            node.remove(child)
        elif kind == "defs":  # marker shapes are written where they are used
            clips = [part for part in child if part.tag == f"{_NS}clipPath"]
            for part in [part for part in child if part not in clips]:
                child.remove(part)
            if not clips:
                node.remove(child)
            else:
                _rewrite(child, symbols, name)
        elif kind == "use":
            _place(child, symbols[str(child.get(_HREF)).lstrip("#")])
            _attributes(child, name)
        else:
            _rewrite(child, symbols, name)
            _attributes(child, name)
            if (kind == "g" and not len(child)) or (
                kind == "path" and child.get("fill") == "none" and not child.get("stroke")
            ):
                node.remove(child)


def _place(use: ElementTree.Element, symbol: ElementTree.Element) -> None:
    """Replace a reference by the shape itself."""
    own = f"{symbol.get('style', '')}; {use.get('style', '')}"
    place = f"translate({use.get('x', '0')} {use.get('y', '0')})"
    use.tag = f"{_NS}path"
    use.attrib.clear()
    use.attrib.update({"d": str(symbol.get("d")), "transform": place, "style": own})


def _attributes(node: ElementTree.Element, name: str) -> None:
    """Presentation attributes in place of a style, rounded numbers, colours by their roles."""
    style = {key.strip(): value.strip() for key, _, value in
             (part.partition(":") for part in str(node.get("style", "")).split(";")) if value}  # fmt: skip
    kept = {key: value for key, value in node.attrib.items() if key in _KEPT}
    for key in ("fill", "stroke"):
        if key in style:
            style[key] = _ROLES.get(style[key].lower(), style[key])
    kept |= {key: value for key, value in style.items() if key not in _DROPPED and (key, value) not in _USUAL}
    if re.match(r"rotate\(-?0 ", kept.get("transform", "")):
        del kept["transform"]
    if node.tag == f"{_NS}clipPath":
        kept["id"] = f"{name}-{kept['id']}"
    else:
        kept.pop("id", None)
    if "clip-path" in kept:
        kept["clip-path"] = kept["clip-path"].replace("#", f"#{name}-")
    for key in ("d", "x", "y", "width", "height", "transform", "stroke-width", "stroke-dasharray"):
        if key in kept:
            kept[key] = re.sub(r"-?\d+\.\d+", lambda m: f"{float(m[0]):.2f}".rstrip("0").rstrip("."), kept[key])
            kept[key] = " ".join(kept[key].split())
    node.attrib.clear()
    node.attrib.update(kept)
    if node.text and not node.text.strip():
        node.text = None
    node.tail = None


# --- words and numbers ------------------------------------------------------------------------------------------------


def fixed(value: float, digits: int = 3, signed: bool = False) -> str:
    """A number with a true minus sign; what rounds to zero has no sign."""
    text = f"{abs(value):,.{digits}f}"
    if not float(text.replace(",", "")):
        return text
    return f"{MINUS}{text}" if value < 0 else f"+{text}" if signed else text


def interval(row: Mapping[str, Any] | None, digits: int = 3, scale: float = 1) -> str:
    """`0.954 (0.937 to 0.970)`, a difference with its sign, or 'not estimable'."""
    if row is None or pd.isna(row["estimate"]):
        return "not estimable"
    signed = bool(row.get("reference") or row.get("reference_group"))
    text = fixed(scale * row["estimate"], digits, signed)
    if pd.isna(row["lower"]) or pd.isna(row["upper"]):
        return f"{text} (no interval)"
    lower, upper = (fixed(scale * row[end], digits, signed) for end in ("lower", "upper"))
    return f"{text} ({lower} to {upper})"


def one_in(prevalence: float) -> str:
    """A prevalence as a clinician says it: `1 in 1,000`, `36 in 100`."""
    times = 1 / prevalence
    if prevalence <= 0.5 and abs(times - round(times)) < 1e-6 * times:
        return f"1 in {round(times):,}"
    for of in (10, 100, 1000, 10_000, 100_000):
        if abs(prevalence * of - round(prevalence * of)) < 1e-6 and round(prevalence * of) >= 1:
            return f"{round(prevalence * of)} in {of:,}"
    return f"{prevalence:.3g}"


POINTS = {"high_sensitivity": "high sensitivity", "high_specificity": "high specificity", "youden": "Youden index",
          "given": "given threshold"}  # fmt: skip
HIT_RULES = {
    "iou50": "its intersection over union with a reference box is 0.50 or more",
    "iou30": "its intersection over union with a reference box is 0.30 or more",
    "iou10": "its intersection over union with a reference box is 0.10 or more",
    "centre": "its centre lies inside a reference box",
}
SOURCES = {"validation": "thresholds from the validation films", "external": "thresholds found on these films",
           "given": "thresholds given in advance"}  # fmt: skip


def point_words(point: str, threshold_from: str) -> str:
    """An operating point in words: `high sensitivity, thresholds from the validation films`."""
    return f"{POINTS.get(point, point.replace('_', ' '))}, {SOURCES[threshold_from]}"


def said(labels: Labels, values: Mapping[str, str]) -> str:
    """`trained from scratch 0.95; pretrained 0.96`."""
    return "; ".join(f"{labels[arm]} {text}" for arm, text in values.items())


def wrapped(text: str, width: int = 30) -> str:
    """Text broken between words, so that neighbours never overlap."""
    return "\n".join(textwrap.wrap(" ".join(str(text).split()), width)) or str(text)


# --- data -------------------------------------------------------------------------------------------------------------


def need(tables: Tables, name: str, labels: Labels) -> pd.DataFrame:
    """A table of the study, the rows of the shown models.

    Raises
    ------
    NoData
        There is no such table, or it is empty.
    """
    table = tables.get(name)
    if table is None or table.empty:
        raise NoData(f"the study has no table {name}.csv")
    return table[table["arm"].isin(list(labels))] if "arm" in table else table


def means(results: pd.DataFrame, **identity: Any) -> pd.DataFrame:
    """Rows of the mean over runs at the main label fraction (the largest)."""
    found = estimates.select(results, **({"run": None} | identity))
    if "fraction" in identity or found["fraction"].isna().all():
        return found
    return found[found["fraction"].isna() | (found["fraction"] == found["fraction"].max())]


def by_arm(rows: pd.DataFrame, labels: Labels) -> dict[str, pd.Series | None]:
    """The one row of each model, None where there is none."""
    return {arm: None if (own := rows[rows["arm"] == arm]).empty else own.iloc[0] for arm in labels}


def runs_of(table: pd.DataFrame) -> list[str]:
    """Names of the single runs of a table."""
    return sorted({str(run) for run in table["run"] if run != ""}, key=lambda run: (len(run), run))


def run_word(results: pd.DataFrame) -> str:
    """What a run is called: 'reader' where people read the films, else 'run'."""
    return "reader" if results["basis"].astype(str).str.startswith("readers").any() else "run"


def over_runs(table: pd.DataFrame, results: pd.DataFrame) -> str:
    """What the strong line is: `mean over 3 runs`, or `the only run`."""
    most, word = int(table[table["run"] != ""].groupby("arm")["run"].nunique().max()), run_word(results)
    return f"mean over {most} {word}s" if most > 1 else f"the only {word}"


def lines_in_words(table: pd.DataFrame, results: pd.DataFrame, how: str = "") -> str:
    """What strong and faint lines are, for a caption."""
    return f"Strong line: {over_runs(table, results)}{how}; faint lines: single {run_word(results)}s."


# --- looks, axes and legends ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Look:
    """How one model is drawn everywhere."""

    colour: str
    dashes: tuple[float, ...]
    marker: str

    @property
    def line(self) -> dict[str, Any]:
        """Arguments of `Axes.plot`."""
        return {"color": self.colour, "dashes": self.dashes if len(self.dashes) > 2 or self.dashes[1] else (None, None)}


def looks(labels: Labels) -> dict[str, Look]:
    """The look of each model; the reference stands first, so that it is blue and solid in every study."""
    n = len(ARMS)
    return {arm: Look(ARMS[i % n], _DASHES[i % n], _MARKERS[i % n]) for i, arm in enumerate(labels)}


def draw_runs(axes: Axes, table: pd.DataFrame, look: Look, **kind: Any) -> None:
    """Single runs as faint lines, the mean over runs (or the only run) as a strong line."""
    for run, rows in table.groupby("run", sort=False):
        strong = run == "" or len(set(table["run"])) == 1
        width, alpha, order = (1.4, 1.0, 2.5) if strong else (0.5, 0.45, 2)
        axes.plot(rows["x"], rows["y"], lw=width, alpha=alpha, zorder=order, **look.line, **kind)


def square(axes: Axes, x: str, y: str) -> None:
    """Axes of two shares, drawn to one scale."""
    ticks = [0, 0.25, 0.5, 0.75, 1]
    axes.set(xlim=(-0.015, 1.015), ylim=(-0.015, 1.015), xticks=ticks, yticks=ticks, xlabel=x, ylabel=y)
    axes.set(xticklabels=["0", "0.25", "0.5", "0.75", "1"], yticklabels=["0", "0.25", "0.5", "0.75", "1"])
    axes.set_aspect("equal")


def sample(look: Look, name: str, number: str = "", face: str | None = "own") -> Line2D:
    """One legend entry in a model's line and marker; `face` fills the marker, None leaves it out."""
    text = "\n".join(part for part in (wrapped(name, 44), number) if part)
    fill = look.colour if face == "own" else face
    kind: dict[str, Any] = {"marker": look.marker, "mfc": fill, "ms": 4, "mew": 1} if face else {}
    return Line2D([], [], label=text, **look.line, **kind)


def key_of_lines(table: pd.DataFrame, results: pd.DataFrame) -> list[Line2D]:
    """Legend entries that say what strong and faint lines are."""
    if len(runs_of(table)) < 2:
        return []
    strong = Line2D([], [], color=INK, lw=1.4, label=f"strong: {over_runs(table, results)}")
    return [strong, Line2D([], [], color=INK, lw=0.5, alpha=0.6, label=f"faint: single {run_word(results)}s")]


def legend_below(picture: Canvas, entries: Sequence[Line2D]) -> None:
    """A legend under the axes, which keep their height; side by side only where the names are short."""
    longest = max(len(line) for entry in entries for line in str(entry.get_label()).split("\n"))
    columns = min(len(entries), max(1, 52 // (longest + 7)))
    lines = [str(entry.get_label()).count("\n") + 1 for entry in entries]
    depth = sum(lines) if columns == 1 else max(lines) * -(-len(entries) // columns)
    picture.set_figheight(picture.get_figheight() + 0.1 + 0.155 * depth)
    names = [str(entry.get_label()) for entry in entries]
    picture.legend(list(entries), names, loc="outside lower center", ncols=columns, handlelength=2.6, columnspacing=1.2)
