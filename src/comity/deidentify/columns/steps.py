"""The column tools in the order in which `protect` applies them: enrich, mask free text, perturb.

A step is a tool with its arguments. Whatever its result says of settings goes into the manifest that leaves;
whatever it counted in private rows (misses of a join, values that were moved into bounds) stays with the
steward. Keys are arguments of tools and stand in neither.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from comity.errors import UsageError
from comity.schema import Column, Role, Schema

if TYPE_CHECKING:
    from comity.data import Table
    from comity.deidentify.columns.enrich import Normalised
    from comity.deidentify.columns.freetext import FreeText

STAGES: Final = ("enrich", "mask", "perturb")
"""In this order; steps of one stage in the order given."""

_PRIVATE = (int, float, str, bool, dict, list, tuple)


@dataclass(frozen=True)
class Step:
    """One column tool.

    Attributes:
        stage: when it runs, one of `STAGES`.
        tool: called with the table; what it returns has a `table`, and may have a `description` (JSON, or an
            object with `to_dict`) for the manifest, and `columns`, the schema of columns that it added.
        name: in reports.
        columns: the schema of columns that it adds, or whose type or bounds it changes.
        private: attributes of its result that are for the steward.
    """

    stage: str
    tool: Callable[[Table], Any]
    name: str = ""
    columns: Mapping[str, Column] = field(default_factory=dict)
    private: Sequence[str] = ()

    def __post_init__(self) -> None:
        if self.stage not in STAGES:
            raise UsageError(f"a step's stage is {self.stage!r}: it is one of {', '.join(STAGES)}")


@dataclass(frozen=True)
class Prepared:
    """A table after its steps.

    Attributes:
        table: it; schema: of its columns.
        applied: one entry per step, in order: public, for the manifest.
        counted: one entry per step that counted something in private rows: for the steward.
    """

    table: Table
    schema: Schema
    applied: tuple[Mapping[str, Any], ...]
    counted: tuple[Mapping[str, Any], ...]


def run_steps(table: Table, schema: Schema, steps: Sequence[Step]) -> Prepared:
    """Apply steps stage by stage.

    A column that a step leaves out of its table is gone from the schema, too.

    Raises:
        UsageError: if a step returns no table, or adds a column without saying what it is.
        BadTable: as its tools raise.
    """
    applied: list[Mapping[str, Any]] = []
    counted: list[Mapping[str, Any]] = []
    for step in sorted(steps, key=lambda step: STAGES.index(step.stage)):
        result = step.tool(table)
        changed = getattr(result, "table", None)
        if changed is None:
            raise UsageError(f"the step '{step.name or step.stage}' returned no table")
        schema = _schema_after(step, changed, schema, getattr(result, "columns", {}))
        table = changed
        applied.append({"stage": step.stage, **_description(step, result)})
        found = {name: _plain(getattr(result, name)) for name in step.private}
        if found:
            counted.append({"stage": step.stage, "name": step.name, **found})
    return Prepared(table, schema, tuple(applied), tuple(counted))


def _schema_after(step: Step, table: Table, schema: Schema, added: Mapping[str, Column]) -> Schema:
    known = {**schema.columns, **added, **step.columns}
    strays = [name for name in table.names if name not in known]
    if strays:
        raise UsageError(
            f"the step '{step.name or step.stage}' adds the column '{strays[0]}' without a schema for it: "
            "give its role and type in the step's columns"
        )
    return without(schema.model_copy(update={"columns": known}), table.names)


def without(schema: Schema, names: Sequence[str]) -> Schema:
    """The schema of a table that has these columns only; rows per unit stay, though their column may go."""
    columns = {name: column for name, column in schema.columns.items() if name in names}
    gone = schema.unit.column not in (None, *columns)
    unit = schema.unit.model_copy(update={"column": None}) if gone else schema.unit
    return Schema(columns=columns, unit=unit)


def _description(step: Step, result: Any) -> dict[str, Any]:
    found = getattr(result, "description", None)
    if found is None:
        note = getattr(result, "note", "")
        return {"name": step.name or step.stage, **({"note": note} if note else {})}
    return dict(found) if isinstance(found, Mapping) else dict(found.to_dict())


def _plain(value: Any) -> Any:
    """A figure of a result as JSON."""
    if hasattr(value, "to_dict"):
        return value.to_dict()
    if isinstance(value, tuple):
        return list(value)
    return value if value is None or isinstance(value, _PRIVATE) else str(value)


def masking(rule: FreeText) -> Step:
    """A step that masks a column of free text."""
    from comity.deidentify.columns.freetext import mask_free_text

    name = f"mask free text in '{rule.column}'"
    return Step("mask", lambda table: mask_free_text(table, rule), name, private=("counts", "rows"))


def perturbing(tool: Callable[..., Any], column: str, *arguments: Any, **settings: Any) -> Step:
    """A step that calls a tool of `perturb` on a column, with the tool's arguments."""
    return Step(
        "perturb",
        lambda table: tool(table, column, *arguments, **settings),
        f"perturb '{column}'",
        private=("clamped",),
    )


def enriching(
    column: str,
    reference: Table,
    *,
    key: str,
    attributes: Sequence[str],
    names: Mapping[str, str] | None = None,
    roles: Mapping[str, Role] | None = None,
    normalised: Normalised | None = None,
    conflicts: str = "refuse",
    public_reference: bool = False,
) -> Step:
    """A step that replaces an identifier by attributes of a reference table (`enrich` has the arguments).

    The new columns are quasi-identifiers unless `roles` says otherwise: they need hierarchies, or a public
    reference, whose levels and bounds then are public facts. What the join found (match rate, misses,
    conflicts) is for the steward.
    """
    from comity.deidentify.columns.enrich import Normalised, enrich

    def tool(table: Table) -> Any:
        return enrich(
            table,
            column,
            reference,
            key=key,
            attributes=attributes,
            names=names,
            roles=roles,
            normalised=Normalised() if normalised is None else normalised,
            conflicts=conflicts,
            public_reference=public_reference,
        )

    return Step("enrich", tool, f"enrich '{column}'", private=("report",))


def microaggregating(
    columns: Sequence[str],
    *,
    k: int,
    orders: Mapping[str, Sequence[str]] | None = None,
    how: str = "mean",
    method: str = "mdav",
) -> Step:
    """A step that replaces columns by what groups of k similar rows share; arguments as `microaggregate`.

    The columns are still generalised where they are quasi-identifiers: groups are k-anonymous by themselves
    only if they are all of them.
    """
    from comity.deidentify.columns.microaggregate import microaggregate

    def tool(table: Table) -> Any:
        return microaggregate(table, columns, k=k, orders=orders, how=how, method=method)

    return Step(
        "perturb",
        tool,
        f"microaggregate {', '.join(map(repr, columns))}",
        private=("number", "smallest", "largest", "loss", "column_loss"),
    )
