"""AUC against epsilon on a logarithmic axis, where several epsilons were run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from comity.report import numbers
from comity.report.charts.drawing import Drawing, Ink, bare_axes, finish, new_figure, quiet_matplotlib
from comity.report.charts.rows import NAME_LENGTH, ink_of
from comity.report.results import Report, clean_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Series = dict[str, list[tuple[float, float]]]
Level = tuple[str, float, Ink]

_STYLES = (("o", "-"), ("^", "--"), ("v", "-."), ("P", ":"), ("X", "-"), ("p", "--"), ("h", "-."))
_LABEL_GAP = 0.062  # least distance between two names at the right edge, as a share of the height


def epsilon_chart(report: Report) -> Drawing | None:
    """None unless some architecture was run with more than one epsilon."""
    series = _series(report)
    if not any(len({epsilon for epsilon, _ in points}) > 1 for points in series.values()):
        return None
    levels = [
        (clean_text(result.label, NAME_LENGTH), result.auc, ink_of(result))
        for result in report.done
        if result.auc is not None and not result.is_private
    ]
    with quiet_matplotlib("epsilon"):
        figure = new_figure(3.5)
        axes = figure.add_axes((0.075, 0.16, 0.70, 0.78))
        _prepare(axes, sorted({epsilon for points in series.values() for epsilon, _ in points}))
        for _, value, ink in levels:
            axes.axhline(value, color=ink.value, linewidth=1.1, dashes=(4, 3))
        for number, points in enumerate(series.values()):
            marker, style = _STYLES[number % len(_STYLES)]
            axes.plot(
                [epsilon for epsilon, _ in points], [auc for _, auc in points], color=Ink.private.value,
                linewidth=2, linestyle=style, marker=marker, markersize=7, markeredgecolor=Ink.paper.value,
                markeredgewidth=1,
            )  # fmt: skip
        _name_lines(axes, [*levels, *((name, points[-1][1], Ink.private) for name, points in series.items())])
        return finish(
            figure,
            ident="chart-epsilon",
            title="Utility against epsilon",
            description=_description(series, levels),
        )


def _series(report: Report) -> Series:
    """Points (epsilon, AUC) of each architecture that has an epsilon, by ascending epsilon."""
    series: Series = {}
    for result in report.done:
        epsilon, auc = result.privacy.epsilon, result.auc
        if epsilon is not None and epsilon > 0 and auc is not None:
            series.setdefault(clean_text(result.label, NAME_LENGTH), []).append((epsilon, auc))
    return {name: sorted(points) for name, points in series.items()}


def _prepare(axes: Axes, epsilons: list[float]) -> None:
    bare_axes(axes)
    axes.grid(axis="y", color=Ink.grid.value, linewidth=0.8)
    axes.set_xscale("log")
    axes.minorticks_off()
    axes.set_xticks(epsilons, labels=[numbers.plain(epsilon) for epsilon in epsilons])
    axes.set_xlabel("ε: smaller protects more (logarithmic axis)", labelpad=7)
    axes.set_ylabel("AUC on the test rows", labelpad=9)
    axes.tick_params(axis="y", labelcolor=Ink.muted.value)


def _name_lines(axes: Axes, ends: list[Level]) -> None:
    """Name the lines at the right edge, moved apart where they would overlap."""
    low, high = axes.get_ylim()
    ends = sorted(ends, key=lambda end: end[1])
    places = spread([value for _, value, _ in ends], gap=(high - low) * _LABEL_GAP, top=high)
    for place, (name, _, ink) in zip(places, ends, strict=True):
        axes.annotate(
            name, (1, place), xycoords=("axes fraction", "data"), xytext=(9, 0), textcoords="offset points",
            va="center", color=ink.value,
        )  # fmt: skip


def spread(values: list[float], *, gap: float, top: float) -> list[float]:
    """Ascending values moved apart to at least `gap`, as little as needed, the last no higher than `top`."""
    places = list(values)
    for index in range(1, len(places)):
        places[index] = max(places[index], places[index - 1] + gap)
    if places and places[-1] > top:
        places[-1] = top
        for index in range(len(places) - 2, -1, -1):
            places[index] = min(places[index], places[index + 1] - gap)
    return places


def _description(series: Series, levels: list[Level]) -> str:
    each = "; ".join(
        f"{name}: "
        + ", ".join(f"{numbers.figure(auc)} at ε {numbers.plain(epsilon)}" for epsilon, auc in points)
        for name, points in series.items()
    )
    level = "; ".join(f"{name}: {numbers.figure(value)}" for name, value, _ in levels)
    return f"AUC. {each}. Without an epsilon: {level or 'none'}."
