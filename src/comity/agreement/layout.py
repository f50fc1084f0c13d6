"""An agreement written out as YAML that people can read and `comity.agreement.text` reads back."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar, cast

import yaml

from comity.agreement.text import MAX_INTEGER, plain_value


class _Flow(dict[str, Any]):
    """A mapping to be written on one line."""


class _Writer(yaml.SafeDumper):
    """Writes what `plain_value` reads back: it decides what needs quotes, in place of YAML 1.1's rules."""

    yaml_implicit_resolvers: ClassVar[dict[str, Any]] = {}  # pyright: ignore[reportIncompatibleVariableOverride]

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _write_text(writer: _Writer, text: str) -> yaml.Node:
    try:
        safe = plain_value(text) == text != "<<"
    except ValueError:
        safe = False
    return _scalar(writer, "str", text, style="|" if "\n" in text else None if safe else "'")


def _write_number(writer: _Writer, number: float) -> yaml.Node:
    whole = number.is_integer() and abs(number) <= MAX_INTEGER
    text = str(int(number)) if whole else re.sub(r"e([-+])0*", r"e\1", repr(number))
    return _scalar(writer, "int" if whole else "float", text)


def _scalar(writer: _Writer, kind: str, text: str, style: str | None = None) -> yaml.Node:
    tag = f"tag:yaml.org,2002:{kind}"
    return writer.represent_scalar(tag, text, style=style)  # pyright: ignore[reportUnknownMemberType]


def _write_flow(writer: _Writer, value: _Flow) -> yaml.Node:
    return writer.represent_mapping("tag:yaml.org,2002:map", value.items(), flow_style=True)


_Writer.add_representer(str, _write_text)
_Writer.add_representer(float, _write_number)
_Writer.add_representer(_Flow, _write_flow)
for _kind, _form in (
    ("null", r"^null$"),
    ("bool", r"^(true|false)$"),
    ("int", r"^-?[0-9]+$"),
    ("float", r"^-?[0-9]+(\.[0-9]+)?(e[-+]?[0-9]+)?$"),
):
    _Writer.add_implicit_resolver(  # pyright: ignore[reportUnknownMemberType]
        f"tag:yaml.org,2002:{_kind}", re.compile(_form), None
    )


def write_document(value: Mapping[str, Any]) -> str:
    """YAML that `read_document` reads back as the same value; mappings of single values go on one line."""
    return yaml.dump(_laid_out(value), Dumper=_Writer, sort_keys=False, allow_unicode=True, width=110)


def _laid_out(value: Any) -> Any:
    if isinstance(value, Mapping):
        entries = cast(Mapping[str, Any], value)
        laid_out = {name: _laid_out(entry) for name, entry in entries.items()}
        nested = any(isinstance(entry, Mapping) or _long(entry) for entry in entries.values())
        return laid_out if nested else _Flow(laid_out)
    if isinstance(value, list):
        return [_laid_out(entry) for entry in cast(list[Any], value)]
    return value


def _long(value: object) -> bool:
    return isinstance(value, str) and (len(value) > 60 or "\n" in value)
