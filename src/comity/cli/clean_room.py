"""`comity clean-room mock|check|approve`: writing a job without the data, and a steward's approval of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from comity.cli.agree_files import FolderOption, JsonFile, LedgerOption, PassphraseFile, Yes

if TYPE_CHECKING:
    from comity.cleanroom.job import Job
    from comity.cleanroom.rehearsal import Rehearsed

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
    """Write a mock table: every level and bound of the schema, missing values, nothing of any real row."""
    from comity.cleanroom.mock import mock_table
    from comity.cli.output import check_apart, check_writable
    from comity.data.write import write_table
    from comity.schema import read_schema

    check_apart({"SCHEMA": schema}, {"--out": out})
    check_writable(str(out), "--out")
    table = mock_table(read_schema(schema), rows)
    write_table(table, out)
    print(
        f"Wrote {out}: {table.rows:,} made-up rows, {len(table.names)} columns. It tells nothing of any row."
    )
    return 0


@app.command("check")
def check(
    job: JobFile,
    schema: SchemaFile,
    epsilon: Annotated[float, typer.Option("--epsilon", metavar="E", help="Budget of one run.")] = 1.0,
    delta: Annotated[float, typer.Option("--delta", metavar="D", help="Its delta.")] = 1e-6,
    json: JsonFile = None,
) -> int:
    """Run a job on made-up rows in the sandbox, and show what would leave.

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
    lacking = [name for name in read.parameters if name not in numbers]
    if lacking:
        raise BadInput(f"{job}: to run it, give the numbers of {', '.join(lacking)} under parameters")
    done = rehearse(read, numbers, read_schema(schema))
    document = _described(read, epsilon, delta) | _ran(done)
    if json is not None:
        write_json(document, json)
    if json != "-":
        _tell(document)
    if done.fault:
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
    Columns.of(read_schema(schema), read.columns)
    own = folder_with_key(folder, passphrase_file)
    print(read.source, end="" if read.source.endswith("\n") else "\n")
    print()
    _tell(_described(read, epsilon, delta))
    confirm(
        "Have you read the program, and may it run beside the data?",
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


def _described(job: Job, epsilon: float, delta: float) -> dict[str, Any]:
    """What the job declares and what leaves of it."""
    return {
        "title": job.title,
        "digest": job.digest,
        "program": job.source_digest,
        "kind": str(job.kind),
        "columns": list(job.columns),
        "modules": list(job.modules),
        "outputs": [_output(job, number, epsilon, delta) for number in range(len(job.outputs))],
        "epsilon": epsilon if job.blocks is not None else None,
        "delta": delta if job.blocks is not None else None,
    }


def _output(job: Job, number: int, epsilon: float, delta: float) -> dict[str, Any]:
    from comity.cleanroom.price import RoomPrice
    from comity.ledger import PrivacyUnit

    output = job.outputs[number]
    told: dict[str, Any] = {"name": output.name, "length": output.length, "norm": output.norm, "noise": None}
    if job.blocks is not None and output.norm is not None:
        price = RoomPrice.of(job, epsilon, delta, PrivacyUnit.record)
        part = output.share / sum(each.share for each in job.outputs)
        told["noise"] = price.deviation(output.norm, part, 1.0)
    return told


def _ran(done: Rehearsed) -> dict[str, Any]:
    return {
        "blocks": done.blocks,
        "gave": done.gave,
        "longest": done.longest,
        "cpu_ms": round(done.ms, 1),
        "fault": done.fault or None,
    }


def _tell(document: dict[str, Any]) -> None:
    print(f"{document['title']}  ({document['digest'][:12]}..., program {document['program'][:12]}...)")
    print(f"  reads: {', '.join(document['columns'])}")
    if document["kind"] == "statistic":
        print(
            f"  leaves: noisy sums, epsilon {document['epsilon']:g}, delta {document['delta']:g}, whatever "
            "the program does"
        )
    else:
        print(f"  leaves: a {document['kind']} as it is, once per data set; no differential privacy")
    for output in document["outputs"]:
        words = f"    {output['name']}: {output['length']:,} numbers"
        if output["noise"] is not None:
            words += f", cut to length {output['norm']:g}, noise of {output['noise']:.4g} on each"
        longest = document.get("longest", {}).get(output["name"])
        print(words + ("" if longest is None else f"; on made-up rows up to length {longest:.4g}"))
    if document.get("gave") is not None:
        print(
            f"  on made-up rows: {document['gave']} of {document['blocks']} blocks gave what is declared, ",
            end="",
        )
        print(f"{document['cpu_ms']:g} ms each")
