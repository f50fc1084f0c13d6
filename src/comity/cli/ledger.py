"""`comity ledger verify|show`: check a ledger offline, or read it like a story."""

from __future__ import annotations

import json as json_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from comity.ledger import Checkpoint

app = typer.Typer(help="Verify a ledger, or read it.", no_args_is_help=True)

Place = Annotated[str, typer.Argument(metavar="PATH_OR_URL", help="The ledger's file, or its database URL.")]
JsonFile = Annotated[
    str | None,
    typer.Option("--json", metavar="FILE", help="Write the result as JSON; - for standard output."),
]


@app.command("verify")
def verify(
    place: Place,
    checkpoint: Annotated[
        Path | None,
        typer.Option(
            "--checkpoint",
            metavar="FILE",
            help="A receipt or checkpoint kept elsewhere: shows a cut-off tail.",
        ),
    ] = None,
    key: Annotated[
        str | None, typer.Option("--key", help="The owner's public key, as the agreement writes it.")
    ] = None,
    json: JsonFile = None,
) -> int:
    """Check a ledger or a copy of one offline: rows, tree, signatures, accounts."""
    from comity.cli.output import check_writable, write_json
    from comity.crypto.keys import VerifyKey
    from comity.errors import VerificationFailed
    from comity.ledger import verify_ledger

    check_writable(json, "--json")
    verification = verify_ledger(
        place,
        checkpoint=None if checkpoint is None else _read_checkpoint(checkpoint),
        key=None if key is None else VerifyKey.parse(key),
    )
    if json is not None:
        write_json(verification.to_dict(), json)
    if json != "-":
        for line in verification.words():
            print(line)
    return 0 if verification.ok else VerificationFailed.exit_code


@app.command("show")
def show(place: Place, json: JsonFile = None) -> int:
    """Read a ledger like a story: who asked what, under which clause, what it cost, what left."""
    from comity.cli.output import check_writable, write_json
    from comity.ledger.story import story

    check_writable(json, "--json")
    lines = story(place)
    if json is not None:
        write_json({"story": lines}, json)
    if json != "-":
        for line in lines:
            print(line)
    return 0


def _read_checkpoint(path: Path) -> Checkpoint:
    """A checkpoint on its own, or the newest one in a file of receipts."""
    from comity.errors import BadInput
    from comity.ledger import Checkpoint

    try:
        lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
        document = json_module.loads("\n".join(lines) if lines[0].strip() == "{" else lines[-1])
        return Checkpoint.from_dict(document.get("checkpoint", document))
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}") from None
    except (ValueError, IndexError, AttributeError, KeyError, TypeError):
        raise BadInput(
            f"{path} holds no checkpoint; give a receipt or what a checkpoint was saved as"
        ) from None
