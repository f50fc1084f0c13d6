"""What leaves of a declared statistic: noisy figures with intervals, read back against the declaration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from comity.cleanroom.asked import Asked
from comity.errors import BadInput
from comity.schema import Schema

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Told:
    """The figures of one statistic, in the order of its keys.

    Attributes:
        asked: what was declared.
        values, lows, highs: (figures,) the noisy figure, and an interval that holds with 95% the figure that
            the same rows would give without noise.
    """

    asked: Asked
    values: Floats
    lows: Floats
    highs: Floats

    def to_message(self) -> dict[str, Any]:
        """The form in which it leaves: figures alone, since both ends know what they are of."""
        return {"values": self.values.tolist(), "lows": self.lows.tolist(), "highs": self.highs.tolist()}

    def readable(self, schema: Schema) -> list[dict[str, Any]]:
        """Each figure with what it is of, for people and files."""
        figures = zip(
            self.asked.keys(schema),
            self.values.tolist(),
            self.lows.tolist(),
            self.highs.tolist(),
            strict=True,
        )
        return [
            {**({} if of is None else {"of": of}), "value": value, "low": low, "high": high}
            for of, value, low, high in figures
        ]

    @property
    def widest(self) -> float:
        """Half the width of the widest interval."""
        return float((self.highs - self.lows).max(initial=0.0)) / 2

    @classmethod
    def from_message(cls, asked: Asked, schema: Schema, body: object) -> Told:
        """Read `to_message`'s form.

        Raises:
            BadInput: for other figures than were declared, and for what are no numbers.
        """
        if not isinstance(body, Mapping) or set(body) != {"values", "lows", "highs"}:
            raise BadInput(f"an answer without the figures of '{asked.name}'")
        read = [_numbers(body[name], len(asked.keys(schema))) for name in ("values", "lows", "highs")]
        if any(one is None for one in read):
            raise BadInput(f"figures of '{asked.name}' that are not those that were declared")
        values, lows, highs = (np.array(one, dtype=np.float64) for one in read)
        if not (lows <= highs).all():
            raise BadInput(f"intervals of '{asked.name}' that cannot be")
        return cls(asked, values, lows, highs)


def read_told(asked: Sequence[Asked], schema: Schema, body: object) -> list[Told]:
    """All declared statistics of an answer, in order.

    Raises:
        BadInput: as `Told.from_message`.
    """
    if not isinstance(body, list) or len(body) != len(asked):
        raise BadInput("an answer that does not hold the declared statistics")
    return [Told.from_message(one, schema, figures) for one, figures in zip(asked, body, strict=True)]


def _numbers(values: object, length: int) -> list[float] | None:
    if not isinstance(values, list) or len(values) != length:
        return None
    fine = all(type(value) in (int, float) and bool(np.isfinite(float(value))) for value in values)
    return [float(value) for value in values] if fine else None
