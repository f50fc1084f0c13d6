"""The papers of an audit: what is signed is exactly this, and nothing of it can be exchanged."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from comity.crypto.keys import SigningKey
from comity.errors import BadInput, VerificationFailed
from comity.validate.audit_order import DOES_NOT_FIT, FITS, AuditOrder, AuditVerdict

NAMES = ("north", "analyst", "court")
ORDER = AuditOrder(
    "ab" * 32, "north", "analyst", "court", "cd" * 32, ("p1", "p2"), "ef" * 32, "2026-11-22T10:00:00"
)


@pytest.fixture(scope="module")
def keys() -> dict[str, SigningKey]:
    return {name: SigningKey.generate() for name in NAMES}


@pytest.fixture
def public(keys: dict[str, SigningKey]) -> dict[str, Any]:
    return {name: key.verify_key for name, key in keys.items()}


@pytest.fixture
def verdict(keys: dict[str, SigningKey]) -> AuditVerdict:
    consents = {name: ORDER.sign(keys[name]) for name in ("north", "analyst")}
    words = {"p1": FITS, "p2": DOES_NOT_FIT}
    return AuditVerdict.sign(keys["court"], ORDER, consents, words, time="2026-11-22T11:00:00")


@pytest.mark.parametrize(
    "changes",
    [
        {"agreement": "aa" * 32},
        {"provider": "south"},
        {"party": "else"},
        {"auditor": "else"},
        {"commitment": "00" * 32},
        {"plans": ("p1",)},
        {"evidence": "00" * 32},
        {"time": "2027"},
    ],
)
def test_both_sides_consent_to_exactly_this(
    changes: dict[str, Any], keys: dict[str, SigningKey], public: dict[str, Any]
) -> None:
    sides = {name: public[name] for name in ("north", "analyst")}
    signatures = {name: ORDER.sign(keys[name]) for name in sides}
    ORDER.verify(signatures, sides)
    with pytest.raises(VerificationFailed, match="'analyst' has not consented"):
        ORDER.verify({"north": signatures["north"]}, sides)
    with pytest.raises(VerificationFailed):
        replace(ORDER, **changes).verify(signatures, sides)


def test_a_verdict_holds_its_order_and_one_word_each(verdict: AuditVerdict, public: dict[str, Any]) -> None:
    verdict.verify(public)
    assert not verdict.ok
    assert AuditVerdict.from_dict(verdict.to_dict()) == verdict
    for other in (
        replace(verdict, words={"p1": FITS, "p2": FITS}),
        replace(verdict, words={"p1": FITS}),
        replace(verdict, time="2027"),
        replace(verdict, consents={"north": verdict.consents["north"]}),
        replace(verdict, order=replace(ORDER, commitment="00" * 32)),
        replace(verdict, order=replace(ORDER, auditor="north")),
    ):
        with pytest.raises(VerificationFailed):
            other.verify(public)


def test_a_verdict_about_other_answers_is_none(keys: dict[str, SigningKey], public: dict[str, Any]) -> None:
    consents = {name: ORDER.sign(keys[name]) for name in ("north", "analyst")}
    short = AuditVerdict.sign(keys["court"], ORDER, consents, {"p1": FITS}, time="t")
    with pytest.raises(VerificationFailed, match="other answers than its order"):
        short.verify(public)


def test_the_json_forms_are_strict(verdict: AuditVerdict) -> None:
    order, document = ORDER.to_dict(), verdict.to_dict()
    for damage in ({"plans": []}, {"plans": "p1"}, {"plans": [1]}, {"time": 1}, {"more": 1}):
        with pytest.raises(BadInput):
            AuditOrder.from_dict({**order, **damage})
    for damage in (
        {"words": {"p1": "perhaps"}},
        {"words": []},
        {"consents": []},
        {"consents": {"north": 1}},
        {"signature": "zz"},
        {"time": None},
        {"more": 1},
    ):
        with pytest.raises(BadInput):
            AuditVerdict.from_dict({**document, **damage})
    with pytest.raises(BadInput):
        AuditVerdict.from_dict("verdict")
