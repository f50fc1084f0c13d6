"""Reading tables, typing and checking them, and turning them into codes and matrices.

Names are loaded when they are first used: importing this package loads no engine.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from comity.data.check import Checked, check_table
    from comity.data.classes import equivalence_classes, table_codes
    from comity.data.encode import Encoder
    from comity.data.infer import InferredSchema, infer_schema
    from comity.data.labels import Labels, binary_labels, positive_class
    from comity.data.rawmatrix import RawEncoder
    from comity.data.read import read_table
    from comity.data.shipped import adult_hierarchies, adult_schema, load_adult, write_adult_parts
    from comity.data.split import hold_out, parts, seed_rows
    from comity.data.table import Table, concat_tables
    from comity.data.write import write_table

_HOME = {
    "Checked": "check",
    "Encoder": "encode",
    "InferredSchema": "infer",
    "Labels": "labels",
    "RawEncoder": "rawmatrix",
    "Table": "table",
    "adult_hierarchies": "shipped",
    "adult_schema": "shipped",
    "binary_labels": "labels",
    "check_table": "check",
    "concat_tables": "table",
    "equivalence_classes": "classes",
    "hold_out": "split",
    "infer_schema": "infer",
    "load_adult": "shipped",
    "parts": "split",
    "positive_class": "labels",
    "read_table": "read",
    "seed_rows": "split",
    "table_codes": "classes",
    "write_adult_parts": "shipped",
    "write_table": "write",
}

__all__ = [
    "Checked",
    "Encoder",
    "InferredSchema",
    "Labels",
    "RawEncoder",
    "Table",
    "adult_hierarchies",
    "adult_schema",
    "binary_labels",
    "check_table",
    "concat_tables",
    "equivalence_classes",
    "hold_out",
    "infer_schema",
    "load_adult",
    "parts",
    "positive_class",
    "read_table",
    "seed_rows",
    "table_codes",
    "write_adult_parts",
    "write_table",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
