"""`comity assess`: what a table holds, and how easily its people could be found in it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from comity.data.table import Table
    from comity.schema import Schema


def assess(
    path: Annotated[
        str, typer.Argument(metavar="PATH", help="A CSV, Parquet or Arrow file, or postgresql://.")
    ],
    schema: Annotated[
        Path | None,
        typer.Option("--schema", metavar="SCHEMA.yaml", help="Roles, types and bounds of columns."),
    ] = None,
    target: Annotated[
        str | None, typer.Option("--target", metavar="COLUMN", help="The column to learn.")
    ] = None,
    quasi_identifiers: Annotated[
        str | None,
        typer.Option(
            "--quasi-identifiers",
            metavar="A,B,...",
            help="The columns that others may know, instead of those of the schema or proposed.",
        ),
    ] = None,
    population: Annotated[
        int | None,
        typer.Option(
            "--population",
            metavar="N",
            min=1,
            help="How many people the rows were drawn from, to estimate how many of them are unique.",
        ),
    ] = None,
    threshold: Annotated[
        float, typer.Option("--threshold", metavar="RISK", help="A row above this risk counts as at risk.")
    ] = 0.2,
    write_schema: Annotated[
        Path | None,
        typer.Option(
            "--write-schema",
            metavar="FILE",
            help="Write the proposed types and roles as a schema to confirm and pass with --schema.",
        ),
    ] = None,
    json: Annotated[
        str | None,
        typer.Option("--json", metavar="FILE", help="Write the result as JSON; - for standard output."),
    ] = None,
) -> int:
    """Show each column's type, role and evidence, and the table's re-identification risk.

    What it prints and writes is for the holder of the table: it is not a release.
    """
    from comity.assess import assess_table, schema_text
    from comity.cli.output import PRIVATE, check_apart, check_writable, write_json, write_text
    from comity.schema import read_schema

    check_apart({"the table": path, "--schema": schema}, {"--write-schema": write_schema, "--json": json})
    check_writable(json, "--json")
    check_writable(None if write_schema is None else str(write_schema), "--write-schema")
    known = None if schema is None else read_schema(schema)
    table, notes = _read(path, known)
    for note in notes:
        print(f"note: {note}", file=sys.stderr)
    assessment = assess_table(
        table,
        known,
        target=target,
        population=population,
        quasi_identifiers=_names(quasi_identifiers),
        threshold=threshold,
    )
    if write_schema is not None:
        write_text(schema_text(table, assessment, known), write_schema, mode=PRIVATE)
    if json is not None:
        write_json(assessment.to_dict(), json, mode=PRIVATE)
    if json != "-":
        from rich.console import Console

        Console().print(assessment.to_rich())
    return 0


def _read(path: str, known: Schema | None) -> tuple[Table, list[str]]:
    """The table to assess, and what its holder should know of how it was read.

    A column that is numbers in most rows and something else in others (a national number with letters) is
    shown as text, where the schema does not say what it is.
    """
    from comity.data.read import read_shown

    table, mixed = read_shown(path, known)
    told = [
        f"most values of '{name}' are numbers and some are not, so it is shown as text; if it is one of "
        "numbers, correct the others, or give its type in a schema"
        for name in mixed
    ]
    return table, [*told, *table.notes.values()]


def _names(option: str | None) -> list[str] | None:
    """The columns of a comma-separated option.

    Raises:
        UsageError: if it names none.
    """
    from comity.errors import UsageError

    if option is None:
        return None
    names = list(dict.fromkeys(name.strip() for name in option.split(",") if name.strip()))
    if not names:
        raise UsageError("--quasi-identifiers names no column; give one or more, separated by commas")
    return names
