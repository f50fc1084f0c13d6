"""Keys of parties: written one way, kept private, and they sign."""

from __future__ import annotations

import base64
import os
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import assume, given
from hypothesis import strategies as st

from comity.crypto.keys import SigningKey, VerifyKey
from comity.errors import BadInput, VerificationFailed

KEY = SigningKey.generate()
_P = 2**255 - 19


def test_a_public_key_is_written_one_way() -> None:
    text = str(KEY.verify_key)
    assert text.startswith("ed25519:")
    assert len(text) == len("ed25519:") + 43
    assert VerifyKey.parse(text) == KEY.verify_key


@given(st.binary(min_size=32, max_size=32))
def test_any_public_key_is_read_back(raw: bytes) -> None:
    try:
        key = VerifyKey(raw)
    except BadInput:
        assume(False)
    assert VerifyKey.parse(str(key)) == key


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "starts with 'ed25519:'"),
        ("rsa:AAAA", "starts with 'ed25519:'"),
        ("ed25519:", "has 32 bytes, this one has 0"),
        ("ed25519:AAAA", "has 32 bytes, this one has 3"),
        ("ed25519:" + "!" * 43, "not base64url"),
        ("ed25519:" + "é" * 43, "not base64url"),
        ("ed25519:" + "B" * 42 + "B", "not written in its one canonical way"),
        ("ed25519:" + "B" * 42 + "A=", "not written in its one canonical way"),
        ("ed25519:" + "+" * 42 + "A", "base64url|canonical"),
    ],
)
def test_another_way_of_writing_is_refused(text: str, says: str) -> None:
    with pytest.raises(BadInput, match=says):
        VerifyKey.parse(text)


@given(st.text(max_size=60))
def test_any_text_is_a_key_or_bad_input(text: str) -> None:
    for candidate in (text, "ed25519:" + text):
        try:
            key = VerifyKey.parse(candidate)
        except BadInput:
            continue
        assert str(key) == candidate


def _double(point: tuple[int, int]) -> tuple[int, int]:
    """Twice a point of the twisted Edwards curve -x^2 + y^2 = 1 + d x^2 y^2 (RFC 8032)."""
    x, y = point
    d = -121665 * pow(121666, -1, _P)
    t = d * x * x * y * y
    return 2 * x * y * pow(1 + t, -1, _P) % _P, (y * y + x * x) * pow(1 - t, -1, _P) % _P


def _x(y: int) -> int:
    d = -121665 * pow(121666, -1, _P)
    square = (y * y - 1) * pow(d * y * y + 1, -1, _P) % _P
    root = pow(square, (_P + 3) // 8, _P)
    return root if root * root % _P == square else root * pow(2, (_P - 1) // 4, _P) % _P


_ORDER_8 = (
    0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826,
    0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7,
)


def test_points_of_order_eight_are_what_they_are_taken_for() -> None:
    for y in _ORDER_8:
        point = (_x(y), y)
        for _ in range(3):
            assert point != (0, 1)
            point = _double(point)
        assert point == (0, 1)


@pytest.mark.parametrize("y", [0, 1, _P - 1, _P, _P + 1, *_ORDER_8])
@pytest.mark.parametrize("sign", [0, 2**255])
def test_keys_that_anybody_can_sign_for_are_refused(y: int, sign: int) -> None:
    """Without this, R = identity and S = 0 verifies under the identity for every message."""
    with pytest.raises(BadInput, match="anybody can sign for"):
        VerifyKey((y | sign).to_bytes(32, "little"))


@given(st.binary(max_size=200))
def test_what_is_signed_verifies(message: bytes) -> None:
    KEY.verify_key.verify(KEY.sign(message), message, what="a test")


@given(st.binary(min_size=1, max_size=50), st.data())
def test_a_changed_bit_does_not_verify(message: bytes, data: st.DataObject) -> None:
    signature = KEY.sign(message)
    whole = bytearray(signature + message)
    bit = data.draw(st.integers(0, len(whole) * 8 - 1))
    whole[bit // 8] ^= 1 << (bit % 8)
    with pytest.raises(VerificationFailed, match="the signature on a test does not verify"):
        KEY.verify_key.verify(bytes(whole[:64]), bytes(whole[64:]), what="a test")


@pytest.mark.parametrize("signature", [b"", b"x" * 63, b"x" * 64, b"x" * 65])
def test_something_else_than_a_signature(signature: bytes) -> None:
    with pytest.raises(VerificationFailed):
        KEY.verify_key.verify(signature, b"message", what="a test")


def test_another_key_does_not_verify() -> None:
    with pytest.raises(VerificationFailed):
        SigningKey.generate().verify_key.verify(KEY.sign(b"message"), b"message", what="a test")


def test_a_representation_shows_no_secret() -> None:
    secret = KEY.private.private_bytes_raw()
    for shown in (repr(KEY), str(KEY)):
        assert secret.hex() not in shown
        assert base64.urlsafe_b64encode(secret).decode()[:40] not in shown
        assert "0x" not in shown


@pytest.mark.parametrize("passphrase", [None, "correct horse"])
def test_a_saved_key_is_private_and_comes_back(tmp_path: Path, passphrase: str | None) -> None:
    path = tmp_path / "key.pem"
    KEY.save(path, passphrase=passphrase)
    assert path.stat().st_mode & 0o777 == 0o600
    assert SigningKey.load(path, passphrase=passphrase).verify_key == KEY.verify_key


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    KEY.save(path)
    before = path.read_bytes()
    with pytest.raises(BadInput, match="made once and never overwritten"):
        SigningKey.generate().save(path)
    assert path.read_bytes() == before
    dangling = tmp_path / "link.pem"
    dangling.symlink_to(tmp_path / "elsewhere.pem")
    with pytest.raises(BadInput):
        KEY.save(dangling)
    assert not (tmp_path / "elsewhere.pem").exists()
    with pytest.raises(BadInput, match="cannot be written"):
        KEY.save(tmp_path / "no" / "such" / "folder.pem")


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    KEY.save(path)
    for mode in (0o640, 0o604, 0o660):
        os.chmod(path, mode)
        with pytest.raises(BadInput, match=f"can be read by others \\(mode {mode:o}\\); run: chmod 600"):
            SigningKey.load(path)


def test_files_that_hold_no_usable_key(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    with pytest.raises(BadInput, match="cannot be read: No such file"):
        SigningKey.load(path)
    KEY.save(path, passphrase="right")
    with pytest.raises(BadInput, match="needs a passphrase"):
        SigningKey.load(path)
    with pytest.raises(BadInput, match=r"passphrase .* is wrong, or the file is damaged"):
        SigningKey.load(path, passphrase="wrong")
    path.write_bytes(b"not a key")
    with pytest.raises(BadInput, match="damaged"):
        SigningKey.load(path)
    other = generate_private_key(SECP256R1())
    path.write_bytes(other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    with pytest.raises(BadInput, match="does not hold an Ed25519 key"):
        SigningKey.load(path)
    plain = tmp_path / "plain.pem"
    KEY.save(plain)
    with pytest.raises(BadInput, match="has no passphrase"):
        SigningKey.load(plain, passphrase="right")
