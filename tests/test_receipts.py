"""Receipts: the recipient can tell that the sender's ledger holds just this release."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from comity.crypto.keys import SigningKey
from comity.errors import BadInput, VerificationFailed
from comity.gate import execute
from comity.ledger import Account, Ledger, PrivacyUnit, Relation, gaussian
from comity.ledger.checkpoints import Checkpoint
from comity.ledger.commitments import commit, record
from comity.plan import Outcome, Plan, Receipt

ACCOUNT = Account("north", "patients", PrivacyUnit.label)


def plan(number: int = 1) -> Plan:
    return Plan(
        architecture="validation",
        purpose="auc",
        recipient="analyst",
        topic="t",
        request={"n": number},
        asks={"mode": "linked", "minimum_group": 5},
        account=ACCOUNT,
        cost=gaussian(40.0, unit=PrivacyUnit.label, relation=Relation.change_one),
        run=lambda: Outcome({"value": number}),
    )


@pytest.fixture
def receipt(pact: Any, tmp_path: Any) -> Receipt:
    with Ledger.open(tmp_path / "north.db", key=pact.keys["north"], owner="north") as ledger:
        commitment = commit([{"id": 1}], ["id"], bytes(32))
        record(ledger, ACCOUNT, commitment)
        execute(plan(), pact.agreement, ledger)
        issued = execute(plan(2), pact.agreement, ledger)
    return Receipt.from_dict(issued.body["receipt"])


def test_it_proves_the_ledgers_own_entry(receipt: Receipt, pact: Any) -> None:
    entry = receipt.verify(pact.keys["north"].verify_key, recipient="analyst")
    assert (entry.kind, entry.seq) == ("released", receipt.sequence)
    assert entry.body["commitment"] == commit([{"id": 1}], ["id"], bytes(32)).digest.hex()
    assert Checkpoint.from_dict(receipt.checkpoint).size == entry.seq + 1
    assert Receipt.from_dict(receipt.to_dict()) == receipt


@pytest.mark.parametrize("name", ["plan", "clause", "outcome"])
def test_what_the_ledger_does_not_say_is_refused(receipt: Receipt, pact: Any, name: str) -> None:
    key = pact.keys["north"].verify_key
    with pytest.raises(VerificationFailed, match=f"{name} differs from the receipt"):
        replace(receipt, **{name: "ab" * 32}).verify(key, recipient="analyst")
    with pytest.raises(VerificationFailed, match="recipient differs"):
        receipt.verify(key, recipient="bank")
    with pytest.raises(VerificationFailed, match="signature"):
        receipt.verify(SigningKey.generate().verify_key, recipient="analyst")


@pytest.mark.parametrize(
    "entry",
    [{}, {"leaf": "00" * 32}, {"salt": "00" * 32}, {"event": "{}"}, {"path": []}, {"path": None}],
)
def test_a_proof_that_was_altered_is_refused(receipt: Receipt, pact: Any, entry: dict[str, Any]) -> None:
    altered = replace(receipt, entry={**receipt.entry, **entry} if entry else {})
    with pytest.raises(VerificationFailed):
        altered.verify(pact.keys["north"].verify_key, recipient="analyst")


def test_an_entry_of_another_kind_or_place_is_refused(receipt: Receipt, pact: Any, tmp_path: Any) -> None:
    key = pact.keys["north"]
    with Ledger.open(tmp_path / "north.db", key=key) as ledger:
        for seq in (0, receipt.sequence - 1):
            opening = ledger.opening(seq).to_dict()
            shown = {name: opening[name] for name in ("leaf", "path", "salt", "event")}
            other = replace(receipt, sequence=seq, entry=shown, checkpoint=opening["checkpoint"])
            with pytest.raises(VerificationFailed, match="is not this release"):
                other.verify(key.verify_key, recipient="analyst")


@pytest.mark.parametrize("damage", [{"entry": 3}, {"sequence": "1"}, {"plan": 1}, {"more": 1}])
def test_what_is_no_receipt(receipt: Receipt, damage: dict[str, Any]) -> None:
    with pytest.raises(BadInput):
        Receipt.from_dict({**receipt.to_dict(), **damage})
