"""`comity audit ask|open|run|verify`: hold answers against the table that their provider committed to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from comity.cli.agree_files import (
    FolderOption,
    JsonFile,
    LedgerOption,
    PassphraseFile,
    Yes,
    confirm,
    folder_of,
    folder_with_key,
    open_ledger,
)

if TYPE_CHECKING:
    from comity.node.audit_table import Recomputed
    from comity.node.audits import Request
    from comity.node.folder import PartyFolder
    from comity.node.state import State
    from comity.validate.audit_order import AuditVerdict

app = typer.Typer(
    help="Hold answers of validation against the table that their provider committed to: ask (ML party), run "
    "(provider, or with open the agreed auditor), verify (ML party).",
    no_args_is_help=True,
)

_LARGEST = 1024**3
Order = Annotated[Path, typer.Argument(metavar="ORDER", help="What comity audit ask wrote.")]
StateOption = Annotated[
    str | None,
    typer.Option("--state", metavar="URL", help="postgresql://... instead of state.db in the folder."),
]


@app.command("ask")
def ask(
    folder: FolderOption,
    agreement: Annotated[
        str, typer.Option("--agreement", metavar="DIGEST", help="The agreement's digest, or its beginning.")
    ],
    provider: Annotated[
        str, typer.Option("--provider", metavar="NAME", help="Whose answers are to be audited.")
    ],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="Where to write the order.")],
    session: Annotated[
        list[str] | None,
        typer.Option(
            "--session", metavar="ID", help="Only this session or conversation; often. By default all."
        ),
    ] = None,
    auditor: Annotated[
        str | None,
        typer.Option(
            "--auditor",
            metavar="NAME",
            help="Who computes them again: the auditor that the agreement names (by default, if it names "
            "one), or the provider itself.",
        ),
    ] = None,
    passphrase_file: PassphraseFile = None,
    state: StateOption = None,
    json: JsonFile = None,
) -> int:
    """As the ML party, order an audit of a provider's answers: signed, with the messages it is about.

    Answers of linked validation and of live conversations can be computed again; those of hosted and of blind
    validation cannot. Send the file to the provider.
    """
    from comity.cli.agree_files import located
    from comity.cli.output import PRIVATE, check_apart, check_writable, write_json
    from comity.node.audits import ask_audit

    check_apart({}, {"--out": out, "--json": json})
    check_writable(str(out), "--out")
    check_writable(json, "--json")
    about, _ = located(agreement, folder)
    own = folder_with_key(folder, passphrase_file)
    with _state(own, state) as kept:
        request, unbound = ask_audit(
            own, about, provider, state=kept, auditor=auditor, sessions=session or ()
        )
    write_json(request.to_dict(), str(out), mode=PRIVATE)
    if json is not None:
        write_json(
            {"file": str(out), "digest": request.order.digest, **request.order.to_dict(), "unbound": unbound},
            json,
        )
    if json != "-":
        order = request.order
        print(f"Order {order.digest[:12]}: {len(order.plans)} answers of '{provider}', to be computed again")
        print(f"by '{order.auditor}' from the table of commitment {order.commitment[:16]}...")
        if unbound:
            print(f"{unbound} more answers carry no commitment; nothing can be held against them.")
        print(f"Wrote {out}. Send it to '{provider}', which runs:")
        print(
            f"  comity audit {'run' if order.auditor == provider else 'open'} {out} --folder DIR --out FILE"
        )
    return 0


@app.command("open")
def open_table(
    order: Order,
    folder: FolderOption,
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="Where to write the opening.")],
    yes: Yes = False,
    passphrase_file: PassphraseFile = None,
    ledger: LedgerOption = None,
    state: StateOption = None,
    json: JsonFile = None,
) -> int:
    """As the provider, consent to an order and open the table to the auditor that the agreement names.

    The auditor sees the whole table, with identifiers. It is sealed to that party's key; nobody else can read
    the file. That it was opened stands in the ledger. Send order and opening to the auditor.
    """
    from comity.cli.output import PRIVATE, check_apart, check_writable, write_json
    from comity.node.audits import open_audit

    check_apart({"ORDER": order}, {"--out": out, "--json": json})
    check_writable(str(out), "--out")
    check_writable(json, "--json")
    own, request = folder_of(folder), _read_request(order)
    if json != "-":
        _print_order(request)
    confirm(
        f"Open the whole table of '{own.name}' to '{request.order.auditor}'",
        yes=yes,
        otherwise="nothing was opened",
    )
    own = folder_with_key(folder, passphrase_file)
    with open_ledger(own, ledger) as book, _own_state(own, state) as kept:
        opening = open_audit(request, own, book, kept)
    write_json(opening, str(out), mode=PRIVATE)
    if json is not None:
        write_json({"file": str(out), "order": request.order.digest, "auditor": request.order.auditor}, json)
    if json != "-":
        print(f"Wrote {out}, sealed to '{request.order.auditor}', which runs:")
        print(f"  comity audit run {order} --opening {out} --folder DIR --out FILE")
    return 0


@app.command("run")
def run(
    order: Order,
    folder: FolderOption,
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="Where to write the signed verdict.")],
    opening: Annotated[
        Path | None,
        typer.Option("--opening", metavar="FILE", help="At an auditor: what comity audit open wrote."),
    ] = None,
    yes: Yes = False,
    passphrase_file: PassphraseFile = None,
    ledger: LedgerOption = None,
    state: StateOption = None,
) -> int:
    """Compute the ordered answers again from the committed table, and sign one word for each.

    At the provider this is its consent to the order, too. Only the words leave, in --out; what is found wrong
    is printed here, may tell of private values, and stays. Exit 6 if an answer does not fit.
    """
    from comity.cli.output import check_apart, check_writable, write_json
    from comity.errors import VerificationFailed
    from comity.node.audits import run_audit
    from comity.node.card import read_json

    check_apart({"ORDER": order, "--opening": opening}, {"--out": out})
    check_writable(str(out), "--out")
    own, request = folder_of(folder), _read_request(order)
    sealed = None if opening is None else read_json(opening, "the opening", largest=_LARGEST)
    _print_order(request)
    confirm(f"Answer this audit as '{own.name}'", yes=yes, otherwise="nothing was computed")
    own = folder_with_key(folder, passphrase_file)
    if request.order.provider == own.name:
        with open_ledger(own, ledger) as book, _own_state(own, state) as kept:
            verdict, found = run_audit(request, own, ledger=book, state=kept)
    else:
        verdict, found = run_audit(request, own, opening=sealed)
    write_json(verdict.to_dict(), str(out))
    _print_found(found)
    print(f"Wrote {out}: one word for each answer, nothing else.")
    print(f"Send it to '{request.order.party}', which runs:")
    print(f"  comity audit verify {out} --folder DIR")
    return 0 if verdict.ok else VerificationFailed.exit_code


@app.command("verify")
def verify(
    verdict: Annotated[Path, typer.Argument(metavar="VERDICT", help="What comity audit run wrote.")],
    folder: FolderOption,
    order: Annotated[
        Path | None,
        typer.Option("--order", metavar="FILE", help="The order that the verdict has to be about."),
    ] = None,
    json: JsonFile = None,
) -> int:
    """As the ML party, check a verdict: who signed it, and that it is about an order signed here.

    Without --order it may be about an earlier one, of fewer answers; the order's digest is printed.

    Exit 6 if a signature does not fit, or an answer does not fit the table that was committed to.
    """
    from comity.cli.output import check_apart, check_writable, write_json
    from comity.errors import BadInput, VerificationFailed
    from comity.node.audits import verify_verdict
    from comity.node.card import read_json

    check_apart({"VERDICT": verdict, "--order": order}, {"--json": json})
    check_writable(json, "--json")
    read = read_json(verdict, "the verdict", largest=_LARGEST)
    if isinstance(read, dict) and set(read) == {"order", "signature", "evidence"}:
        raise BadInput(
            f"{verdict} is an order, not a verdict: give it to comity audit run, and what that writes "
            "(--out) to verify"
        )
    found = verify_verdict(read, folder_of(folder))
    if order is not None and (wanted := _read_request(order).order.digest) != found.order.digest:
        raise VerificationFailed(
            f"the verdict is about the order {found.order.digest[:12]}, {order} is {wanted[:12]}: ask for "
            "the verdict on this one"
        )
    if json is not None:
        write_json({**found.to_dict(), "ok": found.ok}, json)
    if json != "-":
        for line in _said(found):
            print(line)
    return 0 if found.ok else VerificationFailed.exit_code


def _said(verdict: AuditVerdict) -> Iterator[str]:
    order = verdict.order
    fitting = sum(word == "fits" for word in verdict.words.values())
    by = "itself" if order.auditor == order.provider else f"'{order.auditor}'"
    yield f"'{order.provider}' was audited by {by} on {verdict.time[:10]}, order {order.digest[:12]}."
    yield f"{fitting} of {len(verdict.words)} answers fit the table of commitment {order.commitment[:16]}..."
    for plan, word in verdict.words.items():
        if word != "fits":
            yield f"  {plan[:12]} {word}"
    if order.auditor == order.provider:
        yield "It is the provider's own word, signed: an auditor who is shown the table could prove it wrong."


def _print_order(request: Request) -> None:
    order = request.order
    print(f"Order {order.digest[:12]} of '{order.party}', {order.time[:10]}: {len(order.plans)} answers of")
    print(f"'{order.provider}', to be computed again by '{order.auditor}' from the table of commitment")
    print(f"{order.commitment[:16]}...; only 'fits' or 'does not fit' for each answer leaves.")


def _print_found(found: Recomputed) -> None:
    for plan, faults in found.faults.items():
        for fault in faults:
            print(f"  {plan[:12]} does not fit: {fault}")
    bad = len(found.faults)
    print(f"{len(found.words) - bad} of {len(found.words)} answers fit the committed table.")
    if found.detectable is not None:
        print(f"A shift of all sums by {found.detectable:.2f} deviations of their noise would have shown.")


def _read_request(path: Path) -> Request:
    from comity.node.audits import Request
    from comity.node.card import read_json

    return Request.from_dict(read_json(path, "the order", largest=_LARGEST))


@contextmanager
def _own_state(own: PartyFolder, url: str | None) -> Iterator[State]:
    """The node's state."""
    from comity.node.state import State

    state = State.open(url or own.state_path)
    try:
        yield state
    finally:
        state.close()


@contextmanager
def _state(own: PartyFolder, url: str | None) -> Iterator[State | None]:
    """The node's state; None where no node has ever run here."""
    if url is None and not own.state_path.exists():
        yield None
        return
    with _own_state(own, url) as state:
        yield state
