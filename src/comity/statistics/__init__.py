"""Statistics with differential privacy: counts, sums, means, histograms, quantiles, groups; local answers.

Names are loaded when first used: importing this package loads no engine.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from comity.statistics.figures import count, mean, sum
    from comity.statistics.groups import group_counts, group_means, group_sums, histogram
    from comity.statistics.local import RandomizedResponse, UnaryEncoding
    from comity.statistics.ranks import quantiles
    from comity.statistics.result import Statistic, Statistics

_HOME = {
    "RandomizedResponse": "local",
    "Statistic": "result",
    "Statistics": "result",
    "UnaryEncoding": "local",
    "count": "figures",
    "group_counts": "groups",
    "group_means": "groups",
    "group_sums": "groups",
    "histogram": "groups",
    "mean": "figures",
    "quantiles": "ranks",
    "sum": "figures",
}

__all__ = [
    "RandomizedResponse",
    "Statistic",
    "Statistics",
    "UnaryEncoding",
    "count",
    "group_counts",
    "group_means",
    "group_sums",
    "histogram",
    "mean",
    "quantiles",
    "sum",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
