"""Validation: a validator answers questions about labels with protected feedback, a learner learns from it.

Names are loaded when first used: importing this package loads no engine.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from comity.validate.attributes import ATTRIBUTE_METRICS
    from comity.validate.blind_session import BlindFeedback, BlindSession
    from comity.validate.classes import CLASS_METRICS
    from comity.validate.design import Correction, Design
    from comity.validate.hosted_target import HostedTarget
    from comity.validate.hosted_validator import HostedAnswer, HostedValidator
    from comity.validate.ladder import Comparisons, Ladder, Rung
    from comity.validate.learner import FeedbackClassifier
    from comity.validate.mechanism import NoisySums, Price, answer, calibrate
    from comity.validate.metrics import METRICS, ask_for
    from comity.validate.monitor import Monitor
    from comity.validate.queries import GroupCounts, Joined, Query, WeightedSum
    from comity.validate.regression import NUMBER_METRICS
    from comity.validate.regressor import FeedbackRegressor
    from comity.validate.request import ScoreStatistics
    from comity.validate.validator import Feedback, LocalValidator

_HOME = {
    "ATTRIBUTE_METRICS": "attributes",
    "BlindFeedback": "blind_session",
    "BlindSession": "blind_session",
    "CLASS_METRICS": "classes",
    "Comparisons": "ladder",
    "Correction": "design",
    "Design": "design",
    "Feedback": "validator",
    "FeedbackClassifier": "learner",
    "FeedbackRegressor": "regressor",
    "GroupCounts": "queries",
    "HostedAnswer": "hosted_validator",
    "HostedTarget": "hosted_target",
    "HostedValidator": "hosted_validator",
    "Joined": "queries",
    "Ladder": "ladder",
    "LocalValidator": "validator",
    "METRICS": "metrics",
    "Monitor": "monitor",
    "NUMBER_METRICS": "regression",
    "NoisySums": "mechanism",
    "Price": "mechanism",
    "Query": "queries",
    "Rung": "ladder",
    "ScoreStatistics": "request",
    "WeightedSum": "queries",
    "answer": "mechanism",
    "ask_for": "metrics",
    "calibrate": "mechanism",
}

__all__ = [
    "ATTRIBUTE_METRICS",
    "CLASS_METRICS",
    "METRICS",
    "NUMBER_METRICS",
    "BlindFeedback",
    "BlindSession",
    "Comparisons",
    "Correction",
    "Design",
    "Feedback",
    "FeedbackClassifier",
    "FeedbackRegressor",
    "GroupCounts",
    "HostedAnswer",
    "HostedTarget",
    "HostedValidator",
    "Joined",
    "Ladder",
    "LocalValidator",
    "Monitor",
    "NoisySums",
    "Price",
    "Query",
    "Rung",
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
