"""Which single answers would change an advice: each is tried, with the same measurements."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from comity.advise.process import decide
from comity.advise.questions import BY_ID
from comity.advise.ranking import ranked
from comity.advise.results import Results
from comity.advise.situation import Situation

_MOST: Final = 3
"""Of more architectures than this that an answer may lead to, none is named."""


@dataclass(frozen=True)
class Change:
    """One answer that would change the advice.

    Attributes:
        then: what it would be (`none` where nothing would fit); several where more is asked then; empty where
            that may be nearly anything.
    """

    question: str
    answer: str
    then: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        return {"question": self.question, "answer": self.answer, "then": list(self.then)}


def changes(
    situation: Situation, results: Results | None, first: str, questions: Sequence[str]
) -> tuple[Change, ...]:
    """Every answer to one of these questions that leads elsewhere than to `first`, the advice by its name."""
    known = situation.known(results)
    found: list[Change] = []
    for question in questions:
        for answer in BY_ID[question].choices:
            if answer == known[question].answer:
                continue
            other = Situation({**situation.answers, question: answer}, situation.facts)
            then = _ends(other, results)
            if then != (first,):
                found.append(Change(question, answer, then))
    return tuple(found)


def _ends(situation: Situation, results: Results | None) -> tuple[str, ...]:
    """What is advised, by name, whatever is answered to what is asked then; empty for more than `_MOST`."""
    found: dict[str, None] = {}
    todo = [{name: one.answer for name, one in situation.known(results).items()}]
    while todo and len(found) <= _MOST:
        answers = todo.pop()
        rule, question = decide(answers)
        if rule is not None:
            found[ranked(answers, results)[0].name] = None
        elif question is not None:
            todo += [{**answers, question: answer} for answer in BY_ID[question].choices]
    return tuple(found) if len(found) <= _MOST else ()
