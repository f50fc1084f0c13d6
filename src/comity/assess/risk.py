"""Re-identification risk of the rows of a table, as measures of its equivalence classes.

The measures and their names follow El Emam (2013), "Guide to the De-Identification of Personal Health
Information", as the ARX anonymisation tool computes them. Three adversaries: the prosecutor knows that
one person is in the table and looks for that person's row; the journalist looks for anybody's; the marketer
for as many as possible. All of them know the quasi-identifiers exactly, and nothing else.

A row's risk is 1 / the rows that look like it: in the table for the prosecutor, in the population for the
journalist. Without the population's table the journalist's risk is taken as high as the prosecutor's, which
it cannot exceed; where the population's size is known, it is also estimated (`comity.assess.journalist`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from comity.assess.journalist import estimated_risks
from comity.assess.population import PopulationUniques, population_uniques
from comity.assess.tuples import Tuples, unique_share
from comity.data.classes import equivalence_classes, table_codes
from comity.data.read import read_table
from comity.data.table import Table, concat_tables, dictionary_codes
from comity.errors import BadTable, UsageError

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

SUPPRESSED = "*"
THRESHOLD = 0.2
"""A row is at risk if its risk is above this: if fewer than five rows look like it."""

MOST_PEOPLE = 10**12
"""More people than have ever lived: a larger population is a slip."""

_AS_PROSECUTOR = (
    "the population's own table is not given: the journalist's risk is taken as high as the prosecutor's, "
    "which it cannot exceed"
)
_ESTIMATED = "the estimated risk takes the rows as drawn at random from the population (Pitman's model)"


@dataclass(frozen=True)
class Risk:
    """Risk of the rows of a table. All shares and probabilities lie in [0, 1].

    Attributes:
        records: rows counted; `suppressed` rows (only `*`) are not among them.
        classes: equivalence classes; `smallest_class` and `largest_class` are the rows of those.
        prosecutor_max: the highest chance to pick the right row, 1 / smallest class.
        prosecutor_mean: the mean over rows of that chance, classes / records.
        prosecutor_min: the lowest, 1 / largest class.
        highest_share: share of the records that have the highest risk.
        sample_uniques: share of the records that nobody else in the table equals.
        threshold: a record is at risk if its risk is above this.
        at_risk: share of the records at risk from the prosecutor; at 0.2 those in classes of fewer than 5.
        journalist_max: 1 / smallest class in the population's table. Without one, the prosecutor's.
        journalist_mean: the larger of classes / rows of those classes in the population, and `marketer`.
        journalist_at_risk: share of the records at risk from the journalist.
        journalist_estimated_max: the highest risk, estimated from the population's size by Pitman's
            model; None where the size is not known or the model has no fit.
        journalist_estimated_mean: the mean, likewise.
        marketer: expected share of the records that are picked right.
        population: people the rows were drawn from; None if not given.
        population_uniques: estimated share of the population that is unique, by model (`pitman`, `zayatz`,
            `snb`, and `dankar`, which chooses among them); None where there is no estimate. Times
            `population` it is a number of people.
        population_model: the model that `dankar` chose; "" if none.
        notes: per model that has no estimate, why; under `journalist`, what the risk rests on.
    """

    records: int
    suppressed: int
    classes: int
    smallest_class: int
    largest_class: int
    prosecutor_max: float
    prosecutor_mean: float
    prosecutor_min: float
    highest_share: float
    sample_uniques: float
    threshold: float
    at_risk: float
    journalist_max: float
    journalist_mean: float
    journalist_at_risk: float
    journalist_estimated_max: float | None
    journalist_estimated_mean: float | None
    marketer: float
    population: int | None
    population_uniques: Mapping[str, float | None]
    population_model: str = ""
    notes: Mapping[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """The JSON form: the attributes by name."""
        body = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {**body, "population_uniques": dict(self.population_uniques), "notes": dict(self.notes)}


def reidentification_risk(
    frame: Any,
    quasi_identifiers: Sequence[str],
    population: int | Any | None = None,
    *,
    threshold: float = THRESHOLD,
) -> Risk:
    """Measure how well the quasi-identifiers find rows.

    A missing value is a value like any other. Rows whose quasi-identifiers are all `*` are suppressed and
    left out, unless all rows are.

    Args:
        frame: the table: anything `comity.data.read_table` reads.
        quasi_identifiers: columns that the adversary knows, at least one.
        population: how many people the rows were drawn from; or the population's own table, which holds
            every row of `frame` too. It is needed for `population_uniques`.
        threshold: the risk, in (0, 1], above which a record counts as at risk.

    Raises:
        UsageError: if no quasi-identifier is named, the threshold is out of range, or the population is
            smaller than the table or larger than `MOST_PEOPLE`.
        BadTable: if the table has no row, a column is missing, or the population's table lacks rows of this
    one.
    """
    if not quasi_identifiers:
        raise UsageError("name at least one quasi-identifier: without any, no row can be told from another")
    names = list(dict.fromkeys(quasi_identifiers))
    table = _as_text_table(frame).select(names)
    if table.rows == 0:
        raise BadTable(f"{table.source} has no row: there is no risk to measure", private=False)
    records, suppressed = released_records(table, names)
    sizes, in_population = records.counts, None
    people = int(population) if isinstance(population, int | np.integer) else None
    if population is not None and people is None:
        kept = table.take(_not_suppressed(table)) if suppressed else table
        everybody = _as_text_table(population).select(names)
        sizes, in_population = _population_classes(kept, everybody)
        people = everybody.rows
    return risk_of_classes(sizes, people, in_population, suppressed=suppressed, threshold=threshold)


def released_records(table: Table, names: Sequence[str]) -> tuple[Tuples, int]:
    """The distinct tuples of the quasi-identifiers, and how many rows are left out of them as suppressed."""
    columns = [dictionary_codes(table.column(name)) for name in names]
    records = Tuples.of_codes(names, [codes for codes, _ in columns])
    stars = [_star(values) for _, values in columns]
    if -1 not in stars:
        records = records.without(stars)
    return records, table.rows - records.rows


def risk_of_classes(
    sizes: NDArray[np.int64],
    people: int | None = None,
    in_population: NDArray[np.int64] | None = None,
    *,
    suppressed: int = 0,
    threshold: float = THRESHOLD,
) -> Risk:
    """Measure risk from the sizes of the equivalence classes alone.

    Args:
        sizes: (classes,) records in each class, at least one class.
        people: the size of the population, if it is known.
        in_population: (classes,) people of the population in each class, if its table is at hand.
        suppressed: rows that are not among the records.
        threshold: as for `reidentification_risk`, which raises the same errors.
    """
    if not 0 < threshold <= 1:
        raise UsageError(f"the threshold of risk is {threshold:g}; give a chance above 0 and at most 1")
    rows = int(sizes.sum())
    if people is not None and people > MOST_PEOPLE:
        raise UsageError(
            f"the population has {people:.3g} people, more than the {MOST_PEOPLE:.0e} that can be reckoned "
            "with; give the number of people that the rows were drawn from"
        )
    if people is not None and people < rows:
        raise UsageError(f"the population has {people} people, fewer than the table's {rows} rows")
    wide = sizes if in_population is None else in_population
    marketer = float((sizes / wide).sum() / rows)
    uniques = population_uniques(sizes, people)
    highest, mean = None, None
    if people is not None and uniques.fit is not None and in_population is None:
        highest, mean = estimated_risks(sizes, people, uniques.fit)
    smallest, largest = int(sizes.min()), int(sizes.max())
    return Risk(
        records=rows,
        suppressed=suppressed,
        classes=len(sizes),
        smallest_class=smallest,
        largest_class=largest,
        prosecutor_max=1 / smallest,
        prosecutor_mean=len(sizes) / rows,
        prosecutor_min=1 / largest,
        highest_share=float(sizes[sizes == smallest].sum() / rows),
        sample_uniques=unique_share(sizes),
        threshold=threshold,
        at_risk=float(sizes[1 / sizes > threshold].sum() / rows),
        journalist_max=float(1 / wide.min()),
        journalist_mean=max(len(sizes) / float(wide.sum()), marketer),
        journalist_at_risk=float(sizes[1 / wide > threshold].sum() / rows),
        journalist_estimated_max=highest,
        journalist_estimated_mean=mean,
        marketer=marketer,
        population=people,
        population_uniques=uniques.shares,
        population_model=uniques.chosen,
        notes=_notes(uniques, in_population is not None, highest is not None),
    )


def _notes(uniques: PopulationUniques, has_table: bool, estimated: bool) -> dict[str, str]:
    notes = dict(uniques.notes)
    if not has_table:
        notes["journalist"] = f"{_AS_PROSECUTOR}; {_ESTIMATED}" if estimated else _AS_PROSECUTOR
    return notes


def _as_text_table(frame: Any) -> Table:
    """Generalised columns mix numbers, intervals and `*`: read as text, nothing in them is a fault."""
    return frame if isinstance(frame, Table) else read_table(frame, typed=False)


def _star(values: pa.Array) -> int:
    """The code of a suppressed value among a column's distinct ones; -1 without one."""
    import pyarrow as pa
    import pyarrow.compute as pc

    return pc.index(values, SUPPRESSED).as_py() if pa.types.is_string(values.type) else -1


def _not_suppressed(table: Table) -> NDArray[np.bool_]:
    """(rows,) true where a row has a quasi-identifier left."""
    kept = np.zeros(table.rows, dtype=bool)
    for name in table.names:
        codes, levels = table.levels(name)
        kept |= codes != levels.index(SUPPRESSED)
    return kept


def _population_classes(records: Table, population: Table) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Per class of the records, in the same order: its rows among them, and in the population."""
    together = concat_tables([records, population])
    index, _ = equivalence_classes(table_codes(together, together.names))
    mine, theirs = index[: records.rows], index[records.rows :]
    counts = np.bincount(theirs, minlength=int(index.max()) + 1)
    present, sizes = np.unique(mine, return_counts=True)
    found = counts[present]
    if (found < sizes).any():
        raise BadTable("the population's table does not hold every row of this table; give one that does")
    return sizes.astype(np.int64), found
