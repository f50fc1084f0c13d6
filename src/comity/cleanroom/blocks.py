"""Runs a job on blocks of units in one sandbox, each block in a process of its own.

Why no block learns of another one: see `block_runner`. What a block's process does see is its own rows, the
number of its place and how many places there are. So units are put at places such that one unit's coming or
going changes what is at one place and nothing else: where each unit is a block, units take places drawn
without replacement out of a number that is public or noisy; where they share blocks, each falls into one of
them by lot.

What one block may use of the processor and of memory is counted for its process alone, so no block can use up
what another one needs. The run as a whole has time for every block to take all that it may.
"""

from __future__ import annotations

import json
import platform
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from comity import noise, sandbox
from comity.cleanroom.job import Job, Kind
from comity.errors import BadInput, UsageError
from comity.sandbox.calls import computing_filter

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Parameters = dict[str, Floats]

_RUNNER: Final = Path(__file__).with_name("block_runner.py")
_RESULTS: Final = 100
"""The open file that a block writes to."""
_START_S: Final = 60.0
_BLOCK_S: Final = 0.25
_PRINTED: Final = 1 << 16


@dataclass(frozen=True, eq=False)
class Ran:
    """What came of a job's blocks. For the holder of the data only.

    Attributes:
        vectors: per output, (places, length); zeros where no block was or it gave nothing.
        gave: (places,) whether the block gave a result of the declared form.
        rows: how many rows were in such blocks.
        cpu_s, peak_mb: what it took.
        fault: why the run as a whole failed, where it did; nothing of it may leave.
    """

    vectors: dict[str, Floats]
    gave: NDArray[np.bool_]
    rows: int
    cpu_s: float
    peak_mb: float
    fault: str = ""

    @classmethod
    def failed(cls, job: Job, places: int, fault: str) -> Ran:
        """What a run that failed gives: zeros, as of blocks that gave nothing."""
        vectors = {output.name: np.zeros((places, output.length)) for output in job.outputs}
        return cls(vectors, np.zeros(places, dtype=np.bool_), 0, 0.0, 0.0, fault)


def places_of_each(units: int, places: int, drawn: float) -> Integers:
    """(units,) the place of each unit's block, -1 for those that the lot leaves out.

    Every way to put the drawn units at different places is equally likely, so that one more unit changes one
    place. Units beyond the number of places are left out; `RoomPrice.count` makes that improbable.
    """
    kept = np.flatnonzero(noise.sample(units, drawn))
    free = noise.permutation(places)
    found = np.full(units, -1, dtype=np.int64)
    found[kept[: len(free)]] = free[: len(kept)]
    return found


def places_by_lot(units: int, places: int, drawn: float) -> Integers:
    """(units,) the place of each unit's block, drawn independently and evenly; -1 for those left out."""
    return np.where(noise.sample(units, drawn), noise.uniform_below(places, units), -1)


def run_blocks(job: Job, parameters: Parameters, matrix: Floats, places: Integers, number: int) -> Ran:
    """Run the job on `number` places.

    Args:
        parameters: by name, as the job declares them.
        matrix: (rows, columns) what the job is given (`Columns.matrix`).
        places: (rows,) the place of each row's block; -1: not run.
        number: how many places there are.

    Raises:
        NoSandbox: if there is none on this machine, or none that takes the clock away for statistics.
        BadInput: if parameters do not fit the declaration.
        UsageError: if the run as a whole fails; private, since rows may have made it fail.
    """
    check_parameters(job, parameters)
    if job.kind is Kind.statistic and platform.machine() != "x86_64":
        raise sandbox.NoSandbox("a machine with x86-64: on others a block could read the processor's clock")
    size = 8 * (1 + sum(output.length for output in job.outputs))
    walls = computing_filter(_RESULTS, size)
    if walls is None:
        raise sandbox.NoSandbox("a machine with x86-64 or aarch64, whose system calls it knows")
    blocks = job.blocks
    cpu_s = job.seconds if blocks is None else blocks.cpu_s
    own = job.given
    terms = {
        "modules": list(job.modules),
        "parameters": {name: job.parameters[name] for name in own},
        "slots": number,
        "columns": list(job.columns),
        "outputs": {output.name: output.length for output in job.outputs},
        "size": size,
        "memory": job.memory_mb << 20,
        "cpu_s": cpu_s,
        "file": _RESULTS,
        "low": walls.low,
        "high": walls.high,
    }
    with tempfile.TemporaryDirectory(prefix="comity-room-") as name:
        folder = Path(name)
        # all but the matrices, which the room multiplies by itself
        hand_over(folder, job, terms, [parameters[name] for name in own])
        (folder / "filter").write_bytes(walls.program)
        _write_rows(folder / "rows", matrix, places, number)
        inputs = {path.name: path for path in folder.iterdir()}
        command = [sys.executable, "-I", "/in/runner.py", "/in", "/out/results"]
        if not job.needs_installed:
            command.insert(2, "-S")
        done = sandbox.run(
            sandbox.Job(
                command,
                inputs={**inputs, "runner.py": _RUNNER},
                outputs=("results",),
                tools=sandbox.python_tools(),
            ),
            sandbox.Limits(
                seconds=_START_S + number * (_BLOCK_S + 20 * cpu_s),
                # of all processes together; a block's own cap is lower
                memory_bytes=(4 * job.memory_mb << 20) + (1 << 30),
                file_bytes=number * size + _PRINTED,
                processes=2,
                open_files=_RESULTS + 28,
            ),
        )
    if not done.ok:
        raise UsageError(
            f"the room could not run the job '{job.title}': {done.cut or done.printed[-300:]}", private=True
        )
    vectors, gave = _read(job, done, number, size)
    rows = int(gave[places[places >= 0]].sum())
    return Ran(vectors, gave, rows, done.cpu_s, done.peak_bytes / 2**20)


def check_parameters(job: Job, parameters: Parameters) -> None:
    """Hold parameters against the job's declaration.

    Raises:
        BadInput: for other names, other lengths, or numbers that are not finite.
    """
    if set(parameters) != set(job.parameters):
        raise BadInput(f"the job '{job.title}' has the parameters {', '.join(job.parameters) or 'none'}")
    for name, values in parameters.items():
        if values.shape != (job.parameters[name],) or not np.isfinite(values).all():
            raise BadInput(
                f"the parameter '{name[:40]}' of the job '{job.title}' is {job.parameters[name]:,} finite "
                "numbers"
            )


def hand_over(folder: Path, job: Job, terms: Mapping[str, Any], given: Sequence[Floats]) -> None:
    """Put into a folder what every runner reads: its terms, the program, and the parameters' numbers."""
    (folder / "terms.json").write_text(json.dumps(terms), encoding="utf-8")
    (folder / "job.py").write_text(job.source, encoding="utf-8")
    (folder / "parameters").write_bytes(b"".join(values.astype("<f8").tobytes() for values in given))


def _write_rows(folder: Path, matrix: Floats, places: Integers, number: int) -> None:
    """For each place that has rows a file of its own with them, column by column."""
    folder.mkdir()
    order = np.argsort(places, kind="stable")
    order = order[np.searchsorted(places[order], 0) :]
    counts = np.bincount(places[order], minlength=number)
    ends = np.cumsum(counts)
    for at in np.flatnonzero(counts):
        block = matrix[order[ends[at] - counts[at] : ends[at]]]
        (folder / str(at)).write_bytes(block.T.astype("<f8").tobytes())


def _read(
    job: Job, done: sandbox.Finished, number: int, size: int
) -> tuple[dict[str, Floats], NDArray[np.bool_]]:
    """What each place gave, and whether it did.

    Fixed places, whatever was written: what is short is zeros, and what is not finite is nothing.
    """
    written = done.outputs["results"][: number * size].ljust(number * size, b"\0")
    table = np.frombuffer(written, dtype="<f8").reshape(number, size // 8)
    gave = (table[:, 0] == 1.0) & np.isfinite(table).all(axis=1)
    vectors: dict[str, Floats] = {}
    first = 1
    for output in job.outputs:
        vectors[output.name] = np.where(gave[:, None], table[:, first : first + output.length], 0.0)
        first += output.length
    return vectors, gave
