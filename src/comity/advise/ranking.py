"""In which order the architectures that fit stand: by the rules, then by what a comparison measured."""

from __future__ import annotations

from collections.abc import Sequence

from comity.advise.process import Answers, standing
from comity.advise.results import Results
from comity.advise.rules import NOTHING, RULES, Rule


def ranked(answers: Answers, results: Results | None) -> tuple[Rule, ...]:
    """A rule for each architecture that fits, the advised one first.

    What holds at its place comes before what is merely feasible. Within each, one that closed half of the
    gap at a smaller epsilon comes before one that needs a larger one; the others keep their places. What was
    measured to be of no use stands behind all others.
    """
    stands = [standing(rule, answers) for rule in RULES]
    holds = [one.rule for one in stands if one.holds]
    feasible = [one.rule for one in stands if one.feasible and not one.holds]
    if holds[0].architecture != NOTHING:
        holds = [rule for rule in holds if rule.architecture != NOTHING]
    groups = [_each_mode_once(holds), _each_mode_once(feasible)]
    if results is None:
        order = [rule for group in groups for rule in group]
    else:
        order = [rule for group in groups for rule in _by_epsilon(group, results)]
        order.sort(key=lambda rule: _useless(rule, results))
    kept: dict[str, Rule] = {}
    for rule in order:
        kept.setdefault(rule.architecture, rule)
    return tuple(kept.values())


def _each_mode_once(rules: Sequence[Rule]) -> list[Rule]:
    kept: dict[str, Rule] = {}
    for rule in rules:
        kept.setdefault(rule.name, rule)
    return list(kept.values())


def _by_epsilon(rules: Sequence[Rule], results: Results) -> list[Rule]:
    """The rules whose epsilon is known, in its order, at the places that such rules had."""
    needs = [(at, needed) for at, rule in enumerate(rules) if (needed := _needed(rule, results)) is not None]
    order = list(rules)
    for (place, _), (at, _) in zip(needs, sorted(needs, key=lambda each: each[1]), strict=True):
        order[place] = rules[at]
    return order


def _needed(rule: Rule, results: Results) -> float | None:
    return results.needed(rule.architecture, rule.mode)


def _useless(rule: Rule, results: Results) -> bool:
    measured = results.best(rule.architecture, rule.mode)
    return measured is not None and measured.useless
