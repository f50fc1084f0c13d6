"""The selection process: which architecture fits a situation, and why (blueprint, section IV-C).

`advise(Situation({...}))` answers; `QUESTIONS` and `RULES` are the process as data; `decide` says what to ask
next. `measure` reads what tables can answer, `draft` writes the agreement that the advice leads to.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from comity.advise.advice import Advice, Against, Choice, advise
    from comity.advise.changes import Change
    from comity.advise.drafting import draft
    from comity.advise.facts import measure
    from comity.advise.process import decide, missing
    from comity.advise.questions import BY_ID, QUESTIONS, Question
    from comity.advise.rules import RULES, Rule
    from comity.advise.situation import Facts, Situation

_HOME = {
    "BY_ID": "questions",
    "QUESTIONS": "questions",
    "RULES": "rules",
    "Advice": "advice",
    "Against": "advice",
    "Change": "changes",
    "Choice": "advice",
    "Facts": "situation",
    "Question": "questions",
    "Rule": "rules",
    "Situation": "situation",
    "advise": "advice",
    "decide": "process",
    "draft": "drafting",
    "measure": "facts",
    "missing": "process",
}

__all__ = [
    "BY_ID",
    "QUESTIONS",
    "RULES",
    "Advice",
    "Against",
    "Change",
    "Choice",
    "Facts",
    "Question",
    "Rule",
    "Situation",
    "advise",
    "decide",
    "draft",
    "measure",
    "missing",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
