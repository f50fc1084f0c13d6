"""DuckDB relations as coded Arrow tables: texts become dictionary codes inside the engine, batch by batch."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

_BATCH_ROWS = 262_144
_MOST_WORDS = 10_000
"""A longer list of texts is coded from batches instead."""
_AS_TEXTS = ("HUGEINT", "UHUGEINT", "BIT", "UUID", "TIME WITH TIME ZONE", "BIGNUM", "VARINT")
"""Types that Arrow has no like of, and whose texts DuckDB reads back exactly."""


def coded_table(relation: Any, vocabularies: Mapping[str, Sequence[str]]) -> pa.Table:
    """A relation in memory, every text column coded. Types that Arrow has no like of become texts.

    Args:
        vocabularies: per column, the texts it is expected to hold. They are coded by the engine, at half the
            cost and none of the memory of texts; others that turn up are looked for and added.
    """
    import pyarrow as pa

    known = {
        name: list(dict.fromkeys(vocabularies[name]))
        for name, kind in zip(relation.columns, relation.types, strict=True)
        if str(kind) == "VARCHAR" and 0 < len(vocabularies.get(name, ())) <= _MOST_WORDS
    }
    table = _read(relation, known)
    surprises = {
        name: _others(relation, name, words) for name, words in known.items() if table[name].null_count
    }
    if any(surprises.values()):
        table = _read(relation, {name: words + surprises.get(name, []) for name, words in known.items()})
    return table if table.num_rows else pa.table(relation.to_arrow_table())


def _read(relation: Any, known: Mapping[str, Sequence[str]]) -> pa.Table:
    import pyarrow as pa

    columns = []
    for name, kind in zip(relation.columns, relation.types, strict=True):
        wanted = f"try_cast({_name(name)} as {_enum(known[name])})" if name in known else _name(name)
        if str(kind) in _AS_TEXTS:
            wanted = f"cast({_name(name)} as VARCHAR)"
        columns.append(f"{wanted} as {_name(name)}")
    reader = relation.project(", ".join(columns)).to_arrow_reader(_BATCH_ROWS)
    batches = list(_encoded(reader))
    return pa.Table.from_batches(
        batches, batches[0].schema if batches else reader.schema
    ).unify_dictionaries()


def with_types(made: Any, given: Any, but: Collection[str]) -> Any:
    """A relation made from Arrow with the types that its columns had before, but for some columns.

    `_AS_TEXTS` come back exactly. Inside lists and records Arrow's types stay (a HUGEINT[] becomes
    DECIMAL(38,0)[]) where DuckDB does not turn them back.
    """
    before = dict(zip(given.columns, given.types, strict=True))
    now = dict(zip(made.columns, made.types, strict=True))
    wanted = [
        _name(name)
        if name in but or str(before[name]) == str(now[name])
        else f"cast({_name(name)} as {before[name]}) as {_name(name)}"
        for name in made.columns
    ]
    same = wanted == [_name(name) for name in made.columns]
    return made if same else made.project(", ".join(wanted))


def _encoded(reader: Any) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa

    for batch in reader:
        columns = [
            column.dictionary_encode() if pa.types.is_string(column.type) else column
            for column in batch.columns
        ]
        yield pa.RecordBatch.from_arrays(columns, names=batch.schema.names)


def _others(relation: Any, name: str, words: Sequence[str]) -> list[str]:
    """Texts of a column that are not among some words."""
    column = _name(name)
    found = relation.filter(f"{column} is not null and try_cast({column} as {_enum(words)}) is null")
    return [row[0] for row in found.project(column).distinct().order(column).fetchall()]


def _name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _enum(words: Sequence[str]) -> str:
    return "ENUM(" + ", ".join("'" + word.replace("'", "''") + "'" for word in words) + ")"
