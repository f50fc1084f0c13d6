"""Who takes part, with which key, and what they have signed."""

from __future__ import annotations

import base64
import binascii
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, Field, PlainSerializer, PlainValidator, WithJsonSchema

from comity.agreement.term import PartyName, Term, fault
from comity.crypto.keys import VerifyKey
from comity.errors import BadInput

_SIGNATURE_BYTES = 64


class PartyRole(StrEnum):
    """What a party does under an agreement.

    An `auditor` takes part in no architecture; a provider's data entry may name it (`DataTerms.auditor`).
    """

    provider = "provider"
    ml_party = "ml_party"
    mediator = "mediator"
    auditor = "auditor"


def _parse_key(value: object) -> VerifyKey:
    if isinstance(value, VerifyKey):
        return value
    if not isinstance(value, str):
        raise fault('a key is text in quotes: "ed25519:..."')
    try:
        return VerifyKey.parse(value)
    except BadInput as error:
        raise fault(str(error)) from None


PublicKey = Annotated[
    VerifyKey,
    PlainValidator(_parse_key),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string", "pattern": "^ed25519:[A-Za-z0-9_-]{43}$"}),
]


class Attested(Term):
    """That a party shows, before every session, that its node runs in an enclave.

    `measurement` is MRENCLAVE, 32 bytes in hexadecimal: of the enclave's code and first data. Whoever signs
    the agreement has to know what code that is.
    """

    measurement: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Party(Term):
    """An organisation with a key, which signs the agreement, its messages and its TLS certificate.

    `attested`, at a mediator: its node has to prove what it runs, or no session with it is opened.
    """

    name: PartyName
    role: PartyRole
    key: PublicKey
    attested: Attested | None = None


def _is_signature(text: str) -> str:
    try:
        raw = base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        raise fault("is not base64") from None
    if len(raw) != _SIGNATURE_BYTES or base64.b64encode(raw).decode() != text:
        raise fault(f"is not {_SIGNATURE_BYTES} bytes in the one canonical base64 form")
    return text


SignatureText = Annotated[str, Field(max_length=88), AfterValidator(_is_signature)]
"""64 bytes in the one canonical base64 form."""


class Signature(Term):
    """One party's Ed25519 signature (RFC 8032), 64 bytes in base64, over `Agreement.signed_bytes()`."""

    party: PartyName
    signature: SignatureText

    @property
    def raw(self) -> bytes:
        return base64.b64decode(self.signature)
