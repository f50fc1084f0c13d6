"""The distinct tuples of a table read batch by batch: its rows are never in memory together.

The table is read twice, once to count and once to write. What is counted the first time is counted again the
second time: a file that changed in between, be it only in how often a tuple occurs, would break the models.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from comity.data.arrays import fixed_width, to_arrow
from comity.deidentify.hierarchies.hierarchy import Hierarchy, as_counted
from comity.deidentify.search.frames import Coded, require_plain
from comity.deidentify.search.numbering import Numbering, Tally, TupleNumbering
from comity.deidentify.search.settings import Settings
from comity.deidentify.search.tablefile import TableFile
from comity.deidentify.search.tuples import (
    ALL_SUPPRESSED,
    SUPPRESSED,
    Sensitive,
    Tuples,
    merged_tuples,
    no_leaf,
    sensitive_of,
)
from comity.errors import BadTable

if TYPE_CHECKING:
    import pyarrow as pa

_REMEMBERED = 1_000_000
"""Values whose leaf is remembered; above, the memory starts afresh."""
_VALUE_BITS = 31
_NO_LEAF = -1


class LeafCoder:
    """Leaves of one quasi-identifier's values. Two codes follow the leaves: a missing value that has no leaf
    yet, and "*" where it is no leaf."""

    def __init__(self, name: str, hierarchy: Hierarchy) -> None:
        self.name = name
        self.hierarchy = hierarchy
        self.missing = len(hierarchy.rows)
        self.star = self.missing + 1
        self.extent = self.missing + 2
        self.met_missing = False
        self.unknown: dict[Any, None] = {}
        self._leaf: dict[Any, int] = {}

    def code(self, column: Any) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
        """Per row, its leaf (-1: none), and whether it reads "*"."""
        places, values = _encoded(column)
        leaves = np.array([self._leaf_of(value) for value in values], dtype=np.int32)
        stars = np.array([value == SUPPRESSED for value in values], dtype=bool)
        codes = leaves[places]
        if (leaves == _NO_LEAF).any():
            for place in np.unique(places[codes == _NO_LEAF]):
                self.unknown[values[place]] = None
        return codes, stars[places] if stars.any() else np.zeros(len(codes), dtype=bool)

    def note(self, codes: NDArray[np.int32]) -> None:
        """Look at the codes of rows that did not come in suppressed."""
        if len(codes) and int(codes.max()) >= self.missing:
            self.met_missing |= bool((codes == self.missing).any())
            if (codes == self.star).any():
                self.unknown[SUPPRESSED] = None

    def whole(self) -> Hierarchy:
        """The hierarchy, with a leaf for missing values if some were met.

        Raises:
            BadTable: naming values that have no leaf.
        """
        if self.unknown:
            raise BadTable(no_leaf(self.name, [str(value) for value in self.unknown], self.hierarchy))
        return self.hierarchy.with_missing() if self.met_missing else self.hierarchy

    def _leaf_of(self, value: Any) -> int:
        if value not in self._leaf:
            if len(self._leaf) >= _REMEMBERED:
                self._leaf.clear()
            found = self.hierarchy.locate([value])[0]
            if found == -1 and value == SUPPRESSED:
                found = self.star
            self._leaf[value] = self.missing if found == -2 else found
        return self._leaf[value]


class ValueCoder:
    """Codes of a sensitive column's values, in order of their first appearance; what is missing is one."""

    def __init__(self) -> None:
        self._codes: dict[Any, int] = {}

    @property
    def values(self) -> tuple[Any, ...]:
        return tuple(self._codes)

    def code(self, column: Any) -> NDArray[np.int64]:
        places, values = _encoded(column)
        used = np.bincount(places, minlength=len(values)) > 0
        codes = [
            self._codes.setdefault(as_counted(value), len(self._codes)) if there else -1
            for value, there in zip(values, used, strict=True)
        ]
        return np.array(codes, dtype=np.int64)[places]


class PairCounter:
    """Counts pairs of a tuple and a value of one sensitive column, in the first reading and in the second."""

    def __init__(self) -> None:
        self.values = ValueCoder()
        self.numbering = Numbering()
        self.tally = Tally()
        self._again = Tally()

    def add(self, numbers: NDArray[np.int64], column: Any) -> None:
        """Count rows of the first reading, given the number of each one's tuple."""
        found, _ = self.numbering.find(self._keys(numbers, column), learn=True)
        self.tally.add(found, len(self.numbering))

    def add_again(self, numbers: NDArray[np.int64], column: Any) -> bool:
        """Count rows of the second reading; whether all of these pairs were met in the first."""
        found, _ = self.numbering.find(self._keys(numbers, column), learn=False)
        if (found < 0).any():
            return False
        self._again.add(found, len(self.numbering))
        return True

    @property
    def same(self) -> bool:
        """Whether both readings found each pair equally often."""
        return np.array_equal(self.tally.counts, self._again.counts)

    def sensitive(self, places: NDArray[np.int64]) -> Sensitive:
        """The column over merged tuples; `places`: which of them each number stands for."""
        keys = self.numbering.keys
        codes = (keys & (2**_VALUE_BITS - 1)).astype(np.int32)
        return sensitive_of(Coded(codes, self.values.values), places[keys >> _VALUE_BITS], self.tally.counts)

    def _keys(self, numbers: NDArray[np.int64], column: Any) -> NDArray[np.int64]:
        return (numbers << _VALUE_BITS) | self.values.code(column)


class Counting:
    """Counts the distinct tuples of a file, and finds the tuple of each of its rows again."""

    def __init__(self, file: TableFile, settings: Settings) -> None:
        absent = [n for n in (*settings.names, *settings.sensitive) if n not in file.schema.names]
        if absent:
            raise BadTable(
                f"the table has no column '{absent[0]}'; its columns are {', '.join(file.schema.names)}",
                private=False,
            )
        for name in (*settings.names, *settings.sensitive):
            require_plain(name, file.schema.field(name).type)
        self._file = file
        self._coders = [LeafCoder(name, tree) for name, tree in settings.quasi_identifiers.items()]
        self._numbering = TupleNumbering([coder.extent for coder in self._coders])
        self._pairs = {name: PairCounter() for name in settings.sensitive}
        self._tally, self._again = Tally(), Tally()
        self._gone = self._gone_again = 0
        self._places = np.zeros(0, dtype=np.int64)
        self.rows = 0

    def count(self) -> Tuples:
        """Read the file once.

        Raises:
            BadTable: if it has no rows or all came in suppressed, or values that a hierarchy does not hold.
        """
        leaves: list[list[NDArray[np.int32]]] = []
        for batch in self._file.batches():
            self.rows += batch.num_rows
            codes, gone = self._coded(batch)
            self._gone += int(gone.sum())
            kept = [column[~gone] for column in codes] if gone.any() else codes
            for coder, column in zip(self._coders, kept, strict=True):
                coder.note(column)
            if any(coder.unknown for coder in self._coders) or not len(kept[0]):
                continue
            numbers, fresh = self._numbering.find(kept, learn=True)
            self._tally.add(numbers, len(self._numbering))
            leaves.append([column[fresh] for column in kept])
            for name, pairs in self._pairs.items():
                pairs.add(numbers, _there(batch, name, gone))
        whole = [coder.whole() for coder in self._coders]
        if not self.rows:
            raise BadTable("the table has no rows: there is nothing to anonymize", private=False)
        if not len(self._numbering):
            raise BadTable(ALL_SUPPRESSED)
        columns = [np.concatenate([part[j] for part in leaves]) for j in range(len(whole))]
        merged = merged_tuples(columns, whole, {}, self._tally.counts)
        self._places = merged.of_row
        return replace(
            merged,
            sensitive={name: pairs.sensitive(merged.of_row) for name, pairs in self._pairs.items()},
            already_suppressed=self._gone,
        )

    def tuples_of(self, batch: pa.RecordBatch) -> NDArray[np.int64]:
        """The tuple of each row of a batch, after `count`; -1 for a row that came in suppressed. The rows are
        counted once more, for `require_same`.

        Raises:
            BadTable: if a row was not there when rows were counted.
        """
        codes, gone = self._coded(batch)
        found = np.full(len(gone), -1, dtype=np.int64)
        self._gone_again += int(gone.sum())
        if not gone.all():
            numbers, _ = self._numbering.find([column[~gone] for column in codes], learn=False)
            if (numbers < 0).any():
                raise self._changed()
            self._again.add(numbers, len(self._numbering))
            if not all(
                pairs.add_again(numbers, _there(batch, name, gone)) for name, pairs in self._pairs.items()
            ):
                raise self._changed()
            found[~gone] = self._places[numbers]
        return found

    def require_same(self) -> None:
        """After all batches went through `tuples_of`: every tuple, and every pair with a sensitive value,
        occurred as often as in the first reading.

        Raises:
            BadTable: if not.
        """
        same = self._gone == self._gone_again and np.array_equal(self._tally.counts, self._again.counts)
        if not same or not all(pairs.same for pairs in self._pairs.values()):
            raise self._changed()

    def _changed(self) -> BadTable:
        return BadTable(f"{self._file.path} changed while it was read; run again on a file at rest")

    def _coded(self, batch: pa.RecordBatch) -> tuple[Sequence[NDArray[np.int32]], NDArray[np.bool_]]:
        """Leaves per quasi-identifier, and which rows came in suppressed."""
        codes = []
        gone = np.ones(batch.num_rows, dtype=bool)
        for coder in self._coders:
            leaves, stars = coder.code(batch.column(coder.name))
            codes.append(leaves)
            gone &= stars
        return codes, gone


def _encoded(column: Any) -> tuple[NDArray[np.int64], list[Any]]:
    """Per row the place of its value, and the values, the last of them None for missing."""
    import pyarrow as pa

    try:
        encoded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    except pa.ArrowException:
        raise BadTable(
            f"a quasi-identifier or sensitive column holds {column.type}, whose values cannot be compared: "
            "make them texts or numbers",
            private=False,
        ) from None
    values = [None if value != value else value for value in encoded.dictionary.to_pylist()]
    places = fixed_width(encoded.indices, len(values)).astype(np.int64)
    return places, [*values, None]


def _there(batch: pa.RecordBatch, name: str, gone: NDArray[np.bool_]) -> Any:
    """A column without the rows that came in suppressed."""
    column = batch.column(name)
    return column.filter(to_arrow(~gone)) if gone.any() else column
