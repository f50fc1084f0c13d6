from __future__ import annotations

import base64
import hashlib
import hmac

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from comity.data import Table
from comity.deidentify import MasterKey, RecipientKey
from comity.deidentify.columns.pseudonymise import pseudonym_kind, pseudonymise
from comity.errors import UsageError, VerificationFailed

MASTER = MasterKey(bytes(range(32)))


def test_same_recipient_same_pseudonym_other_recipient_unrelated():
    one, other = MASTER.for_recipient("ml"), MASTER.for_recipient("bank")
    assert one == MASTER.for_recipient("ml")
    assert one.pseudonym("alice", domain="id") == one.pseudonym("alice", domain="id")
    assert one.pseudonym("alice", domain="id") != other.pseudonym("alice", domain="id")
    assert one.pseudonym("alice", domain="id") != one.pseudonym("alice", domain="boss")
    assert MASTER.for_recipient("ml", lineage="2025") != one
    assert MasterKey.generate() != MasterKey.generate()


def test_keys_never_show():
    assert "b'" not in repr(MASTER)
    assert repr(MASTER.for_recipient("ml")) == "RecipientKey()"


def test_is_hmac_sha256_under_the_derived_key():
    key = RecipientKey(b"k" * 32)
    expected = hmac.new(b"k" * 32, b'["id","alice"]', hashlib.sha256).digest()[:20]
    assert key.pseudonym("alice", domain="id") == base64.b32encode(expected).decode().lower()


@given(st.lists(st.one_of(st.none(), st.text(max_size=5)), max_size=30))
def test_equal_values_stay_equal_and_missing_stays_missing(values):
    found = MASTER.for_recipient("ml").pseudonyms(values, domain="id")
    assert len({v for v in values if v is not None}) == len({v for v in found if v is not None})
    assert [v is None for v in values] == [v is None for v in found]


def test_columns_of_a_table():
    table = Table(pa.table({"id": [1, 2, 1, None], "boss": ["2", "1", None, "1"], "x": [1, 2, 3, 4]}))
    key = MASTER.for_recipient("ml")
    done = pseudonymise(table, ["id", "boss"], key, domains={"id": "person", "boss": "person"})
    ids, bosses = done.strings("id"), done.strings("boss")
    assert ids[0] == ids[2] == bosses[1] == bosses[3] == key.pseudonym("1", domain="person")
    assert ids[3] is None
    assert done.names == table.names


def test_bad_keys_are_refused():
    for make in (lambda: MasterKey(b"short"), lambda: RecipientKey(b""), lambda: MASTER.for_recipient("")):
        with pytest.raises(UsageError):
            make()


@given(st.text(max_size=80), st.text(max_size=5))
def test_reversible_pseudonyms_lead_back_and_are_deterministic(value, domain):
    key = MASTER.for_recipient("ml")
    made = key.reversible(value, domain=domain)
    assert made == key.reversible(value, domain=domain)
    assert key.open(made, domain=domain) == value
    assert pseudonym_kind(made) == "reversible"
    assert pseudonym_kind(key.pseudonym(value, domain=domain)) == "keyed"


def test_a_reversible_pseudonym_is_aes_siv_of_the_padded_value():
    """RFC 5297 written out (S2V with one associated string, then counter mode), beside cryptography's own."""
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
    from cryptography.hazmat.primitives.cmac import CMAC
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    info = b'{"use":"comity reversible pseudonyms"}'
    keys = HKDF(algorithm=hashes.SHA256(), length=64, salt=None, info=info).derive(b"k" * 32)

    def cmac(data: bytes) -> bytes:
        mac = CMAC(algorithms.AES(keys[:32]))
        mac.update(data)
        return mac.finalize()

    def twice(block: bytes) -> bytes:
        number = int.from_bytes(block, "big") << 1
        return ((number & (2**128 - 1)) ^ (0x87 if number >> 128 else 0)).to_bytes(16, "big")

    def xor(a: bytes, b: bytes) -> bytes:
        return bytes(x ^ y for x, y in zip(a, b, strict=True))

    plain = b"alice\x80" + bytes(26)
    seed = xor(twice(cmac(bytes(16))), cmac(b'["id"]'))
    siv = cmac(plain[:-16] + xor(plain[-16:], seed))
    start = (int.from_bytes(siv, "big") & ~(1 << 63 | 1 << 31)).to_bytes(16, "big")
    sealed = Cipher(algorithms.AES(keys[32:]), modes.CTR(start)).encryptor().update(plain)
    expected = base64.b32encode(siv + sealed).decode().rstrip("=").lower()
    assert RecipientKey(b"k" * 32).reversible("alice", domain="id") == f"rev-{expected}"


def test_nobody_else_opens_a_pseudonym():
    key = MASTER.for_recipient("ml")
    made = key.reversible("alice", domain="id")
    others = [
        (MASTER.for_recipient("bank"), made, "id"),
        (MASTER.for_recipient("ml", lineage="2025"), made, "id"),
        (MasterKey.generate().for_recipient("ml"), made, "id"),
        (key, made, "boss"),
        (key, made[:-3] + ("aaa" if made[-3:] != "aaa" else "bbb"), "id"),
    ]
    for other, text, domain in others:
        with pytest.raises(VerificationFailed, match="another master key, for another recipient"):
            other.open(text, domain=domain)
    for no_pseudonym in (
        "alice",
        "rev-abc",
        "",
        key.pseudonym("alice", domain="id"),
        made.upper(),
        made[:-1],
    ):
        with pytest.raises(UsageError, match="no reversible pseudonym"):
            key.open(no_pseudonym, domain="id")


def test_two_recipients_do_not_link():
    """Nothing of 500 values' pseudonyms is shared, nor how they begin."""
    one, other = MASTER.for_recipient("ml"), MASTER.for_recipient("bank")
    values = [f"person {number}" for number in range(500)]
    made = [set(key.pseudonyms(values, domain="id", reversible=True)) for key in (one, other)]
    assert [len(each) for each in made] == [500, 500]
    assert not made[0] & made[1]
    heads = [{text[4:16] for text in each} for each in made]  # 60 bits: a chance meeting is below 1e-12
    assert not heads[0] & heads[1]


def test_length_is_told_in_blocks_only():
    key = MASTER.for_recipient("ml")
    lengths = [len(key.reversible("x" * size, domain="id")) for size in (0, 1, 31, 32, 63, 64)]
    assert lengths == [81, 81, 81, 132, 132, 184]


def test_reversible_columns_of_a_table():
    table = Table(pa.table({"id": [1, 2, 1, None], "boss": ["2", "1", None, "1"]}))
    key = MASTER.for_recipient("ml")
    done = pseudonymise(table, ["id", "boss"], key, reversible=["id"])
    opened = [None if made is None else key.open(made, domain="id") for made in done.strings("id")]
    assert opened == ["1", "2", "1", None]
    assert done.strings("boss")[0] == key.pseudonym("2", domain="boss")
    with pytest.raises(UsageError, match="reversible"):
        pseudonymise(table, ["boss"], key, reversible=["id"])
    with pytest.raises(UsageError, match="UTF-8"):
        key.reversible("\ud800", domain="id")
