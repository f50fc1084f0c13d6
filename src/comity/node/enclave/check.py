"""Before a session: every mediator that the agreement wants attested has shown what it runs.

Each party asks for itself, with a question of its own, so that an old quote does not pass; and each one
trusts its own root: the file `attestation.yaml` in its folder, `{root: FILE, quoting_enclave: HEX}`, names a
root certificate that its operator got from the processor's maker. Nothing is fetched from there.
"""

from __future__ import annotations

import base64
import binascii
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from comity.architectures import find
from comity.crypto.attestation import (
    INTEL_QUOTING_ENCLAVE,
    Anchor,
    bound_data,
    new_question,
    verify_quote,
)
from comity.errors import BadInput, ClauseRefused, PartyFailed, VerificationFailed

if TYPE_CHECKING:
    from comity.agreement import Agreement
    from comity.agreement.parties import Party
    from comity.node.card import Card
    from comity.node.enclave.quotes import QuoteSource
    from comity.node.folder import PartyFolder

ANCHOR_FILE: Final = "attestation.yaml"
_PAUSE_S: Final = 2.0

Ask = Callable[["Card", bytes], bytes]
"""Gets a quote from a party's node for a question."""


class Attestations:
    """What this party demands of mediators, and what it can show itself."""

    def __init__(self, folder: PartyFolder, quotes: QuoteSource | None, ask: Ask | None = None) -> None:
        """
        Args:
            quotes: of the enclave that this node runs in; None outside one.
            ask: how quotes are got from others; over HTTPS by default.
        """
        self._folder = folder
        self._quotes = quotes
        self._ask = ask or self._over_https

    def own(self, question: bytes) -> bytes:
        """A quote of this node, bound to its party's key.

        Raises:
            VerificationFailed: outside an enclave.
        """
        if self._quotes is None:
            raise VerificationFailed("this node does not run in an enclave")
        return self._quotes.quote(bound_data(self._folder.key.verify_key, question))

    def require(self, agreement: Agreement, architecture: str, *, patience_s: float = 0.0) -> None:
        """Check all mediators that take part in an architecture.

        Args:
            patience_s: how long to go on asking a node that does not answer.

        Raises:
            ClauseRefused: if one does not prove what the agreement demands.
            PartyFailed: if one does not answer.
        """
        for party in agreement.parties:
            if party.attested is None or party.role not in find(architecture).programs:
                continue
            try:
                self._check(party, party.attested.measurement, patience_s)
            except (VerificationFailed, BadInput) as error:
                raise ClauseRefused(
                    f"'{party.name}' has not proved that it runs in the enclave that the agreement names: "
                    f"{error}",
                    clause=f"parties.{party.name}.attested",
                    would_pass="a mediator in that enclave, or an agreement without 'attested'",
                ) from None

    def _check(self, party: Party, measurement: str, patience_s: float) -> None:
        question = new_question()
        if party.name == self._folder.name:
            # its own word is worth nothing to the others, who ask for themselves; it must have one to give
            self.own(question)
            return
        anchor = read_anchor(self._folder)
        card = self._folder.peers().get(party.name)
        if card is None:
            raise BadInput("this party has no card of it to ask it by (comity party add)")
        quote = self._asked(card, question, patience_s)
        data = bound_data(party.key, question)
        verify_quote(quote, anchor, measurement=measurement, data=data, on=datetime.now(UTC))

    def _asked(self, card: Card, question: bytes, patience_s: float) -> bytes:
        deadline = time.monotonic() + patience_s
        while True:
            try:
                return self._ask(card, question)
            except PartyFailed:
                if time.monotonic() >= deadline:
                    raise
            time.sleep(_PAUSE_S)

    def _over_https(self, card: Card, question: bytes) -> bytes:
        from comity.node.orders import call

        answer = call(self._folder, card, "GET", f"/attestation/{question.hex()}")
        quote = answer.body.get("quote")
        if answer.status != 200 or not isinstance(quote, str):
            raise VerificationFailed("its node shows no quote")
        try:
            return base64.b64decode(quote, validate=True)
        except (ValueError, binascii.Error):
            raise VerificationFailed("what its node shows is no quote") from None


def read_anchor(folder: PartyFolder) -> Anchor:
    """The root that this party trusts quotes by.

    Raises:
        BadInput: if the file is not there or cannot be used.
    """
    import yaml

    path = folder.path / ANCHOR_FILE
    try:
        found: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError, UnicodeDecodeError):
        raise BadInput(
            f"this party has no usable {ANCHOR_FILE} in its folder: it names the root certificate that "
            "quotes have to lead to, as in {root: sgx-root.pem}"
        ) from None
    if not isinstance(found, dict) or "root" not in found or set(found) - {"root", "quoting_enclave"}:
        raise BadInput(f"{ANCHOR_FILE} has root (a file) and, if not Intel's, quoting_enclave; nothing else")
    try:
        certificate = (path.parent / str(found["root"])).read_bytes()
    except OSError:
        raise BadInput(f"the root certificate that {ANCHOR_FILE} names cannot be read") from None
    return Anchor.of(certificate, str(found.get("quoting_enclave", INTEL_QUOTING_ENCLAVE)))
