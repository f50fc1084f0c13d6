"""`comity ledger verify|show|export`: check a ledger, read it, hand it on as a research object."""

from __future__ import annotations

import json as json_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from comity.ledger import Checkpoint, Verification
    from comity.node.fetch import Fetched

app = typer.Typer(help="Verify a ledger, read it, or export it.", no_args_is_help=True)

Place = Annotated[
    str,
    typer.Argument(metavar="PATH_OR_URL", help="The ledger's file, or its database URL."),
]
JsonFile = Annotated[
    str | None,
    typer.Option("--json", metavar="FILE", help="Write the result as JSON; - for standard output."),
]
PassphraseFile = Annotated[
    Path | None,
    typer.Option("--passphrase-file", metavar="FILE", help="Holds the passphrase of the party's key."),
]
Folder = Annotated[
    Path | None,
    typer.Option("--folder", metavar="DIR", help="This party's folder: its key and card ask the node."),
]


@app.command("verify")
def verify(
    place: Annotated[
        str,
        typer.Argument(
            metavar="PATH_OR_URL",
            help="The ledger's file, its database URL, or the address of another party's node (https://...).",
        ),
    ],
    checkpoint: Annotated[
        Path | None,
        typer.Option(
            "--checkpoint",
            metavar="FILE",
            help="A receipt or checkpoint kept elsewhere: shows a cut-off tail.",
        ),
    ] = None,
    countersigned: Annotated[
        Path | None,
        typer.Option(
            "--countersigned",
            metavar="FILE",
            help="Another party's countersigned/NAME.jsonl: shows what the ledger's own key could hide.",
        ),
    ] = None,
    key: Annotated[
        str | None, typer.Option("--key", help="The owner's public key, as the agreement writes it.")
    ] = None,
    folder: Folder = None,
    passphrase_file: PassphraseFile = None,
    json: JsonFile = None,
) -> int:
    """Check a ledger or a copy of one offline, or fetch a node's evidence and prove it."""
    from comity.cli.output import check_writable, write_json
    from comity.errors import UsageError, VerificationFailed

    check_writable(json, "--json")
    if place.startswith("https://"):
        if checkpoint is not None or key is not None or countersigned is not None:
            raise UsageError(
                "a node is held against the card and the checkpoints in --folder; leave out --checkpoint, "
                "--countersigned and --key"
            )
        result = _fetched(place, folder, passphrase_file)
    else:
        result = _verified(place, checkpoint, countersigned, key)
    if json is not None:
        write_json(result.to_dict(), json)
    if json != "-":
        for line in result.words():
            print(line)
    return 0 if result.ok else VerificationFailed.exit_code


@app.command("show")
def show(place: Place, json: JsonFile = None) -> int:
    """Read a ledger like a story: who asked what, under which clause, what it cost, what left."""
    from comity.cli.output import check_writable, write_json
    from comity.ledger.story import told

    check_writable(json, "--json")
    story = told(place)
    if json is not None:
        write_json({"story": story.lines, **story.to_dict()}, json)
    if json != "-":
        for line in story.words():
            print(line)
    return 0


@app.command("export")
def export(
    place: Place,
    crate: Annotated[
        Path,
        typer.Option(
            "--crate", metavar="DIR|ZIP", help="Where the Five Safes RO-Crate goes: a new folder or .zip."
        ),
    ],
    agreement: Annotated[
        Path, typer.Option("--agreement", metavar="FILE", help="The signed agreement it was done under.")
    ],
    countersigned: Annotated[
        list[Path] | None,
        typer.Option(
            "--countersigned", metavar="FILE", help="Countersignatures to go with it; may be repeated."
        ),
    ] = None,
    requester: Annotated[
        str | None,
        typer.Option("--requester", help="The name of the person who asked; the ledger knows parties only."),
    ] = None,
) -> int:
    """Export a ledger as a Five Safes RO-Crate: agreement, checkpoints, phases; no private value."""
    from comity.agreement import read_agreement
    from comity.report.crate import write_crate

    written = write_crate(
        crate,
        place,
        read_agreement(agreement),
        countersigned=tuple(countersigned or ()),
        requester=requester,
    )
    print(
        f"Wrote {written.path}: {written.questions} questions asked under the agreement, with their proofs."
    )
    return 0


def _verified(
    place: str, checkpoint: Path | None, countersigned: Path | None, key: str | None
) -> Verification:
    from comity.crypto.keys import VerifyKey
    from comity.errors import BadInput
    from comity.ledger import verify_ledger
    from comity.ledger.keeper import countersignatures_in

    if countersigned is not None and not countersigned.is_file():
        raise BadInput(f"there is no file {countersigned}; name a party's countersigned/NAME.jsonl")
    given = [] if countersigned is None else countersignatures_in(countersigned)
    return verify_ledger(
        place,
        checkpoint=None if checkpoint is None else _read_checkpoint(checkpoint),
        key=None if key is None else VerifyKey.parse(key),
        countersigned=[one.checkpoint for one in given],
    )


def _fetched(url: str, folder: Path | None, passphrase_file: Path | None) -> Fetched:
    from comity.cli.passphrase import passphrase_of
    from comity.errors import UsageError
    from comity.node.fetch import fetch_ledger
    from comity.node.folder import PartyFolder

    if folder is None:
        raise UsageError("a node answers parties only: name this party's folder with --folder DIR")
    party = PartyFolder.open(folder, passphrase_of(folder / "key.pem", passphrase_file))
    return fetch_ledger(party, url)


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
    except (ValueError, IndexError, AttributeError, KeyError, TypeError, BadInput):
        raise BadInput(
            f"{path} holds no checkpoint; give a receipt or what a checkpoint was saved as"
        ) from None
