"""`comity node start|status|doctor|run|load`: a party's long-running node, and orders to it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from comity.node.doctor import Finding
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
    patience: Annotated[
        float,
        typer.Option("--patience", min=1.0, help="Seconds that a session waits for a party's next message."),
    ] = 86_400.0,
) -> int:
    """Run this party's node until it is stopped (Ctrl-C, SIGTERM)."""
    import os
    import sys

    from comity.node.logs import log_to
    from comity.node.serve import serve
    from comity.node.server import bind
    from comity.node.service import Node

    os.umask(0o077)
    log_to(sys.stderr)
    party = _party(folder, passphrase_file)
    own = party.card()
    listener = bind(host or own.host, own.port if port is None else port)
    node = Node(party, ledger=ledger, state=state, patience_s=patience)

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
    mode: Annotated[
        str | None, typer.Option("--mode", help="The architecture's mode; what the clause allows by default.")
    ] = None,
    partition: Annotated[
        str, typer.Option("--partition", metavar="rows|columns", help="How the data is split over providers.")
    ] = "rows",
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until the session has ended.")] = True,
    passphrase_file: Passphrase = None,
    json: JsonFile = None,
) -> int:
    """Open a session as the ML party: every party's node runs its part."""
    import sys

    from comity.cli.output import check_writable, write_json
    from comity.node.ask import ended, open_session, session_folder
    from comity.node.state import Status

    check_writable(json, "--json")
    party = _party(folder, passphrase_file)
    options: dict[str, Any] = {"epsilon": epsilon, "delta": delta, "k": k, "seed": seed, "mode": mode}
    options["partition"] = partition
    session = open_session(party, architecture, agreement, task, options)
    if not wait:
        found: dict[str, Any] = {
            "session": session,
            "status": str(Status.running),
            "folder": str(session_folder(party, session)),
        }
        if json is not None:
            write_json(found, json)
        if json != "-":
            print(f"session {session} is open; comity node status tells how it goes")
        return 0
    # whoever stops waiting has to know that the session goes on, and its name
    print(f"session {session} is open; it goes on in the nodes if this command is stopped", file=sys.stderr)
    found = ended(party, session)
    if json is not None:
        write_json(found, json)
    if json != "-":
        _print_sessions([found], folder)
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
        _print_sessions(found["sessions"], folder)
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
            _print_finding(finding)
        bad = sum(not finding.fine for finding in findings)
        print(f"\n{bad} of {len(findings)} to mend" if bad else f"\nall {len(findings)} are well")
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
    passphrase_file: Passphrase = None,
    ledger: Annotated[
        str | None,
        typer.Option("--ledger", metavar="URL", help="postgresql://... instead of ledger.db in the folder."),
    ] = None,
    json: JsonFile = None,
) -> int:
    """Check a table against its schema and put it where this party's programs find it.

    A provider's own rows (train) are committed to in its ledger before the first query; answers carry the
    commitment, and an audit (comity audit) can hold them to it.
    """
    from comity.cli.output import check_writable, write_json
    from comity.node.folder import PartyFolder
    from comity.node.tables import load_table

    check_writable(json, "--json")
    # only a provider's rows are committed to, in the ledger that its key signs
    party = _party(folder, passphrase_file) if name == "train" else PartyFolder.open(folder)
    loaded = load_table(party, path, schema, name, ledger)
    if json is not None:
        write_json(loaded.to_dict(), json)
    if json != "-":
        print(f"{loaded.rows} rows of {len(loaded.columns)} columns are this party's table '{name}'")
        for note in loaded.notes:
            print(f"  {note}")
        if loaded.commitment is not None:
            print(f"  committed to: {loaded.commitment}")
        for agreement in loaded.bound:
            print(f"  the ledger says so for agreement {agreement[:12]}")
    return 0


def _print_finding(finding: Finding) -> None:
    import textwrap

    mark = "ok   " if finding.fine else "MEND "
    lines = [f"{mark} {finding.what}: {finding.found}"]
    if not finding.fine and finding.remedy:
        lines.append(f"      -> {finding.remedy}")
    for line in lines:
        hang = " " * (9 if "->" in line[:9] else 6)
        print(textwrap.fill(line, 80, subsequent_indent=hang, break_on_hyphens=False, break_long_words=False))


def _party(folder: Path, passphrase_file: Path | None) -> PartyFolder:
    from comity.cli.passphrase import passphrase_of
    from comity.node.folder import PartyFolder

    PartyFolder.open(folder)  # a folder without a party is told so, and not asked for a passphrase
    return PartyFolder.open(folder, passphrase_of(folder / "key.pem", passphrase_file))


def _print_sessions(sessions: list[dict[str, Any]], folder: Path) -> None:
    from comity.node.state import Status

    if not sessions:
        print("no sessions yet")
    for at, each in enumerate(sessions):
        if at:
            print()
        opened = each["opened"][:16].replace("T", " ")
        print(f"{each['session'][:12]}  {each['architecture']}: {each['status']}")
        _say(f"opened {opened} UTC by {each['opener']}, agreement {each['agreement'][:12]}")
        result = each["result"]
        if each["status"] == Status.done:
            _say(_figures(result))
            _say(f"files in {folder / 'sessions' / each['session']}", whole=True)
        elif "message" in result:
            _say(str(result["message"]))


def _figures(result: dict[str, Any]) -> str:
    """What a party's program and its cost come to, in one line; nested figures are in the JSON."""
    plain = {
        name: value
        for name, value in result.get("figures", {}).items()
        if isinstance(value, str | int | float)
    }
    words = [f"{name.replace('_', ' ')} {value}" for name, value in plain.items()]
    cost = result.get("cost", {})
    if cost:
        words.append(
            f"{cost['wall_s']:.1f} s, {cost['bytes_sent']:,} bytes sent in {cost['messages']} messages"
        )
    return "; ".join(words)


def _say(text: str, *, whole: bool = False) -> None:
    """Indented, at most 80 wide; a path in one piece, so that it can be copied."""
    import textwrap

    lines = [text] if whole else textwrap.wrap(text, 76, break_on_hyphens=False, break_long_words=False)
    for line in lines:
        print(f"    {line}")


def _exit_code(session: dict[str, Any]) -> int:
    from comity.errors import ClauseRefused, PartyFailed

    return {"refused": ClauseRefused.exit_code, "failed": PartyFailed.exit_code}.get(session["status"], 0)
