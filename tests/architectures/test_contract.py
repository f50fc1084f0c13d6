"""The contract of every architecture: through the gate or not at all, and its account balances."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import roc_auc_score

from comity.architectures import find, names
from comity.architectures.definition import InWords, Options
from comity.compare.settings import MEDIATOR, ML_PARTY
from comity.errors import PartyFailed, Refused, VerificationFailed
from comity.ledger import Checkpoint, verify_ledger
from comity.plan import Outcome
from comity.report.figures import explained, parts_of
from comity.schema import Role

pytestmark = pytest.mark.slow

# hosted and encrypted modes of validation have tests of their own that ask the same of them
OWN_TESTS = {("validation", "hosted"), ("blind-validation", "entrusted"), ("blind-validation", "encrypted")}
SHARING = [
    (name, mode)
    for name in names()
    if {"provider", "ml_party"} <= set(find(name).programs)
    for mode in find(name).modes or (None,)
    if (name, mode) not in OWN_TESTS
]
CHARGED = [(name, mode) for name, mode in SHARING if find(name).charged(mode)]


class Killed(BaseException):
    """What a party's program meets when its process is killed."""


class Mortal:
    """A channel whose party is killed at its operation of that number."""

    def __init__(self, channel: Any, last: int) -> None:
        self._channel, self._last, self.operations = channel, last, 0

    def __getattr__(self, name: str) -> Any:
        if name in ("send", "receive"):
            self.operations += 1
            if self.operations > self._last:
                raise Killed
        return getattr(self._channel, name)


def sharing(cases: list[tuple[str, str | None]]) -> Any:
    return pytest.mark.parametrize(
        ("name", "mode"), cases, ids=[name if mode is None else f"{name}-{mode}" for name, mode in cases]
    )


def digest_of(message: Any) -> str:
    return message.body["receipt"]["outcome"]


@dataclass
class Played:
    """One whole run of an architecture, which several tests look at; `operations` are those of north."""

    stage: Any
    outcome: Any
    operations: int


@pytest.fixture(scope="module")
def played(
    stage_for: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str, str | None], Played]:
    """The run of an architecture in a mode, made once."""

    @cache
    def play(name: str, mode: str | None) -> Played:
        stage = stage_for(name, tmp_path_factory.mktemp(name))
        counted: list[Mortal] = []

        def wrap(party: str, channel: Any) -> Any:
            if party != "north":
                return channel
            counted.append(Mortal(channel, 10**9))
            return counted[0]

        outcome = stage.play(name, mode=mode, wrap=wrap)
        assert outcome.errors == {}
        return Played(stage, outcome, counted[0].operations)

    return play


@sharing(SHARING)
def test_it_runs_and_learns_and_its_account_balances(
    name: str, mode: str | None, played: Callable[..., Played]
) -> None:
    stage, outcome = played(name, mode).stage, played(name, mode).outcome
    judged = [folder / "scores.parquet" for folder in outcome.sessions.values()]
    tables = [pq.read_table(path) for path in judged if path.is_file()]
    tests = len(stage.inputs.test_labels)
    aucs = [
        roc_auc_score(stage.inputs.test_labels, np.asarray(table.column(column))[:tests])
        for table in tables
        for column in table.column_names
    ]
    assert max(aucs) > 0.6
    told = {
        (name, part)
        for said in outcome.figures.values()
        for name in said
        for part, _ in parts_of(name, said[name])
    }
    assert all(explained(*key) is not None for key in told)
    for provider in stage.inputs.providers:
        kinds = outcome.paid(provider)
        own = outcome.own_key(provider)  # what nobody else can open costs nothing
        assert kinds.count("asked") == kinds.count("charged") + own == kinds.count("released") >= 1
        assert outcome.ledgers[provider].verify().ok


@sharing(SHARING)
def test_a_provider_sends_only_what_its_ledger_says_it_released(
    name: str, mode: str | None, played: Callable[..., Played]
) -> None:
    stage, outcome = played(name, mode).stage, played(name, mode).outcome
    for provider in stage.inputs.providers:
        released = {entry.body["outcome"] for entry in outcome.ledgers[provider].events("released")}
        assert outcome.sent[provider]
        for message in outcome.sent[provider]:
            if message.kind == "notice":
                noted = {entry.body.get("notice") for entry in outcome.ledgers[provider].events("note")}
                assert Outcome(message.body, message.parts).digest in noted
                continue
            assert message.kind in ("release", "share")
            assert digest_of(message) in released


@sharing(SHARING)
def test_receipts_prove_that_the_ledger_was_not_cut(
    name: str, mode: str | None, played: Callable[..., Played]
) -> None:
    stage, outcome = played(name, mode).stage, played(name, mode).outcome
    books = [
        outcome.sessions[party] / "receipts.jsonl"
        for party in (ML_PARTY, MEDIATOR)
        if party in outcome.sessions
    ]
    lines = [
        line for book in books if book.is_file() for line in book.read_text(encoding="utf-8").splitlines()
    ]
    receipts = [json.loads(line) for line in lines]
    assert set(stage.inputs.providers) <= {receipt["from"] for receipt in receipts}
    for receipt in receipts:
        provider = receipt["from"]
        checkpoint = Checkpoint.from_dict(receipt["checkpoint"])
        path = outcome.sessions[provider] / "ledger.db"
        assert verify_ledger(path, checkpoint=checkpoint, key=stage.keys[provider].verify_key).ok
        assert receipt["sequence"] in {entry.seq for entry in outcome.ledgers[provider].events("released")}


@sharing(SHARING)
def test_it_refuses_without_a_clause(name: str, mode: str | None, stage: Any) -> None:
    def change(document: dict[str, Any]) -> None:
        other = "pooled" if name != "pooled" else "alone"
        document["architectures"] = {other: {"unsafe_pilot": True}}

    expect_refusal(stage, name, mode, change)


@sharing(CHARGED)
def test_it_refuses_without_a_budget(name: str, mode: str | None, stage: Any) -> None:
    def change(document: dict[str, Any]) -> None:
        clause = document["architectures"][name]
        clause["epsilon"] = clause["epsilon"] / 10
        for data in document["data"]:
            data["budget"]["epsilon"] = data["budget"]["epsilon"] / 10

    expect_refusal(stage, name, mode, change)


def expect_refusal(stage: Any, name: str, mode: str | None, change: Callable[[dict[str, Any]], None]) -> None:
    outcome = stage.play(name, mode=mode, change=change)
    assert outcome.figures == {}
    assert isinstance(outcome.errors[ML_PARTY], Refused | PartyFailed)
    assert any(isinstance(outcome.errors[provider], Refused) for provider in stage.inputs.providers)
    for provider in stage.inputs.providers:
        assert "released" not in outcome.kinds(provider)
        assert "charged" not in outcome.kinds(provider)
        assert all(message.kind in ("refusal", "notice") for message in outcome.sent[provider])
    assert no_half_result(outcome)


@sharing(CHARGED)
def test_the_same_budget_is_not_spent_twice(
    name: str, mode: str | None, played: Callable[..., Played], tmp_path: Path
) -> None:
    first = played(name, mode).stage
    stage = replace(first, folder=tmp_path / "parties")
    shutil.copytree(first.folder, stage.folder)
    again = stage.play(name, mode=mode)
    assert any(isinstance(again.errors.get(provider), Refused) for provider in stage.inputs.providers)


@sharing(SHARING)
@pytest.mark.parametrize("party", ["north", ML_PARTY])
def test_a_wrong_key_is_refused(name: str, mode: str | None, party: str, stage: Any) -> None:
    outcome = stage.play(name, mode=mode, wrong_key_for=party)
    assert any(isinstance(error, VerificationFailed) for error in outcome.errors.values())
    assert ML_PARTY not in outcome.figures
    assert no_half_result(outcome)


@sharing(SHARING)
@pytest.mark.parametrize("when", ["second", "middle"])
def test_a_killed_party_leaves_no_half_result(
    name: str, mode: str | None, when: str, stage: Any, played: Callable[..., Played]
) -> None:
    """One provider dies at its second message, or halfway through."""
    last = 1 if when == "second" else played(name, mode).operations // 2

    def wrap(party: str, channel: Any) -> Any:
        return Mortal(channel, last) if party == "north" else channel

    outcome = stage.play(name, mode=mode, wrap=wrap)
    assert isinstance(outcome.errors["north"], Killed)
    assert isinstance(outcome.errors[ML_PARTY], PartyFailed)
    assert no_half_result(outcome)
    for provider in stage.inputs.providers:
        assert outcome.ledgers[provider].verify().ok


def no_half_result(outcome: Any) -> bool:
    return not any((folder / "scores.parquet").exists() for folder in outcome.sessions.values())


@pytest.mark.parametrize("name", names())
def test_it_says_what_it_protects_and_whom_it_trusts(name: str) -> None:
    architecture = find(name)
    assert architecture.name == name
    assert architecture.summary.endswith(".")
    assert architecture.trust
    assert architecture.seen_by
    guarantee = architecture.guarantee(Options())
    assert guarantee.note
    assert architecture.in_words is not None
    assert all(f"{getattr(architecture.in_words, field.name)}".endswith(".") for field in fields(InWords))
    if architecture.charges:
        assert (guarantee.epsilon, guarantee.delta) == (1.0, 1e-6)
        assert guarantee.unit is not None
        assert guarantee.relation is not None


def test_direct_release_gives_what_the_agreement_asks_beyond_k(stage: Any) -> None:
    def ask(document: dict[str, Any]) -> None:
        document["architectures"]["direct-release"] |= {"l": 2, "t": 0.4}

    outcome = stage.play("direct-release", change=ask)
    assert outcome.errors == {}
    for provider in stage.inputs.providers:
        received = pq.read_table(outcome.sessions[ML_PARTY] / f"received-{provider}.parquet")
        path = outcome.sessions[ML_PARTY] / f"manifest-{provider}.json"
        names = list(json.loads(path.read_text(encoding="utf-8"))["quasi_identifiers"])
        looked_at = stage.inputs.task.schema.named(Role.sensitive) or (stage.inputs.task.target,)
        classes = received.group_by(names).aggregate([(name, "count_distinct") for name in looked_at])
        for name in looked_at:
            assert min(classes.column(f"{name}_count_distinct").to_pylist()) >= 2
