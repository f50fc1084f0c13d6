"""Singling out: does a synthetic table lead to a description that fits one real person and nobody else?

After Giomi et al. 2023 (Anonymeter): the adversary reads descriptions off synthetic rows and wins where
exactly one private row fits. Univariate: a value that stands once in a column, or lies beyond all others.
Multivariate: several columns of one synthetic row together, categories as they are, numbers "at least" or "at
most" by the side of the median they lie on; two columns or more, every number of them as often.

Such descriptions fit one row by chance as well: some do even where every column was shuffled by itself,
though nothing of any row is left then. So a control is subtracted: what the same descriptions do to as many
held-out rows (what the table says of people in general fits those as well), or, for several columns together,
what descriptions read off the shuffled table do, whichever does better. Shuffling changes no single column,
so that univariate descriptions need held-out rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from comity.attack.interval import newcombe
from comity.attack.result import AttackResult
from comity.errors import BadInput, UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from comity.data import Table

DESCRIPTIONS = 1000
"""Descriptions that an attack tries, at most."""
LEAST_ROWS = 50
_NAMES = {"univariate": "rare-value", "multivariate": "singling-out"}
"""What the results are called, by the kind of description."""


@dataclass(frozen=True, eq=False)
class _Coded:
    """A table as numbers: (rows, columns), numbers as they are, categories by code, NaN where missing."""

    values: NDArray[np.float64]
    numeric: NDArray[np.bool_]

    def taken(self, rows: NDArray[np.integer]) -> _Coded:
        return _Coded(self.values[rows], self.numeric)


@dataclass(frozen=True)
class _Description:
    """Conditions that a row fits or not: (column, how, value), how being "=", "<=", ">=" or "missing"."""

    conditions: tuple[tuple[int, str, float], ...]

    def fits(self, rows: NDArray[np.float64]) -> int:
        """How many rows fit."""
        left: NDArray[np.bool_] | None = None
        for column, how, value in self.conditions:
            values = rows[:, column]
            if how == "missing":
                met = np.isnan(values)
            elif how == "=":
                met = values == value
            else:
                met = values <= value if how == "<=" else values >= value
            left = met if left is None else left & met
        return 0 if left is None else int(np.count_nonzero(left))


def singling_out_attack(
    release: Table,
    members: Table,
    *,
    outsiders: Table | None = None,
    kind: str = "multivariate",
    columns: Sequence[str] | None = None,
    descriptions: int = DESCRIPTIONS,
    seed: int = 0,
) -> AttackResult:
    """Read descriptions off a release, and see how many fit exactly one private row.

    Args:
        release: the synthetic table. members: the private rows that it was made from.
        outsiders: held-out rows of the same kind; both sides are then cut to as many rows. Univariate
            descriptions need them.
        kind: `univariate` or `multivariate`.
        columns: what the adversary looks at; by default every column that all tables have.
        descriptions: how many to try at most; there may be fewer different univariate ones.
        seed: of the descriptions, the shuffled control and the samples.

    Returns:
        Named `rare-value` or `singling-out`, by the kind. `advantage` is the share of descriptions that fit
        exactly one private row, less the stronger control's; `control` is that control's share; `trials`
        counts the descriptions.

    Raises:
        BadInput: if a table has fewer than 50 rows.
        UsageError: for another kind, columns that a table lacks, or no held-out rows where they are needed.
    """
    if kind not in _NAMES:
        raise UsageError(f"kind is 'univariate' or 'multivariate', not {kind!r}")
    if kind == "univariate" and outsiders is None:
        raise UsageError(
            "univariate descriptions are held against outsiders: shuffling changes no column by itself"
        )
    generator = np.random.default_rng([seed, 11])
    names = _names(release, members, outsiders, columns)
    made, real, other = _together([release, members, *([outsiders] if outsiders is not None else [])], names)
    if other is not None:
        count = min(len(real.values), len(other.values))
        real = real.taken(np.sort(generator.permutation(len(real.values))[:count]))
        other = other.taken(np.sort(generator.permutation(len(other.values))[:count]))
    tried = _descriptions(made, kind, descriptions, generator)
    controls: list[tuple[int, int]] = []
    if kind == "multivariate":
        columns_apart = [generator.permutation(made.values[:, at]) for at in range(made.values.shape[1])]
        blind = _multivariate(_Coded(np.stack(columns_apart, axis=1), made.numeric), descriptions, generator)
        controls.append((_single(blind, real), max(1, len(blind))))
    if other is not None:
        controls.append((_single(tried, other), max(1, len(tried))))
    if not tried:
        return AttackResult(_NAMES[kind], 0.0, -1.0, 1.0, control=0.0, trials=0)
    hits = _single(tried, real)
    floor, trials = max(controls, key=lambda one: one[0] / one[1])
    low, high = newcombe(hits, len(tried), floor, trials)
    return AttackResult(
        name=_NAMES[kind],
        advantage=hits / len(tried) - floor / trials,
        low=low,
        high=high,
        control=floor / trials,
        trials=len(tried) + trials,
    )


def _single(tried: Sequence[_Description], rows: _Coded) -> int:
    return sum(one.fits(rows.values) == 1 for one in tried)


def _descriptions(made: _Coded, kind: str, most: int, generator: np.random.Generator) -> list[_Description]:
    return (
        _univariate(made, most, generator) if kind == "univariate" else _multivariate(made, most, generator)
    )


def _univariate(made: _Coded, most: int, generator: np.random.Generator) -> list[_Description]:
    """Values that stand once in their column, and what lies beyond a number's extremes."""
    found: list[_Description] = []
    for column in range(made.values.shape[1]):
        values = made.values[:, column]
        known = values[~np.isnan(values)]
        if len(values) - len(known) == 1:
            found.append(_Description(((column, "missing", 0.0),)))
        if not len(known):
            continue
        distinct, counts = np.unique(known, return_counts=True)
        found += [_Description(((column, "=", float(value)),)) for value in distinct[counts == 1]]
        if made.numeric[column]:
            found.append(_Description(((column, "<=", float(distinct[0])),)))
            found.append(_Description(((column, ">=", float(distinct[-1])),)))
    if len(found) <= most:
        return found
    return [found[at] for at in np.sort(generator.permutation(len(found))[:most])]


def _multivariate(made: _Coded, most: int, generator: np.random.Generator) -> list[_Description]:
    """Some columns of one row together."""
    rows, columns = made.values.shape
    with np.errstate(all="ignore"):
        medians = np.array(
            [np.median(v[~np.isnan(v)]) if (~np.isnan(v)).any() else 0.0 for v in made.values.T]
        )
    found: dict[_Description, None] = {}
    for _ in range(2 * most):
        if len(found) == most:
            break
        row = made.values[int(generator.integers(rows))]
        together = int(generator.integers(min(2, columns), columns + 1))
        chosen = np.sort(generator.permutation(columns)[:together])
        conditions: list[tuple[int, str, float]] = []
        for column in chosen.tolist():
            value = float(row[column])
            if np.isnan(value):
                conditions.append((column, "missing", 0.0))
            elif made.numeric[column]:
                conditions.append((column, ">=" if value > medians[column] else "<=", value))
            else:
                conditions.append((column, "=", value))
        found[_Description(tuple(conditions))] = None
    return list(found)


def _names(
    release: Table, members: Table, outsiders: Table | None, columns: Sequence[str] | None
) -> list[str]:
    tables = [release, members, *([outsiders] if outsiders is not None else [])]
    for table in tables:
        if table.rows < LEAST_ROWS:
            raise BadInput(
                f"singling out needs {LEAST_ROWS} rows or more in a table; {table.source} has {table.rows}"
            )
    names = [name for name in release.names if all(name in table for table in tables)]
    wanted = names if columns is None else list(columns)
    absent = [name for name in wanted if name not in names]
    if absent or not wanted:
        raise UsageError(
            f"not every table has the columns to look at: {', '.join(absent) or 'none in common'}"
        )
    return wanted


def _together(tables: Sequence[Table], names: Sequence[str]) -> tuple[_Coded, _Coded, _Coded | None]:
    """The tables coded alike."""
    from comity.data import concat_tables

    whole = concat_tables([table.select(names) for table in tables])
    numeric = np.array([whole.type(name).is_numeric for name in names])
    columns: list[NDArray[np.float64]] = []
    for name, number in zip(names, numeric, strict=True):
        if number:
            columns.append(whole.numbers(name))
        else:
            codes = whole.levels(name)[0]
            columns.append(np.where(codes < 0, np.nan, codes.astype(np.float64)))
    values = np.stack(columns, axis=1)
    ends = np.cumsum([0, *(table.rows for table in tables)])
    parts = [_Coded(values[low:high], numeric) for low, high in pairwise(ends)]
    return parts[0], parts[1], parts[2] if len(parts) > 2 else None
