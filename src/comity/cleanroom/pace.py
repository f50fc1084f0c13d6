"""How long an answer takes is not told as it is: it leaves at a time that public numbers fix.

How long a job runs depends on the rows and on what it does on them. Each block has a cap on its time on the
processor that it cannot lift. An answer leaves when all blocks together could have taken all that they may,
and what the room itself does for them has had its time: the start, the job's imports and parameters, a
process for each block, cuts and noise. Those follow from the job's declaration and are bounds, some three
times what a machine of two shared cores took. So a job cannot bring the end past that time, whatever it does.
Only a machine that is too busy or too slow for these bounds, or work on the rows outside the blocks that
takes longer, can; the next times are twice, four times, ... the first one. Jobs whose result is exact have no
blocks with such a cap: for them the times start low, and a job can choose which of them it is (a few bits,
with certainty).
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, Self

from comity.cleanroom.job import Job
from comity.errors import BadInput

_START_S: Final = 0.5
_PLACE_S: Final = 0.001
"""What making and ending a block's process takes, on an idle machine."""
_TICK_S: Final = 0.004
"""A cap is looked at when the system's clock ticks, 250 times a second or more."""

_ENDING: Final = 1.1
"""Memory that a block has taken is given back after it was killed: a tenth of what taking it took."""

_IMPORTS: Final = {"numpy": (1.5, 0.015), "scipy": (3.0, 0.035), "sklearn": (10.0, 0.06)}
"""Seconds to import an installed module, and for each block, whose process is a copy with all of it."""
_FREE: Final = 1 << 13
_SOURCE_S: Final = (8e-6, 1e-7)
"""For each byte of source beyond 2^13: to compile it, and to copy what it became."""
_GIVEN_S: Final = (2e-6, 1e-7)
"""For each number beyond 2^13 that the blocks begin with."""
_FREE_RESULTS: Final = 1 << 10
_RESULT_S: Final = (2e-6, 5e-7)
"""For each number beyond 2^10 that leaves: its noise, and each block's part of it, mixed, cut and added."""

LATEST_S: Final = 3_600.0
"""A job whose answer could not leave within an hour is refused."""


@dataclass(frozen=True)
class Overhead:
    """What the room does for a job beside the blocks' own time: seconds at the start, and for each place."""

    start_s: float = 0.0
    place_s: float = 0.0

    @classmethod
    def of(cls, job: Job) -> Self:
        """By what the job declares, and nothing else."""
        named = {name.partition(".")[0] for name in job.modules}
        imported = max((_IMPORTS[name] for name in named if name in _IMPORTS), default=(0.0, 0.0))
        many = (
            (max(0, len(job.source.encode()) - _FREE), _SOURCE_S),
            (max(0, sum(job.parameters[name] for name in job.given) - _FREE), _GIVEN_S),
            (max(0, sum(output.length for output in job.outputs) - _FREE_RESULTS), _RESULT_S),
        )
        start, place = (imported[at] + sum(count * each[at] for count, each in many) for at in (0, 1))
        return cls(start, place)


_NONE: Final = Overhead()


def leaves_after(places: int, cpu_s: float, overhead: Overhead = _NONE) -> float:
    """Seconds from the start of the work to the first time at which an answer leaves. Public.

    Args:
        places: how many blocks may be run.
        cpu_s: the cap on a block's time on the processor.
        overhead: what the job's declaration takes besides.
    """
    each = _PLACE_S + _ENDING * cpu_s + _TICK_S + overhead.place_s
    return _START_S + overhead.start_s + places * each


def require_soon(job: Job, places: int) -> float:
    """`leaves_after` of a job of statistics on so many places.

    Raises:
        BadInput: if that is later than an hour.
    """
    cpu_s = 0.0 if job.blocks is None else job.blocks.cpu_s
    first = leaves_after(places, cpu_s, Overhead.of(job))
    if first > LATEST_S:
        raise BadInput(
            f"the answer of the job '{job.title}' leaves after {first:,.0f} s at the earliest, and "
            f"{LATEST_S:,.0f} s is the most: declare fewer blocks, or a smaller cpu_s"
        )
    return first


def leave_at(begun: float, first: float) -> None:
    """Wait until the first time, or twice that, four times, ..., if it has passed.

    Args:
        begun: `time.monotonic()` at the start of the work.
        first: seconds from there, as `leaves_after` says.
    """
    due = first
    while due < time.monotonic() - begun:
        due *= 2
    time.sleep(max(0.0, due - (time.monotonic() - begun)))


@contextmanager
def paced(begun: float, first: float) -> Iterator[None]:
    """What is done within ends at one of these times, a failure as well."""
    try:
        yield
    finally:
        leave_at(begun, first)
