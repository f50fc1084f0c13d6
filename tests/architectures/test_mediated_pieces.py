"""What leaves in pieces, and what is made of several providers' data, at the gate."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from comity.architectures.mediated_pieces import Candidate
from comity.errors import ClauseRefused, ComityError, Withheld
from comity.gate import execute, piece
from comity.ledger import Account, Ledger, PrivacyUnit
from comity.plan import Outcome, Plan, Release, Share, Verdict

NORTH, SOUTH = (Account(name, "patients", PrivacyUnit.record) for name in ("north", "south"))


@pytest.fixture
def candidate(tmp_path: Path) -> Candidate:
    made = Candidate(tmp_path / "candidate")
    made.begin()
    for data in (b"one", b"two"):
        made.add(data)
    made.finish({"manifest": {"k": 3}}, {"part": b"beside"})
    return made


@pytest.fixture
def plan(candidate: Candidate) -> Plan:
    return Plan(
        architecture="direct-release",
        purpose="release a union",
        recipient="analyst",
        topic="release",
        request={"columns": ["age"]},
        asks={"k": 3, "suppression": 0.1},
        account=NORTH,
        also=(SOUTH,),
        cost=None,
        run=candidate.outcome,
        check=lambda _outcome: Verdict(passed=True, reason="holds"),
    )


def test_a_candidate_is_whole_or_not_there(tmp_path: Path, candidate: Candidate) -> None:
    again = Candidate(tmp_path / "candidate")
    assert again.complete
    assert list(again.pieces()) == [b"one", b"two"]
    assert again.outcome().digest == candidate.outcome().digest
    assert again.outcome().parts == {"part": b"beside"}
    again.begin()
    again.add(b"three")
    assert not Candidate(tmp_path / "candidate").complete
    again.discard()
    assert not (tmp_path / "candidate").exists()


def test_pieces_leave_once_their_outcome_has(
    plan: Plan, candidate: Candidate, pact: Any, ledger: Ledger
) -> None:
    outcome = candidate.outcome()
    with pytest.raises(ComityError, match="piece 0 is not of what"):
        piece(plan, outcome, 0, b"one", ledger)
    released = execute(plan, pact.agreement, ledger)
    assert isinstance(piece(plan, outcome, 0, b"one", ledger), Release)
    second = piece(plan, outcome, 1, b"two", ledger)
    assert second.parts == {"piece": b"two"}
    assert second.body["receipt"]["outcome"] == released.body["receipt"]["outcome"]


@pytest.mark.parametrize(("number", "data"), [(0, b"two"), (1, b"twq"), (2, b"two"), (-1, b"two")])
def test_other_bytes_do_not_leave(
    number: int, data: bytes, plan: Plan, candidate: Candidate, pact: Any, ledger: Ledger
) -> None:
    execute(plan, pact.agreement, ledger)
    with pytest.raises(ComityError, match="is not of what"):
        piece(plan, candidate.outcome(), number, data, ledger)


def test_pieces_of_another_plan_recipient_or_outcome_do_not_leave(
    plan: Plan, candidate: Candidate, pact: Any, ledger: Ledger
) -> None:
    execute(plan, pact.agreement, ledger)
    outcome = candidate.outcome()
    forged = Outcome(
        body={**outcome.body, "pieces": [*outcome.body["pieces"], "0" * 64]}, parts=outcome.parts
    )
    for changed, listed in (
        (replace(plan, request={"columns": ["job"]}), outcome),
        (replace(plan, recipient="south"), outcome),
        (plan, forged),
    ):
        with pytest.raises(ComityError, match="is not of what"):
            piece(changed, listed, 0, b"one", ledger)


def test_sealed_pieces_are_shares(plan: Plan, candidate: Candidate, pact: Any, ledger: Ledger) -> None:
    sealed = replace(plan, sealed=True)
    assert isinstance(execute(sealed, pact.agreement, ledger), Share)
    assert isinstance(piece(sealed, candidate.outcome(), 0, b"one", ledger), Share)


def test_what_is_made_of_two_providers_data_is_charged_to_both(plan: Plan, pact: Any, ledger: Ledger) -> None:
    execute(plan, pact.agreement, ledger)
    charged = ledger.events("charged")
    assert [entry.body["account"] for entry in charged] == [str(NORTH), str(SOUTH)]
    (released,) = ledger.events("released")
    assert released.body["also"] == [str(SOUTH)]


@pytest.mark.parametrize("account", [NORTH, SOUTH])
def test_no_second_release_of_either_leaves(account: Account, plan: Plan, pact: Any, ledger: Ledger) -> None:
    execute(plan, pact.agreement, ledger)
    other = replace(plan, request={"columns": ["job"]}, account=account, also=())
    with pytest.raises(ClauseRefused, match="released once without differential privacy"):
        execute(other, pact.agreement, ledger)
    assert len(ledger.events("charged")) == 2


def test_a_release_of_one_stands_in_the_way_of_both(plan: Plan, pact: Any, ledger: Ledger) -> None:
    execute(replace(plan, request={"columns": ["job"]}, account=SOUTH, also=()), pact.agreement, ledger)
    with pytest.raises(ClauseRefused, match="released once"):
        execute(plan, pact.agreement, ledger)


def test_after_one_was_withheld_another_may_be_tried(plan: Plan, pact: Any, ledger: Ledger) -> None:
    failing = replace(plan, check=lambda _outcome: Verdict(passed=False, reason="no"))
    with pytest.raises(Withheld):
        execute(failing, pact.agreement, ledger)
    execute(replace(plan, request={"columns": ["job"]}), pact.agreement, ledger)


def test_the_other_account_has_to_be_in_the_agreement(
    plan: Plan, pact: Any, ledger: Ledger, pact_with: Callable[..., Any]
) -> None:
    stray = replace(plan, also=(Account("south", "others", PrivacyUnit.record),))
    with pytest.raises(ClauseRefused, match="other data of this provider"):
        execute(stray, pact.agreement, ledger)
    with pytest.raises(ClauseRefused):
        execute(
            replace(plan, also=(Account("nobody", "patients", PrivacyUnit.record),)), pact.agreement, ledger
        )
    assert ledger.events("charged") == []


def test_the_outcome_lists_digests_only(candidate: Candidate) -> None:
    listed = SimpleNamespace(**candidate.outcome().body).pieces
    assert all(len(digest) == 64 for digest in listed)
    assert "one" not in json.dumps(listed)
