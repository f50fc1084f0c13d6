"""Reads a job's document: strict about keys and types, since another party wrote it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from comity.cleanroom.job import Blocks, Cells, Kind, Output
from comity.errors import BadInput

_NEEDED = {"title": str, "source": str, "columns": list, "kind": str, "outputs": list}
_MORE = {
    "parameters": dict,
    "modules": list,
    "seconds": float,
    "memory_mb": int,
    "blocks": dict,
    "cells": dict,
}


def read_job(document: object) -> dict[str, Any]:
    """The fields of a `Job`.

    Raises:
        BadInput: naming the key that does not fit.
    """
    given = _entries(document, {**_NEEDED, **_MORE}, needed=set(_NEEDED), where="a job")
    given.setdefault("parameters", {})
    if given["kind"] not in set(Kind):
        raise BadInput(f"a job's kind is one of: {', '.join(Kind)}")
    given["kind"] = Kind(given["kind"])
    for name in ("columns", "modules"):
        given[name] = tuple(_text(value, name) for value in given.get(name, ()))
    for name, length in given["parameters"].items():
        if type(length) is not int or len(name) > 200:
            raise BadInput("a job's parameters: a whole number, how many numbers it has, for each name")
    given["outputs"] = tuple(_output(entry) for entry in given["outputs"])
    if "blocks" in given:
        fields = {"number": int, "most": int, "cpu_s": float}
        given["blocks"] = Blocks(**_entries(given["blocks"], fields, needed=set(), where="a job's blocks"))
    if "cells" in given:
        cells = _entries(
            given["cells"], {"by": list, "measure": str}, needed={"by"}, where="the cells of a job"
        )
        given["cells"] = Cells(tuple(_text(name, "by") for name in cells["by"]), cells.get("measure"))
    return given


def _output(entry: object) -> Output:
    fields = {"name": str, "length": int, "norm": float, "share": float, "mix": str}
    return Output(**_entries(entry, fields, needed={"name", "length"}, where="an output of a job"))


def _entries(document: object, types: Mapping[str, type], *, needed: set[str], where: str) -> dict[str, Any]:
    if not isinstance(document, Mapping):
        raise BadInput(f"{where} is an object with the keys {', '.join(types)}")
    unknown, absent = set(document) - set(types), needed - set(document)
    if unknown or absent:
        what = f"has no {sorted(map(str, unknown))[0][:60]}" if unknown else f"lacks {min(absent)}"
        raise BadInput(f"{where} {what}; its keys are {', '.join(types)}")
    read: dict[str, Any] = {}
    for name, value in document.items():
        wanted = types[name]
        if wanted is float and type(value) is int:
            value = float(value)
        if type(value) is not wanted:
            raise BadInput(f"{where}: '{name}' is of another type than {wanted.__name__}")
        read[name] = value
    return read


def _text(value: object, where: str) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= 200:
        raise BadInput(f"a job's {where} are names of up to 200 characters")
    return value
