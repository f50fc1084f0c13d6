"""Check a released table against privacy models, independently of the search that made it.

It reads the released texts alone: no codes or lattice. Classes are the groups of equal quasi-identifiers;
each is tested in plain integers, one class at a time. A population table, where a model compares with one, is
generalised value by value with the hierarchies and levels of the release. The gate runs this before a table
leaves.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, localcontext
from fractions import Fraction
from functools import lru_cache
from typing import Any

from comity.deidentify.hierarchies.hierarchy import Hierarchy, as_counted, shown, texts_of
from comity.deidentify.models.class_models import (
    DistinctLDiversity,
    EntropyLDiversity,
    KAnonymity,
    PrivacyModel,
    RecursiveLDiversity,
    TCloseness,
)
from comity.deidentify.models.disclosure import BetaLikeness, DeltaDisclosure
from comity.deidentify.models.population import DeltaPresence, KMap, Population
from comity.deidentify.models.safepub import SafePub, delta_of
from comity.deidentify.models.table_models import AverageRisk, PopulationUniqueness
from comity.errors import BadTable, ComityError, UsageError

Counts = Mapping[Any, int]
"""How often each value of a sensitive column occurs."""

Key = tuple[Any, ...]
"""What a class's rows read in the quasi-identifiers."""


@dataclass(frozen=True)
class Checked:
    """What a check found.

    Attributes:
        rows, classes: of the table, without rows set apart as suppressed.
        suppressed: rows set apart.
        smallest: rows of the smallest class; 0 if there is none.
        violations: one line per model that does not hold, with how many classes and rows break it. Private:
            for the steward only.
    """

    rows: int
    classes: int
    suppressed: int
    smallest: int
    violations: tuple[str, ...]

    @property
    def holds(self) -> bool:
        return not self.violations


def check(
    frame: Any,
    quasi_identifiers: Sequence[str],
    require: Sequence[PrivacyModel],
    *,
    reference: Mapping[str, Counts] | None = None,
    set_apart: bool = False,
    hierarchies: Mapping[str, Hierarchy] | None = None,
    levels: Mapping[str, int] | None = None,
) -> Checked:
    """Test every class of a released table, and the table as a whole.

    Args:
        reference: per sensitive column, counts of the table that t-closeness compares with; by default those
            of the released rows themselves. A release that dropped rows is compared with the table before.
            Here as in the table, all that stands for a missing value is one value (`hierarchy.as_counted`).
        set_apart: whether rows that read "*" in every quasi-identifier are taken as suppressed and left out
            of the test, as in the frame that `anonymize` returns. A release that leaves is tested whole.
        hierarchies, levels: of the release, by quasi-identifier, for models that compare with a population.

    Raises:
        BadTable: if a column is missing; private, if an order or a hierarchy leaves out a value, or values
            cannot be counted.
        UsageError: for a model that it does not know.
    """
    try:
        return _checked(frame, quasi_identifiers, require, reference, set_apart, hierarchies, levels)
    except ComityError:
        raise
    except Exception as error:  # what a library says of it may name values
        raise BadTable(
            f"the table could not be checked ({type(error).__name__}): its columns, or what a model compares "
            "them with, are of a kind that cannot be counted. Make each column all texts, or all numbers"
        ) from None


def _checked(
    frame: Any,
    quasi_identifiers: Sequence[str],
    require: Sequence[PrivacyModel],
    reference: Mapping[str, Counts] | None,
    set_apart: bool,
    hierarchies: Mapping[str, Hierarchy] | None,
    levels: Mapping[str, int] | None,
) -> Checked:
    sensitive = list(dict.fromkeys(model.sensitive for model in require if model.sensitive is not None))
    sizes, histograms = _grouped(frame, list(quasi_identifiers), sensitive)
    star = ("*",) * len(quasi_identifiers)
    suppressed = sizes.pop(star, 0) if set_apart else 0
    whole = {
        name: _total([reference[name]] if reference else histograms[name].values()) for name in sensitive
    }
    found = []
    for model in require:
        if isinstance(model, (AverageRisk, PopulationUniqueness)):
            if not holds_as_a_whole(model, list(sizes.values())):
                found.append(f"{model.describe()}, does not hold for the table as a whole")
            continue
        column, members = model.sensitive, None
        if isinstance(model, (KMap, DeltaPresence)):
            members = _members(model, list(quasi_identifiers), hierarchies, levels)
            found += _without_rows(model, members, sizes)
        broken = [
            size
            for key, size in sizes.items()
            if not satisfies(
                model,
                size,
                histograms[column][key] if column is not None else {},
                whole[column] if column is not None else {},
                None if members is None else members.get(key, 0),
            )
        ]
        if broken:
            found.append(
                f"{model.describe()} does not hold in {len(broken)} classes with {sum(broken)} rows together"
            )
    return Checked(
        rows=sum(sizes.values()),
        classes=len(sizes),
        suppressed=suppressed,
        smallest=min(sizes.values(), default=0),
        violations=tuple(found),
    )


def satisfies(
    model: PrivacyModel, size: int, counts: Counts, whole: Counts, members: int | None = None
) -> bool:
    """Whether one class of `size` rows with these sensitive counts satisfies a model.

    Args:
        members: how many of the population are in the class, for `KMap` and `DeltaPresence`.
    """
    if isinstance(model, KAnonymity):
        return size >= model.k
    if isinstance(model, SafePub):
        return size >= model.k and delta_of(model.epsilon, model.k) <= model.delta
    if isinstance(model, (KMap, DeltaPresence)) and members is not None:
        if isinstance(model, KMap):
            return members >= model.k
        low, high = Fraction(str(model.low)), Fraction(str(model.high))
        return low * members <= size <= high * members
    if isinstance(model, DistinctLDiversity):
        return len(counts) >= model.l
    if isinstance(model, EntropyLDiversity):
        return _entropy_holds(sorted(counts.values()), Fraction(str(model.l)))
    if isinstance(model, RecursiveLDiversity):
        falling = sorted(counts.values(), reverse=True)
        return len(falling) >= model.l and falling[0] < Fraction(str(model.c)) * sum(falling[model.l - 1 :])
    if isinstance(model, TCloseness):
        return _distance(model, size, counts, whole) <= Fraction(str(model.t))
    if isinstance(model, BetaLikeness):
        return all(_gain_allowed(model, size, count, whole, value) for value, count in counts.items())
    if isinstance(model, DeltaDisclosure):
        return all(
            _ratio_allowed(model, counts.get(value, 0) * sum(whole.values()), size * total)
            for value, total in whole.items()
            if total
        )
    raise UsageError(
        f"there is no independent check of {type(model).__name__}: it cannot be used for a release"
    )


def holds_as_a_whole(model: AverageRisk | PopulationUniqueness, sizes: Sequence[int]) -> bool:
    """Whether a release with classes of these sizes satisfies a model of the whole table."""
    if isinstance(model, AverageRisk):
        return len(sizes) <= Fraction(str(model.most)) * sum(sizes)
    if 1 not in sizes:
        return True
    share = _share_of_uniques(model, sizes)
    return sum(sizes) <= model.population and share is not None and 0 < share <= model.most


def _share_of_uniques(model: PopulationUniqueness, sizes: Sequence[int]) -> float | None:
    import numpy as np

    from comity.assess.population import population_uniques

    return population_uniques(np.array(sizes, dtype=np.int64), model.population).shares[model.model]


def _members(
    model: KMap | DeltaPresence,
    names: list[str],
    hierarchies: Mapping[str, Hierarchy] | None,
    levels: Mapping[str, int] | None,
) -> dict[Key, int]:
    """How many of the population read as each class does."""
    if hierarchies is None or levels is None:
        raise UsageError(
            f"{model.describe()} is checked against its population table: give the hierarchies and levels of "
            "the release"
        )
    given = model.population
    population = given if isinstance(given, Population) else Population(given, names)
    rows = population.rows()
    columns = {}
    for name, column in zip(population.names, zip(*(row for row, _ in rows), strict=True), strict=True):
        values = list(dict.fromkeys(column))
        label = dict(zip(values, hierarchies[name].generalise(values, levels[name]), strict=True))
        columns[name] = [label[value] for value in column]
    found: dict[Key, int] = {}
    for key, (_, many) in zip(zip(*(columns[name] for name in names), strict=True), rows, strict=True):
        found[key] = found.get(key, 0) + many
    return found


def _without_rows(
    model: KMap | DeltaPresence, members: Mapping[Key, int], sizes: Mapping[Key, int]
) -> list[str]:
    """Classes of the population of which nothing is released have the share 0."""
    if isinstance(model, KMap) or model.low == 0:
        return []
    empty = [many for key, many in members.items() if key not in sizes]
    if not empty:
        return []
    return [
        f"{model.describe()} does not hold in {len(empty)} classes of the population with {sum(empty)} "
        "members and no released row"
    ]


def _gain_allowed(model: BetaLikeness, size: int, count: int, whole: Counts, value: Any) -> bool:
    """(q - p) / p <= beta, and <= -ln p if enhanced."""
    rows, total = sum(whole.values()), whole.get(value, 0)
    if not total:
        return False
    gain = Fraction(count * rows, size * total) - 1
    if gain > Fraction(str(model.beta)):
        return False
    if not model.enhanced or gain <= 0:
        return True
    return Decimal(gain.numerator) / Decimal(gain.denominator) <= _log(rows) - _log(total)


def _ratio_allowed(model: DeltaDisclosure, inside: int, outside: int) -> bool:
    """|log(inside / outside)| < delta."""
    if not inside or not outside:
        return False
    with localcontext() as context:
        context.prec = 50
        log = abs(_log(inside) - _log(outside))
        if model.base != math.e:
            log /= Decimal(str(model.base)).ln()
        return log < Decimal(str(model.delta)) - Decimal(10) ** -40


def _grouped(
    frame: Any, keys: list[str], sensitive: list[str]
) -> tuple[dict[tuple[Any, ...], int], dict[str, dict[tuple[Any, ...], dict[Any, int]]]]:
    import narwhals as nw

    wrapped = nw.from_native(frame)
    there = wrapped.collect_schema().names()
    absent = [name for name in (*keys, *sensitive) if name not in there]
    if absent:
        raise BadTable(f"the released table has no column '{absent[0]}'", private=False)
    if isinstance(wrapped, nw.LazyFrame):
        wrapped = wrapped.select(*keys, *sensitive).collect("pyarrow")
    table = wrapped.select(*keys, *sensitive).to_arrow()
    sizes = {_key(row[:-1]): row[-1] for row in _counted(table, keys)}
    histograms: dict[str, dict[tuple[Any, ...], dict[Any, int]]] = {}
    for name in sensitive:
        by_class: dict[tuple[Any, ...], dict[Any, int]] = {}
        for row in _counted(table, [*keys, name]):
            counts, value = by_class.setdefault(_key(row[:-2]), {}), as_counted(row[-2])
            counts[value] = counts.get(value, 0) + row[-1]
        histograms[name] = by_class
    return sizes, histograms


def _key(values: tuple[Any, ...]) -> Key:
    """Values told apart as a reader of the table tells them apart: 0.0 from -0.0, a NaN from none."""
    return tuple(repr(value) if isinstance(value, float) else value for value in values)


def _counted(table: Any, names: list[str]) -> list[tuple[Any, ...]]:
    """Distinct rows of some columns, each with its count last."""
    grouped = table.group_by(names).aggregate([([], "count_all")])
    columns = [grouped.column(name).to_pylist() for name in names]
    return list(zip(*columns, grouped.column("count_all").to_pylist(), strict=True))


def _total(parts: Any) -> dict[Any, int]:
    total: dict[Any, int] = {}
    for counts in parts:
        for given, count in counts.items():
            value = as_counted(given)
            total[value] = total.get(value, 0) + count
    return {value: count for value, count in total.items() if count}


def _entropy_holds(counts: list[int], bound: Fraction) -> bool:
    """Entropy >= log(bound), with logarithms to fifty digits; equal to forty digits counts as equal."""
    total = sum(counts)
    with localcontext() as context:
        context.prec = 50
        entropy = _log(total) - sum((count * _log(count) for count in counts), Decimal(0)) / total
        return entropy >= _log(bound.numerator) - _log(bound.denominator) - Decimal(10) ** -40


@lru_cache(maxsize=65_536)
def _log(number: int) -> Decimal:
    with localcontext() as context:
        context.prec = 50
        return Decimal(number).ln()


def _distance(model: TCloseness, size: int, counts: Counts, whole: Counts) -> Fraction:
    """Earth mover's distance between a class and the whole table, as a fraction."""
    rows = sum(whole.values())
    excess = {value: counts.get(value, 0) * rows - whole.get(value, 0) * size for value in {*whole, *counts}}
    if model.distance == "equal":
        return Fraction(sum(abs(d) for d in excess.values()), 2 * size * rows)
    if model.distance == "ordered":
        carried, moved = 0, 0
        for value in _in_order(list(excess), model.order):
            carried += excess[value]
            moved += abs(carried)
        return Fraction(moved, max(1, len(excess) - 1) * size * rows)
    hierarchy = model.hierarchy
    if hierarchy is None:
        raise UsageError("the hierarchical distance needs a hierarchy")
    return Fraction(_climbed(excess, hierarchy), (hierarchy.levels - 1) * size * rows)


def _in_order(values: list[Any], order: Sequence[object] | None) -> list[Any]:
    """Values from least to most, those at one place by their texts; a missing one last."""
    present = sorted((value for value in values if value is not None), key=str)
    if order is not None:
        rank = {text: number for number, value in enumerate(order) for text in texts_of(value)}
        named = {value: [text for text in texts_of(value) if text in rank] for value in present}
        absent = [str(value) for value in present if not named[value]]
        if absent:
            raise BadTable(f"the order for t-closeness leaves out {shown(absent)}")
        present.sort(key=lambda value: rank[named[value][0]])
    else:
        try:
            numbers = {value: float(value) for value in present}
        except (TypeError, ValueError, OverflowError):
            numbers = {}
        if not any(math.isnan(number) for number in numbers.values()):
            present.sort(key=lambda value: numbers.get(value, 0.0))
    return present + [None] * (len(values) - len(present))


def _climbed(excess: Mapping[Any, int], hierarchy: Hierarchy) -> int:
    """Mass that changes sides under each label, times the label's height."""
    tree = hierarchy.with_missing()
    moved = 0
    current: dict[Any, int] = {}
    paths = []
    for value, amount in excess.items():
        leaf = tree.locate([value])[0]
        if leaf < 0:
            raise BadTable(f"the hierarchy for t-closeness has no row for {shown([str(value)])}")
        path = tree.rows[leaf]
        paths.append(path)
        current[path[0]] = current.get(path[0], 0) + amount
    parent_at = [{path[height - 1]: path[height] for path in paths} for height in range(1, tree.levels)]
    for height, parents in enumerate(parent_at, start=1):
        gained: dict[Any, int] = {}
        lost: dict[Any, int] = {}
        for label, amount in current.items():
            side = gained if amount > 0 else lost
            side[parents[label]] = side.get(parents[label], 0) + abs(amount)
        labels = {*gained, *lost}
        moved += sum(height * min(gained.get(label, 0), lost.get(label, 0)) for label in labels)
        current = {label: gained.get(label, 0) - lost.get(label, 0) for label in labels}
    return moved
