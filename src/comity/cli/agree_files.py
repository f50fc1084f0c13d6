"""What the `comity agree` commands share: their options, and where agreements and folders are found."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from comity.errors import BadInput, UsageError

if TYPE_CHECKING:
    from comity.agreement import Agreement, Standing
    from comity.ledger import Ledger
    from comity.node.folder import PartyFolder

FolderOption = Annotated[
    Path, typer.Option("--folder", metavar="DIR", help="This party's folder, which holds its key.")
]
PassphraseFile = Annotated[
    Path | None,
    typer.Option(
        "--passphrase-file",
        metavar="FILE",
        help="Holds the key's passphrase. Otherwise: COMITY_PASSPHRASE_FILE, COMITY_PASSPHRASE, or asked.",
    ),
]
LedgerOption = Annotated[
    str | None,
    typer.Option("--ledger", metavar="URL", help="postgresql://... instead of ledger.db in the folder."),
]
JsonFile = Annotated[
    str | None,
    typer.Option("--json", metavar="FILE", help="Write the result as JSON; - for standard output."),
]
Source = Annotated[
    str,
    typer.Argument(
        metavar="FILE", help="The agreement's file, or with --folder the first digits of its digest."
    ),
]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")]
Sets = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="PATH=VALUE", help="One answer, as often as needed: expires=2027-12-31."),
]
_FEWEST_DIGITS = 6


def today() -> date:
    """The day in UTC, by which agreements expire."""
    return datetime.now(UTC).date()


def folder_of(path: Path) -> PartyFolder:
    """A party's folder, for what needs no key."""
    from comity.node.folder import PartyFolder

    return PartyFolder.open(path)


def folder_with_key(path: Path, passphrase_file: Path | None) -> PartyFolder:
    """A party's folder whose key can be used."""
    from comity.cli.passphrase import passphrase_of
    from comity.node.folder import PartyFolder

    own = PartyFolder.open(path)
    return PartyFolder.open(path, passphrase_of(own.key_path, passphrase_file))


def located(source: str, folder: Path | None) -> tuple[Agreement, Standing]:
    """The agreement of a file, or of a folder by the first digits of its digest, and how it stands today.

    Raises:
        BadInput: if there is none, or several begin with these digits.
    """
    from comity.agreement import merge_agreements, read_agreement, standing

    own = None if folder is None else folder_of(folder)
    if own is None or Path(source).exists():
        agreement = read_agreement(Path(source))
        if own is None:
            return agreement, standing(agreement, (), (), today())
        kept = own.agreements().get(agreement.digest)
        if kept is not None:
            agreement = merge_agreements([agreement, kept])
        return agreement, own.standing(agreement, today())
    kept_ones = own.agreements()
    begin = source.removesuffix("...").removesuffix(".yaml")
    found = [digest for digest in kept_ones if digest.startswith(begin) and len(begin) >= _FEWEST_DIGITS]
    if len(found) != 1:
        known = ", ".join(f"{digest[:12]} ('{one.title}')" for digest, one in kept_ones.items()) or "none"
        raise BadInput(
            f"{source[:80]!r} is neither a file nor the first digits (at least {_FEWEST_DIGITS}) of one "
            f"agreement in {own.agreements_path} (there: {known})"
        )
    agreement = kept_ones[found[0]]
    return agreement, own.standing(agreement, today())


def put_out(agreement: Agreement, path: Path) -> None:
    """Write an agreement's file, whole or not at all."""
    from comity.cli.output import write_text

    write_text(agreement.to_yaml(), path)


def confirm(question: str, *, yes: bool, otherwise: str) -> None:
    """Go on only after a yes.

    Raises:
        UsageError: after a no, or where nobody can be asked and --yes was not given.
    """
    from comity.cli.passphrase import at_terminal

    if yes:
        return
    if not at_terminal():
        raise UsageError(f"nobody is at a terminal to confirm this: say --yes; {otherwise}")
    if not typer.confirm(question + "?", err=True):
        raise UsageError(f"not confirmed: {otherwise}")


def open_ledger(own: PartyFolder, url: str | None) -> Ledger:
    """The party's ledger, in its folder or at a URL."""
    from comity.ledger import Ledger

    return Ledger.open(url or own.ledger_path, key=own.key, owner=own.name)
