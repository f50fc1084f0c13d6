"""Mixing on disk: nothing lost, every order equally likely."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from scipy.stats import chi2

from comity.architectures import mediated_mixing
from comity.architectures.mediated_mixing import Mixer

SCHEMA = pa.schema([pa.field("row", pa.int64())])


def mixed(folder: Path, rows: int, *, batch: int = 10) -> list[int]:
    with Mixer(folder, SCHEMA, rows=rows) as mixer:
        for start in range(0, rows, batch):
            values = pa.array(range(start, min(rows, start + batch)), pa.int64())
            mixer.add(pa.RecordBatch.from_arrays([values], schema=SCHEMA))
        return [row for table in mixer.mixed() for row in table.column("row").to_pylist()]


@pytest.mark.parametrize("most", [1_000_000, 100, 1])
def test_every_row_comes_back_once_and_no_file_stays(
    most: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mediated_mixing, "FILE_ROWS", most)
    found = mixed(tmp_path / "mix", 500)
    assert sorted(found) == list(range(500))
    assert found != list(range(500))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("most", [1_000_000, 2])
def test_every_order_is_equally_likely(most: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four rows, 24 orders, 1,200 runs. False alarm: chi-squared at 1e-7."""
    monkeypatch.setattr(mediated_mixing, "FILE_ROWS", most)
    counts = dict.fromkeys(permutations(range(4)), 0)
    for run in range(1200):
        counts[tuple(mixed(tmp_path / str(run), 4, batch=2))] += 1
    seen = np.array(list(counts.values()))
    assert ((seen - 50) ** 2 / 50).sum() < chi2.ppf(1 - 1e-7, 23)


def test_files_go_when_it_fails(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), Mixer(tmp_path / "mix", SCHEMA, rows=10):
        _ = 1 / 0
    assert list(tmp_path.iterdir()) == []
