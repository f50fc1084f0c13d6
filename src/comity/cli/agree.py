"""`comity agree draft|sign|merge|show|check|amend|withdraw`: an agreement from its draft to its end."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from comity.cli.agree_draft import draft
from comity.cli.agree_files import (
    FolderOption,
    JsonFile,
    LedgerOption,
    PassphraseFile,
    Sets,
    Source,
    Yes,
    confirm,
    folder_of,
    folder_with_key,
    located,
    put_out,
    today,
)
from comity.cli.agree_withdraw import deleted, withdraw_from

if TYPE_CHECKING:
    from comity.agreement import Agreement

app = typer.Typer(
    help="Draft, sign, read and end agreements. An agreement is a YAML file; what is signed is its meaning.",
    no_args_is_help=True,
)

app.command("draft")(draft)
app.command("deleted")(deleted)


@app.command("sign")
def sign(
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE...", help="The agreement, or copies that others have signed."),
    ],
    folder: FolderOption,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="Where to write it; by default over the first FILE."),
    ] = None,
    yes: Yes = False,
    passphrase_file: PassphraseFile = None,
    ledger: LedgerOption = None,
    json: JsonFile = None,
) -> int:
    """Show what is signed, add this party's signature, and keep the agreement in the party's folder."""
    from comity.cli.agree_signing import check_before_signing, note_replaced, said_of_replaced
    from comity.cli.agree_words import describe, told
    from comity.cli.output import write_json

    target, agreement = _copies(files, out, json)
    own = folder_of(folder)
    notes = check_before_signing(own, agreement, today())
    if json != "-":
        for line in told(
            describe(agreement, own.standing(agreement, today()), only=own.name), only=own.name, on=today()
        ):
            print(line)
        for line in (*said_of_replaced(own, agreement), *notes):
            print(line)
        print()
    confirm(f"Sign this as '{own.name}'", yes=yes, otherwise="nothing was signed")
    own = folder_with_key(folder, passphrase_file)
    kept = own.keep_agreement(agreement.sign(own.name, own.key))
    put_out(kept, target)
    note_replaced(own, kept, ledger, passphrase_file)
    description = describe(kept, own.standing(kept, today()))
    if json is not None:
        write_json({"file": str(target), "signed_as": own.name, "notes": notes, **description}, json)
    if json != "-":
        print(f"Signed as '{own.name}': {target}, kept in {own.agreements_path}")
        _print_next(description, target)
    return 0


@app.command("merge")
def merge(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Copies with different signatures.")],
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="Where to write it; by default over the first FILE."),
    ] = None,
    folder: Annotated[
        Path | None, typer.Option("--folder", metavar="DIR", help="Keep it in this party's folder too.")
    ] = None,
    passphrase_file: PassphraseFile = None,
    ledger: LedgerOption = None,
    json: JsonFile = None,
) -> int:
    """Put the signatures of several copies of one agreement together, checking each."""
    from comity.agreement import standing
    from comity.cli.agree_signing import note_replaced
    from comity.cli.agree_words import describe
    from comity.cli.output import write_json

    target, agreement = _copies(files, out, json)
    stands = standing(agreement, (), (), today())
    if folder is not None:
        own = folder_of(folder)
        agreement.party(own.name)
        agreement = own.keep_agreement(agreement)
        note_replaced(own, agreement, ledger, passphrase_file)
        stands = own.standing(agreement, today())
    put_out(agreement, target)
    description = describe(agreement, stands)
    if json is not None:
        write_json({"file": str(target), **description}, json)
    if json != "-":
        print(f"Wrote {target} with {len(agreement.signatures)} signatures")
        _print_next(description, target)
    return 0


def _copies(files: list[Path], out: Path | None, json: str | None) -> tuple[Path, Agreement]:
    """Where the result goes, and the agreement that the files are copies of, with all their signatures."""
    from comity.agreement import merge_agreements, read_agreement
    from comity.cli.output import check_apart, check_writable

    target = out or files[0]
    check_apart({}, {"--out" if out else "FILE": target, "--json": json})
    check_writable(json, "--json")
    check_writable(str(target), "--out")
    return target, merge_agreements([read_agreement(path) for path in files])


@app.command("show")
def show(
    source: Source,
    party: Annotated[
        str | None, typer.Option("--for", metavar="PARTY", help="Only what this party will see.")
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option("--folder", metavar="DIR", help="Where withdrawals and replacements are known."),
    ] = None,
    json: JsonFile = None,
) -> int:
    """Say in plain words what an agreement allows, what each party will see, and whether it is in force."""
    from comity.cli.agree_words import describe, told
    from comity.cli.output import check_apart, check_writable, write_json

    check_apart({"the agreement": source}, {"--json": json})
    check_writable(json, "--json")
    agreement, stands = located(source, folder)
    description = describe(agreement, stands, only=party)
    if json is not None:
        write_json(description, json)
    if json != "-":
        print("\n".join(told(description, only=party, on=today())))
    return 0


@app.command("check")
def check(
    source: Source,
    folder: Annotated[
        Path | None,
        typer.Option("--folder", metavar="DIR", help="Where withdrawals and replacements are known."),
    ] = None,
    json: JsonFile = None,
) -> int:
    """Check that an agreement is sound, signed by all, and in force today; exit 4 or 6 if it is not."""
    from comity.agreement import State
    from comity.cli.output import check_apart, check_writable, write_json
    from comity.errors import Refused, VerificationFailed

    check_apart({"the agreement": source}, {"--json": json})
    check_writable(json, "--json")
    agreement, stands = located(source, folder)
    if json is not None:
        write_json(
            {
                "digest": agreement.digest,
                "state": str(stands.state),
                "in_force": stands.in_force,
                "words": stands.words,
                "clause": stands.clause or None,
                "by": stands.by or None,
            },
            json,
        )
    if json != "-":
        print(f"{agreement.title} ({agreement.digest})")
        print(f"{stands.state}: {stands.words}")
        if folder is None and stands.in_force:
            print(
                "Whether somebody withdrew or it was replaced is known in a party's folder: give --folder DIR"
            )
    if stands.in_force:
        return 0
    return VerificationFailed.exit_code if stands.state is State.unsigned else Refused.exit_code


@app.command("amend")
def amend(
    source: Source,
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="Where to write the new draft.")],
    sets: Sets = None,
    folder: Annotated[
        Path | None, typer.Option("--folder", metavar="DIR", help="Find the agreement by its digest in here.")
    ] = None,
    json: JsonFile = None,
) -> int:
    """Write a new draft that replaces an agreement once every party has signed it.

    --set PATH=VALUE changes one place (data.north.budget.epsilon=2, architectures.validation.queries=50,
    data.north.consent= takes it out); everything else is for an editor.
    """
    from comity.agreement import State, agreement_from, differences
    from comity.cli.agree_questions import put_answer
    from comity.cli.agree_signing import about_budgets
    from comity.cli.agree_words import describe
    from comity.cli.output import check_apart, check_writable, write_json
    from comity.errors import BadInput

    check_apart({"the agreement": source}, {"--out": out, "--json": json})
    check_writable(str(out), "--out")
    check_writable(json, "--json")
    if out.exists():
        raise BadInput(f"{out} exists; name another file with --out, or remove it")
    agreement, stands = located(source, folder)
    if stands.state is State.unsigned:
        raise BadInput(f"{source} is not signed by all: there is nothing to replace yet, edit it instead")
    if stands.state is State.replaced:
        raise BadInput(f"{source} has been replaced already by {stands.by}; amend that one")
    document = {**agreement.to_dict(), "replaces": agreement.digest, "signatures": []}
    for option in sets or ():
        put_answer(document, option)
    newer = agreement_from(document, where="the new draft")
    put_out(newer, out)
    changed = [place for place in differences(agreement, newer) if place != "replaces"]
    if json is not None:
        write_json({"file": str(out), "changed": changed, **describe(newer, _unsigned(newer))}, json)
    if json != "-":
        print(f"Wrote {out}, which replaces {agreement.digest[:12]}... once every party has signed it.")
        print(f"Changed: {', '.join(changed) or 'nothing yet; edit it'}")
        for line in about_budgets(agreement, newer):
            print(line)
        print(f"Until then the present one holds. Next, every party: comity agree sign {out} --folder DIR")
    return 0


@app.command("withdraw")
def withdraw(
    source: Source,
    folder: FolderOption,
    reason: Annotated[
        str | None, typer.Option("--reason", metavar="TEXT", help="Why, in a sentence; every party reads it.")
    ] = None,
    received: Annotated[
        Path | None,
        typer.Option("--received", metavar="FILE", help="Another party's withdrawal, instead of one's own."),
    ] = None,
    keep_files: Annotated[
        bool, typer.Option("--keep-files", help="Delete nothing now; do it later with the same command.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="A copy of the withdrawal, for the others.")
    ] = None,
    yes: Yes = False,
    passphrase_file: PassphraseFile = None,
    ledger: LedgerOption = None,
    state: Annotated[
        str | None,
        typer.Option("--state", metavar="URL", help="postgresql://... instead of state.db in the folder."),
    ] = None,
    json: JsonFile = None,
) -> int:
    """Withdraw from an agreement: nothing more is released, and what it brought is deleted and proven.

    With --received, take another party's withdrawal and do the same here. Run again, it deletes what is left.
    """
    from comity.cli.output import check_apart, check_writable

    check_apart({"the agreement": source, "--received": received}, {"--out": out, "--json": json})
    check_writable(json, "--json")
    check_writable(None if out is None else str(out), "--out")
    agreement, _ = located(source, folder)
    return withdraw_from(
        agreement,
        folder_with_key(folder, passphrase_file),
        reason=reason,
        received=received,
        keep_files=keep_files,
        out=out,
        yes=yes,
        ledger=ledger,
        state=state,
        json=json,
    )


def _unsigned(agreement: Any) -> Any:
    from comity.agreement import standing

    return standing(agreement, (), (), today())


def _print_next(description: dict[str, Any], target: Path) -> None:
    missing = description["missing"]
    if missing:
        print(f"Not signed yet by {', '.join(missing)}: send them {target}")
        return
    stands = description["standing"]
    print(f"Signed by all; {stands['state']}: {stands['words']}.")
    print(f"Every party keeps this copy: comity agree merge {target} --folder DIR")
