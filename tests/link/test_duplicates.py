"""Duplicates across parties against a slow, obvious twin; which one stays is drawn."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from comity.crypto.keys import SigningKey
from comity.errors import BadInput
from comity.link import Duplicates, LinkageKey, find_duplicates
from comity.link.duplicates import words_of
from comity.link.tokens import Tokens

KEYS = {name: SigningKey.generate() for name in ("north", "south", "west")}


def found_in(people: Mapping[str, list[int]], *, slice_records: int = 1000, batch: int = 7) -> Duplicates:
    def read(holder: str, other: str) -> Iterator[Tokens]:
        key = LinkageKey.between(KEYS[holder], KEYS[other].verify_key, agreement="a", use="record")
        words = words_of(key.tokens(str(person) for person in people[holder]))
        for start in range(0, len(words), batch):
            yield words[start : start + batch]

    rows = {name: len(ids) for name, ids in people.items()}
    return find_duplicates(rows, read, slice_records=slice_records)


ids = st.lists(st.integers(0, 25), unique=True, max_size=20)


@settings(max_examples=60, deadline=None)
@given(ids, ids, ids, st.sampled_from([1000, 9, 3]))
def test_every_person_stays_once(north: list[int], south: list[int], west: list[int], size: int) -> None:
    people = {"north": north, "south": south, "west": west}
    found = found_in(people, slice_records=size)
    left = [
        person
        for name, held in people.items()
        for at, person in enumerate(held)
        if at not in found.dropped[name].tolist()
    ]
    assert sorted(left) == sorted({*north, *south, *west})
    held = [*north, *south, *west]
    several = {person for person in held if held.count(person) > 1}
    assert found.people == len(several)
    assert found.records == sum(person in several for person in held)


def test_which_record_stays_tells_nothing_of_the_provider() -> None:
    """1,800 people stand at all three: each keeps a third. False alarms: 5.5 standard deviations, 1.2e-7."""
    everyone = list(range(1800))
    found = found_in(dict.fromkeys(KEYS, everyone), batch=500)
    spread = 5.5 * math.sqrt(1800 * (1 / 3) * (2 / 3))
    for name in KEYS:
        assert abs(1800 - len(found.dropped[name]) - 600) < spread


def test_a_token_that_repeats_at_one_party_stops_it() -> None:
    with pytest.raises(BadInput, match="sent one linkage token twice"):
        found_in({"north": [1, 2, 1], "south": [3], "west": []})


def test_tokens_become_words_and_stay_apart() -> None:
    tokens = [bytes(range(16)), bytes(16)]
    assert np.array_equal(words_of(tokens)[1], [0, 0])
    assert words_of(tokens)[0].tobytes() == tokens[0]
