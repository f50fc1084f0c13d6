"""What a party's process and its engine's process say to each other: a JSON header, then bytes, nothing else.

Layout of one message::

    length of the header (4, big-endian)   header: {"do": ..., "sizes": [n, ...], ...}   n bytes, ...
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import IO, Any, Final

from comity.errors import PartyFailed

_LARGEST_HEADER: Final = 1 << 24


def write(stream: IO[bytes], header: Mapping[str, Any], parts: Sequence[bytes] = ()) -> None:
    """Write one message.

    Raises:
        BrokenPipeError: if nobody reads any more.
    """
    text = json.dumps({**header, "sizes": [len(part) for part in parts]}).encode()
    stream.write(len(text).to_bytes(4, "big") + text)
    for part in parts:
        stream.write(part)
    stream.flush()


def read(stream: IO[bytes]) -> tuple[dict[str, Any], list[bytes]]:
    """The next message.

    Raises:
        EOFError: if the other end is gone.
        PartyFailed: if what came is no message.
    """
    size = int.from_bytes(_exactly(stream, 4), "big")
    if size > _LARGEST_HEADER:
        raise PartyFailed("the engine's process sent something that is no message")
    try:
        header = json.loads(_exactly(stream, size))
        sizes = [int(one) for one in header.pop("sizes")]
    except (ValueError, KeyError, TypeError, AttributeError):
        raise PartyFailed("the engine's process sent something that is no message") from None
    return header, [_exactly(stream, one) for one in sizes]


def _exactly(stream: IO[bytes], size: int) -> bytes:
    data = stream.read(size)
    if len(data) != size:
        raise EOFError
    return data
