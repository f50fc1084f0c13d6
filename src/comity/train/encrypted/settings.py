"""What is trained on shares, as the parties agree on it: public numbers, from which the program is made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from typing import Any, Final, Self

from comity.crypto.canonical import digest
from comity.errors import BadInput

BITS: Final = 20
"""Fractional bits of the fixed-point numbers. Products have twice as many and fit into 64 bits up to 2^22."""

BATCH: Final = 4096
STEPS: Final = 40
MOMENTUM: Final = 0.7
MOST_COLUMNS: Final = 300
"""The inverse of a matrix of so many columns is found on shares, which grows with the cube."""


class Partition(StrEnum):
    """How the table is split over providers: each has rows with all columns, or columns of the same rows."""

    rows = "rows"
    columns = "columns"


class Kind(StrEnum):
    """Which model: logistic regression for a target of two values, linear regression for numbers."""

    logistic = "logistic"
    linear = "linear"


@dataclass(frozen=True)
class Training:
    """A training run. Everything in it is public.

    Attributes:
        kind: the model.
        rows, columns: size of the shared table, the constant column not counted.
        numeric: the first so many columns are numbers, which are centred and scaled by what is computed on
            shares; the others are 0 or 1 and stay as they are.
        batch: rows of one step; every row stands in at most one batch of a pass over the table.
        steps, momentum: of the accelerated descent. Linear regression takes its steps on the matrix of
            products, without rows.
        ridge: weight of |w|^2 / 2 against the sum of the rows' losses; the intercept is left out of it.
        partition: how the table is split. Split by rows, providers share the products of their rows as well;
            split by columns nobody can form them, and they are formed on shares of the first batch.
        noisy: logistic regression with differential privacy (`noisy`): every step takes all rows and a row of
            noise.
        rate: length of such a step, of what the noisy curvature says.
        epsilon, delta, ones: what its noise is calibrated by (`noisy.NoiseParts`); a row and its constant
            are no longer than one of so many ones. The part of each provider hides the others' rows too, so
            they have to agree on it.
    """

    kind: Kind
    rows: int
    columns: int
    numeric: int
    batch: int = BATCH
    steps: int = STEPS
    momentum: float = MOMENTUM
    ridge: float = 1.0
    partition: Partition = Partition.rows
    noisy: bool = False
    rate: float = 1.0
    epsilon: float = 0.0
    delta: float = 0.0
    ones: int = 1

    def __post_init__(self) -> None:
        counts = (self.rows, self.columns, self.batch, self.steps)
        sound = (
            all(type(count) is int and count >= 1 for count in counts)
            and type(self.numeric) is int
            and 0 <= self.numeric <= self.columns <= MOST_COLUMNS
            and 0 <= self.momentum < 1
            and 0 <= self.ridge < 2**20
            and 0 < self.rate <= 1
            and type(self.ones) is int
            and 1 <= self.ones <= self.columns + 1
        )
        if not sound:
            raise BadInput(
                f"a training has rows, columns (at most {MOST_COLUMNS}), batch and steps of 1 or more, a "
                "momentum below 1, a ridge of 0 or more and a rate above 0, up to 1"
            )
        if self.noisy and (self.kind is not Kind.logistic or self.partition is not Partition.rows):
            raise BadInput(
                "with differential privacy, logistic regression is trained on a table split by rows"
            )

    @property
    def batches(self) -> int:
        """How many batches the table is cut into, as even as whole rows allow."""
        return max(1, round(self.rows / self.batch))

    @property
    def batch_rows(self) -> int:
        """Rows of a batch: fewer rows than there are batches are left over, and out."""
        return self.rows // self.batches

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "kind": str(self.kind), "partition": str(self.partition)}

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Self:
        """Read the JSON form.

        Raises:
            BadInput: if it is none.
        """
        if set(document) != {field.name for field in fields(cls)}:
            raise BadInput("a training's settings have missing or unknown keys")
        try:
            kinds = {"kind": Kind(document["kind"]), "partition": Partition(document["partition"])}
            return cls(**{**document, **kinds})
        except (TypeError, ValueError) as error:
            raise BadInput(f"a training's settings cannot be read: {error}") from None

    @property
    def digest(self) -> str:
        return digest(self.to_dict())
