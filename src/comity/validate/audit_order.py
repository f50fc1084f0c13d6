"""The papers of an audit: the order that ML party and provider sign, and the verdict that the auditor signs.

The order names what is audited: the provider's commitment, the answers by their plans, the digest of the
messages that they came in, and who looks. Nothing is opened and nothing computed before both have signed it.
The verdict holds the order whole, so that it cannot be taken for that of another table or other answers, and
one word for each answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Final, Self

from comity.crypto.canonical import canonical_bytes, digest
from comity.crypto.keys import SigningKey, VerifyKey
from comity.errors import BadInput, VerificationFailed

FITS: Final = "fits"
DOES_NOT_FIT: Final = "does not fit"

_ORDER: Final = b"comity audit order 1\n"
_VERDICT: Final = b"comity audit verdict 1\n"
_MOST_PLANS: Final = 100_000


@dataclass(frozen=True)
class AuditOrder:
    """What both sides sign before anything is opened.

    Attributes:
        agreement: its digest.
        provider: whose answers are audited.
        party: the ML party that got them.
        auditor: who looks: the provider itself, or the auditor that the agreement names for its data.
        commitment: digest of the table that the answers' receipts name, in hexadecimal.
        plans: the audited questions' names in the provider's ledger.
        evidence: digest of the messages that go with the order (`comity.node.audit_evidence`).
        time: when the ML party wrote it, UTC (ISO 8601).
    """

    agreement: str
    provider: str
    party: str
    auditor: str
    commitment: str
    plans: tuple[str, ...]
    evidence: str
    time: str

    @property
    def digest(self) -> str:
        """The order's name, over everything in it."""
        return digest(self.to_dict())

    def sign(self, key: SigningKey) -> bytes:
        """One side's consent."""
        return key.sign(self._bytes())

    def verify(self, signatures: Mapping[str, bytes], keys: Mapping[str, VerifyKey]) -> None:
        """Check that every side has consented.

        Args:
            signatures, keys: by party; every party in `keys` has to have signed.

        Raises:
            VerificationFailed: naming the party that has not.
        """
        for party, key in keys.items():
            if party not in signatures:
                raise VerificationFailed(f"'{party}' has not consented to this audit")
            key.verify(signatures[party], self._bytes(), what=f"the consent of '{party}' to the audit")

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {**vars(self), "plans": list(self.plans)}

    @classmethod
    def from_dict(cls, document: object) -> Self:
        """Read the JSON form.

        Raises:
            BadInput: if it is no order.
        """
        values = _only(document, "an audit's order", {field.name for field in fields(cls)})
        plans = values["plans"]
        if not isinstance(plans, list) or not 1 <= len(plans) <= _MOST_PLANS:
            raise BadInput(f"an audit's order names between 1 and {_MOST_PLANS:,} plans")
        texts = [value for name, value in values.items() if name != "plans"]
        if not all(isinstance(text, str) for text in (*texts, *plans)):
            raise BadInput("everything in an audit's order is text")
        return cls(**{**values, "plans": tuple(plans)})

    def _bytes(self) -> bytes:
        return _ORDER + canonical_bytes(self.to_dict())


@dataclass(frozen=True)
class AuditVerdict:
    """What leaves an audit.

    Attributes:
        order: what was asked.
        consents: signatures under the order, of ML party and provider, by party.
        words: by plan, `fits` or `does not fit`.
        time: when it was made, UTC (ISO 8601).
        signature: the auditor's, over all of it.
    """

    order: AuditOrder
    consents: Mapping[str, bytes]
    words: Mapping[str, str]
    time: str
    signature: bytes

    @classmethod
    def sign(
        cls,
        key: SigningKey,
        order: AuditOrder,
        consents: Mapping[str, bytes],
        words: Mapping[str, str],
        *,
        time: str,
    ) -> Self:
        """The auditor's verdict."""
        signature = key.sign(_VERDICT + canonical_bytes(_facts(order, consents, words, time)))
        return cls(order, dict(consents), dict(words), time, signature)

    @property
    def ok(self) -> bool:
        """Whether every answer fits."""
        return all(word == FITS for word in self.words.values())

    def verify(self, keys: Mapping[str, VerifyKey]) -> None:
        """Check that it is about this order, that both sides had consented, and that the auditor signed it.

        Args:
            keys: of provider, ML party and auditor, by party, from the agreement.

        Raises:
            VerificationFailed: naming what does not fit.
        """
        order = self.order
        self.order.verify(self.consents, {name: keys[name] for name in (order.party, order.provider)})
        facts = _facts(order, self.consents, self.words, self.time)
        what = f"the verdict of '{order.auditor}'"
        keys[order.auditor].verify(self.signature, _VERDICT + canonical_bytes(facts), what=what)
        if set(self.words) != set(order.plans):
            raise VerificationFailed(f"{what} is about other answers than its order")

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        facts = _facts(self.order, self.consents, self.words, self.time)
        return {**facts, "signature": self.signature.hex()}

    @classmethod
    def from_dict(cls, document: object) -> Self:
        """Read the JSON form; signatures are not checked here.

        Raises:
            BadInput: if it is no verdict.
        """
        values = _only(document, "an audit's verdict", {"order", "consents", "words", "time", "signature"})
        words, consents = values["words"], values["consents"]
        if not isinstance(words, Mapping) or any(word not in (FITS, DOES_NOT_FIT) for word in words.values()):
            raise BadInput(f"an audit's verdict says '{FITS}' or '{DOES_NOT_FIT}' of each answer")
        if not isinstance(consents, Mapping) or not isinstance(values["time"], str):
            raise BadInput("an audit's verdict has consents by party, and a time")
        signatures = {str(party): hexadecimal(text) for party, text in consents.items()}
        order = AuditOrder.from_dict(values["order"])
        return cls(order, signatures, dict(words), values["time"], hexadecimal(values["signature"]))


def hexadecimal(text: object) -> bytes:
    """The bytes of a signature in one of these papers.

    Raises:
        BadInput: if it is not hexadecimal.
    """
    try:
        return bytes.fromhex(text if isinstance(text, str) else "-")
    except ValueError:
        raise BadInput("a signature in an audit's papers is hexadecimal") from None


def _only(document: object, what: str, names: set[str]) -> dict[str, Any]:
    if not isinstance(document, Mapping) or set(document) != names:
        raise BadInput(f"{what} has {', '.join(sorted(names))} and nothing else")
    return dict(document)


def _facts(
    order: AuditOrder, consents: Mapping[str, bytes], words: Mapping[str, str], time: str
) -> dict[str, Any]:
    signed = {party: signature.hex() for party, signature in consents.items()}
    return {"order": order.to_dict(), "consents": signed, "words": dict(words), "time": time}
