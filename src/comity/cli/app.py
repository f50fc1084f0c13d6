"""All commands, each a thin file of its own."""

from __future__ import annotations

from typing import Annotated

import typer

from comity.cli import (
    advise,
    agree,
    assess,
    audit,
    clean_room,
    compare,
    deidentify,
    demo,
    insight,
    ledger,
    node,
    party,
    synthesize,
)

app = typer.Typer(
    name="comity",
    help="Build machine-learning models together without handing the data over.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("compare")(compare.compare)
app.command("try")(compare.try_one)
app.command("advise")(advise.advise)
app.command("assess")(assess.assess)
app.command("deidentify")(deidentify.deidentify)
app.command("synthesize")(synthesize.synthesize)
app.command("demo")(demo.demo)
app.add_typer(ledger.app, name="ledger")
app.add_typer(party.app, name="party")
app.add_typer(agree.app, name="agree")
app.add_typer(node.app, name="node")
app.add_typer(audit.app, name="audit")
app.add_typer(insight.app, name="insight")
app.add_typer(clean_room.app, name="clean-room")


def _say_version(wanted: bool) -> None:
    if wanted:
        from comity import __version__

        typer.echo(f"comity {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_say_version, is_eager=True, help="Say the version and end.")
    ] = False,
) -> None:
    """Build machine-learning models together without handing the data over."""
