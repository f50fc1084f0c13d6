"""Agreement: the signed, frozen statement of what is allowed, and how it is read and written.

What is signed is not the file but its meaning: the canonical JSON (RFC 8785) of everything but the
signatures. Layout, comments and the order of keys do not count; everything else does.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any, Self, TypeVar, overload

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, model_validator

from comity.agreement.architectures import Architectures
from comity.agreement.clause import Clause
from comity.agreement.contradictions import contradictions
from comity.agreement.data import DataTerms, Purpose
from comity.agreement.faults import bad_agreement, contradiction_error
from comity.agreement.layout import write_document
from comity.agreement.parties import Party, PartyRole, Signature
from comity.agreement.term import Heading, Term, fault
from comity.agreement.text import Document, shown
from comity.crypto.canonical import canonical_bytes
from comity.crypto.keys import SigningKey
from comity.errors import BadAgreement, BadInput, ClauseRefused

FORMAT = 1
_SIGNED = b"comity agreement\x00"
_HEADER = "# What is signed is the meaning of this text, not its layout, comments or order of keys.\n"

AnyClause = TypeVar("AnyClause", bound=Clause)

Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
"""An agreement's name: SHA-256 of its body, in hexadecimal."""


def _this_format(number: int) -> int:
    if number != FORMAT:
        raise fault(f"this file has format {number}; this version of comity reads format {FORMAT}")
    return number


def is_day(value: object) -> object:
    """A day as YYYY-MM-DD and nothing else: no times, no time zones, no seconds since 1970."""
    if isinstance(value, str):
        try:
            day = date.fromisoformat(value)
        except ValueError:
            day = None
        if day is None or day.isoformat() != value:
            raise fault("is not a day written as YYYY-MM-DD")
        return day
    if type(value) is not date:
        raise fault("is not a day written as YYYY-MM-DD")
    return value


def _by_party(signatures: tuple[Signature, ...]) -> tuple[Signature, ...]:
    """The order of signing means nothing."""
    return tuple(sorted(signatures, key=lambda entry: entry.party))


class Agreement(Term):
    """What the parties allow. Immutable; anything that contradicts itself cannot be constructed.

    `expires` is the last day on which it is in force, through its end in UTC. `replaces` is the digest of the
    agreement that this one takes the place of: from the last signature on, that one is no longer in force
    (`comity.agreement.standing`).
    """

    comity: Annotated[
        int, Field(strict=True, json_schema_extra={"const": FORMAT}), AfterValidator(_this_format)
    ]
    title: Heading
    parties: tuple[Party, ...]
    purpose: Purpose
    data: tuple[DataTerms, ...]
    architectures: Architectures
    expires: Annotated[date, BeforeValidator(is_day)]
    replaces: Digest | None = None
    signatures: Annotated[tuple[Signature, ...], AfterValidator(_by_party)] = ()

    @model_validator(mode="after")
    def _sound(self) -> Self:
        found = tuple(contradictions(self))
        if found:
            raise contradiction_error(found)
        canonical_bytes(self.to_dict())
        return self

    def body_bytes(self) -> bytes:
        """Canonical JSON (RFC 8785) of everything but the signatures."""
        body = self.to_dict()
        del body["signatures"]
        return canonical_bytes(body)

    def signed_bytes(self) -> bytes:
        """What a signature covers: the body under a prefix, so that no other signed thing can pass for it."""
        return _SIGNED + self.body_bytes()

    @property
    def digest(self) -> str:
        """SHA-256 of the body in hexadecimal: the agreement's name in ledgers and messages."""
        return hashlib.sha256(self.body_bytes()).hexdigest()

    def to_yaml(self) -> str:
        """The file form; `parse_agreement` reads it back as an equal agreement."""
        return _HEADER + write_document(self.to_dict())

    def sign(self, party: str, key: SigningKey) -> Agreement:
        """A copy that also holds this party's signature.

        Raises:
            ClauseRefused: if there is no such party.
            BadInput: if the key is not the one that the agreement names for it.
        """
        named = self.party(party)
        if key.verify_key != named.key:
            raise BadInput(
                f"the key given to sign with is not the one that the agreement names for party '{party}': "
                f"parties.{self.parties.index(named)}.key is {named.key}, this one is {key.verify_key}"
            )
        signature = base64.b64encode(key.sign(self.signed_bytes())).decode()
        others = [entry.to_dict() for entry in self.signatures if entry.party != party]
        return agreement_from(
            {**self.to_dict(), "signatures": [*others, {"party": party, "signature": signature}]}
        )

    def party(self, name: str) -> Party:
        """The party of this name.

        Raises:
            ClauseRefused: if there is none.
        """
        for party in self.parties:
            if party.name == name:
                return party
        raise ClauseRefused(
            f"'{shown(name)}' is not a party of the agreement",
            clause="parties",
            would_pass=", ".join(party.name for party in self.parties),
        )

    def by_role(self, role: PartyRole | str) -> tuple[Party, ...]:
        """The parties with this role, in the agreement's order."""
        return tuple(party for party in self.parties if party.role == role)

    def data_of(self, provider: str) -> DataTerms:
        """What the agreement says of this provider's data.

        Raises:
            ClauseRefused: if it says nothing.
        """
        for data in self.data:
            if data.provider == provider:
                return data
        raise ClauseRefused(
            f"the agreement has no data of '{shown(provider)}'",
            clause="data",
            would_pass=", ".join(data.provider for data in self.data),
        )

    @overload
    def clause(self, architecture: str) -> Clause: ...
    @overload
    def clause(self, architecture: type[AnyClause]) -> AnyClause: ...
    def clause(self, architecture: str | type[Clause]) -> Clause:
        """The clause of an architecture, by name or by its class (`agreement.clause(ValidationClause)`).

        Raises:
            ClauseRefused: if the agreement does not allow it, listing what it does allow.
        """
        name = architecture if isinstance(architecture, str) else architecture.architecture
        clause = self.architectures.get(name)
        if clause is None:
            raise ClauseRefused(
                f"the agreement does not allow the architecture '{shown(name)}'",
                clause=f"architectures.{shown(name)}",
                would_pass=", ".join(self.architectures.names),
            )
        return clause


def agreement_from(
    document: Mapping[str, Any], *, where: str = "the agreement", lines: Document | None = None
) -> Agreement:
    """An agreement from JSON values (mappings, lists, text, numbers, true, false), as the file has them.

    Raises:
        BadAgreement: naming the place of every fault.
    """
    try:
        text = canonical_bytes(document)
    except BadInput as error:
        raise BadAgreement(f"{where} is not a usable agreement: {error}") from None
    try:
        return Agreement.model_validate_json(text, strict=True)
    except ValidationError as error:
        raise bad_agreement(
            error, where=where, document=lines or Document(document, {}), model=Agreement
        ) from None
