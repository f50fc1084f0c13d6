"""Reads a job's document: strict about keys and types, since another party wrote it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from comity.cleanroom.asked import RECORDS, Asked, What
from comity.cleanroom.job import Blocks, Cells, Kind, Output
from comity.cleanroom.seen import seen
from comity.errors import BadInput

_NEEDED = {"title": str, "columns": list, "kind": str}
_MORE = {
    "source": str,
    "outputs": list,
    "statistics": list,
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
    given = {"source": "", "outputs": [], "parameters": {}, "statistics": []} | given
    if given["kind"] not in set(Kind):
        raise BadInput(f"a job's kind is one of: {', '.join(Kind)}")
    given["kind"] = Kind(given["kind"])
    for name in ("columns", "modules"):
        given[name] = tuple(_text(value, name) for value in given.get(name, ()))
    for name, length in given["parameters"].items():
        if type(length) is not int or len(name) > 200:
            raise BadInput("a job's parameters: a whole number, how many numbers it has, for each name")
    given["outputs"] = tuple(_output(entry) for entry in given["outputs"])
    given["statistics"] = tuple(_asked(entry) for entry in given["statistics"])
    if "blocks" in given:
        fields = {"number": int, "most": int, "cpu_s": float, "together": int}
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


def _asked(entry: object) -> Asked:
    """One statistic: what it is and of which column, then how."""
    where = "a statistic of a job"
    kinds = [str(what) for what in What if isinstance(entry, Mapping) and str(what) in entry]
    if len(kinds) != 1:
        raise BadInput(f"{where} has one of: {', '.join(What)}, and says what it is of, as {{mean: age}}")
    fields = {kinds[0]: str, "share": float, "by": list, "bins": int, "at": list}
    # one column, or one quantile, may stand without a list
    loose = {name: [value] for name, value in dict(entry).items() if name in ("by", "at")}  # type: ignore[call-overload]  # a mapping: it has a kind
    loose = {name: one[0] if isinstance(one[0], list) else one for name, one in loose.items()}
    read = _entries(dict(entry) | loose, fields, needed={kinds[0]}, where=where)  # type: ignore[call-overload]
    what, column = What(kinds[0]), _text(read.pop(kinds[0]), "statistics")
    if (what is What.count) is not (column == RECORDS):
        raise BadInput(f"{where}: it is {{count: {RECORDS}}}, and of a column for anything else")
    at = read.pop("at", [0.5] if what is What.quantile else [])
    if not all(type(one) in (int, float) for one in at):
        raise BadInput(f"{where}: at is a list of numbers, as [0.25, 0.5, 0.75]")
    by = tuple(_text(name, "by") for name in read.pop("by", []))
    return Asked(what, None if what is What.count else column, by, at=tuple(float(one) for one in at), **read)


def _entries(document: object, types: Mapping[str, type], *, needed: set[str], where: str) -> dict[str, Any]:
    if not isinstance(document, Mapping):
        raise BadInput(f"{where} is an object with the keys {', '.join(types)}")
    unknown, absent = set(document) - set(types), needed - set(document)
    if unknown or absent:
        what = f"has no {seen(sorted(map(str, unknown))[0][:60])}" if unknown else f"lacks {min(absent)}"
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
