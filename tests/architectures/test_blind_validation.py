"""Blind validation between its parties: what each receives, retries, restarts, and parties that misbehave."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy.stats import chi2

from comity.architectures import blind_asker, blind_entrusted, blind_mediator, blind_provider
from comity.architectures.blind_frame import PORTIONS, TOPIC, agreed_rows
from comity.architectures.definition import Options
from comity.compare.settings import MEDIATOR, ML_PARTY
from comity.errors import BadInput, ClauseRefused, PartyFailed, VerificationFailed
from comity.ledger import Ledger
from comity.validate.blind_holders import PART
from comity.validate.queries import GroupCounts
from comity.wire import Kind, Message, Outgoing

PROVIDERS = ("north", "south")
FALSE_ALARM = 1e-7


def received(outcome: Any, party: str, sender: str | None = None) -> list[Message]:
    """Everything that reached a party."""
    return [
        message
        for name, sent in outcome.sent.items()
        for message in sent
        if message.recipient == party and sender in (None, name)
    ]


def everything(message: Message) -> bytes:
    return json.dumps(message.body).encode() + b"".join(message.parts.values())


def looks_uniform(data: bytes) -> bool:
    counts = np.bincount(np.frombuffer(data, dtype=np.uint8), minlength=256)
    expected = counts.sum() / 256
    return float(((counts - expected) ** 2 / expected).sum()) < chi2.ppf(1 - FALSE_ALARM, 255)


class Misbehaving:
    """A party whose messages are changed before it signs them."""

    def __init__(
        self, channel: Any, change: Callable[[str, Outgoing], Iterable[tuple[str, Outgoing]]]
    ) -> None:
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


def misbehaving(
    party: str, change: Callable[[str, Outgoing], Iterable[tuple[str, Outgoing]]]
) -> Callable[[str, Any], Any]:
    return lambda name, channel: Misbehaving(channel, change) if name == party else channel


def with_part(topic: str, part: str, change: Callable[[bytes], bytes]) -> Any:
    def changed(recipient: str, item: Any) -> Iterator[tuple[str, Outgoing]]:
        if item.topic == topic and part in item.parts:
            item = replace(item, parts={**item.parts, part: change(item.parts[part])})
        yield recipient, item

    return changed


def test_what_each_process_received(stage: Any) -> None:
    """The mediator uniform label bytes, a provider no prediction and no group, the ML party noisy sums.

    False alarms: four chi-squared tests at 1e-7 each; eight standard deviations have 1.3e-15.
    """
    outcome = stage.play("blind-validation")
    assert outcome.errors == {}
    frame = json.loads(received(outcome, "north", ML_PARTY)[0].parts["ids"])

    uploads = [message for name in PROVIDERS for message in received(outcome, MEDIATOR, name)]
    assert [message.kind for message in uploads] == [Kind.share] * 2
    for message in uploads:
        assert set(message.parts) == {"tokens", "held", "label", PART}
        assert looks_uniform(message.parts["held"])
        assert looks_uniform(message.parts["label"])
        assert set(message.body["outcome"]) == {"offer", "nonce"}
    questions = [m for m in received(outcome, MEDIATOR, ML_PARTY) if m.topic == "question"]
    assert len(questions) >= len(PORTIONS)
    to_mediator = b"".join(everything(message) for message in received(outcome, MEDIATOR))
    assert not any(f'"{id_}"'.encode() in to_mediator for id_ in frame)

    scores = pq.read_table(outcome.sessions[ML_PARTY] / "scores.parquet").column("feedback").to_pylist()
    for name in PROVIDERS:
        messages = received(outcome, name)
        assert [m.topic for m in messages if m.sender == ML_PARTY] == ["frame"]
        answers = [m for m in messages if m.topic == blind_provider.ANSWER]
        for message in answers:
            assert set(message.body) == {"query", "portion", "sizes"}
            assert set(message.body["sizes"]) == {"dimensions", "l1", "l2", "largest_sum"}
            assert set(message.parts) == {"summand"}
        assert len(messages) == 2 + len(PORTIONS)
        seen = b"".join(everything(message) for message in messages)
        assert not any(struct.pack("<d", score) in seen for score in scores)
        assert not any(f"{score:.6f}".encode() in seen for score in scores)
        for question in questions:
            assert not any(data[:64] in seen for data in question.parts.values())

    for message in received(outcome, ML_PARTY):
        if message.sender in PROVIDERS:
            assert message.kind is Kind.release
            assert set(message.parts) == {"summand"}
            assert set(message.body["outcome"]) == {"query"}
        else:
            assert message.topic in ("ready", blind_mediator.COUNTED)
            assert message.parts == {}


def test_the_report_tells_how_good_the_lesson_is(stage: Any) -> None:
    """At epsilon 8: 1,100 records are few. The truth lies outside its intervals with probability under 1e-9
    where they end above one half: that is five standard deviations of the noise away."""
    outcome = stage.play("blind-validation", options=Options(epsilon=8.0, mode="linked"))
    told = outcome.figures[ML_PARTY]["feedback"]
    kept = json.loads((outcome.sessions[ML_PARTY] / "feedback.json").read_text(encoding="utf-8"))
    assert kept == json.loads(json.dumps(told))
    # the monitor may find that calibration and confusion, with the lesson's groups, single out records
    assert set(told["estimates"]) == {"auc"} | (set() if "refused" in told else {"calibration", "confusion"})
    low, high = told["intervals"]["auc"]
    assert 0 <= low <= told["estimates"]["auc"] <= high <= 1
    assert low > 0.5


def test_who_holds_which_record_does_not_show_in_sizes_or_order(stage: Any) -> None:
    outcome = stage.play("blind-validation")
    north, south = (outcome.sent[name] for name in PROVIDERS)
    for one, other in zip(north, south, strict=True):
        assert (one.kind, one.topic, set(one.parts)) == (other.kind, other.topic, set(other.parts))
        sizes = [{name: len(data) for name, data in message.parts.items()} for message in (one, other)]
        assert sizes[0] == sizes[1]
    tokens = [outcome.sent[name][0].parts["tokens"] for name in PROVIDERS]
    assert tokens[0] == tokens[1]


def question(rows: int) -> GroupCounts:
    return GroupCounts(np.arange(rows) % 4, 4)


def asking(monkeypatch: pytest.MonkeyPatch, ask: Callable[[Any, int], Any]) -> None:
    """Let the ML party do something else once the session is open."""

    def program(seat: Any, channel: Any) -> dict[str, Any]:
        asker = blind_asker.Asker.open(seat, channel)
        rows = len(asker._order.tokens)
        try:
            found = ask(asker, rows)
        finally:
            asker.close()
        return {"rows_used": rows, "found": found}

    monkeypatch.setattr(blind_asker, "ml_party", program)


NAME, OTHER = "0" * 32, "1" * 32


def test_a_retry_with_the_same_bytes_gets_the_same_bytes(stage: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    asking(monkeypatch, lambda asker, rows: [asker.ask_as(NAME, question(rows), 0).values for _ in range(3)])
    outcome = stage.play("blind-validation")
    assert outcome.errors == {}
    first, *again = outcome.figures[ML_PARTY]["found"]
    assert all(np.array_equal(first, values) for values in again)
    for name in PROVIDERS:
        answers = [m.parts["summand"] for m in outcome.sent[name] if m.kind is Kind.release]
        assert len(answers) == 3
        assert len(set(answers)) == 1
        summands = {m.parts["summand"] for m in received(outcome, name, MEDIATOR) if m.parts}
        assert len(summands) == 1
        assert outcome.kinds(name).count("charged") == 1


@pytest.mark.parametrize("name", [NAME, OTHER])
def test_a_changed_retry_is_refused(name: str, stage: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another question under the same name, and the same portion under another name."""

    def ask(asker: Any, rows: int) -> Any:
        asker.ask_as(NAME, question(rows), 0)
        with pytest.raises(ClauseRefused, match="another question"):
            asker.ask_as(name, GroupCounts(np.arange(rows) % 5, 5), 0)
        # a refusal takes nothing away from the other portion
        return asker.ask_as(OTHER, question(rows), 1).values

    asking(monkeypatch, ask)
    outcome = stage.play("blind-validation")
    assert outcome.errors == {}
    for provider in PROVIDERS:
        assert len([m for m in outcome.sent[provider] if m.kind is Kind.release]) == 2


def test_more_groups_per_record_than_agreed_are_refused_over_all_answers(
    stage: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def change(document: dict[str, Any]) -> None:
        document["architectures"]["blind-validation"]["groups_per_record"] = 1

    def ask(asker: Any, rows: int) -> None:
        asker.ask_as(NAME, question(rows), 0)
        with pytest.raises(ClauseRefused, match="more groups"):
            asker.ask_as(OTHER, question(rows), 1)

    asking(monkeypatch, ask)
    assert stage.play("blind-validation", change=change).errors == {}


def test_the_monitor_watches_all_answers_together(stage: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def ask(asker: Any, rows: int) -> None:
        asker.ask_as(NAME, question(rows), 0)
        shifted = np.arange(rows) % 4
        shifted[0] = 1
        with pytest.raises(ClauseRefused):
            asker.ask_as(OTHER, GroupCounts(np.where(np.arange(rows) < 3, 0, 1), 2), 1)
        with pytest.raises(ClauseRefused):
            asker.ask_as(OTHER, GroupCounts(shifted, 4), 1)

    asking(monkeypatch, ask)
    assert stage.play("blind-validation").errors == {}


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
        assert self._messages
        return self._messages.pop(0)


def restarted(stage: Any, outcome: Any, name: str, options: Options) -> Any:
    """The seat of a process that takes over a party's folder."""
    session = outcome.sessions[name]
    outcome.ledgers[name].close()
    ledger = Ledger.open(session / "ledger.db", key=stage.keys[name], owner=name)
    return stage.seat(name, outcome.agreement, ledger, options, session)


def test_after_a_restart_stored_answers_are_repeated_and_nothing_is_drawn_again(stage: Any) -> None:
    outcome = stage.play("blind-validation")
    assert outcome.errors == {}
    options = Options(mode="linked")
    given = {name: [m for m in outcome.sent[name] if m.kind is Kind.release] for name in PROVIDERS}
    asked = [m for m in received(outcome, MEDIATOR, ML_PARTY) if m.topic in ("question", "done")]
    to_north = received(outcome, "north", MEDIATOR)

    counter = blind_mediator.Counter(restarted(stage, outcome, MEDIATOR, options), None, None, None)
    channel = Replay(asked)
    counter.serve(channel)
    repeated = [item.parts["summand"] for to, item in channel.sent if to == "north" and item.parts]
    assert repeated == [m.parts["summand"] for m in to_north if m.parts]

    changed = replace(asked[0], body={**asked[0].body, "name": OTHER})
    channel = Replay([changed, asked[-1]])
    counter.serve(channel)
    assert channel.sent[0][1].kind is Kind.refusal

    seat = restarted(stage, outcome, "north", options)
    share = next(e.body["plan"] for e in seat.ledger.events("released") if e.body["sealed"])
    charged = len(seat.ledger.events("charged"))
    channel = Replay(to_north)
    blind_provider.serve(seat, channel, share)
    assert [item.parts["summand"] for _, item in channel.sent] == [m.parts["summand"] for m in given["north"]]
    assert len(seat.ledger.events("charged")) == charged

    other = bytes(len(to_north[0].parts["summand"]))
    tampered = replace(to_north[0], parts={"summand": other})
    channel = Replay([tampered, to_north[-1]])
    with pytest.raises(ClauseRefused, match="another question"):
        blind_provider.serve(seat, channel, share)
    assert channel.sent[0][1].kind is Kind.refusal
    # with the stored answer gone a second draw is refused by the ledger
    (outcome.sessions["north"] / "blind" / "noise-0.answer").unlink()
    channel = Replay(to_north)
    with pytest.raises(ClauseRefused, match="not drawn a second time"):
        blind_provider.serve(seat, channel, share)


def test_a_new_mediator_process_answers_nothing_new(stage: Any) -> None:
    outcome = stage.play("blind-validation")
    asked = [m for m in received(outcome, MEDIATOR, ML_PARTY) if m.topic in ("question", "done")]
    (outcome.sessions[MEDIATOR] / "blind" / "sums-0.answer").unlink()
    seat = restarted(stage, outcome, MEDIATOR, Options(mode="linked"))
    with pytest.raises(PartyFailed, match="new session"):
        blind_mediator.Counter(seat, None, None, None).serve(Replay(asked))


def failed(outcome: Any, party: str, kind: type[BaseException], words: str) -> None:
    assert isinstance(outcome.errors[party], kind), outcome.errors
    assert words in str(outcome.errors[party])
    assert not (outcome.sessions[ML_PARTY] / "scores.parquet").exists()
    assert all(m.kind is not Kind.release for name in PROVIDERS for m in outcome.sent[name])


def test_doubled_unknown_or_missing_tokens_are_refused(stage: Any) -> None:
    def doubled(data: bytes) -> bytes:
        return data[:8] + data[:8] + data[16:]

    def unknown(data: bytes) -> bytes:
        words = np.frombuffer(data, dtype="<u8").copy()
        words[0] //= 2
        return words.tobytes()

    for at, (change, words) in enumerate(
        ((doubled, "twice"), (unknown, "different tokens"), (lambda data: data[8:], "an upload has tokens"))
    ):
        outcome = stage.play(
            "blind-validation",
            run=f"run{at}",
            wrap=misbehaving("south", with_part(blind_provider.UPLOAD, "tokens", change)),
        )
        failed(outcome, MEDIATOR, BadInput, words)


def test_another_frame_is_refused_before_anything_is_charged(stage: Any) -> None:
    def more(data: bytes) -> bytes:
        return json.dumps([*json.loads(data), "stranger"]).encode()

    outcome = stage.play("blind-validation", wrap=misbehaving(ML_PARTY, with_part("frame", "ids", more)))
    assert isinstance(outcome.errors["north"], ClauseRefused)
    assert "charged" not in outcome.kinds("north")


def test_a_token_key_for_somebody_else_is_refused(stage: Any) -> None:
    outcome = stage.play(
        "blind-validation",
        wrap=misbehaving(ML_PARTY, with_part("frame", "token_key", lambda d: d[:-1] + b"x")),
    )
    assert isinstance(outcome.errors["north"], VerificationFailed)
    assert "charged" not in outcome.kinds("north")


def test_a_forged_offer_is_refused(stage: Any) -> None:
    """The mediator puts its own key in the place of a provider's."""

    def forged(recipient: str, item: Any) -> Iterator[tuple[str, Outgoing]]:
        if item.topic == "ready":
            body = json.loads(json.dumps(item.body))
            body["providers"]["north"]["offer"]["public"] = body["offer"]["public"]
            item = replace(item, body=body)
        yield recipient, item

    outcome = stage.play("blind-validation", wrap=misbehaving(MEDIATOR, forged))
    failed(outcome, ML_PARTY, VerificationFailed, "offer")


def test_offers_of_two_providers_in_each_others_place_are_refused(stage: Any) -> None:
    def swapped(recipient: str, item: Any) -> Iterator[tuple[str, Outgoing]]:
        if item.topic == "ready":
            entries = item.body["providers"]
            swap = {"north": entries["south"], "south": entries["north"]}
            item = replace(item, body={**item.body, "providers": swap})
        yield recipient, item

    outcome = stage.play("blind-validation", wrap=misbehaving(MEDIATOR, swapped))
    failed(outcome, ML_PARTY, VerificationFailed, "offer")


def test_a_reused_nonce_is_refused(stage: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blind_provider, "random_name", lambda: "ab" * 16)
    outcome = stage.play("blind-validation")
    failed(outcome, MEDIATOR, ClauseRefused, "used before")


def test_a_provider_refuses_to_use_its_nonce_again(stage: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second run is another session over the same folders."""
    monkeypatch.setattr(blind_provider, "random_name", lambda: "ab" * 16)
    stage.play("blind-validation")
    again = stage.play("blind-validation")
    assert any("used before" in str(again.errors.get(name)) for name in PROVIDERS)
    assert all(again.kinds(name).count("charged") <= 1 for name in PROVIDERS)


def test_a_changed_summand_is_noticed_by_its_receipt(stage: Any) -> None:
    def changed(data: bytes) -> bytes:
        return bytes([data[0] ^ 1]) + data[1:]

    outcome = stage.play("blind-validation", wrap=misbehaving("north", with_part(TOPIC, "summand", changed)))
    assert isinstance(outcome.errors[ML_PARTY], VerificationFailed)


@pytest.mark.parametrize("portion", [-1, len(PORTIONS), True, "0", None])
def test_a_mediator_that_asks_for_other_portions_is_refused(portion: Any, stage: Any) -> None:
    def changed(recipient: str, item: Any) -> Iterator[tuple[str, Outgoing]]:
        if item.topic == blind_provider.ANSWER:
            item = replace(item, body={**item.body, "portion": portion})
        yield recipient, item

    outcome = stage.play("blind-validation", wrap=misbehaving(MEDIATOR, changed))
    failed(outcome, "north", BadInput, "portion")


def test_a_mediator_that_asks_a_provider_twice_gets_no_second_noise(stage: Any) -> None:
    """With other words each time it could average the noise away."""

    def twice(recipient: str, item: Any) -> Iterator[tuple[str, Outgoing]]:
        yield recipient, item
        if item.topic == blind_provider.ANSWER:
            yield recipient, replace(item, body={**item.body, "query": OTHER})

    outcome = stage.play("blind-validation", wrap=misbehaving(MEDIATOR, twice))
    assert isinstance(outcome.errors["north"], ClauseRefused)
    releases = [m for m in outcome.sent["north"] if m.kind is Kind.release]
    assert len(releases) == 1


def test_a_provider_is_sent_every_records_bins_in_2a_and_nothing_per_record_in_2b(stage: Any) -> None:
    """What a provider could fit a copy of the model to, as tests/validate/test_attacks.py does."""
    linked = stage.play("validation", run="linked")
    assert linked.errors == {}
    (question_sent,) = received(linked, "north", ML_PARTY)
    question = question_sent.body["question"]
    rows, columns = question["rows"], len(question["widths"])
    assert rows > 400
    assert len(question_sent.parts["codes"]) == rows * columns * question["code_bytes"]

    blind = stage.play("blind-validation", run="blind")
    for message in received(blind, "north"):
        for name, data in message.parts.items():
            assert name == "ids" or len(data) < rows


def held_by_both(stage: Any) -> None:
    """The south gets one of the north's records too."""
    tables = [stage.folder / name / "tables" / "train.parquet" for name in PROVIDERS]
    north, south = (pq.read_table(path) for path in tables)
    pq.write_table(pa.concat_tables([south, north.slice(0, 1)]), tables[1])


def two_per_record(document: dict[str, Any]) -> None:
    document["architectures"]["blind-validation"]["providers_per_record"] = 2


@pytest.mark.parametrize("mode", ["linked", "entrusted"])
def test_a_record_at_more_providers_than_agreed_is_refused(mode: str, stage: Any) -> None:
    held_by_both(stage)
    outcome = stage.play("blind-validation", options=Options(mode=mode))
    failed(outcome, MEDIATOR, ClauseRefused, "more than 1 of the providers")
    assert "providers_per_record" in str(outcome.errors[MEDIATOR])


@pytest.mark.parametrize("mode", ["linked", "entrusted"])
def test_with_two_providers_per_record_it_counts_twice_and_the_noise_is_doubled(
    mode: str, stage: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    held_by_both(stage)
    deviations: list[float] = []

    def report(seat: Any, ask: Any, *, noises: float) -> dict[str, Any]:
        deviations.append(ask(question(agreed_rows(seat)), 0).deviation)
        return {}

    for module in (blind_asker, blind_entrusted):
        monkeypatch.setattr(module, "taught", report)
    for run, change in (("one", None), ("two", two_per_record)):
        if change is None:
            tables = stage.folder / "south" / "tables" / "train.parquet"
            table = pq.read_table(tables)
            pq.write_table(table.slice(0, table.num_rows - 1), tables)
        else:
            held_by_both(stage)
        outcome = stage.play("blind-validation", options=Options(mode=mode), change=change, run=run)
        assert outcome.errors == {}
    assert deviations[1] == pytest.approx(2 * deviations[0], rel=1e-3)


def test_groups_that_the_clause_keeps_from_the_mediator_are_not_sent_to_it(stage: Any) -> None:
    """The clause says encrypted; whoever starts the programs of the open mode gets no upload."""

    def change(document: dict[str, Any]) -> None:
        clause = document["architectures"]["blind-validation"]
        clause |= {"groupings": "encrypted", "unsafe_unseen_groups": True}
        del clause["minimum_group"], clause["groups_per_record"]

    outcome = stage.play("blind-validation", change=change)
    failed(outcome, "north", ClauseRefused, "groupings")
    assert all(message.kind is Kind.refusal for message in outcome.sent["north"])
    assert not any(m.topic == "question" for m in outcome.sent[ML_PARTY])


class TestEntrusted:
    def test_the_mediator_charges_every_provider_in_its_own_ledger(self, stage: Any) -> None:
        outcome = stage.play("blind-validation", options=Options(mode="entrusted"))
        assert outcome.errors == {}
        charged = outcome.ledgers[MEDIATOR].events("charged")
        accounts = sorted(entry.body["account"] for entry in charged)
        assert accounts == [f"{name}/pilot-run/label" for name in PROVIDERS]
        assert all(entry.body["cost"] == charged[0].body["cost"] for entry in charged)
        for name in PROVIDERS:
            assert outcome.kinds(name).count("charged") == 1

    def test_it_reports_how_good_the_lesson_is(self, stage: Any) -> None:
        """At epsilon 8; as for the linked mode, a miss has probability under 1e-9."""
        outcome = stage.play("blind-validation", options=Options(epsilon=8.0, mode="entrusted"))
        told = outcome.figures[ML_PARTY]["feedback"]
        kept = json.loads((outcome.sessions[ML_PARTY] / "feedback.json").read_text(encoding="utf-8"))
        assert kept == json.loads(json.dumps(told))
        low, high = told["intervals"]["auc"]
        assert 0.5 < low <= told["estimates"]["auc"] <= high <= 1

    def test_a_retry_is_the_same_bytes_and_another_question_is_refused(
        self, stage: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def taught(seat: Any, ask: Any, *, noises: float) -> dict[str, Any]:
            rows = agreed_rows(seat)
            channel = next(
                cell.cell_contents for cell in ask.__closure__ if hasattr(cell.cell_contents, "send")
            )

            def asked(name: str, query: Any, portion: int) -> Any:
                return blind_entrusted.ask_as(seat, channel, name, query, portion).values

            found = [asked(NAME, question(rows), 0) for _ in range(3)]
            with pytest.raises(ClauseRefused, match="another question"):
                asked(OTHER, question(rows), 0)
            with pytest.raises(ClauseRefused):
                asked(OTHER, GroupCounts(np.where(np.arange(rows) < 3, 0, 1), 2), 1)
            return {"found": found, "last": asked(OTHER, question(rows), 1)}

        monkeypatch.setattr(blind_entrusted, "taught", taught)
        outcome = stage.play("blind-validation", options=Options(mode="entrusted"))
        assert outcome.errors == {}
        first, *again = outcome.figures[ML_PARTY]["found"]
        assert all(np.array_equal(first, values) for values in again)
        assert not np.array_equal(first, outcome.figures[ML_PARTY]["last"])
        assert outcome.kinds(MEDIATOR).count("charged") == len(PROVIDERS)

    def test_it_is_refused_where_the_mediator_may_not_hold_the_data(self, stage: Any) -> None:
        def change(document: dict[str, Any]) -> None:
            document["data"][0]["mediator_may_hold"] = False

        with pytest.raises(BadInput, match="mediator_may_hold"):
            stage.play("blind-validation", options=Options(mode="entrusted"), change=change)

    def test_a_provider_asked_for_its_labels_in_the_clear_checks_the_agreement_itself(
        self, stage: Any
    ) -> None:
        """The clause says linked; whoever starts the programs in the other mode gets no label."""

        def change(document: dict[str, Any]) -> None:
            document["architectures"]["blind-validation"]["mode"] = "linked"
            for data in document["data"]:
                data["mediator_may_hold"] = False

        outcome = stage.play("blind-validation", options=Options(mode="entrusted"), change=change)
        assert isinstance(outcome.errors["north"], ClauseRefused)
        assert all(message.kind is Kind.refusal for message in outcome.sent["north"])

    def test_guarantee_and_exposure_speak_of_the_mode(self) -> None:
        from comity.architectures import find

        blind = find("blind-validation")
        notes = [blind.guarantee(Options(mode=mode)).note for mode in ("linked", "entrusted")]
        assert "which nobody can check" in blind.guarantee(Options(mode="encrypted")).note
        assert "encryption" in notes[0]
        assert "encryption" not in notes[1]
        assert any("labels" in line for line in blind.exposure("entrusted").seen_by["mediator"])
