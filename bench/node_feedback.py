"""Live feedback through a node: durable queries a second, beside a bare server with the same parts.

Run with `python bench/node_feedback.py [--seconds 6] [--clients 8] [--json FILE]`.

The node is a real process (`comity node start`) on loopback TLS, SQLite with synchronous=FULL. Each client is
a conversation of its own on a connection of its own: open, one grouping, then questions, one after the
other. Each question is a new one (the sum of all groups with a sign each), since what was asked before is
told again for free; a row of its own measures that. Questions are signed before the clock starts, so that
the clients take as little as possible of the two cores. The peer is uvicorn with the same TLS, one Ed25519
check, one SQLite commit (synchronous = FULL) and one discrete Laplace draw for each request; it keeps no
account, ledger or answer. The last row drives the node through `RemoteValidator`, which signs, and checks
every answer and receipt.

Printed for each: queries a second (wall), the server's CPU time a message, CPU seconds of server and clients,
the server's peak memory. `--times N` repeats bare server and single questions, since the machine may be busy.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from comity.agreement import Agreement, agreement_from
from comity.architectures.definition import Task
from comity.crypto.canonical import digest
from comity.crypto.tls import client_context
from comity.ledger import verify_ledger
from comity.node.folder import PartyFolder
from comity.node.line import Line
from comity.node.remote import RemoteValidator
from comity.schema import parse_schema
from comity.wire import Query, Sealer

RECORDS = 10_000
GROUPS = 20
EPSILON = 0.001
SCHEMA = {
    "columns": {
        "id": {"role": "identifier", "type": "text"},
        "age": {"role": "quasi_identifier", "type": "integer", "min": 20, "max": 79},
        "ill": {"role": "target", "type": "category", "values": ["no", "yes"]},
    }
}


@dataclass
class Row:
    """One measurement."""

    name: str
    queries: int
    wall_s: float
    per_s: float
    server_cpu_ms: float
    server_cpu_s: float
    clients_cpu_s: float
    server_peak_mb: float


@dataclass
class Place:
    """Two parties, their agreement, and what both ends know."""

    north: PartyFolder
    analyst: PartyFolder
    agreement: Agreement
    task: Task
    ids: list[str]


def build(root: Path) -> Place:
    """Folders, a table of made-up people, an agreement with room for many questions."""
    north, analyst = (
        PartyFolder.create(root / name, name, f"https://127.0.0.1:{free_port()}")
        for name in ("north", "analyst")
    )
    north.add_peer(analyst.card())
    analyst.add_peer(north.card())
    draw = np.random.default_rng(1)
    ids = [f"p{at:06d}" for at in range(RECORDS)]
    age = draw.integers(20, 80, RECORDS)
    table = pa.table({"id": ids, "age": age, "ill": np.where(draw.random(RECORDS) < 0.3, "yes", "no")})
    pq.write_table(table, north.tables_path / "train.parquet")
    schema = parse_schema(SCHEMA, where="the bench's schema")
    document = {
        "comity": 1,
        "title": "Feedback bench",
        "parties": [
            {"name": "north", "role": "provider", "key": str(north.key.verify_key)},
            {"name": "analyst", "role": "ml_party", "key": str(analyst.key.verify_key)},
        ],
        "purpose": {"text": "Measure feedback", "legal_basis": "consent"},
        "data": [
            {
                "provider": "north",
                "lineage": "people",
                "source": "made up",
                "licence": "none",
                "consent": "nobody real",
                "columns": schema.to_dict()["columns"],
                "unit": schema.unit.model_dump(mode="json"),
                "budget": {"epsilon": 100_000.0, "delta": 1e-6, "delta_additive": 9e-7},
            }
        ],
        "architectures": {
            "validation": {
                "mode": "linked",
                "epsilon": 100_000.0,
                "delta": 1e-6,
                "minimum_group": 10,
                "queries": 100_000_000,
            }
        },
        "expires": (datetime.now(UTC) + timedelta(days=2)).date().isoformat(),
    }
    agreement = agreement_from(document)
    agreement = agreement.sign("north", north.key).sign("analyst", analyst.key)
    for folder in (north, analyst):
        folder.keep_agreement(agreement)
    return Place(north, analyst, agreement, Task(schema, "ill", "yes", "id"), ids)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def started(command: list[str], port: int) -> subprocess.Popen[bytes]:
    """A server's process, once it takes connections."""
    quiet = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env={**os.environ, **quiet}
    )
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return process
    raise SystemExit("the server did not start")


def ended(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(timeout=20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def cpu_of(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak_of(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def measured(name: str, pid: int, workers: list[Callable[[], bool]], per_step: int, seconds: float) -> Row:
    """Run every worker's steps in a thread of its own for a while."""
    counts = [0] * len(workers)
    gate, stop = threading.Barrier(len(workers) + 1), threading.Event()

    def work(at: int) -> None:
        gate.wait()
        while not stop.is_set() and workers[at]():
            counts[at] += per_step

    threads = [threading.Thread(target=work, args=(at,)) for at in range(len(workers))]
    for thread in threads:
        thread.start()
    cpu, own = cpu_of(pid), time.process_time()
    gate.wait()
    start = time.perf_counter()
    stop.wait(seconds)
    stop.set()
    for thread in threads:
        thread.join()
    wall = time.perf_counter() - start
    return Row(
        name,
        sum(counts),
        wall,
        sum(counts) / wall,
        (cpu_of(pid) - cpu) * 1e3 * per_step / max(1, sum(counts)),
        cpu_of(pid) - cpu,
        time.process_time() - own,
        peak_of(pid),
    )


def questions(batch: int, *, new: bool = True) -> list[list[object]]:
    """A message's questions: sums of all groups with a sign each, of which there are a million; or always
    the same ones."""
    if not new:
        return [["cells", at % GROUPS] for at in range(batch)]
    return [["cells", [1 - 2 * (bits >> at & 1) for at in range(GROUPS)]] for bits in drawn(batch)]


def drawn(count: int) -> list[int]:
    return [secrets.randbits(GROUPS) for _ in range(count)]


def conversation(place: Place, batch: int, count: int, *, new: bool = True) -> Callable[[], bool]:
    """One client with its questions signed beforehand; each call asks one message."""
    me = place.analyst
    card = me.peers()["north"]
    line = Line(card, client_context(me.key, me.certificate, card.certificate), "/feedback")
    sealer = Sealer(
        session=secrets.token_hex(16),
        agreement=place.agreement.digest,
        party="analyst",
        key=me.key,
        may_query=True,
    )
    codes = (np.arange(RECORDS) % GROUPS).astype("<i2").tobytes()
    opening = Query("open", {"task": place.task.to_dict(), "frame": digest(sorted(place.ids))})
    for query in (opening, Query("grouping", {"name": "cells"}, {"codes": codes})):
        status, body = line.post(sealer.seal("north", query))
        if status != 204:
            raise SystemExit(f"the node said {status}: {body[:200]!r}")
    asked = (
        Query("sums", {"questions": questions(batch, new=new), "epsilon": EPSILON}) for _ in range(count)
    )
    sealed = [sealer.seal("north", query) for query in asked]
    waiting = iter(sealed)

    def step() -> bool:
        data = next(waiting, None)
        if data is None:
            return False
        status, body = line.post(data)
        if status != 200 or b'"kind":"release"' not in body:
            raise SystemExit(f"the node said {status}: {body[:300]!r}")
        return True

    return step


def peer_client(place: Place, count: int) -> Callable[[], bool]:
    """A client of the peer: the same message, whose signature it checks."""
    me = place.analyst
    card = me.peers()["north"]
    line = Line(card, client_context(me.key, me.certificate, card.certificate), "/feedback")
    sealer = Sealer(
        session=secrets.token_hex(16),
        agreement=place.agreement.digest,
        party="analyst",
        key=me.key,
        may_query=True,
    )
    sealed = iter(
        [
            sealer.seal("north", Query("sums", {"questions": questions(1), "epsilon": EPSILON}))
            for _ in range(count)
        ]
    )

    def step() -> bool:
        data = next(sealed, None)
        if data is None:
            return False
        status, body = line.post(data)
        if status != 200:
            raise SystemExit(f"the peer said {status}: {body[:300]!r}")
        return True

    return step


def remote_client(place: Place) -> Callable[[], bool]:
    """A client as people use it."""
    validator = RemoteValidator(place.analyst, place.agreement, "north", place.task, place.ids)
    validator.register("cells", (np.arange(RECORDS) % GROUPS).tolist())

    def step() -> bool:
        [[_, weights]] = questions(1)
        validator.sums([validator.question("cells", weights=weights)], epsilon=EPSILON)
        return True

    return step


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--times", type=int, default=1)
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    rows: list[Row] = []
    ratios: list[float] = []
    clients, seconds = chosen.clients, chosen.seconds
    most = int(2_000 * seconds / clients)
    with tempfile.TemporaryDirectory(prefix="comity-bench-") as root:
        place = build(Path(root))
        port = place.north.card().port
        peer = Path(__file__).with_name("_peer_feedback.py")
        asker = str(place.analyst.key.verify_key)
        comity = Path(sys.executable).with_name("comity")
        serving = [str(comity), "node", "start", "--folder", str(place.north.path)]
        for at in range(chosen.times):
            process = started([sys.executable, str(peer), str(place.north.path), str(port), asker], port)
            try:
                workers = [peer_client(place, most) for _ in range(clients)]
                rows.append(measured("bare server, single", process.pid, workers, 1, seconds))
            finally:
                ended(process)
            process = started(serving, port)
            try:
                workers = [conversation(place, 1, most) for _ in range(clients)]
                rows.append(measured("node, single", process.pid, workers, 1, seconds))
                ratios.append(rows[-1].per_s / rows[-2].per_s)
                if at == chosen.times - 1:
                    rows += further(place, process.pid, clients, seconds)
            finally:
                ended(process)
        report = verify_ledger(place.north.ledger_path, key=place.north.verify_key)
    print(
        f"{'':32}{'queries/s':>10}{'queries':>9}{'CPU ms/message':>16}{'server CPU s':>14}"
        f"{'clients CPU s':>15}{'peak MB':>9}"
    )
    for row in rows:
        print(
            f"{row.name:32}{row.per_s:10,.0f}{row.queries:9,}{row.server_cpu_ms:16.2f}{row.server_cpu_s:14.2f}"
            f"{row.clients_cpu_s:15.2f}{row.server_peak_mb:9.0f}"
        )
    told = ", ".join(f"{ratio:.2f}" for ratio in ratios)
    print(f"node / bare server, single: {told}; the ledger verifies: {report.ok} ({report.size:,} entries)")
    if chosen.json is not None:
        found = {"rows": [asdict(row) for row in rows], "ratios": ratios}
        chosen.json.write_text(json.dumps(found, indent=2))


def further(place: Place, pid: int, clients: int, seconds: float) -> list[Row]:
    """What else the node is measured with."""
    most, large = int(2_000 * seconds / clients), max(20, int(30 * seconds))
    rows: list[Row] = []
    workers = [conversation(place, 1, most, new=False) for _ in range(clients)]
    rows.append(measured("node, single, told before", pid, workers, 1, seconds))
    workers = [conversation(place, 100, large) for _ in range(clients)]
    rows.append(measured("node, batches of 100", pid, workers, 100, seconds))
    workers = [remote_client(place) for _ in range(clients)]
    rows.append(measured("node, single, RemoteValidator", pid, workers, 1, seconds))
    return rows


if __name__ == "__main__":
    main()
