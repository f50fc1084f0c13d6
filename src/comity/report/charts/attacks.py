"""Each attack's advantage with its interval, and the band that the guarantee allows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from comity.report import numbers, words
from comity.report.charts.drawing import Drawing, Ink, bare_axes, finish, quiet_matplotlib
from comity.report.charts.rows import (
    ink_of,
    lay_rows,
    marker_of,
    name_row,
    rows_figure,
    rule_above,
    short_name,
    write_beside,
    write_head,
)
from comity.report.results import Attack, Report, Result, clean_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_ATTACK_AT, _LEFT, _RIGHT, _FIGURE_AT = 0.262, 0.395, 0.82, 0.998


def attack_chart(report: Report) -> Drawing | None:
    """None where no attack has a figure."""
    shown = [(r, attack) for r in report.done for attack in r.attacks if attack.advantage is not None]
    if not shown:
        return None
    with quiet_matplotlib("attacks"):
        figure, bottom, height = rows_figure(len(shown), above_in=0.35, below_in=0.5)
        axes = figure.add_axes((_LEFT, bottom, _RIGHT - _LEFT, height))
        bare_axes(axes)
        lay_rows(axes, len(shown))
        axes.axvline(0, color=Ink.muted.value, linewidth=1.1)
        before: Result | None = None
        for row, (result, attack) in enumerate(shown):
            _draw_attack(axes, row, result, attack)
            if result is not before:
                name_row(axes, row, short_name(result, report))
                if before is not None:
                    rule_above(axes, row)
            before = result
        write_head(axes, _FIGURE_AT, "advantage [interval]", ha="right")
        axes.set_xlim(*_limits([attack for _, attack in shown]))
        axes.set_xlabel("advantage over guessing (0: learns nothing, 1: certain)", labelpad=7)
        each = "; ".join(
            f"{short_name(result, report)}, {attack.name}: {words.interval(attack)}, "
            + ("no bound" if attack.bound is None else f"bound {numbers.figure(attack.bound, 2)}")
            for result, attack in shown
        )
        return finish(
            figure,
            ident="chart-attacks",
            title="Attacks: measured advantage and what the guarantee allows",
            description=f"{each}.",
        )


def _limits(attacks: list[Attack]) -> tuple[float, float]:
    drawn = [
        value
        for attack in attacks
        for value in (attack.low, attack.high, attack.bound, attack.advantage, attack.control)
        if value is not None
    ]
    low, high = min(*drawn, -0.05), max(*drawn, 0.1)
    margin = (high - low) * 0.05
    return low - margin, high + margin


def _draw_attack(axes: Axes, row: int, result: Result, attack: Attack) -> None:
    marker = marker_of(result)
    ink = (Ink.alarm if attack.breaks_bound else ink_of(result)).value
    if attack.bound is not None:
        axes.barh(row, attack.bound, height=0.5, color=Ink.band.value)
        axes.plot([attack.bound] * 2, [row - 0.25, row + 0.25], color=Ink.muted.value, linewidth=1.6)
    if attack.low is not None and attack.high is not None:
        axes.plot([attack.low, attack.high], [row, row], color=ink, linewidth=2.2, solid_capstyle="butt")
    if attack.control is not None:
        axes.plot([attack.control] * 2, [row - 0.18, row + 0.18], color=Ink.muted.value, linewidth=1.1)
    if attack.advantage is not None:
        axes.plot([attack.advantage], [row], marker=marker, markersize=6.5, color=ink, linestyle="none")
    write_beside(axes, row, _ATTACK_AT, clean_text(attack.name, 18))
    write_beside(axes, row, _FIGURE_AT, words.interval(attack), ha="right")
