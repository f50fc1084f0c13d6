"""A private key under a passphrase: encrypted PKCS #8 (RFC 5958) by PBES2 (RFC 8018), as PEM (RFC 7468).

The usual writers stretch a passphrase 2,048 times, which a stolen file's finder redoes for millions of
guesses a second. Here it is PBKDF2 with HMAC-SHA-256 and `ITERATIONS` rounds (OWASP's figure of 2023), then
AES-256-CBC. `openssl pkey` and `SigningKey.load` read the file.
"""

from __future__ import annotations

import base64
import os

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC
from cryptography.hazmat.primitives.padding import PKCS7

ITERATIONS = 600_000
_BEGIN = b"-----BEGIN ENCRYPTED PRIVATE KEY-----"
_END = b"-----END ENCRYPTED PRIVATE KEY-----"
_PBES2 = bytes.fromhex("06092a864886f70d01050d")
_PBKDF2 = bytes.fromhex("06092a864886f70d01050c")
_HMAC_SHA256 = bytes.fromhex("300c06082a864886f70d02090500")
_AES_256_CBC = bytes.fromhex("060960864801650304012a")
_SEQUENCE, _OCTETS, _INTEGER = 0x30, 0x04, 0x02


def encrypted_pem(pkcs8: bytes, passphrase: str) -> bytes:
    """The PEM of an encrypted private key.

    Args:
        pkcs8: the key in unencrypted PKCS #8, DER.
        passphrase: not empty; taken as UTF-8.
    """
    salt, start = os.urandom(16), os.urandom(16)
    key = PBKDF2HMAC(SHA256(), 32, salt, ITERATIONS).derive(passphrase.encode())
    padder = PKCS7(128).padder()
    padded = padder.update(pkcs8) + padder.finalize()
    encryptor = Cipher(algorithms.AES256(key), modes.CBC(start)).encryptor()
    sealed = encryptor.update(padded) + encryptor.finalize()
    rounds = ITERATIONS.to_bytes(ITERATIONS.bit_length() // 8 + 1, "big")
    stretched = _der(_SEQUENCE, _der(_OCTETS, salt), _der(_INTEGER, rounds), _HMAC_SHA256)
    scheme = _der(
        _SEQUENCE,
        _der(_SEQUENCE, _PBKDF2, stretched),
        _der(_SEQUENCE, _AES_256_CBC, _der(_OCTETS, start)),
    )
    whole = _der(_SEQUENCE, _der(_SEQUENCE, _PBES2, scheme), _der(_OCTETS, sealed))
    text = base64.b64encode(whole)
    lines = [text[place : place + 64] for place in range(0, len(text), 64)]
    return b"\n".join([_BEGIN, *lines, _END, b""])


def is_encrypted(pem: bytes) -> bool:
    """Whether a PEM text says that its key is under a passphrase."""
    return _BEGIN in pem


def _der(tag: int, *contents: bytes) -> bytes:
    """One value in DER: tag, length (definite, shortest), contents."""
    body = b"".join(contents)
    size = len(body)
    if size < 0x80:
        return bytes([tag, size]) + body
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + body
