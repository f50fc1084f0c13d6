"""What the ledger's tests share: terms, and small ledgers on disk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from comity.ledger import Ledger

LABEL = "hospital/adult/label"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Where a test's ledger lies."""
    return tmp_path / "ledger.db"


@pytest.fixture
def ledger(place: Path) -> Iterator[Ledger]:
    """A ledger with one open account for labels, (1, 1e-6)."""
    with Ledger.open(place, owner="hospital") as opened:
        opened.open_account(LABEL, (1.0, 1e-6))
        yield opened
