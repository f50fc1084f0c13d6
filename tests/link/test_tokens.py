"""Linkage tokens: alike at the two ends of a pair, unrelated anywhere else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comity.crypto.keys import SigningKey
from comity.link import TOKEN_BYTES, LinkageKey, written_alike

NORTH, SOUTH, WEST = (SigningKey.generate() for _ in range(3))
PACT = "0" * 64


def between(own: SigningKey, other: SigningKey, *, agreement: str = PACT, use: str = "record") -> LinkageKey:
    return LinkageKey.between(own, other.verify_key, agreement=agreement, use=use)


@given(st.text(max_size=30))
def test_both_ends_of_a_pair_make_the_same_token(value: str) -> None:
    token = between(NORTH, SOUTH).token(value)
    assert token == between(SOUTH, NORTH).token(value)
    assert len(token) == TOKEN_BYTES


@pytest.mark.parametrize(
    "other",
    [
        between(NORTH, WEST),
        between(WEST, SOUTH),
        between(NORTH, SOUTH, agreement="1" * 64),
        between(NORTH, SOUTH, use="reference"),
    ],
)
def test_another_pair_agreement_or_use_makes_other_tokens(other: LinkageKey) -> None:
    ids = [f"person-{number}" for number in range(100)]
    assert not set(between(NORTH, SOUTH).tokens(ids)) & set(other.tokens(ids))


@pytest.mark.parametrize("written", ["BE 0123.456.789", "be0123456789", "Be-0123 456 789", "ＢＥ0123456789"])
def test_an_id_is_one_id_however_it_is_written(written: str) -> None:
    assert between(NORTH, SOUTH).token(written) == between(NORTH, SOUTH).token("BE0123456789")


def test_an_id_of_signs_alone_stays_an_id() -> None:
    assert written_alike("--") != written_alike("++")


def test_a_missing_id_links_with_nobody() -> None:
    key = between(NORTH, SOUTH)
    assert len(set(key.tokens([None] * 50)) | set(key.tokens([None] * 50))) == 100


def test_the_key_does_not_show() -> None:
    assert repr(between(NORTH, SOUTH)) == "LinkageKey()"
