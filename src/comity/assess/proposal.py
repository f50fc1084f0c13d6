"""A schema file out of an assessment: types and roles to confirm, bounds and levels to make public.

Bounds and levels of a schema are public facts. Those that were read off the data are not, so they stand in
the file as comments: the steward replaces each by a bound that holds whoever is in the table, and removes the
`#`. The file can be read by `--schema` as it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from comity.assess.columns import ColumnAssessment
from comity.assess.report import Assessment
from comity.data.infer import infer_schema
from comity.data.table import Table
from comity.schema import Column, ColumnType, Role, Schema

_HEAD = """\
# A proposed schema for {rows:,} rows. Confirm or correct every role, then pass this file with --schema.
#   identifier        names or reaches a person: never released, never learned from
#   quasi_identifier  others may know it of a person
#   sensitive         kept private by the person
#   insensitive       neither
#   target            what is to be learned
# Lines with '#' in front of min, max or values were read off the data. They are not public: replace each by a
# bound or list that holds whoever is in the table, and only then remove the '#'. Until that is done this file
# itself tells of the data: keep it to yourself.
"""

_MOST_LEVELS = 50
_ENDLESS = 10**9


def schema_text(table: Table, assessment: Assessment, schema: Schema | None = None) -> str:
    """The file's text (YAML), one entry per column in the table's order.

    Args:
        table: the table that was assessed.
        assessment: what was found; its roles and types are written.
        schema: what the steward had given: bounds, levels, hierarchies and unit of it are kept as public.
    """
    observed = infer_schema(table, target=_target(assessment)).schema
    lines = [_HEAD.format(rows=assessment.rows), "columns:\n"]
    for column in assessment.columns:
        given = schema.columns.get(column.name) if schema is not None else None
        lines += _entry(column, given, observed[column.name])
    unit = schema.unit.model_dump(exclude_none=True) if schema is not None else {"max_rows": 1}
    lines.append(_yaml({"unit": unit}))
    if schema is None or schema.unit.column is None:
        lines.append(
            "# unit: {column: NAME, max_rows: 1}   if a column names the person that rows belong to\n"
        )
    return "".join(lines)


def _target(assessment: Assessment) -> str | None:
    return next((column.name for column in assessment.columns if column.role == Role.target), None)


def _entry(column: ColumnAssessment, given: Column | None, observed: Column) -> Iterator[str]:
    """A column's lines: why, then the entry; public bounds in it, observed ones as comments below."""
    public: dict[str, Any] = {"role": column.role, "type": column.type}
    if given is not None:
        public |= given.model_dump(mode="json", exclude_none=True, exclude={"role", "type"})
    sure = "given by the steward" if given is not None else f"confidence {column.confidence:.2f}"
    yield f"  # {_line(column.evidence)} ({sure})\n"
    yield f"  {_one_line([column.name])[1:-1]}:\n"
    yield _indented(_yaml(public), "    ")
    numeric = ColumnType(column.type).is_numeric
    known = given is not None and (given.min is not None or given.max is not None or given.values is not None)
    if known or column.role == Role.identifier:
        return
    if numeric and observed.min is not None and observed.max is not None:
        yield "    # the least and the greatest value in the data: replace by public bounds\n"
        yield f"    # min: {_number(observed.min)}\n"
        yield f"    # max: {_number(observed.max)}\n"
    if column.type == ColumnType.category and observed.values is not None:
        yield from _levels(observed.values)


def _levels(values: tuple[str, ...]) -> Iterator[str]:
    if len(values) > _MOST_LEVELS:
        yield f"    # values: {len(values):,} were seen, too many to list: give the public list\n"
        return
    yield "    # the values in the data: replace by the public list of all that may occur\n"
    yield f"    # values: {_one_line(values)}\n"


def _yaml(document: dict[str, Any]) -> str:
    """A mapping, a line for each of its keys and for each value of a list."""
    import yaml

    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=_ENDLESS)


def _one_line(values: Sequence[str]) -> str:
    """A list on one line, quoted where a value would break it."""
    import yaml

    def dumped(style: str | None) -> str:
        return yaml.safe_dump(
            list(values), allow_unicode=True, default_flow_style=True, default_style=style, width=_ENDLESS
        ).rstrip("\n")

    plain = dumped(None)
    return plain if len(plain.splitlines()) == 1 else dumped('"')


def _number(value: float) -> str:
    """A number with all its digits; whole ones without a point."""
    return str(int(value)) if value == int(value) else repr(value)


def _indented(text: str, pad: str) -> str:
    return "".join(f"{pad}{line}\n" for line in text.removesuffix("\n").split("\n"))


def _line(text: str) -> str:
    """Text that stays in one comment."""
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())
