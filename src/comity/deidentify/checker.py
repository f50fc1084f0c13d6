"""Check a released table against privacy models, independently of the search that made it.

It reads the released texts alone: no hierarchies, codes or lattice. Classes are the groups of equal quasi-
identifiers; each is tested in plain integers, one class at a time. The gate runs it before a table leaves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, localcontext
from fractions import Fraction
from functools import lru_cache
from typing import Any

from comity.deidentify.hierarchy import Hierarchy
from comity.deidentify.models import (
    DistinctLDiversity,
    EntropyLDiversity,
    KAnonymity,
    PrivacyModel,
    RecursiveLDiversity,
    TCloseness,
)
from comity.errors import BadTable, UsageError

Counts = Mapping[Any, int]
"""How often each value of a sensitive column occurs."""


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
) -> Checked:
    """Test every class of a released table.

    Args:
        reference: per sensitive column, counts of the table that t-closeness compares with; by default those
            of the released rows themselves. A release that dropped rows is compared with the table before.
        set_apart: whether rows that read "*" in every quasi-identifier are taken as suppressed and left out
            of the test, as in the frame that `anonymize` returns. A release that leaves is tested whole.

    Raises:
        BadTable: if a column is missing.
        UsageError: for a model that it does not know.
    """
    sensitive = list(dict.fromkeys(model.sensitive for model in require if model.sensitive is not None))
    sizes, histograms = _grouped(frame, list(quasi_identifiers), sensitive)
    star = ("*",) * len(quasi_identifiers)
    suppressed = sizes.pop(star, 0) if set_apart else 0
    whole = reference or {name: _total(counts for counts in histograms[name].values()) for name in sensitive}
    found = []
    for model in require:
        column = model.sensitive
        broken = [
            size
            for key, size in sizes.items()
            if not satisfies(
                model,
                size,
                histograms[column][key] if column is not None else {},
                whole[column] if column is not None else {},
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


def satisfies(model: PrivacyModel, size: int, counts: Counts, whole: Counts) -> bool:
    """Whether one class of `size` rows with these sensitive counts satisfies a model."""
    if isinstance(model, KAnonymity):
        return size >= model.k
    if isinstance(model, DistinctLDiversity):
        return len(counts) >= model.l
    if isinstance(model, EntropyLDiversity):
        return _entropy_holds(sorted(counts.values()), Fraction(str(model.l)))
    if isinstance(model, RecursiveLDiversity):
        falling = sorted(counts.values(), reverse=True)
        return len(falling) >= model.l and falling[0] < Fraction(str(model.c)) * sum(falling[model.l - 1 :])
    if isinstance(model, TCloseness):
        return _distance(model, size, counts, whole) <= Fraction(str(model.t))
    raise UsageError(
        f"there is no independent check of {type(model).__name__}: it cannot be used for a release"
    )


def _grouped(
    frame: Any, keys: list[str], sensitive: list[str]
) -> tuple[dict[tuple[Any, ...], int], dict[str, dict[tuple[Any, ...], dict[Any, int]]]]:
    import narwhals as nw

    wrapped = nw.from_native(frame)
    if isinstance(wrapped, nw.LazyFrame):
        wrapped = wrapped.select(*keys, *sensitive).collect("pyarrow")
    absent = [name for name in (*keys, *sensitive) if name not in wrapped.columns]
    if absent:
        raise BadTable(f"the released table has no column '{absent[0]}'", private=False)
    table = wrapped.select(*keys, *sensitive).to_arrow()
    sizes = {tuple(row[:-1]): row[-1] for row in _counted(table, keys)}
    histograms: dict[str, dict[tuple[Any, ...], dict[Any, int]]] = {}
    for name in sensitive:
        by_class: dict[tuple[Any, ...], dict[Any, int]] = {}
        for row in _counted(table, [*keys, name]):
            by_class.setdefault(tuple(row[:-2]), {})[row[-2]] = row[-1]
        histograms[name] = by_class
    return sizes, histograms


def _counted(table: Any, names: list[str]) -> list[tuple[Any, ...]]:
    """Distinct rows of some columns, each with its count last."""
    grouped = table.group_by(names).aggregate([([], "count_all")])
    columns = [grouped.column(name).to_pylist() for name in names]
    return list(zip(*columns, grouped.column("count_all").to_pylist(), strict=True))


def _total(parts: Any) -> dict[Any, int]:
    total: dict[Any, int] = {}
    for counts in parts:
        for value, count in counts.items():
            total[value] = total.get(value, 0) + count
    return total


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
    present = [value for value in values if value is not None]
    if order is not None:
        rank = {str(value): number for number, value in enumerate(order)}
        present.sort(key=lambda value: rank[str(value)])
    else:
        try:
            present.sort(key=float)
        except (TypeError, ValueError):
            present.sort(key=str)
    return present + [None] * (len(values) - len(present))


def _climbed(excess: Mapping[Any, int], hierarchy: Hierarchy) -> int:
    """Mass that changes sides under each label, times the label's height."""
    tree = hierarchy.with_missing()
    moved = 0
    current: dict[Any, int] = {}
    paths = []
    for value, amount in excess.items():
        path = tree.rows[tree.locate([value])[0]]
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
