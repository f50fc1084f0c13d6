"""Bins: features as small codes, and the columns of codes that a learner asks about.

Features are public to the ML party, so bins are cut at their quantiles. A bin that holds fewer records than
the minimum group, at any validator, is merged before it is asked about.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from comity.data.bins import quantile_edges
from comity.data.encode import BinnedColumn, Encoder, LevelColumn
from comity.errors import BadTable, UsageError
from comity.validate.parameters import a_count

if TYPE_CHECKING:
    from comity.data.table import Table

MOST_BINS: Final = 64
MOST_LEVELS: Final = 128
MOST_CODES: Final = 800
"""Codes over all columns: the fit is cubic in them."""

_RECORDS_PER_BIN: Final = 50
"""Finer bins than that mostly cost time: the prior ties neighbours together."""

Codes = NDArray[np.uint16]


@dataclass(frozen=True, eq=False)
class Columns:
    """Columns of codes for the same records.

    Attributes:
        codes: (records, columns) uint16; 0 means missing.
        widths: number of codes of each column.
        ordered: for each column, whether its codes from 1 on are in the order of a number.
    """

    codes: Codes
    widths: tuple[int, ...]
    ordered: tuple[bool, ...]

    def __post_init__(self) -> None:
        if self.codes.ndim != 2 or self.codes.shape[1] != len(self.widths) or self.codes.dtype != np.uint16:
            raise UsageError("codes are a (records, columns) array of uint16 with one width per column")
        if len(self.ordered) != len(self.widths):
            raise UsageError("every column is either ordered or not")

    @classmethod
    def of(cls, encoder: Encoder, table: Table) -> Columns:
        """A table's rows as an encoder codes them."""
        widths = tuple(int(width) for width in encoder.widths)
        return cls(encoder.codes(table), widths, encoder.ordered)


def public_encoder(table: Table, *, minimum: int = 10, bins: int = MOST_BINS) -> Encoder:
    """Bins at the quantiles of public features, and the most frequent levels of categories.

    Args:
        table: the features.
        minimum: records; no bin or level is made with fewer.
        bins: at most this many per numeric column; fewer where there are many columns or few records.
    """
    share = max(2, MOST_CODES // max(len(table.names), 1))
    bins = min(a_count(bins, "bins, of a numeric column,"), share, max(4, table.rows // _RECORDS_PER_BIN))
    made: list[BinnedColumn | LevelColumn] = []
    for name in table.names:
        if table.type(name).is_numeric:
            numbers = table.numbers(name)
            known = numbers[~np.isnan(numbers)]
            made.append(BinnedColumn(name, quantile_edges(known, bins, minimum)))
        else:
            codes, levels = table.levels(name)
            made.append(LevelColumn(name, _frequent(codes, levels, minimum, min(MOST_LEVELS, share))))
    return Encoder(tuple(made))


def features_table(features: Any) -> Table:
    """Features of any kind as a table: a frame that narwhals reads, or an array (records, columns).

    Raises:
        BadTable: for NaN-free infinities, mixed columns, or anything that has no rows and columns.
    """
    import pyarrow as pa

    from comity.data.frames import frame_to_arrow
    from comity.data.table import Table

    if isinstance(features, Table):
        return features
    if hasattr(features, "toarray"):
        raise UsageError("sparse features are not read; give a dense array or a frame")
    if isinstance(features, np.ndarray | list | tuple):
        array = np.asarray(features)
        if array.ndim != 2:
            raise BadTable(f"features have records and columns, not {array.ndim} dimensions", private=False)
        columns = {f"x{at}": _plain(array[:, at], f"x{at}") for at in range(array.shape[1])}
        return Table(pa.table(columns), source="the features")
    arrow, kind = frame_to_arrow(features)
    plain = {name: _arrow_plain(arrow.column(name), name) for name in arrow.column_names}
    return Table(pa.table(plain), source=kind)


def merge_small(columns: Columns, counts: list[NDArray[np.int64]], minimum: int) -> list[NDArray[np.int64]]:
    """For each column, which group every code goes to, so that no group is too small.

    A numeric bin joins its smaller neighbour; missing, other and rare levels join each other, and if that is
    still too small, the smallest group that is large enough.

    Args:
        columns: the columns.
        counts: for each column, (validators, width) records per code at each validator.
        minimum: a group has none, or at least this many, records at every validator.

    Returns:
        For each column, (width,) group numbers from 0 on.
    """
    return [_merged(count, minimum, ordered) for count, ordered in zip(counts, columns.ordered, strict=True)]


def _merged(counts: NDArray[np.int64], minimum: int, ordered: bool) -> NDArray[np.int64]:
    width = counts.shape[1]
    groups = [[code] for code in range(width) if counts[:, code].any()]
    empty = [code for code in range(width) if not counts[:, code].any()]

    def size(group: list[int]) -> NDArray[np.int64]:
        return counts[:, group].sum(axis=1)

    def is_small(group: list[int]) -> bool:
        held = size(group)
        return bool(((held > 0) & (held < minimum)).any())

    while len(groups) > 1:
        small = [at for at, group in enumerate(groups) if is_small(group)]
        if not small:
            break
        at = min(small, key=lambda at: int(size(groups[at]).sum()))
        others = [other for other in range(len(groups)) if other != at]
        if ordered and groups[at][0] != 0:
            near = [other for other in (at - 1, at + 1) if 0 <= other < len(groups) and groups[other][0] != 0]
            others = near or others
        elif len(small) > 1:
            others = [other for other in small if other != at]
        into = min(others, key=lambda other: int(size(groups[other]).sum()))
        groups[into] = sorted(groups[into] + groups[at])
        del groups[at]
    numbers = np.zeros(width, dtype=np.int64)
    for number, group in enumerate(groups):
        numbers[group] = number
    for code in empty:
        numbers[code] = _nearest(code, groups, ordered)
    return numbers


def _nearest(code: int, groups: list[list[int]], ordered: bool) -> int:
    """Where a code that no record has goes: next to its neighbours, or with the largest number of codes."""
    if not groups:
        return 0
    if ordered and code != 0:
        return min(
            range(len(groups)), key=lambda at: min(abs(code - other) + (other == 0) for other in groups[at])
        )
    return max(range(len(groups)), key=lambda at: len(groups[at]))


def _frequent(codes: NDArray[np.int32], levels: tuple[str, ...], minimum: int, most: int) -> tuple[str, ...]:
    counts = np.bincount(codes[codes >= 0], minlength=len(levels))
    often = np.sort(np.argsort(-counts, kind="stable")[:most])
    return tuple(levels[at] for at in often if counts[at] >= minimum)


def _plain(values: NDArray[Any], name: str) -> Any:
    """A column of an array as an Arrow column of numbers or strings."""
    from comity.data.arrays import to_arrow

    if values.dtype.kind == "O":
        return _plain_objects(values.tolist(), name)
    if values.dtype.kind in "US":
        return _plain_objects([str(value) for value in values.tolist()], name)
    if values.dtype.kind not in "biuf":
        raise BadTable(f"feature {name} is of kind {values.dtype}, not numbers or words", private=False)
    numbers = values.astype(np.float64)
    if np.isinf(numbers).any():
        raise BadTable(f"feature {name} holds infinity", private=False)
    missing = np.isnan(numbers)
    return to_arrow(np.where(missing, 0.0, numbers), missing)


def _plain_objects(values: list[Any], name: str) -> Any:
    import pyarrow as pa

    known = [None if value is None or value != value else value for value in values]
    if all(value is None or isinstance(value, int | float | np.number) for value in known):
        return _plain(np.array([np.nan if value is None else float(value) for value in known]), name)
    return pa.array([None if value is None else str(value) for value in known], type=pa.string())


def _arrow_plain(column: Any, name: str) -> Any:
    """An Arrow column of any type as numbers or strings."""
    import pyarrow as pa

    from comity.data.arrays import fixed_width, valid

    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.cast(kind.value_type)
        kind = column.type
    if pa.types.is_boolean(kind):
        return column.cast(pa.int8()).cast(pa.float64())
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        floats = column.cast(pa.float64(), safe=False)
        numbers = np.where(valid(floats), fixed_width(floats, np.nan), np.nan)
        return _plain(numbers.astype(np.float64), name)
    if pa.types.is_temporal(kind):
        return column.cast(pa.timestamp("us")).cast(pa.int64()).cast(pa.float64())
    return column.cast(pa.string())
