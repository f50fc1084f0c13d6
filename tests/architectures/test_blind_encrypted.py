"""Blind validation with encrypted groupings: what each party receives, retries, restarts, refusals."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from comity.architectures import blind_encrypted, blind_encrypted_answers, find
from comity.architectures.blind_frame import PORTIONS
from comity.architectures.definition import Options
from comity.compare.settings import MEDIATOR, ML_PARTY
from comity.crypto.bfv import DecryptionKey, PublicEnd, Scheme
from comity.errors import BadAgreement, ClauseRefused, MissingExtra, PartyFailed
from comity.ledger import Ledger
from comity.validate.blind_bfv_question import EncryptedQuestion
from comity.validate.blind_holders import PART
from comity.validate.queries import GroupCounts
from comity.wire import Kind, Message, Outgoing

PROVIDERS = ("north", "south")
ENCRYPTED = Options(mode="encrypted")
NAME, OTHER = "0" * 32, "1" * 32
CIPHER_BYTES = 300_000
"""A ciphertext is larger than this; every other part is smaller, but for the public key."""


def received(outcome: Any, party: str, sender: str | None = None) -> list[Message]:
    return [
        message
        for name, sent in outcome.sent.items()
        for message in sent
        if message.recipient == party and sender in (None, name)
    ]


def groups(rows: int, size: int = 2) -> GroupCounts:
    return GroupCounts(np.arange(rows) % size, size)


def asking(monkeypatch: pytest.MonkeyPatch, ask: Callable[[Any, int], Any]) -> list[Any]:
    """Let the ML party do something else once the session is open; the askers it had."""
    askers: list[Any] = []

    def program(seat: Any, channel: Any) -> dict[str, Any]:
        asker = blind_encrypted.EncryptedAsker.open(seat, channel)
        askers.append(asker)
        try:
            found = ask(asker, seat.agreement.clause("blind-validation").frame.rows)
        finally:
            asker.close()
        return {"found": found}

    monkeypatch.setattr(blind_encrypted, "ml_party", program)
    return askers


class Misbehaving:
    """A party whose messages are changed before it signs them."""

    def __init__(self, channel: Any, change: Callable[[str, Any], Iterator[tuple[str, Outgoing]]]) -> None:
        self._channel = channel
        self._change = change
        self.counters = channel.counters

    def send(self, recipient: str, item: Outgoing) -> None:
        for to, changed in self._change(recipient, item):
            self._channel.send(to, changed)

    def resend(self, recipient: str) -> Kind | None:
        return self._channel.resend(recipient)

    def receive(self, sender: str) -> Message:
        return self._channel.receive(sender)


def misbehaving(party: str, change: Any) -> Callable[[str, Any], Any]:
    return lambda name, channel: Misbehaving(channel, change) if name == party else channel


def test_a_lesson_and_a_report_and_what_each_process_received(stage: Any) -> None:
    """The mediator ciphertexts and no group, a provider no group and no prediction, the ML party noisy sums.

    At epsilon 6: the report's interval ends above one half with probability 1 - 1e-9, five deviations.
    """
    outcome = stage.play("blind-validation", options=Options(mode="encrypted", epsilon=6.0))
    assert outcome.errors == {}
    low, high = outcome.figures[ML_PARTY]["feedback"]["intervals"]["auc"]
    assert 0.5 < low <= high <= 1
    frame = json.loads(received(outcome, "north", ML_PARTY)[0].parts["ids"])
    scores = pq.read_table(outcome.sessions[ML_PARTY] / "scores.parquet").column("feedback").to_pylist()

    for message in received(outcome, MEDIATOR, ML_PARTY):
        assert message.topic in ("open", "question", "done")
        assert set(message.parts) == ({"public"} if message.topic == "open" else set())
        if message.topic == "question":
            assert set(message.body) == {"name", "portion", "question", "asked"}
            assert set(message.body["question"]) == {"query", "records", "sums", "largest"}
    for name in PROVIDERS:
        upload, *answers = received(outcome, MEDIATOR, name)
        assert (upload.kind, set(upload.parts)) == (Kind.share, {PART})
        assert len(upload.parts[PART]) == 8 * len(frame)
        for message in answers:
            assert message.kind is Kind.share
            assert set(message.body["outcome"]) == {"query", "asked"}
            assert all(len(data) > CIPHER_BYTES for data in message.parts.values())
        assert len(answers) >= len(PORTIONS)
        assert received(outcome, name, MEDIATOR) == []
        invitation, *questions = received(outcome, name, ML_PARTY)
        assert set(invitation.parts) == {"ids", "token_key"}
        for message in questions[:-1]:
            assert set(message.body) == {"name", "portion", "question"}
            assert all(len(data) > CIPHER_BYTES for data in message.parts.values())
        assert questions[-1].topic == "done"
    for message in received(outcome, ML_PARTY):
        assert message.sender == MEDIATOR
        assert message.topic in ("opened", "feedback")
        if message.topic == "feedback" and message.kind is Kind.release:
            assert all(len(data) > CIPHER_BYTES for data in message.parts.values())

    bodies = b"".join(json.dumps(m.body).encode() for m in received(outcome, MEDIATOR))
    assert not any(f'"{id_}"'.encode() in bodies for id_ in frame)
    for name in PROVIDERS:
        seen = b"".join(json.dumps(m.body).encode() for m in received(outcome, name))
        assert not any(f"{score:.6f}".encode() in seen for score in scores)
        assert outcome.kinds(name).count("charged") == 1
    accounts = sorted(entry.body["account"] for entry in outcome.ledgers[MEDIATOR].events("charged"))
    assert accounts == [f"{name}/pilot-run/label" for name in PROVIDERS]


def test_sizes_tell_neither_groups_nor_who_holds_what(stage: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """One provider has nine tenths of the records; one group has one of them. Ciphertexts vary by less than a
    hundredth, by the compression of words that look random."""
    asking(
        monkeypatch,
        lambda asker, rows: (
            asker.ask_as(NAME, GroupCounts((np.arange(rows) < 1).astype(np.int64), 2), 0).values
        ),
    )
    outcome = stage.play("blind-validation", options=ENCRYPTED)
    assert outcome.errors == {}
    for party in (*PROVIDERS, MEDIATOR, ML_PARTY):
        sizes = [len(d) for m in received(outcome, party) for d in m.parts.values() if m.topic != "open"]
        large = [size for size in sizes if size > CIPHER_BYTES]
        assert large
        by_kind = {round(size / 50_000) for size in large}
        assert all(
            max(same) < 1.02 * min(same)
            for kind in by_kind
            if (same := [size for size in large if round(size / 50_000) == kind])
        )
    uploads = [received(outcome, MEDIATOR, name)[0].parts[PART] for name in PROVIDERS]
    assert len(uploads[0]) == len(uploads[1])
    assert len(np.intersect1d(*(np.frombuffer(data, dtype="<u8") for data in uploads))) == 0


def test_the_sums_are_right_and_a_retry_gets_the_same_bytes(
    stage: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Eight standard deviations are passed with probability 1.3e-15 a sum."""

    def ask(asker: Any, rows: int) -> Any:
        query = groups(rows)
        return [asker.ask_as(NAME, query, 0) for _ in range(3)]

    asking(monkeypatch, ask)
    outcome = stage.play("blind-validation", options=ENCRYPTED)
    assert outcome.errors == {}
    first, *again = outcome.figures[ML_PARTY]["found"]
    assert all(np.array_equal(first.values, one.values) for one in again)
    tables = [pq.read_table(stage.folder / name / "tables" / "train.parquet") for name in PROVIDERS]
    labels = dict(
        pair
        for table in tables
        for pair in zip(table.column("pid").to_pylist(), table.column("ill").to_pylist(), strict=True)
    )
    ill = np.array([labels[id_] == "yes" for id_ in sorted(labels)])
    exact = np.bincount(np.arange(len(ill)) % 2, weights=ill)
    assert (np.abs(first.values - exact) < 8 * first.deviation).all()
    for party, sender in ((MEDIATOR, "north"), (MEDIATOR, "south"), (ML_PARTY, MEDIATOR)):
        given = [m.parts for m in received(outcome, party, sender) if m.topic in ("answer", "feedback")]
        assert len(given) == 3
        assert all(parts == given[0] for parts in given)
    for name in PROVIDERS:
        assert outcome.kinds(name).count("charged") == 1


def test_a_changed_retry_is_refused_and_takes_nothing_from_the_other_portion(
    stage: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ask(asker: Any, rows: int) -> Any:
        asker.ask_as(NAME, groups(rows), 0)
        for name in (NAME, OTHER):
            with pytest.raises(ClauseRefused, match="another question"):
                asker.ask_as(name, groups(rows, 3), 0)
        return asker.ask_as(OTHER, groups(rows), 1).values

    asking(monkeypatch, ask)
    outcome = stage.play("blind-validation", options=ENCRYPTED)
    assert outcome.errors == {}
    for name in PROVIDERS:
        shares = [m for m in outcome.sent[name] if m.kind is Kind.share]
        assert len(shares) == 1 + len(PORTIONS)


class Replay:
    """A channel that hands out recorded messages and keeps what is sent."""

    def __init__(self, messages: list[Message]) -> None:
        self._messages = list(messages)
        self.sent: list[tuple[str, Any]] = []

    def send(self, recipient: str, item: Any) -> None:
        self.sent.append((recipient, item))

    def resend(self, recipient: str) -> Kind | None:
        return None

    def receive(self, sender: str) -> Message:
        return self._messages.pop(0)


def test_a_provider_that_was_restarted_repeats_its_bytes(stage: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    asking(monkeypatch, lambda asker, rows: asker.ask_as(NAME, groups(rows), 0).values)
    outcome = stage.play("blind-validation", options=ENCRYPTED)
    given = [m for m in outcome.sent["north"] if m.topic == "answer"]
    session = outcome.sessions["north"]
    outcome.ledgers["north"].close()
    ledger = Ledger.open(session / "ledger.db", key=stage.keys["north"], owner="north")
    seat = stage.seat("north", outcome.agreement, ledger, ENCRYPTED, session)
    invitation, *asked = received(outcome, "north", ML_PARTY)
    frame = json.loads(invitation.parts["ids"])
    share = next(e.body["plan"] for e in ledger.events("released") if "opens" in e.body)
    charged = len(ledger.events("charged"))
    channel = Replay(asked)
    blind_encrypted_answers.serve(seat, channel, share, frame)
    assert [item.parts for _, item in channel.sent] == [m.parts for m in given]
    assert len(ledger.events("charged")) == charged

    # with the stored answer gone a second draw is refused by the ledger
    (session / "blind" / "count-0.answer").unlink()
    channel = Replay(asked)
    blind_encrypted_answers.serve(seat, channel, share, frame)
    ((to, refusal),) = channel.sent
    assert (to, refusal.kind) == (MEDIATOR, Kind.refusal)
    assert "not drawn a second time" in refusal.body["message"]


def test_a_mediator_cannot_put_a_question_of_its_own(stage: Any) -> None:
    """It sends a provider a question under a key that it has: a provider listens to the ML party alone."""
    scheme = Scheme()
    key = DecryptionKey(scheme)

    def asks(recipient: str, item: Any) -> Iterator[tuple[str, Outgoing]]:
        yield recipient, item
        if item.topic == "opened":
            body, parts = EncryptedQuestion.of(groups(910), key, scheme).to_message()
            from comity.wire import Query

            yield (
                "north",
                Query(topic="question", body={"name": OTHER, "portion": 0, "question": body}, parts=parts),
            )

    outcome = stage.play("blind-validation", options=ENCRYPTED, wrap=misbehaving(MEDIATOR, asks))
    assert outcome.errors == {}
    assert all(m.body["outcome"].get("query") != OTHER for m in outcome.sent["north"] if m.topic == "answer")


def test_answers_to_different_questions_are_not_added_up(stage: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The ML party asks the south something else than it tells the mediator."""
    asking(monkeypatch, lambda asker, rows: asker.ask_as(NAME, groups(rows), 0).values)
    scheme = Scheme()
    end = PublicEnd(scheme, DecryptionKey(scheme).public)

    def other(recipient: str, item: Any) -> Iterator[tuple[str, Outgoing]]:
        if recipient == "south" and item.topic == "question":
            item = replace(item, parts={**item.parts, "0.0": end.encrypt(np.ones(4, np.int64))})
        yield recipient, item

    outcome = stage.play("blind-validation", options=ENCRYPTED, wrap=misbehaving(ML_PARTY, other))
    assert isinstance(outcome.errors[MEDIATOR], PartyFailed)
    assert not any(m.kind is Kind.release for m in outcome.sent[MEDIATOR])


def test_a_record_at_two_providers_is_refused_before_any_question(stage: Any) -> None:
    tables = [stage.folder / name / "tables" / "train.parquet" for name in PROVIDERS]
    north, south = (pq.read_table(path) for path in tables)
    pq.write_table(pa.concat_tables([south, north.slice(0, 1)]), tables[1])
    outcome = stage.play("blind-validation", options=ENCRYPTED)
    assert isinstance(outcome.errors[MEDIATOR], ClauseRefused)
    assert "providers_per_record" in str(outcome.errors[MEDIATOR])
    assert isinstance(outcome.errors[ML_PARTY], ClauseRefused)
    assert not any(m.topic == "question" for m in outcome.sent[ML_PARTY])


def test_unseen_groups_have_to_be_allowed_by_name(stage: Any) -> None:
    def unnamed(document: dict[str, Any]) -> None:
        del document["architectures"]["blind-validation"]["unsafe_unseen_groups"]

    def open_groups(document: dict[str, Any]) -> None:
        clause = document["architectures"]["blind-validation"]
        del clause["unsafe_unseen_groups"], clause["groupings"]

    with pytest.raises(BadAgreement, match="unsafe_unseen_groups"):
        stage.play("blind-validation", options=ENCRYPTED, change=unnamed)
    outcome = stage.play("blind-validation", options=ENCRYPTED, change=open_groups)
    assert isinstance(outcome.errors["north"], ClauseRefused)
    assert "charged" not in outcome.kinds("north")
    assert isinstance(outcome.errors[ML_PARTY], ClauseRefused)


@pytest.mark.parametrize("without", [*PROVIDERS, MEDIATOR])
def test_where_the_extra_is_absent_it_is_refused_in_words_and_nothing_is_charged(
    without: str, stage: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import threading

    present = blind_encrypted_answers.Scheme
    absent: list[int] = []

    def scheme() -> Any:
        if threading.get_ident() in absent:
            raise MissingExtra("homomorphic counts", "homomorphic")
        return present()

    monkeypatch.setattr(blind_encrypted_answers, "Scheme", scheme)

    def wrap(name: str, channel: Any) -> Any:
        if name == without:
            absent.append(threading.get_ident())
        return channel

    outcome = stage.play("blind-validation", options=ENCRYPTED, wrap=wrap)
    assert isinstance(outcome.errors[without], MissingExtra)
    assert "pip install 'comity[homomorphic]'" in str(outcome.errors[ML_PARTY])
    assert "charged" not in outcome.kinds(without)
    assert "charged" not in outcome.kinds(MEDIATOR)


def test_comparisons_leave_the_mode_out_where_the_extra_is_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    exposure = find("blind-validation").exposure("encrypted")
    task: Any = None
    assert exposure.skip(task, PROVIDERS) is None
    monkeypatch.setattr(blind_encrypted, "find_spec", lambda name: None)
    assert "comity[homomorphic]" in str(exposure.skip(task, PROVIDERS))
