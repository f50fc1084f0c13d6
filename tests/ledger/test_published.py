"""What is shown to whom, and who asks."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from comity.crypto.keys import SigningKey
from comity.errors import BadInput, BudgetRefused, UsageError, VerificationFailed
from comity.ledger import Ledger, gaussian, pure
from comity.ledger.checkpoints import Consistency, Inclusion
from comity.ledger.openings import Opening, opening_of
from comity.ledger.published import (
    Ask,
    published,
    published_consistency,
    published_proof,
    shown_to,
)

LABEL = "hospital/adult/label"
PER_LABEL = {"unit": "label", "relation": "change-one"}
KEY = SigningKey.generate()


@pytest.fixture
def told(ledger: Ledger) -> Ledger:
    """Two recipients, one provider's data in another's ledger, and what only the steward may read."""
    for number, recipient in enumerate(["analyst", "bank"]):
        facts = {"plan": f"p{number}", "recipient": recipient, "account": LABEL, "purpose": "auc"}
        ledger.append("asked", facts)
        ledger.charge(pure(0.1, **PER_LABEL), account=LABEL, request=f"p{number}")
        with pytest.raises(BudgetRefused):
            ledger.charge(gaussian(0.01, **PER_LABEL), account=LABEL, request=f"p{number}")
        ledger.append("withheld", {**facts, "reason": "record 17 is too close"})
        ledger.append("released", facts)
        ledger.append("note", {"plan": f"p{number}", "text": "steward"})
    ledger.append("released", {"recipient": "bank", "account": "x/y/record", "also": ["clinic/z/record"]})
    return ledger


def test_a_party_is_shown_what_is_about_it_and_nothing_else(told: Ledger) -> None:
    assert [entry.seq for entry in shown_to(told, "analyst")] == [2, 3, 4, 6]
    assert [entry.seq for entry in shown_to(told, "bank")] == [8, 9, 10, 12, 14]
    assert [entry.seq for entry in shown_to(told, "clinic")] == [14]
    assert shown_to(told, "stranger") == []
    assert {entry.kind for entry in shown_to(told, "hospital")} == {
        "opened",
        "asked",
        "charged",
        "refused",
        "released",
    }


def test_everybody_gets_proofs_and_nobody_a_word_that_is_not_theirs(told: Ledger) -> None:
    body = json.loads(json.dumps(published(told, asker=None, since=2)))
    assert body["entries"] == []
    assert len(body["leaves"]) == told.size
    text = json.dumps(published(told, asker="analyst"))
    assert "record 17" not in text
    assert "bank" not in text
    assert "steward" not in text
    consistency = {**body["consistency"], "checkpoint": body["checkpoint"]}
    Consistency.from_dict(consistency).verify(told.checkpoint_at(2), told.verify_key)
    for entry in published(told, asker="analyst")["entries"]:
        opening = Opening.from_dict({**entry, "checkpoint": body["checkpoint"]})
        assert opening.verify(told.verify_key).body.get("plan", "p0") == "p0"


def test_single_proofs(told: Ledger) -> None:
    mine = published_proof(told, 2, asker="analyst", size=5)
    assert Opening.from_dict(mine).verify(told.verify_key).kind == "asked"
    assert mine["checkpoint"]["size"] == 5
    for sequence in (5, 8):
        theirs = published_proof(told, sequence, asker="analyst")
        assert "event" not in theirs
        Inclusion.from_dict(theirs).verify(told.verify_key)
    proof = Consistency.from_dict(published_consistency(told, 3, 7))
    proof.verify(told.checkpoint_at(3), told.verify_key)
    for ask in (
        lambda: published_proof(told, 99, asker=None),
        lambda: published_proof(told, 3, asker=None, size=99),
        lambda: published_consistency(told, 7, 3),
        lambda: published_consistency(told, 3, 99),
        lambda: published(told, asker=None, since=99),
    ):
        with pytest.raises(UsageError):
            ask()


def test_an_opening_opens_one_leaf_only(told: Ledger) -> None:
    opening = told.opening(2)
    other = told.opening(8)
    assert opening.verify(told.verify_key).seq == 2
    for forged in (
        Opening(opening.inclusion, other.salt, other.event),
        Opening(other.inclusion, opening.salt, opening.event),
        Opening(opening.inclusion, opening.salt, opening.event.replace(b"auc", b"all")),
    ):
        with pytest.raises(VerificationFailed):
            forged.verify(told.verify_key)
    with pytest.raises(VerificationFailed):
        opening.verify(KEY.verify_key)
    read_back = told.events()[2]
    with pytest.raises(UsageError, match=r"use Ledger\.opening"):
        opening_of(read_back)


def test_who_asks_is_signed_for_one_owner_and_a_few_minutes() -> None:
    ask = Ask.from_header(Ask.sign(KEY, party="analyst", owner="north").header)
    keys = {"analyst": KEY.verify_key, "bank": SigningKey.generate().verify_key}
    assert ask.verify(keys, owner="north") == "analyst"
    with pytest.raises(VerificationFailed, match="another ledger"):
        ask.verify(keys, owner="south")
    with pytest.raises(VerificationFailed, match="nobody known"):
        ask.verify({}, owner="north")
    with pytest.raises(VerificationFailed, match="signature"):
        Ask("bank", "north", ask.time, ask.signature).verify(keys, owner="north")
    old = Ask("analyst", "north", "2020-01-01T00:00:00.000Z", ask.signature)
    with pytest.raises(VerificationFailed):
        old.verify(keys, owner="north")


@pytest.mark.parametrize("text", ["", "x", "e30=", base64.b64encode(b"[1]").decode(), "é"])
def test_what_is_no_ask(text: str) -> None:
    with pytest.raises(BadInput):
        Ask.from_header(text)


@pytest.mark.parametrize(
    "document", [{"salt": "00"}, {"salt": "zz", "event": "{}"}, {"salt": 1, "event": ""}]
)
def test_what_is_no_opening(ledger: Ledger, document: dict[str, Any]) -> None:
    with pytest.raises(BadInput):
        Opening.from_dict({**ledger.prove(0).to_dict(), **document})
