"""A rehearsal: the job on made-up rows, in the sandbox, so that faults show before anything is charged.

No private byte is in it, so what goes wrong may be told in full.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from comity.cleanroom.blocks import Parameters, Ran, run_blocks
from comity.cleanroom.columns import Columns
from comity.cleanroom.job import Job, Kind
from comity.cleanroom.mock import mock_table
from comity.cleanroom.statistic import mixed
from comity.cleanroom.whole import Whole, run_whole
from comity.errors import BadInput, UsageError
from comity.schema import Schema

Integers = NDArray[np.int64]

_BLOCKS: Final = 16
_TURN: Final = 17
"""Among so many rows of a mock table, after its first ones, each column has a missing value."""
_LONGEST_S: Final = 60.0


@dataclass(frozen=True, eq=False)
class Rehearsed:
    """What the job gave on made-up rows.

    Attributes:
        blocks: how many blocks were run, and `gave` how many gave what was declared; None for a model.
        longest: per output, the longest vector (L2) before it is cut, over the root of its rows where rows
            share a block; for a model, its length.
        fault: why it gave nothing, where it did not.
        partly: why the first of the blocks that gave nothing did not, where others did.
        ms: processor time of a block, or of the whole run, in milliseconds.
    """

    blocks: int | None
    gave: int | None
    longest: dict[str, float]
    fault: str
    ms: float
    partly: str = ""


def rehearse(job: Job, parameters: Parameters, schema: Schema, *, rows: int = 200) -> Rehearsed:
    """Run the job on a mock table.

    Raises:
        BadInput, BadSchema: if the job and the schema do not go together.
        NoSandbox: if there is none on this machine.
    """
    columns = Columns.of(schema, job.columns)
    most = max((len(schema[name].values or ()) for name in columns.names), default=0)
    matrix = columns.matrix(mock_table(schema, max(rows, most + 2 * _TURN), job.columns))
    if job.kind is Kind.model:
        return _of_whole(job, run_whole(job, parameters, matrix, made_up=True))
    blocks = _blocks(job, len(matrix))
    number, sizes = len(blocks), [len(block) for block in blocks]
    matrix, places = matrix[np.concatenate(blocks)], np.repeat(np.arange(number, dtype=np.int64), sizes)
    try:
        ran = run_blocks(job, parameters, matrix, places, number)
    except UsageError:
        return Rehearsed(number, 0, {}, _why(job, parameters, matrix), 0.0)
    fault = "" if ran.gave.any() else _why(job, parameters, matrix)
    partly = ""
    if ran.gave.any() and not ran.gave.all():
        partly = _why(job, parameters, matrix[places == int(np.argmin(ran.gave))])
    longest = _longest(job, parameters, ran, np.array(sizes if _by_lot(job) else [1] * number))
    return Rehearsed(number, int(ran.gave.sum()), longest, fault, 1e3 * ran.cpu_s / number, partly)


def require_rehearsed(job: Job, parameters: Parameters, schema: Schema) -> None:
    """Refuse a job that gives nothing on made-up rows; what it says of that is public.

    It gets a minute at most: what is asked has not been held against budget or queries yet.

    Raises:
        BadInput: with the last line of the job's own error.
    """
    done = rehearse(replace(job, seconds=min(job.seconds, _LONGEST_S)), parameters, schema)
    if done.fault:
        # the last line alone: those before name places on this machine
        said = done.fault.strip().splitlines()[-1][-300:]
        raise BadInput(f"the job '{job.title}' gives nothing on made-up rows: {said}")


def _of_whole(job: Job, done: Whole) -> Rehearsed:
    lengths = {name: float(np.linalg.norm(values)) for name, values in (done.outputs or {}).items()}
    return Rehearsed(None, None, lengths, done.fault, 1e3 * done.cpu_s)


def _by_lot(job: Job) -> bool:
    """Whether units are drawn by lot, each a block of its own or several in one."""
    return job.blocks is not None and job.blocks.number is None


def _blocks(job: Job, rows: int) -> list[Integers]:
    """The rows of each block of a rehearsal.

    Where units are drawn by lot, single rows and then blocks as large as may be. The first rows have every
    bound; among the last `_TURN` each column has a missing value.
    """
    every = np.arange(rows, dtype=np.int64)
    if _by_lot(job):
        together = job.blocks.together if job.blocks is not None else 1
        alone = [every[at : at + 1] for at in (*range(_BLOCKS), *range(rows - _TURN, rows))]
        large = [(every[:1] + at * together + np.arange(together)) % rows for at in range(_BLOCKS // 2)]
        return alone + (large if together > 1 else [])
    number = _BLOCKS if job.blocks is None else min(_BLOCKS, job.blocks.number or _BLOCKS)
    return [every[at::number] for at in range(number)]


def _longest(job: Job, parameters: Parameters, ran: Ran, rows: Integers) -> dict[str, float]:
    """Per output; `rows`, (blocks,), by whose root each block's vector may be longer."""
    longest: dict[str, float] = {}
    for output in job.outputs:
        vectors = mixed(output, ran.vectors[output.name], parameters)
        longest[output.name] = float((np.linalg.norm(vectors, axis=1) / np.sqrt(rows)).max(initial=0.0))
    return longest


def _why(job: Job, parameters: Parameters, matrix: NDArray[np.float64]) -> str:
    """A block says nothing of its error; a run of the same program with its error shown does."""
    try:
        done = run_whole(job, parameters, matrix, made_up=True)
    except BadInput as error:
        return str(error)
    return done.fault or (
        "it runs by itself, but not as a block: a block opens no file, starts nothing, imports nothing but "
        "the declared modules, and has little time and memory"
    )
