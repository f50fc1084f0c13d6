"""What the charts with one row per result share: names on the left, columns of text on the right."""

from __future__ import annotations

from typing import TYPE_CHECKING

from comity.report.charts.drawing import Ink, new_figure
from comity.report.results import Report, Result, clean_text
from comity.report.summary import name_with_epsilon

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.transforms import Transform

ROW_IN = 0.34
NAME_LENGTH = 36
LEFT = 0.262  # where axes begin, as a share of the width; names stand to the left of it


def ink_of(result: Result) -> Ink:
    """The colour of a result's guarantee."""
    return Ink.baseline if result.is_baseline else Ink.private if result.is_private else Ink.exposed


def marker_of(result: Result) -> str:
    """The shape that says the same as the colour."""
    return "D" if result.is_baseline else "o" if result.is_private else "s"


def short_name(result: Result, report: Report) -> str:
    """The result's name, cut to what fits beside a row."""
    return clean_text(name_with_epsilon(result, report), NAME_LENGTH)


def rows_figure(rows: int, *, above_in: float, below_in: float) -> tuple[Figure, float, float]:
    """A figure for so many rows, and the bottom and height of its axes as shares of the figure's height."""
    height = rows * ROW_IN + above_in + below_in
    return new_figure(height), below_in / height, rows * ROW_IN / height


def lay_rows(axes: Axes, rows: int) -> None:
    """Row 0 on top, no labels: names are written with `name_row`."""
    axes.set_ylim(rows - 0.5, -0.5)
    axes.set_yticks([])


def name_row(axes: Axes, row: int, name: str) -> None:
    """The name of a row, at the figure's left edge."""
    write_beside(axes, row, 0.002, name)


def write_beside(
    axes: Axes, row: float, x: float, text: str, *, bold: bool = False, ha: str = "left", ink: Ink = Ink.ink
) -> None:
    """Text in line with a row; `x` is a share of the figure's width."""
    axes.text(
        x, row, text, transform=_across(axes), ha=ha, va="center_baseline", color=ink.value,
        fontweight="bold" if bold else "normal",
    )  # fmt: skip


def write_head(axes: Axes, x: float, text: str, *, ha: str = "left") -> None:
    """The heading of a column of text, above the first row."""
    from matplotlib.transforms import blended_transform_factory

    place = blended_transform_factory(axes.figure.transFigure, axes.transAxes)
    axes.annotate(
        text, (x, 1), xycoords=place, xytext=(0, 5), textcoords="offset points", ha=ha, va="bottom",
        color=Ink.muted.value,
    )  # fmt: skip


def rule_above(axes: Axes, row: float) -> None:
    """A thin line across the whole figure, above a row."""
    axes.plot(
        [0, 1], [row - 0.5] * 2, transform=_across(axes), color=Ink.grid.value, linewidth=0.8, clip_on=False
    )  # fmt: skip


def _across(axes: Axes) -> Transform:
    from matplotlib.transforms import blended_transform_factory

    return blended_transform_factory(axes.figure.transFigure, axes.transData)
