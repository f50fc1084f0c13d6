"""The mediator in `mediated-release`: takes in every provider's table and lets the union through its gate.

Its own gate and ledger charge every provider's account for the one release of the union, beside each
provider's own charge for what it handed over.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from comity.architectures.exchange import receive_query, send_answer, send_query
from comity.architectures.mediated_check import examine_union
from comity.architectures.mediated_incoming import take_in
from comity.architectures.mediated_pieces import Candidate, serve_pieces
from comity.architectures.mediated_reference import PART, opened_reference
from comity.architectures.mediated_terms import ASK, NAME, RELEASE, Terms, candidate_folder
from comity.architectures.mediated_union import Union
from comity.errors import BadTable, Withheld
from comity.ledger import Account, PrivacyUnit
from comity.plan import Outcome, Plan, Verdict

if TYPE_CHECKING:
    from comity.architectures.definition import Seat
    from comity.wire import Channel, Message


def mediator(seat: Seat, channel: Channel) -> dict[str, Any]:
    """Ask every provider, then answer the ML party: through the gate, then piece by piece."""
    opening = receive_query(channel, seat.ml_party, ASK)
    terms = Terms.of(seat)
    for name in seat.providers:
        send_query(channel, name, ASK, {}, {})
    folder = seat.session / "incoming"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    try:
        return _release(seat, channel, terms, opening, folder)
    finally:
        # the providers' tables are kept no longer than it takes to make the union
        shutil.rmtree(folder, ignore_errors=True)


def _release(seat: Seat, channel: Channel, terms: Terms, opening: Message, folder: Path) -> dict[str, Any]:
    joined = opened_reference(seat, terms, opening.parts.get(PART))
    incoming = {name: take_in(seat, channel, name, terms, folder) for name in seat.providers}
    union = Union(seat, terms, incoming, joined, folder / "work")
    request = terms.request(seat)
    maker = _Maker(union, terms, Candidate(candidate_folder(seat, request), seat.agreement.to_yaml()))
    first, *others = [
        Account(provider=name, lineage=seat.agreement.data_of(name).lineage, unit=PrivacyUnit.record)
        for name in seat.providers
    ]
    plan = Plan(
        architecture=NAME,
        purpose=f"release the union of {len(seat.providers)} providers' tables, {terms.promise}, the origin "
        f"t-close with t = {terms.origin_t:g}",
        recipient=seat.ml_party,
        topic=RELEASE,
        request=request,
        asks=terms.asks,
        account=first,
        also=tuple(others),
        cost=None,
        run=maker.run,
        check=maker.check,
    )
    try:
        send_answer(seat, channel, plan)
    except Withheld:
        maker.candidate.discard()
        raise
    serve_pieces(seat, channel, plan, maker.candidate)
    rows = maker.candidate.outcome().body["manifest"]["rows"]["released"]
    return {"rows_used": rows, "candidate": maker.candidate.folder.name}


class _Maker:
    """Makes the candidate and checks it; what cannot be made fails its check."""

    def __init__(self, union: Union, terms: Terms, candidate: Candidate) -> None:
        self._union = union
        self._terms = terms
        self._why_not = ""
        self.candidate = candidate

    def run(self) -> Outcome:
        """The candidate, as it was made once; an empty outcome where no levels satisfy the models."""
        if not self.candidate.complete:
            try:
                self._union.make(self.candidate)
            except BadTable as error:
                self._why_not = str(error)
                return Outcome(body={"pieces": []})
        return self.candidate.outcome()

    def check(self, outcome: Outcome) -> Verdict:
        """Examined from the bytes that would leave."""
        if self._why_not:
            return Verdict(passed=False, reason=self._why_not)
        names = list(outcome.body["manifest"]["quasi_identifiers"])
        return examine_union(self.candidate, names, self._union.models, self._terms)
