"""Records over the wire: what goes in comes out, and nothing else comes in."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from comity.errors import BadInput, VerificationFailed
from comity.train.federated.clients import reveal_from
from comity.train.federated.records import (
    arrays_of,
    config_of,
    from_parts,
    packed,
    query_digest,
    record,
    to_parts,
    unpacked,
)

ARRAYS = {"weights": np.arange(4.0), "mix": np.eye(2), "masked": np.arange(3, dtype=np.uint64)}
CONFIG = {"round": 2, "proximal-mu": 0.5, "active": ["a", "b"], "keys": b"\x00\xff", "word": "x"}


def test_what_goes_in_comes_out() -> None:
    body, parts = to_parts(ARRAYS, CONFIG)
    arrays, config = from_parts(body, parts)
    assert config == CONFIG
    for name, values in ARRAYS.items():
        assert np.array_equal(arrays[name], values)
    content = record(arrays, config)
    assert query_digest(arrays_of(content), config_of(content)) == query_digest(ARRAYS, CONFIG)


@pytest.mark.parametrize("change", [{"weights": np.arange(4.0) + 1e-12}, {"more": np.zeros(1)}])
def test_every_change_changes_the_digest(change: dict[str, Any]) -> None:
    assert query_digest({**ARRAYS, **change}, CONFIG) != query_digest(ARRAYS, CONFIG)
    assert query_digest(ARRAYS, {**CONFIG, "round": 3}) != query_digest(ARRAYS, CONFIG)


@pytest.mark.parametrize(
    ("body", "parts"),
    [
        ({}, {}),
        ({"arrays": {}, "config": {}, "more": 1}, {}),
        ({"arrays": [], "config": {}}, {}),
        ({"arrays": {"w": {"kind": "O", "shape": [1]}}, "config": {}}, {"array:w": bytes(8)}),
        ({"arrays": {"w": {"kind": [], "shape": [0]}}, "config": {}}, {}),
        ({"arrays": {"w": {"kind": {}, "shape": [0]}}, "config": {}}, {}),
        ({"arrays": {"w": {"kind": "<f8", "shape": [2]}}, "config": {}}, {"array:w": bytes(8)}),
        ({"arrays": {"w": {"kind": "<f8", "shape": [-1]}}, "config": {}}, {"array:w": b""}),
        ({"arrays": {"w": {"kind": "<f8", "shape": [1 << 20, 1 << 20]}}, "config": {}}, {"array:w": b""}),
        ({"arrays": {"w": {"kind": "<f8", "shape": [1, 1, 1]}}, "config": {}}, {"array:w": bytes(8)}),
        ({"arrays": {}, "config": {"a": {"b": 1}}}, {}),
        ({"arrays": {}, "config": {"a": [1, 2]}}, {}),
        ({"arrays": {}, "config": {"a": None}}, {}),
        ({"arrays": {}, "config": {}}, {"array:w": bytes(8)}),
        ({"arrays": {}, "config": {"a": 1}}, {"bytes:a": b"x"}),
        ({"arrays": {}, "config": {}}, {"pickle": b"x"}),
    ],
)
def test_anything_else_is_refused(body: dict[str, Any], parts: dict[str, bytes]) -> None:
    with pytest.raises(BadInput):
        from_parts(body, parts)


def test_what_is_not_sent_is_refused_before_it_is() -> None:
    for arrays, config in (
        ({"w": np.array(["a"])}, {}),
        ({"w": np.zeros((1, 1, 1))}, {}),
        ({}, {"a": object()}),
    ):
        with pytest.raises(BadInput, match="not sent"):
            to_parts(arrays, config)


def test_packed_bytes_come_with_their_names() -> None:
    assert unpacked(packed({"a": b"1", "b": b"2"})) == {"a": b"1", "b": b"2"}
    for broken in ({}, {"names": "a"}, {"names": ["a"]}, {"names": ["a"], "of a": "text"}):
        with pytest.raises(BadInput):
            unpacked(broken)
    with pytest.raises(VerificationFailed, match="no round needs"):
        reveal_from(packed({"label a": b"1"}))
