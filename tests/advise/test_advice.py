"""Advice: reasons that cite answers, results that refine the ranking, drafts that hold."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comity.advise import BY_ID, QUESTIONS, Choice, Facts, Situation, advise, decide, draft
from comity.advise.advice import ARCHITECTURES
from comity.advise.drafting import scored_columns, scoring_note
from comity.advise.process import path
from comity.advise.results import Measured, Results
from comity.advise.rules import NOTHING
from comity.agreement import agreement_from
from comity.architectures import find, names
from comity.architectures.definition import Parties
from comity.crypto.keys import SigningKey
from comity.errors import BadInput, UsageError
from comity.schema import Role, Schema, parse_schema

HOSPITALS = {
    "sensitive": "yes",
    "personal": "yes",
    "suits": "no",
    "providers": "two",
    "mixes": "no",
    "sight": "nothing",
    "mediator": "counts",
    "columns": "linked",
    "start": "yes",
    "proof": "no",
    "want": "model",
    "compute": "yes",
    "enough": "yes",
}


def result(architecture: str, gap: float | None, **more: Any) -> dict[str, Any]:
    return {
        "architecture": architecture,
        "mode": more.get("mode"),
        "utility": {"auc": 0.8, "accuracy": 0.8, "gap_closed": gap, "rows_used": 100},
        "privacy": {"epsilon": more.get("epsilon"), "attacks": more.get("attacks", {})},
        "cost": {"wall_s": 2.0, "bytes_sent": 100},
        **({"error": more["error"]} if "error" in more else {}),
    }


def comparison(*results: dict[str, Any], providers: int = 2) -> dict[str, Any]:
    named = [{"name": f"p{number}", "rows": 100} for number in range(providers)]
    return {"results": list(results), "skipped": [], "inputs": {"providers": named}}


def test_reasons_cite_the_answers_and_the_blueprint() -> None:
    advice = advise(Situation(HOSPITALS))
    assert advice.first.name == "blind-validation (linked)"
    assert "IV-C" in advice.first.source
    assert set(advice.first.cites) == set(path(HOSPITALS))
    assert {"sensitive", "sight", "mediator"} <= set(advice.first.cites)
    why = {one.architecture: one.why for one in advice.against}
    assert why["plain"] == ("the rows are sensitive to the provider", "the rows are about people")
    assert "it needs three providers or more" in why["mediated-release"]
    moved = {(change.question, change.answer): change.then for change in advice.changes}
    assert moved["sight", "predictions"] == ("validation (linked)",)
    assert moved["mediator", "none"] == ("encrypted (exact)",)
    told = advice.to_dict()
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    assert "mediator" in {one["party"] for one in told["trust"]["assumptions"]}
    assert told["trust"]["seen_by"]["provider"]


@given(st.fixed_dictionaries({one.id: st.sampled_from(tuple(one.choices)) for one in QUESTIONS}))
def test_every_advice_is_whole(answers: dict[str, str]) -> None:
    advice = advise(Situation(answers))
    ranked = [choice.architecture for choice in advice.ranked]
    assert len(set(ranked)) == len(ranked)
    fit = [name for name in ranked if name != NOTHING]
    assert NOTHING not in ranked or ranked == [NOTHING]
    assert sorted([*fit, *(one.architecture for one in advice.against)]) == sorted(ARCHITECTURES)
    assert all(one.why for one in advice.against)
    assert all(answers[change.question] != change.answer for change in advice.changes)
    json.dumps(advice.to_dict(), allow_nan=False)


def test_nothing_to_protect_ends_the_questions() -> None:
    advice = advise(Situation({"sensitive": "no", "personal": "no"}))
    assert advice.first.architecture == "plain"
    assert all(one.why == ("it protects what needs no protection here",) for one in advice.against[1:])


def test_missing_answers_are_named() -> None:
    with pytest.raises(UsageError, match="these answers are missing: personal"):
        advise(Situation({"sensitive": "yes"}))


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        ({"secret": "yes"}, "nobody asks 'secret'"),
        ({"sight": "yes"}, "is none of nothing, predictions, model"),
    ],
)
def test_answers_that_nobody_asks_for(answers: dict[str, str], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        Situation(answers)


def test_personal_data_that_was_found_is_there_whatever_people_say() -> None:
    facts = Facts(told={"personal": ("yes", "mail at north: email addresses")})
    advice = advise(Situation({**HOSPITALS, "sensitive": "no", "personal": "no"}, facts))
    assert advice.first.architecture != "plain"
    assert any("the answer was no" in note for note in advice.notes)
    other = Facts(told={"suits": ("yes", "a model keeps 90%")})
    assert any("measured says otherwise" in note for note in advise(Situation(HOSPITALS, other)).notes)


def test_results_answer_what_they_measured() -> None:
    asked = {
        name: answer for name, answer in HOSPITALS.items() if name not in ("suits", "enough", "providers")
    }
    asked["sensitive"] = "no"
    good = comparison(result("direct-release", 0.8), result("validation", 0.6, mode="linked", epsilon=1.0))
    advice = advise(Situation(asked), good)
    assert advice.first.architecture == "direct-release"
    assert advice.known["suits"].how == "compared"
    assert advice.first.measured is not None
    poor = comparison(result("direct-release", 0.2), result("validation", 0.6, mode="linked", epsilon=1.0))
    assert advise(Situation(asked), poor).first.architecture == "blind-validation"


def test_what_was_measured_useless_stands_behind() -> None:
    linked = {"mode": "linked", "epsilon": 1.0}
    advice = advise(
        Situation(HOSPITALS), comparison(result("blind-validation", 0.03, **linked), result("synthetic", 0.7))
    )
    assert advice.first.architecture != "blind-validation"
    assert any("speak for blind-validation" in note for note in advice.notes)
    leaking = {"label": {"advantage": 0.6, "low": 0.5, "high": 0.7, "bound": 0.46}}
    leaks = comparison(result("blind-validation", 0.9, attacks=leaking, **linked))
    assert advise(Situation(HOSPITALS), leaks).first.architecture != "blind-validation"
    failed = comparison(result("blind-validation", None, error={"message": "a party stopped"}, **linked))
    assert advise(Situation(HOSPITALS), failed).first.architecture != "blind-validation"
    held = comparison()
    reason = "it ran, and nothing was released"
    held["skipped"] = [{"architecture": "blind-validation", "reason": reason, "withheld": True}]
    advice = advise(Situation(HOSPITALS), held)
    assert advice.first.architecture != "blind-validation"
    assert any(reason in note for note in advice.notes)
    fine = comparison(result("blind-validation", 0.6, **linked))
    assert advise(Situation(HOSPITALS), fine).first.architecture == "blind-validation"


def test_what_taught_nothing_is_said_to_be_no_better_than_alone() -> None:
    room = result("clean-room", -0.17, mode="statistics", epsilon=1.0)
    assert (
        Measured.of(room)
        .words()
        .endswith(
            "-17% of the gap between alone and pooled closed, which counts as no better than alone, 2.0 s"
        )
    )
    assert "no better" not in Measured.of(result("clean-room", 0.5)).words()


def test_the_document_names_every_answer_as_it_is_typed() -> None:
    written = (Path(__file__).parents[2] / "docs" / "advise.md").read_text(encoding="utf-8")
    for question in QUESTIONS:
        row = next(line for line in written.splitlines() if line.startswith(f"| `{question.id}` |"))
        assert ", ".join(f"`{answer}`" for answer in question.choices) in row


def test_the_smallest_epsilon_that_is_of_use_is_pointed_out() -> None:
    swept = [
        result("blind-validation", gap, mode="linked", epsilon=epsilon)
        for epsilon, gap in ((0.1, 0.2), (0.3, 0.6), (1.0, 0.7), (3.0, 0.71))
    ]
    measured = advise(Situation(HOSPITALS), comparison(*swept)).first.measured
    assert measured is not None
    assert measured.epsilon == 0.3


def test_what_says_that_there_are_enough_records_is_the_smallest_epsilon_of_use() -> None:
    asked = {name: answer for name, answer in HOSPITALS.items() if name != "enough"}
    swept = [
        result("blind-validation", gap, mode="linked", epsilon=epsilon)
        for epsilon, gap in ((1.0, 1.06), (50.0, 1.26))
    ]
    known = advise(Situation(asked), comparison(*swept)).known["enough"]
    assert known.answer == "yes"
    assert "at epsilon 1," in known.evidence


CANARY = {"canary": {"advantage": 0.83, "low": 0.8, "high": 0.86, "bound": 1.0}}
TRAINED = {
    **HOSPITALS,
    "providers": "many",
    "sight": "model",
    "start": "no",
    "columns": "provider",
    "mediator": "none",
    "suits": "no",
}
"""The process speaks for federated; synthetic and others fit as well."""


def trained(*more: dict[str, Any]) -> dict[str, Any]:
    """A comparison where federated is of use at an epsilon alone that protects little."""
    swept = [
        result("federated", -1.64, mode="private", epsilon=1.0),
        result("federated", 0.9, mode="private", epsilon=50.0, attacks=CANARY),
    ]
    return comparison(*swept, *more, providers=3)


def test_each_epsilon_is_shown_and_one_that_protects_little_is_said_to() -> None:
    first = advise(Situation(TRAINED), trained()).first
    assert first.name == "federated (private)"
    assert [one.epsilon for one in first.sweep] == [1.0, 50.0]
    assert "worse than alone" in first.sweep[0].outcome()
    assert "epsilon 50 protects little" in first.weakness
    assert "10^22" in first.weakness
    assert "right 91.5 of 100" in first.weakness
    assert first.measured is not None
    assert "protects little" in first.measured.words()
    fine = advise(
        Situation(TRAINED), comparison(result("federated", 0.6, mode="private", epsilon=10.0), providers=3)
    )
    assert fine.first.weakness == ""


def test_what_closes_half_of_the_gap_at_a_smaller_epsilon_comes_first() -> None:
    advice = advise(Situation(TRAINED), trained(result("synthetic", 0.55, epsilon=1.0)))
    assert advice.first.architecture == "synthetic"
    assert any("speak for federated (private), but it needs epsilon 50" in note for note in advice.notes)
    little = advise(Situation(TRAINED), trained(result("synthetic", 0.3, epsilon=1.0)))
    assert little.first.architecture == "federated"


def test_another_mode_of_the_same_architecture_is_advised_where_the_first_was_of_no_use() -> None:
    answers = {**HOSPITALS, "sight": "model", "suits": "no"}
    results = comparison(
        result("validation", 0.0, mode="linked", epsilon=1.0),
        result("validation", 0.7, mode="hosted", epsilon=1.0),
    )
    advice = advise(Situation(answers), results)
    assert advice.first.name == "validation (hosted)"
    assert any("speak for validation (linked)" in note for note in advice.notes)


@pytest.mark.parametrize("answers", [TRAINED, HOSPITALS, {**HOSPITALS, "columns": "spread"}])
@pytest.mark.parametrize("others", [(), (result("synthetic", 0.55, epsilon=1.0),)])
@pytest.mark.parametrize("left_out", [(), ("suits", "mixes", "want")])
def test_each_change_is_what_a_second_decision_says(
    answers: dict[str, str], others: tuple[dict[str, Any], ...], left_out: tuple[str, ...]
) -> None:
    """Every answer is tried with the same measurements: those told change the advice, the others do not."""
    results = trained(*others, result("clean-room", 0.7, mode="private", epsilon=1.0))
    given = {name: answer for name, answer in answers.items() if name not in left_out}
    given |= {name: answers[name] for name in needed(given, answers, results)}
    advice = advise(Situation(given), results)
    told = {(change.question, change.answer): change.then for change in advice.changes}
    assert told
    for question, known in advice.known.items():
        for answer in BY_ID[question].choices:
            if answer == known.answer:
                continue
            again = decided({**given, question: answer}, results)
            then = told.get((question, answer), (advice.first.name,))
            assert set(then) == again if then else len(again) > 3, (question, answer)


def needed(given: dict[str, str], answers: dict[str, str], results: dict[str, Any]) -> set[str]:
    """What has to be answered besides."""
    more: set[str] = set()
    while (question := asked_next({**given, **{name: answers[name] for name in more}}, results)) is not None:
        more.add(question)
    return more


def asked_next(given: dict[str, str], results: dict[str, Any]) -> str | None:
    known = Situation(given).known(Results.of(results))
    return decide({name: one.answer for name, one in known.items()})[1]


def decided(given: dict[str, str], results: dict[str, Any]) -> set[str]:
    """What is advised, whatever is answered to what is asked besides."""
    question = asked_next(given, results)
    if question is None:
        return {advise(Situation(given), results).first.name}
    return set().union(*(decided({**given, question: answer}, results) for answer in BY_ID[question].choices))


def test_nothing_fits_where_columns_are_spread_and_a_bound_is_required() -> None:
    advice = advise(Situation({**HOSPITALS, "columns": "spread", "proof": "yes"}))
    assert advice.first.architecture == NOTHING
    moved = {(change.question, change.answer): change.then for change in advice.changes}
    assert moved["proof", "no"] == ("encrypted (exact)",)
    with pytest.raises(UsageError, match="nothing to draft"):
        draft(advice.first, Parties(("north", "south"), "analyst", "court"))


def test_a_much_better_one_is_pointed_out() -> None:
    results = comparison(
        result("blind-validation", 0.5, mode="linked", epsilon=1.0), result("synthetic", 0.9, epsilon=1.0)
    )
    assert any(
        note.startswith("synthetic fits as well") for note in advise(Situation(HOSPITALS), results).notes
    )


def test_a_gap_too_small_to_tell_is_pointed_out() -> None:
    results = comparison(result("blind-validation", 0.0, mode="linked", epsilon=1.0))
    results["references"] = {"alone": {"auc": 0.84}, "pooled": {"auc": 0.85}}
    advice = advise(Situation(HOSPITALS), results)
    assert advice.first.architecture == "blind-validation"
    assert any("little to gain" in note for note in advice.notes)
    results["references"]["pooled"]["auc"] = 0.9
    assert advise(Situation(HOSPITALS), results).first.architecture != "blind-validation"


def test_results_that_are_none() -> None:
    for wrong in ({}, {"results": 3}, [], {"results": [{}], "inputs": {"providers": []}, "skipped": []}):
        with pytest.raises(BadInput, match="no results of a comparison"):
            advise(Situation(HOSPITALS), wrong)  # type: ignore[arg-type]  # what a user's file may hold


PRIVATE = parse_schema(
    {
        "columns": {
            "age": {"role": "quasi_identifier", "type": "integer", "min": 0, "max": 110},
            "ill": {"role": "target", "type": "category", "values": ["no", "yes"]},
        }
    },
    where="the test",
)


def open_schema() -> Schema:
    columns = {
        name: column.model_copy(update={"role": Role.insensitive}) if column.role != Role.target else column
        for name, column in PRIVATE.columns.items()
    }
    return Schema(columns=columns)


def every_choice() -> dict[str, tuple[Choice, str]]:
    """Each architecture and mode that is ever advised, for one, two and many providers."""
    found: dict[str, tuple[Choice, str]] = {}
    for values in product(*(question.choices for question in QUESTIONS)):
        answers = dict(zip([question.id for question in QUESTIONS], values, strict=True))
        rule, _ = decide(answers)
        assert rule is not None
        name = f"{rule.name}, {answers['providers']}"
        if name not in found:
            found[name] = advise(Situation(answers)).first, answers["providers"]
    return found


def test_the_draft_of_every_advice_is_an_agreement() -> None:
    """Whatever is advised, the clause drafted for it holds against the agreement's own checks."""
    choices = every_choice()
    assert {choice.architecture for choice, _ in choices.values()} == {*ARCHITECTURES, NOTHING}
    for name, (choice, providers) in choices.items():
        if choice.architecture in names():
            agreement_from(document_of(choice, {"one": 1, "two": 2, "many": 3}[providers]), where=name)


def document_of(choice: Choice, count: int) -> dict[str, Any]:
    """An agreement out of a draft's answers, with what only people know filled in."""
    providers = tuple(f"p{number}" for number in range(count))
    plain = choice.architecture == "plain"
    schema = open_schema() if plain else PRIVATE
    frame = {"rows": 100, "sha256": "0" * 64}
    parties = Parties(providers, "analyst", "mediator")
    given = draft(choice, parties, schema=schema, personal=not plain, frame=frame)
    mode, spends = choice.mode, find(choice.architecture).charged(choice.mode)
    budget = {"epsilon": 1.0, "delta": 1e-6, "delta_additive": 9e-7}
    return {
        "comity": 1,
        "title": "Test",
        "parties": [
            {"name": name, "role": role, "key": str(SigningKey.generate().verify_key)}
            for name, role in given["parties"].items()
        ],
        "purpose": {"text": "test", "legal_basis": given.get("purpose", {}).get("legal_basis", "contract")},
        "data": [
            {
                "provider": name,
                "lineage": "test",
                "source": "made up",
                "licence": "none",
                "mediator_may_hold": mode == "entrusted",
                **given["data"][name],
                **({"budget": budget} if spends else {}),
            }
            for name in providers
        ],
        "architectures": given["architectures"],
        "expires": (datetime.now(UTC) + timedelta(days=30)).date().isoformat(),
    }


def test_two_providers_compute_by_themselves_where_there_is_no_third_party() -> None:
    choice = advise(Situation({**HOSPITALS, "mediator": "none"})).first
    assert choice.architecture == "encrypted"
    clause = draft(choice, Parties(("north", "south"), "analyst", ""))["architectures"]["encrypted"]
    assert (clause["protocol"], clause["compute"]) == ("cheetah", ["north", "south"])
    third = draft(choice, Parties(("north", "south"), "analyst", "court"))
    assert third["architectures"]["encrypted"]["compute"] == ["north", "south", "court"]
    assert third["parties"]["court"] == "mediator"


def test_a_draft_of_split_columns_names_what_each_has() -> None:
    choice = advise(Situation({**HOSPITALS, "columns": "spread"})).first
    held = {"north": ("age",), "south": ("ill",)}
    parties = Parties(("north", "south"), "analyst", "court")
    given = draft(choice, parties, schema=PRIVATE, held=held, partition="columns")
    assert given["architectures"]["encrypted"]["membership_to"] == ["north", "south"]
    # a further column at one of them splits no record
    rows = draft(choice, parties, schema=PRIVATE, held=held)
    assert "membership_to" not in rows["architectures"]["encrypted"]
    assert {name: list(data["columns"]) for name, data in given["data"].items()} == {
        "north": ["age"],
        "south": ["ill"],
    }


def test_a_draft_needs_the_mediator_that_the_architecture_needs() -> None:
    choice = advise(Situation(HOSPITALS)).first
    with pytest.raises(UsageError, match="--mediator"):
        draft(choice, Parties(("north", "south"), "analyst", ""))


HIDDEN = {
    **HOSPITALS,
    "providers": "many",
    "mediator": "none",
    "columns": "provider",
    "start": "no",
    "proof": "yes",
}
"""Nobody may see the model, a bound is required, and the providers can compute."""


def test_a_bound_for_a_model_that_nobody_sees_is_training_on_shares_with_noise() -> None:
    advice = advise(Situation(HIDDEN))
    assert advice.first.name == "encrypted (private)"
    assert "Three of the providers compute" in advice.first.reason
    two = advise(Situation({**HIDDEN, "providers": "two", "mediator": "counts"})).first
    assert two.name == "encrypted (private)"
    assert "The mediator is the third" in two.reason
    for change, lacks in (
        ({"compute": "no"}, "it needs providers that can run a training"),
        ({"providers": "two"}, "it needs a mediator"),
        ({"columns": "spread"}, "it needs whole records at each provider"),
    ):
        other = advise(Situation({**HIDDEN, **change}))
        assert other.first.architecture == (NOTHING if "columns" in change else "synthetic")
        why = {one.architecture: one.why for one in other.against}
        assert why["encrypted"] == (lacks,)  # and not that it has no bound: it has one in its other mode
        assert "cannot train" not in other.first.reason


def test_a_draft_of_training_on_shares_with_noise_names_three_that_compute() -> None:
    choice = advise(Situation({**HIDDEN, "providers": "two", "mediator": "counts"})).first
    parties = Parties(("north", "south"), "analyst", "court")
    clause = draft(choice, parties, schema=PRIVATE, epsilon=0.5)["architectures"]["encrypted"]
    assert clause["compute"] == ["north", "south", "court"]
    assert (clause["epsilon"], "unsafe_exact" in clause) == (0.5, False)
    with pytest.raises(UsageError, match="--mediator"):
        draft(choice, Parties(("north", "south"), "analyst", ""), schema=PRIVATE)
    columns = {**PRIVATE.to_dict()["columns"], "who": {"role": "identifier", "type": "text"}}
    people = parse_schema({"columns": columns, "unit": {"column": "who", "max_rows": 3}}, where="the test")
    with pytest.raises(UsageError, match="hides one record"):
        draft(choice, parties, schema=people)


def test_a_draft_of_scoring_keeps_most_of_the_model_back() -> None:
    """`age` is a place and a mark for missing; `job` a mark for each level and one for missing."""
    answers = {**HOSPITALS, "want": "scores", "sight": "predictions"}
    choice = advise(Situation(answers)).first
    assert choice.architecture == "homomorphic"
    job = {"role": "quasi_identifier", "type": "category", "values": list("abcdefgh")}
    wide = parse_schema({"columns": {**PRIVATE.to_dict()["columns"], "job": job}}, where="the test")
    parties = Parties(("north",), "analyst", "")
    for schema, held, columns in (
        (PRIVATE, None, 2),
        (wide, None, 11),
        (wide, {"north": ["job", "ill"]}, 9),
        (None, None, None),
    ):
        clause = draft(choice, parties, schema=schema, held=held)["architectures"]["homomorphic"]
        assert scored_columns(schema, held) == columns
        assert clause["queries"] == (100 if columns is None else max(1, columns // 4))
        assert columns is None or clause["queries"] < columns
        assert clause["flooding_bits"] == 52
        assert f"{clause['queries']} rows" in scoring_note(clause, columns)
    assert "tell all of the model" in scoring_note({"queries": 12}, 11)


def test_questions_are_for_people() -> None:
    for question in QUESTIONS:
        assert question.text.endswith("?") or "?" in question.text
        assert question.who in ("provider", "ml_party", "both")
        assert len(question.choices) >= 2
        for choice in question.choices.values():
            assert choice.words
            assert not choice.said.endswith(".")
