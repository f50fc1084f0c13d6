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
_TOLD: Final = 5
"""So many outputs that nobody declared are named."""


def most_bytes(job: Job) -> int:
    """How long an honest answer can be."""
    return sum(_NUMBER_BYTES * output.length + _NAME_BYTES for output in job.outputs) + _NAME_BYTES


def read_answer(job: Job, written: bytes) -> dict[str, NDArray[np.float64]]:
    """The declared outputs.

    Raises:
        BadInput: private, saying what is wrong and no value.
    """
    document = _document(job, written)
    if not isinstance(document, Mapping) or set(document) != {output.name for output in job.outputs}:
        raise _bad("it does not hold exactly the declared outputs")
    return {output.name: _numbers(document[output.name], output.length) for output in job.outputs}


def faults_on_made_up_rows(job: Job, written: bytes) -> list[str]:
    """Everything that is wrong with an answer, with names and lengths: for a run on made-up rows alone.

    On real rows how long a list is may be somebody's secret; there `read_answer` says less.
    """
    try:
        document = _document(job, written)
    except BadInput as error:
        return [str(error)]
    if not isinstance(document, Mapping):
        return ["the job's answer is no mapping of outputs to lists of numbers"]
    declared = {output.name for output in job.outputs}
    more = sorted(name for name in document if name not in declared)
    faults = [f"'{name[:60]}' is not among the declared outputs" for name in more[:_TOLD]]
    for output in job.outputs:
        what, values = f"output '{output.name}'", document.get(output.name)
        declares = f"the job declares {output.length:,}"
        if output.name not in document:
            faults.append(f"{what} is missing; {declares} numbers")
        elif not isinstance(values, list):
            faults.append(f"{what} is no list; {declares} numbers")
        elif len(values) != output.length:
            faults.append(f"{what} has {len(values):,} numbers; {declares}")
        elif odd := [at for at, value in enumerate(values) if not _finite(value)]:
            faults.append(f"{what} holds what is no finite number, first at place {odd[0]}")
    return faults


def _document(job: Job, written: bytes) -> Any:
    """What was written as JSON, whatever it holds.

    Raises:
        BadInput: private, as `read_answer`.
    """
    if len(written) > most_bytes(job):
        raise _bad("it is longer than what was declared can be")
    if _depth(written) > _DEEPEST:
        raise _bad("it holds lists within lists")
    try:
        return json.loads(
            written.decode("utf-8"), object_pairs_hook=_once, parse_constant=_no_number, parse_int=float
        )
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError):
        raise _bad("it is not JSON") from None


def _numbers(values: object, length: int) -> NDArray[np.float64]:
    if not isinstance(values, list) or len(values) != length:
        raise _bad("an output is no list of the declared length")
    if not all(_finite(value) for value in values):
        raise _bad("an output holds what is no finite number")
    return np.array(values, dtype=np.float64)


def _finite(value: object) -> bool:
    return type(value) is float and math.isfinite(value)


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
