"""Canonical JSON: one byte string for one meaning, after RFC 8785.

Numbers are doubles, as RFC 8785 has them; a reader that makes integers of digits gets other values
beyond 2^53.
"""

from __future__ import annotations

import hashlib
import json
import math
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comity.crypto.canonical import canonical_bytes, digest
from comity.errors import BadInput

MOST = 2**53 - 1
_TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=8)
_SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-MOST, MOST)
    | st.floats(allow_nan=False, allow_infinity=False)
    | _TEXT
)
VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXT, inner, max_size=4),
    max_leaves=15,
)


def read(text: bytes) -> Any:
    return json.loads(text, parse_int=float)


@given(VALUES)
def test_it_is_json_of_the_same_value(value: Any) -> None:
    assert read(canonical_bytes(value)) == value


@given(VALUES)
def test_canonical_form_of_canonical_form_is_itself(value: Any) -> None:
    once = canonical_bytes(value)
    assert canonical_bytes(read(once)) == once


@given(st.dictionaries(_TEXT, VALUES, max_size=6), st.randoms())
def test_the_order_of_keys_does_not_count(value: dict[str, Any], order: random.Random) -> None:
    names = list(value)
    order.shuffle(names)
    assert canonical_bytes({name: value[name] for name in names}) == canonical_bytes(value)


@given(VALUES, VALUES)
def test_different_values_have_different_bytes(one: Any, other: Any) -> None:
    if canonical_bytes(one) == canonical_bytes(other):
        assert one == other


@given(st.lists(_TEXT, unique=True, max_size=6))
def test_keys_are_sorted_by_utf16_code_units(names: list[str]) -> None:
    held = json.loads(
        canonical_bytes(dict.fromkeys(names, 0)), object_pairs_hook=lambda pairs: [k for k, _ in pairs]
    )
    if names:
        assert held == sorted(names, key=lambda name: name.encode("utf-16-be"))


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_keep_every_bit_and_zero_has_no_sign(number: float) -> None:
    again = read(canonical_bytes(number))
    assert again == number
    assert math.copysign(1, again) == math.copysign(1, number) or number == 0


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"b": 1, "a": [True, None]}, b'{"a":[true,null],"b":1}'),
        (1.0, b"1"),
        (-0.0, b"0"),
        (1e-6, b"0.000001"),
        (1e-7, b"1e-7"),
        (1e21, b"1e+21"),
        (333333333.33333329, b"333333333.3333333"),
        (MOST, b"9007199254740991"),
        ('\u20ac$\x0f\nA\'B"\\\\"/', b'"\xe2\x82\xac$\\u000f\\nA\'B\\"\\\\\\\\\\"/"'),
        ({"\U0001f600": 1, "\ufb33": 2}, '{"\U0001f600":1,"\ufb33":2}'.encode()),
    ],
)
def test_examples_of_rfc_8785(value: Any, expected: bytes) -> None:
    assert canonical_bytes(value) == expected


def _nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    "value",
    [
        MOST + 1,
        -MOST - 1,
        2**64,
        math.nan,
        math.inf,
        -math.inf,
        {"deep": [{"er": math.nan}]},
        "\ud800",
        {"\udc00": 1},
        {1: 2},
        b"bytes",
        {1, 2},
        pytest.param(object(), id="object"),
    ],
    ids=repr,
)
def test_what_has_no_canonical_form_is_refused(value: Any) -> None:
    with pytest.raises(BadInput, match="no canonical JSON form"):
        canonical_bytes(value)


def test_what_is_nested_too_deep_is_refused() -> None:
    with pytest.raises(BadInput, match="no canonical JSON form"):
        canonical_bytes(_nested(100_000))


def test_the_digest_is_sha256_of_the_bytes() -> None:
    assert digest({"b": 1, "a": 2}) == hashlib.sha256(b'{"a":2,"b":1}').hexdigest()


_ANY_TEXT = st.text(st.characters(max_codepoint=130), max_size=6) | st.text(max_size=6)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**54), 2**54) | st.floats() | _ANY_TEXT,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_ANY_TEXT, inner, max_size=4),
        max_leaves=12,
    )
)
def test_the_fast_way_writes_what_the_slow_one_does(value: Any) -> None:
    """rfc8785 is the slow twin: the same bytes, or no canonical form for both."""
    import rfc8785

    try:
        expected = rfc8785.dumps(value)
    except (rfc8785.CanonicalizationError, UnicodeEncodeError):
        with pytest.raises(BadInput):
            canonical_bytes(value)
    else:
        assert canonical_bytes(value) == expected
