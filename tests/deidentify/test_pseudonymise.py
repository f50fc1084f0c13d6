from __future__ import annotations

import hashlib
import hmac

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from comity.data import Table
from comity.deidentify import MasterKey, RecipientKey
from comity.deidentify.pseudonymise import pseudonymise
from comity.errors import UsageError

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
    import base64

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
