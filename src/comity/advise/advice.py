"""Advice: the architecture that fits a situation, why, what it asks of whom, and what would change it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from comity.advise.changes import Change, changes
from comity.advise.process import decide, missing, path, settled, standing
from comity.advise.questions import BY_ID, QUESTIONS, YES
from comity.advise.ranking import ranked as ranked_rules
from comity.advise.results import Measured, Results
from comity.advise.rules import BETTER, LACKS, RULES, Rule, name_of
from comity.advise.situation import Facts, Known, Situation
from comity.errors import UsageError

ARCHITECTURES: Final = (
    "plain",
    "direct-release",
    "mediated-release",
    "validation",
    "blind-validation",
    "federated",
    "encrypted",
    "homomorphic",
    "synthetic",
    "clean-room",
)
"""Every architecture that can be advised, in the order in which people read them; baselines are not."""

_MUCH: Final = 0.2
"""A share of the gap by which another architecture has to be better before it is pointed out."""


@dataclass(frozen=True)
class Choice:
    """One architecture that fits.

    Attributes:
        reason, source: why it stands here, and where that is from.
        cites: the answers that it rests on, by question.
        caution: what to think about; "" for nothing.
        measured: what a comparison found of it; None if it was not measured. Of several epsilons it is the
            smallest that closed half of the gap, else the one that closed most.
        sweep: what it found at each epsilon, the smallest first.
    """

    architecture: str
    mode: str | None
    reason: str
    source: str
    cites: Mapping[str, str]
    caution: str
    measured: Measured | None = None
    sweep: tuple[Measured, ...] = ()

    @property
    def weakness(self) -> str:
        """Why the epsilon that it needs protects little; "" where it is not so large, or not known."""
        return "" if self.measured is None else self.measured.weakness

    @property
    def name(self) -> str:
        """`validation (hosted)`, with the mode where it has modes."""
        return name_of(self.architecture, self.mode)

    def to_dict(self) -> dict[str, Any]:
        return {
            "architecture": self.architecture,
            "mode": self.mode,
            "reason": self.reason,
            "source": self.source,
            "cites": dict(self.cites),
            "caution": self.caution,
            "measured": None if self.measured is None else self.measured.to_dict(),
            "sweep": [one.to_dict() for one in self.sweep],
            "weakness": self.weakness,
        }


@dataclass(frozen=True)
class Against:
    """An architecture that does not fit, or was not looked at, with why."""

    architecture: str
    why: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        return {"architecture": self.architecture, "why": list(self.why)}


@dataclass(frozen=True)
class Advice:
    """The answer to a situation. It may tell of raw rows: for the holders of the tables, not a release.

    Attributes:
        ranked: architectures that fit, the advised one first; where none does, one that is named `none`.
        against: the others, with why not.
        changes: single answers that would change the advice.
        known: every answer that there is, and how it is known.
        notes: what does not fit together, and what the comparison adds.
    """

    ranked: tuple[Choice, ...]
    against: tuple[Against, ...]
    changes: tuple[Change, ...]
    known: Mapping[str, Known]
    facts: Facts
    notes: tuple[str, ...]

    @property
    def first(self) -> Choice:
        return self.ranked[0]

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        from comity.advise.trust import trust_of

        return {
            "architecture": self.first.architecture,
            "mode": self.first.mode,
            "ranked": [choice.to_dict() for choice in self.ranked],
            "trust": trust_of(self.first.architecture, self.first.mode).to_dict(),
            "against": [one.to_dict() for one in self.against],
            "changes": [change.to_dict() for change in self.changes],
            "answers": {name: known.to_dict() for name, known in self.known.items()},
            "facts": self.facts.to_dict(),
            "notes": list(self.notes),
        }


def advise(situation: Situation, results: Mapping[str, Any] | None = None) -> Advice:
    """Advise an architecture.

    Args:
        situation: answers and facts. What they leave open must not be needed.
        results: the document of `comity compare --json`; it answers what it measured, and an architecture
            that it found of no use, or leaking more than promised, stands behind the others.

    Raises:
        UsageError: if answers are missing, naming them, or one is not an answer.
        BadInput: if the results are not a comparison's.
    """
    compared = None if results is None else Results.of(results)
    known = situation.known(compared)
    answers = {name: one.answer for name, one in known.items()}
    rule, question = decide(answers)
    if rule is None:
        raise UsageError(
            f"these answers are missing: {', '.join(missing(answers))}; which of them are needed depends on "
            f"the answers, and {question} is"
        )
    ranked = tuple(
        _choice(each, answers, compared, leads=each is rule) for each in ranked_rules(answers, compared)
    )
    chosen = {choice.architecture for choice in ranked}
    return Advice(
        ranked=ranked,
        against=tuple(
            Against(name, _why_not(name, answers, rule)) for name in ARCHITECTURES if name not in chosen
        ),
        # with results, answers off the way to the rule matter too: what it passes over may be advised
        changes=changes(
            situation, compared, ranked[0].name, tuple(dict.fromkeys((*path(answers), *answers)))
        ),
        known={name.id: known[name.id] for name in QUESTIONS if name.id in known},
        facts=situation.facts,
        notes=_notes(known, rule, ranked, compared),
    )


def _choice(rule: Rule, answers: Mapping[str, str], results: Results | None, *, leads: bool) -> Choice:
    """The rule's own reason where it leads; for the others, what they are better at."""
    cited = path(answers) if leads else tuple(name for name in rule.conditions if name in answers)
    return Choice(
        architecture=rule.architecture,
        mode=rule.mode,
        reason=rule.reason if leads else BETTER[rule.architecture],
        source=rule.source,
        cites={name: answers[name] for name in cited},
        caution=rule.caution,
        measured=None if results is None else results.best(rule.architecture, rule.mode),
        sweep=() if results is None else results.sweep(rule.architecture, rule.mode),
    )


def _why_not(architecture: str, answers: Mapping[str, str], first: Rule) -> tuple[str, ...]:
    """What it lacks, of the rule that lacks least; or that it was not looked at.

    Where a proven bound is required, and it has a mode with one, that mode is looked at alone.
    """
    stands = [standing(rule, answers) for rule in RULES if rule.architecture == architecture]
    if answers.get("proof") == YES:
        stands = [one for one in stands if one.rule.mode != "exact"] or stands
    best = min(stands, key=lambda one: (len(one.broken), len(one.unknown)))
    if best.broken:
        return tuple(LACKS[name, best.rule.needs[name]] for name in best.broken)
    if first.architecture == "plain":
        return ("it protects what needs no protection here",)
    open_ones = [name for name in best.unknown if name in best.rule.needs]
    return (f"it comes later in the process: its questions were not asked ({', '.join(open_ones)})",)


def said(name: str, answer: str) -> str:
    """An answer as a clause in a sentence."""
    return BY_ID[name].choices[answer].said


def _notes(
    known: Mapping[str, Known], rule: Rule, ranked: tuple[Choice, ...], results: Results | None
) -> tuple[str, ...]:
    notes = [
        f"{question}: {one.against}, but {one.evidence}"
        if one.evidence
        else f"{question}: the answer is '{one.answer}', but what was measured says otherwise: {one.against}"
        for question, one in known.items()
        if one.against
    ]
    answers = {name: one.answer for name, one in known.items()}
    if settled(answers) != answers:
        notes.append("columns: with one provider, the columns that it does not have are the ML party's")
    if answers.get("want") == "scores" and answers.get("sight") == "nothing":
        notes.append(
            "want, sight: every score is a prediction, so providers cannot have scores and see none; what is "
            "advised instead learns from their rows. One of the two answers has to change"
        )
    first = ranked[0]
    if first.name != rule.name and results is not None:
        notes.append(_passed(rule, first, results))
    if first.measured is not None and first.measured.useless:
        notes.append(
            "the comparison found nothing that fits to be of use: look at the target, more records or "
            "another budget before anything is shared"
        )
    if results is not None and results.slight:
        notes.append(
            "in the comparison all raw rows in one place taught hardly more than the ML party knows alone: "
            "there is little to gain by sharing anything for this target"
        )
    elif results is not None:
        notes += _better(first, ranked)
    return tuple(notes)


def _passed(rule: Rule, first: Choice, results: Results) -> str:
    """Why the rule that holds is not what is advised."""
    measured, needed = (
        results.best(rule.architecture, rule.mode),
        results.needed(rule.architecture, rule.mode),
    )
    if needed is not None and first.measured is not None:
        return (
            f"the answers speak for {rule.name}, but it needs epsilon {needed:g} to close half of the gap, "
            f"and {first.name} did so at epsilon {first.measured.epsilon:g}"
        )
    words = "" if measured is None else measured.words()
    return f"the answers speak for {rule.name}, but the comparison against it: {words}"


def _better(first: Choice, ranked: tuple[Choice, ...]) -> list[str]:
    """Other architectures that fit and that the comparison found much better."""
    mine = None if first.measured is None else first.measured.gap_closed
    if mine is None:
        return [] if first.measured is not None else [f"{first.name} is not among the comparison's results"]
    return [
        f"{other.name} fits as well and taught more in the comparison: {other.measured.words()}"
        for other in ranked[1:]
        if other.measured is not None
        and not other.measured.useless
        and (other.measured.gap_closed or 0) >= mine + _MUCH
    ]
