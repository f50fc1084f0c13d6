"""`comity assess`: what a table holds, and how easily its people could be found in it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


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
        from rich.console import Console

        Console().print(assessment.to_rich())
    return 0
