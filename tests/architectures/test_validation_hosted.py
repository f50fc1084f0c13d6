"""`validation` in mode hosted: the provider holds everything, and a model runs beside the data."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import roc_auc_score

from comity import sandbox
from comity.architectures import find, validation_hosted
from comity.architectures.definition import Options
from comity.architectures.validation_hosted_terms import canary_attack
from comity.compare import run as compare_run
from comity.compare.settings import ML_PARTY
from comity.errors import BadInput, Refused
from comity.ledger import Checkpoint
from comity.schema import Schema, Unit
from comity.validate import hosted_convert
from comity.validate.hosted_learner import QUERIES

HOSTED = Options(mode="hosted")


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(validation_hosted, "STEP_S", 0.001)


def played(stage: Any, **more: Any) -> Any:
    return stage.play("validation", options=more.pop("options", HOSTED), **more)


def test_it_runs_learns_and_charges_once_before_its_first_answer(stage: Any) -> None:
    outcome = played(stage)
    assert outcome.errors == {}
    scores = pq.read_table(outcome.sessions[ML_PARTY] / "scores.parquet").column("feedback")
    tests = len(stage.inputs.test_labels)
    assert roc_auc_score(stage.inputs.test_labels, np.asarray(scores)[:tests]) > 0.6
    low, high = outcome.figures[ML_PARTY]["feedback"]["auc"][1:]
    assert 0 <= low < high <= 1
    for provider in stage.inputs.providers:
        ledger = outcome.ledgers[provider]
        paid = outcome.paid(provider)
        assert [paid.count(kind) for kind in ("asked", "charged", "released")] == [1, 1, 1]
        assert outcome.kinds(provider).count("released") == QUERIES + 1
        (charge,) = ledger.events("charged")
        assert charge.body["account"].endswith("/record")
        assert charge.body["cost"]["relation"] == "add-remove"
        assert charge.seq < min(entry.seq for entry in ledger.events("released"))
        assert ledger.verify().ok


def test_rows_are_counted_where_they_lie_and_the_ml_party_has_an_estimate(stage: Any) -> None:
    figures = played(stage).figures
    assert figures[ML_PARTY]["rows_used"] is None
    estimate = figures[ML_PARTY]["rows_estimated"]
    assert estimate["low"] <= estimate["value"] <= estimate["high"]
    for name in stage.inputs.providers:
        assert figures[name]["rows_used"] == stage.inputs.train[name].num_rows
        assert figures[name]["sandbox"]["cpu_s"] > 0


def test_persons_are_named_as_the_unit_where_the_schema_says_so(stage: Any) -> None:
    architecture, task = find("validation"), stage.inputs.task
    by_person = Unit(column="job", max_rows=3)
    persons = replace(task, schema=Schema(columns=task.schema.columns, unit=by_person))
    assert architecture.promised(HOSTED, task).unit == "record"
    promise = architecture.promised(HOSTED, persons)
    assert promise.unit == "person"
    assert "At most 3 rows" in promise.note
    outcome = played(stage, change=lambda document: _with_unit(document, {"column": "job", "max_rows": 3}))
    assert outcome.errors == {}
    for provider in stage.inputs.providers:
        (charge,) = outcome.ledgers[provider].events("charged")
        assert charge.body["account"].endswith("/person")
        # three levels of the column, three rows of each
        assert outcome.figures[provider]["rows_used"] <= 9


def _with_unit(document: dict[str, Any], unit: dict[str, Any]) -> None:
    for entry in document["data"]:
        entry["unit"] = unit


def test_what_leaves_is_what_the_ledger_says_and_has_one_size(stage: Any) -> None:
    outcome = played(stage)
    shapes: list[list[dict[str, int]]] = []
    for provider in stage.inputs.providers:
        released = {entry.body["outcome"] for entry in outcome.ledgers[provider].events("released")}
        sent = outcome.sent[provider]
        assert [str(message.kind) for message in sent] == ["share"] + ["release"] * QUERIES
        assert all(message.body["receipt"]["outcome"] in released for message in sent)
        assert sent[0].parts == {}
        shapes.append([{name: len(data) for name, data in message.parts.items()} for message in sent])
    # the tables differ, and nothing about the answers' form does
    assert shapes[0] == shapes[1]
    lines = (outcome.sessions[ML_PARTY] / "receipts.jsonl").read_text(encoding="utf-8").splitlines()
    # the opening share's among them
    assert len(lines) == (QUERIES + 1) * len(stage.inputs.providers)
    assert sum(json.loads(line)["cost"] is not None for line in lines) == len(stage.inputs.providers)


def test_the_provider_gets_a_model_and_no_record_and_the_ml_party_needs_no_linked_rows(stage: Any) -> None:
    for provider in stage.inputs.providers:
        (stage.folder / ML_PARTY / "tables" / f"linked-{provider}.parquet").unlink()
    outcome = played(stage)
    assert outcome.errors == {}
    names = {name for message in outcome.sent[ML_PARTY] for name in message.parts}
    assert names == {"model", "weights", "matrix", "before", "after"}


@pytest.mark.parametrize(
    "change",
    [
        {"mode": "linked", "minimum_group": 10},
        {"queries": QUERIES - 1},
        {"queries": QUERIES + 1},
        {"epsilon": 0.1},
        None,
    ],
)
def test_another_clause_is_refused_before_a_charge(change: dict[str, Any] | None, stage: Any) -> None:
    def edit(document: dict[str, Any]) -> None:
        if change is None:
            document["architectures"] = {"alone": {"unsafe_pilot": True}}
        else:
            document["architectures"]["validation"] |= change

    outcome = played(stage, change=edit)
    assert outcome.figures == {}
    for provider in stage.inputs.providers:
        assert isinstance(outcome.errors[provider], Refused)
        assert not {"charged", "released"} & set(outcome.kinds(provider))
        assert [str(message.kind) for message in outcome.sent[provider]] == ["refusal"]


def test_the_same_budget_is_not_spent_twice(stage: Any) -> None:
    assert played(stage).errors == {}
    again = played(stage)
    assert any(isinstance(again.errors.get(provider), Refused) for provider in stage.inputs.providers)


def test_a_model_that_may_not_run_is_refused_with_its_reason(
    stage: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hosted_convert, "to_onnx", lambda model, features: b"\x80\x04not a model")
    outcome = played(stage)
    assert "not valid ONNX" in str(outcome.errors[ML_PARTY])
    for provider in stage.inputs.providers:
        assert isinstance(outcome.errors[provider], BadInput)
        assert not {"asked", "charged", "released"} & set(outcome.kinds(provider))


def test_a_query_out_of_order_is_refused(stage: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def twice(self: Any, body: Any, parts: Any, sizes: Any) -> Any:
        self._number = max(self._number - 1, 0)
        return asked(self, body, parts, sizes)

    asked = validation_hosted._Conversation.ask
    monkeypatch.setattr(validation_hosted._Conversation, "ask", twice)
    outcome = played(stage)
    assert ML_PARTY not in outcome.figures
    for provider in stage.inputs.providers:
        assert "out of order" in str(outcome.errors[provider])
        assert outcome.kinds(provider).count("released") == 2


def test_receipts_prove_the_ledger(stage: Any) -> None:
    outcome = played(stage)
    for provider in stage.inputs.providers:
        last = outcome.sent[provider][-1]
        checkpoint = Checkpoint.from_dict(last.body["receipt"]["checkpoint"])
        checkpoint.verify(stage.keys[provider].verify_key)


def test_where_it_cannot_run_it_is_skipped_with_the_reason(
    stage: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    architecture = find("validation")
    hosted, linked = (architecture.exposure(mode) for mode in ("hosted", "linked"))
    assert hosted.skip(stage.inputs.task, stage.inputs.providers) is None
    monkeypatch.setattr(sandbox, "missing", lambda: "the program 'bwrap'")
    assert "bwrap" in (hosted.skip(stage.inputs.task, stage.inputs.providers) or "")
    assert linked.skip(stage.inputs.task, stage.inputs.providers) is None

    class Asked:
        mode = "hosted"
        partition = "rows"
        architectures = None

    assert "bwrap" in (compare_run._skip_reason(architecture, Asked(), stage.inputs, "hosted") or "")  # type: ignore[arg-type]


def test_it_says_whom_it_trusts_and_what_it_reveals() -> None:
    architecture = find("validation")
    guarantee = architecture.guarantee(HOSTED)
    assert (guarantee.unit, guarantee.relation) == ("record", "add-remove")
    assert architecture.guarantee(Options()).unit == "label"
    assert any(
        "hosted reveals the model" in seen for seen in architecture.exposure("hosted").seen_by["provider"]
    )
    assert "minimum_group" not in architecture.clause(HOSTED)


def test_a_canary_stays_below_the_bound_and_the_attack_works_with_little_noise() -> None:
    """20,000 coins: an interval above the bound by chance has probability far below 1e-6 here."""
    found = canary_attack(Options(epsilon=1.0, mode="hosted"))
    assert found.within_bound
    assert found.low > 0.03
    assert found.control is not None
    assert abs(found.control) < 0.05
    loose = canary_attack(Options(epsilon=8.0, mode="hosted"), trials=2000)
    assert loose.low > 0.4
