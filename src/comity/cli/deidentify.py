"""`comity deidentify`: a candidate release of one table, with its manifest and the steward's report."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from comity.errors import UsageError

if TYPE_CHECKING:
    from comity.deidentify.release.candidate import Protected

Source = Annotated[
    str, typer.Argument(metavar="PATH", help="A CSV, Parquet or Arrow file, or postgresql://.")
]
SchemaFile = Annotated[
    Path | None,
    typer.Option("--schema", metavar="SCHEMA.yaml", help="Roles, types and bounds of columns. Required."),
]
Out = Annotated[
    Path, typer.Option("--out", metavar="FILE", help="The candidate release: .csv, .parquet or .arrow.")
]
K = Annotated[int, typer.Option("--k", min=1, help="Every row hides among at least K, by quasi-identifiers.")]
L = Annotated[
    int | None, typer.Option("--l", min=1, help="Different sensitive values in every class, at least L.")
]
T = Annotated[
    float | None,
    typer.Option("--t", help="Sensitive values are distributed in every class as in the table, within T."),
]
Suppression = Annotated[
    float, typer.Option("--suppression", metavar="SHARE", help="Share of the rows that may be left out.")
]
Method = Annotated[
    str,
    typer.Option("--method", metavar="global|local", help="One level per column, or levels that differ."),
]
Objective = Annotated[
    str,
    typer.Option(
        "--objective",
        metavar="loss|target",
        help="Lose as little as possible, or serve a model of the target.",
    ),
]
Target = Annotated[
    str | None,
    typer.Option("--target", metavar="COLUMN", help="The column to learn. Default: the schema's target."),
]
Positive = Annotated[
    str | None,
    typer.Option("--positive", help="The target's value that counts as 1. Default: the rarer one."),
]
Weights = Annotated[
    str | None,
    typer.Option("--weights", metavar="A=2,B=1", help="How much each quasi-identifier's loss counts."),
]
HierarchyFolder = Annotated[
    Path | None,
    typer.Option("--hierarchies", metavar="DIR", help="COLUMN.csv for each quasi-identifier, as ARX writes."),
]
Population = Annotated[
    int | None,
    typer.Option("--population", metavar="N", min=1, help="How many people the rows were drawn from."),
]
ManifestFile = Annotated[
    Path | None,
    typer.Option("--manifest", metavar="FILE", help="The manifest. Default: beside --out, .manifest.json."),
]
ReportFile = Annotated[
    Path | None,
    typer.Option(
        "--report", metavar="FILE", help="The steward's report. Default: beside --out, .report.json."
    ),
]
Seed = Annotated[int, typer.Option("--seed", help="Fixes which rows are held out to measure models.")]
JsonFile = Annotated[
    str | None,
    typer.Option("--json", metavar="FILE", help="Write manifest and report as JSON; - for standard output."),
]


def deidentify(
    path: Source,
    out: Out,
    schema: SchemaFile = None,
    k: K = 5,
    l: L = None,  # noqa: E741  # the model's own name
    t: T = None,
    suppression: Suppression = 0.05,
    method: Method = "global",
    objective: Objective = "loss",
    target: Target = None,
    positive: Positive = None,
    weights: Weights = None,
    hierarchies: HierarchyFolder = None,
    population: Population = None,
    manifest: ManifestFile = None,
    report: ReportFile = None,
    seed: Seed = 0,
    json: JsonFile = None,
) -> int:
    """Make a candidate release of a table: what may be shown to others, and the risk that is left.

    Nothing leaves by this command. It writes the candidate, the manifest that goes with it, and a report that
    stays with you.
    """
    from comity.cli.output import check_writable, write_json
    from comity.data import check_table, read_table, write_table
    from comity.deidentify.release.candidate import protect
    from comity.schema import read_schema

    if schema is None:
        raise UsageError(
            "a release needs a schema: which columns identify, which others may know, which are sensitive. "
            f"Write a proposal with: comity assess {path} --write-schema schema.yaml, confirm every role in "
            "it, and give it with --schema"
        )
    places = _places(path, out, manifest, report)
    for option, place in places.items():
        check_writable(str(place), option)
    check_writable(json, "--json")
    asked = _weights(weights)
    known = read_schema(schema)
    checked = check_table(read_table(path, schema=known), known)
    done = protect(
        checked.table,
        known,
        k=k,
        l=l,
        t=t,
        suppression=suppression,
        hierarchies=_hierarchies(known, schema.parent, hierarchies),
        weights=asked,
        method=method,
        objective=objective,
        target=target,
        positive=positive,
        population=population,
        seed=seed,
    )
    out.parent.mkdir(parents=True, exist_ok=True)
    write_json(done.report.to_dict(), str(places["--report"]))
    os.chmod(places["--report"], 0o600)
    write_json(done.manifest, str(places["--manifest"]))
    write_table(done.table, out)
    if json is not None:
        write_json({"manifest": done.manifest, "report": done.report.to_dict()}, json)
    if json != "-":
        _print(done, checked.notes, places)
    return 0


def _places(path: str, out: Path, manifest: Path | None, report: Path | None) -> dict[str, Path]:
    """Where each file goes, none over another nor over the table.

    Raises:
        UsageError: if two are the same, or the ending is none that can be written.
    """
    if out.suffix.lower() not in (".csv", ".parquet", ".arrow"):
        raise UsageError(f"--out {out} has no ending that comity writes; use .csv, .parquet or .arrow")
    places = {
        "--out": out,
        "--manifest": manifest or out.with_suffix(".manifest.json"),
        "--report": report or out.with_suffix(".report.json"),
    }
    seen = {Path(path).resolve(): "the table"} if "://" not in path else {}
    for option, place in places.items():
        resolved = place.resolve()
        if resolved in seen:
            raise UsageError(f"{option} {place} is the same file as {seen[resolved]}; name another one")
        seen[resolved] = option
    return places


def _weights(text: str | None) -> dict[str, float] | None:
    """`a=2,b=1` as weights.

    Raises:
        UsageError: for anything else.
    """
    if text is None:
        return None
    found: dict[str, float] = {}
    for part in text.split(","):
        name, sign, value = part.rpartition("=")
        try:
            weight = float(value)
        except ValueError:
            sign = ""
            weight = 0.0
        if not sign or not name.strip() or name.strip() in found:
            raise UsageError(
                f"--weights {text!r}: give each quasi-identifier once, with a number, as in age=2,job=1"
            )
        found[name.strip()] = weight
    return found


def _hierarchies(schema: Any, base: Path, folder: Path | None) -> dict[str, Any]:
    """Hierarchies of the folder, then those that the schema names; others come from bounds and levels."""
    from comity.deidentify.hierarchies.hierarchy import Hierarchy
    from comity.errors import BadInput
    from comity.schema import Role

    if folder is not None and not folder.is_dir():
        raise BadInput(f"--hierarchies {folder} is no folder; put one COLUMN.csv per quasi-identifier there")
    names = schema.named(Role.quasi_identifier)
    found: dict[str, Any] = {}
    for name in names:
        if folder is not None and (folder / f"{name}.csv").is_file():
            found[name] = Hierarchy.read_csv(folder / f"{name}.csv", separator=None)
        elif schema[name].hierarchy is not None:
            found[name] = Hierarchy.read_csv(base / schema[name].hierarchy, separator=None)
    if folder is not None:
        strays = sorted(
            path.name
            for path in folder.glob("*.csv")
            if path.stem not in names and path.stem in schema.columns
        )
        unused = not any((folder / f"{name}.csv").is_file() for name in names)
        if unused or strays:
            what = f"{strays[0]} is for a column that is no quasi-identifier" if strays else "none fits"
            raise BadInput(
                f"--hierarchies {folder}: {what}; name each file after a quasi-identifier: {', '.join(names)}"
            )
    return found


def _print(done: Protected, notes: tuple[str, ...], places: dict[str, Path]) -> None:
    print(done.report.to_text())
    for note in notes:
        print(f"\nnote: {note}")
    warned = done.report.warning is not None
    todo = [
        "Read the risk and the warning above; change roles, hierarchies or k, and run again."
        if warned
        else "Read the risk above; if it is too high, raise k or change roles.",
        f"Look at a sample of {places['--out']} yourself.",
        "When it is right, run it through the gate: name table, k and suppression in an agreement for "
        "direct-release. One such release is made per dataset, for all recipients.",
    ]
    print("\nWhat to do next")
    for number, line in enumerate(todo, start=1):
        print(f"  {number}. {line}")
    print("\nNothing has left this machine. Written here:")
    print(f"  candidate release (may leave only through the gate): {places['--out']}")
    print(f"  manifest (goes with the release): {places['--manifest']}")
    print(f"  report (stays with you: it describes raw rows): {places['--report']}")
