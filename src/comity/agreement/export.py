"""The agreement's file form as a JSON Schema (2020-12), for editors and other people's tools.

The schema checks shape and ranges. What contradicts itself across clauses, and YAML's own traps, only
`comity.agreement.parse_agreement` finds.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from comity.agreement.terms import Agreement


def json_schema() -> dict[str, Any]:
    """The JSON Schema of the file form."""
    schema = Agreement.model_json_schema(by_alias=True, mode="validation")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:comity:agreement:1",
        **schema,
    }


def json_schema_text() -> str:
    """The schema as `agreement.schema.json` beside this module holds it."""
    return json.dumps(json_schema(), indent=2, sort_keys=True, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.stdout.write(json_schema_text())
