"""`comity assess`: what a table holds, and how easily its people could be found in it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from comity.assess.report import Assessment


def assess(
    path: Annotated[
        str, typer.Argument(metavar="PATH", help="A CSV, Parquet or Arrow file, or postgresql://.")
    ],
    schema: Annotated[
        Path | None,
        typer.Option("--schema", metavar="SCHEMA.yaml", help="Roles, types and bounds of columns."),
    ] = None,
    json: Annotated[
        str | None,
        typer.Option("--json", metavar="FILE", help="Write the result as JSON; - for standard output."),
    ] = None,
) -> int:
    """Show each column's type, role and evidence, and the table's re-identification risk.

    What it prints is for the holder of the table: it is not a release.
    """
    from comity.assess import assess_table
    from comity.cli.output import check_writable, write_json
    from comity.data import read_table
    from comity.schema import read_schema

    check_writable(json, "--json")
    known = None if schema is None else read_schema(schema)
    assessment = assess_table(read_table(path, schema=known), known)
    if json is not None:
        write_json(assessment.to_dict(), json)
    if json != "-":
        _print(assessment)
    return 0


def _print(assessment: Assessment) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    columns = Table(title=Text(f"{assessment.source}: {assessment.rows:,} rows"), title_justify="left")
    for heading in ("column", "type", "proposed role", "missing", "distinct", "evidence"):
        columns.add_column(heading, overflow="fold")
    for row in assessment.column_rows():
        columns.add_row(*(Text(cell) for cell in row))
    console.print(columns)
    risk = Table(title="Re-identification risk", title_justify="left", show_header=False)
    for measure, value in assessment.risk_rows():
        risk.add_row(Text(measure), Text(value))
    if risk.row_count:
        console.print(risk)
    for line in assessment.advice:
        console.print(Text(f"- {line}"))
    console.print("For the holder of the table: what stands here describes its rows. It is not a release.")
