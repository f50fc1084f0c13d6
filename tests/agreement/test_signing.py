"""Signatures and expiry: an agreement is in force only as it was signed, by all, and in time."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from comity.agreement import Agreement, agreement_from, parse_agreement, verify_agreement
from comity.crypto.keys import SigningKey
from comity.errors import BadAgreement, BadInput, ClauseRefused, UsageError, VerificationFailed

TODAY = date(2027, 1, 1)
Keys = dict[str, SigningKey]
SignAll = Callable[[Agreement], Agreement]


@pytest.fixture
def signed(agreement: Agreement, sign_all: SignAll) -> Agreement:
    return sign_all(agreement)


def test_signed_by_all_it_is_in_force(signed: Agreement) -> None:
    verify_agreement(signed, on=TODAY)
    verify_agreement(parse_agreement(signed.to_yaml(), where="a"), on=TODAY)


def test_signing_makes_a_copy_and_keeps_the_name(agreement: Agreement, signed: Agreement) -> None:
    assert agreement.signatures == ()
    assert signed.digest == agreement.digest
    assert signed != agreement


def test_the_order_of_signing_means_nothing(agreement: Agreement, keys: Keys) -> None:
    one = agreement.sign("north", keys["north"]).sign("analyst", keys["analyst"])
    other = agreement.sign("analyst", keys["analyst"]).sign("north", keys["north"])
    assert one == other
    assert one.sign("north", keys["north"]) == one


def test_another_partys_key_cannot_sign(agreement: Agreement, keys: Keys) -> None:
    with pytest.raises(
        BadInput, match=r"not the one that the agreement names for party 'north': parties\.0\.key is ed2"
    ):
        agreement.sign("north", keys["south"])
    with pytest.raises(ClauseRefused, match="'stranger' is not a party"):
        agreement.sign("stranger", keys["stranger"])


def test_missing_signatures_are_named(agreement: Agreement, keys: Keys) -> None:
    with pytest.raises(
        VerificationFailed, match=r"clause signatures: missing that of north, south, east, mediator, an"
    ):
        verify_agreement(agreement, on=TODAY)
    for name in ("north", "east", "mediator", "analyst"):
        agreement = agreement.sign(name, keys[name])
    with pytest.raises(VerificationFailed, match="missing that of south; every party has to sign"):
        verify_agreement(agreement, on=TODAY)


def _with_signatures(agreement: Agreement, signatures: list[dict[str, str]]) -> Agreement:
    return agreement_from({**agreement.to_dict(), "signatures": signatures})


def test_an_unknown_signatory_is_refused(signed: Agreement, keys: Keys) -> None:
    made = base64.b64encode(keys["stranger"].sign(signed.signed_bytes())).decode()
    entries = [entry.to_dict() for entry in signed.signatures]
    with pytest.raises(
        VerificationFailed, match="clause signatures: 'stranger' has signed but is not one of the part"
    ):
        verify_agreement(
            _with_signatures(signed, [*entries, {"party": "stranger", "signature": made}]), on=TODAY
        )


def test_signatures_of_two_parties_swapped(signed: Agreement) -> None:
    entries = [entry.to_dict() for entry in signed.signatures]
    entries[0]["signature"], entries[1]["signature"] = entries[1]["signature"], entries[0]["signature"]
    with pytest.raises(VerificationFailed, match=r"clause signatures\.0, party 'analyst'\) does not verify"):
        verify_agreement(_with_signatures(signed, entries), on=TODAY)


def test_a_signature_over_the_bare_body_is_not_one_over_the_agreement(signed: Agreement, keys: Keys) -> None:
    """Whoever can make a party sign canonical JSON of its choice has not made it sign an agreement."""
    entries = [entry.to_dict() for entry in signed.signatures if entry.party != "north"]
    bare = base64.b64encode(keys["north"].sign(signed.body_bytes())).decode()
    with pytest.raises(VerificationFailed, match="party 'north'"):
        verify_agreement(
            _with_signatures(signed, [*entries, {"party": "north", "signature": bare}]), on=TODAY
        )


def test_signatures_do_not_move_to_another_agreement(signed: Agreement) -> None:
    other = {**signed.to_dict(), "expires": "2099-12-31"}
    with pytest.raises(VerificationFailed, match="does not verify"):
        verify_agreement(agreement_from(other), on=TODAY)


@pytest.mark.parametrize(
    "signature",
    ["", "AAAA", "A" * 86, "A" * 85 + "B==", "A" * 86 + "==\n", "A" * 85 + "-==", "é" * 88, "A" * 87 + "="],
)
def test_a_signature_has_one_form(agreement: Agreement, signature: str) -> None:
    with pytest.raises(BadAgreement, match=r"signatures\.0\.signature"):
        _with_signatures(agreement, [{"party": "north", "signature": signature}])


def test_the_last_day_counts_to_its_end_in_utc(signed: Agreement) -> None:
    verify_agreement(signed, on=date(2027, 12, 31))
    verify_agreement(signed, on=datetime(2027, 12, 31, 23, 59, 59, tzinfo=UTC))
    verify_agreement(signed, on=datetime(2028, 1, 1, 1, 0, tzinfo=timezone(timedelta(hours=2))))
    for late in (
        date(2028, 1, 1),
        datetime(2028, 1, 1, tzinfo=UTC),
        datetime(2027, 12, 31, 23, 0, tzinfo=timezone(timedelta(hours=-2))),
    ):
        with pytest.raises(ClauseRefused) as caught:
            verify_agreement(signed, on=late)
        assert caught.value.clause == "expires"
        assert "use on 2028-01-01 (UTC)" in str(caught.value)
        assert "until the end of 2027-12-31 in UTC" in str(caught.value)


def test_a_moment_needs_a_time_zone(signed: Agreement) -> None:
    with pytest.raises(UsageError, match="give the moment a time zone"):
        verify_agreement(signed, on=datetime(2027, 1, 1, 12, 0))


def test_a_bad_signature_is_told_before_expiry(agreement: Agreement) -> None:
    with pytest.raises(VerificationFailed):
        verify_agreement(agreement, on=date(2099, 1, 1))


@pytest.mark.parametrize("raw", [(1).to_bytes(32, "little"), bytes(32), (2**255 - 20).to_bytes(32, "little")])
def test_keys_that_anybody_can_sign_for_are_refused(full: dict[str, Any], raw: bytes) -> None:
    """Under a key of small order a signature made without any secret verifies for every message."""
    weak = "ed25519:" + base64.urlsafe_b64encode(raw).decode().rstrip("=")
    full["parties"][0]["key"] = weak
    with pytest.raises(
        BadAgreement, match=r"parties\.0\.key: this public key is one of the few that anybody can sign f"
    ):
        agreement_from(full)


def _leaves(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    entries: Any = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    )
    if entries is None:
        return [path]
    return [leaf for step, entry in entries for leaf in _leaves(entry, (*path, step))]


def _changed(value: Any, draw: Callable[[st.SearchStrategy[Any]], Any]) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return draw(st.integers(0, 2**53 - 1).filter(lambda other: other != value))
    if isinstance(value, float):
        return draw(st.floats(0, 3).filter(lambda other: other != value))
    near = st.builds(
        lambda cut, more: value[:cut] + more + value[cut + 1 :], st.integers(0, len(value)), st.text()
    )
    other = st.sampled_from(
        ["north", "south", "linked", "target", "sensitive", "2028-01-01", "contract", "x"]
    )
    return draw((near | other).filter(lambda text: text != value))


_fixtures = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


@_fixtures
@given(data=st.data())
def test_a_changed_field_never_verifies(signed: Agreement, data: st.DataObject) -> None:
    document = signed.to_dict()
    path = data.draw(st.sampled_from(_leaves(document)))
    place: Any = document
    for step in path[:-1]:
        place = place[step]
    if data.draw(st.booleans()) and isinstance(place, dict):
        del place[path[-1]]
    else:
        place[path[-1]] = _changed(place[path[-1]], data.draw)
    try:
        changed = agreement_from(document)
        verify_agreement(changed, on=TODAY)
    except (BadAgreement, VerificationFailed):
        return
    assert changed == signed


@settings(parent=_fixtures, max_examples=200)
@given(data=st.data())
def test_a_changed_byte_breaks_it_or_means_the_same(signed: Agreement, data: st.DataObject) -> None:
    text = bytearray(signed.to_yaml().encode())
    position = data.draw(st.integers(0, len(text) - 1))
    kind = data.draw(st.sampled_from(["replace", "insert", "delete"]))
    byte = data.draw(st.integers(0, 255) | st.sampled_from(list(b" \n\t#:-'\"{}[],0159.~&*!|>")))
    if kind == "replace":
        text[position] = byte
    elif kind == "insert":
        text.insert(position, byte)
    else:
        del text[position]
    try:
        changed = parse_agreement(text.decode(), where="a.yaml")
        verify_agreement(changed, on=TODAY)
    except (UnicodeDecodeError, BadAgreement, VerificationFailed):
        return
    assert changed == signed
    assert changed.body_bytes() == signed.body_bytes()
