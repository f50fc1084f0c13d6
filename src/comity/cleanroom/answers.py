"""Reads what a job wrote about all rows: JSON from somebody whom nobody trusts.

Only the declared outputs, each a flat list of so many finite numbers, are taken. A text that is too long, too
deep, not JSON, has a key twice, a key too many, a number that is no number or too few of them is refused, and
the refusal names no value: it goes to the provider's steward.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from comity.cleanroom.job import Job
from comity.errors import BadInput

_DEEPEST: Final = 2
"""An object of lists: more brackets at once than that is nothing that was declared."""
_NUMBER_BYTES: Final = 32
_NAME_BYTES: Final = 256


def most_bytes(job: Job) -> int:
    """How long an honest answer can be."""
    return sum(_NUMBER_BYTES * output.length + _NAME_BYTES for output in job.outputs) + _NAME_BYTES


def read_answer(job: Job, written: bytes) -> dict[str, NDArray[np.float64]]:
    """The declared outputs.

    Raises:
        BadInput: private, saying what is wrong and no value.
    """
    if len(written) > most_bytes(job):
        raise _bad("it is longer than what was declared can be")
    if _depth(written) > _DEEPEST:
        raise _bad("it holds lists within lists")
    try:
        document = json.loads(
            written.decode("utf-8"), object_pairs_hook=_once, parse_constant=_no_number, parse_int=float
        )
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError):
        raise _bad("it is not JSON") from None
    if not isinstance(document, Mapping) or set(document) != {output.name for output in job.outputs}:
        raise _bad("it does not hold exactly the declared outputs")
    return {output.name: _numbers(document[output.name], output.length) for output in job.outputs}


def _numbers(values: object, length: int) -> NDArray[np.float64]:
    if not isinstance(values, list) or len(values) != length:
        raise _bad("an output is no list of the declared length")
    if not all(type(value) is float and math.isfinite(value) for value in values):
        raise _bad("an output holds what is no finite number")
    return np.array(values, dtype=np.float64)


def _depth(written: bytes) -> int:
    """The most brackets open at once, of those outside texts; before anything is parsed."""
    deepest = depth = 0
    inside = escaped = False
    for byte in written:
        if inside:
            escaped, inside = (not escaped and byte == 0x5C), (escaped or byte != 0x22)
        elif byte == 0x22:
            inside = True
        elif byte in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        elif byte in b"]}":
            depth -= 1
    return deepest


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({name for name, _ in pairs}) != len(pairs):
        raise _bad("it names an output twice")
    return dict(pairs)


def _no_number(_text: str) -> float:
    raise _bad("an output holds what is no finite number")


def _bad(what: str) -> BadInput:
    return BadInput(f"the job's answer cannot be taken: {what}", private=True)
