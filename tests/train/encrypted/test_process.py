"""What fails in the engine's process stays as private as it was there; ids are hashed under a key."""

from __future__ import annotations

import pytest

from comity.errors import BadTable, PartyFailed
from comity.gate import refusal_of
from comity.train.encrypted.alignment import hashed
from comity.train.encrypted.process import EngineProcess


def test_a_stray_error_of_the_engine_is_told_to_nobody_else() -> None:
    with EngineProcess() as engine, pytest.raises(PartyFailed, match="quoted value") as failed:
        engine._ask({"do": "quoted value of a row"})
    assert failed.value.private
    assert "quoted value" not in str(refusal_of(failed.value, topic="t").body)


def test_ids_are_hashed_under_a_key_and_repeated_ones_are_their_holders_business() -> None:
    assert set(hashed(["p1", "p2"], b"k" * 32).values()) == {"p1", "p2"}
    assert set(hashed(["p1"], b"k" * 32)) == set(hashed(["p1"], b"k" * 32))
    assert not set(hashed(["p1"], b"k" * 32)) & set(hashed(["p1"], b"j" * 32))
    with pytest.raises(BadTable) as failed:
        hashed(["p1", "p1"], b"k" * 32)
    assert failed.value.private
