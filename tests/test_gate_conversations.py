"""Conversations and sealed things at the gate: one share that many answers belong to, own keys, notices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from comity.errors import ClauseRefused, ComityError, VerificationFailed, Withheld
from comity.gate import execute, notify
from comity.ledger import Account, Ledger, PrivacyUnit, Relation, approximate
from comity.plan import Notice, Outcome, Plan, Share, Verdict

RECORDS = Account("north", "patients", PrivacyUnit.record)
PASSES = Verdict(passed=True, reason="holds")
CLAUSES = {
    "encrypted": {"protocol": "aby3", "compute": ["north", "south", "analyst"], "unsafe_exact": True},
    "homomorphic": {"scheme": "ckks", "queries": 10, "unsafe_exact": True},
    "synthetic": {"rows": 100, "epsilon": 1.0, "delta": 1e-6},
}


@pytest.fixture
def pact(pact_with: Callable[..., Any]) -> Any:
    return pact_with(clauses=CLAUSES)


def plan(architecture: str = "encrypted", **changes: Any) -> Plan:
    settings = {
        "architecture": architecture,
        "purpose": "share a table",
        "recipient": "analyst",
        "topic": "shares",
        "request": {"question": "train"},
        "asks": {},
        "account": RECORDS,
        "cost": None,
        "run": lambda: Outcome(body={"opened": True}),
    }
    return Plan(**(settings | changes))


def opening(**changes: Any) -> Plan:
    """A share without differential privacy that pays for three answers."""
    return plan(**({"sealed": True, "opens": 3, "check": lambda _outcome: PASSES} | changes))


def drawn(share: Plan, number: int, **changes: Any) -> Plan:
    request = {"of": share.name, "number": number}
    return plan(
        share.architecture,
        **({"request": request, "draws_on": share.name, "purpose": f"answer {number}"} | changes),
    )


def kinds(ledger: Ledger) -> list[str]:
    return [entry.kind for entry in ledger.events()]


def test_answers_of_an_exact_conversation_are_one_release(pact: Any, ledger: Ledger) -> None:
    share = opening()
    execute(share, pact.agreement, ledger)
    for number in range(3):
        execute(drawn(share, number), pact.agreement, ledger)
    with pytest.raises(ClauseRefused, match="used up"):
        execute(drawn(share, 3), pact.agreement, ledger)
    assert kinds(ledger).count("charged") == 1
    with pytest.raises(ClauseRefused, match="released once"):
        execute(opening(request={"question": "another"}), pact.agreement, ledger)


def test_who_was_refused_takes_nothing_from_an_answer_asked_for_again(pact: Any, ledger: Ledger) -> None:
    share = opening(opens=1)
    execute(share, pact.agreement, ledger)
    first = execute(drawn(share, 0), pact.agreement, ledger)
    with pytest.raises(ClauseRefused, match="used up"):
        execute(drawn(share, 1), pact.agreement, ledger)
    assert execute(drawn(share, 0), pact.agreement, ledger).body["outcome"] == first.body["outcome"]
    with pytest.raises(ClauseRefused, match="used up"):
        execute(drawn(share, 1), pact.agreement, ledger)


def test_a_check_that_breaks_keeps_its_words_at_home(pact: Any, ledger: Ledger) -> None:
    def broken(_outcome: Outcome) -> Verdict:
        raise ValueError("Marie is ill")

    with pytest.raises(ComityError) as caught:
        execute(opening(check=broken), pact.agreement, ledger)
    assert caught.value.private
    assert "Marie" not in caught.value.public_message
    assert "released" not in kinds(ledger)


def test_an_answer_that_fails_its_check_is_withheld_and_frees_nothing(pact: Any, ledger: Ledger) -> None:
    share = opening()
    execute(share, pact.agreement, ledger)
    failing = drawn(share, 0, check=lambda _outcome: Verdict(passed=False, reason="tells too much"))
    with pytest.raises(Withheld):
        execute(failing, pact.agreement, ledger)
    assert "released" not in kinds(ledger)[-1]
    with pytest.raises(ClauseRefused, match="released once"):
        execute(opening(request={"question": "another"}), pact.agreement, ledger)


def test_an_answer_with_differential_privacy_is_never_held_against_private_rows(
    pact: Any, ledger: Ledger
) -> None:
    cost = approximate(0.5, 1e-7, unit=PrivacyUnit.record, relation=Relation.add_remove)
    share = opening(architecture="synthetic", check=None, cost=cost, asks={"rows": 100})
    execute(share, pact.agreement, ledger)
    looked: list[Outcome] = []

    def look(outcome: Outcome) -> Verdict:
        looked.append(outcome)
        return PASSES

    with pytest.raises(ComityError, match="would leak"):
        execute(drawn(share, 0, check=look, asks={"rows": 100}), pact.agreement, ledger)
    assert not looked


def test_what_only_the_sender_can_open_costs_nothing_and_counts_as_queries(pact: Any, ledger: Ledger) -> None:
    def rows(count: int, name: str) -> Plan:
        return plan("homomorphic", sealed=True, own_key=True, queries=count, request={"rows": name})

    first = execute(rows(6, "a"), pact.agreement, ledger)
    assert isinstance(first, Share)
    assert first.receipt.cost is None
    assert "charged" not in kinds(ledger)
    execute(rows(6, "a"), pact.agreement, ledger)  # the same again is not counted again
    with pytest.raises(ClauseRefused, match="do not reach") as caught:
        execute(rows(5, "b"), pact.agreement, ledger)
    told = caught.value.asked, caught.value.left, caught.value.would_pass
    assert told == ("5 queries", "4 of 10", "4 queries or fewer")
    execute(rows(6, "a"), pact.agreement, ledger)  # nor does the one that was refused take its place
    execute(rows(4, "c"), pact.agreement, ledger)
    with pytest.raises(ClauseRefused, match="used up"):
        execute(rows(7, "a"), pact.agreement, ledger)  # one more under the same name is one more
    assert not ledger.events("released")[0].body["exact"]
    assert ledger.verify().ok


@pytest.mark.parametrize(
    "changes",
    [
        {"own_key": True},
        {"own_key": True, "sealed": True, "check": lambda _outcome: PASSES},
        {"sealed": True, "opens": 2},
        {"opens": 2, "check": lambda _outcome: PASSES},
        {},
    ],
)
def test_a_plan_that_names_no_price_of_its_kind_is_none(changes: dict[str, Any]) -> None:
    with pytest.raises(ComityError):
        plan(**changes)


def test_a_provider_gets_shares_only_and_only_where_it_computes(pact: Any, ledger: Ledger) -> None:
    share = opening()
    execute(share, pact.agreement, ledger)
    to_south = drawn(share, 0, recipient="south", sealed=True)
    assert isinstance(execute(to_south, pact.agreement, ledger), Share)
    with pytest.raises(ClauseRefused, match="gets nothing"):
        execute(drawn(share, 1, recipient="south"), pact.agreement, ledger)
    with pytest.raises(ClauseRefused, match="gets nothing"):
        execute(plan("homomorphic", sealed=True, own_key=True, recipient="south"), pact.agreement, ledger)


def test_a_notice_stands_in_the_ledger_and_needs_an_agreement_in_force(
    pact: Any, pact_with: Callable[..., Any], ledger: Ledger
) -> None:
    told = {"recipient": "analyst", "topic": "keys", "body": {"key": "abc"}, "parts": {}}
    notice = notify(pact.agreement, ledger, architecture="synthetic", **told)
    assert isinstance(notice, Notice)
    (noted,) = ledger.events("note")
    assert noted.body["notice"] == Outcome(body={"key": "abc"}).digest
    with pytest.raises(ClauseRefused):
        notify(pact.agreement, ledger, architecture="clean-room", **told)
    with pytest.raises(ClauseRefused, match="expire"):
        notify(pact_with(clauses=CLAUSES, days=-1).agreement, ledger, architecture="synthetic", **told)
    unsigned = pact_with(clauses=CLAUSES, unsigned=("south",)).agreement
    with pytest.raises(VerificationFailed):
        notify(unsigned, ledger, architecture="synthetic", **told)
    assert len(ledger.events("note")) == 1
