"""How many blocks are run, and how many units share one: by public numbers and a noisy count.

A block costs the same time however few rows it holds, so where there are many units and epsilon is not small
it pays to put several into one: more of them are heard in the same time, for noise of twice the norm times
the root of their number. `choose` weighs one against the other. What it knows of the table is the noisy
count.
"""

from __future__ import annotations

import math
from typing import Final

from comity.cleanroom.job import Job
from comity.cleanroom.lot import Lot
from comity.cleanroom.price import RoomPrice
from comity.errors import BadInput

_CAUTION: Final = 2.0
"""Blocks are shared where the error is half: cuts of their sums, which it leaves out, take away from them."""
_IMPROBABLE: Final = 20.8
"""-log of 1e-9, rounded up."""


def choose(job: Job, price: RoomPrice, counted: int, most_rows: int) -> Lot:
    """The lot with the least error for a table of about so many units.

    Args:
        counted: a noisy count of the units.
        most_rows: how many rows of one unit count.

    Raises:
        BadInput: if the job has no blocks, or a fixed number of them.
    """
    blocks = job.blocks
    if blocks is None or blocks.number is not None:
        raise BadInput(f"the job '{job.title}' says how many blocks it has: no lot is drawn for it")
    units, lots = max(counted, 1), [_alone(price, counted, blocks.most)]
    together = 2
    while together * most_rows <= blocks.together and lots[-1].drawn < 1.0:
        drawn = min(1.0, blocks.most * together / units)
        places = min(math.ceil(units * drawn / together), blocks.most)
        lots.append(Lot(drawn, places, alone=False, together=together))
        together *= 2
    caution = {True: 1.0, False: _CAUTION}
    return min(lots, key=lambda lot: caution[lot.alone] * _error(job, price, lot, units))


def most_places(job: Job) -> int:
    """So many blocks may be run, whatever the noisy count says; a public number."""
    blocks = job.blocks
    if blocks is None:
        return 0
    if blocks.number is not None:
        return blocks.number
    return blocks.most + _beyond(blocks.most)


def _alone(price: RoomPrice, counted: int, most: int) -> Lot:
    """Each unit by itself: places for all, or for those that are drawn, but for a chance of 1e-9.

    What is divided by is as many units as there can be, for the count that was told: so the answer's time
    does not grow with the noise on the count.
    """
    room = price.room(counted)
    if room <= most:
        return Lot(1.0, room)
    return Lot(most / room, min(room, most + _beyond(most)))


def _error(job: Job, price: RoomPrice, lot: Lot, units: int) -> float:
    """The squared error of the units' mean vector, in norms, if each unit's is about as long as its norm.

    Chance, because some units are drawn and others not, and noise on every number.
    """
    heard = units * lot.drawn
    total = sum(output.share for output in job.outputs)
    noise = sum(
        output.length * price.deviation(1.0, output.share / total, lot) ** 2 for output in job.outputs
    )
    return len(job.outputs) / heard + noise / heard**2


def _beyond(expected: int) -> int:
    """So many more than expected are drawn with a chance below 1e-9 (Bernstein)."""
    third = _IMPROBABLE / 3
    return math.ceil(third + math.sqrt(third**2 + 2 * _IMPROBABLE * expected)) + 1
