"""TLS between parties without an authority: each certificate is made from a party's own Ed25519 key.

A party issues itself a certificate (X.509, RFC 5280, with Ed25519 after RFC 8410) that holds its key and its
name. It lives for 398 days, the longest that browsers take from anybody (CA/Browser Forum, Baseline
Requirements 6.3.2): peers hold each other's certificates, and at every renewal all of them exchange cards by
hand, so a short life would stop long-running nodes. It costs little: trust in a key ends with the
agreement's expiry or a withdrawal, not with the certificate. The other side checks once that key and name are
the agreement's
(`certificate_party`) and from then on trusts exactly that certificate: the trust store of a context holds
the peers' certificates and nothing else, no authority of the system among them. The certificates may not
sign others, so a peer cannot vouch for anybody. TLS 1.3 only (RFC 8446), certificates on both sides, no
session tickets (a resumed session would skip the check of the certificate).

A server learns that *some* peer called, not which one: who sent a message is settled by its signature.
"""

from __future__ import annotations

import re
import secrets
import ssl
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from comity.crypto.keys import SigningKey, VerifyKey
from comity.errors import BadInput, UsageError, VerificationFailed

LIFETIME = timedelta(days=398)
BACKDATED = timedelta(hours=1)  # so that a peer whose clock is behind takes it at once
# DER between a certificate's body and its signature, which does not cover it: id-Ed25519, bit string
_SIGNED_WITH_ED25519 = bytes.fromhex("300506032b6570034100")
_HOST_LABEL = re.compile(r"[a-z](-?[a-z0-9])*")


def self_certificate(key: SigningKey, party: str) -> bytes:
    """A new certificate (PEM) for the party's own key and name, valid for `LIFETIME`.

    Raises:
        BadInput: if the name cannot stand in a certificate as a host name.
    """
    if not _HOST_LABEL.fullmatch(party) or len(party) > 63:
        raise BadInput(
            f"the party's name {party[:80]!r} cannot stand in a TLS certificate: "
            "use lower-case letters, digits and single hyphens, at most 63"
        )
    now = datetime.now(UTC)
    public = key.private.public_key()
    builder = (
        x509.CertificateBuilder()
        .subject_name(_subject(party))
        .issuer_name(_subject(party))
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + LIFETIME)
    )
    for extension, critical in _extensions(public, party):
        builder = builder.add_extension(extension, critical)
    return builder.sign(key.private, algorithm=None).public_bytes(Encoding.PEM)


def certificate_party(pem: bytes, expected: VerifyKey, party: str) -> None:
    """Check that a certificate is what this party would issue itself with the key that the agreement names.

    Raises:
        VerificationFailed: if the key, the name, the dates, the signature or anything else in it differs.
    """
    certificate = _only_one(pem)
    about = f"the TLS certificate of party '{party}'"
    public = Ed25519PublicKey.from_public_bytes(expected.raw)
    try:
        same_key = certificate.public_key() == public
        same_names = certificate.subject == certificate.issuer == _subject(party)
        extensions = [(extension.value, extension.critical) for extension in certificate.extensions]
    except (ValueError, UnsupportedAlgorithm, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        raise VerificationFailed(f"{about} cannot be read") from None
    if not same_key:
        raise VerificationFailed(f"{about} holds another key than the agreement names for it")
    if not same_names or extensions != _extensions(public, party):
        raise VerificationFailed(f"{about} is made out to another name, or claims more than a party may")
    body, signature = certificate.tbs_certificate_bytes, certificate.signature
    expected.verify(signature, body, what=about)
    if not certificate.public_bytes(Encoding.DER).endswith(body + _SIGNED_WITH_ED25519 + signature):
        raise VerificationFailed(f"{about} is not written the one way that a certificate is")
    first, last = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if not first <= datetime.now(UTC) <= last or last - first > LIFETIME + BACKDATED:
        raise VerificationFailed(
            f"{about} is valid from {first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M} UTC: that is not now, or "
            "longer than 398 days; ask that party for a new one (comity party card --renew), and check both "
            "clocks"
        )


def certificate_dates(pem: bytes) -> tuple[datetime, datetime]:
    """From when and until when a certificate is valid, in UTC.

    Raises:
        VerificationFailed: if it cannot be read.
    """
    certificate = _only_one(pem)
    return certificate.not_valid_before_utc, certificate.not_valid_after_utc


def certificate_key(pem: bytes) -> VerifyKey:
    """The public key that a party's certificate holds.

    Raises:
        VerificationFailed: if it cannot be read or holds a key of another kind.
    """
    public = _only_one(pem).public_key()
    if not isinstance(public, Ed25519PublicKey):
        raise VerificationFailed("a TLS certificate holds no Ed25519 key; a party's own does")
    return VerifyKey(public.public_bytes_raw())


def server_context(key: SigningKey, certificate: bytes, peers: Sequence[bytes]) -> ssl.SSLContext:
    """For a party's server: only these peers' certificates (PEM) get in.

    uvicorn takes it as `Config(ssl_context_factory=lambda config, default: context)`.

    Raises:
        UsageError: without peers, nobody could connect.
        VerificationFailed: if a peer's certificate cannot be read or could sign others.
    """
    if not peers:
        raise UsageError("a server needs the certificate of at least one peer")
    context = _context(ssl.PROTOCOL_TLS_SERVER, key, certificate, peers)
    context.num_tickets = 0
    return context


def client_context(key: SigningKey, certificate: bytes, peer: bytes) -> ssl.SSLContext:
    """For calls to one peer: nobody but the holder of this certificate (PEM) answers.

    The connection's server name has to be the peer's party name, not its address: httpx takes it as
    `extensions={"sni_hostname": party}`.

    Raises:
        VerificationFailed: if the peer's certificate cannot be read or could sign others.
    """
    return _context(ssl.PROTOCOL_TLS_CLIENT, key, certificate, [peer])


def _context(side: int, key: SigningKey, certificate: bytes, trusted: Sequence[bytes]) -> ssl.SSLContext:
    context = ssl.SSLContext(side)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.verify_mode = ssl.CERT_REQUIRED
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    # what is loaded is written anew from what was parsed: a second certificate in the text cannot slip in
    exact = [_leaf(pem).public_bytes(Encoding.DER) for pem in trusted]
    context.load_verify_locations(cadata=b"".join(exact))
    _load_own(context, key, certificate)
    return context


def _load_own(context: ssl.SSLContext, key: SigningKey, certificate: bytes) -> None:
    """`ssl` reads keys from files only: the file is encrypted under a password that is never written."""
    password = secrets.token_hex(32)
    encryption = BestAvailableEncryption(password.encode())
    pem = key.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)
    with tempfile.NamedTemporaryFile(prefix="comity-") as file:
        file.write(certificate + pem)
        file.flush()
        try:
            context.load_cert_chain(file.name, password=password)
        except ssl.SSLError:
            raise BadInput("this party's TLS certificate was not made from its key; make a new one") from None


def _only_one(pem: bytes) -> x509.Certificate:
    try:
        certificates = x509.load_pem_x509_certificates(pem)
    except (ValueError, x509.InvalidVersion):
        raise VerificationFailed("a TLS certificate cannot be read") from None
    if len(certificates) != 1:
        raise VerificationFailed(f"one TLS certificate was expected, {len(certificates)} came")
    return certificates[0]


def _leaf(pem: bytes) -> x509.Certificate:
    """A certificate that can only speak for itself."""
    certificate = _only_one(pem)
    try:
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    except (ValueError, x509.ExtensionNotFound, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        constraints = None
    if constraints is None or constraints.ca:
        raise VerificationFailed("a peer's TLS certificate could sign others; a party's own may not")
    return certificate


def _subject(party: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, party)])


def _extensions(public: Ed25519PublicKey, party: str) -> list[tuple[x509.ExtensionType, bool]]:
    """Everything a party's certificate says beside key, name and dates, each with whether it is critical."""
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    return [
        (x509.SubjectAlternativeName([x509.DNSName(party)]), False),
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (usage, True),
        (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]), False),
        (x509.SubjectKeyIdentifier.from_public_key(public), False),
        (x509.AuthorityKeyIdentifier.from_issuer_public_key(public), False),
    ]
