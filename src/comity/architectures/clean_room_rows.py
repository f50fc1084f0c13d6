"""`clean-room`: the rows that a job is given at a provider, and whose each of them is."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from comity.architectures.definition import Seat
from comity.cleanroom.columns import Columns, Units
from comity.data.table import Table


def read_rows(seat: Seat, columns: Columns, unit: Units) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """(rows, columns) what a job is given, and (rows,) the number of each row's unit, -1 where none counts.

    To be called after the charge is durable.
    """
    wanted = columns.names if unit.column is None else (*columns.names, unit.column)
    rows = seat.table("train", columns=list(dict.fromkeys(wanted)))
    people = range(rows.num_rows) if unit.column is None else rows.column(unit.column).to_pylist()
    return columns.matrix(Table(rows)), unit.numbers(people)
