"""Statistics of a job, with differential privacy whatever the job does.

Who sees what: the provider the job, its parameters and the exact sums; the ML party, for each output, the
noisy sum over blocks, the share of units that was drawn and, where each unit is a block, a noisy count of
them. How many blocks failed, how long they took and what they printed goes nowhere.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from comity.cleanroom.blocks import (
    Parameters,
    Ran,
    places_by_lot,
    places_of_each,
    run_blocks,
)
from comity.cleanroom.job import Job
from comity.cleanroom.pace import Overhead, leave_at, leaves_after
from comity.cleanroom.price import RoomPrice
from comity.errors import BadInput, UsageError

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Answer:
    """What leaves.

    Attributes:
        drawn: the probability with which each unit was drawn; 1 for a fixed number of blocks.
        units: a noisy count of the units; None for a fixed number of blocks.
        sums: per output, (length,) noisy sum over blocks.
        deviations: per output, the standard deviation of the noise on each number.
    """

    drawn: float
    units: int | None
    sums: dict[str, Floats]
    deviations: dict[str, float]

    def to_message(self) -> tuple[dict[str, Any], dict[str, bytes]]:
        body: dict[str, Any] = {"drawn": self.drawn, "units": self.units, "deviations": self.deviations}
        return body, {name: values.astype("<f8").tobytes() for name, values in self.sums.items()}

    @classmethod
    def from_message(cls, job: Job, body: Any, parts: Any) -> Answer:
        """Read `to_message`'s form.

        Raises:
            BadInput: for anything else.
        """
        try:
            drawn, units = float(body["drawn"]), body["units"]
            deviations = {output.name: float(body["deviations"][output.name]) for output in job.outputs}
            sums = {
                output.name: np.frombuffer(parts[output.name], dtype="<f8").astype(np.float64)
                for output in job.outputs
            }
        except (KeyError, TypeError, ValueError):
            raise BadInput("an answer of a clean room that cannot be read") from None
        sound = (
            0 < drawn <= 1
            and (units is None or type(units) is int)
            and all(np.isfinite(value) and value > 0 for value in deviations.values())
            and all(
                sums[output.name].shape == (output.length,) and bool(np.isfinite(sums[output.name]).all())
                for output in job.outputs
            )
        )
        if not sound:
            raise BadInput("an answer of a clean room that cannot be")
        return cls(drawn, units, sums, deviations)


def answer(
    job: Job,
    parameters: Parameters,
    matrix: Floats,
    units: Integers,
    price: RoomPrice,
    *,
    begun: float | None = None,
) -> tuple[Answer, Ran]:
    """Run the job on blocks and add the noise. To be called after the charge is durable.

    Args:
        matrix: (rows, columns) what the job is given.
        units: (rows,) the number of each row's unit, 0 up, -1 for rows that do not count.
        begun: when the work on the rows began (`time.monotonic`); by default now.
    """
    begun = time.monotonic() if begun is None else begun
    blocks = job.blocks
    if blocks is None:
        raise BadInput(f"the job '{job.title}' is none of statistics")
    count = int(units.max(initial=-1)) + 1
    if blocks.number is None:
        noisy, room = price.count(count)
        drawn = min(1.0, blocks.most / max(noisy, 1))
        # places for those that are drawn: more than 6 deviations above what is expected, a public number
        places = min(room, _most_drawn(room, drawn))
        of_unit = places_of_each(count, places, drawn)
        told: int | None = noisy
    else:
        drawn, places, told = 1.0, blocks.number, None
        of_unit = places_by_lot(count, places)
    of_row = np.where(units >= 0, of_unit[np.maximum(units, 0)], -1) if count else units
    try:
        ran = run_blocks(job, parameters, matrix, of_row, places)
    except UsageError as error:
        if not error.private:
            raise
        # that a run failed may be one record's doing: the answer keeps its form, its noise and its time
        ran = Ran.failed(job, places, str(error))
    total = sum(output.share for output in job.outputs)
    sums: dict[str, Floats] = {}
    deviations: dict[str, float] = {}
    for output in job.outputs:
        vectors = ran.vectors[output.name]
        if output.mix is not None:
            square = parameters[output.mix].reshape(output.length, output.length)
            with np.errstate(over="ignore", invalid="ignore"):
                vectors = vectors @ square.T
        norm, part = output.norm or 0.0, output.share / total
        sums[output.name] = price.noisy(vectors, norm, part, drawn)
        deviations[output.name] = price.deviation(norm, part, drawn)
    leave_at(begun, leaves_after(places, blocks.cpu_s, Overhead.of(job)))
    return Answer(drawn, told, sums, deviations), ran


def most_places(job: Job, price: RoomPrice) -> int:
    """So many blocks may be run, whatever the noisy count says; a public number."""
    blocks = job.blocks
    if blocks is None:
        return 0
    if blocks.number is not None:
        return blocks.number
    expected = blocks.most + price.margin
    return expected + _beyond(expected, 1.0)


def _most_drawn(units: int, drawn: float) -> int:
    """So many places hold all that a lot draws out of `units`, but for a chance below 1e-9 (Bernstein)."""
    if drawn == 1.0:
        return units
    expected = units * drawn
    return int(np.ceil(expected)) + _beyond(expected, 1 - drawn)


def _beyond(expected: float, left: float) -> int:
    """So many more than expected, a part `left` of all not drawn, are drawn with a chance below 1e-9."""
    wide = 20.8  # -log of 1e-9, rounded up
    return int(np.ceil(wide / 3 + np.sqrt(wide**2 / 9 + 2 * wide * expected * left))) + 1
