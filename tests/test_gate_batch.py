"""Several plans through the gate together: the same order, record and answers as one by one."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from comity.errors import BudgetRefused, ClauseRefused, ComityError, Refused
from comity.gate import execute
from comity.gate_batch import BatchGate, execute_all
from comity.ledger import Account, Ledger, PrivacyUnit, Relation, pure
from comity.plan import Outcome, Plan, Release, Share, Verdict

LABELS = Account("north", "patients", PrivacyUnit.label)


def asking(number: int, epsilon: float = 0.01, **changes: Any) -> Plan:
    settings = {
        "architecture": "validation",
        "purpose": "count something",
        "recipient": "analyst",
        "topic": "feedback",
        "request": {"question": number},
        "asks": {"minimum_group": 5},
        "account": LABELS,
        "cost": pure(epsilon, unit=PrivacyUnit.label, relation=Relation.change_one),
        "run": lambda: Outcome(body={"count": number}),
    }
    return Plan(**(settings | changes))


def clause(queries: int) -> dict[str, Any]:
    return {"mode": "linked", "epsilon": 2.0, "delta": 2e-6, "minimum_group": 5, "queries": queries}


def told(ledger: Ledger) -> list[tuple[str, Any]]:
    """What the ledger says, without times and seqs."""
    entries = ledger.events()[1:]
    return [(entry.kind, {k: v for k, v in entry.body.items() if k != "budget"}) for entry in entries]


def by_kind(ledger: Ledger) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for kind, body in told(ledger):
        found.setdefault(kind, []).append(body)
    return found


def test_each_plan_gets_its_own_release_with_a_receipt_that_verifies(pact: Any, ledger: Ledger) -> None:
    plans = [asking(at) for at in range(5)]
    found = execute_all(plans, pact.agreement, ledger)
    assert [release.body["outcome"]["count"] for release in found] == [0, 1, 2, 3, 4]
    for plan, release in zip(plans, found, strict=True):
        assert isinstance(release, Release)
        entry = release.receipt.verify(ledger.verify_key, recipient="analyst")
        assert entry.body["plan"] == plan.name == release.receipt.plan
    assert ledger.verify().ok


def test_the_ledger_says_the_same_as_after_one_plan_at_a_time(pact: Any, tmp_path: Path) -> None:
    """The slow twin: every plan through `execute`."""
    plans = [asking(0), asking(1, 5.0), asking(2, recipient="south"), asking(3, sealed=True), asking(4)]
    with Ledger.open(tmp_path / "one.db", owner="north") as one:
        slow = []
        for plan in plans:
            try:
                slow.append(execute(plan, pact.agreement, one))
            except Refused as refusal:
                slow.append(refusal)
        expected, left = by_kind(one), one.remaining(LABELS)
    with Ledger.open(tmp_path / "all.db", owner="north") as together:
        fast = execute_all(plans, pact.agreement, together)
        assert by_kind(together) == expected
        assert together.remaining(LABELS) == left
        assert together.verify().ok
    assert [type(each) for each in fast] == [type(each) for each in slow]
    assert [type(each) for each in fast] == [Release, BudgetRefused, ClauseRefused, Share, Release]
    assert [str(each) for each in fast if isinstance(each, Refused)] == [
        str(each) for each in slow if isinstance(each, Refused)
    ]


def test_all_charges_are_on_disk_before_a_private_byte_is_read(
    pact: Any, ledger: Ledger, tmp_path: Path
) -> None:
    seen: list[list[str]] = []

    def run() -> Outcome:
        with Ledger.open(tmp_path / "ledger.db", key=None) as other:
            seen.append([entry.kind for entry in other.events()])
        return Outcome(body={})

    execute_all([asking(1, run=run), asking(2, run=run)], pact.agreement, ledger)
    assert seen == [["founded", "opened", "asked", "charged", "asked", "charged"]] * 2


def test_one_failing_run_stays_charged_and_stops_no_other(pact: Any, ledger: Ledger) -> None:
    def run() -> Outcome:
        raise ZeroDivisionError("row 17 holds 0 children")

    first, failed, last = execute_all([asking(1), asking(2, run=run), asking(3)], pact.agreement, ledger)
    assert isinstance(first, Release)
    assert isinstance(last, Release)
    assert isinstance(failed, ComityError)
    assert failed.private
    kinds = [kind for kind, _ in told(ledger)]
    assert kinds.count("charged") == 3
    assert kinds.count("released") == 2


def test_what_a_batch_spends_is_decided_plan_by_plan(pact: Any, ledger: Ledger) -> None:
    """The clause has epsilon 1: of nine plans of 0.3 the first three pass, and what is small still does."""
    found = execute_all([*(asking(at, 0.3) for at in range(9)), asking(9, 0.1)], pact.agreement, ledger)
    assert [isinstance(each, Release) for each in found] == [True] * 3 + [False] * 6 + [True]


def test_an_agreement_that_ends_while_plans_run_lets_nothing_leave(pact: Any, ledger: Ledger) -> None:
    def run() -> Outcome:
        body = {
            "ended": pact.agreement.digest,
            "text": "withdrawn from",
            "clause": "data",
            "would_pass": None,
        }
        ledger.append("note", body)
        return Outcome(body={})

    found = execute_all([asking(1, run=run), asking(2)], pact.agreement, ledger)
    assert all(isinstance(each, ClauseRefused) for each in found)
    assert "released" not in by_kind(ledger)
    again = execute_all([asking(3)], pact.agreement, ledger)
    assert isinstance(again[0], ClauseRefused)
    assert len(by_kind(ledger)["charged"]) == 2


def test_what_has_no_privacy_of_its_own_goes_through_the_gate_alone(pact: Any, ledger: Ledger) -> None:
    passes = Verdict(passed=True, reason="holds")
    plan = asking(1, cost=None, check=lambda _: passes)
    with pytest.raises(ComityError, match="by itself"):
        execute_all([asking(0), plan], pact.agreement, ledger)
    assert ledger.size == 1


def test_eight_threads_get_exactly_what_the_budget_holds(pact_with: Any, ledger: Ledger) -> None:
    """Epsilon 2 and plans of 0.1: 20 answers, whoever asks and however they are grouped."""
    pact = pact_with(clauses={"validation": clause(100)})
    gate = BatchGate(pact.agreement, ledger)
    found: list[Any] = []

    def ask(thread: int) -> None:
        for at in range(3):
            plans = [asking(100 * thread + 10 * at + i, 0.1) for i in range(at + 1)]
            found.extend(gate.execute_all(plans))

    threads = [threading.Thread(target=ask, args=(at,)) for at in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 48
    assert sum(isinstance(each, Release) for each in found) == 20
    assert sum(isinstance(each, BudgetRefused) for each in found) == 28
    assert ledger.verify().ok


def test_a_batch_counts_as_its_queries(pact_with: Any, ledger: Ledger) -> None:
    pact = pact_with(clauses={"validation": clause(5)})
    found = execute_all(
        [asking(1, queries=3), asking(2, queries=3), asking(3, queries=2)], pact.agreement, ledger
    )
    assert [isinstance(each, Release) for each in found] == [True, False, True]
    assert isinstance(found[1], ClauseRefused)
    assert found[1].left == "2 of 5"
    with pytest.raises(ClauseRefused, match="used up"):
        execute(asking(4), pact.agreement, ledger)


def test_a_plan_that_tells_again_is_free_if_that_was_released_to_its_recipient(
    pact: Any, ledger: Ledger
) -> None:
    gate = BatchGate(pact.agreement, ledger)
    [first] = gate.execute_all([asking(1)])
    place = first.receipt.sequence
    before = ledger.remaining(LABELS)
    again = asking(2, cost=None, repeats=(place,))
    stranger = asking(3, cost=None, repeats=(place,), recipient="south")
    nothing = asking(4, cost=None, repeats=(place - 1,))
    told_again, *refused = gate.execute_all([again, stranger, nothing])
    assert isinstance(told_again, Release)
    assert told_again.receipt.cost is None
    entry = told_again.receipt.verify(ledger.verify_key, recipient="analyst")
    assert (entry.body["repeats"], entry.body["exact"]) == ([place], False)
    assert all(isinstance(each, ClauseRefused) for each in refused)
    assert ledger.remaining(LABELS) == before
    with pytest.raises(ComityError, match="again"):
        execute(again, pact.agreement, ledger)
    assert ledger.verify().ok
