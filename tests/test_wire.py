"""Messages: what may be sent, what a receiver takes, what it refuses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comity.crypto.keys import SigningKey
from comity.errors import ComityError, PartyFailed, VerificationFailed
from comity.wire import Inbox, Issued, Kind, MemoryChannel, Outgoing, Query, Sealer, open_message

NORTH, ANALYST = SigningKey.generate(), SigningKey.generate()
KEYS = {"north": NORTH.verify_key, "analyst": ANALYST.verify_key}


@dataclass(frozen=True)
class Stamped(Issued):
    """Stands for what the gate issues."""

    topic: str = "answer"
    body: Mapping[str, Any] = field(default_factory=dict)
    parts: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def kind(self) -> Kind:
        return Kind.release


@dataclass(frozen=True)
class Smuggled(Outgoing):
    """A provider's own idea of a message."""

    topic: str = "rows"
    body: Mapping[str, Any] = field(default_factory=dict)
    parts: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def kind(self) -> Kind:
        return Kind.release


def sealer(party: str, *, may_query: bool = True) -> Sealer:
    key = NORTH if party == "north" else ANALYST
    return Sealer(session="s", agreement="a", party=party, key=key, may_query=may_query)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(
    body=st.dictionaries(st.text(max_size=6), json_values, max_size=4),
    parts=st.dictionaries(st.text(min_size=1, max_size=6), st.binary(max_size=50), max_size=3),
)
def test_what_is_sealed_opens_to_the_same(body: dict[str, Any], parts: dict[str, bytes]) -> None:
    data = sealer("analyst").seal("north", Query("question", body, parts))
    message = open_message(data, keys=KEYS, recipient="north")
    assert (message.sender, message.kind, message.topic) == ("analyst", Kind.query, "question")
    assert dict(message.body) == body
    assert dict(message.parts) == parts


@given(position=st.integers(0, 10_000), flip=st.integers(1, 255))
def test_no_byte_can_be_changed(position: int, flip: int) -> None:
    data = bytearray(sealer("analyst").seal("north", Query("q", {"a": 1}, {"p": b"12345"})))
    data[position % len(data)] ^= flip
    with pytest.raises(VerificationFailed):
        open_message(bytes(data), keys=KEYS, recipient="north")


@given(cut=st.integers(1, 10_000))
def test_a_truncated_message_is_refused(cut: int) -> None:
    data = sealer("analyst").seal("north", Query("q", {"a": 1}, {"p": b"12345"}))
    with pytest.raises(VerificationFailed):
        open_message(data[: -min(cut, len(data))], keys=KEYS, recipient="north")


def test_a_message_with_bytes_after_its_end_is_refused() -> None:
    data = sealer("analyst").seal("north", Query("q"))
    with pytest.raises(VerificationFailed, match="after its last part"):
        open_message(data + b"x", keys=KEYS, recipient="north")


@given(noise=st.binary(max_size=400))
def test_garbage_is_refused(noise: bytes) -> None:
    for data in (noise, b"CMTY1" + noise, b"CMTY1" + bytes(64) + len(noise).to_bytes(4, "big") + noise):
        with pytest.raises(VerificationFailed):
            open_message(data, keys=KEYS, recipient="north")


def test_a_stranger_and_an_impostor_are_refused() -> None:
    stranger = Sealer(session="s", agreement="a", party="eve", key=ANALYST, may_query=True)
    with pytest.raises(VerificationFailed, match="not a party"):
        open_message(stranger.seal("north", Query("q")), keys=KEYS, recipient="north")
    impostor = Sealer(session="s", agreement="a", party="north", key=ANALYST, may_query=True)
    with pytest.raises(VerificationFailed, match="does not verify"):
        open_message(impostor.seal("analyst", Query("q")), keys=KEYS, recipient="analyst")


def test_a_message_for_somebody_else_is_refused() -> None:
    data = sealer("analyst").seal("south", Query("q"))
    with pytest.raises(VerificationFailed, match="addressed to another"):
        open_message(data, keys=KEYS, recipient="north")


def test_a_provider_sends_only_what_the_gate_issued() -> None:
    provider = sealer("north", may_query=False)
    provider.seal("analyst", Stamped())
    for item in (Query("rows"), Smuggled()):
        with pytest.raises(ComityError, match="did not issue"):
            provider.seal("analyst", item)


def test_not_even_an_asker_sends_what_is_neither_issued_nor_a_query() -> None:
    with pytest.raises(ComityError, match="did not issue"):
        sealer("analyst").seal("north", Smuggled())


def test_replayed_lost_and_foreign_messages_are_noticed() -> None:
    sending = sealer("analyst")
    first, second, third = (
        open_message(sending.seal("north", Query(f"q{n}")), keys=KEYS, recipient="north") for n in range(3)
    )
    inbox = Inbox(session="s", agreement="a")
    inbox.put(first)
    with pytest.raises(VerificationFailed, match="repeated"):
        inbox.put(first)
    with pytest.raises(VerificationFailed, match="lost"):
        inbox.put(third)
    inbox.put(second)
    for other in (Inbox(session="t", agreement="a"), Inbox(session="s", agreement="b")):
        with pytest.raises(VerificationFailed, match="another session"):
            other.put(first)


def test_waiting_ends_when_the_sender_fails_or_stays_silent() -> None:
    inbox = Inbox(session="s", agreement="a")
    with pytest.raises(PartyFailed, match="sent nothing"):
        inbox.get("north", timeout_s=0.01)
    inbox.fail("north", "its process ended")
    with pytest.raises(PartyFailed, match="its process ended"):
        inbox.get("north", timeout_s=5)


def test_memory_channels_carry_and_count() -> None:
    ends = {
        name: MemoryChannel(
            name, sealer(name, may_query=name == "analyst"), Inbox(session="s", agreement="a")
        )
        for name in KEYS
    }
    for name, channel in ends.items():
        channel.connect({other: end for other, end in ends.items() if other != name}, KEYS)
    ends["analyst"].send("north", Query("q", {"n": 1}))
    assert ends["north"].receive("analyst").body == {"n": 1}
    ends["north"].send("analyst", Stamped(parts={"table": b"abc"}))
    assert ends["analyst"].receive("north").parts == {"table": b"abc"}
    assert ends["north"].counters.messages == 1
    assert ends["north"].counters.bytes_sent == len(ends["north"].sent[0])
    with pytest.raises(PartyFailed, match="not connected"):
        ends["analyst"].send("south", Query("q"))
