"""The contract of every architecture: through the gate or not at all, and its account balances."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import roc_auc_score

from comity.architectures import find, names
from comity.architectures.definition import Options
from comity.compare.settings import MEDIATOR, ML_PARTY
from comity.errors import PartyFailed, Refused, VerificationFailed
from comity.ledger import Checkpoint, verify_ledger
from comity.schema import Role

SHARING = [name for name in names() if {"provider", "ml_party"} <= set(find(name).programs)]
CHARGED = [name for name in SHARING if find(name).charges]


def digest_of(message: Any) -> str:
    return message.body["receipt"]["outcome"]


@pytest.mark.parametrize("name", SHARING)
def test_it_runs_and_learns_and_its_account_balances(name: str, stage: Any) -> None:
    outcome = stage.play(name)
    assert outcome.errors == {}
    scores = pq.read_table(outcome.sessions[ML_PARTY] / "scores.parquet")
    tests = len(stage.inputs.test_labels)
    aucs = [
        roc_auc_score(stage.inputs.test_labels, np.asarray(scores.column(column))[:tests])
        for column in scores.column_names
    ]
    assert max(aucs) > 0.6
    for provider in stage.inputs.providers:
        kinds = outcome.paid(provider)
        assert kinds.count("asked") == kinds.count("charged") == kinds.count("released") >= 1
        assert outcome.ledgers[provider].verify().ok


@pytest.mark.parametrize("name", SHARING)
def test_a_provider_sends_only_what_its_ledger_says_it_released(name: str, stage: Any) -> None:
    outcome = stage.play(name)
    for provider in stage.inputs.providers:
        released = {entry.body["outcome"] for entry in outcome.ledgers[provider].events("released")}
        assert outcome.sent[provider]
        for message in outcome.sent[provider]:
            assert message.kind in ("release", "share")
            assert digest_of(message) in released


@pytest.mark.parametrize("name", SHARING)
def test_receipts_prove_that_the_ledger_was_not_cut(name: str, stage: Any) -> None:
    outcome = stage.play(name)
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


@pytest.mark.parametrize("name", SHARING)
def test_it_refuses_without_a_clause(name: str, stage: Any) -> None:
    def change(document: dict[str, Any]) -> None:
        other = "pooled" if name != "pooled" else "alone"
        document["architectures"] = {other: {"unsafe_pilot": True}}

    expect_refusal(stage, name, change)


@pytest.mark.parametrize("name", CHARGED)
def test_it_refuses_without_a_budget(name: str, stage: Any) -> None:
    def change(document: dict[str, Any]) -> None:
        clause = document["architectures"][name]
        clause["epsilon"] = clause["epsilon"] / 10
        for data in document["data"]:
            data["budget"]["epsilon"] = data["budget"]["epsilon"] / 10

    expect_refusal(stage, name, change)


def expect_refusal(stage: Any, name: str, change: Callable[[dict[str, Any]], None]) -> None:
    outcome = stage.play(name, change=change)
    assert outcome.figures == {}
    assert isinstance(outcome.errors[ML_PARTY], Refused | PartyFailed)
    assert any(isinstance(outcome.errors[provider], Refused) for provider in stage.inputs.providers)
    for provider in stage.inputs.providers:
        assert "released" not in outcome.kinds(provider)
        assert "charged" not in outcome.kinds(provider)
        assert all(message.kind == "refusal" for message in outcome.sent[provider])
    assert not (outcome.sessions[ML_PARTY] / "scores.parquet").exists()


@pytest.mark.parametrize("name", CHARGED)
def test_the_same_budget_is_not_spent_twice(name: str, stage: Any) -> None:
    assert stage.play(name).errors == {}
    again = stage.play(name)
    assert any(isinstance(again.errors.get(provider), Refused) for provider in stage.inputs.providers)


@pytest.mark.parametrize("name", SHARING)
@pytest.mark.parametrize("party", ["north", ML_PARTY])
def test_a_wrong_key_is_refused(name: str, party: str, stage: Any) -> None:
    outcome = stage.play(name, wrong_key_for=party)
    assert any(isinstance(error, VerificationFailed) for error in outcome.errors.values())
    assert ML_PARTY not in outcome.figures
    assert not (outcome.sessions[ML_PARTY] / "scores.parquet").exists()


@pytest.mark.parametrize("name", names())
def test_it_says_what_it_protects_and_whom_it_trusts(name: str) -> None:
    architecture = find(name)
    assert architecture.name == name
    assert architecture.summary.endswith(".")
    assert architecture.trust
    assert architecture.seen_by
    guarantee = architecture.guarantee(Options())
    assert guarantee.note
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
