"""Which rule holds for these answers, and what has to be asked before one can.

Rules are tried in order. One holds if every question in its conditions is answered and allowed; it fails if
one answer is not allowed; otherwise it is open, and its first unanswered question is the next to ask. So a
question is asked only where the advice depends on it, and an answer that was not asked for cannot change it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from comity.advise.questions import BY_ID
from comity.advise.rules import RULES, Conditions, Rule

Answers = Mapping[str, str]


@dataclass(frozen=True)
class Standing:
    """How a rule stands.

    Attributes:
        failed: questions whose answers it does not allow; of these, `broken` are assumptions (`Rule.needs`).
        unknown: questions of its conditions that are not answered.
    """

    rule: Rule
    failed: tuple[str, ...]
    broken: tuple[str, ...]
    unknown: tuple[str, ...]

    @property
    def holds(self) -> bool:
        return not self.failed and not self.unknown

    @property
    def feasible(self) -> bool:
        """Whether every assumption is known to be met, whether or not it stands at its place."""
        return not self.broken and not set(self.unknown) & set(self.rule.needs)


def settled(answers: Answers) -> Answers:
    """The answers with what follows from them: what one provider does not have, the ML party has."""
    if answers.get("providers") == "one" and answers.get("columns") == "spread":
        return {**answers, "columns": "linked"}
    return answers


def standing(rule: Rule, answers: Answers) -> Standing:
    """How one rule stands with these answers."""
    answers = settled(answers)
    conditions = rule.conditions
    failed, broken = _against(conditions, answers), _against(rule.needs, answers)
    unknown = tuple(name for name in conditions if name not in answers)
    return Standing(rule, failed, broken, unknown)


def _against(conditions: Conditions, answers: Answers) -> tuple[str, ...]:
    """The questions whose answers are not allowed."""
    answered = ((name, allowed) for name, allowed in conditions.items() if name in answers)
    return tuple(name for name, allowed in answered if answers[name] not in allowed)


def decide(answers: Answers) -> tuple[Rule | None, str | None]:
    """The first rule that holds; or None and the question to ask next.

    The last rules cover every situation: once nothing is left to ask, one holds.
    """
    answers = settled(answers)
    for rule in RULES:
        conditions = rule.conditions
        if _against(conditions, answers):
            continue
        unknown = next((name for name in conditions if name not in answers), None)
        return (rule, None) if unknown is None else (None, unknown)
    return None, None


def path(answers: Answers) -> tuple[str, ...]:
    """The questions on the way to the advice, in the order in which they come up: all that it rests on."""
    asked: dict[str, str] = {}
    while True:
        _, question = decide(asked)
        if question is None or question not in answers:
            return tuple(asked)
        asked[question] = answers[question]


def missing(answers: Answers) -> tuple[str, ...]:
    """The questions that may still have to be asked, in the order in which they come up.

    Which of them are, depends on the answers on the way.
    """
    found: dict[str, None] = {}
    todo = [dict(answers)]
    while todo:
        known = todo.pop(0)
        _, question = decide(known)
        if question is None:
            continue
        if question not in found:
            found[question] = None
        todo += [{**known, question: answer} for answer in BY_ID[question].choices]
    return tuple(found)
