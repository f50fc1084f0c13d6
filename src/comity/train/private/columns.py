"""Declared columns: bounds and levels that are public, as an encoder and as blocks of a one-hot row.

Nothing here looks at a record to decide what another one's code is. A number is held at its bounds and falls
into one of `bins` bins of equal width; a level that was not declared has a code of its own; so has a missing
value. Numbers count twice, in fine bins and in bins three times as wide, each with half a column's square
weight: noise of neighbouring fine bins then has less to say than what they share.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from comity.data.bins import equal_width_edges
from comity.data.declaration import checked_bounds, checked_levels
from comity.data.declared import declared_table
from comity.data.encode import BinnedColumn, Encoder, LevelColumn
from comity.data.value import level_text
from comity.errors import UsageError
from comity.train.private.gradients import Blocks, Integers

COARSER: Final = 3
"""How many fine bins make a coarse one."""

WEIGHT: Final = 60
"""A column's weight in a row; a number's two blocks get 42 each, and 2 * 42^2 <= 60^2."""

_HALF_WEIGHT: Final = 42

Codes = NDArray[np.uint16]


@dataclass(frozen=True)
class Columns:
    """What is declared of every column, in order.

    Attributes:
        encoder: fine codes of each column.
    """

    encoder: Encoder

    @classmethod
    def declared(
        cls,
        names: Sequence[str],
        bounds: Mapping[str, tuple[float, float]],
        categories: Mapping[str, Sequence[Any]],
        bins: int,
    ) -> Columns:
        """Columns from what is public of them.

        Raises:
            UsageError: if a column has neither bounds nor levels, or both, or they are no bounds or levels.
        """
        twice = sorted(set(bounds) & set(categories))
        unknown = sorted((set(bounds) | set(categories)) - set(names))
        bare = [name for name in names if name not in bounds and name not in categories]
        if twice:
            raise UsageError(
                f"{_listed(twice)} stand in bounds= and in categories=: a column has one of them"
            )
        if unknown:
            raise UsageError(
                f"{_listed(unknown)} stand in bounds= or categories=, but the features have no such column; "
                f"they have: {_listed(names)}"
            )
        if bare:
            raise UsageError(
                f"no bounds or levels were declared for {_listed(bare)}: pass bounds={{column: (low, high)}} "
                "for numbers and categories={column: [levels]} for everything else, from public facts. They "
                "are not read off the data: a minimum, a maximum or a rare level is some record's own value, "
                "and a model that was cut by it would tell it, whatever noise is added"
            )
        made: list[BinnedColumn | LevelColumn] = []
        for name in names:
            if name in bounds:
                low, high = checked_bounds(bounds[name], name)
                made.append(BinnedColumn(name, equal_width_edges(low, high, bins)))
            else:
                levels = checked_levels(categories[name], name)
                made.append(LevelColumn(name, tuple(level_text(level) for level in levels)))
        return cls(Encoder(tuple(made)))

    @property
    def names(self) -> tuple[str, ...]:
        return self.encoder.names

    def codes(self, features: Any) -> Codes:
        """(records, columns) fine codes, each from its own value alone.

        Raises:
            BadTable: if a column is missing or is stored as text where bounds were declared (public).
        """
        kinds = {column.name: isinstance(column, BinnedColumn) for column in self.encoder.columns}
        return self.encoder.codes(declared_table(features, kinds))

    @cached_property
    def fine(self) -> Blocks:
        """One block per column, each of weight 1: what records are counted by."""
        widths = tuple(int(width) for width in self.encoder.widths)
        return Blocks(widths, (1,) * len(widths))

    @cached_property
    def coarse(self) -> tuple[tuple[int, Integers], ...]:
        """For each number with enough bins: its column, and for each fine code the coarse one."""
        made: list[tuple[int, Integers]] = []
        for at, column in enumerate(self.encoder.columns):
            if isinstance(column, BinnedColumn) and column.width - 1 > COARSER:
                fine = np.arange(column.width)
                made.append((at, np.where(fine == 0, 0, (fine - 1) // COARSER + 1).astype(np.int64)))
        return tuple(made)

    @cached_property
    def blocks(self) -> Blocks:
        """The blocks of a row: one per column, then the coarse ones. Every row has the same norm."""
        doubled = {at for at, _ in self.coarse}
        widths = [*self.fine.widths, *(int(to.max()) + 1 for _, to in self.coarse)]
        weights = [_HALF_WEIGHT if at in doubled else WEIGHT for at in range(len(self.fine.widths))]
        return Blocks(tuple(widths), (*weights, *(_HALF_WEIGHT for _ in self.coarse)))

    def rows(self, codes: Codes) -> Codes:
        """(records, blocks) codes of every block, from fine codes."""
        return np.column_stack([codes, *(to[codes[:, at]] for at, to in self.coarse)]).astype(np.uint16)


def spread(declared: Any, names: Sequence[str], what: str) -> dict[str, Any]:
    """Declarations by name: for an array's columns, their numbers are taken for names too.

    A pair (low, high) declares the bounds of all columns.

    Raises:
        UsageError: for anything but a mapping or a pair.
    """
    if declared is None:
        return {}
    if what == "bounds" and isinstance(declared, tuple | list) and len(declared) == 2:
        return dict.fromkeys(names, tuple(declared))
    if not isinstance(declared, Mapping):
        form = "(low, high)" if what == "bounds" else "[levels]"
        raise UsageError(f"{what}= is a mapping {{column: {form}}}, not {type(declared).__name__}")
    return {
        f"x{key}" if isinstance(key, int | np.integer) else str(key): one for key, one in declared.items()
    }


def _listed(names: Sequence[str]) -> str:
    shown = [repr(name) for name in names[:6]]
    return ", ".join(shown) + (f" and {len(names) - 6} more" if len(names) > 6 else "")
