"""Withdrawal: a party's signed statement that it no longer holds to an agreement.

Any party may withdraw, at any time and alone. From then on nobody opens a session or releases anything under
the agreement; what recipients must delete, and by when, are the agreement's retention terms
(`comity.agreement.retention`). The others can go on under a new agreement without that party.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from datetime import date as Day
from pathlib import Path
from typing import Annotated, Any, Self, cast

from pydantic import BeforeValidator, ValidationError

from comity.agreement.faults import bad_agreement
from comity.agreement.parties import SignatureText
from comity.agreement.term import Heading, PartyName, Term
from comity.agreement.terms import Agreement, Digest, is_day
from comity.agreement.text import Document
from comity.crypto.canonical import canonical_bytes
from comity.crypto.keys import SigningKey
from comity.errors import BadAgreement, BadInput

_SIGNED = b"comity withdrawal\x00"
_LARGEST = 65_536


class Withdrawal(Term):
    """A party's withdrawal from an agreement, signed by the key that the agreement names for it.

    Attributes:
        agreement: the agreement's digest.
        date: the day of signing, for people: a withdrawal counts from the moment a node holds it, whatever
            clocks say.
        reason: in the party's words; every party reads it.
        signature: base64 of 64 bytes (Ed25519) over `signed_bytes()`.
    """

    agreement: Digest
    party: PartyName
    date: Annotated[Day, BeforeValidator(is_day)]
    reason: Heading
    signature: SignatureText

    @classmethod
    def sign(cls, agreement: Agreement, party: str, key: SigningKey, *, reason: str, on: Day) -> Self:
        """A party's signed withdrawal.

        Raises:
            ClauseRefused: if there is no such party.
            BadInput: if the key is not the one that the agreement names for it, or the reason is blank.
        """
        named = agreement.party(party)
        if key.verify_key != named.key:
            raise BadInput(
                f"the key given to sign the withdrawal with is not the one that the agreement names for "
                f"'{party}': {named.key} is named, this one is {key.verify_key}"
            )
        body = {"agreement": agreement.digest, "party": party, "date": on.isoformat(), "reason": reason}
        signature = key.sign(_SIGNED + canonical_bytes(body))
        return cls.read({**body, "signature": base64.b64encode(signature).decode()}, where="the withdrawal")

    @classmethod
    def read(cls, data: Mapping[str, Any], *, where: str) -> Self:
        """A withdrawal from JSON values; the signature is not checked here.

        Raises:
            BadAgreement: naming the place of every fault.
        """
        try:
            return cls.model_validate_json(canonical_bytes(dict(data)), strict=True)
        except ValidationError as error:
            raise bad_agreement(
                error, where=where, document=Document(data, {}), model=cls, what="withdrawal"
            ) from None

    def signed_bytes(self) -> bytes:
        """What the signature covers: everything else, under a prefix of its own."""
        body = self.to_dict()
        del body["signature"]
        return _SIGNED + canonical_bytes(body)

    @property
    def digest(self) -> str:
        """SHA-256 of what is signed, as ledgers name it."""
        return hashlib.sha256(self.signed_bytes()).hexdigest()

    @property
    def file_name(self) -> str:
        """Its file's name in a party's `agreements/`."""
        return f"{self.agreement}.withdrawn-{self.party}.json"

    def to_json(self) -> str:
        """The file form."""
        return json.dumps(self.to_dict(), indent=2, ensure_ascii=False) + "\n"

    def verify(self, agreement: Agreement) -> None:
        """Check that it is about this agreement and by one of its parties.

        Raises:
            BadInput: if it is about another agreement.
            ClauseRefused: if it is by nobody of the parties.
            VerificationFailed: if the signature does not fit.
        """
        if self.agreement != agreement.digest:
            raise BadInput(
                f"this withdrawal is from the agreement {self.agreement[:12]}..., not from "
                f"{agreement.digest[:12]}... ('{agreement.title}')"
            )
        party = agreement.party(self.party)
        what = f"the withdrawal of '{self.party}' from '{agreement.title}'"
        party.key.verify(base64.b64decode(self.signature), self.signed_bytes(), what=what)


def read_withdrawal(path: Path) -> Withdrawal:
    """Read a withdrawal's file; the signature is not checked here.

    Raises:
        BadAgreement: if it is missing or holds no withdrawal.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(_LARGEST + 1)
    except FileNotFoundError:
        raise BadAgreement(f"the withdrawal {path} does not exist; check the path") from None
    except OSError as error:
        raise BadAgreement(f"the withdrawal {path} cannot be read: {error.strerror}") from None
    if len(raw) > _LARGEST:
        raise BadAgreement(f"the withdrawal {path} is larger than {_LARGEST:,} bytes; it is another file")
    try:
        data = json.loads(raw)
    except (ValueError, RecursionError):
        raise BadAgreement(f"the withdrawal {path} is not JSON") from None
    if not isinstance(data, dict):
        raise BadAgreement(f"the withdrawal {path} is not a JSON object")
    return Withdrawal.read(cast("dict[str, Any]", data), where=f"the withdrawal {path}")
