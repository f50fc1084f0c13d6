"""`comity ledger verify https://...`: what a node shows is fetched over mutual TLS and proven."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from comity.crypto.tls import server_context
from comity.errors import ComityError, PartyFailed, UsageError, VerificationFailed
from comity.ledger import Ledger, published
from comity.ledger.countersignatures import offer
from comity.ledger.keeper import Keeper
from comity.ledger.published import HEADER, Ask
from comity.node.fetch import fetch_ledger
from comity.node.folder import PartyFolder
from comity.plan import Receipt


@dataclass
class Stage:
    """A provider's node that shows a ledger, and the ML party that fetches it."""

    north: PartyFolder
    analyst: PartyFolder
    shown: Ledger
    broken: dict[str, Any] = field(default_factory=dict)

    async def checkpoint(self, request: Request) -> JSONResponse:
        query = request.query_params
        asker = None
        if HEADER in request.headers:
            keys = {"analyst": self.analyst.key.verify_key}
            asker = Ask.from_header(request.headers[HEADER]).verify(keys, owner="north")
        since = int(query["since"]) if "since" in query else None
        body = published.published(self.shown, asker=asker, since=since, start=int(query.get("start", 0)))
        return JSONResponse({**body, **self.broken})

    async def proof(self, request: Request) -> JSONResponse:
        sequence = int(request.path_params["sequence"])
        return JSONResponse(published.published_proof(self.shown, sequence, asker=None))

    async def consistency(self, request: Request) -> JSONResponse:
        old, new = (int(request.path_params[name]) for name in ("old", "new"))
        try:
            return JSONResponse(published.published_consistency(self.shown, old, new))
        except ComityError as error:
            return JSONResponse({"code": error.code}, status_code=error.http_status)


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port = listening.getsockname()[1]
    north = PartyFolder.create(tmp_path / "north", "north", f"https://127.0.0.1:{port}")
    analyst = PartyFolder.create(tmp_path / "analyst", "analyst")
    analyst.add_peer(north.card())
    shown = Ledger.open(north.ledger_path, key=north.key, owner="north")
    shown.open_account("north/patients/label", (1.0, 1e-6))
    made = Stage(north, analyst, shown)
    routes = [
        Route("/ledger/checkpoint", made.checkpoint),
        Route("/ledger/proof/{sequence}", made.proof),
        Route("/ledger/consistency/{old}/{new}", made.consistency),
    ]
    context = server_context(north.key, north.certificate, [analyst.certificate])
    config = uvicorn.Config(
        Starlette(routes=routes),
        host="127.0.0.1",
        port=port,
        log_level="critical",
        ssl_context_factory=lambda config, default: context,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve()))
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield made
    server.should_exit = True
    thread.join()
    shown.close()


def release(stage: Stage, number: int) -> None:
    """What a session leaves behind: entries in the ledger, a receipt in the ML party's folder."""
    plan, clause = f"{number:064x}", "architectures.validation"
    facts = {"plan": plan, "purpose": "auc", "recipient": "analyst", "clause": clause}
    stage.shown.append("asked", facts)
    stage.shown.append("note", {"text": "for the steward only"})
    entry = stage.shown.append("released", {**facts, "outcome": "cd" * 32})
    receipt = Receipt.of(entry, agreement="ab" * 32, clause=clause, plan=plan, cost=None)
    folder = stage.analyst.sessions_path / f"s{number}"
    folder.mkdir(parents=True)
    line = json.dumps({"from": "north", **receipt.to_dict()})
    (folder / "receipts.jsonl").write_text(line + "\n")


def test_a_ledger_is_fetched_and_proven(stage: Stage) -> None:
    fetched = fetch_ledger(stage.analyst, stage.north.url)
    assert fetched.ok
    assert (fetched.whole, fetched.kept, fetched.entries) == (True, 0, ())
    assert "a rewrite before today would not show" in "\n".join(fetched.words())
    for number in range(2):
        release(stage, number)
    keeper = Keeper(stage.analyst.countersigned_path, party="analyst", key=stage.analyst.key)
    keeper.countersign(offer(stage.shown), owner="north", owner_key=stage.north.key.verify_key)
    stage.shown.append("note", {})
    fetched = fetch_ledger(stage.analyst, stage.north.url)
    assert fetched.ok, fetched.faults
    assert (fetched.kept, fetched.receipts) == (2, 2)
    assert [entry.kind for entry in fetched.entries] == ["asked", "released"] * 2
    assert "It extends every checkpoint kept here: 2, 2 of them in receipts." in fetched.words()
    assert json.dumps(fetched.to_dict())


def test_only_proofs_where_the_ledger_is_large(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(published, "MAX_LEAVES", 3)
    monkeypatch.setattr(published, "MAX_SHOWN", 2)
    for number in range(4):
        release(stage, number)
    fetched = fetch_ledger(stage.analyst, f"{stage.north.url}/")
    assert fetched.ok, fetched.faults
    assert not fetched.whole
    assert fetched.kept == 4
    assert [entry.seq for entry in fetched.entries] == [2, 4, 5, 7, 8, 10, 11, 13]


def forked(stage: Stage, tmp_path: Path) -> None:
    """The node now shows another ledger, signed with the right key."""
    stage.shown = Ledger.open(tmp_path / "fork.db", key=stage.north.key, owner="north")
    for _ in range(20):
        stage.shown.append("note", {})


@pytest.mark.parametrize("leaves", [3, 50_000])
def test_another_ledger_is_found(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, leaves: int
) -> None:
    monkeypatch.setattr(published, "MAX_LEAVES", leaves)
    release(stage, 1)
    forked(stage, tmp_path)
    fetched = fetch_ledger(stage.analyst, stage.north.url)
    assert not fetched.ok
    assert "receipts.jsonl: the ledger shown now is another one" in fetched.faults[0]
    assert "does NOT verify" in "\n".join(fetched.words())


@pytest.mark.parametrize("leaves", [3, 50_000])
def test_a_rewritten_one_is_found(stage: Stage, monkeypatch: pytest.MonkeyPatch, leaves: int) -> None:
    from comity.ledger.checkpoints import Checkpoint

    monkeypatch.setattr(published, "MAX_LEAVES", leaves)
    keeper = Keeper(stage.analyst.countersigned_path, party="analyst", key=stage.analyst.key)
    head = stage.shown.checkpoint()
    other = Checkpoint.sign(stage.north.key, ledger=head.ledger, size=2, root=b"\7" * 32, time=head.time)
    from comity.ledger.countersignatures import Offer

    keeper.countersign(Offer(other, 0, ()).to_dict(), owner="north", owner_key=stage.north.key.verify_key)
    release(stage, 1)
    fetched = fetch_ledger(stage.analyst, stage.north.url)
    assert len(fetched.faults) == 1
    assert "checkpoint of 2 entries" in fetched.faults[0]


def test_a_cut_off_end_is_found(stage: Stage) -> None:
    before = published.published(stage.shown, asker="analyst")
    release(stage, 1)
    stage.broken = {name: before[name] for name in ("checkpoint", "leaves", "entries")}
    (fault,) = fetch_ledger(stage.analyst, stage.north.url).faults
    assert "only 2 entries are shown now: the end was cut off" in fault


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        ({"checkpoint": {}}, "a checkpoint has"),
        ({"checkpoint": None}, "a checkpoint has"),
        ({"leaves": ["00" * 32] * 5}, "not those of the checkpoint"),
        ({"leaves": []}, "not those of the checkpoint"),
        ({"leaves": "many"}, "not a list of hashes"),
        ({"leaves": ["zz" * 32]}, "not a list of hashes"),
        ({"entries": None}, "no list of entries"),
        ({"entries": [3]}, "an object"),
        ({"entries": [{"seq": 1}]}, "salt"),
    ],
)
def test_what_a_node_makes_up_is_no_proof(stage: Stage, broken: dict[str, Any], told: str) -> None:
    release(stage, 1)
    stage.broken = broken
    assert any(told in fault for fault in fetch_ledger(stage.analyst, stage.north.url).faults)


def test_an_entry_that_was_changed_on_the_way(stage: Stage) -> None:
    release(stage, 1)
    entries = published.published(stage.shown, asker="analyst")["entries"]
    entries[1]["event"] = entries[1]["event"].replace("auc", "all")
    stage.broken = {"entries": entries}
    assert "not the one that the ledger holds" in fetch_ledger(stage.analyst, stage.north.url).faults[0]


def test_who_cannot_be_reached_and_who_is_unknown(stage: Stage) -> None:
    with pytest.raises(UsageError, match="no card with the address"):
        fetch_ledger(stage.analyst, "https://127.0.0.1:1")
    stage.north.renew("https://127.0.0.1:9")
    stage.analyst.add_peer(stage.north.card())
    with pytest.raises(PartyFailed, match="shows no ledger"):
        fetch_ledger(stage.analyst, "https://127.0.0.1:9")


def test_a_damaged_file_of_receipts_is_told(stage: Stage) -> None:
    release(stage, 1)
    path = next(stage.analyst.sessions_path.glob("*/receipts.jsonl"))
    path.write_text("{}\n")
    with pytest.raises(VerificationFailed, match="damaged in line 1"):
        fetch_ledger(stage.analyst, stage.north.url)


def test_the_command(stage: Stage, tmp_path: Path) -> None:
    release(stage, 1)

    def verify(*more: str) -> subprocess.CompletedProcess[str]:
        command = [str(Path(sys.executable).with_name("comity")), "ledger", "verify", stage.north.url, *more]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    done = verify("--folder", str(stage.analyst.path))
    assert done.returncode == 0, done.stderr
    assert "Ledger of north at https://127.0.0.1" in done.stdout
    without = verify()
    assert without.returncode == 2
    assert "--folder" in without.stderr
    forked(stage, tmp_path)
    done = verify("--folder", str(stage.analyst.path), "--json", "-")
    assert done.returncode == 6
    assert json.loads(done.stdout)["verifies"] is False
