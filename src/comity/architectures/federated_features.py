"""Features of federated training: bins and levels from public facts, and numbers on a public scale.

The ML party draws them up from the schema and its seed rows, which are disclosed outright, and sends them;
providers hold them against the schema before they use them. Nothing of a provider's rows goes into them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np

from comity.architectures.definition import Task
from comity.architectures.models import fit_logistic
from comity.data.encode import BinnedColumn, Encoder, LevelColumn
from comity.data.table import Table
from comity.errors import BadInput, BadSchema
from comity.schema import Column
from comity.train.federated.fixed_point import require_numbers
from comity.train.private.columns import Columns
from comity.train.private.gradients import summed_effects
from comity.validate.hosted_learner import public_columns

if TYPE_CHECKING:
    from numpy.typing import NDArray

_FEW_SEEDS: Final = 30
_FURTHEST: Final = 5.0
_NARROWEST: Final = 1e-9
_MOST_ODDS: Final = 9.0
_MOST_WIDTH: Final = 2_000
MOST_START: Final = 100.0


@dataclass(frozen=True)
class Features:
    """The encoder, and mean and scale of each number.

    Attributes:
        encoder: bins and levels.
        scales: (mean, scale) by numeric column; a number further than 5 scales from the mean counts as 5.
    """

    encoder: Encoder
    scales: Mapping[str, tuple[float, float]]

    @classmethod
    def drawn_up(cls, task: Task, seeds: Table) -> Self:
        """At the ML party, from public facts and its seed rows.

        Raises:
            BadSchema: if a number has no public bounds, or a category no levels.
        """
        lacking = lacking_bounds(task)
        if lacking:
            raise BadSchema(lacking)
        few = seeds.rows < _FEW_SEEDS
        encoder = (
            Encoder.from_schema(task.schema, names=task.features)
            if few
            else public_columns(task.schema, seeds, task.features)
        )
        scales: dict[str, tuple[float, float]] = {}
        for name in task.features:
            column = task.schema[name]
            if column.type.is_numeric:
                low, high = float(column.min or 0.0), float(column.max or 0.0)
                known = seeds.numbers(name) if not few else np.array([low, high])
                known = np.clip(known[~np.isnan(known)], low, high)
                spread, width = float(known.std()) if len(known) else 0.0, (high - low) or 1.0
                scale = spread if spread >= 2 * _NARROWEST * width else width
                scales[name] = (float(known.mean()) if len(known) else low, scale)
        return cls(encoder, scales)

    @property
    def width(self) -> int:
        """Columns of `matrix`."""
        return self.encoder.width + len(self.scales)

    def codes(self, table: Table) -> NDArray[np.uint16]:
        return self.encoder.codes(table)

    def matrix(self, table: Table) -> NDArray[np.float32]:
        """(rows, width) one-hot bins, then numbers on their scale, 0 where missing."""
        numbers = [each.astype(np.float32)[:, None] for each in self._numbers(table)]
        return np.hstack([self.encoder.dense(self.codes(table)), *numbers])

    def _numbers(self, table: Table) -> Iterator[NDArray[np.float64]]:
        """(rows,) each number on its scale, in the encoder's order: a mapping's may change on its way."""
        for name in (name for name in self.encoder.names if name in self.scales):
            mean, scale = self.scales[name]
            scaled = (table.numbers(name) - mean) / scale
            yield np.clip(np.nan_to_num(scaled, nan=0.0), -_FURTHEST, _FURTHEST)

    def start(self, seeds: Table, labels: NDArray[np.uint8], seed: int) -> NDArray[np.float64]:
        """(width + 1,) a logistic regression of the seed rows on numbers and levels, its constant last.

        Zeros where the seed rows are few, or all of one kind.
        """
        from scipy.sparse import csr_matrix

        weights = np.zeros(self.width + 1)
        if seeds.rows < _FEW_SEEDS or len(set(labels.tolist())) < 2:
            return weights
        levels = np.repeat([not ordered for ordered in self.encoder.ordered], self.encoder.widths)
        taken = np.append(levels, np.ones(len(self.scales), dtype=bool))
        model = fit_logistic(csr_matrix(self.matrix(seeds)[:, taken].astype(np.float64)), labels, seed)
        weights[:-1][taken] = np.asarray(model.coef_).ravel()
        weights[-1] = float(np.asarray(model.intercept_).ravel()[0])
        return np.clip(weights, -MOST_START, MOST_START)

    def odds(self, weights: NDArray[np.float64], table: Table) -> NDArray[np.float64]:
        """(rows,) log odds of such a model, between -9 and 9, each from its own row alone to the last bit.

        So that no row moves another one's part of a sum: a matrix product may add up in another order where
        there is one row less.

        Raises:
            BadInput: for weights of another number, NaN, infinities, or large ones.
        """
        held = require_numbers(weights, self.width + 1, what="the start model", most=MOST_START)
        columns = Columns(self.encoder)
        width = columns.fine.dimensions
        found = held[-1] + summed_effects(self.codes(table), columns.fine, held[:width])
        for weight, numbers in zip(held[width:-1], self._numbers(table), strict=True):
            found += weight * numbers
        return np.clip(found, -_MOST_ODDS, _MOST_ODDS)

    def to_dict(self) -> dict[str, Any]:
        return {
            "encoder": self.encoder.to_dict(),
            "scales": {name: list(pair) for name, pair in self.scales.items()},
        }

    @classmethod
    def from_dict(cls, document: object, task: Task) -> Self:
        """Read `to_dict`'s form at a provider, and hold it against the schema.

        Raises:
            BadInput: for other columns than agreed ones, or too many bins.
        """
        if not isinstance(document, Mapping) or set(document) != {"encoder", "scales"}:
            raise BadInput("the features of federated training are an encoder and scales")
        encoder = Encoder.from_dict(document["encoder"])
        for column, ordered in zip(encoder.columns, encoder.ordered, strict=True):
            known = column.name in task.features
            if not known or ordered != task.schema[column.name].type.is_numeric:
                raise BadInput(f"'{column.name[:60]}' is no agreed feature of that type")
            _require_cut_alike(column, task.schema[column.name])
        if not encoder.columns or len(set(encoder.names)) != len(encoder.names):
            raise BadInput("the features name a column twice, or none at all")
        if encoder.width > _MOST_WIDTH:
            raise BadInput(f"the features have more than {_MOST_WIDTH:,} bins")
        scales = _scales(document["scales"], task)
        if not set(scales) <= set(encoder.names):
            raise BadInput("a number has a scale and no bins")
        return cls(encoder, scales)


def _scales(document: object, task: Task) -> dict[str, tuple[float, float]]:
    if not isinstance(document, Mapping):
        raise BadInput("the scales of numbers are a mean and a scale for each")
    scales: dict[str, tuple[float, float]] = {}
    for name, pair in document.items():
        if name not in task.features or not task.schema[name].type.is_numeric:
            raise BadInput(f"'{str(name)[:60]}' is no agreed number")
        numbers = pair if isinstance(pair, list) and len(pair) == 2 else [math.nan, math.nan]
        if not all(type(each) in (int, float) and math.isfinite(each) for each in numbers) or numbers[1] <= 0:
            raise BadInput(f"'{name}' needs a finite mean and a positive scale")
        low, high = float(task.schema[name].min or 0.0), float(task.schema[name].max or 0.0)
        furthest = (high - low) or 1.0
        slack = furthest * _NARROWEST
        if not (low - slack <= numbers[0] <= high + slack and slack <= numbers[1] <= furthest):
            raise BadInput(f"the mean and the scale of '{name}' lie beyond its bounds")
        scales[name] = (float(numbers[0]), float(numbers[1]))
    return scales


def _require_cut_alike(column: BinnedColumn | LevelColumn, agreed: Column) -> None:
    """Hold levels and edges against the schema: a level of the ML party's own would ask about one row.

    Raises:
        BadInput: for levels that are not the schema's, and edges beyond its bounds.
    """
    if isinstance(column, LevelColumn):
        if column.levels != tuple(agreed.values or ()):
            raise BadInput(f"the levels of '{column.name[:60]}' are not those of the schema")
        return
    low, high = float(agreed.min or 0.0), float(agreed.max or 0.0)
    if any(not low <= edge <= high for edge in column.edges):
        raise BadInput(f"the bins of '{column.name[:60]}' lie beyond its bounds")


def lacking_bounds(task: Task) -> str | None:
    """Which features have no public bounds or levels, or None: bins of private rows need them."""
    lacking = []
    for name in task.features:
        column = task.schema[name]
        if column.type.is_numeric and (column.min is None or column.max is None):
            lacking.append(f"{name} (min and max)")
        if not column.type.is_numeric and column.values is None:
            lacking.append(f"{name} (values)")
    if not lacking:
        return None
    return f"private features need public bounds; add to the schema: {', '.join(lacking)}"
