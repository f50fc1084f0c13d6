"""Validation: a validator answers questions about labels with protected feedback, a learner learns from it.

Names are loaded when first used: importing this package loads no engine.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from comity.validate.design import Correction, Design
    from comity.validate.learner import FeedbackClassifier
    from comity.validate.mechanism import Calibration, NoisySums, Price, answer, calibrate
    from comity.validate.metrics import METRICS, ask_for
    from comity.validate.monitor import Monitor
    from comity.validate.queries import GroupCounts, Joined, Query, WeightedSum
    from comity.validate.regressor import FeedbackRegressor
    from comity.validate.request import ScoreStatistics
    from comity.validate.validator import Feedback, LocalValidator

_HOME = {
    "METRICS": "metrics",
    "Calibration": "mechanism",
    "Correction": "design",
    "Design": "design",
    "Feedback": "validator",
    "FeedbackClassifier": "learner",
    "FeedbackRegressor": "regressor",
    "GroupCounts": "queries",
    "Joined": "queries",
    "LocalValidator": "validator",
    "Monitor": "monitor",
    "NoisySums": "mechanism",
    "Price": "mechanism",
    "Query": "queries",
    "ScoreStatistics": "request",
    "WeightedSum": "queries",
    "answer": "mechanism",
    "ask_for": "metrics",
    "calibrate": "mechanism",
}

__all__ = [
    "METRICS",
    "Calibration",
    "Correction",
    "Design",
    "Feedback",
    "FeedbackClassifier",
    "FeedbackRegressor",
    "GroupCounts",
    "Joined",
    "LocalValidator",
    "Monitor",
    "NoisySums",
    "Price",
    "Query",
    "ScoreStatistics",
    "WeightedSum",
    "answer",
    "ask_for",
    "calibrate",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
