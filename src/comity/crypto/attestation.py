"""Remote attestation: reading an Intel SGX quote and checking whom it speaks for (DCAP, versions 3 and 4).

A quote says: a processor of Intel's kind ran an enclave whose code has this measurement, and that enclave
wrote these 64 bytes of report data. Intel, "SGX ECDSA Quote Library Reference", appendix A.3 and A.4; all
numbers are little-endian, keys and signatures are two 32-byte big-endian numbers.

What is checked, from the end to the root: the enclave's report is signed by an attestation key; a quoting
enclave, not a debug one and signed by whom the operator trusts, vouches for that key in its own report; the
processor's certificate (PCK) signs that report; the certificate leads to a root key that the operator pinned.

What is not checked: Intel's collateral, that is whether the processor's microcode is up to date (TCB status),
and whether a certificate was revoked. It would have to be fetched from Intel for each processor; nothing here
fetches anything. A quote that passes may come from a processor with known holes.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256R1,
    EllipticCurvePublicKey,
    EllipticCurvePublicNumbers,
)
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from comity.crypto.keys import VerifyKey
from comity.errors import BadInput, VerificationFailed

MEASUREMENT_BYTES: Final = 32
REPORT_DATA_BYTES: Final = 64
QUESTION_BYTES: Final = 32
MOST_BYTES: Final = 65_536
INTEL_QUOTING_ENCLAVE: Final = "8c4f5775d796503e96137f77c68a829a0056ac8ded70140b081b094490c57bff"
"""Who signs Intel's quoting enclave, as Intel's published identity of that enclave says."""

_HEADER: Final = 48
_REPORT: Final = 384
_SIGNATURE: Final = 64
_ECDSA_P256: Final = 2
_SGX: Final = 0
_PCK_CHAIN: Final = 5
_QE_REPORT: Final = 6
_DEBUG: Final = 0x02
_INITIALISED: Final = 0x01
_LONGEST_CHAIN: Final = 3


def new_question() -> bytes:
    """32 bytes that only a quote made from now on can hold."""
    return secrets.token_bytes(QUESTION_BYTES)


def bound_data(key: VerifyKey, question: bytes) -> bytes:
    """The 64 bytes that an enclave with this party key writes when it is asked: SHA-256 of the key, question.

    Raises:
        BadInput: if the question has another length.
    """
    if len(question) != QUESTION_BYTES:
        raise BadInput(f"a question to an enclave has {QUESTION_BYTES} bytes, this one has {len(question)}")
    return hashlib.sha256(key.raw).digest() + question


@dataclass(frozen=True)
class Report:
    """What an enclave's report says of it.

    Attributes:
        measurement: MRENCLAVE, 32 bytes: of the enclave's code and first data.
        signer: MRSIGNER, 32 bytes: of the key that signed the enclave.
        product, version: ISVPRODID and ISVSVN, which the signer has numbered.
        flags: the enclave's attributes.
        data: 64 bytes that the enclave wrote itself.
    """

    measurement: bytes
    signer: bytes
    product: int
    version: int
    flags: int
    data: bytes

    @classmethod
    def read(cls, raw: bytes) -> Report:
        """The report of 384 bytes."""
        return cls(
            measurement=raw[64:96],
            signer=raw[128:160],
            product=int.from_bytes(raw[256:258], "little"),
            version=int.from_bytes(raw[258:260], "little"),
            flags=int.from_bytes(raw[48:56], "little"),
            data=raw[320:384],
        )

    @property
    def debug(self) -> bool:
        """Whether its operator can look into it and change it: then it hides nothing."""
        return bool(self.flags & _DEBUG)


@dataclass(frozen=True)
class Quote:
    """A quote taken apart; nothing in it is verified yet. `verify_quote` does that.

    Attributes:
        version: 3 or 4.
        signed: header and report, which the signature covers.
        signature: by the attestation key, 64 bytes.
        attestation_key: a point on P-256, 64 bytes.
        vouching: the quoting enclave's report, 384 bytes; `vouching_signature` is the processor's over it.
        authentication: what the quoting enclave put beside the attestation key.
        certificates: the processor's certificate and those above it, PEM.
    """

    version: int
    report: Report
    signed: bytes
    signature: bytes
    attestation_key: bytes
    vouching: bytes
    vouching_signature: bytes
    authentication: bytes
    certificates: bytes


@dataclass(frozen=True)
class Anchor:
    """What an operator trusts a quote by.

    Attributes:
        root: the public key of the root certificate, DER (SubjectPublicKeyInfo).
        quoting_enclave: MRSIGNER of quoting enclaves that may vouch, 32 bytes.
    """

    root: bytes
    quoting_enclave: bytes

    @classmethod
    def of(cls, root_certificate: bytes, quoting_enclave: str = INTEL_QUOTING_ENCLAVE) -> Anchor:
        """From a root certificate (PEM), such as Intel's, that the operator got by a way of its own.

        Raises:
            BadInput: if it is not one certificate with a P-256 key, or the signer not 64 hexadecimal digits.
        """
        try:
            found = x509.load_pem_x509_certificates(root_certificate)
            key = found[0].public_key()
            signer = bytes.fromhex(quoting_enclave)
        except (ValueError, IndexError, x509.InvalidVersion, UnsupportedAlgorithm):
            raise BadInput("the root of attestation or its quoting enclave cannot be read") from None
        if len(found) != 1 or not _is_p256(key) or len(signer) != MEASUREMENT_BYTES:
            raise BadInput(
                "a root of attestation is one certificate with a P-256 key, and a quoting enclave's signer "
                "has 64 hexadecimal digits"
            )
        return cls(_public_bytes(key), signer)


def read_quote(raw: bytes) -> Quote:
    """Take a quote apart.

    Raises:
        VerificationFailed: if it is not a whole SGX quote of version 3 or 4 with an ECDSA P-256 signature.
    """
    if len(raw) > MOST_BYTES:
        raise VerificationFailed(f"an attestation quote has at most {MOST_BYTES:,} bytes")
    rest = _Reader(raw)
    header = rest.take(_HEADER)
    version = int.from_bytes(header[0:2], "little")
    kind = int.from_bytes(header[2:4], "little")
    tee = int.from_bytes(header[4:8], "little") if version == 4 else _SGX
    if version not in (3, 4) or kind != _ECDSA_P256 or tee != _SGX:
        raise VerificationFailed(
            f"the attestation quote has version {version}, key type {kind} and enclave type {tee}; this "
            "version of comity reads SGX quotes of version 3 and 4 with ECDSA over P-256"
        )
    report = rest.take(_REPORT)
    body = _Reader(rest.take(rest.number(4)))
    if any(rest.left()):
        raise VerificationFailed("the attestation quote has something behind its end")
    signature, key = body.take(_SIGNATURE), body.take(_SIGNATURE)
    if version == 4:
        certified, inner = body.number(2), body.take(body.number(4))
        if certified != _QE_REPORT:
            raise VerificationFailed(_chain_expected(certified))
        body.end()
        body = _Reader(inner)
    vouching, vouching_signature = body.take(_REPORT), body.take(_SIGNATURE)
    authentication = body.take(body.number(2))
    certified, certificates = body.number(2), body.take(body.number(4))
    body.end()
    if certified != _PCK_CHAIN:
        raise VerificationFailed(_chain_expected(certified))
    return Quote(
        version=version,
        report=Report.read(report),
        signed=header + report,
        signature=signature,
        attestation_key=key,
        vouching=vouching,
        vouching_signature=vouching_signature,
        authentication=authentication,
        certificates=certificates.rstrip(b"\x00"),
    )


def verify_quote(raw: bytes, anchor: Anchor, *, measurement: str, data: bytes, on: datetime) -> Report:
    """Check that a genuine, sealed enclave with this measurement wrote these data.

    Args:
        measurement: MRENCLAVE in hexadecimal.
        data: the 64 bytes that the enclave is to have written.
        on: when the certificates have to be valid.

    Returns:
        What the quote says of the enclave.

    Raises:
        VerificationFailed: saying which of these it is not.
    """
    quote = read_quote(raw)
    leaf = _certified(quote.certificates, anchor, on)
    _check(leaf, quote.vouching_signature, quote.vouching, "the quoting enclave's report")
    vouching = Report.read(quote.vouching)
    _require_sealed(vouching, "quoting enclave")
    if vouching.signer != anchor.quoting_enclave:
        raise VerificationFailed(
            "the attestation quote is vouched for by an enclave that is not trusted for it"
        )
    vouched = hashlib.sha256(quote.attestation_key + quote.authentication).digest()
    if vouching.data != vouched.ljust(REPORT_DATA_BYTES, b"\x00"):
        raise VerificationFailed("the quoting enclave vouches for another attestation key than the quote's")
    _check(_point(quote.attestation_key), quote.signature, quote.signed, "the attestation quote")
    _require_sealed(quote.report, "enclave")
    if quote.report.measurement.hex() != measurement:
        raise VerificationFailed(
            f"the enclave runs other code than the agreement names: its measurement is "
            f"{quote.report.measurement.hex()}, the agreement's {measurement}"
        )
    if quote.report.data != data:
        raise VerificationFailed("the attestation quote was made for another key or another question")
    return quote.report


class _Reader:
    """Bytes taken from the front; running out of them is a truncated quote."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self._at = 0

    def take(self, size: int) -> bytes:
        taken = self._raw[self._at : self._at + size]
        if len(taken) != size:
            raise VerificationFailed("the attestation quote ends before it is whole")
        self._at += size
        return taken

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "little")

    def left(self) -> bytes:
        return self._raw[self._at :]

    def end(self) -> None:
        if self.left():
            raise VerificationFailed("a part of the attestation quote is longer than what is in it")


def _chain_expected(kind: int) -> str:
    return (
        f"the attestation quote is certified in way {kind}; one that brings the processor's certificates "
        f"with it (way {_PCK_CHAIN}) is needed: nothing is fetched"
    )


def _require_sealed(report: Report, what: str) -> None:
    if report.debug or not report.flags & _INITIALISED:
        raise VerificationFailed(
            f"the {what} is a debug one or was never started: whoever runs it can look into it"
        )


def _certified(pem: bytes, anchor: Anchor, on: datetime) -> EllipticCurvePublicKey:
    """The processor's key, if its certificate leads to the pinned root."""
    try:
        chain = x509.load_pem_x509_certificates(pem)
        keys = [certificate.public_key() for certificate in chain]
        signs = [_may_sign(certificate) for certificate in chain]
        same = [low.issuer == high.subject for low, high in zip(chain, [*chain[1:], chain[-1]], strict=True)]
    except (ValueError, IndexError, UnsupportedAlgorithm, x509.InvalidVersion, x509.DuplicateExtension):
        raise VerificationFailed("the certificates of the attestation quote cannot be read") from None
    if not 2 <= len(chain) <= _LONGEST_CHAIN or not all(same) or signs != [False] + [True] * (len(chain) - 1):
        raise VerificationFailed("the certificates of the attestation quote are not a chain up to a root")
    if not all(c.not_valid_before_utc <= on.astimezone(UTC) <= c.not_valid_after_utc for c in chain):
        raise VerificationFailed(f"a certificate of the attestation quote is not valid on {on:%Y-%m-%d}")
    points = [key for key in keys if isinstance(key, EllipticCurvePublicKey) and _is_p256(key)]
    if len(points) != len(chain):
        raise VerificationFailed("a certificate of the attestation quote holds no P-256 key")
    if _public_bytes(points[-1]) != anchor.root:
        raise VerificationFailed(
            "the certificates of the attestation quote lead to another root than the one this party trusts"
        )
    for low, key in zip(chain, [*points[1:], points[-1]], strict=True):
        try:
            if not isinstance(low.signature_hash_algorithm, SHA256):
                raise InvalidSignature
            key.verify(low.signature, low.tbs_certificate_bytes, ECDSA(SHA256()))
        except (InvalidSignature, UnsupportedAlgorithm):
            raise VerificationFailed(
                "a certificate of the attestation quote is not signed by the next"
            ) from None
    return points[0]


def _may_sign(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def _check(key: EllipticCurvePublicKey, signature: bytes, message: bytes, what: str) -> None:
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    try:
        key.verify(encode_dss_signature(r, s), message, ECDSA(SHA256()))
    except InvalidSignature:
        raise VerificationFailed(f"{what} is not signed by the key that it names") from None


def _point(raw: bytes) -> EllipticCurvePublicKey:
    x, y = int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big")
    try:
        return EllipticCurvePublicNumbers(x, y, SECP256R1()).public_key()
    except ValueError:
        raise VerificationFailed("the attestation quote's key is no point on P-256") from None


def _is_p256(key: object) -> bool:
    return isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1)


def _public_bytes(key: object) -> bytes:
    if not isinstance(key, EllipticCurvePublicKey):
        raise BadInput("the root of attestation holds no P-256 key")
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
