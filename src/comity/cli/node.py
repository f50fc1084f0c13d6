"""`comity node start|status|doctor|run|load`: a party's long-running node, and orders to it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from comity.node.folder import PartyFolder

app = typer.Typer(help="Run a party's node, ask how it is, and give it orders.", no_args_is_help=True)

Folder = Annotated[
    Path, typer.Option("--folder", metavar="DIR", help="The party's folder (comity party init).")
]
Passphrase = Annotated[
    Path | None,
    typer.Option("--passphrase-file", metavar="FILE", help="Where the key's passphrase is, if it has one."),
]
JsonFile = Annotated[
    str | None,
    typer.Option("--json", metavar="FILE", help="Write the result as JSON; - for standard output."),
]


@app.command("start")
def start(
    folder: Folder,
    passphrase_file: Passphrase = None,
    host: Annotated[
        str | None, typer.Option("--host", help="The address to listen on; the card's by default.")
    ] = None,
    port: Annotated[
        int | None, typer.Option("--port", min=0, max=65535, help="The port; the card's by default.")
    ] = None,
    ledger: Annotated[
        str | None,
        typer.Option("--ledger", metavar="URL", help="postgresql://... instead of ledger.db in the folder."),
    ] = None,
    state: Annotated[
        str | None,
        typer.Option("--state", metavar="URL", help="postgresql://... instead of state.db in the folder."),
    ] = None,
) -> int:
    """Run this party's node until it is stopped (Ctrl-C, SIGTERM)."""
    import logging
    import os
    import sys

    from comity.node.serve import serve
    from comity.node.server import bind
    from comity.node.service import Node

    os.umask(0o077)
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format=_LOG_FORMAT)
    for chatty in ("httpx", "httpcore"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    party = _party(folder, passphrase_file)
    own = party.card()
    listener = bind(host or own.host, own.port if port is None else port)
    node = Node(party, ledger=ledger, state=state)

    def ready(bound: int) -> None:
        print(f"node of '{party.name}' listens on {host or own.host}:{bound}", file=sys.stderr, flush=True)

    try:
        serve(node, listener, ready)
    except KeyboardInterrupt:
        # how a node is meant to end: sessions that wait go on after its next start
        print(f"node of '{party.name}' has stopped", file=sys.stderr)
    return 0


@app.command("run")
def run(
    architecture: Annotated[str, typer.Argument(help="The architecture, as the agreement names it.")],
    folder: Folder,
    agreement: Annotated[
        str, typer.Option("--agreement", metavar="DIGEST", help="The agreement's digest, or its beginning.")
    ],
    task: Annotated[
        Path, typer.Option("--task", metavar="FILE", help="What to learn: JSON or YAML (see docs/nodes.md).")
    ],
    epsilon: Annotated[float, typer.Option("--epsilon", min=0.0)] = 1.0,
    delta: Annotated[float, typer.Option("--delta", min=0.0, max=1.0)] = 1e-6,
    k: Annotated[int, typer.Option("--k", min=2)] = 5,
    seed: Annotated[int, typer.Option("--seed", help="Fixes models, never noise.")] = 0,
    mode: Annotated[str | None, typer.Option("--mode", help="The architecture's mode.")] = None,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until the session has ended.")] = True,
    passphrase_file: Passphrase = None,
    json: JsonFile = None,
) -> int:
    """Open a session as the ML party: every party's node runs its part."""
    from comity.cli.output import check_writable, write_json
    from comity.node.ask import ended, open_session
    from comity.node.state import Status

    check_writable(json, "--json")
    party = _party(folder, passphrase_file)
    options = {"epsilon": epsilon, "delta": delta, "k": k, "seed": seed, "mode": mode}
    session = open_session(party, architecture, agreement, task, options)
    found: dict[str, Any] = {"session": session, "status": str(Status.running)}
    if wait:
        found = ended(party, session)
    if json is not None:
        write_json(found, json)
    if json != "-":
        _print_sessions([found])
    return _exit_code(found)


@app.command("status")
def status(folder: Folder, passphrase_file: Passphrase = None, json: JsonFile = None) -> int:
    """How this party's node is, and where its sessions stand."""
    from comity.cli.output import check_writable, write_json
    from comity.node.orders import give_order

    check_writable(json, "--json")
    found = give_order(_party(folder, passphrase_file), "sessions", {})
    if json is not None:
        write_json(found, json)
    if json != "-":
        _print_sessions(found["sessions"])
    return 0


@app.command("doctor")
def doctor(folder: Folder, passphrase_file: Passphrase = None, json: JsonFile = None) -> int:
    """Test key, certificate, disk, and every peer's reachability, TLS, clock and version."""
    from comity.cli.output import check_writable, write_json
    from comity.errors import PartyFailed
    from comity.node.doctor import examine

    check_writable(json, "--json")
    findings = examine(_party(folder, passphrase_file))
    if json is not None:
        write_json({"findings": [finding.to_dict() for finding in findings]}, json)
    if json != "-":
        for finding in findings:
            mark = "ok  " if finding.fine else "MEND"
            print(f"{mark}  {finding.what}: {finding.found}")
            if not finding.fine:
                print(f"      {finding.remedy}")
    return 0 if all(finding.fine for finding in findings) else PartyFailed.exit_code


@app.command("load")
def load(
    path: Annotated[str, typer.Argument(metavar="PATH", help="CSV, Parquet, Arrow, or a postgresql URL.")],
    folder: Folder,
    schema: Annotated[Path, typer.Option("--schema", metavar="FILE", help="The schema's file.")],
    name: Annotated[
        str,
        typer.Option(
            "--as", metavar="NAME", help="train; at the ML party also seed, probe, linked-PROVIDER."
        ),
    ] = "train",
    json: JsonFile = None,
) -> int:
    """Check a table against its schema and put it where this party's programs find it."""
    from comity.cli.output import check_writable, write_json
    from comity.node.folder import PartyFolder
    from comity.node.tables import load_table

    check_writable(json, "--json")
    loaded = load_table(PartyFolder.open(folder), path, schema, name)
    if json is not None:
        write_json(loaded.to_dict(), json)
    if json != "-":
        print(f"{loaded.rows} rows of {len(loaded.columns)} columns are this party's table '{name}'")
        for note in loaded.notes:
            print(f"  {note}")
    return 0


_LOG_FORMAT = '{"time": "%(asctime)s", "level": "%(levelname)s", "from": "%(name)s", "event": "%(message)s"}'


def _party(folder: Path, passphrase_file: Path | None) -> PartyFolder:
    from comity.cli.passphrase import passphrase_of
    from comity.node.folder import PartyFolder

    return PartyFolder.open(folder, passphrase_of(folder / "key.pem", passphrase_file))


def _print_sessions(sessions: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table

    if not sessions:
        print("no sessions yet")
        return
    table = Table("session", "architecture", "opened by", "opened", "status", "")
    for each in sessions:
        result = each.get("result", {})
        told = result.get("message") or ", ".join(
            f"{name} {value}" for name, value in result.get("figures", {}).items()
        )
        table.add_row(
            each["session"][:12],
            each.get("architecture", ""),
            each.get("opener", ""),
            each.get("opened", ""),
            each["status"],
            str(told)[:400],
        )
    Console().print(table)


def _exit_code(session: dict[str, Any]) -> int:
    from comity.errors import ClauseRefused, PartyFailed

    return {"refused": ClauseRefused.exit_code, "failed": PartyFailed.exit_code}.get(session["status"], 0)
