"""The strict YAML reader: what a person reads is what it reads, or it is refused."""

from __future__ import annotations

import json
import time
import unicodedata

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from comity.agreement.layout import write_document
from comity.agreement.text import (
    MAX_BYTES,
    MAX_DEPTH,
    MAX_NODES,
    path_text,
    plain_value,
    read_document,
    shown,
    unreadable,
)
from comity.errors import BadAgreement


def read(text: str) -> object:
    return read_document(text, where="a.yaml").value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a: 1", 1),
        ("a: -7", -7),
        ("a: +7", 7),
        ("a: 1e-6", 1e-6),
        ("a: 1.0e-6", 1e-6),
        ("a: .5", 0.5),
        ("a: 5.", 5.0),
        ("a: -0.25", -0.25),
        ("a: true", True),
        ("a: FALSE", False),
        ("a: null", None),
        ("a: ~", None),
        ("a:", None),
        ("a: 'NO'", "NO"),
        ('a: "1"', "1"),
        ("a: 2027-12-31", "2027-12-31"),
        ("a: north", "north"),
        ("a: .", "."),
        ("a: e5", "e5"),
        ("a: 1.2.3", "1.2.3"),
        ("a: 9007199254740991", 2**53 - 1),
        ("a: |\n  two\n  lines", "two\nlines"),
    ],
)
def test_plain_scalars_mean_what_they_look_like(text: str, value: object) -> None:
    found = read(text)
    assert found == {"a": value}
    assert type(found["a"]) is type(value)  # type: ignore[index]


@pytest.mark.parametrize(
    "scalar",
    [
        *("NO", "no", "Yes", "on", "OFF", "y", "N"),
        *("010", "0o17", "0x1F", "0b101", "1_000", "12:30", "1:02:03", "007.5", "1_0.5"),
        *(".inf", "-.INF", ".nan", "1e400", "-1e400", "1e-400"),
        *("9007199254740992", "-9007199254740992", "9" * 5000),
    ],
)
def test_what_readers_disagree_on_is_refused_with_its_line(scalar: str) -> None:
    with pytest.raises(BadAgreement, match=r"a\.yaml, line 2: b"):
        read(f"a: 1\nb: {scalar}")
    assert read(f"a: '{scalar}'") == {"a": scalar}


def test_norway_is_told_to_use_quotes() -> None:
    with pytest.raises(
        BadAgreement, match=r"values\.0: NO is yes or no to some readers: write 'NO' in quotes"
    ):
        read("values: [NO, SE]")


def test_keys_are_text_as_written() -> None:
    assert read("{no: 1, 10: 2, y: 3, 'null': 4}") == {"no": 1, "10": 2, "y": 3, "null": 4}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: 1\na: 2", "line 2: the key 'a' stands here again, first on line 1"),
        ("a: {b: 1, b: 1}", "a: the key 'b' stands here again"),
        ("a: 1\n'a': 2", "the key 'a' stands here again"),
        ("a: &x 1", "anchors"),
        ("a: &x [1]\nb: *x", "anchors"),
        ("a: *x", "anchors"),
        ("&x a: 1", "anchors"),
        ("a: !!str 1", "tags"),
        ("a: !!python/object/apply:os.system [true]", "tags"),
        ("a: ! b", "tags"),
        ("<<: {a: 1}", "merge keys"),
        ("'': 1", "a key is empty"),
        (": 1", "not YAML"),
        ("? [a]\n: 1", "a key must be text"),
        ("a: 1\n---\nb: 2", "a second document"),
        ("", "is empty"),
        ("# only a comment", "is empty"),
        ("a: [1", "not YAML"),
        ("a: b: c", "not YAML"),
        ("\ta: 1", "not YAML"),
        ("a: \x07", "forbids"),
        ("%TAG ! tag:x,2000:\n---\na: !b c", "tags"),
    ],
)
def test_what_a_signed_text_must_not_contain(text: str, says: str) -> None:
    with pytest.raises(BadAgreement) as caught:
        read(text)
    assert says in str(caught.value)
    assert str(caught.value).startswith("a.yaml")
    assert "\n" not in str(caught.value)


def test_half_a_surrogate_pair_is_refused() -> None:
    with pytest.raises(BadAgreement, match="not text"):
        read("a: \ud800")


def test_a_laughing_bomb_is_refused_at_once() -> None:
    bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"{chr(ord('a') + i)}: &{chr(ord('a') + i)} [{','.join(['*' + chr(ord('a') + i - 1)] * 9)}]\n"
        for i in range(1, 9)
    )
    with pytest.raises(BadAgreement, match="anchors"):
        read(bomb)


@pytest.mark.parametrize("nest", ["[", "{a: ", "- ", "{? ", "[\n", "[a,"])
def test_depth_is_bounded(nest: str) -> None:
    began = time.monotonic()
    with pytest.raises(BadAgreement, match=r"nested deeper|not YAML|key must be text"):
        read(nest * ((MAX_BYTES - 1) // len(nest)))
    assert time.monotonic() - began < 20


def test_depth_and_size_limits_are_where_they_are_said_to_be() -> None:
    read("[" * MAX_DEPTH + "a" + "]" * MAX_DEPTH)
    with pytest.raises(BadAgreement, match="nested deeper"):
        read("[" * (MAX_DEPTH + 1) + "a" + "]" * (MAX_DEPTH + 1))
    read("'" + "a" * (MAX_BYTES - 2) + "'")
    with pytest.raises(BadAgreement, match="1,000,001 bytes"):
        read("'" + "a" * (MAX_BYTES - 1) + "'")


def test_number_of_values_is_bounded() -> None:
    with pytest.raises(BadAgreement, match="more than 100,000 values"):
        read("[" + "a," * (MAX_NODES + 1) + "]")


def test_lines_lead_to_the_nearest_known_place() -> None:
    document = read_document("a:\n  - b: 1\n    c: 2\n", where="a.yaml")
    assert document.line(()) == 1
    assert document.line(("a", 0, "c")) == 3
    assert document.line(("a", 0, "absent", "deeper")) == 2


def test_messages_never_carry_control_characters() -> None:
    assert shown("\x1b[31mred") == "\\x1b[31mred"
    assert shown("x" * 200).endswith("...")
    assert len(shown("x" * 200)) == 80
    assert path_text(("data", 0, "a\nb")) == "data.0.a\\nb"


@pytest.mark.parametrize(
    "point", [0x1B, 0x7F, 0x85, 0x2028, 0x202E, 0x2066, 0xFEFF, 0xFFFE, 0xFDD0, 0xE0041, 0x200F]
)
def test_invisible_characters_are_named(point: int) -> None:
    assert f"U+{point:04X}" in (unreadable(f"a{chr(point)}b") or "")


def test_ordinary_writing_is_readable() -> None:
    assert unreadable("Æren på fjeldet\n\t日本語 \u0643\u062a\u0627\u0628 \U0001f600 a\u200db") is None


_VISIBLE = st.text(st.characters(exclude_categories=("Cs", "Cc", "Cf", "Cn", "Zl", "Zp")), max_size=30)
_SPIKY = st.text(st.sampled_from(list("-:?#&*!|>'\"%@`{}[], \n\t0123456789.eE+_~<=yYnNoO/\\aä")), max_size=12)
_TEXTS = (
    _VISIBLE | _SPIKY | st.sampled_from(["NO", "null", "~", "010", "1e5", "2027-12-31", "<<", "=", "12:30"])
)
_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | _TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXTS.filter(bool), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(_TEXTS.filter(bool), _VALUES, max_size=5))
@example({"a": "x" * 300 + " y" * 90, "k" * 200: {"b": " lead\n  more\n\n"}, "c": ["\n", " ", "\t", "# no"]})
@example({"a": {"b": -0.0, "c": 5e-324, "d": 1.7976931348623157e308, "e": 1e16, "f": 123456.789e-10}})
def test_what_is_written_is_read_back(value: dict[str, object]) -> None:
    assert read(write_document(value)) == value


_ALPHABET = st.sampled_from(list("ab:-?{}[],&*!|>'\"% \n\t#0159.eE_~<=yNo\r\\\x00\x1b\ufeff\u2028é"))


@given(st.text(_ALPHABET, max_size=60) | st.text(max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        value = read(text)
    except BadAgreement as error:
        message = str(error)
    else:
        message = json.dumps(value, allow_nan=False)
    assert "\n" not in message


@given(_SPIKY | st.from_regex(r"[-+]?[0-9._eE:xob]{1,8}", fullmatch=True))
def test_plain_scalars_agree_with_yaml_1_1_or_are_text_or_numbers_of_both(text: str) -> None:
    """Whatever PyYAML (YAML 1.1) takes for a number, true, false or null is the same here, or is refused."""
    tag = yaml.SafeLoader("").resolve(yaml.ScalarNode, text, (True, False))  # type: ignore[no-untyped-call]
    try:
        ours = plain_value(text)
    except ValueError:
        return
    if tag.endswith((":int", ":float", ":bool", ":null")):
        theirs = yaml.safe_load(f"- {text}") if text.strip() == text and text else [None]
        assert theirs == [ours]


def test_categories_do_not_change_with_the_unicode_version() -> None:
    """The classes that decide are closed by Unicode's stability policy; unassigned characters may stand."""
    assert unicodedata.category("\u0378") == "Cn"
    assert unreadable("\u0378") is None
