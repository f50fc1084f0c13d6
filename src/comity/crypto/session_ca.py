"""Certificates for an engine's own connections: a short-lived authority per party and session.

An engine (SPU) opens connections of its own, which mutual TLS alone would not bind to anybody: it takes every
certificate that some authority in its store has signed. So each party is its own authority, for one session:
its Ed25519 agreement key signs a root certificate (X.509, RFC 5280, with Ed25519 after RFC 8410) that names
the party and the session, and that root signs one certificate for a key that is made for the session and
never written down. The others check the root against the agreement (`SessionCertificate.verify`) and put
nothing else into the engine's store. No authority exists that could speak for two parties, a leaf of another
session has another root, and the agreement key itself never reaches the engine.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Self

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from comity.crypto.canonical import digest
from comity.crypto.keys import SigningKey, VerifyKey
from comity.errors import VerificationFailed

LIFETIME: Final = timedelta(hours=24)
BACKDATED: Final = timedelta(hours=1)  # so that a peer whose clock is behind takes it at once


@dataclass(frozen=True)
class SessionCertificate:
    """What the others get of a party: its root for the session, and the leaf that its engine shows (DER)."""

    root: bytes
    leaf: bytes

    def to_dict(self) -> dict[str, str]:
        return {"root": base64.b64encode(self.root).decode(), "leaf": base64.b64encode(self.leaf).decode()}

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Self:
        """Read the JSON form; `verify` checks it.

        Raises:
            VerificationFailed: if it is none.
        """
        try:
            if set(document) != {"root", "leaf"}:
                raise ValueError
            return cls(*(base64.b64decode(document[name], validate=True) for name in ("root", "leaf")))
        except (TypeError, ValueError, binascii.Error):
            raise VerificationFailed("a session certificate cannot be read") from None

    @property
    def root_pem(self) -> bytes:
        """For the trust stores of the others."""
        return x509.load_der_x509_certificate(self.root).public_bytes(Encoding.PEM)

    @property
    def leaf_pem(self) -> bytes:
        return x509.load_der_x509_certificate(self.leaf).public_bytes(Encoding.PEM)

    def verify(self, expected: VerifyKey, party: str, session: str) -> None:
        """Check that this is what the party of the agreement with this key uses in this session.

        Args:
            expected: the party's key in the agreement.
            session: what the parties call the session, agreed beforehand.

        Raises:
            VerificationFailed: if key, name, session, dates or a signature is another one.
        """
        about = f"the session certificate of party '{party}'"
        try:
            root, leaf = (x509.load_der_x509_certificate(one) for one in (self.root, self.leaf))
            own_root = root.public_key() == Ed25519PublicKey.from_public_bytes(expected.raw)
            names = [root.subject, root.issuer, leaf.issuer, leaf.subject]
            said = [[(one.value, one.critical) for one in each.extensions] for each in (root, leaf)]
            wanted = [_root_extensions(), _leaf_extensions(party)]
            leaf_key = leaf.public_key()
        except (ValueError, UnsupportedAlgorithm, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
            raise VerificationFailed(f"{about} cannot be read") from None
        if not own_root:
            raise VerificationFailed(f"{about} was made with another key than the agreement names for it")
        if names != [_subject(party, session, "root")] * 3 + [_subject(party, session, "engine")]:
            raise VerificationFailed(f"{about} is made out to another party or session")
        if said != wanted or not isinstance(leaf_key, Ed25519PublicKey):
            raise VerificationFailed(f"{about} claims more than it may, or holds a key of another kind")
        try:
            root.verify_directly_issued_by(root)
            leaf.verify_directly_issued_by(root)
        except (InvalidSignature, ValueError, TypeError):
            raise VerificationFailed(f"{about} is not signed by the party's own key") from None
        now = datetime.now(UTC)
        for one in (root, leaf):
            first, last = one.not_valid_before_utc, one.not_valid_after_utc
            if not first <= now <= last or last - first > LIFETIME + BACKDATED:
                raise VerificationFailed(
                    f"{about} is not valid now: check both clocks, or open a new session"
                )


@dataclass(frozen=True)
class SessionIdentity:
    """A party's own end: its certificate, and the leaf's private key (PEM), which is kept in memory only."""

    certificate: SessionCertificate
    key_pem: bytes = field(repr=False)

    @classmethod
    def make(cls, key: SigningKey, party: str, session: str) -> Self:
        """A new root and leaf for one session, valid for `LIFETIME`."""
        engine = Ed25519PrivateKey.generate()
        root_name = _subject(party, session, "root")
        root = _signed(key.private, root_name, root_name, key.private.public_key(), _root_extensions())
        leaf_name = _subject(party, session, "engine")
        leaf = _signed(key.private, root_name, leaf_name, engine.public_key(), _leaf_extensions(party))
        pem = engine.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return cls(SessionCertificate(root, leaf), pem)


def session_name(agreement: str, *parts: str) -> str:
    """What a session's certificates are made out to: a digest of the agreement's and what else names it."""
    return digest({"agreement": agreement, "parts": list(parts)})


def _signed(
    authority: Ed25519PrivateKey,
    issuer: x509.Name,
    subject: x509.Name,
    public: Ed25519PublicKey,
    extensions: list[tuple[x509.ExtensionType, bool]],
) -> bytes:
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + LIFETIME)
    )
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    return builder.sign(authority, algorithm=None).public_bytes(Encoding.DER)


def _subject(party: str, session: str, part: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, party),
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, session[:64]),
            x509.NameAttribute(NameOID.COMMON_NAME, part),
        ]
    )


def _root_extensions() -> list[tuple[x509.ExtensionType, bool]]:
    usage = _usage(digital_signature=False, key_cert_sign=True)
    return [(x509.BasicConstraints(ca=True, path_length=0), True), (usage, True)]


def _leaf_extensions(party: str) -> list[tuple[x509.ExtensionType, bool]]:
    usage = _usage(digital_signature=True, key_cert_sign=False)
    return [
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (usage, True),
        (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]), False),
        (x509.SubjectAlternativeName([x509.DNSName(party)]), False),
    ]


def _usage(*, digital_signature: bool, key_cert_sign: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        key_cert_sign=key_cert_sign,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
