"""What a steward should do next, out of an assessment: one line each, the most pressing first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from comity.assess.columns import ColumnAssessment
from comity.assess.contribution import Contribution
from comity.assess.hipaa import FOUND, SafeHarborElement
from comity.assess.risk import Risk
from comity.assess.separation import Separation
from comity.assess.sparsity import RARE
from comity.data.infer import COMMA, CONVERT
from comity.schema import Role

TELLING = 0.05
"""Share of unique values from which on a column that nobody is thought to know is pointed out."""

_MOST_RARE = 3

_TELLING = 0.005
"""Share of rows that a column has to add to the unique ones before it is worth naming."""


def advise(
    columns: Sequence[ColumnAssessment],
    risk: Risk | None,
    added: Sequence[Contribution],
    sets: Separation | None,
    elements: Sequence[SafeHarborElement],
) -> tuple[str, ...]:
    """What to do next. The parts are those of an `Assessment`."""
    return (
        *(f"{column.name}: {column.warning}" for column in columns if column.warning),
        *_telling(columns),
        *(f"{column.name}: {COMMA}; {CONVERT}" for column in columns if column.evidence.startswith(COMMA)),
        *_unique_rows(risk, added),
        *_near_keys(sets),
        *_rare(columns),
        *_guesses(columns),
        *_population(risk),
        *_safe_harbor(elements),
    )


def _telling(columns: Sequence[ColumnAssessment]) -> Iterator[str]:
    for column in columns:
        if column.role in (Role.sensitive, Role.insensitive) and column.uniques >= TELLING:
            yield (
                f"{column.name} is {column.role}, but in {column.uniques:.0%} of the rows its value is one "
                "that no other row has: whoever knows it finds the row"
            )
        if column.sparsity.nearly_constant and column.distinct > 1 and column.role != Role.target:
            yield (
                f"{column.name}: {column.sparsity.top_share:.1%} of the rows have the same value; drop it "
                "unless the few others matter: they stand out"
            )


def _unique_rows(risk: Risk | None, added: Sequence[Contribution]) -> Iterator[str]:
    if risk is None or risk.at_risk == 0:
        return
    unique = f"{risk.sample_uniques:.1%} of the rows are unique by their quasi-identifiers, and "
    yield (
        f"{unique if risk.sample_uniques else ''}{risk.at_risk:.1%} are at risk: generalise or suppress "
        "before a release"
    )
    most = added[0] if len(added) > 1 else None
    if most is not None and most.uniques_added >= _TELLING:
        yield (
            f"Generalise {most.column} first: without it the unique rows fall from {risk.sample_uniques:.1%} "
            f"to {most.uniques_without:.1%}"
        )


def _near_keys(sets: Separation | None) -> Iterator[str]:
    if sets is None:
        return
    for key in sets.near_keys[:1]:
        if len(key.columns) > 1:
            yield (
                f"{' + '.join(key.columns)} together find a row nearly always ({key.distinction:.0%} "
                "distinct): never release these as they are"
            )


def _rare(columns: Sequence[ColumnAssessment]) -> Iterator[str]:
    sparse = [
        column
        for column in columns
        if column.role == Role.quasi_identifier and column.sparsity.rare_levels and not column.warning
    ]
    for column in sorted(sparse, key=lambda each: -each.sparsity.rare_levels)[:_MOST_RARE]:
        count = column.sparsity.rare_levels
        has = "value that fewer" if count == 1 else "values that fewer"
        yield f"{column.name} has {count:,} {has} than {RARE} rows have: put rare values together"


def _guesses(columns: Sequence[ColumnAssessment]) -> Iterator[str]:
    unsure = [column.name for column in columns if column.guess]
    if unsure:
        yield (
            f"Confirm the roles that are guesses ({', '.join(unsure)}): write them with --write-schema FILE, "
            "correct the file, and pass it with --schema"
        )


def _population(risk: Risk | None) -> Iterator[str]:
    if risk is not None and risk.population is None and risk.sample_uniques > 0:
        yield (
            "Say with --population how many people the rows were drawn from, to see how many of them "
            "are unique"
        )


def _safe_harbor(elements: Sequence[SafeHarborElement]) -> Iterator[str]:
    found = [element.letter for element in elements if element.status == FOUND]
    if found:
        yield f"For HIPAA's Safe Harbor, treat what was found under {', '.join(found)}"
