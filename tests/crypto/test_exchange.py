"""Keys that two parties agree on: the same at both ends, and nobody else's."""

from __future__ import annotations

from dataclasses import replace

import pytest

from comity.crypto.exchange import Exchange, Offer, SharedKey
from comity.crypto.keys import SigningKey
from comity.crypto.sealed import open_sealed, pair_key, seal_to
from comity.errors import BadInput, VerificationFailed

NORTH, ANALYST, STRANGER = (SigningKey.generate() for _ in range(3))


def ends(purpose: str = "pads", sender: SigningKey = NORTH) -> tuple[Exchange, Exchange]:
    return (
        Exchange(sender="north", recipient="analyst", purpose=purpose, key=sender),
        Exchange(sender="analyst", recipient="north", purpose=purpose, key=ANALYST),
    )


def test_both_ends_have_the_same_key_and_every_exchange_another() -> None:
    north, analyst = ends()
    shared = north.agree(analyst.offer, key=ANALYST.verify_key)
    assert analyst.agree(Offer.from_dict(north.offer.to_dict()), key=NORTH.verify_key) == shared
    again, other = ends()
    assert again.agree(other.offer, key=ANALYST.verify_key) != shared
    assert repr(shared).find(shared.derive(use="pads").hex()) < 0


@pytest.mark.parametrize(
    "change",
    [
        {"public": bytes(32)},
        {"sender": "south"},
        {"recipient": "south"},
        {"purpose": "something else"},
        {"signature": bytes(64)},
    ],
)
def test_a_changed_offer_is_refused(change: dict[str, object]) -> None:
    north, analyst = ends()
    with pytest.raises(VerificationFailed):
        analyst.agree(replace(north.offer, **change), key=NORTH.verify_key)


def test_a_stranger_cannot_stand_in() -> None:
    forged, analyst = ends(sender=STRANGER)
    with pytest.raises(VerificationFailed):
        analyst.agree(forged.offer, key=NORTH.verify_key)


def test_an_offer_that_everybody_could_answer_is_refused_even_when_signed() -> None:
    north, analyst = ends()
    weak = replace(north.offer, public=bytes(32))
    weak = replace(weak, signature=NORTH.sign(weak.signed()))
    with pytest.raises(VerificationFailed, match="not usable"):
        analyst.agree(weak, key=NORTH.verify_key)


@pytest.mark.parametrize("document", [None, {}, {"sender": 1}, "text"])
def test_what_is_no_offer_is_bad_input(document: object) -> None:
    with pytest.raises(BadInput):
        Offer.from_dict(document)


def test_derived_keys_differ_by_use_and_sealed_texts_open_for_their_use_only() -> None:
    key = SharedKey(bytes(range(32)))
    assert key.derive(use="a") != key.derive(use="b")
    sealed = key.seal(b"text", use="a")
    assert key.open(sealed, use="a") == b"text"
    for wrong in (sealed[:-1], sealed[:-1] + b"\0", b""):
        with pytest.raises(VerificationFailed):
            key.open(wrong, use="a")
    with pytest.raises(VerificationFailed):
        key.open(sealed, use="b")


def test_a_sealed_text_opens_for_its_recipient_and_purpose_only() -> None:
    sealed = seal_to(NORTH.verify_key, b"token key", purpose="tokens")
    assert open_sealed(NORTH, sealed, purpose="tokens") == b"token key"
    for key, text, purpose in (
        (STRANGER, sealed, "tokens"),
        (NORTH, sealed, "else"),
        (NORTH, sealed[:40], "tokens"),
        (NORTH, bytes(32) + sealed[32:], "tokens"),
        (NORTH, b"", "tokens"),
    ):
        with pytest.raises(VerificationFailed):
            open_sealed(key, text, purpose=purpose)


def test_a_pair_shares_a_key_without_a_message() -> None:
    shared = pair_key(NORTH, ANALYST.verify_key, purpose="tokens").derive(use="x")
    assert shared == pair_key(ANALYST, NORTH.verify_key, purpose="tokens").derive(use="x")
    assert shared != pair_key(NORTH, ANALYST.verify_key, purpose="something else").derive(use="x")
    assert shared != pair_key(NORTH, SigningKey.generate().verify_key, purpose="tokens").derive(use="x")
