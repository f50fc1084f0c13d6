"""What is known of a situation: answers of people, what tables show, what a comparison measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from comity.advise.questions import BY_ID, NO, YES
from comity.advise.results import Results
from comity.errors import UsageError


class How(StrEnum):
    """How an answer is known."""

    answered = "answered"
    measured = "measured"
    compared = "compared"


@dataclass(frozen=True)
class Known:
    """One answer and where it is from.

    Attributes:
        evidence: of what was measured, in words; "" for what people answered.
        against: what was measured where it says something else than people did; "" otherwise.
    """

    answer: str
    how: How
    evidence: str = ""
    against: str = ""

    def to_dict(self) -> dict[str, Any]:
        return {
            "answer": self.answer,
            "how": str(self.how),
            "evidence": self.evidence,
            "against": self.against,
        }


@dataclass(frozen=True)
class Found:
    """A column that looks personal; `of_persons` tells values of persons from values that find one row."""

    provider: str
    column: str
    why: str
    of_persons: bool

    def to_dict(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


@dataclass(frozen=True)
class Facts:
    """What the providers' tables show. It describes raw rows: for their holders, not a release.

    Attributes:
        told: the questions that the tables answer: each with its answer and the evidence.
        personal: columns that look personal.
        notes: other things worth knowing, in words.
    """

    told: Mapping[str, tuple[str, str]] = field(default_factory=dict[str, tuple[str, str]])
    personal: tuple[Found, ...] = ()
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        return {
            "told": {name: list(value) for name, value in self.told.items()},
            "personal": [one.to_dict() for one in self.personal],
            "notes": list(self.notes),
        }


@dataclass(frozen=True)
class Situation:
    """Answers by question, and facts beside them.

    Raises:
        UsageError: for a question that is not asked, or an answer that it does not have.
    """

    answers: Mapping[str, str] = field(default_factory=dict[str, str])
    facts: Facts = Facts()

    def __post_init__(self) -> None:
        for name, answer in self.answers.items():
            check_answer(name, answer)

    def known(self, results: Results | None = None) -> dict[str, Known]:
        """Every question that is answered: by people, else by a comparison, else by the tables.

        What people say stands above a measurement, with one exception: personal data that was found in a
        table is there.
        """
        measured = {name: Known(answer, How.measured, why) for name, (answer, why) in self.facts.told.items()}
        if results is not None:
            told = results.answers().items()
            measured |= {name: Known(answer, How.compared, why) for name, (answer, why) in told}
        known = dict(measured)
        for name, answer in self.answers.items():
            found = measured.get(name)
            if found is None or found.answer == answer:
                known[name] = Known(answer, How.answered, "" if found is None else found.evidence)
            elif name == "personal" and found.answer == YES:
                known[name] = Known(YES, How.measured, found.evidence, against="the answer was no")
            else:
                known[name] = Known(answer, How.answered, against=found.evidence)
        return known


def check_answer(name: str, answer: object) -> str:
    """An answer as its question has it; true and false are yes and no.

    Raises:
        UsageError: naming what there is.
    """
    question = BY_ID.get(name)
    if question is None:
        raise UsageError(f"nobody asks '{str(name)[:80]}'; the questions are: {', '.join(BY_ID)}")
    if isinstance(answer, bool):
        answer = YES if answer else NO
    if not isinstance(answer, str) or answer not in question.choices:
        raise UsageError(f"the answer {name}: {str(answer)[:80]!r} is none of {', '.join(question.choices)}")
    return answer
