"""A provider's end of `homomorphic`: encrypt rows, wait, open the scores and keep them."""

from __future__ import annotations

import hashlib
from typing import Any

from comity.architectures.definition import Seat
from comity.architectures.exchange import account_of, raise_refusal, receive_query, send_answer
from comity.architectures.models import keep_scores
from comity.crypto.ckks_parameters import PARAMETERS
from comity.data.table import Table
from comity.errors import BadInput, BadTable, ClauseRefused, MissingExtra, PartyFailed
from comity.gate import refusal_of
from comity.ledger import PrivacyUnit
from comity.plan import Outcome, Plan
from comity.train.homomorphic.columns import PublicColumns
from comity.train.homomorphic.model import ModelKind
from comity.train.homomorphic.precision import Precision
from comity.train.homomorphic.scoring import (
    EncryptedRows,
    EncryptedScores,
    ProviderKey,
    blocks_of,
    encrypt_rows,
    open_scores,
    parts_of,
    require_answer,
)
from comity.wire import Channel, Kind

ROWS, SCORES = "encrypted-rows", "encrypted-scores"
LINEAR = "linear-scores"
CLAUSE = "homomorphic"
BYTES_PER_COLUMN = 131_300
"""Of one ciphertext that is sent, nearly."""
BYTES_PER_ANSWER = 262_300
"""Of one ciphertext that comes back, which tells some 200 scores."""
MOST_BYTES = 1_000_000_000
"""Of all ciphertexts of a message; a node takes messages of up to 1 GiB."""


def agreed_precision(seat: Seat) -> Precision:
    """What the clause says of flooding and errors, the same at both ends.

    Raises:
        ClauseRefused: if the clause asks for more than the encryption has room for.
    """
    clause: Any = seat.agreement.clause(CLAUSE)
    try:
        return Precision.of(flooding_bits=clause.flooding_bits, error=clause.score_error)
    except BadInput as error:
        raise ClauseRefused(
            str(error),
            clause=f"architectures.{CLAUSE}.flooding_bits",
            asked=f"{clause.flooding_bits} bits",
            would_pass="fewer bits of flooding, or a smaller score_error",
        ) from None


def provider(seat: Seat, channel: Channel) -> dict[str, Any]:
    """Have this provider's rows scored; the scores go nowhere."""
    invitation = receive_query(channel, seat.ml_party, ROWS)
    columns = PublicColumns.of(seat.task.schema, seat.task.features)
    key = _own_key(seat, channel)
    sent = _send_rows(seat, channel, columns, key, dict(invitation.body))
    answer = _received(seat, channel, sent)
    opened = open_scores(key, answer)
    _keep(seat, answer.kind, opened.linear, opened.probabilities)
    return {
        "rows_used": None,
        "own_rows": 0,
        "rows_scored": sent.rows,
        "columns": sent.width,
        "score_error": opened.error,
        "flooding_bits": answer.precision.flooding_bits,
        "bits_per_score": answer.precision.bits_per_score,
        "scores_per_ciphertext": answer.precision.scores_per_ciphertext,
        "told_beyond": answer.precision.distance(sent.rows),
        "ciphertext_bytes": sent.ciphertext_bytes + len(sent.public),
    }


def _own_key(seat: Seat, channel: Channel) -> ProviderKey:
    """A key pair for this run.

    Raises:
        MissingExtra: after whoever waits has been told.
    """
    try:
        return ProviderKey()
    except MissingExtra as error:
        channel.send(seat.ml_party, refusal_of(error, topic=ROWS))
        raise


def _send_rows(
    seat: Seat, channel: Channel, columns: PublicColumns, key: ProviderKey, asked: dict[str, Any]
) -> EncryptedRows:
    """Encrypt and send; what was sent, without the rows."""
    name = _to_be_scored(seat)
    count = _counted(seat, channel, name)
    _require_room(seat, channel, count, len(columns.labels))
    made: list[EncryptedRows] = []

    def run() -> Outcome:
        rows = Table(seat.table(name, columns=seat.task.features))
        made.append(encrypt_rows(key, columns.matrix(rows)))
        body, parts = made[0].to_message()
        return Outcome(body=body, parts=parts)

    plan = Plan(
        architecture=CLAUSE,
        purpose=f"{count:,} encrypted rows of {seat.party}'s to be scored, which only {seat.party} can open",
        recipient=seat.ml_party,
        topic=ROWS,
        # the key is new in each run: so each run counts against the clause's queries
        request={"asked": asked, "rows": count, "key": hashlib.sha256(key.pair.public).hexdigest()},
        asks={"scheme": "ckks"},
        account=account_of(seat, unit=PrivacyUnit.record),
        cost=None,
        run=run,
        sealed=True,
        own_key=True,
        queries=count,
    )
    send_answer(seat, channel, plan)
    if not made:
        raise PartyFailed("the key of rows that were sent before a restart is gone: start the run again")
    return made[0]


def _counted(seat: Seat, channel: Channel, name: str) -> int:
    """How many rows a table has.

    Raises:
        BadInput: if there is none, or none that can be read, after whoever waits has been told.
    """
    import pyarrow.parquet as pq

    try:
        try:
            return pq.read_metadata(seat.require_table(name)).num_rows
        except (OSError, ValueError) as error:
            raise BadTable(f"the table '{name}' cannot be read: {error}") from error
    except BadInput as error:
        channel.send(seat.ml_party, refusal_of(error, topic=ROWS))
        raise


def _require_room(seat: Seat, channel: Channel, rows: int, columns: int) -> None:
    """One message has to hold all ciphertexts, on the way there and on the way back.

    Raises:
        BadInput: after whoever waits has been told.
    """
    answers = sum(map(len, parts_of(rows, Precision())))
    size = max(blocks_of(rows) * columns * BYTES_PER_COLUMN, answers * BYTES_PER_ANSWER)
    if size <= MOST_BYTES:
        return
    error = BadInput(
        f"{rows:,} rows of {columns} columns make {size / 1e9:.1f} GB of ciphertexts, and at most "
        f"{MOST_BYTES / 1e9:.1f} GB can be sent: have fewer rows scored at a time"
    )
    channel.send(seat.ml_party, refusal_of(error, topic=ROWS))
    raise error


def _to_be_scored(seat: Seat) -> str:
    """The table whose rows are scored: the pilot's `probe`, or a node's own."""
    return "probe" if (seat.folder / "tables" / "probe.parquet").is_file() else "train"


def _received(seat: Seat, channel: Channel, sent: EncryptedRows) -> EncryptedScores:
    """The ML party's answer.

    Raises:
        ClauseRefused: if it refused, with its words.
        BadInput, PartyFailed: if it sent something else.
    """
    message = channel.receive(seat.ml_party)
    raise_refusal(message)
    if message.kind is not Kind.query or message.topic != SCORES:
        raise PartyFailed(
            f"'{seat.ml_party}' sent a {message.kind} about '{message.topic[:40]}' where scores were due"
        )
    answer = EncryptedScores.from_message(message.body, message.parts)
    require_answer(answer, sent, agreed_precision(seat))
    if answer.kind is not ModelKind.logistic:
        raise BadInput(f"'{seat.ml_party}' answered with a {answer.kind} model where a logistic one was due")
    return answer


def _keep(seat: Seat, kind: ModelKind, linear: Any, probabilities: Any) -> None:
    import pyarrow as pa

    seat.keep(LINEAR, pa.table({"score": pa.array(linear)}))
    keep_scores(seat, {kind.value: probabilities})


def invitation_of(seat: Seat, columns: PublicColumns) -> dict[str, Any]:
    """What the ML party asks for: public facts."""
    return {
        "features": list(seat.task.features),
        "columns": len(columns.labels),
        "parameters": PARAMETERS.to_dict(),
    }
