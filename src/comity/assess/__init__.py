"""What a table gives away: types, personal data, uniqueness, re-identification risk."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from comity.assess.columns import ColumnAssessment, assess_columns
    from comity.assess.report import Assessment, assess_table
    from comity.assess.risk import Risk, reidentification_risk

_HOME = {
    "Assessment": "report",
    "ColumnAssessment": "columns",
    "Risk": "risk",
    "assess_columns": "columns",
    "assess_table": "report",
    "reidentification_risk": "risk",
}

__all__ = [
    "Assessment",
    "ColumnAssessment",
    "Risk",
    "assess_columns",
    "assess_table",
    "reidentification_risk",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
