"""The exported JSON Schema is current, closed, and agrees with the parser on shape."""

from __future__ import annotations

import json
import re
from importlib.resources import files
from typing import Any

from comity.agreement import ARCHITECTURES, agreement_from
from comity.agreement.export import json_schema, json_schema_text


def test_the_checked_in_schema_is_current() -> None:
    """If not: python -m comity.agreement.export > src/comity/agreement/agreement.schema.json"""
    held = files("comity.agreement").joinpath("agreement.schema.json").read_text(encoding="utf-8")
    assert held == json_schema_text()


def test_it_is_a_closed_schema_of_2020_12() -> None:
    schema = json_schema()
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    objects = [schema, *schema["$defs"].values()]
    for place in objects:
        if place.get("type") == "object":
            assert place["additionalProperties"] is False, place["title"]
    assert set(schema["$defs"]["Architectures"]["properties"]) == set(ARCHITECTURES)
    assert json.loads(json_schema_text()) == schema


def _faults(schema: dict[str, Any], value: Any, root: dict[str, Any]) -> list[str]:
    """A small validator: the keywords that the exported schema uses."""
    if "$ref" in schema:
        return _faults(root["$defs"][schema["$ref"].removeprefix("#/$defs/")], value, root)
    if "anyOf" in schema:
        options = [_faults(option, value, root) for option in schema["anyOf"]]
        return [] if any(not option for option in options) else options[0]
    found: list[str] = []
    kinds = {"object": dict, "array": list, "string": str, "boolean": bool, "null": type(None)}
    kind = schema.get("type")
    if kind in kinds and not isinstance(value, kinds[kind]):
        return [f"{value!r} is not {kind}"]
    if kind in ("integer", "number"):
        if isinstance(value, bool) or not isinstance(value, int | float):
            return [f"{value!r} is not {kind}"]
        found += [f"{value} of {kind}"] * (kind == "integer" and value != int(value))
        found += [f"{value} too small"] * (value < schema.get("minimum", value))
        found += [f"{value} too large"] * (value > schema.get("maximum", value))
        found += [f"{value} at low edge"] * (
            "exclusiveMinimum" in schema and value <= schema["exclusiveMinimum"]
        )
        found += [f"{value} at high edge"] * (
            "exclusiveMaximum" in schema and value >= schema["exclusiveMaximum"]
        )
    if kind == "string":
        found += [f"{value!r} pattern"] * ("pattern" in schema and not re.search(schema["pattern"], value))
        found += [f"{value!r} length"] * (len(value) > schema.get("maxLength", len(value)))
    found += [f"{value!r} not in enum"] * ("enum" in schema and value not in schema["enum"])
    if kind == "array":
        for entry in value:
            found += _faults(schema.get("items", {}), entry, root)
    if kind == "object":
        known = schema.get("properties", {})
        found += [f"{name} missing" for name in schema.get("required", []) if name not in value]
        for name, entry in value.items():
            extra = schema.get("additionalProperties", True)
            if name in known:
                found += _faults(known[name], entry, root)
            elif extra is False:
                found.append(f"{name} unknown")
            elif isinstance(extra, dict):
                found += _faults(extra, entry, root)
    return found


def test_it_accepts_what_the_parser_accepts(full: dict[str, Any]) -> None:
    schema = json_schema()
    assert _faults(schema, full, schema) == []
    written = agreement_from(full).to_dict()
    assert _faults(schema, written, schema) == []


def test_it_refuses_what_the_parser_refuses_for_its_shape(full: dict[str, Any]) -> None:
    schema = json_schema()
    for spoil in (
        lambda d: d.update(extra=1),
        lambda d: d.pop("title"),
        lambda d: d["parties"][0].update(key="rsa:1"),
        lambda d: d["parties"][0].update(role="owner"),
        lambda d: d["data"][0]["columns"]["age"].update(colour="red"),
        lambda d: d["data"][0]["budget"].update(epsilon=0),
        lambda d: d["architectures"].update(pooled=None),
        lambda d: d["architectures"]["direct-release"].update(k=1),
        lambda d: d["architectures"]["direct-release"].update(k=2.5),
        lambda d: d["architectures"]["pooled"].pop("unsafe_pilot"),
    ):
        document = json.loads(json.dumps(full))
        spoil(document)
        assert _faults(schema, document, schema)
