"""`encrypted` beyond the contract: two providers and the mediator, columns, predictions, another program."""

from __future__ import annotations

import csv
import json
import random
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import roc_auc_score

from comity.architectures.definition import Options, Parties
from comity.architectures.encrypted_compute import MEMBER, Watch
from comity.architectures.encrypted_terms import clause, compute_among
from comity.compare.progress import quiet
from comity.compare.run import run_comparison
from comity.compare.settings import MEDIATOR, ML_PARTY, Settings
from comity.crypto.keys import SigningKey
from comity.errors import PartyFailed, VerificationFailed
from comity.ledger import Ledger
from comity.wire import Kind

pytestmark = pytest.mark.slow
EXACT = Options(mode="exact")


def auc_of(stage: Any, outcome: Any) -> float:
    scores = pq.read_table(outcome.sessions[ML_PARTY] / "scores.parquet")
    tests = len(stage.inputs.test_labels)
    return float(roc_auc_score(stage.inputs.test_labels, np.asarray(scores.column(0))[:tests]))


def test_who_computes() -> None:
    assert compute_among(Parties(("a", "b"), "m", "t")) == ("a", "b", "t")
    assert compute_among(Parties(("a", "b", "c", "d"), "m", "t")) == ("a", "b", "c")
    told = clause(Options(mode="exact", partition="columns"), Parties(("a", "b"), "m", "t"))
    assert told["membership_to"] == ["a", "b"]
    assert told["unsafe_exact"]


def test_two_providers_and_the_mediator_give_predictions_and_keep_the_model(
    stage_of: Callable[..., Any], tmp_path: Path
) -> None:
    stage = stage_of(tmp_path)

    def change(document: dict[str, Any]) -> None:
        document["architectures"]["encrypted"] |= {"opens": "predictions", "model": "linear"}

    outcome = stage.play("encrypted", options=EXACT, change=change)
    assert outcome.errors == {}
    assert auc_of(stage, outcome) > 0.6
    assert not (outcome.sessions[ML_PARTY] / "model.json").exists()
    assert all(outcome.figures[name]["engine_bytes"] > 0 for name in ("north", "south", MEDIATOR))
    # what leaves each provider is one exact release: opened once, drawn on for the rest
    for name in ("north", "south"):
        assert outcome.kinds(name).count("charged") == 1
        released = [entry.body for entry in outcome.ledgers[name].events("released")]
        assert [body["sealed"] for body in released] == [True] * 3
        assert [body["exact"] for body in released] == [True, False, False]
    nothing_of_a_share_lies_about(stage, outcome)


def nothing_of_a_share_lies_about(stage: Any, outcome: Any) -> None:
    """No part of a message that carried shares is in any file of any party."""
    shares = [
        data
        for messages in outcome.sent.values()
        for message in messages
        if message.kind == Kind.share or message.topic in ("asked", "result-share")
        for data in message.parts.values()
        if len(data) >= 32
    ]
    assert shares
    files = [path.read_bytes() for path in stage.folder.rglob("*") if path.is_file()]
    assert not [data for data in shares if any(data[:32] in file or data[-32:] in file for file in files)]


def columns_settings(folder: Path) -> Settings:
    """North has ages and who is ill, south jobs; each knows some records that the other does not."""
    draw = random.Random(4)
    people = []
    for row in range(700):
        age, job = draw.randint(18, 80), draw.choice("abc")
        ill = draw.random() < 0.1 + 0.5 * (age > 50) + 0.3 * (job == "b")
        people.append({"pid": f"p{row}", "age": age, "job": job, "ill": "yes" if ill else "no"})
    for name, columns, known in (("north", ("age", "ill"), people[20:]), ("south", ("job",), people[:650])):
        draw.shuffle(known)
        with open(folder / f"{name}.csv", "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["pid", *columns])
            writer.writerows([person["pid"], *(person[column] for column in columns)] for person in known)
    return Settings.parse(
        providers=[f"{name}={folder / name}.csv" for name in ("north", "south")],
        target="ill",
        positive="yes",
        id="pid",
        test=None,
        schema=None,
        epsilon="1",
        delta=1e-6,
        k=5,
        seed_rows=40,
        architectures=["encrypted"],
        mode="exact",
        partition="columns",
        seed=0,
        keep=folder / "kept",
    )


def test_columns_of_the_same_records_are_aligned_and_trained_on(tmp_path: Path) -> None:
    """With real processes, as `comity try encrypted --partition columns` runs them."""
    comparison = run_comparison(columns_settings(tmp_path), quiet)
    (result,) = comparison.document["results"]
    assert "error" not in result
    assert result["utility"]["auc"] > 0.6
    kept = tmp_path / "kept"
    ids = [
        set(pq.read_table(kept / name / "tables" / "train.parquet").column("pid").to_pylist())
        for name in ("north", "south")
    ]
    assert result["utility"]["rows_used"] == len(ids[0] & ids[1]) < min(map(len, ids))
    document = json.loads((kept / ML_PARTY / "sessions" / "encrypted" / "model.json").read_text())
    assert {"age", "job: b"} <= set(document["weights"])
    for name in ("north", "south"):  # alignment tells membership: it is charged, before any id is read
        key = SigningKey.load(kept / name / "key.pem")
        ledger = Ledger.open(kept / name / "ledger.db", key=key, owner=name)
        ours = [entry for entry in ledger.events() if "encrypted" in str(entry.body.get("clause"))]
        (charged,) = (entry for entry in ours if entry.kind == "charged")
        assert "align" in charged.body["purpose"]
        assert [entry.kind for entry in ours].count("released") == 4


def test_another_program_is_refused_before_anything_is_shared(
    stage_of: Callable[..., Any], tmp_path: Path
) -> None:
    """South's program has another digest than north's and the mediator's."""
    stage = stage_of(tmp_path)

    class Other:
        def __init__(self, channel: Any) -> None:
            self._channel = channel

        def __getattr__(self, name: str) -> Any:
            return getattr(self._channel, name)

        def receive(self, sender: str) -> Any:
            message = self._channel.receive(sender)
            if message.topic != MEMBER:
                return message
            return replace(message, body={**message.body, "program": "0" * 64})

    outcome = stage.play(
        "encrypted", options=EXACT, wrap=lambda party, end: Other(end) if party == "south" else end
    )
    assert isinstance(outcome.errors["south"], VerificationFailed)
    assert "another program" in str(outcome.errors["south"])
    assert ML_PARTY not in outcome.figures
    for name in ("north", "south"):
        assert "charged" not in outcome.kinds(name)
        assert not [message for message in outcome.sent[name] if message.kind == Kind.share]


def test_a_failure_heard_of_ends_the_wait_for_the_work() -> None:
    def hear(name: str) -> None:
        raise PartyFailed(f"'{name}' is gone")

    def work() -> None:
        threading.Event().wait(60)

    with pytest.raises(PartyFailed, match="west"):
        Watch(["west"], hear).work(work)
