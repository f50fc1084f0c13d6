"""A key under a passphrase: other programs read it, and guessing is slow."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from comity.crypto.pkcs8 import ITERATIONS, encrypted_pem, is_encrypted

KEY = Ed25519PrivateKey.generate()
PLAIN = KEY.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


@settings(max_examples=4, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=200))
def test_another_reader_gets_the_key_back(passphrase: str) -> None:
    pem = encrypted_pem(PLAIN, passphrase)
    assert is_encrypted(pem)
    read = load_pem_private_key(pem, passphrase.encode())
    assert isinstance(read, Ed25519PrivateKey)
    assert read.private_bytes_raw() == KEY.private_bytes_raw()
    with pytest.raises(ValueError, match=r".*"):
        load_pem_private_key(pem, passphrase.encode() + b"x")


def test_salt_and_start_are_new_each_time_and_the_rounds_many() -> None:
    first, second = encrypted_pem(PLAIN, "words"), encrypted_pem(PLAIN, "words")
    assert first != second
    body = base64.b64decode(b"".join(first.splitlines()[1:-1]))
    assert b"\x02\x03" + ITERATIONS.to_bytes(3, "big") in body
    assert ITERATIONS >= 600_000
    assert KEY.private_bytes_raw() not in body
    assert all(len(line) <= 64 for line in first.splitlines())


def test_a_plain_key_is_told_apart() -> None:
    pem = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    assert not is_encrypted(pem)
