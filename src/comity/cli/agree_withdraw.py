"""`comity agree withdraw`: sign or take a withdrawal, delete what is held, say what others have to delete."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from comity.cli.agree_files import JsonFile
from comity.errors import UsageError

if TYPE_CHECKING:
    from comity.agreement import Agreement, Obligation, Withdrawal
    from comity.node.folder import PartyFolder
    from comity.node.retention import Deletion, Forget

_LARGEST_PROOF = 64 * 1024**2


def withdraw_from(
    agreement: Agreement,
    own: PartyFolder,
    *,
    reason: str | None,
    received: Path | None,
    keep_files: bool,
    out: Path | None,
    yes: bool,
    ledger: str | None,
    state: str | None,
    json: str | None,
) -> int:
    """Carry a withdrawal out at this party; see `comity.cli.agree.withdraw`."""
    from comity.agreement import obligations
    from comity.cli.agree_files import confirm, open_ledger
    from comity.cli.output import PRIVATE, write_json, write_text
    from comity.node.retention import delete_held, sessions_of, take_withdrawal

    agreement.party(own.name)
    withdrawal = _withdrawal(agreement, own, reason, received)
    due = obligations(agreement, withdrawal)
    sessions = len(list(sessions_of(own, agreement.digest)))
    if json != "-":
        for line in _told(agreement, withdrawal, due, own.name):
            print(line)
        if sessions and not keep_files:
            print(f"The files of {sessions} session(s) in {own.sessions_path} will be deleted now;")
            print("a model that may be kept has to be copied from there first.")
        print()
    asked = (
        f"Withdraw as '{own.name}'" if received is None else f"Take the withdrawal of '{withdrawal.party}'"
    )
    confirm(asked, yes=yes, otherwise="nothing was changed")
    own.keep_agreement(agreement)
    with open_ledger(own, ledger) as book:
        take_withdrawal(own, withdrawal, book)
        why = f"'{withdrawal.party}' withdrew on {withdrawal.date.isoformat()}"
        deletion: Deletion | None = None
        if not keep_files:
            with _stored_messages(own, state, agreement.digest) as forget:
                deletion = delete_held(own, agreement, book, why=why, forget=forget)
    if out is not None:
        write_text(withdrawal.to_json(), out)
    document = {
        "party": own.name,
        "withdrawal": withdrawal.to_dict(),
        "obligations": [one.to_dict() for one in due],
        "deletion": None if deletion is None else deletion.to_dict(),
    }
    proof: Path | None = None
    if deletion is not None:
        proof = own.agreements_path / f"{agreement.digest}.deleted-{deletion.proof.inclusion.seq}.json"
        write_json(document, str(proof), mode=PRIVATE)
    if json is not None:
        write_json(document, json)
    if json != "-":
        _print_done(own, withdrawal, deletion, proof, out)
    return 0


def _withdrawal(
    agreement: Agreement, own: PartyFolder, reason: str | None, received: Path | None
) -> Withdrawal:
    """This party's own withdrawal, the one it has signed already, or the one it received."""
    from comity.agreement import Withdrawal, read_withdrawal
    from comity.cli.agree_files import today
    from comity.cli.passphrase import at_terminal

    if received is not None:
        withdrawal = read_withdrawal(received)
        withdrawal.verify(agreement)
        return withdrawal
    for kept in own.withdrawals():
        if kept.agreement == agreement.digest and kept.party == own.name:
            return kept
    if reason is None:
        if not at_terminal():
            raise UsageError("say why with --reason TEXT, in a sentence that every party reads")
        reason = str(typer.prompt("Why (every party reads it)", err=True))
    return Withdrawal.sign(agreement, own.name, own.key, reason=reason, on=today())


@contextmanager
def _stored_messages(own: PartyFolder, url: str | None, agreement: str) -> Iterator[Forget | None]:
    """What deletes the stored messages of a session; None where no node has stored any.

    The live conversations under the agreement go with them.
    """
    from comity.node.conversations import Conversations
    from comity.node.state import State

    if url is None and not own.state_path.exists():
        yield None
        return
    state = State.open(url or own.state_path)
    try:
        yield state.forget
        Conversations(state.engine, state.name).forget(agreement)
    finally:
        state.close()


def _told(agreement: Agreement, withdrawal: Withdrawal, due: tuple[Obligation, ...], own: str) -> list[str]:
    lines = [
        f"{agreement.title} ({agreement.digest[:12]}...)",
        f"'{withdrawal.party}' withdraws, {withdrawal.date.isoformat()}: {withdrawal.reason}",
        "From now on nothing is released and no session is opened under this agreement.",
        "What is charged stays charged: what has left cannot be called back.",
        "",
        "To be deleted, by who holds it:",
    ]
    holder = ""
    for one in due:
        if one.holder != holder:
            holder = one.holder
            lines.append(f"  {holder}{' (this party)' if holder == own else ''}")
        lines.append(f"    - {one.words()}")
    if not due:
        lines.append("  nothing: the agreement lets nothing leave")
    return [*lines, ""]


def _print_done(
    own: PartyFolder,
    withdrawal: Withdrawal,
    deletion: Deletion | None,
    proof: Path | None,
    out: Path | None,
) -> None:
    place = own.agreements_path / withdrawal.file_name
    print(f"Withdrawn: {place}; the ledger says so, and the gate refuses every plan under this agreement.")
    if deletion is None:
        print("No file was deleted; the same command without --keep-files does that.")
    else:
        size = sum(file.size for file in deletion.files)
        print(
            f"Deleted here: {len(deletion.files)} file(s), {size:,} bytes, and {deletion.messages} stored "
            f"messages; proven by entry {deletion.proof.inclusion.seq} of the ledger."
        )
        for line in deletion.left:
            print(f"  NOT deleted: {line}")
        print("Copies that people made, exports and backups are for people to delete.")
        if withdrawal.party != own.name:
            print(f"Send '{withdrawal.party}' the proof, {proof}; it checks it by")
            print("  comity agree deleted FILE --agreement AGREEMENT")
    if withdrawal.party == own.name:
        print(f"Send every other party {out or place}. Each of them runs:")
        print("  comity agree withdraw AGREEMENT --received FILE --folder DIR")


def deleted(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The proof that another party sent.")],
    agreement: Annotated[
        str, typer.Option("--agreement", metavar="FILE", help="The agreement, or with --folder its digest.")
    ],
    folder: Annotated[
        Path | None, typer.Option("--folder", metavar="DIR", help="Find the agreement by its digest in here.")
    ] = None,
    json: JsonFile = None,
) -> int:
    """Check another party's proof of what it deleted: that its signed ledger says so."""
    from comity.cli.agree_files import located
    from comity.cli.output import check_apart, check_writable, write_json
    from comity.errors import BadInput
    from comity.node.card import read_json
    from comity.node.retention import verify_deletion

    check_apart({"FILE": file, "--agreement": agreement}, {"--json": json})
    check_writable(json, "--json")
    about, _ = located(agreement, folder)
    document = read_json(file, "the proof", largest=_LARGEST_PROOF)
    if not isinstance(document, dict) or not isinstance(document.get("deletion"), dict):
        raise BadInput(f"{file} is not what comity agree withdraw --json writes where something was deleted")
    party, deletion = str(document.get("party")), document["deletion"]
    entry = verify_deletion(deletion, about, party)
    if json is not None:
        write_json({"party": party, "time": entry.time, "entry": entry.seq, **entry.body}, json)
    if json != "-":
        print(f"The signed ledger of '{party}' holds this, entry {entry.seq}, {entry.time[:19]} UTC:")
        print(f"  {entry.body['text']}")
        for one in entry.body["deleted"]:
            print(f"  - {one['path']}, {one['bytes']:,} bytes, SHA-256 {one['sha256'][:16]}...")
        for line in entry.body["left"]:
            print(f"  NOT deleted: {line}")
    return 0
