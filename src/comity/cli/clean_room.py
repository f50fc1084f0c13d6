"""`comity clean-room mock|check|approve`: writing a job without the data, and a steward's approval of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from comity.cleanroom.seen import seen
from comity.cli.agree_files import FolderOption, JsonFile, LedgerOption, PassphraseFile, Yes

if TYPE_CHECKING:
    from comity.cleanroom.job import Job
    from comity.cleanroom.rehearsal import Rehearsed
    from comity.schema import Schema

_CAPS = ("parameters", "modules", "blocks", "cells", "seconds", "memory_mb")

app = typer.Typer(
    help="Jobs that run beside a provider's data: write them on a mock table, check them, approve them.",
    no_args_is_help=True,
)

SchemaFile = Annotated[
    Path, typer.Argument(metavar="SCHEMA", help="The agreed columns with bounds and levels, in YAML.")
]
JobFile = Annotated[
    Path, typer.Argument(metavar="JOB", help="The job in YAML or JSON, with the program beside it.")
]


@app.command("mock")
def mock(
    schema: SchemaFile,
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="Where to write the table (CSV).")],
    rows: Annotated[int, typer.Option("--rows", metavar="N", help="How many rows.")] = 1_000,
) -> int:
    """Write a mock table: every level and bound of the schema, missing values, nothing of any real row.

    Columns without public bounds or levels are left out, and named: no job is given them.
    """
    from comity.cleanroom.mock import left_out, mock_table
    from comity.cli.output import check_apart, check_writable
    from comity.data.write import write_table
    from comity.schema import read_schema

    check_apart({"SCHEMA": schema}, {"--out": out})
    check_writable(str(out), "--out")
    columns = read_schema(schema)
    table = mock_table(columns, rows)
    write_table(table, out)
    print(
        f"Wrote {out}: {table.rows:,} made-up rows, {len(table.names)} columns. It tells nothing of any row."
    )
    lacking = left_out(columns)
    if lacking:
        print("Left out, since a job is given only columns with public bounds or levels:")
        for name, lack in lacking.items():
            print(f"  {seen(name)}: {columns[name].role} of type {columns[name].type}, without {lack}")
        print(_keep(schema, lacking))
    return 0


def _keep(schema: Path, lacking: Mapping[str, str]) -> str:
    """How columns that are left out can be kept, by what they lack."""
    told = f"To keep a column, add to {schema} its {' or its '.join(sorted(set(lacking.values())))}."
    if "values" in lacking.values():
        told += (
            "\nValues are its public levels. Dates and free texts have too many: make them a number (a year) "
            "or a category\nof a few levels. An identifier is for no job; unit says whose rows are."
        )
    return told


@app.command("check")
def check(
    job: JobFile,
    schema: SchemaFile,
    epsilon: Annotated[float, typer.Option("--epsilon", metavar="E", help="Budget of one run.")] = 1.0,
    delta: Annotated[float, typer.Option("--delta", metavar="D", help="Its delta.")] = 1e-6,
    json: JsonFile = None,
) -> int:
    """Run a job on made-up rows and show what would leave, with how much noise; its program in the sandbox.

    Exit code 3 if the job gives nothing that it declares.
    """
    from comity.cleanroom.jobfile import read_job_file
    from comity.cleanroom.rehearsal import rehearse
    from comity.cli.output import check_apart, check_writable, write_json
    from comity.errors import BadInput
    from comity.schema import read_schema

    check_apart({"JOB": job, "SCHEMA": schema}, {"--json": json})
    check_writable(json, "--json")
    read, numbers = read_job_file(job)
    columns = read_schema(schema)
    lacking = [name for name in read.parameters if name not in numbers]
    if lacking:
        raise BadInput(f"{job}: to run it, give the numbers of {', '.join(lacking)} under parameters")
    document = _described(read, columns, epsilon, delta)
    done = rehearse(read, numbers, columns) if read.outputs else None
    document |= {} if done is None else _ran(done)
    if json is not None:
        write_json(document, json)
    if json != "-":
        _tell(document)
    if done is not None and done.fault:
        raise BadInput(f"the job gives nothing on made-up rows: {done.fault[-1000:]}")
    return 0


@app.command("approve")
def approve(
    job: JobFile,
    schema: SchemaFile,
    folder: FolderOption,
    steward: Annotated[str, typer.Option("--steward", metavar="NAME", help="Who has read the program.")],
    epsilon: Annotated[float, typer.Option("--epsilon", metavar="E", help="For the noise shown.")] = 1.0,
    delta: Annotated[float, typer.Option("--delta", metavar="D", help="For the noise shown.")] = 1e-6,
    ledger: LedgerOption = None,
    passphrase_file: PassphraseFile = None,
    yes: Yes = False,
) -> int:
    """As a provider's steward: read a job and let it run. The ledger keeps the approval by the job's digest.

    What may leave is still held to the agreement's clause and budget.
    """
    from comity.cleanroom.approval import approve as write_approval
    from comity.cleanroom.columns import Columns
    from comity.cleanroom.jobfile import read_job_file
    from comity.cli.agree_files import confirm, folder_with_key, open_ledger
    from comity.schema import read_schema

    read, _ = read_job_file(job)
    columns = read_schema(schema)
    Columns.of(columns, read.columns)
    described = _described(read, columns, epsilon, delta)
    own = folder_with_key(folder, passphrase_file)
    if read.outputs:
        print(seen(read.source, lines=True), end="" if read.source.endswith("\n") else "\n")
        print()
    _tell(described)
    confirm(
        "Have you read the program, and may it run beside the data?"
        if read.outputs
        else "May these statistics of the data leave, with this noise?",
        yes=yes,
        otherwise="nothing was approved",
    )
    with open_ledger(own, ledger) as book:
        place = write_approval(book, read, steward)
    print(
        f"Approved by {steward}: entry {place} of the ledger. Another program, or other outputs, need a "
        "new one."
    )
    return 0


def _described(job: Job, schema: Schema, epsilon: float, delta: float) -> dict[str, Any]:
    """What the job declares and what leaves of it.

    Raises:
        BadSchema: if a statistic does not go with the schema.
    """
    from comity.architectures.clean_room_exact import unscorable
    from comity.architectures.clean_room_statistics import rehearse_statistics
    from comity.cleanroom.purse import Parts

    charged = str(job.kind) == "statistic"
    parts = Parts.of(job, epsilon)
    told = rehearse_statistics(job, schema, epsilon) if job.statistics else []
    return {
        "title": job.title,
        "digest": job.digest,
        "program": job.source_digest,
        "kind": str(job.kind),
        "columns": list(job.columns),
        "modules": list(job.modules),
        "outputs": [_output(job, number, parts.program, delta) for number in range(len(job.outputs))],
        "declared": {name: value for name, value in job.to_dict().items() if name in _CAPS},
        "leaves_after_s": _leaves_after(job),
        "statistics": [
            {"name": one.asked.name, "epsilon": part, "widest": one.widest, "figures": one.readable(schema)}
            for one, part in zip(told, parts.statistics, strict=True)
        ],
        "held": unscorable(job) if str(job.kind) == "model" else None,
        "epsilon": epsilon if charged else None,
        "delta": (delta if job.outputs else 0.0) if charged else None,
    }


def _leaves_after(job: Job) -> float | None:
    """When statistics leave, where all places that there can be are taken and the machine is not too busy.

    Raises:
        BadInput: if that is so late that no room runs the job.
    """
    from comity.cleanroom.pace import require_soon
    from comity.cleanroom.places import most_places

    return require_soon(job, most_places(job)) if str(job.kind) == "statistic" else None


def _output(job: Job, number: int, epsilon: float, delta: float) -> dict[str, Any]:
    """One output; its noise is that of units which are all drawn, each by itself where a lot may be drawn."""
    from comity.cleanroom.lot import Lot
    from comity.cleanroom.price import RoomPrice
    from comity.ledger import PrivacyUnit

    output = job.outputs[number]
    told: dict[str, Any] = {"name": output.name, "length": output.length, "norm": output.norm, "noise": None}
    told |= {"share": output.share, "mix": output.mix} if output.norm is not None else {}
    if job.blocks is not None and output.norm is not None:
        price = RoomPrice.of(job, epsilon, delta, PrivacyUnit.record)
        part = output.share / sum(each.share for each in job.outputs)
        lot = Lot(1.0, job.blocks.most) if job.blocks.number is None else Lot.of_all(job.blocks.number)
        told["noise"] = price.deviation(output.norm, part, lot)
    return told


def _worded(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_worded(one)}" for name, one in value.items())
    return " and ".join(map(str, value)) if isinstance(value, list) else str(value)


def _ran(done: Rehearsed) -> dict[str, Any]:
    return {
        "blocks": done.blocks,
        "gave": done.gave,
        "longest": done.longest,
        "cpu_ms": round(done.ms, 1),
        "fault": done.fault or done.partly or None,
    }


def _tell(document: dict[str, Any]) -> None:
    program = f"program {document['program'][:12]}..." if document["outputs"] else "no program"
    print(f"{seen(document['title'])}  ({document['digest'][:12]}..., {program})")
    print(f"  digest: {document['digest']}")
    print(f"  reads: {seen(', '.join(document['columns']))}")
    caps = {name: value for name, value in document["declared"].items() if value and document["outputs"]}
    for name, value in caps.items():
        print(f"  {name.replace('_', ' ')}: {seen(_worded(value))}")
    if document["kind"] == "statistic":
        whatever = ", whatever the program does" if document["outputs"] else ""
        print(
            f"  leaves, for epsilon {document['epsilon']:g}, delta {document['delta']:g} all together"
            f"{whatever}:"
        )
        print(f"    leaves after about {document['leaves_after_s']:.3g} s at the earliest")
    else:
        print(f"  leaves: a {document['kind']} as it is, once per data set; no differential privacy")
        if document["held"] is not None:
            print(f"  would be held back for certain: {document['held']}")
    for output in document["outputs"]:
        words = f"    {seen(output['name'])}: {output['length']:,} numbers"
        if output["noise"] is not None:
            words += "" if output["mix"] is None else f", mixed by the parameter {seen(output['mix'])}"
            words += f", cut to length {output['norm']:g}, noise of {output['noise']:.4g} on each"
            words += f", share {output['share']:g}"
        longest = document.get("longest", {}).get(output["name"])
        print(words + ("" if longest is None else f"; on made-up rows up to length {longest:.4g}"))
    for one in document["statistics"]:
        count = len(one["figures"])
        print(
            f"    {seen(one['name'])}: {count:,} figure{'s' if count > 1 else ''}, "
            f"epsilon {one['epsilon']:.4g}, by comity; on made-up rows +- {one['widest']:.4g}"
        )
    if document.get("gave") is not None:
        print(
            f"  on made-up rows: {document['gave']} of {document['blocks']} blocks gave what is declared, ",
            end="",
        )
        print(f"{document['cpu_ms']:g} ms each")
        if 0 < document["gave"] < document["blocks"]:
            print(f"  the others count as nothing: {seen(document['fault'][-1000:], lines=True)}")
