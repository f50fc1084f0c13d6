"""One byte string for one meaning: JSON in the canonical form of RFC 8785, and digests of it.

Whatever is signed, hashed or compared goes through `canonical_bytes`, so that two machines agree on the
bytes. Integers beyond 2^53 - 1, NaN and infinities have no canonical form and are refused.
"""

from __future__ import annotations

import hashlib
from typing import Any

import rfc8785

from comity.errors import BadInput


def canonical_bytes(value: Any) -> bytes:
    """The RFC 8785 form of a JSON value (dict with string keys, list, str, int, float, bool, None).

    Raises:
        BadInput: if the value has no canonical form.
    """
    try:
        return rfc8785.dumps(value)
    except (rfc8785.CanonicalizationError, UnicodeEncodeError, RecursionError) as error:
        raise BadInput(f"this value has no canonical JSON form (RFC 8785): {error}") from None


def digest(value: Any) -> str:
    """SHA-256 of the canonical form, as 64 hexadecimal digits."""
    return hashlib.sha256(canonical_bytes(value)).hexdigest()
