"""Re-identification risk of the rows of a table, as measures of its equivalence classes.

The measures and their names follow El Emam (2013), "Guide to the De-Identification of Personal Health
Information", as the ARX anonymisation tool computes them. Three adversaries: the prosecutor knows that
one person is in the table and looks for that person's row; the journalist looks for anybody's; the marketer
for as many as possible. All of them know the quasi-identifiers exactly, and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from comity.assess.uniqueness import pitman_share, zayatz_share
from comity.data.classes import equivalence_classes, table_codes
from comity.data.read import read_table
from comity.data.table import Table, concat_tables
from comity.errors import BadTable, UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

SUPPRESSED = "*"
SMALL_CLASS = 5
NO_POPULATION = "the size of the population is not given"


@dataclass(frozen=True)
class Risk:
    """Risk of the rows of a table. All shares and probabilities lie in [0, 1].

    Attributes:
        records: rows counted; `suppressed` rows (only `*`) are not among them.
        classes: equivalence classes; `smallest_class` is the rows of the smallest.
        prosecutor_max: the highest chance to pick the right row, 1 / smallest class.
        prosecutor_mean: the mean over rows of that chance, classes / records.
        sample_uniques: share of the records that nobody else in the table equals.
        at_risk: share of the records in classes of fewer than `SMALL_CLASS` rows.
        journalist_max: 1 / smallest class in the population's table. Without one, the prosecutor's.
        journalist_mean: the larger of classes / rows of those classes in the population, and `marketer`.
        marketer: expected share of the records that are picked right.
        population_uniques: estimated share of the population that is unique, by estimator (`pitman`,
            `zayatz`); None where there is no estimate.
        notes: per estimator that has none, why.
    """

    records: int
    suppressed: int
    classes: int
    smallest_class: int
    prosecutor_max: float
    prosecutor_mean: float
    sample_uniques: float
    at_risk: float
    journalist_max: float
    journalist_mean: float
    marketer: float
    population_uniques: Mapping[str, float | None]
    notes: Mapping[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        body = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {**body, "population_uniques": dict(self.population_uniques), "notes": dict(self.notes)}


def reidentification_risk(
    frame: Any, quasi_identifiers: Sequence[str], population: int | Any | None = None
) -> Risk:
    """Measure how well the quasi-identifiers find rows.

    A missing value is a value like any other. Rows whose quasi-identifiers are all `*` are suppressed and
    left out, unless all rows are.

    Args:
        frame: the table: anything `comity.data.read_table` reads.
        quasi_identifiers: columns that the adversary knows, at least one.
        population: how many people the rows were drawn from; or the population's own table, which holds
            every row of `frame` too. It is needed for `population_uniques`.

    Raises:
        UsageError: if no quasi-identifier is named, or the population is smaller than the table.
        BadTable: if a column is missing, or the population's table lacks rows of this one.
    """
    if not quasi_identifiers:
        raise UsageError("name at least one quasi-identifier: without any, no row can be told from another")
    names = list(dict.fromkeys(quasi_identifiers))
    table = _as_text_table(frame).select(names)
    kept = _not_suppressed(table)
    records = table.take(kept) if not kept.all() else table
    _, sizes = equivalence_classes(table_codes(records, names))
    in_population = sizes
    people = int(population) if isinstance(population, int | np.integer) else None
    if population is not None and people is None:
        in_population, people = _population_classes(records, _as_text_table(population).select(names))
    if people is not None and people < records.rows:
        raise UsageError(f"the population has {people} people, fewer than the table's {records.rows} rows")
    uniques, notes = _population_uniques(sizes, people)
    marketer = float((sizes / in_population).sum() / records.rows)
    return Risk(
        records=records.rows,
        suppressed=table.rows - records.rows,
        classes=len(sizes),
        smallest_class=int(sizes.min()),
        prosecutor_max=float(1 / sizes.min()),
        prosecutor_mean=len(sizes) / records.rows,
        sample_uniques=float((sizes == 1).sum() / records.rows),
        at_risk=float(sizes[sizes < SMALL_CLASS].sum() / records.rows),
        journalist_max=float(1 / in_population.min()),
        journalist_mean=max(len(sizes) / float(in_population.sum()), marketer),
        marketer=marketer,
        population_uniques=uniques,
        notes=notes,
    )


def _as_text_table(frame: Any) -> Table:
    """Generalised columns mix numbers, intervals and `*`: read as text, nothing in them is a fault."""
    return frame if isinstance(frame, Table) else read_table(frame, typed=False)


def _not_suppressed(table: Table) -> NDArray[np.bool_]:
    """(rows,) true where a row has a quasi-identifier left; all true if no row has."""
    starred = np.ones(table.rows, dtype=bool)
    for name in table.names:
        if table.type(name).is_numeric:
            return np.ones(table.rows, dtype=bool)
        codes, levels = table.levels(name)
        star = levels.index(SUPPRESSED) if SUPPRESSED in levels else -2
        starred &= codes == star
    return ~starred if not starred.all() else np.ones(table.rows, dtype=bool)


def _population_classes(records: Table, population: Table) -> tuple[NDArray[np.int64], int]:
    """Rows of the population in each class of the records, in their order; and all rows of the population."""
    together = concat_tables([records, population])
    index, _ = equivalence_classes(table_codes(together, together.names))
    mine, theirs = index[: records.rows], index[records.rows :]
    counts = np.bincount(theirs, minlength=int(index.max()) + 1)
    found = counts[np.unique(mine)]
    if (found < np.bincount(mine)[np.unique(mine)]).any():
        raise BadTable("the population's table does not hold every row of this table; give one that does")
    return found, population.rows


def _population_uniques(
    sizes: NDArray[np.int64], people: int | None
) -> tuple[dict[str, float | None], dict[str, str]]:
    if people is None:
        return {"pitman": None, "zayatz": None}, {"pitman": NO_POPULATION, "zayatz": NO_POPULATION}
    pitman, why = pitman_share(sizes, people)
    notes = {"pitman": why} if why else {}
    return {"pitman": pitman, "zayatz": zayatz_share(sizes, people)}, notes
