"""The charts of a report: utility, utility against epsilon, cost, attacks.

Colour and shape say the same thing everywhere: a disc for differential privacy, a square for a release
without it, a diamond for a baseline. A figure that was not measured is left out, never drawn as 0.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from comity.report.charts.drawing import Drawing
    from comity.report.results import Report


def charts(report: Report) -> dict[str, Drawing]:
    """Every chart that has something to show, by name: `utility`, `epsilon`, `cost`, `attacks`."""
    from comity.report.charts.attacks import attack_chart
    from comity.report.charts.cost import cost_chart
    from comity.report.charts.epsilon import epsilon_chart
    from comity.report.charts.utility import utility_chart

    makers: dict[str, Callable[[Report], Drawing | None]] = {
        "utility": utility_chart,
        "epsilon": epsilon_chart,
        "cost": cost_chart,
        "attacks": attack_chart,
    }
    drawn = {name: maker(report) for name, maker in makers.items()}
    return {name: drawing for name, drawing in drawn.items() if drawing is not None}
