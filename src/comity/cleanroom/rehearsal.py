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
from comity.cleanroom.whole import Whole, run_whole
from comity.errors import BadInput, UsageError
from comity.schema import Schema

_BLOCKS: Final = 16
_LONGEST_S: Final = 60.0


@dataclass(frozen=True, eq=False)
class Rehearsed:
    """What the job gave on made-up rows.

    Attributes:
        blocks: how many blocks were run, and `gave` how many gave what was declared; None for a model.
        longest: per output, the longest vector (L2) before it is cut; for a model, its length.
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
    matrix = columns.matrix(mock_table(schema, rows, job.columns))
    if job.kind is Kind.model:
        return _of_whole(job, run_whole(job, parameters, matrix, made_up=True))
    number = _BLOCKS if job.blocks is None or job.blocks.number is None else min(_BLOCKS, job.blocks.number)
    each = job.blocks is not None and job.blocks.number is None
    places = np.arange(len(matrix), dtype=np.int64)
    places = np.where(places < number, places, -1) if each else places % number
    try:
        ran = run_blocks(job, parameters, matrix, places, number)
    except UsageError:
        return Rehearsed(number, 0, {}, _why(job, parameters, matrix), 0.0)
    fault = "" if ran.gave.any() else _why(job, parameters, matrix)
    partly = ""
    if ran.gave.any() and not ran.gave.all():
        partly = _why(job, parameters, matrix[places == int(np.argmin(ran.gave))])
    longest = _longest(job, parameters, ran)
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


def _longest(job: Job, parameters: Parameters, ran: Ran) -> dict[str, float]:
    longest: dict[str, float] = {}
    for output in job.outputs:
        vectors: NDArray[np.float64] = ran.vectors[output.name]
        if output.mix is not None:
            vectors = vectors @ parameters[output.mix].reshape(output.length, output.length).T
        longest[output.name] = float(np.linalg.norm(vectors, axis=1).max(initial=0.0))
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
