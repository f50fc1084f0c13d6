"""For the tests of nodes: parties with folders, tables and a signed agreement, their nodes as processes."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from comity.agreement import Agreement, agreement_from
from comity.architectures import find
from comity.architectures.definition import Options, Parties, Task
from comity.node.folder import PartyFolder
from comity.node.orders import give_order
from comity.schema import parse_schema

COMITY = Path(sys.executable).with_name("comity")
PROVIDERS = ("north", "south", "west")
ROLES = {**dict.fromkeys(PROVIDERS, "provider"), "hub": "mediator", "analyst": "ml_party"}
SCHEMA = {
    "columns": {
        "id": {"role": "identifier", "type": "text"},
        "age": {"role": "quasi_identifier", "type": "integer", "min": 20, "max": 79},
        "job": {"role": "quasi_identifier", "type": "category", "values": ["baker", "clerk", "smith"]},
        "ill": {"role": "target", "type": "category", "values": ["no", "yes"]},
    }
}


def free_port(host: str = "127.0.0.1") -> int:
    """A port where nobody listens, and that no connection and no other worker takes before it is used.

    Each worker of a parallel run has two thousand of its own, below those that the system gives connections.
    """
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    for _ in range(100):
        port = 20_000 + 2_000 * (worker % 6) + secrets.randbelow(2_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind((host, port))
            return port
    raise OSError(f"no free port at {host}")


def people(name: str, rows: int, seed: int) -> pa.Table:
    """Made-up people of one provider, whose illness depends on age and job."""
    draw = np.random.default_rng([seed, sum(name.encode())])
    age = draw.integers(20, 80, rows)
    job = draw.integers(0, 3, rows)
    chance = 1 / (1 + np.exp(-((age - 50) / 12 + (job == 2) * 1.5 - 0.5)))
    ill = draw.random(rows) < chance
    return pa.table(
        {
            "id": [f"{name}-{at}" for at in range(rows)],
            "age": age,
            "job": np.array(["baker", "clerk", "smith"])[job],
            "ill": np.where(ill, "yes", "no"),
        }
    )


def machines(name: str, rows: int, seed: int) -> pa.Table:
    """Made-up machines: nothing in them is about anybody."""
    draw = np.random.default_rng([seed, sum(name.encode()), 1])
    hours = draw.integers(0, 9_000, rows)
    part = draw.integers(0, 3, rows)
    fails = draw.random(rows) < 0.1 + 0.5 * (hours > 6_000) + 0.3 * (part == 0)
    return pa.table(
        {
            "id": [f"{name}-{at}" for at in range(rows)],
            "hours": hours,
            "part": np.array(["belt", "fan", "pump"])[part],
            "failed": np.where(fails, "yes", "no"),
        }
    )


@dataclass(frozen=True)
class Subject:
    """What tables are about: their schema, made-up rows, features and target."""

    schema: Mapping[str, Any]
    rows: Callable[[str, int, int], pa.Table]
    features: tuple[str, ...]
    target: str


PEOPLE = Subject(SCHEMA, people, ("age", "job"), "ill")
MACHINES = Subject(
    {
        "columns": {
            "id": {"role": "identifier", "type": "text"},
            "hours": {"role": "insensitive", "type": "integer", "min": 0, "max": 10_000},
            "part": {"role": "insensitive", "type": "category", "values": ["belt", "fan", "pump"]},
            "failed": {"role": "target", "type": "category", "values": ["no", "yes"]},
        }
    },
    machines,
    ("hours", "part"),
    "failed",
)


@dataclass
class Town:
    """All parties of one agreement, each with its folder; `nodes` holds the processes that run."""

    root: Path
    folders: dict[str, PartyFolder]
    agreement: Agreement
    task: Task
    nodes: dict[str, subprocess.Popen[str]] = field(default_factory=dict)
    extra: dict[str, list[str]] = field(default_factory=dict)

    @property
    def analyst(self) -> PartyFolder:
        return self.folders["analyst"]

    def start(self, *names: str) -> None:
        """Start nodes (all by default) and return once each takes requests."""
        before: dict[str, int] = {}
        for name in names or tuple(self.folders):
            path = self.root / f"{name}.log"
            before[name] = self.log(name).count("listens on") if path.exists() else 0
            log = open(path, "a", encoding="utf-8")  # noqa: SIM115
            self.nodes[name] = subprocess.Popen(
                [
                    str(COMITY),
                    "node",
                    "start",
                    "--folder",
                    str(self.folders[name].path),
                    *self.extra.get(name, []),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                text=True,
                env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
            )
            log.close()
        for name in names or tuple(self.folders):
            self._await(name, before[name])

    def _await(self, name: str, before: int) -> None:
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline:
            if self.nodes[name].poll() is not None:
                break
            if self.log(name).count("listens on") > before:
                return
            time.sleep(0.05)
        raise AssertionError(f"the node of {name} did not start: {self.log(name)[-2000:]}")

    def log(self, name: str) -> str:
        return (self.root / f"{name}.log").read_text(encoding="utf-8")

    def kill(self, name: str) -> None:
        """As kill -9: nothing is flushed, nobody is told."""
        process = self.nodes.pop(name)
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=20)

    def stop(self) -> None:
        """End every node at once, by its own process id: what is stored has to be enough."""
        for process in self.nodes.values():
            process.kill()
        for process in self.nodes.values():
            process.wait()
        self.nodes.clear()

    def end(self, name: str) -> int:
        """End a node as its people do. Returns its exit code."""
        process = self.nodes.pop(name)
        process.terminate()
        return process.wait(timeout=60)

    def open(self, architecture: str, **options: Any) -> str:
        body = {
            "architecture": architecture,
            "task": self.task.to_dict(),
            "options": Options(**options).to_dict(),
        }
        return give_order(self.analyst, "run", body, agreement=self.agreement.digest)["session"]

    def session(self, name: str, session: str) -> Mapping[str, Any] | None:
        rows = give_order(self.folders[name], "sessions", {})["sessions"]
        return next((row for row in rows if row["session"] == session), None)

    def ended(self, session: str, name: str = "analyst", seconds: float = 120) -> Mapping[str, Any]:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            row = self.session(name, session)
            if row is not None and row["status"] != "running":
                return row
            time.sleep(0.1)
        raise AssertionError(f"session {session} has not ended at {name}: {self.log(name)[-2000:]}")

    def run(self, architecture: str, **options: Any) -> Mapping[str, Any]:
        return self.ended(self.open(architecture, **options))


def build_town(
    root: Path,
    architectures: Sequence[str],
    *,
    rows: int = 400,
    parties: Sequence[str] = tuple(ROLES),
    epsilon: float = 4.0,
    days: int = 7,
    hosts: Mapping[str, str] | None = None,
    attested: str | None = None,
    clauses: Mapping[str, Mapping[str, Any]] | None = None,
    subject: Subject = PEOPLE,
) -> Town:
    """Folders with keys, cards and tables, and one agreement for these architectures signed by all.

    Args:
        hosts: the address of each party's node, 127.0.0.1 by default.
        attested: the measurement that the mediator has to prove.
        clauses: instead of each architecture's own for its default options.
        subject: what the tables are about.
    """
    task = Task(parse_schema(dict(subject.schema), where="the test's schema"), subject.target, "yes", "id")
    folders: dict[str, PartyFolder] = {}
    for name in parties:
        host = (hosts or {}).get(name, "127.0.0.1")
        folders[name] = PartyFolder.create(root / name, name, f"https://{host}:{free_port(host)}")
    for folder in folders.values():
        for other in folders.values():
            if other is not folder:
                folder.add_peer(other.card())
    tables = {name: subject.rows(name, rows, 1) for name in parties if ROLES[name] == "provider"}
    _write_tables(folders, tables, subject)
    document = _document(folders, task, architectures, epsilon, days, tables)
    for name, clause in (clauses or {}).items():
        document["architectures"][name].update(clause)
    if attested is not None:
        hub = next(party for party in document["parties"] if party["name"] == "hub")
        hub["attested"] = {"measurement": attested}
    return Town(root, folders, agreed(folders, document), task)


def agree_again(town: Town, architecture: str, options: Options) -> Town:
    """The same town under a second agreement of the same parties and data, for one architecture."""
    document = town.agreement.to_dict()
    document.pop("signatures", None)
    frame = document["architectures"][architecture].get("frame")
    clause = find(architecture).clause(options) | ({} if frame is None else {"frame": frame})
    document["architectures"] = {architecture: clause}
    for data in document["data"]:
        data["mediator_may_hold"] = options.mode == "entrusted"
    return replace(town, agreement=agreed(town.folders, document))


def agree_on(
    town: Town, architecture: str, options: Options, *, lineage: str | None = None, **clause: Any
) -> Town:
    """The same town under one more agreement, for one architecture.

    Args:
        lineage: by default one of this architecture's and mode's own.
        clause: what differs from the architecture's own.
    """
    document = town.agreement.to_dict()
    document.pop("signatures", None)
    providers = tuple(name for name in town.folders if ROLES[name] == "provider")
    own = find(architecture).clause_of(options, Parties(providers, "analyst", "hub"))
    document["architectures"] = {architecture: own | clause}
    if architecture == "plain":
        document["purpose"]["legal_basis"] = "not_personal"
    for data in document["data"]:
        data["lineage"] = lineage or f"{architecture}-{options.mode or 'only'}"
    return replace(town, agreement=agreed(town.folders, document))


def agreed(folders: Mapping[str, PartyFolder], document: Mapping[str, Any]) -> Agreement:
    """The agreement of a document, signed by every party and kept by all of them."""
    agreement = agreement_from(document)
    for name, folder in folders.items():
        agreement = agreement.sign(name, folder.key)
    for folder in folders.values():
        folder.keep_agreement(agreement)
    return agreement


def _write_tables(
    folders: Mapping[str, PartyFolder], tables: Mapping[str, pa.Table], subject: Subject
) -> None:
    from comity.architectures.hierarchies import read_hierarchy

    schema = parse_schema(dict(subject.schema), where="the test's schema")
    features = list(subject.features)
    hierarchies = {name: read_hierarchy(name, schema, None).to_dict() for name in features}
    seed = subject.rows("seed", 200, 2)
    for name, folder in folders.items():
        written = folder.tables_path
        (written / "hierarchies.json").write_text(json.dumps(hierarchies))
        pq.write_table(subject.rows("probe", 300, 3).select(features), written / "probe.parquet")
        pq.write_table(seed.select([*features, subject.target]), written / "seed.parquet")
        if name in tables:
            pq.write_table(tables[name], written / "train.parquet")
        if ROLES[name] == "ml_party":
            for provider, table in tables.items():
                pq.write_table(table.select(["id", *features]), written / f"linked-{provider}.parquet")


def _document(
    folders: Mapping[str, PartyFolder],
    task: Task,
    architectures: Sequence[str],
    epsilon: float,
    days: int,
    tables: Mapping[str, pa.Table],
) -> dict[str, Any]:
    from comity.crypto.canonical import digest

    clauses: dict[str, Any] = {}
    for name in architectures:
        definition = find(name)
        options = Options(mode=definition.modes[0] if definition.modes else None)
        clauses[name] = definition.clause(options)
        if definition.frame:
            ids = sorted(i for table in tables.values() for i in table.column("id").to_pylist())
            clauses[name]["frame"] = {"rows": len(ids), "sha256": digest(ids)}
    return {
        "comity": 1,
        "title": "Who falls ill",
        "parties": [
            {"name": name, "role": ROLES[name], "key": str(folder.key.verify_key)}
            for name, folder in folders.items()
        ],
        "purpose": {"text": "Predict illness", "legal_basis": "consent"},
        "data": [
            {
                "provider": name,
                "lineage": "people-2026",
                "source": "made up for the test",
                "licence": "for the test",
                "consent": "nobody real",
                "columns": task.schema.to_dict()["columns"],
                "unit": task.schema.unit.model_dump(mode="json"),
                "budget": {"epsilon": epsilon, "delta": 1e-6 * epsilon, "delta_additive": 9e-7},
            }
            for name in tables
        ],
        "architectures": clauses,
        "expires": (datetime.now(UTC) + timedelta(days=days)).date().isoformat(),
    }
