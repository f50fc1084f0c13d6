"""One byte string for one meaning: JSON in the canonical form of RFC 8785, and digests of it.

Whatever is signed, hashed or compared goes through `canonical_bytes`, so that two machines agree on the
bytes. Integers beyond 2^53 - 1, NaN and infinities have no canonical form and are refused.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any, Final

import rfc8785

from comity.errors import BadInput

_LARGEST: Final = 2**53 - 1
_PLAIN: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":"), check_circular=False).encode


def canonical_bytes(value: Any) -> bytes:
    """The RFC 8785 form of a JSON value (dict with string keys, list, str, int, float, bool, None).

    Raises:
        BadInput: if the value has no canonical form.
    """
    try:
        return _written(value)
    except (rfc8785.CanonicalizationError, UnicodeEncodeError, RecursionError) as error:
        raise BadInput(f"this value has no canonical JSON form (RFC 8785): {error}") from None


def digest(value: Any) -> str:
    """SHA-256 of the canonical form, as 64 hexadecimal digits."""
    return hashlib.sha256(canonical_bytes(value)).hexdigest()


def _written(value: Any) -> bytes:
    """Fractions and other text than ASCII are written by `rfc8785`, what stands around them is not."""
    if _is_plain(value):
        return _PLAIN(value).encode("ascii")
    if type(value) is list:
        return b"[" + b",".join(map(_written, value)) + b"]"
    if type(value) is dict and all(type(key) is str and _is_plain(key) for key in value):
        entries = (_PLAIN(key).encode("ascii") + b":" + _written(value[key]) for key in sorted(value))
        return b"{" + b",".join(entries) + b"}"
    return rfc8785.dumps(value)


def _is_plain(value: Any) -> bool:
    """Whether the standard library writes the same bytes, several times as fast: ASCII, and no fractions.

    ECMAScript's numbers and the order of keys by UTF-16 are where the two differ.
    """
    kind = type(value)
    if kind is str:
        return value.isascii() and "\x7f" not in value
    if kind is int:
        return -_LARGEST <= value <= _LARGEST
    if kind is dict:
        return all(type(key) is str and _is_plain(key) for key in value) and all(
            map(_is_plain, value.values())
        )
    if kind is list:
        return all(map(_is_plain, value))
    return value is None or kind is bool
