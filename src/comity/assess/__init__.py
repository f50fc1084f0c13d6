"""What a table gives away: types, personal data, uniqueness, re-identification risk.

`assess_table` measures everything; `reidentification_risk`, `column_sets` and `contributions` parts of it.
Names are loaded when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from comity.assess.columns import ColumnAssessment, assess_columns
    from comity.assess.contribution import Contribution, contributions
    from comity.assess.hipaa import SafeHarborElement, safe_harbor
    from comity.assess.population import PopulationUniques, population_uniques
    from comity.assess.proposal import schema_text
    from comity.assess.report import Assessment, assess_table
    from comity.assess.risk import Risk, reidentification_risk
    from comity.assess.separation import ColumnSet, Separation, column_sets
    from comity.assess.tuples import Tuples

_HOME = {
    "Assessment": "report",
    "ColumnAssessment": "columns",
    "ColumnSet": "separation",
    "Contribution": "contribution",
    "PopulationUniques": "population",
    "Risk": "risk",
    "SafeHarborElement": "hipaa",
    "Separation": "separation",
    "Tuples": "tuples",
    "assess_columns": "columns",
    "assess_table": "report",
    "column_sets": "separation",
    "contributions": "contribution",
    "population_uniques": "population",
    "reidentification_risk": "risk",
    "safe_harbor": "hipaa",
    "schema_text": "proposal",
}

__all__ = [
    "Assessment",
    "ColumnAssessment",
    "ColumnSet",
    "Contribution",
    "PopulationUniques",
    "Risk",
    "SafeHarborElement",
    "Separation",
    "Tuples",
    "assess_columns",
    "assess_table",
    "column_sets",
    "contributions",
    "population_uniques",
    "reidentification_risk",
    "safe_harbor",
    "schema_text",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
