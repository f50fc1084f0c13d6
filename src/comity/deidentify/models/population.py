"""Models that compare a release with the population its rows are drawn from: k-map and delta-presence.

The population is a table with the same quasi-identifiers. It is generalised with the same hierarchies to the
same levels, so these models need levels that are common to all rows (`method="global"`).

Sources: k-map (Sweeney 2001, "Computational disclosure control"), delta-presence (Nergiz, Atzori and Clifton
2007, "Hiding the presence of individuals from shared databases").
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from comity.deidentify.hierarchies.hierarchy import Hierarchy
from comity.deidentify.models.class_models import PrivacyModel, exact, whole
from comity.deidentify.models.partition import Partition
from comity.deidentify.search.frames import Frame
from comity.deidentify.search.tuples import ROOM, Tuples, added, combine, leaves_of, merged_tuples
from comity.errors import BadTable, UsageError


class Population:
    """The quasi-identifiers of a population table.

    Args:
        table: a frame that holds the quasi-identifiers, one row per member; or a mapping from tuples of their
            values, in the order of the quasi-identifiers, to how many members have them (2^62 at most
            together).
        names: the quasi-identifiers, in order.

    Raises:
        BadTable: if a column is missing or there are no rows.
        UsageError: if counts are no whole numbers above 0, or too large.
    """

    def __init__(self, table: Any, names: Sequence[str]) -> None:
        self.names = tuple(names)
        self.counts: NDArray[np.int64] | None = None
        if isinstance(table, Mapping):
            table, self.counts = _from_counts(table, self.names)
        self._frame = Frame(table)
        absent = [name for name in names if name not in self._frame.columns]
        if absent:
            raise BadTable(f"the population table has no column '{absent[0]}'", private=False)
        if self._frame.rows == 0:
            raise BadTable("the population table has no rows", private=False)

    def leaves(self, hierarchies: Sequence[Hierarchy]) -> tuple[list[NDArray[np.int32]], list[Hierarchy]]:
        """Leaf of each row by quasi-identifier, and hierarchies with a leaf for missing values if needed."""
        found = []
        for name, hierarchy in zip(self.names, hierarchies, strict=True):
            try:
                found.append(leaves_of(self._frame.coded(name), hierarchy, name))
            except BadTable as error:
                raise BadTable(f"in the population table: {error}", private=error.private) from None
        return [codes for codes, _ in found], [tree for _, tree in found]

    def rows(self) -> list[tuple[tuple[Any, ...], int]]:
        """Plain values of each row, and how many members it stands for."""
        columns = []
        for name in self.names:
            coded = self._frame.coded(name)
            columns.append([coded.values[code] for code in coded.codes.tolist()])
        many = self.counts.tolist() if self.counts is not None else [1] * self._frame.rows
        return list(zip(zip(*columns, strict=True), many, strict=True))


@dataclass(frozen=True)
class KMap:
    """Every class that is released has at least k members in the population: a row's identity hides among k
    people, in the table or not. Needs no k rows in the table, but an attacker who knows who is in it sees
    through.

    Args:
        k: at least 1.
        population: a frame with the same quasi-identifiers that holds everybody the table could be about, or
            counts by tuple of values (`Population`).
    """

    k: int
    population: Any = field(compare=False, repr=False)
    steady: ClassVar[bool] = True

    def __post_init__(self) -> None:
        whole(self.k, "k", at_least=1)

    @property
    def sensitive(self) -> None:
        return None

    def violates(self, partition: Partition) -> NDArray[np.bool_]:
        return partition.population(self.population) < self.k

    def most_kept(self, partition: Partition) -> NDArray[np.int64]:
        return np.zeros(partition.number, dtype=np.int64)

    def describe(self) -> str:
        return f"k-map, k = {self.k}"


@dataclass(frozen=True)
class DeltaPresence:
    """In every class of the population, the share of members whose rows are released lies from low to high:
    so sure can one be that a member is, or is not, in the table.

    A suppressed row counts as absent, and a class of the population without released rows has the share 0.
    So with low above 0 nothing may be suppressed and every member's class has to have rows: levels that do
    not reach this are out. (ARX lets suppressed rows pass there; from outside they are absent all the same.)

    Args:
        low, high: shares in [0, 1], both allowed.
        population: as for `KMap`; it includes the people in the table, which is checked where low is above 0:
            shares to which others add would say nothing of who is absent. With low 0 such rows only raise
            shares, and so err on the safe side.
    """

    low: float
    high: float
    population: Any = field(compare=False, repr=False)
    steady: ClassVar[bool] = False

    def __post_init__(self) -> None:
        for value, name in ((self.low, "low"), (self.high, "high")):
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
                raise UsageError(f"{name} is {value!r}: it is a share, from 0 to 1")
        if self.low > self.high:
            raise UsageError(f"low is {self.low}, above high, {self.high}")

    @property
    def sensitive(self) -> None:
        return None

    @property
    def everywhere(self) -> bool:
        """Whether classes that nothing is released of violate it too."""
        return self.low > 0

    def violates(self, partition: Partition) -> NDArray[np.bool_]:
        members = partition.population(self.population)
        sizes = partition.sizes.astype(np.int64)
        low, high = exact(self.low), exact(self.high)
        return _below(sizes, low.numerator, low.denominator, members) | _below(
            -sizes, -high.numerator, high.denominator, members
        )

    def most_kept(self, partition: Partition) -> NDArray[np.int64]:
        members = partition.population(self.population)
        high = exact(self.high)
        kept = [int(n) * high.numerator // high.denominator for n in members]
        return np.minimum(np.array(kept, dtype=np.int64), partition.sizes.astype(np.int64))

    def describe(self) -> str:
        return f"delta-presence, from {self.low:g} to {self.high:g}"


def with_names(models: Sequence[PrivacyModel], names: Sequence[str]) -> tuple[PrivacyModel, ...]:
    """The models, with the populations among them read under the names of the quasi-identifiers.

    Raises:
        BadTable: if a population table lacks one of the columns.
    """
    read: dict[int, Population] = {}
    found: list[PrivacyModel] = []
    for model in models:
        if isinstance(model, (KMap, DeltaPresence)) and not isinstance(model.population, Population):
            table = model.population
            if id(table) not in read:
                read[id(table)] = Population(table, names)
            found.append(replace(model, population=read[id(table)]))
        else:
            found.append(model)
    return tuple(found)


class CountedPopulations:
    """Populations of some models as tuples of leaves, to be counted in the classes of a node."""

    def __init__(self, populations: Sequence[Population], tuples: Tuples) -> None:
        whole_trees = list(tuples.hierarchies)
        for population in populations:
            whole_trees = population.leaves(whole_trees)[1]
        self._hierarchies = tuple(whole_trees)
        self._merged = {
            id(population): merged_tuples(
                population.leaves(whole_trees)[0], whole_trees, {}, population.counts
            )
            for population in populations
        }

    @classmethod
    def of(cls, models: Sequence[PrivacyModel], tuples: Tuples) -> Self:
        """The populations that models compare with.

        Raises:
            UsageError: if one has not been read (`with_names`).
            BadTable: private; if the table is no part of a population whose every class needs rows of it.
        """
        found: dict[int, Population] = {}
        for model in models:
            if isinstance(model, (KMap, DeltaPresence)):
                if not isinstance(model.population, Population):
                    raise UsageError("the population of a model has to be read first: `with_names` does")
                found[id(model.population)] = model.population
        counted = cls(list(found.values()), tuples)
        for model in models:
            if isinstance(model, DeltaPresence) and model.everywhere:
                counted._require_members(id(model.population), tuples)
        return counted

    def __bool__(self) -> bool:
        return bool(self._merged)

    def hierarchies(self, tuples: Tuples) -> tuple[Hierarchy, ...]:
        """Those of the table, with leaves for the populations' missing values."""
        return self._hierarchies if self._merged else tuples.hierarchies

    def codes(self, tuples: Tuples) -> list[NDArray[np.int32]]:
        """Per quasi-identifier, the leaves of the table's tuples and, after them, of the populations'."""
        return [
            np.concatenate([codes, *(merged.codes[j] for merged in self._merged.values())])
            if self._merged
            else codes
            for j, codes in enumerate(tuples.codes)
        ]

    def counted(self, ids: NDArray[np.int64], slots: int) -> dict[int, NDArray[np.int64]]:
        """Members per class of each population, given the classes of what `codes` lists."""
        found: dict[int, NDArray[np.int64]] = {}
        end = len(ids)
        for name, merged in reversed(self._merged.items()):
            start = end - len(merged.counts)
            found[name] = added(ids[start:end], merged.counts, slots)
            end = start
        return found

    def _require_members(self, name: int, tuples: Tuples) -> None:
        """Refuse a table with more rows of some values than the population has members with them."""
        merged = self._merged[name]
        columns = [np.concatenate(pair) for pair in zip(tuples.codes, merged.codes, strict=True)]
        keys, _ = combine(columns, [len(tree.rows) for tree in self._hierarchies])
        _, places = np.unique(keys, return_inverse=True)
        number, rows = int(places.max(initial=-1)) + 1, len(tuples.counts)
        members = added(places[rows:], merged.counts, number)
        over = np.maximum(added(places[:rows], tuples.counts, number) - members, 0)
        if over.any():
            raise BadTable(
                f"delta-presence with low above 0 needs the people in the table to be in its population: "
                f"{int(over.sum())} rows of the table have values that fewer members of the population have. "
                "Add them to the population, or set low to 0"
            )

    def missing(self, sizes: NDArray[Any], counted: Mapping[int, NDArray[np.int64]]) -> bool:
        """Whether some class has members, but no rows."""
        return any(bool(((members > 0) & (sizes == 0)).any()) for members in counted.values())


def require_common_levels(populations: CountedPopulations) -> None:
    """Refuse levels that differ by class."""
    if populations:
        raise UsageError(
            "k-map and delta-presence compare classes with a population table, which has no classes where "
            'levels differ by row: use method="global" with them'
        )


def _below(
    sizes: NDArray[np.int64], numerator: int, denominator: int, members: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """sizes / members < numerator / denominator, in whole numbers that cannot wrap."""
    largest = max(
        int(np.abs(sizes).max(initial=0)) * denominator, int(members.max(initial=0)) * abs(numerator)
    )
    if largest < 2**62:
        return sizes * denominator < members * numerator
    pairs = zip(sizes.tolist(), members.tolist(), strict=True)
    return np.array([size * denominator < member * numerator for size, member in pairs], dtype=bool)


def _from_counts(counts: Mapping[Any, int], names: Sequence[str]) -> tuple[Any, NDArray[np.int64]]:
    import pyarrow as pa

    for values, many in counts.items():
        if not isinstance(values, tuple) or len(values) != len(names):
            raise UsageError(f"counts of a population are given by tuples of {len(names)} values")
        whole(many, "a count of the population", at_least=1)
    members = [int(count) for count in counts.values()]
    if sum(members) > ROOM:
        raise UsageError("the counts of a population add up to more than 2^62: give them in a coarser unit")
    columns = list(zip(*counts, strict=True)) or [()] * len(names)
    try:
        table = {name: pa.array(list(values)) for name, values in zip(names, columns, strict=True)}
    except (pa.ArrowException, OverflowError):
        raise BadTable(
            "a column of the population's counts holds values of several types: make them all texts, or all "
            "numbers",
            private=False,
        ) from None
    return pa.table(table), np.array(members, dtype=np.int64)
