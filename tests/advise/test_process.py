"""The selection process: the blueprint's table, every combination of answers, no question without effect."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from itertools import product

import pytest

from comity.advise import BY_ID, QUESTIONS, RULES, Rule, Situation, advise, decide, missing
from comity.advise.advice import ARCHITECTURES
from comity.advise.process import path, settled, standing
from comity.advise.rules import BETTER, LACKS, NOTHING
from comity.architectures import find, names

BLUEPRINT = ("sensitive", "personal", "suits", "providers", "mixes", "sight")
"""The questions of section IV-C itself."""


@cache
def every() -> tuple[tuple[dict[str, str], Rule], ...]:
    """Every combination of answers with its advice."""
    names = [question.id for question in QUESTIONS]
    combined = product(*(question.choices for question in QUESTIONS))
    situations = (dict(zip(names, values, strict=True)) for values in combined)
    advised = [(answers, decide(answers)[0]) for answers in situations]
    assert all(rule is not None for _, rule in advised)
    return tuple((answers, rule) for answers, rule in advised if rule is not None)


def blueprint(sensitive: bool, personal: bool, suits: bool, several: bool, mixes: bool, protect: bool) -> str:
    """Section IV-C of the blueprint, sentence by sentence, written down without looking at the rules."""
    if not sensitive and not personal:
        return "plain"  # "no privacy enhancing tactics are required"
    if not sensitive and suits:
        return "direct-release"  # "Architecture 1.A is advised when the data is suitable for anonymization"
    severed = mixes and (suits or not personal)  # "severed by mixing (and anonymizing) data"
    if sensitive and several and severed:
        return (
            "mediated-release"  # "Architecture 1.B can be applied if multiple data providers are available"
        )
    # "a variant of Architecture 2 ... depending on whether or not the ML party requires model protection"
    return "blind-validation" if protect else "validation"


AS_IN_THE_BLUEPRINT = {
    "columns": "linked",
    "want": "model",
    "start": "yes",
    "proof": "no",
    "enough": "yes",
    "mediator": "rows",
}
"""What the blueprint takes for granted: predictions that can be compared, a first model, a mediator."""


@pytest.mark.parametrize(("providers", "several"), [("one", False), ("many", True)])
@pytest.mark.parametrize("sight", ["nothing", "predictions", "model"])
@pytest.mark.parametrize("compute", ["yes", "no"])
def test_the_blueprints_own_table(providers: str, several: bool, sight: str, compute: str) -> None:
    for sensitive, personal, suits, mixes in product((False, True), repeat=4):
        answers = {
            **AS_IN_THE_BLUEPRINT,
            "sensitive": _word(sensitive),
            "personal": _word(personal),
            "suits": _word(suits),
            "mixes": _word(mixes),
            "providers": providers,
            "sight": sight,
            "compute": compute,
        }
        rule, _ = decide(answers)
        assert rule is not None
        wanted = blueprint(sensitive, personal, suits, several, mixes, sight == "nothing")
        assert rule.architecture == wanted, answers


def test_two_providers_know_each_other_so_that_mixing_hides_nothing() -> None:
    """Where this project is stricter than the blueprint's "multiple data providers" (docs/privacy.md)."""
    answers = {
        **AS_IN_THE_BLUEPRINT,
        "sensitive": "yes",
        "personal": "no",
        "mixes": "yes",
        "sight": "nothing",
    }
    assert _advised({**answers, "providers": "many"}) == "mediated-release"
    assert _advised({**answers, "providers": "two"}) == "blind-validation"


def test_every_combination_of_answers_has_an_advice() -> None:
    assert len(every()) == 82_944


def test_every_architecture_can_be_advised_and_no_baseline() -> None:
    assert {rule.architecture for _, rule in every()} == {*ARCHITECTURES, NOTHING}
    assert not [name for name in ARCHITECTURES if name in names() and find(name).baseline]
    assert {name for name in names() if not find(name).baseline} <= set(ARCHITECTURES)


FORBIDDEN: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "plain": {"personal": ("yes",), "sensitive": ("yes",)},
    "direct-release": {"sensitive": ("yes",), "suits": ("no",), "proof": ("yes",), "columns": ("spread",)},
    "mediated-release": {
        "providers": ("one", "two"),
        "mediator": ("none", "counts"),
        "mixes": ("no",),
        "proof": ("yes",),
        "columns": ("spread",),
    },
    "validation": {"sight": ("nothing",), "start": ("no",), "columns": ("spread",)},
    "blind-validation": {"mediator": ("none",), "start": ("no",), "columns": ("provider", "spread")},
    "federated": {"providers": ("one", "two"), "sight": ("nothing", "predictions"), "compute": ("no",)},
    "encrypted": {"providers": ("one",)},
    "encrypted (exact)": {"proof": ("yes",)},
    "encrypted (private)": {"columns": ("spread",), "compute": ("no",), "providers": ("one",)},
    "homomorphic": {"start": ("no",), "want": ("model", "rows", "program"), "sight": ("nothing",)},
    "clean-room": {"sight": ("nothing", "predictions"), "columns": ("spread",)},
    "synthetic": {"columns": ("spread",)},
    NOTHING: {"columns": ("linked", "provider"), "proof": ("no",)},
}
"""Answers that contradict an architecture, from docs/privacy.md and the agreement's own checks."""

BOUNDED = (
    "validation", "blind-validation", "federated", "encrypted", "homomorphic", "synthetic", "clean-room",
)  # fmt: skip
"""Those that have a mode with a proven bound, or (homomorphic) let nothing readable leave."""


def test_nothing_is_advised_that_an_answer_contradicts() -> None:
    for answers, rule in every():
        for named in {rule.architecture, rule.name}:
            for name, wrong in FORBIDDEN.get(named, {}).items():
                assert settled(answers)[name] not in wrong, (rule.name, answers)
        if rule.name == "encrypted (private)":  # three compute, and none of them is the ML party
            assert answers["providers"] == "many" or answers["mediator"] != "none"
        if answers["proof"] == "yes":
            assert rule.architecture in ("plain", NOTHING, *BOUNDED), rule.name
        if rule.architecture == "mediated-release":
            assert answers["personal"] == "no" or answers["suits"] == "yes"
        if rule.mode == "exact":
            assert answers["proof"] == "no"
        if rule.name == "validation (hosted)":
            assert answers["sight"] == "model"


def test_what_is_advised_for_split_columns_runs_on_them() -> None:
    """As `comity compare --partition columns` has it; where nothing needs protection, nothing has to run."""
    for answers, rule in every():
        if settled(answers)["columns"] == "spread" and rule.architecture not in ("plain", NOTHING):
            found = find(rule.architecture)
            assert "columns" in (found.exposure(rule.mode).partitions or found.partitions), rule.name


def test_scores_and_no_prediction_contradict_each_other() -> None:
    """Whoever answers both is told, whatever is advised; nobody else is."""
    looked_at = every()[::97]
    both = [(answers["want"], answers["sight"]) == ("scores", "nothing") for answers, _ in looked_at]
    assert any(both)
    for (answers, _), contradict in zip(looked_at, both, strict=True):
        notes = advise(Situation(answers)).notes
        assert any("every score is a prediction" in note for note in notes) is contradict


def test_scores_that_may_be_seen_lead_to_homomorphic_with_a_word_on_what_they_tell() -> None:
    led = [(answers, rule) for answers, rule in every() if rule.architecture == "homomorphic"]
    assert {answers["sight"] for answers, _ in led} == {"predictions", "model"}
    assert all("few more rows than columns" in rule.caution for _, rule in led)


def test_a_mediator_is_there_where_a_program_of_one_runs() -> None:
    mediated = {name for name in names() if "mediator" in find(name).programs}
    mediated -= {"encrypted"}  # there a mediator computes only where the agreement names it
    assert mediated == {"mediated-release", "blind-validation"}
    for answers, rule in every():
        assert rule.architecture not in mediated or answers["mediator"] != "none"


def test_every_question_matters() -> None:
    by_answers = {tuple(answers.values()): rule for answers, rule in every()}
    for question in QUESTIONS:
        changed = 0
        for answers, rule in every():
            for other in question.choices:
                moved = by_answers[tuple({**answers, question.id: other}.values())]
                changed += moved is not rule
            if changed:
                break
        assert changed, question.id


def test_what_was_not_asked_does_not_matter() -> None:
    for answers, rule in every()[::13]:
        asked = path(answers)
        assert decide({name: answers[name] for name in asked}) == (rule, None)


def test_few_questions_lead_to_an_advice() -> None:
    lengths = [len(path(answers)) for answers, _ in every()[::13]]
    assert min(lengths) == 2
    assert sum(lengths) / len(lengths) < 8


def test_the_blueprints_questions_come_first() -> None:
    assert tuple(question.id for question in QUESTIONS)[: len(BLUEPRINT)] == BLUEPRINT
    assert missing({})[:2] == ("sensitive", "personal")
    assert missing({"sensitive": "no", "personal": "no"}) == ()


def test_rules_are_about_questions_that_are_asked() -> None:
    for rule in RULES:
        assert rule.reason.endswith(".")
        assert rule.source
        if rule.architecture == NOTHING:
            continue
        assert rule.architecture in BETTER
        for name, allowed in {**rule.needs, **rule.prefers}.items():
            assert set(allowed) < set(BY_ID[name].choices)
        for need in rule.needs.items():
            assert need in LACKS


def test_modes_are_those_of_the_architecture() -> None:
    for rule in RULES:
        if rule.architecture in names():
            modes = find(rule.architecture).modes
            assert rule.mode in (modes or (None,)), rule.name


def test_an_open_rule_says_what_it_does_not_know() -> None:
    rule = RULES[1]
    stands = standing(rule, {"sensitive": "no", "suits": "yes"})
    assert not stands.holds
    assert not stands.feasible
    assert stands.unknown == ("columns", "proof")
    assert standing(rule, {"sensitive": "yes"}).broken == ("sensitive",)


def _word(flag: bool) -> str:
    return "yes" if flag else "no"


def _advised(answers: Mapping[str, str]) -> str:
    rule, _ = decide(answers)
    assert rule is not None
    return rule.architecture
