"""Flower's records as a JSON body and named parts, and back: numbers, short texts, bytes. No pickle.

A record has arrays (float64, int64 or uint64) and a configuration (numbers, texts, bytes, and lists of
texts). Nothing else is written, and nothing else is read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from comity.crypto.canonical import digest
from comity.errors import BadInput
from comity.train.federated.engine import flower

ARRAYS: Final = "arrays"
CONFIG: Final = "config"
_KINDS: Final = {"<f8": np.dtype("<f8"), "<i8": np.dtype("<i8"), "<u8": np.dtype("<u8")}
_MOST_NUMBERS: Final = 1 << 24
_MOST_TEXT: Final = 10_000

Arrays = Mapping[str, NDArray[Any]]
Config = Mapping[str, Any]


def record(arrays: Arrays | None = None, config: Config | None = None) -> Any:
    """A `RecordDict` of arrays and a configuration."""
    app = flower("flwr.app")
    return app.RecordDict(
        {
            ARRAYS: app.ArrayRecord({name: app.Array(values) for name, values in (arrays or {}).items()}),
            CONFIG: app.ConfigRecord(dict(config or {})),
        }
    )


def arrays_of(content: Any) -> dict[str, NDArray[Any]]:
    """The arrays of a `RecordDict`, by name."""
    return {name: array.numpy() for name, array in content[ARRAYS].items()}


def config_of(content: Any) -> dict[str, Any]:
    """The configuration of a `RecordDict`."""
    return dict(content[CONFIG])


def to_parts(arrays: Arrays, config: Config) -> tuple[dict[str, Any], dict[str, bytes]]:
    """A JSON body and binary parts that say the same.

    Raises:
        BadInput: for what does not go over the wire.
    """
    body: dict[str, Any] = {"arrays": {}, "config": {}}
    parts: dict[str, bytes] = {}
    for name, values in arrays.items():
        kind = values.dtype.newbyteorder("<").str
        if kind not in _KINDS or values.ndim > 2:
            raise BadInput(f"the array '{name[:40]}' is of a kind that is not sent")
        body["arrays"][name] = {"kind": kind, "shape": list(values.shape)}
        parts[f"array:{name}"] = np.ascontiguousarray(values, dtype=_KINDS[kind]).tobytes()
    for name, value in config.items():
        if isinstance(value, bytes):
            parts[f"bytes:{name}"] = value
        elif isinstance(value, bool | int | float | str):
            body["config"][name] = value
        elif isinstance(value, list) and all(isinstance(entry, str) for entry in value):
            body["config"][name] = list(value)
        else:
            raise BadInput(f"the setting '{name[:40]}' is of a kind that is not sent")
    return body, parts


def from_parts(
    body: Mapping[str, Any], parts: Mapping[str, bytes]
) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Arrays and configuration out of what `to_parts` wrote.

    Raises:
        BadInput: for anything else.
    """
    listed, config = body.get("arrays"), body.get("config")
    if set(body) != {"arrays", "config"} or not isinstance(listed, dict) or not isinstance(config, dict):
        raise BadInput("a record has arrays and a configuration, and nothing else")
    arrays = {name: _array(name, form, parts) for name, form in listed.items()}
    read: dict[str, Any] = {}
    for name, value in config.items():
        texts = isinstance(value, list) and all(isinstance(entry, str) for entry in value)
        if not (texts or isinstance(value, bool | int | float | str)) or len(str(value)) > _MOST_TEXT:
            raise BadInput(f"the setting '{str(name)[:40]}' is of a kind that is not sent")
        read[name] = value
    for name, data in parts.items():
        kind, _, rest = name.partition(":")
        if kind == "bytes" and rest not in read:
            read[rest] = data
        elif not (kind == "array" and rest in arrays):
            raise BadInput(f"the part '{name[:40]}' belongs to nothing in this record")
    return arrays, read


def _array(name: str, form: Any, parts: Mapping[str, bytes]) -> NDArray[Any]:
    shape = form.get("shape") if isinstance(form, dict) else None
    if (
        not isinstance(form, dict)
        or set(form) != {"kind", "shape"}
        or not isinstance(form["kind"], str)
        or form["kind"] not in _KINDS
        or not isinstance(shape, list)
        or len(shape) > 2
        or not all(type(length) is int and 0 <= length <= _MOST_NUMBERS for length in shape)
    ):
        raise BadInput(f"the array '{name[:40]}' is described in a form that cannot be read")
    count = int(np.prod([1, *shape]))
    data = parts.get(f"array:{name}", b"")
    if count > _MOST_NUMBERS or len(data) != 8 * count:
        raise BadInput(f"the array '{name[:40]}' has another size than it is said to have")
    return np.frombuffer(data, dtype=_KINDS[form["kind"]]).reshape(shape).copy()


def query_digest(arrays: Arrays, config: Config) -> str:
    """What a round asks, as one digest: every member signs it, so that all are asked the same."""
    body, parts = to_parts(arrays, config)
    return digest({**body, "parts": {name: hashlib.sha256(data).hexdigest() for name, data in parts.items()}})


def packed(named: Mapping[str, bytes]) -> dict[str, Any]:
    """Bytes by name as settings: a list of the names, and one entry for each."""
    return {"names": sorted(named), **{f"of {name}": data for name, data in named.items()}}


def unpacked(config: Config) -> dict[str, bytes]:
    """What `packed` wrote.

    Raises:
        BadInput: if a name's bytes are missing.
    """
    names = config.get("names")
    if not isinstance(names, list):
        raise BadInput("a list of names and what belongs to them is due here")
    found = {name: config.get(f"of {name}") for name in names}
    if not all(isinstance(data, bytes) for data in found.values()):
        raise BadInput("a list of names came without what belongs to them")
    return {name: data for name, data in found.items() if isinstance(data, bytes)}
