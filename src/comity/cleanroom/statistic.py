"""Statistics of a job, with differential privacy whatever the job does.

Who sees what: the provider the job, its parameters and the exact sums; the ML party, for each output, the
noisy sum over blocks, the share of units that was drawn, how many shared a block and, where a lot draws them,
a noisy count of them. How many blocks failed, how long they took and what they printed goes nowhere.
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
from comity.cleanroom.job import Job, Output
from comity.cleanroom.lot import Lot
from comity.cleanroom.pace import Overhead, leave_at, leaves_after
from comity.cleanroom.places import choose
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
        together: about how many units shared a block that was cut to the norm times the root of their number;
            1 where none did, and for a fixed number of blocks.
        sums: per output, (length,) noisy sum over blocks.
        deviations: per output, the standard deviation of the noise on each number.
    """

    drawn: float
    units: int | None
    together: int
    sums: dict[str, Floats]
    deviations: dict[str, float]

    def to_message(self) -> tuple[dict[str, Any], dict[str, bytes]]:
        body: dict[str, Any] = {
            "drawn": self.drawn,
            "units": self.units,
            "together": self.together,
            "deviations": self.deviations,
        }
        return body, {name: values.astype("<f8").tobytes() for name, values in self.sums.items()}

    @classmethod
    def from_message(cls, job: Job, body: Any, parts: Any) -> Answer:
        """Read `to_message`'s form.

        Raises:
            BadInput: for anything else.
        """
        try:
            drawn, units, together = float(body["drawn"]), body["units"], body["together"]
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
            and type(together) is int
            and together >= 1
            and all(np.isfinite(value) and value > 0 for value in deviations.values())
            and all(
                sums[output.name].shape == (output.length,) and bool(np.isfinite(sums[output.name]).all())
                for output in job.outputs
            )
        )
        if not sound:
            raise BadInput("an answer of a clean room that cannot be")
        return cls(drawn, units, together, sums, deviations)


def answer(
    job: Job,
    parameters: Parameters,
    matrix: Floats,
    units: Integers,
    price: RoomPrice,
    *,
    most_rows: int = 1,
    begun: float | None = None,
) -> tuple[Answer, Ran]:
    """Run the job on blocks and add the noise. To be called after the charge is durable.

    Args:
        matrix: (rows, columns) what the job is given.
        units: (rows,) the number of each row's unit, 0 up, -1 for rows that do not count.
        most_rows: how many rows of one unit count.
        begun: when the work on the rows began (`time.monotonic`); by default now.
    """
    begun = time.monotonic() if begun is None else begun
    blocks = job.blocks
    if blocks is None:
        raise BadInput(f"the job '{job.title}' is none of statistics")
    count = int(units.max(initial=-1)) + 1
    told = price.count(count) if blocks.number is None else None
    lot = Lot.of_all(blocks.number or 0) if told is None else choose(job, price, told, most_rows)
    ran = _run(job, parameters, matrix, _places_of_rows(units, count, lot), lot.places)
    total = sum(output.share for output in job.outputs)
    sums: dict[str, Floats] = {}
    deviations: dict[str, float] = {}
    for output in job.outputs:
        norm, part = output.norm or 0.0, output.share / total
        sums[output.name] = price.noisy(mixed(output, ran.vectors[output.name], parameters), norm, part, lot)
        deviations[output.name] = price.deviation(norm, part, lot)
    leave_at(begun, leaves_after(lot.places, blocks.cpu_s, Overhead.of(job)))
    return Answer(lot.drawn, told, lot.together, sums, deviations), ran


def mixed(output: Output, vectors: Floats, parameters: Parameters) -> Floats:
    """(blocks, length) vectors, each multiplied by the matrix that the output names, if it does."""
    if output.mix is None:
        return vectors
    square = parameters[output.mix].reshape(output.length, output.length)
    with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is cut to zeros later
        return vectors @ square.T


def _places_of_rows(units: Integers, count: int, lot: Lot) -> Integers:
    """(rows,) the place of each row's block: that of its unit; -1 for rows that are not run."""
    if not count:
        return units
    of_unit = (places_of_each if lot.alone else places_by_lot)(count, lot.places, lot.drawn)
    return np.where(units >= 0, of_unit[np.maximum(units, 0)], -1)


def _run(job: Job, parameters: Parameters, matrix: Floats, places: Integers, number: int) -> Ran:
    """What the blocks gave; nothing, if the run as a whole fails."""
    try:
        return run_blocks(job, parameters, matrix, places, number)
    except UsageError as error:
        if not error.private:
            raise
        # that a run failed may be one record's doing: the answer keeps its form, its noise and its time
        return Ran.failed(job, number, str(error))
