"""Updates as bounded whole numbers: what is no number, has another shape or is too large is refused by code.

An update of n rows is sent as n times the update in steps of 2^-20, with n itself as one more number, so that
the weights of a weighted mean stay under the masks. Errors say what is wrong and where, never a value.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from comity.errors import BadInput, PartyFailed
from comity.train.private.gradients import clipped_sum

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

BITS: Final = 20
LARGEST_UPDATE: Final = 64.0
"""No weight of a model moves further than this in one round."""

MOST_ROWS: Final = 1 << 31
MOST_WEIGHT: Final = 1e6
"""Weights of a model lie between minus this and this: the server's are held to it too."""


def require_numbers(values: object, size: int, *, what: str, most: float = MOST_WEIGHT) -> Floats:
    """(size,) finite numbers up to `most` in magnitude.

    Raises:
        BadInput: for anything else; the message names no value.
    """
    array = np.asarray(values)
    if array.dtype.kind not in "fiu" or array.shape != (size,):
        raise BadInput(f"{what}: {size} numbers are due, and this is an array of another shape or kind")
    numbers = array.astype(np.float64)
    if not bool(np.isfinite(numbers).all()):
        raise BadInput(f"{what}: one of the numbers is NaN or infinite")
    if size and float(np.abs(numbers).max()) > most:
        raise BadInput(f"{what}: one of the numbers is beyond {most:g}")
    return numbers


def weighted(update: Floats, rows: int) -> Integers:
    """(d + 1,) whole numbers: the update times its rows, and the rows.

    Raises:
        BadInput: as `require_numbers`, or for more rows than sums have room for; private to the member.
    """
    if not 0 <= rows < MOST_ROWS:
        raise BadInput("an update of this many rows does not fit into a sum", private=True)
    try:
        held = require_numbers(update, len(update), what="a local update", most=LARGEST_UPDATE)
    except BadInput as error:
        raise BadInput(str(error), private=True) from None
    return np.append(np.rint(np.ldexp(held * rows, BITS)), rows).astype(np.int64)


def weighted_mean(sums: Integers) -> tuple[Floats, int]:
    """The mean update over all rows, and how many rows there are.

    Raises:
        PartyFailed: if the sums are those of no updates.
    """
    rows = int(sums[-1])
    if not 0 < rows < MOST_ROWS * 10_000:
        raise PartyFailed("the sum of the members' rows cannot be: one of them broke the protocol")
    mean = np.ldexp(sums[:-1].astype(np.float64), -BITS) / rows
    # the mean of bounded updates is bounded; one that wrapped around is not
    if bool((np.abs(mean) > LARGEST_UPDATE * 1.001).any()):
        raise PartyFailed("the sum of the members' updates is out of bounds: one of them broke the protocol")
    return mean, rows


def clipped(update: Floats, norm: float, bits: int) -> Integers:
    """(d,) an update cut to L2 norm `norm`, in steps of 2^-bits: what a whole member adds to a sum.

    The member is there or not (add-remove): that moves the sum by `clipped_l2(norm, bits)` at most, for the
    update is clipped as one record's gradient is (`train.private.gradients`).

    Raises:
        BadInput: for NaN and infinities, which no clipping bounds; private to the member.
    """
    if not bool(np.isfinite(update).all()):
        raise BadInput("a local update: one of the numbers is NaN or infinite", private=True)
    return clipped_sum(update[None, :], norm, bits=bits)
