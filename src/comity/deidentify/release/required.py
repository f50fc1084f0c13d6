"""The models that a release has to satisfy: those of k, l and t, and those that a steward writes down.

The written form is `MODEL=FIGURES`, with `:COLUMN` for models of a sensitive column and `:FILE` for those
that compare with a population: `l=3:diagnosis`, `t=0.2:income`, `k-map=5:register.csv`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from comity.deidentify.models.class_models import (
    DistinctLDiversity,
    EntropyLDiversity,
    KAnonymity,
    PrivacyModel,
    RecursiveLDiversity,
    TCloseness,
)
from comity.deidentify.models.disclosure import BetaLikeness, DeltaDisclosure
from comity.deidentify.models.population import DeltaPresence, KMap
from comity.deidentify.models.table_models import AverageRisk
from comity.errors import BadSchema, BadTable, UsageError
from comity.schema import Role, Schema

if TYPE_CHECKING:
    from comity.data import Table


@dataclass(frozen=True)
class _Form:
    """How a model is written: how many figures, what follows the colon ("", "COLUMN" or "FILE")."""

    figures: str
    about: str
    make: Callable[..., PrivacyModel]

    def shown(self, name: str) -> str:
        return f"{name}={self.figures}" + (f":{self.about}" if self.about else "")


_FORMS: Final[Mapping[str, _Form]] = {
    "k": _Form("5", "", lambda _, k: KAnonymity(k)),
    "average-risk": _Form("0.05", "", lambda _, most: AverageRisk(most)),
    "l": _Form("3", "COLUMN", DistinctLDiversity),
    "entropy-l": _Form("2.5", "COLUMN", EntropyLDiversity),
    "recursive-l": _Form("3,4", "COLUMN", RecursiveLDiversity),
    "t": _Form("0.2", "COLUMN", TCloseness),  # the distance follows the column's type: `_written`
    "t-equal": _Form("0.2", "COLUMN", TCloseness),
    "t-ordered": _Form("0.2", "COLUMN", lambda name, t: TCloseness(name, t, distance="ordered")),
    "beta": _Form("2", "COLUMN", BetaLikeness),
    "delta-disclosure": _Form("1.5", "COLUMN", DeltaDisclosure),
    "k-map": _Form("5", "FILE", lambda population, k: KMap(k, population)),
    "delta-presence": _Form("0,0.5", "FILE", lambda table, low, high: DeltaPresence(low, high, table)),
}

SYNTAX: Final = ", ".join(form.shown(name) for name, form in _FORMS.items())
"""Every written form, with figures as an example."""


def models_of(schema: Schema, k: int, l: int | None, t: float | None) -> list[PrivacyModel]:  # noqa: E741
    """The models of `protect`'s k, l and t: of every sensitive column, or of the target where none is.

    Raises:
        BadSchema: if l or t is asked for and the schema has neither.
    """
    models: list[PrivacyModel] = [KAnonymity(k * schema.unit.max_rows)]
    looked_at = schema.named(Role.sensitive) or schema.named(Role.target)
    if (l is not None or t is not None) and not looked_at:
        raise BadSchema("l and t need a sensitive column or a target in the schema")
    for name in looked_at:
        if l is not None:
            models.append(DistinctLDiversity(name, l))
        if t is not None:
            models.append(_closeness(schema, name, t))
    return models


def _closeness(schema: Schema, name: str, t: float) -> TCloseness:
    """Numbers are as far apart as their ranks, other values are all equally far apart."""
    return TCloseness(name, t, distance="ordered" if schema[name].type.is_numeric else "equal")


def require_reachable(models: Sequence[PrivacyModel], table: Table, suppression: float) -> None:
    """Refuse a k above the number of rows, or an l above the number of values: no class can have as many.

    Args:
        suppression: the share of rows that may be left out; where it is all of them, an empty release holds.

    Raises:
        BadTable: private; saying how many there are.
    """
    if not isinstance(suppression, int | float) or suppression >= 1:  # what is no share is refused later
        return
    for model in models:
        if isinstance(model, KAnonymity) and model.k > table.rows:
            raise BadTable(
                f"{model.describe()} cannot hold: the table has only {table.rows:,} "
                f"row{'s' if table.rows != 1 else ''} to make classes of. Give a smaller k"
            )
        if isinstance(model, DistinctLDiversity | EntropyLDiversity | RecursiveLDiversity):
            found = len(table.column(model.column).unique())
            if model.l > found:
                raise BadTable(
                    f"{model.describe()} cannot hold: the column '{model.column}' has only {found:,} "
                    f"value{'s' if found != 1 else ''}. Give a smaller l"
                )


def require_columns(models: Sequence[PrivacyModel], released: Sequence[str]) -> None:
    """Refuse a model of a column that does not leave.

    Raises:
        UsageError: naming it.
    """
    for model in models:
        if model.sensitive is not None and model.sensitive not in released:
            raise UsageError(
                f"{model.describe()}: the release has no column '{model.sensitive}'; its columns are "
                f"{', '.join(released)} (identifiers are dropped)"
            )


def written_models(
    texts: Sequence[str], schema: Schema, population: Callable[[str], Any]
) -> tuple[PrivacyModel, ...]:
    """Models from their written form.

    Args:
        population: reads the table of a FILE.

    Raises:
        UsageError: for another form, a figure out of range, or a column that the schema does not have.
        BadTable: if a population cannot be read.
    """
    return tuple(_written(text, schema, population) for text in texts)


def _written(text: str, schema: Schema, population: Callable[[str], Any]) -> PrivacyModel:
    name, _, rest = text.partition("=")
    form = _FORMS.get(name.strip())
    if form is None:
        raise UsageError(f"{text!r} names no model that is known; write one of: {SYNTAX}")
    numbers, _, about = (part.strip() for part in rest.partition(":"))
    figures = [_figure(number) for number in numbers.split(",")]
    if None in figures or len(figures) != form.figures.count(",") + 1 or bool(about) != bool(form.about):
        raise UsageError(f"{text!r} is not how '{name.strip()}' is written: {form.shown(name.strip())}")
    if form.about == "COLUMN" and about not in schema.columns:
        raise UsageError(f"{text!r}: the schema has no column '{about}'; it has {', '.join(schema)}")
    if name.strip() == "t" and isinstance(figures[0], int | float):
        return _closeness(schema, about, figures[0])
    return form.make(population(about) if form.about == "FILE" else about, *figures)


def _figure(text: str) -> int | float | None:
    """A whole number where it is written as one."""
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        return None
