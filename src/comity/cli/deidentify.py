"""`comity deidentify`: a candidate release of one table, with its manifest and the steward's report."""

from __future__ import annotations

from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from comity.errors import BadInput, UsageError

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
    Path | None,
    typer.Option(
        "--out", metavar="FILE", help="The candidate release: .csv, .parquet or .arrow. Required for one."
    ),
]
K = Annotated[int, typer.Option("--k", min=1, help="Every row hides among at least K, by quasi-identifiers.")]
L = Annotated[
    int | None, typer.Option("--l", min=1, help="Different sensitive values in every class, at least L.")
]
T = Annotated[
    float | None,
    typer.Option(
        "--t",
        help="Sensitive values are distributed in every class as in the table, within T (0 to 1); numbers "
        "are compared by their order.",
    ),
]
Require = Annotated[
    list[str] | None,
    typer.Option(
        "--require",
        metavar="MODEL",
        help="A further model that has to hold, as often as needed, for example l=3:diagnosis, entropy-l, "
        "recursive-l=3,4:diagnosis (l, c), t=0.2:income (as --t: numbers by their order), t-equal, "
        "t-ordered, beta=2:diagnosis, delta-disclosure, average-risk=0.05, "
        "k-map=5:people.csv, delta-presence=0,0.5:people.csv.",
    ),
]
SafePubOption = Annotated[
    str | None,
    typer.Option(
        "--safepub",
        metavar="EPSILON,DELTA",
        help="Differential privacy by sampling rows. Every column has to be a quasi-identifier, its level "
        "fixed by --levels from public knowledge.",
    ),
]
Levels = Annotated[
    str | None,
    typer.Option(
        "--levels",
        metavar="A=2,B=0-1",
        help="The level of a quasi-identifier, or the lowest and the highest; 0 is the value itself.",
    ),
]
Opaque = Annotated[
    bool,
    typer.Option("--opaque", help="Call groups a, b, c instead of what they are. Needs --opaque-key."),
]
OpaqueKeyFile = Annotated[
    Path | None,
    typer.Option("--opaque-key", metavar="FILE", help="Where to keep what the letters stand for."),
]
Enrich = Annotated[
    list[str] | None,
    typer.Option(
        "--enrich",
        metavar="COLUMN=FILE:A,B",
        help="Replace an identifier by columns A, B of a reference table with the same key; "
        "COLUMN=FILE:KEY_COLUMN:A,B where the key has another name there.",
    ),
]
PublicReference = Annotated[
    bool,
    typer.Option(
        "--public-reference",
        help="Anybody can have the tables of --enrich: their levels and bounds are public facts.",
    ),
]
Suggest = Annotated[
    Path | None,
    typer.Option(
        "--suggest",
        metavar="DIR",
        help="Propose hierarchies: write COLUMN.csv into DIR for each quasi-identifier that has none, to "
        "look at and then give with --hierarchies. No release is made.",
    ),
]
Suppression = Annotated[
    float | None,
    typer.Option(
        "--suppression",
        metavar="SHARE",
        help="Share of the rows that may be left out. Default: 0.05; with --safepub 1.",
    ),
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
    out: Out = None,
    schema: SchemaFile = None,
    k: K = 5,
    l: L = None,  # noqa: E741  # the model's own name
    t: T = None,
    require: Require = None,
    safepub: SafePubOption = None,
    levels: Levels = None,
    suppression: Suppression = None,
    method: Method = "global",
    objective: Objective = "loss",
    target: Target = None,
    positive: Positive = None,
    weights: Weights = None,
    hierarchies: HierarchyFolder = None,
    suggest: Suggest = None,
    opaque: Opaque = False,
    opaque_key: OpaqueKeyFile = None,
    enrich: Enrich = None,
    public_reference: PublicReference = False,
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
    from comity.cli.deidentify_options import (
        enrichments_of,
        hierarchies_of,
        levels_of,
        require_fixed,
        require_hierarchies,
        require_new,
        require_target,
        safepub_of,
        said_in_options,
        steps_of,
        weights_of,
        write_private,
    )
    from comity.cli.output import PRIVATE, check_apart, check_writable, write_json
    from comity.data import check_table, read_table, write_table
    from comity.deidentify.release.candidate import protect
    from comity.deidentify.release.required import written_models
    from comity.schema import Role, read_schema

    if schema is None:
        raise UsageError(
            "a release needs a schema: which columns identify, which others may know, which are sensitive. "
            f"Write a proposal with: comity assess {path} --write-schema schema.yaml, confirm every role in "
            "it, and give it with --schema"
        )
    if suggest is not None:
        return _suggest(path, schema, hierarchies, suggest)
    if out is None:
        raise UsageError("a release needs a file: give --out b.parquet (or .csv, .arrow)")
    if opaque != (opaque_key is not None):
        raise UsageError("--opaque and --opaque-key FILE go together: the key has to be kept, by you alone")
    places = _places(out, manifest, report, opaque_key)
    check_apart({"the table": path, "--schema": schema}, {**places, "--json": json})
    for option, place in places.items():
        check_writable(str(place), option)
    if opaque_key is not None:
        require_new(opaque_key)
    check_writable(json, "--json")
    asked, limits, private = weights_of(weights), levels_of(levels), safepub_of(safepub)
    known = read_schema(schema)
    if private is not None:
        require_fixed(known, limits or {})
    enrichments = enrichments_of(enrich or [], known)
    added = [name for each in enrichments for name in each.attributes]
    require_target(target, known, added)
    trees = hierarchies_of(known, schema.parent, hierarchies, added)
    require_hierarchies(known, trees, path, schema)
    models = written_models(require or [], known, lambda file: read_table(file, schema=known))
    steps = steps_of(enrichments, public_reference)
    checked = check_table(read_table(path, schema=known), known)
    with said_in_options():
        done = protect(
            checked.table,
            known,
            k=k,
            l=l,
            t=t,
            require=[*models, *([] if private is None else [private])],
            suppression=suppression,
            hierarchies=trees,
            opaque=[*known.named(Role.quasi_identifier), *added] if opaque else (),
            level_limits=limits,
            weights=asked,
            steps=steps,
            method=method,
            objective=objective,
            target=target,
            positive=positive,
            population=population,
            seed=seed,
        )
    out.parent.mkdir(parents=True, exist_ok=True)
    if done.opaque_key is not None:
        write_private(dumps(done.opaque_key.to_dict()) + "\n", places["--opaque-key"])
    write_json(done.report.to_dict(), str(places["--report"]), mode=PRIVATE)
    write_json(done.manifest, str(places["--manifest"]))
    write_table(done.table, out)
    if json is not None:
        write_json({"manifest": done.manifest, "report": done.report.to_dict()}, json, mode=PRIVATE)
    if json != "-":
        _print(done, checked.notes, places)
    return 0


def _suggest(path: str, file: Path, folder: Path | None, into: Path) -> int:
    """Write a proposed hierarchy for each quasi-identifier that has none, and say why each is as it is."""
    from comity.cli.deidentify_options import hierarchies_of, without_hierarchy
    from comity.cli.output import PRIVATE
    from comity.data import read_table
    from comity.deidentify.hierarchies.suggestion import suggest
    from comity.deidentify.release.files import file_name, write_hierarchies
    from comity.schema import read_schema

    known = read_schema(file)
    lacking = without_hierarchy(known, hierarchies_of(known, file.parent, folder))
    if not lacking:
        raise UsageError(
            "every quasi-identifier has a hierarchy, or public bounds or levels in the schema: there is "
            "nothing to suggest. Leave --suggest out"
        )
    taken = [into / f"{file_name(name)}.csv" for name in lacking]
    there = [place for place in taken if place.exists()]
    if there:
        raise BadInput(f"--suggest {into}: {there[0]} is there already; name another folder, or remove it")
    found = suggest(read_table(path, schema=known), known, columns=lacking)
    trees = {name: each.hierarchy for name, each in found.items()}
    written = write_hierarchies(trees, into, mode=PRIVATE)
    for name, each in found.items():
        print(f"{name}: {each.reason}.\n  {each.hierarchy.levels} levels: {written[name]}")
    print(
        "\nThese are proposals, and they tell of the data: a hierarchy goes with the release. Look at each "
        "file: the\nvalue stands first, each next column is one level up. Change what is wrong or is not "
        f"public, then run again\nwith --hierarchies {into}. A .reading.json beside a file says how dates, "
        "postcodes or numbers are found."
    )
    return 0


def _places(out: Path, manifest: Path | None, report: Path | None, key: Path | None) -> dict[str, Path]:
    """Where each file goes.

    Raises:
        UsageError: if the ending is none that can be written.
    """
    if out.suffix.lower() not in (".csv", ".parquet", ".arrow"):
        raise UsageError(f"--out {out} has no ending that comity writes; use .csv, .parquet or .arrow")
    return {
        "--out": out,
        "--manifest": manifest or out.with_suffix(".manifest.json"),
        "--report": report or out.with_suffix(".report.json"),
        **({} if key is None else {"--opaque-key": key}),
    }


def _print(done: Protected, notes: tuple[str, ...], places: dict[str, Path]) -> None:
    print(done.report.to_text())
    for note in notes:
        print(f"\nnote: {note}")
    warned = done.report.warning is not None or bool(done.report.notes)
    gate = (
        "When it is right, run it through the gate: name table, k and suppression in an agreement for "
        "direct-release. One such release is made per dataset, for all recipients."
    )
    if done.cost is not None:
        gate = (
            "Charge the account (a plan's cost is SafePub(epsilon, delta).cost) before it leaves. Do not "
            "draw again to get a better one: each draw costs as much."
        )
    todo = [
        "Read the risk and the warning above; change roles, hierarchies or k, and run again."
        if warned
        else "Read the risk above; if it is too high, raise k or change roles.",
        f"Look at a sample of {places['--out']} yourself.",
        gate,
    ]
    print("\nWhat to do next")
    for number, line in enumerate(todo, start=1):
        print(f"  {number}. {line}")
    print("\nNothing has left this machine. Written here:")
    print(f"  candidate release (may leave only through the gate): {places['--out']}")
    print(f"  manifest (goes with the release): {places['--manifest']}")
    print(f"  report (stays with you: it describes raw rows): {places['--report']}")
    if "--opaque-key" in places:
        print(f"  key of the letters (stays with you: keep it safe): {places['--opaque-key']}")
