"""From a matplotlib figure to SVG that lives inside a page: themed by the page's CSS, deterministic, inert.

Matplotlib writes colours as hexadecimal numbers. The figures are drawn in `Ink`'s stand-in colours, and
each stand-in is replaced by a CSS variable of the page, so that one drawing serves light, dark and print.
Text stays text: it is searchable, takes the page's font, and is escaped by matplotlib. It is never read as
mathtext.
"""

from __future__ import annotations

import html
import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.typing import RcKeyType

WIDTH_IN = 10.0  # drawings share one width, so that one point is the same size in all of them
TEXT_PT = 9.5


class Ink(StrEnum):
    """Stand-in colours. Each becomes the CSS variable of the same name."""

    ink = "#0a0001"
    muted = "#0a0002"
    grid = "#0a0003"
    paper = "#0a0004"
    private = "#0a0005"
    exposed = "#0a0006"
    baseline = "#0a0007"
    alarm = "#0a0008"
    band = "#0a0009"


@dataclass(frozen=True)
class Drawing:
    """A finished chart: inline SVG, and the words that stand for it where it cannot be seen."""

    svg: str
    title: str
    description: str


@contextmanager
def quiet_matplotlib(salt: str) -> Iterator[None]:
    """Settings under which a figure has to be both drawn and saved. They end with the block.

    `salt` makes the ids inside the SVG the same in every run and different between the charts of a page.
    """
    import matplotlib

    settings: dict[RcKeyType, Any] = {
        "svg.fonttype": "none",
        "svg.hashsalt": salt,
        "text.parse_math": False,
        "axes.unicode_minus": True,
        "font.family": ["DejaVu Sans"],
        "font.size": TEXT_PT,
        "text.color": Ink.ink.value,
        "axes.labelcolor": Ink.muted.value,
        "xtick.color": Ink.muted.value,
        "ytick.color": Ink.ink.value,
        "path.simplify": False,
    }
    with matplotlib.rc_context(settings), warnings.catch_warnings():
        # a script that the measuring font lacks is drawn by the browser's fonts
        warnings.filterwarnings("ignore", message="Glyph .* missing from", category=UserWarning)
        yield


def new_figure(height_in: float) -> Figure:
    """An empty figure of the common width; no global state is touched."""
    from matplotlib.figure import Figure

    return Figure(figsize=(WIDTH_IN, height_in))


def bare_axes(axes: Axes) -> None:
    """Remove the frame and the tick marks; keep the labels and a light vertical grid."""
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.tick_params(length=0, labelsize=TEXT_PT)
    axes.grid(axis="x", color=Ink.grid.value, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.patch.set_alpha(0)


def finish(figure: Figure, *, ident: str, title: str, description: str) -> Drawing:
    """Save a figure as inline SVG. Call it inside `quiet_matplotlib`."""
    buffer = io.StringIO()
    nothing = {"Date": None, "Creator": None, "Format": None, "Type": None}
    figure.savefig(buffer, format="svg", transparent=True, metadata=nothing)
    return Drawing(_inline(buffer.getvalue(), ident, title, description), title, description)


def _inline(text: str, ident: str, title: str, description: str) -> str:
    """Strip what belongs to a file of its own, theme the colours, name the drawing for screen readers."""
    body = text[text.index("<svg") :]
    opening, _, rest = body.partition(">")
    box = re.search(r'viewBox="[\d. -]+"', opening)
    # a style element inside inline SVG would apply to the whole page
    rest = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>", "", rest, count=1, flags=re.DOTALL)
    rest = re.sub(r"<!--.*?-->", "", rest, flags=re.DOTALL)
    rest = re.sub(r'<g id="[^"]*"', "<g", rest)
    rest = re.sub(r"\s*font-family: [^;\"]*;?", "", rest)
    rest = re.sub(r' transform="rotate\(-?0 [^"]*"', "", rest)
    rest = re.sub(r"(?<=[a-z\d]) \n(?=[A-Za-z\"])", " ", rest)
    for stand_in in Ink:
        rest = rest.replace(stand_in.value, f"var(--{stand_in.name})")
    rest = re.sub(r">\s+<", "><", rest)
    return (
        f'<svg {box.group(0) if box else ""} role="img" aria-labelledby="{ident}-title {ident}-desc" '
        'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink">'
        f'<title id="{ident}-title">{html.escape(title)}</title>'
        f'<desc id="{ident}-desc">{html.escape(description)}</desc>{rest.rstrip()}'
    )
