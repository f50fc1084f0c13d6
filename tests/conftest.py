"""What many tests need: keys, a signed agreement, a ledger."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest
from hypothesis import settings

from comity.agreement import Agreement, agreement_from
from comity.crypto.keys import SigningKey
from comity.ledger import Ledger

# how long an example takes says more about the machine than about the code
# the same examples every time: a change is judged by itself, not by its luck; `make explore` looks further
settings.register_profile("comity", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None, max_examples=1_000)
settings.load_profile("comity")

ROLES = {"north": "provider", "south": "provider", "analyst": "ml_party"}
COLUMNS = {
    "age": {"role": "quasi_identifier", "type": "integer", "min": 0, "max": 110},
    "job": {"role": "quasi_identifier", "type": "category", "values": ["baker", "clerk", "smith"]},
    "ill": {"role": "target", "type": "category", "values": ["no", "yes"]},
}
CLAUSES: Mapping[str, Any] = {
    "direct-release": {"k": 3, "suppression": 0.1},
    "validation": {
        "mode": "linked",
        "epsilon": 1.0,
        "delta": 1e-6,
        "minimum_group": 5,
        "queries": 10,
    },
    "pooled": {"unsafe_pilot": True},
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests first: with a file to a worker, one that is begun last is waited for alone."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@dataclass(frozen=True)
class Pact:
    """A signed agreement and everybody's keys."""

    agreement: Agreement
    keys: Mapping[str, SigningKey]


def make_pact(
    *,
    clauses: Mapping[str, Any] = CLAUSES,
    budget: Mapping[str, float] | None = None,
    days: int = 30,
    unsigned: tuple[str, ...] = (),
    lineage: str = "patients",
) -> Pact:
    keys = {name: SigningKey.generate() for name in ROLES}
    spent = {"epsilon": 2.0, "delta": 2e-6, "delta_additive": 1.9e-6} if budget is None else dict(budget)
    document = {
        "comity": 1,
        "title": "Test",
        "parties": [
            {"name": name, "role": role, "key": str(keys[name].verify_key)} for name, role in ROLES.items()
        ],
        "purpose": {"text": "test the gate", "legal_basis": "contract"},
        "data": [
            {
                "provider": name,
                "lineage": lineage,
                "source": "made up",
                "licence": "none",
                "columns": COLUMNS,
                **({"budget": spent} if spent else {}),
            }
            for name, role in ROLES.items()
            if role == "provider"
        ],
        "architectures": dict(clauses),
        "expires": (datetime.now(UTC) + timedelta(days=days)).date().isoformat(),
    }
    agreement = agreement_from(document)
    for name, key in keys.items():
        if name not in unsigned:
            agreement = agreement.sign(name, key)
    return Pact(agreement, keys)


@pytest.fixture(scope="session")
def pact() -> Pact:
    return make_pact()


@pytest.fixture
def pact_with() -> Callable[..., Pact]:
    return make_pact


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(tmp_path / "ledger.db", owner="north") as opened:
        yield opened


@dataclass(frozen=True)
class PostgresServer:
    """A PostgreSQL of the test run's own; only its unix socket listens."""

    folder: Path

    def url(self, schema: str | None = None, database: str = "postgres") -> str:
        """Its address, with a schema of its own where one is named."""
        search = "" if schema is None else f"&options=-csearch_path%3D{schema}"
        return f"postgresql://comity@/{database}?host={self.folder}{search}"

    def new_schema(self) -> str:
        """The address of an empty schema: what a database of its own would be."""
        import psycopg

        schema = f"t{secrets.token_hex(6)}"
        with psycopg.connect(f"host={self.folder} user=comity dbname=postgres") as connection:
            connection.execute(f"CREATE SCHEMA {schema}".encode())
        return self.url(schema)


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A real PostgreSQL, started once; skips, naming the missing package, where there is none to start.

    Under CI, root on Debian installs the package first.
    """
    script = Path(__file__).parents[1] / "scripts" / "start_postgres.sh"
    install = ["--install"] if os.environ.get("CI") else []
    # below the system's own temporary folder: a unix socket's path is short, and another user runs the server
    folder = Path(mkdtemp(prefix="comity-postgres-", dir="/tmp"))
    command = ["bash", str(script), *install, "--leave", str(folder)]
    # its standard input is held open for as long as this process lives, however it ends: then the server goes
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as started:
        assert started.stdout is not None
        assert started.stderr is not None
        told, errors = started.stdout.read(), started.stderr.read()
        code = started.wait(timeout=600)
        if code:
            shutil.rmtree(folder, ignore_errors=True)
            (pytest.skip if code == 3 else pytest.fail)(f"{script.name}: {errors.strip()}")
        assert told.split()[0] == str(folder)
        yield PostgresServer(folder)
    for _ in range(200):
        if not folder.exists():
            break
        time.sleep(0.05)


@pytest.fixture
def postgres_url(postgres: PostgresServer) -> str:
    """An empty place for one ledger or node in a real PostgreSQL."""
    return postgres.new_schema()
