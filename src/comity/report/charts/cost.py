"""Wall time, CPU time and bytes of every result, side by side."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from comity.report import numbers
from comity.report.charts.drawing import TEXT_PT, Drawing, Ink, bare_axes, finish, quiet_matplotlib
from comity.report.charts.rows import LEFT, ink_of, lay_rows, name_row, rows_figure, short_name
from comity.report.results import Report, Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Amount = Callable[[Result], float | None]
Written = Callable[[float | None], str]

_PANELS: tuple[tuple[str, Amount, Written], ...] = (
    ("wall time", lambda result: result.cost.wall_s, numbers.seconds),
    ("CPU time, all parties", lambda result: result.cost.cpu_s, numbers.seconds),
    ("bytes sent", lambda result: result.cost.bytes_sent, numbers.size),
)
_FILLED = 0.72  # of a panel's width; the rest is for the longest bar's figure


def cost_chart(report: Report) -> Drawing | None:
    """None where no run was measured."""
    shown = [result for result in report.done if any(amount(result) is not None for _, amount, _ in _PANELS)]
    if not shown:
        return None
    with quiet_matplotlib("cost"):
        figure, bottom, height = rows_figure(len(shown), above_in=0.4, below_in=0.08)
        width = (1 - LEFT) / len(_PANELS)
        for number, (title, amount, written) in enumerate(_PANELS):
            axes = figure.add_axes((LEFT + number * width, bottom, width * _FILLED, height))
            bare_axes(axes)
            axes.grid(visible=False)
            lay_rows(axes, len(shown))
            axes.set_title(title, loc="left", fontsize=TEXT_PT, color=Ink.muted.value, pad=8)
            _draw_bars(axes, shown, amount, written)
            if number == 0:
                for row, result in enumerate(shown):
                    name_row(axes, row, short_name(result, report))
        each = "; ".join(
            f"{short_name(result, report)}: "
            + ", ".join(f"{title} {written(amount(result))}" for title, amount, written in _PANELS)
            for result in shown
        )
        return finish(
            figure,
            ident="chart-cost",
            title="Cost of each run, all parties together",
            description=f"{each}.",
        )


def _draw_bars(axes: Axes, shown: list[Result], amount: Amount, written: Written) -> None:
    axes.set_xticks([])
    axes.set_xlim(0, max((amount(result) or 0.0 for result in shown), default=0.0) or 1.0)
    for row, result in enumerate(shown):
        value = amount(result)
        if value is not None:
            axes.barh(row, value, height=0.56, color=ink_of(result).value)
        axes.annotate(
            written(value), (value or 0.0, row), xytext=(6, 0), textcoords="offset points",
            va="center_baseline",
        )  # fmt: skip
