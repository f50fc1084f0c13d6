"""What `comity agree sign` and `merge` look at before and after a signature."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from comity.errors import BadInput

if TYPE_CHECKING:
    from comity.agreement import Agreement
    from comity.node.folder import PartyFolder


def check_before_signing(own: PartyFolder, agreement: Agreement, on: date) -> list[str]:
    """Refuse to sign what this party should not; return what it should know.

    Raises:
        ClauseRefused: if it is no party of the agreement, or the agreement has expired or ended.
        BadInput: if the agreement names another key for a party than its card has, or replaces one that has
            been replaced already.
    """
    from comity.agreement import State

    named = agreement.party(own.name)
    if named.key != own.verify_key:
        raise BadInput(
            f"the agreement names another key for '{own.name}' than this folder has: {named.key}, here "
            f"{own.verify_key}; draft it anew with the present card"
        )
    stands = own.standing(agreement, on)
    if stands.state not in (State.in_force, State.unsigned):
        stands.check()
    if agreement.expires < on:
        raise BadInput(
            f"the agreement's last day is {agreement.expires.isoformat()}, which is over: set another"
        )
    notes: list[str] = []
    cards = own.peers()
    for party in agreement.parties:
        card = cards.get(party.name)
        if party.name != own.name and card is None:
            notes.append(
                f"note: there is no card of '{party.name}' here: whether {party.key} is its key is not known"
            )
        elif card is not None and card.key != party.key:
            raise BadInput(
                f"the agreement names another key for '{party.name}' ({party.key}) than its card has "
                f"({card.key}): ask that party which is right before you sign"
            )
    return notes + _about_replaced(own, agreement, on)


def _about_replaced(own: PartyFolder, agreement: Agreement, on: date) -> list[str]:
    from comity.agreement import State

    if agreement.replaces is None:
        return []
    older = own.agreements().get(agreement.replaces)
    if older is None:
        return [
            f"note: the agreement {agreement.replaces[:12]}... that this replaces is not kept here: "
            "what has changed is not known"
        ]
    stands = own.standing(older, on)
    if stands.state is State.replaced and stands.by != agreement.digest:
        raise BadInput(
            f"'{older.title}' ({older.digest[:12]}...) has been replaced already by {stands.by[:12]}...: "
            "amend that one instead"
        )
    return []


def said_of_replaced(own: PartyFolder, agreement: Agreement) -> list[str]:
    """What the agreement changes in the one that it replaces, if that is kept here."""
    from comity.agreement import differences

    older = None if agreement.replaces is None else own.agreements().get(agreement.replaces)
    if older is None:
        return []
    changed = [place for place in differences(older, agreement) if place != "replaces"]
    said = f"It replaces '{older.title}' ({older.digest[:12]}...) and changes: {', '.join(changed)}"
    return ["", said, *about_budgets(older, agreement)]


def about_budgets(older: Agreement, newer: Agreement) -> list[str]:
    """A budget is for its data's lifetime: what a change of it in a newer agreement comes to."""
    before = {(data.provider, data.lineage): data.budget for data in older.data}
    return [
        f"note: the budget of '{data.provider}' for '{data.lineage}' was agreed for that data's lifetime: "
        "once something has been charged to it, its ledger refuses another one"
        for data in newer.data
        if before.get((data.provider, data.lineage), data.budget) != data.budget
    ]


def note_replaced(
    own: PartyFolder, agreement: Agreement, ledger: str | None, passphrase_file: Path | None
) -> None:
    """Once a replacement is signed by all, write into the ledger that the older agreement has ended."""
    from comity.agreement import replaces
    from comity.cli.agree_files import folder_with_key, open_ledger, today
    from comity.node.retention import note_end

    older = None if agreement.replaces is None else own.agreements().get(agreement.replaces)
    if older is None or not replaces(agreement, older):
        return
    keyed = folder_with_key(own.path, passphrase_file)
    with open_ledger(keyed, ledger) as book:
        note_end(keyed, older, book, on=today())
