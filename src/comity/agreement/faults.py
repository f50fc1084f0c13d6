"""What is wrong with an agreement's text, said to the person who wrote it: line, path, remedy."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from comity.agreement.text import Document, Path, path_text
from comity.errors import BadAgreement

_CONTRADICTION = "contradiction"
_MOST = 10
_TEXT_TYPES = frozenset({"string_type", "enum"})


def contradiction_error(found: Sequence[tuple[Path, str]]) -> PydanticCustomError:
    """One validation error that keeps every contradiction's place."""
    text = "; ".join(f"{path_text(path)}: {reason}" for path, reason in found[:_MOST])
    return PydanticCustomError(_CONTRADICTION, "{text}", {"text": text, "found": list(found)})


def bad_agreement(
    error: ValidationError,
    *,
    where: str,
    document: Document,
    model: type[BaseModel],
    what: str = "agreement",
) -> BadAgreement:
    """All faults in one error, in the order of the text."""
    faults = [fault for details in error.errors(include_url=False) for fault in _faults(details, model)]
    faults.sort(key=lambda fault: document.line(fault[0]) or 0)
    shown_faults = "; ".join(_sentence(path, reason, document) for path, reason in faults[:_MOST])
    more = f"; and {len(faults) - _MOST} more" if len(faults) > _MOST else ""
    return BadAgreement(f"{where} is not a usable {what}: {shown_faults}{more}")


def _sentence(path: Path, reason: str, document: Document) -> str:
    line = document.line(path)
    place = path_text(path) or "the agreement"
    return f"{place}: {reason}" if line is None else f"{place} (line {line}): {reason}"


def _faults(details: ErrorDetails, model: type[BaseModel]) -> list[tuple[Path, str]]:
    path = details["loc"]
    if details["type"] == _CONTRADICTION:
        return [(path + place, reason) for place, reason in details.get("ctx", {})["found"]]
    if details["type"] == "extra_forbidden":
        return [(path, f"unknown key; known here: {', '.join(_known(model, path[:-1]))}")]
    return [(path, _reason(details))]


def _reason(details: ErrorDetails) -> str:
    kind, given = details["type"], details["input"]
    scalar = given is None or isinstance(given, bool | int | float)
    if kind == "agreement":
        return details["msg"]
    if kind == "missing":
        return "is missing"
    if kind in _TEXT_TYPES and scalar:
        read_as = "null" if given is None else str(given).lower()
        return f"must be text, but is read as {read_as}: write text in quotes"
    if kind == "string_type":
        return "must be text"
    if kind in ("model_type", "model_attributes_type", "dict_type", "mapping_type"):
        return "must be a mapping of keys to values"
    if kind in ("tuple_type", "list_type"):
        return "must be a list"
    message = details["msg"].replace("Input should be", "must be").removeprefix("Value error, ")
    return f"{message}; it is {str(given).lower()}" if scalar and given is not None else message


def _known(model: type[BaseModel], path: Path) -> list[str]:
    """The keys that stand at a place: walks the models along the path."""
    place: type[BaseModel] | None = model
    named_entries = False
    for step in path:
        if isinstance(step, int) or named_entries or place is None:
            named_entries = False
            continue
        fields = {field.alias or name: field for name, field in place.model_fields.items()}
        annotation = fields[step].annotation if step in fields else None
        named_entries = _is_mapping(annotation)
        place = _model_in(annotation)
    return [] if place is None else [field.alias or name for name, field in place.model_fields.items()]


def _is_mapping(annotation: object) -> bool:
    origin = get_origin(annotation)
    return inspect.isclass(origin) and issubclass(origin, Mapping)


def _model_in(annotation: object) -> type[BaseModel] | None:
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        return annotation
    for argument in get_args(annotation):
        found = _model_in(argument)
        if found is not None:
            return found
    return None
