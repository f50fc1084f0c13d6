"""A provider in `mediated-release`: de-identifies its table and seals it to the mediator, piece by piece.

Identifiers are dropped. In their place stands, where the agreement lets the mediator link, one token for each
other provider, made with a key that only the two of them have.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from comity.architectures.direct_release import examined, master_key, read_hierarchies, schema_with_id
from comity.architectures.exchange import account_of, receive_query, send_answer
from comity.architectures.mediated_pieces import PIECE_BYTES, Candidate, serve_pieces
from comity.architectures.mediated_terms import (
    ASK,
    NAME,
    TABLE,
    Terms,
    candidate_folder,
    mediator_of,
    sealing_purpose,
    token_column,
)
from comity.crypto.sealed import seal_to
from comity.data.ipc import table_to_bytes
from comity.data.table import Table
from comity.errors import BadInput, Withheld
from comity.ledger import PrivacyUnit
from comity.plan import Outcome, Plan, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

    from comity.architectures.definition import Seat
    from comity.wire import Channel

_PLAIN = "protected.parquet"
_MANIFEST = "manifest.json"


def provider(seat: Seat, channel: Channel) -> dict[str, Any]:
    """Answer the mediator: through the gate, then piece by piece."""
    mediator = mediator_of(seat)
    receive_query(channel, mediator, ASK)
    seat.require_table("train")
    terms = Terms.of(seat)
    request = terms.request(seat)
    protector = _Protector(seat, terms, Candidate(candidate_folder(seat, request), seat.agreement.to_yaml()))
    plan = Plan(
        architecture=NAME,
        purpose=f"hand a table of {seat.party}, {terms.promise}, sealed to the mediator",
        recipient=mediator,
        topic=TABLE,
        request=request,
        asks=terms.asks,
        account=account_of(seat, unit=PrivacyUnit.record),
        cost=None,
        run=protector.run,
        check=protector.check,
        sealed=True,
    )
    try:
        send_answer(seat, channel, plan)
    except Withheld:
        protector.candidate.discard()
        raise
    serve_pieces(seat, channel, plan, protector.candidate)
    return {"rows_used": protector.rows}


class _Protector:
    """Makes the candidate, and checks it as it lies in this provider's own folder, before it was sealed."""

    def __init__(self, seat: Seat, terms: Terms, candidate: Candidate) -> None:
        self._seat = seat
        self._terms = terms
        self.candidate = candidate

    @property
    def rows(self) -> int:
        import pyarrow.parquet as pq

        return pq.read_metadata(self.candidate.folder / _PLAIN).num_rows

    def run(self) -> Outcome:
        """The candidate, as it was made once."""
        if self.candidate.complete:
            return self.candidate.outcome()
        import pyarrow.parquet as pq

        from comity.deidentify.release.candidate import protect

        seat, terms = self._seat, self._terms
        master = master_key(seat.folder / "pseudonyms.key")
        own = master.for_recipient(
            str(seat.agreement.party(mediator_of(seat)).key),
            lineage=seat.agreement.data_of(seat.party).lineage,
        )
        raw = Table(seat.table("train"), f"the table of {seat.party}")
        protected = protect(
            raw,
            schema_with_id(seat.task),
            k=terms.k,
            l=terms.l,
            t=terms.t,
            suppression=terms.suppression,
            hierarchies=read_hierarchies(seat),
            recipient_key=own,
            pseudonyms=[seat.task.id],  # to find each released row's record again; none of them leaves
            measure_model=False,  # the pilot measures the model that the ML party trains
        )
        records = raw.strings(seat.task.id)
        place = {name: at for at, name in enumerate(own.pseudonyms(records, domain=seat.task.id))}
        rows = [place[name] for name in protected.table.strings(seat.task.id)]
        plain = protected.table.drop([seat.task.id]).arrow
        self.candidate.begin()
        pq.write_table(plain, self.candidate.folder / _PLAIN)
        manifest = json.dumps(protected.manifest).encode()
        (self.candidate.folder / _MANIFEST).write_bytes(manifest)
        self._seal(self._with_tokens(plain, raw, rows))
        return self.candidate.finish({}, {"manifest": self._sealed(manifest, "manifest")})

    def _with_tokens(self, plain: pa.Table, raw: Table, rows: list[int]) -> pa.Table:
        """The table with a column of tokens for each party that its rows may be linked with.

        Args:
            rows: which row of the raw table each row is.
        """
        import pyarrow as pa

        from comity.link import TOKEN_BYTES, LinkageKey

        seat, terms = self._seat, self._terms
        columns: list[tuple[str, str, str]] = []
        if terms.linked:
            others = [name for name in seat.providers if name != seat.party]
            columns += [(name, seat.task.id, "record") for name in others]
        if terms.reference is not None:
            columns.append((seat.ml_party, terms.reference.key, "reference"))
        for party, column, use in columns:
            if column not in raw:
                raise BadInput(f"the table of '{seat.party}' has no column '{column}' to link by")
            key = LinkageKey.between(
                seat.key, seat.agreement.party(party).key, agreement=seat.agreement.digest, use=use
            )
            values = raw.strings(column)
            tokens = pa.array(key.tokens(values[row] for row in rows), pa.binary(TOKEN_BYTES))
            plain = plain.append_column(token_column(party), tokens)
        return plain

    def _seal(self, table: pa.Table) -> None:
        for number, part in enumerate(_parts(table)):
            self.candidate.add(self._sealed(table_to_bytes(part), f"piece {number}"))

    def _sealed(self, data: bytes, what: str) -> bytes:
        seat = self._seat
        recipient = seat.agreement.party(mediator_of(seat)).key
        return seal_to(recipient, data, purpose=sealing_purpose(seat, seat.party, what))

    def check(self, outcome: Outcome) -> Verdict:
        """What was sealed, read back from before it was."""
        import pyarrow.parquet as pq

        folder = self.candidate.folder
        manifest = json.loads((folder / _MANIFEST).read_bytes())
        names = list(manifest["quasi_identifiers"])
        return examined(self._seat, pq.read_table(folder / _PLAIN), names, l=self._terms.l, t=self._terms.t)


def _parts(table: pa.Table) -> Iterator[pa.Table]:
    """Slices of the table of about `PIECE_BYTES` each."""
    step = max(1, table.num_rows * PIECE_BYTES // max(1, table.nbytes))
    for start in range(0, table.num_rows, step):
        yield table.slice(start, step)
