"""Rows in a random order, on disk: every order equally likely, whatever the number of rows.

Each row is thrown into one of several files at random, and each file, small enough for memory, is read back
in a random order of its own (Rao 1961; Sandelius 1962). All randomness is the operating system's.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from comity.noise import permutation, uniform_below

if TYPE_CHECKING:
    import pyarrow as pa

FILE_ROWS = 200_000
_MOST_FILES = 200


class Mixer:
    """Takes rows in any order, gives them back in a random one. A context: leaving it removes its files."""

    def __init__(self, folder: Path, schema: pa.Schema, *, rows: int) -> None:
        """Args:
        folder: made, and gone afterwards.
        rows: about how many rows will come.
        """
        import pyarrow as pa

        self._files = ExitStack()
        self._folder = folder
        folder.mkdir(mode=0o700, parents=True)
        count = min(_MOST_FILES, -(-max(1, rows) // FILE_ROWS))
        self._paths = [folder / f"{number:03d}.arrow" for number in range(count)]
        self._writers: list[Any] = [
            self._files.enter_context(pa.ipc.new_stream(str(path), schema)) for path in self._paths
        ]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._files.close()
        for path in self._paths:
            path.unlink(missing_ok=True)
        self._folder.rmdir()

    def add(self, batch: pa.RecordBatch) -> None:
        """Throw rows into the files."""
        import pyarrow as pa

        if len(self._writers) == 1:
            self._writers[0].write_batch(batch)
            return
        drawn = uniform_below(len(self._writers), batch.num_rows)
        for number, writer in enumerate(self._writers):
            chosen = np.flatnonzero(drawn == number)
            if len(chosen):
                writer.write_batch(batch.take(pa.array(chosen)))

    def mixed(self) -> Iterator[pa.Table]:
        """All rows that were added, a file at a time."""
        import pyarrow as pa

        self._files.close()
        for path in self._paths:
            with pa.memory_map(str(path)) as file, pa.ipc.open_stream(file) as reader:
                table = reader.read_all()
                yield table.take(pa.array(permutation(table.num_rows)))
            path.unlink()
