"""For the tests of attestation: a make-believe processor and its enclaves, with keys made on the spot."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256R1,
    EllipticCurvePrivateKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from comity.crypto.attestation import Anchor

NOW = datetime.now(UTC)
MEASUREMENT = bytes(range(32))
QUOTING_SIGNER = b"\x8c" * 32


def new_key() -> EllipticCurvePrivateKey:
    return generate_private_key(SECP256R1())


def numbers(key: EllipticCurvePrivateKey) -> bytes:
    point = key.public_key().public_numbers()
    return point.x.to_bytes(32, "big") + point.y.to_bytes(32, "big")


def sign(key: EllipticCurvePrivateKey, message: bytes) -> bytes:
    r, s = decode_dss_signature(key.sign(message, ECDSA(SHA256())))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def report(measurement: bytes, signer: bytes, data: bytes, flags: int = 0x05) -> bytes:
    raw = bytearray(384)
    raw[48:56] = flags.to_bytes(8, "little")
    raw[64:96] = measurement
    raw[128:160] = signer
    raw[256:258] = (1).to_bytes(2, "little")
    raw[258:260] = (7).to_bytes(2, "little")
    raw[320 : 320 + len(data)] = data
    return bytes(raw)


def certificate(
    name: str,
    key: EllipticCurvePrivateKey,
    issuer: str,
    issuer_key: EllipticCurvePrivateKey,
    *,
    ca: bool,
    days: int = 30,
) -> bytes:
    def named(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    made = (
        x509.CertificateBuilder()
        .subject_name(named(name))
        .issuer_name(named(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - timedelta(days=60))
        .not_valid_after(NOW + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), True)
        .sign(issuer_key, SHA256())
    )
    return made.public_bytes(Encoding.PEM)


@dataclass(frozen=True)
class Processor:
    """Quotes for whatever a test wants an enclave to be; every part can be replaced by a wrong one."""

    root_key: EllipticCurvePrivateKey
    middle_key: EllipticCurvePrivateKey
    leaf_key: EllipticCurvePrivateKey
    attestation_key: EllipticCurvePrivateKey
    leaf_is_ca: bool = False
    leaf_days: int = 30
    middle_is_ca: bool = True
    version: int = 3
    signer: bytes = QUOTING_SIGNER
    vouching_flags: int = 0x15
    vouched: bytes | None = None
    flags: int = 0x05
    measurement: bytes = MEASUREMENT
    certified: int = 5
    tail: bytes = b"\x00"

    @classmethod
    def make(cls) -> Processor:
        return cls(new_key(), new_key(), new_key(), new_key())

    def but(self, **changes: object) -> Processor:
        return replace(self, **changes)  # type: ignore[arg-type]

    @property
    def root(self) -> bytes:
        return certificate("root", self.root_key, "root", self.root_key, ca=True)

    @property
    def anchor(self) -> Anchor:
        return Anchor.of(self.root, QUOTING_SIGNER.hex())

    @property
    def chain(self) -> bytes:
        leaf = certificate(
            "pck", self.leaf_key, "middle", self.middle_key, ca=self.leaf_is_ca, days=self.leaf_days
        )
        middle = certificate("middle", self.middle_key, "root", self.root_key, ca=self.middle_is_ca)
        return leaf + middle + self.root

    def quote(self, data: bytes) -> bytes:
        header = self.version.to_bytes(2, "little") + (2).to_bytes(2, "little") + bytes(44)
        body = report(self.measurement, b"\x11" * 32, data, self.flags)
        key = numbers(self.attestation_key)
        authentication = bytes(range(32))
        vouched = hashlib.sha256(key + authentication).digest() if self.vouched is None else self.vouched
        vouching = report(b"\x22" * 32, self.signer, vouched, self.vouching_flags)
        chain = self.chain + self.tail
        inner = (
            vouching
            + sign(self.leaf_key, vouching)
            + len(authentication).to_bytes(2, "little")
            + authentication
            + self.certified.to_bytes(2, "little")
            + len(chain).to_bytes(4, "little")
            + chain
        )
        if self.version == 4:
            inner = (6).to_bytes(2, "little") + len(inner).to_bytes(4, "little") + inner
        signed = sign(self.attestation_key, header + body) + key + inner
        return header + body + len(signed).to_bytes(4, "little") + signed
