"""`clean-room`: statistics that a job declares, computed by `comity.statistics` beside the data.

Neighbouring relation: add-remove of one record, or of all rows of one person where the agreement names whose
they are, of which `max_rows` count. Sensitivity: one row is in one group or bin, so a count moves by 1, a sum
by the bound furthest from its origin, both times `max_rows`; a quantile's distances by `max_rows` times the
larger of its share and the rest. Noise: discrete Laplace, or the exponential mechanism; no delta.

No program of anybody's runs, and no sandbox is needed. Bounds, levels, bins and candidates follow from the
schema. Each statistic takes its part out of what the gate has charged for the job before a row is read for
it. The same figures are computed on a mock table before anything is charged.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from comity import statistics
from comity.cleanroom.asked import Asked, What, bounds_of, steps_of
from comity.cleanroom.columns import Columns, Units
from comity.cleanroom.job import Job
from comity.cleanroom.mock import mock_table
from comity.cleanroom.purse import Parts, Purse
from comity.cleanroom.told import Floats, Told
from comity.data.table import Table
from comity.ledger import PrivacyUnit, Relation, pure

if TYPE_CHECKING:
    from comity.schema import Schema
    from comity.statistics.result import Statistic, Statistics

MADE_UP: Final = 1_000
"""So many rows a rehearsal is on."""


def compute(
    job: Job,
    columns: Columns,
    matrix: Floats,
    people: Sequence[Any] | NDArray[np.int64] | None,
    max_rows: int,
    parts: Parts,
    purse: Purse,
) -> list[Told]:
    """The declared statistics, noisy. To be called after the charge is durable.

    Args:
        columns, matrix: (rows, columns) what the job is given (`Columns.matrix`).
        people: (rows,) whose each row is, as numbers; None: each row is a unit.
        max_rows: how many rows of one person count.
    """
    frame = _frame(columns, matrix)
    return [
        _one(asked, columns.schema, frame, people, max_rows, part, purse)
        for asked, part in zip(job.statistics, parts.statistics, strict=True)
    ]


def rehearse_statistics(job: Job, schema: Schema, epsilon: float, unit: Units | None = None) -> list[Told]:
    """The declared statistics on a mock table, with the noise that they would have.

    Raises:
        BadSchema: if a statistic does not go with the columns' types and bounds.
        UsageError: if epsilon is too small for so many.
    """
    columns, unit = Columns.of(schema, job.columns), unit or Units()
    for asked in job.statistics:
        asked.require(schema)
    parts = Parts.of(job, epsilon)
    matrix = columns.matrix(mock_table(schema, MADE_UP, job.columns))
    people = None if unit.whose is PrivacyUnit.record else range(len(matrix))
    purse = Purse(pure(epsilon, unit=unit.whose, relation=Relation.add_remove))
    return compute(job, columns, matrix, people, unit.rows, parts, purse)


def _one(
    asked: Asked,
    schema: Schema,
    frame: Table,
    people: Sequence[Any] | NDArray[np.int64] | None,
    max_rows: int,
    epsilon: float,
    purse: Purse,
) -> Told:
    whose = None if people is None else np.asarray(people)
    terms: dict[str, Any] = {"epsilon": epsilon, "unit": whose, "charge": purse.take}
    terms["max_rows"] = 1 if people is None else max_rows
    by = {name: schema[name].values or () for name in asked.by}
    if asked.what is What.count:
        each = np.zeros(frame.rows)  # a count is of records, whatever stands in them
        return _told(
            asked, statistics.group_counts(frame, by, **terms) if by else statistics.count(each, **terms)
        )
    name = asked.column or ""
    if not schema[name].type.is_numeric:
        return _told(asked, statistics.group_counts(frame, {name: schema[name].values or ()}, **terms))
    values, terms["bounds"] = frame.numbers(name), bounds_of(schema[name])
    if asked.what is What.histogram:
        del terms["bounds"]  # the edges say it
        return _told(asked, statistics.histogram(values, bins=asked.edges(schema), **terms))
    if asked.what is What.quantile:
        return _told(asked, statistics.quantiles(values, asked.at, grid=steps_of(schema[name]), **terms))
    if asked.what is What.sum:
        found = statistics.group_sums(frame, by, name, **terms) if by else statistics.sum(values, **terms)
    else:
        found = statistics.group_means(frame, by, name, **terms) if by else statistics.mean(values, **terms)
    return _told(asked, found)


def _told(asked: Asked, found: Statistic | Statistics) -> Told:
    from comity.statistics.result import Statistic

    if isinstance(found, Statistic):
        return Told(asked, np.array([found.value]), np.array([found.low]), np.array([found.high]))
    return Told(asked, found.values_, found.lows, found.highs)


def _frame(columns: Columns, matrix: Floats) -> Table:
    """What a job is given, as columns of numbers and words: within public bounds, of public levels."""
    import pyarrow as pa

    filled: dict[str, Any] = {}
    for at, name in enumerate(columns.names):
        values = matrix[:, at]
        if columns.schema[name].type.is_numeric:
            filled[name] = pa.array(values, type=pa.float64(), from_pandas=True)
            continue
        levels = columns.schema[name].values or ()
        words = np.array([*levels, None], dtype=object)
        known = ~np.isnan(values)
        places = np.where(known, np.nan_to_num(values), len(levels)).astype(np.int64)
        filled[name] = pa.array(words[np.minimum(places, len(levels))], type=pa.string())
    return Table(pa.table(filled), "the rows of a clean room")
