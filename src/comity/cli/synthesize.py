"""`comity synthesize`: a synthetic table of one table, at its holder."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

Source = Annotated[
    str, typer.Argument(metavar="TABLE", help="A CSV, Parquet or Arrow file, or postgresql://.")
]
Epsilon = Annotated[float, typer.Option("--epsilon", help="Of the whole table, above 0.")]
Delta = Annotated[
    float, typer.Option("--delta", help="Of the whole table, above 0 and far below 1 in its rows.")
]
Out = Annotated[
    Path, typer.Option("--out", metavar="FILE", help="The synthetic table: .csv, .parquet or .arrow.")
]
MethodOption = Annotated[
    str, typer.Option("--method", help="How marginals are chosen: aim (one by one) or mst (a tree of pairs).")
]
Rows = Annotated[
    int | None,
    typer.Option("--rows", min=1, help="How many rows to make; without it as many as noisy counts tell."),
]
SchemaFile = Annotated[
    Path | None,
    typer.Option(
        "--schema",
        metavar="SCHEMA.yaml",
        help="Types, roles, public bounds and levels. What it leaves open is measured, out of the budget.",
    ),
]
Target = Annotated[
    str | None,
    typer.Option(
        "--target",
        metavar="COLUMN",
        help="A column that models are to predict: it comes first, and rows without it are left out.",
    ),
]
Bins = Annotated[int, typer.Option("--bins", min=1, max=256, help="About how many bins of a number.")]
Manifest = Annotated[
    str | None,
    typer.Option(
        "--json", metavar="FILE", help="What was counted, with how much noise, as JSON; - prints it."
    ),
]


def synthesize(
    source: Source,
    epsilon: Epsilon,
    out: Out,
    delta: Delta = 1e-6,
    method: MethodOption = "aim",
    rows: Rows = None,
    schema: SchemaFile = None,
    target: Target = None,
    bins: Bins = 16,
    json: Manifest = None,
) -> int:
    """Make a synthetic table with differential privacy: rows of nobody, drawn from noisy counts.

    It is (epsilon, delta)-private for one row that comes or goes, or for one person's rows where the schema's
    unit names a column. Columns that the schema calls identifiers are left out. Without a schema the columns'
    types are read off the file's values, which the guarantee does not cover. Nothing is charged to an
    account: that is what an agreement and the architecture synthetic are for.
    """
    from comity.cli.output import check_apart, check_writable, write_json
    from comity.data import read_table
    from comity.data.write import write_table
    from comity.schema import read_schema
    from comity.synthesize.table import frame_settings, make_synthetic

    check_apart({"TABLE": source, "--schema": schema}, {"--out": out, "--json": json})
    check_writable(str(out), "--out")
    check_writable(json, "--json")
    known = None if schema is None else read_schema(schema)
    table = read_table(source, schema=known)
    for note in table.notes.values():
        print(f"note: {note}", file=sys.stderr)
    settings = frame_settings(table, known, target)
    made = make_synthetic(
        table, settings.schema, settings.names, epsilon=epsilon, delta=delta, method=method, rows=rows,
        target=settings.target, unit=settings.unit, bins=bins,
    )  # fmt: skip
    write_table(made.table, out)
    if json is not None:
        write_json(made.manifest, json)
    if json != "-":
        _tell(made.manifest, out, inferred=schema is None)
    return 0


def _tell(manifest: dict, out: Path, *, inferred: bool) -> None:
    """In words: what was made, and from what."""
    counted = manifest["measured"]
    print(f"Wrote {out}: {manifest['rows']:,} rows of {len(manifest['columns'])} columns.")
    print(
        f"(epsilon {manifest['epsilon']:g}, delta {manifest['delta']:g}) for one {manifest['unit']} that "
        f"comes or goes; {len(counted)} marginals were counted, {manifest['choices']['made']} chosen."
    )
    for one in counted:
        if len(one["columns"]) > 1:
            print(f"  {' x '.join(one['columns'])}: {one['counts']:,} counts, noise +- {one['sigma']:g} rows")
    open_columns = [column["name"] for column in manifest["columns"] if not column["public"]]
    if open_columns:
        print(f"Bounds and levels were measured, out of the budget, for: {', '.join(open_columns)}")
    empty = [column["name"] for column in manifest["columns"] if column["cells"] == 1]
    if empty:
        print(
            f"Empty, since no value was found in enough rows to come through the noise: {', '.join(empty)}. "
            "Leave them out, or name their values in --schema; of dates make a year or a number of days."
        )
    if inferred:
        print(
            "The columns' types were read off the values, which the guarantee does not cover: give --schema."
        )
