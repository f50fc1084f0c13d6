"""Peak memory of the mediator in `mediated-release`, by the size of what the providers send.

    .venv/bin/python bench/mediated_memory.py 64 1024

Per size (MiB of Arrow data, over three providers): rows, CPU seconds and the process's peak resident memory.
A generator stands in for the providers: pieces of already generalised rows, sealed to the mediator one at a
time. Each size runs in a process of its own; 2% of the people stand at two providers.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa

PROVIDERS = ("east", "north", "south")
ROWS_A_PIECE = 50_000
SHARED = 0.02


def main() -> int:
    if sys.argv[1:2] == ["--one"]:
        print(json.dumps(measured(float(sys.argv[2]))))
        return 0
    for size in sys.argv[1:] or ["64", "256"]:
        done = subprocess.run(
            [sys.executable, __file__, "--one", size], check=True, stdout=subprocess.PIPE, text=True
        )
        print(done.stdout.strip(), flush=True)
    return 0


def piece(provider: str, number: int) -> pa.Table:
    """Rows of one provider: labels of two quasi-identifiers, numbers, tokens for both others."""
    draw = np.random.default_rng([PROVIDERS.index(provider), number])
    rows = ROWS_A_PIECE
    ages = np.array([f"{low}-{low + 9}" for low in range(20, 80, 10)])
    columns: dict[str, Any] = {
        "age": ages[draw.integers(0, 6, rows)],
        "job": np.array(["baker", "clerk", "smith"])[draw.integers(0, 3, rows)],
        **{f"value-{at}": draw.normal(size=rows) for at in range(6)},
        "ill": np.array(["no", "yes"])[draw.integers(0, 2, rows)],
    }
    own = draw.integers(0, 2**63, (rows, 2), dtype=np.int64)
    everywhere = np.random.default_rng([9, number]).integers(0, 2**63, (rows, 2), dtype=np.int64)
    for other in PROVIDERS:
        if other != provider:
            pair = "-".join(sorted((provider, other)))
            words = own ^ hash_of(pair)
            alike = int(SHARED * rows) if pair == "east-north" else 0
            words[:alike] = everywhere[:alike]
            raw = words.astype("<i8").tobytes()
            columns[f"comity: token for {other}"] = pa.FixedSizeBinaryArray.from_buffers(
                pa.binary(16), rows, [None, pa.py_buffer(raw)]
            )
    return pa.table(columns)


def hash_of(text: str) -> int:
    return int.from_bytes(text.encode()[:7].ljust(7, b"\0"), "big")


def measured(size: float) -> dict[str, Any]:
    import comity.architectures.mediated_incoming as incoming
    from comity.architectures.definition import Options, Task
    from comity.architectures.mediated_check import examine_union
    from comity.architectures.mediated_pieces import Candidate
    from comity.architectures.mediated_terms import Terms, sealing_purpose
    from comity.architectures.mediated_union import Union
    from comity.crypto.keys import SigningKey
    from comity.crypto.sealed import seal_to
    from comity.data.ipc import table_to_bytes
    from comity.deidentify.hierarchies.hierarchy import Hierarchy
    from comity.node.meter import Meter
    from comity.schema import Column, ColumnType, Role, Schema

    key = SigningKey.generate()
    number = {"type": ColumnType.number, "role": Role.insensitive}
    schema = Schema(
        columns={
            "age": Column(role=Role.quasi_identifier, type=ColumnType.integer),
            "job": Column(role=Role.quasi_identifier, type=ColumnType.text),
            **{f"value-{at}": Column(**number) for at in range(6)},
            "ill": Column(role=Role.target, type=ColumnType.text),
        }
    )
    seat: Any = SimpleNamespace(
        party="hub", providers=PROVIDERS, ml_party="analyst", key=key,
        agreement=SimpleNamespace(digest="0" * 64),
        task=Task(schema=schema, target="ill", positive="yes", id="id"), options=Options(),
    )  # fmt: skip
    ages = [(str(age), f"{age // 10 * 10}-{age // 10 * 10 + 9}", "*") for age in range(20, 80)]
    jobs = [(job, "*") for job in ("baker", "clerk", "smith")]
    trees = {"age": Hierarchy.from_rows(ages), "job": Hierarchy.from_rows(jobs)}
    entries = {
        name: {"level": level, "hierarchy": trees[name].to_dict()} for name, level in (("age", 1), ("job", 0))
    }
    manifest = json.dumps({"quasi_identifiers": entries}).encode()
    pieces = max(1, round(size * 2**20 / piece("east", 0).nbytes / len(PROVIDERS)))

    def sealed(provider: str, data: bytes, what: str) -> bytes:
        return seal_to(key.verify_key, data, purpose=sealing_purpose(seat, provider, what))

    def first(_seat: Any, _channel: Any, provider: str, _topic: str) -> Any:
        parts = {"manifest": sealed(provider, manifest, "manifest")}
        return SimpleNamespace(sender=provider, parts=parts)

    def following(_channel: Any, message: Any) -> Iterator[bytes]:
        for at in range(pieces):
            yield sealed(message.sender, table_to_bytes(piece(message.sender, at)), f"piece {at}")

    incoming.receive_share, incoming.receive_pieces = first, following  # type: ignore[assignment]
    terms = Terms(
        k=5, suppression=0.05, l=None, t=None, origin_t=0.2, origin_l=2, linked=True, reference=None
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        meter, started = Meter(), time.process_time()
        tables = {p: incoming.take_in(seat, None, p, terms, folder) for p in PROVIDERS}  # type: ignore[arg-type]
        taken = time.process_time() - started
        union = Union(seat, terms, tables, None, folder / "work")
        candidate = Candidate(folder / "candidate")
        union.make(candidate)
        made = time.process_time() - started - taken
        verdict = examine_union(candidate, ["age", "job"], union.models, terms)
        found = meter.read()
    return {
        "mib": round(pieces * len(PROVIDERS) * piece("east", 0).nbytes / 2**20),
        "rows": sum(table.rows for table in tables.values()),
        "passed": verdict.passed,
        "cpu_s": round(found.cpu_s, 1),
        "cpu_take_in_s": round(taken, 1),
        "cpu_union_s": round(made, 1),
        "peak_rss_mib": round(found.peak_rss_mb),
    }


if __name__ == "__main__":
    sys.exit(main())
