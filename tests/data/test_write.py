"""Files appear whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from comity.data import read_table, write, write_table
from comity.errors import BadInput, UsageError

TABLE = read_table(pa.table({"a": [1, None], "b": ['x,"y"\nz', None]}))


@pytest.mark.parametrize("ending", ["csv", "parquet", "arrow"])
def test_tables_read_back(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"t.{ending}"
    path.write_text("old")
    write_table(TABLE, path)
    assert read_table(path).equals(TABLE)
    assert [each.name for each in tmp_path.iterdir()] == [path.name]


def test_a_failed_write_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "t.csv"
    path.write_text("old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(write.os, "fsync", full)
    with pytest.raises(BadInput, match="No space left on device"):
        write_table(TABLE, path)
    assert path.read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 1


def test_places_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="No such file"):
        write_table(TABLE, tmp_path / "none" / "t.csv")
    with pytest.raises(UsageError, match=r"use \.csv, \.parquet or \.arrow"):
        write_table(TABLE, tmp_path / "t.txt")
