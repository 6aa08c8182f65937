"""How every plot looks: colours that colour-blind people tell apart, units, SVG and PNG.

Within the page text and lines take the page's own colour, so that one drawing serves a light
screen, a dark one and paper.  No display is needed: figures are drawn without pyplot.
"""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, Locator, MaxNLocator, MultipleLocator

from res_federation.simulator.span import plain

# Okabe and Ito's colours, without yellow (too pale on white) and black (invisible on dark).
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#8C8C8C")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
SEQUENCE = "cividis"
"""The colour map of heat maps: even in lightness, and the same to most colour-blind people."""
WIDTH = 9.0
"""Inches."""
# Stand-ins that the SVG's text and lines are found by; no plot uses them for anything else.
_TEXT, _FAINT = "#010203", "#040506"
_PNG_TEXT, _PNG_FAINT = "#222222", "#B8B8B8"
_PNG_DPI = 144


@dataclass(frozen=True, slots=True)
class Plot:
    """A drawing for the page.

    Attributes:
        name: A word; the name of its PNG file.
        title: With the unit.
        words: What it shows, for those who do not see it.
        draw: Makes the figure.
        note: What a reader must know to read it rightly, or "".

    """

    name: str
    title: str
    words: str
    draw: Callable[[], Figure]
    note: str = ""


@contextmanager
def _colours(text: str, faint: str, background: str) -> Iterator[None]:
    settings: dict[Any, Any] = {
        "svg.fonttype": "none",  # text stays text: it can be searched, read aloud and selected
        "svg.hashsalt": "resfed",
        "font.family": "DejaVu Sans",
        "font.size": 9,
        "axes.titlesize": 10,
        "axes.titlelocation": "left",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "axes.axisbelow": True,
        "grid.color": faint,
        "grid.linewidth": 0.6,
        "axes.edgecolor": faint,
        "text.color": text,
        "axes.labelcolor": text,
        "axes.titlecolor": text,
        "xtick.color": text,
        "ytick.color": text,
        "xtick.labelcolor": text,
        "ytick.labelcolor": text,
        "legend.frameon": False,
        "figure.facecolor": background,
        "axes.facecolor": background,
        "savefig.facecolor": background,
        "text.parse_math": False,  # names from traces are text, never formulas
        "axes.formatter.use_mathtext": False,
    }
    with mpl.rc_context(settings):
        yield


def ink(*, faint: bool = False) -> str:
    """Return the colour of text, or of lines that stand back, of the drawing being made."""
    return str(mpl.rcParams["grid.color" if faint else "text.color"])


def figure(height: float, width: float = WIDTH) -> Figure:
    """Return an empty figure; *height* and *width* in inches."""
    return Figure(figsize=(width, height), layout="constrained")


def svg(plot: Plot) -> str:
    """Return the drawing as an ``<svg>`` for an HTML page, its ids its own."""
    buffer = io.StringIO()
    with _colours(_TEXT, _FAINT, "none"):
        drawn = plot.draw()
        FigureCanvasSVG(drawn)
        drawn.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = text.replace(_TEXT, "currentColor").replace(_FAINT, f"var(--faint, {_PNG_FAINT})")
    text = re.sub(r'\bid="', f'id="{plot.name}-', text)
    text = text.replace("url(#", f"url(#{plot.name}-").replace('href="#', f'href="#{plot.name}-')
    text = text.replace("'DejaVu Sans'", "'DejaVu Sans', Verdana, sans-serif")
    head, tail = text.split(">", 1)
    head = re.sub(r'\s(?:width|height)="[^"]*"', "", head)
    label = escape(plain(f"{plot.title}. {plot.words}"), quote=True)
    return f'{head} role="img" aria-label="{label}">{tail}'


def png(plot: Plot) -> bytes:
    """Return the drawing as a PNG on white."""
    buffer = io.BytesIO()
    with _colours(_PNG_TEXT, _PNG_FAINT, "white"):
        drawn = plot.draw()
        FigureCanvasAgg(drawn)
        drawn.savefig(buffer, format="png", dpi=_PNG_DPI, metadata={"Software": None})
    return buffer.getvalue()


def image(data: bytes) -> str:
    """Return a PNG as an address that holds it."""
    return f"data:image/png;base64,{base64.b64encode(data).decode()}"


def time_unit(seconds: float) -> tuple[str, float]:
    """Return the unit that suits a time axis of that length, and its seconds."""
    for unit, size in (("days", 86400.0), ("hours", 3600.0), ("minutes", 60.0)):
        if seconds >= 3 * size:
            return unit, size
    return "seconds", 1.0


def time_axis(axes: Axes, first: float, last: float) -> None:
    """Label the x axis, whose values are seconds, from the first submit on in a readable unit."""
    unit, size = time_unit(last - first)
    length = max((last - first) / size, 1e-9)
    raw = length / 8
    steps = {"days": (1, 2, 4, 7, 14, 28, 91, 182, 364), "hours": (1, 2, 3, 6, 12, 24)}
    step = next((each for each in steps.get(unit, ()) if each >= raw), None)
    locator = MultipleLocator(step * size) if step else MaxNLocator(8)
    if step:
        locator.set_params(offset=first)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{(x - first) / size:,.4g}"))
    axes.set_xlim(first, last)
    axes.set_xlabel(f"Time since the first submit ({unit})")


def steps_of(size: float) -> Locator:
    """Return a locator of round numbers of a unit that is *size* of the axis's own units."""
    return _Steps(size)


class _Steps(MaxNLocator):
    """Round numbers of another unit than the axis's."""

    def __init__(self, size: float) -> None:
        super().__init__(5, steps=[1, 2, 2.5, 5, 10])
        self._size = size

    def tick_values(self, vmin: float, vmax: float) -> Any:
        return np.asarray(super().tick_values(vmin / self._size, vmax / self._size)) * self._size


def thousands(axis: object) -> None:
    """Write the numbers of an axis with a comma between thousands."""
    axis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.10g}"))  # type: ignore[attr-defined]


def short(name: str, most: int = 28) -> str:
    """Cut a long name in the middle, and take out what does not print."""
    clean = plain(name)
    if len(clean) <= most:
        return clean
    half = (most - 1) // 2
    return f"{clean[:half]}\N{HORIZONTAL ELLIPSIS}{clean[-half:]}"
