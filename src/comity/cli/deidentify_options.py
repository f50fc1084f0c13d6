"""What a steward writes behind the options of `comity deidentify`, read and checked."""

from __future__ import annotations

import re
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from comity.errors import BadInput, BadSchema, ComityError, UsageError

if TYPE_CHECKING:
    from comity.deidentify.columns.steps import Step
    from comity.schema import Schema


@dataclass(frozen=True)
class Enrichment:
    """`COLUMN=FILE:A,B`, or `COLUMN=FILE:KEY:A,B` where the key has another name in the file."""

    column: str
    file: str
    key: str
    attributes: tuple[str, ...]


_OPTIONS = (
    (r"\bsuppression_limit\b", "--suppression"),
    (r"\blevel_limits\b", "--levels"),
    (r"\bweights (?=names|of|is|are|gives?)", "--weights "),
    (r"\bgive target=", "give --target"),
    (r"\bthe target (?='.* is no column)", "--target "),
    (r"\bpopulation=", "--population "),
    (r"\bquasi-identifiers need a hierarchy, or public", "quasi-identifiers need a hierarchy (--hierarchies; "
     "for columns of --enrich also --public-reference, if anybody can have that table), or public"),
)  # fmt: skip
"""How the library's arguments are called on the command line."""


@contextmanager
def said_in_options() -> Generator[None]:
    """Errors of the library, in the words of the command line."""
    try:
        yield
    except ComityError as error:
        text = str(error)
        for name, option in _OPTIONS:
            text = re.sub(name, option, text)
        error.args = (text,)
        raise


def require_target(name: str | None, schema: Schema, added: Sequence[str]) -> None:
    """Refuse a target that there will not be, before anything is read.

    Raises:
        UsageError: naming columns that are written nearly so.
    """
    from difflib import get_close_matches

    known = [*schema, *added]
    if name is None or name in known:
        return
    near = get_close_matches(name, known, n=3)
    offer = f"did you mean {' or '.join(near)}?" if near else f"its columns are: {', '.join(known)}"
    raise UsageError(f"--target {name}: the schema has no such column; {offer}")


def weights_of(text: str | None) -> dict[str, float] | None:
    """`a=2,b=1` as weights.

    Raises:
        UsageError: for anything else.
    """
    if text is None:
        return None
    found: dict[str, float] = {}
    for name, value in _pairs(text, "--weights", "with a number, as in age=2,job=1"):
        try:
            found[name] = float(value)
        except ValueError:
            raise UsageError(f"--weights {text!r}: {value!r} is no number; write age=2,job=1") from None
    return found


def levels_of(text: str | None) -> dict[str, tuple[int, int]] | None:
    """`a=2,b=0-1` as level limits: one level, or from one to another.

    Raises:
        UsageError: for anything else.
    """
    if text is None:
        return None
    found: dict[str, tuple[int, int]] = {}
    for name, value in _pairs(text, "--levels", "with a level or two, as in age=2,job=0-1"):
        low, dash, high = value.partition("-")
        try:
            found[name] = int(low), int(high if dash else low)
        except ValueError:
            raise UsageError(
                f"--levels {text!r}: {value!r} is no level; write age=2 for level 2, age=0-2 for 0 to 2"
            ) from None
    return found


def _pairs(text: str, option: str, how: str) -> list[tuple[str, str]]:
    found: dict[str, str] = {}
    for part in text.split(","):
        name, sign, value = part.rpartition("=")
        if not sign or not name.strip() or name.strip() in found:
            raise UsageError(f"{option} {text!r}: give each quasi-identifier once, {how}")
        found[name.strip()] = value.strip()
    return list(found.items())


def safepub_of(text: str | None) -> Any:
    """`EPSILON,DELTA` as the model; None for None.

    Raises:
        UsageError: for anything else, or figures out of range.
    """
    from comity.deidentify.models.safepub import SafePub

    if text is None:
        return None
    try:
        epsilon, delta = (float(part) for part in text.split(","))
    except ValueError:
        raise UsageError(f"--safepub {text!r}: write EPSILON,DELTA, as in 1,1e-6") from None
    return SafePub(epsilon, delta)


def enrichments_of(texts: Sequence[str], schema: Schema) -> list[Enrichment]:
    """Each `COLUMN=FILE:A,B`.

    Raises:
        UsageError: for anything else, or a column that is no identifier.
    """
    from comity.schema import Role

    found = []
    for text in texts:
        column, sign, rest = text.partition("=")
        parts = rest.split(":")
        names = tuple(name.strip() for name in parts[-1].split(","))
        if not sign or len(parts) not in (2, 3) or not all(names) or not all(map(str.strip, parts)):
            raise UsageError(
                f"--enrich {text!r}: write COLUMN=FILE:ATTRIBUTE,... as in "
                "company_no=register.csv:sector,size; COLUMN=FILE:KEY:ATTRIBUTE,... where the column has "
                "another name in the file"
            )
        column = column.strip()
        if column not in schema.named(Role.identifier):
            raise UsageError(f"--enrich {text!r}: '{column}' is no identifier of the schema")
        key = parts[1].strip() if len(parts) == 3 else column
        found.append(Enrichment(column, parts[0].strip(), key, names))
    return found


def steps_of(enrichments: Sequence[Enrichment], public: bool) -> list[Step]:
    """The steps that enrich.

    Raises:
        BadTable: if a reference table cannot be read.
        UsageError: if it has no such key.
    """
    from comity.data import read_table
    from comity.deidentify.columns.steps import enriching

    references = [read_table(each.file) for each in enrichments]
    for each, table in zip(enrichments, references, strict=True):
        if each.key not in table:
            raise UsageError(
                f"--enrich: {each.file} has no column '{each.key}' to find '{each.column}' by; its columns "
                f"are {', '.join(table.names)}. Name the one with the key: {each.column}={each.file}:KEY:"
                f"{','.join(each.attributes)}"
            )
    return [
        enriching(
            each.column,
            table,
            key=each.key,
            attributes=each.attributes,
            public_reference=public,
        )
        for each, table in zip(enrichments, references, strict=True)
    ]


def hierarchies_of(
    schema: Schema, base: Path, folder: Path | None, further: Sequence[str] = ()
) -> dict[str, Any]:
    """Hierarchies of the folder, then those that the schema names; others come from bounds and levels.

    Args:
        base: where the schema file is. further: quasi-identifiers that enrichment adds.

    Raises:
        BadInput: if the folder or a file is none.
    """
    from comity.deidentify.release.files import file_name, read_hierarchy
    from comity.schema import Role

    if folder is not None and not folder.is_dir():
        raise BadInput(f"--hierarchies {folder} is no folder; put one COLUMN.csv per quasi-identifier there")
    names = (*schema.named(Role.quasi_identifier), *further)
    found: dict[str, Any] = {}
    for name in names:
        named = schema.columns[name].hierarchy if name in schema.columns else None
        if folder is not None and (folder / f"{file_name(name)}.csv").is_file():
            found[name] = read_hierarchy(folder / f"{file_name(name)}.csv")
        elif isinstance(named, str):  # a rule is worked out from the schema alone
            found[name] = read_hierarchy(base / named)
    if folder is not None:
        files = {file_name(name) for name in names}
        others = {file_name(name) for name in schema.columns} - files
        strays = sorted(path.name for path in folder.glob("*.csv") if path.stem in others)
        unused = not any((folder / f"{name}.csv").is_file() for name in files)
        if unused or strays:
            what = f"{strays[0]} is for a column that is no quasi-identifier" if strays else "none fits"
            raise BadInput(
                f"--hierarchies {folder}: {what}; name each file after a quasi-identifier: {', '.join(names)}"
            )
    return found


def without_hierarchy(schema: Schema, found: dict[str, Any]) -> list[str]:
    """Quasi-identifiers with neither a hierarchy nor public bounds or levels."""
    from comity.schema import Role

    return [
        name
        for name in schema.named(Role.quasi_identifier)
        if name not in found
        and schema[name].hierarchy is None
        and schema[name].values is None
        and (schema[name].min is None or schema[name].max is None)
    ]


def require_hierarchies(schema: Schema, found: dict[str, Any], path: str, file: Path) -> None:
    """Say what to do where a quasi-identifier cannot be generalised.

    Raises:
        BadSchema: naming the columns, and both ways to go on.
    """
    lacking = without_hierarchy(schema, found)
    if lacking:
        raise BadSchema(
            f"{file}: nothing says how to generalise {', '.join(lacking)}. Either give public bounds (min, "
            "max) or levels (values) in the schema: where `comity assess` wrote it they stand behind '#', as "
            "they were seen in the data; replace them by public ones. Or let hierarchies be proposed: "
            f"comity deidentify {path} --schema {file} --suggest hierarchies, look at each file in "
            "the folder, change what is wrong, and run again with --hierarchies hierarchies"
        )


def require_fixed(schema: Schema, limits: dict[str, tuple[int, int]]) -> None:
    """With SafePub: one level for every quasi-identifier.

    Raises:
        UsageError: naming those without.
    """
    from comity.schema import Role

    names = schema.named(Role.quasi_identifier)
    free = [name for name in names if name not in limits or len(set(limits[name])) != 1]
    if free:
        raise UsageError(
            "--safepub holds only for levels that were fixed before anybody looked at the data: give "
            "--levels with one level for every quasi-identifier, from public knowledge. Open: "
            + ", ".join(free)
        )


def require_new(path: Path) -> None:
    """A key is never written over.

    Raises:
        BadInput: if the file is there.
    """
    if path.exists():
        raise BadInput(
            f"--opaque-key {path} is there already, and a key is not written over: without it letters that "
            "were given out cannot be read. Name another file"
        )


def write_private(text: str, path: Path) -> None:
    """Write what its owner alone may read.

    Raises:
        BadInput: if it cannot be written, or is there already.
    """
    import os

    require_new(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise BadInput(f"--opaque-key {path} cannot be written: {error.strerror}") from None
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
