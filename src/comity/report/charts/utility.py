"""AUC of every result, best on top, with `alone` and `pooled` as reference lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from comity.report import numbers
from comity.report.charts.drawing import Drawing, Ink, bare_axes, finish, quiet_matplotlib
from comity.report.charts.rows import (
    LEFT,
    ink_of,
    lay_rows,
    marker_of,
    name_row,
    rows_figure,
    short_name,
    write_beside,
    write_head,
)
from comity.report.results import Report, Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_RIGHT = 0.80
_AUC_AT, _GAP_AT = 0.885, 0.998
_CROWDED = 0.25


def utility_chart(report: Report) -> Drawing | None:
    """None where no result but those two baselines has an AUC."""
    scored = [
        (r, r.auc) for r in report.done if r.auc is not None and r.architecture not in report.reference_aucs
    ]
    if not scored:
        return None
    scored.sort(key=lambda pair: -pair[1])
    lines = report.reference_aucs
    values = [*lines.values(), *(auc for _, auc in scored)]
    low, high = min(values), max(values)
    margin = max(high - low, 0.02) * 0.09
    start = low - margin if report.start_auc is None else report.start_auc
    with quiet_matplotlib("utility"):
        figure, bottom, height = rows_figure(len(scored), above_in=0.4, below_in=0.5)
        axes = figure.add_axes((LEFT, bottom, _RIGHT - LEFT, height))
        bare_axes(axes)
        lay_rows(axes, len(scored))
        _draw_references(axes, lines, width=high + 2 * margin - min(low, start))
        for row, (result, auc) in enumerate(scored):
            _draw_row(axes, row, result, auc, start=start)
            name_row(axes, row, short_name(result, report))
        write_head(axes, _AUC_AT, "AUC", ha="right")
        write_head(axes, _GAP_AT, "gap closed", ha="right")
        axes.set_xlim(min(low, start) - margin, high + margin)
        axes.set_xlabel("AUC on the test rows (the axis does not start at 0)", labelpad=7)
        best, best_auc = scored[0]
        each = "; ".join(f"{short_name(result, report)}: {numbers.figure(auc)}" for result, auc in scored)
        against = ", ".join(f"{name} is {numbers.figure(value)}" for name, value in lines.items())
        return finish(
            figure,
            ident="chart-utility",
            title=f"Utility: {short_name(best, report)} is the most accurate, AUC {numbers.figure(best_auc)}",
            description=f"Area under the ROC curve. {each}. For reference: {against or 'no baseline ran'}.",
        )


def _draw_references(axes: Axes, lines: dict[str, float], *, width: float) -> None:
    """Each baseline's line and name; where two lie close on this axis, the names go to either side."""
    crowded = len(lines) == 2 and max(lines.values()) - min(lines.values()) < _CROWDED * width
    highest = max(lines, key=lambda name: lines[name], default=None)
    for name, value in lines.items():
        axes.axvline(value, color=Ink.muted.value, linewidth=1.1, dashes=(4, 3))
        side = ("left" if name == highest else "right") if crowded else "center"
        axes.annotate(
            f"{name} {numbers.figure(value)}", (value, 1), xycoords=("data", "axes fraction"), xytext=(0, 5),
            textcoords="offset points", ha=side, va="bottom", color=Ink.muted.value,
        )  # fmt: skip


def _draw_row(axes: Axes, row: int, result: Result, auc: float, *, start: float) -> None:
    ink = ink_of(result).value
    axes.plot([start, auc], [row, row], color=ink, linewidth=2.4, alpha=0.35, solid_capstyle="butt")
    axes.plot([auc], [row], marker=marker_of(result), markersize=7.5, color=ink, linestyle="none")
    write_beside(axes, row, _AUC_AT, numbers.figure(auc), bold=True, ha="right")
    write_beside(axes, row, _GAP_AT, numbers.percent(result.gap_closed), ha="right")
