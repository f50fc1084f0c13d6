"""CSV files: UTF-8, separated by comma, semicolon or tab, quoted as in RFC 4180, with a line of names.

DuckDB reads the values, all of them as strings. What it cannot read is looked at again, slowly, by
`what_is_wrong`, so that the holder of the file is told the line and what to do.
"""

from __future__ import annotations

import codecs
import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice, pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from comity.data.engine import connect
from comity.data.faults import LISTED
from comity.errors import BadTable

if TYPE_CHECKING:
    import pyarrow as pa

SEPARATORS = (",", ";", "\t")
SEPARATOR_WORDS = {",": "comma", ";": "semicolon", "\t": "tab"}

_SNIFFED_RECORDS = 20
# with its default (nothing is null) the engine lets a surplus separator at the end of a row pass
_NO_NULL = "\x01no value is written like this\x01"
_BATCH_ROWS = 100_000
_BLOCK = 1 << 20


@dataclass(frozen=True)
class Layout:
    """How a CSV file is written: its separator and its column names."""

    separator: str
    names: tuple[str, ...]


def read_layout(path: Path) -> Layout:
    """Find the separator and the names in the first lines.

    The separator is the one of `SEPARATORS` that cuts the line of names; of several, one that cuts the next
    lines into as many pieces, and of those the one with most pieces.

    Raises:
        BadTable: if the file is empty, is not UTF-8 text, or its first line cannot be the names.
    """
    _require_text(path)
    found = [(_first_records(path, separator), separator) for separator in SEPARATORS]
    records, separator = max(found, key=lambda pair: _fit(pair[0]))
    if not records:
        raise _no_names(path)
    names = tuple(name.strip() for name in records[0])
    check_names(names, str(path))
    _require_header(names, path)
    return Layout(separator, names)


def _first_records(path: Path, separator: str) -> list[list[str]]:
    """The first records as one separator cuts them; those before a fault of quoting, if there is one."""
    records: list[list[str]] = []
    try:
        for record in islice(_records(path, separator), _SNIFFED_RECORDS):
            records.append(record)
    except UnicodeDecodeError:
        raise _not_utf8(path) from None
    except csv.Error:
        return records  # another separator may do better; if none does, the engine or _no_names says so
    return records


def _no_names(path: Path) -> BadTable:
    """Why there is not even a line of column names."""
    try:
        next(_records(path, SEPARATORS[0]))
    except StopIteration:
        return BadTable(f"{path} is empty; a table starts with a line of column names")
    except csv.Error as error:
        return BadTable(f"{path}: the line of column names cannot be read: {error}")
    return BadTable(f"{path}: the line of column names cannot be read")


def _fit(records: list[list[str]]) -> tuple[bool, bool, int]:
    """How well a separator fits the first records; larger is better."""
    pieces = len(records[0]) if records else 0
    return pieces > 1, all(len(record) == pieces for record in records), pieces


def read_batches(path: Path, layout: Layout, threads: int | None) -> Iterator[pa.RecordBatch]:
    """The rows as record batches of strings, blank lines left out.

    Raises:
        BadTable: naming the lines that cannot be read.
    """
    import duckdb

    columns = {f"c{at}": "VARCHAR" for at in range(len(layout.names))}
    with connect(threads) as connection:
        try:
            rows = connection.sql(
                "select * from read_csv(?, columns=?, header=true, delim=?, quote='\"', escape='\"', "
                "nullstr=?, auto_detect=false, null_padding=false, strict_mode=true, "
                "hive_partitioning=false)",
                params=[_literal_path(path), columns, layout.separator, _NO_NULL],
            )
            yield from rows.to_arrow_reader(_BATCH_ROWS)
        except (duckdb.Error, OSError) as error:
            raise what_is_wrong(path, layout, str(error)) from None


def lines_of_rows(path: Path, rows: Iterable[int]) -> dict[int, int]:
    """The line of the file on which each of some data rows starts; rows and lines count from 1.

    Rows whose line cannot be told are left out.
    """
    wanted = set(rows)
    last = max(wanted, default=0)
    found: dict[int, int] = {}
    try:
        separator = read_layout(path).separator
        for row, (line, _) in enumerate(_numbered(path, separator)):
            if row in wanted:
                found[row] = line
            if row >= last:
                break
    except (csv.Error, OSError, UnicodeDecodeError, BadTable):
        return found  # the file has changed since; the rows are named all the same
    return found


def check_names(names: Iterable[str], source: str) -> None:
    """Refuse column names that are empty or stand twice.

    Raises:
        BadTable: naming the place.
    """
    seen: dict[str, int] = {}
    for at, name in enumerate(names, start=1):
        if not name:
            raise BadTable(
                f"{source}: column {at} has no name; name it, or leave out the column "
                "(a row index, a trailing separator)"
            )
        if name in seen:
            raise BadTable(
                f"{source}: columns {seen[name]} and {at} are both named {name!r}; rename one of them"
            )
        seen[name] = at
    if not seen:
        raise BadTable(f"{source} has no columns")


def what_is_wrong(path: Path, layout: Layout, engine_words: str) -> BadTable:
    """Why the engine could not read the file, found by reading it again with the standard library."""
    try:
        ragged = _ragged_lines(path, layout)
    except UnicodeDecodeError:
        return _not_utf8(path)
    except csv.Error as error:
        ragged = [f"  {error}"]
    except OSError as error:
        return BadTable(f"{path} cannot be read: {error.strerror}")
    if ragged:
        header = f"{path} has {len(layout.names)} column names, and rows that do not match:"
        advice = (
            f"  values are separated by a {SEPARATOR_WORDS[layout.separator]}; "
            'a value that holds one, or a quote, or a line break, goes in double quotes ("")'
        )
        return BadTable("\n".join([header, *ragged, advice]))
    if mixed := _mixed_line_ends(path):
        return BadTable(f"{path}: {mixed}; save it with one kind of line end")
    return BadTable(f"{path} cannot be read as CSV: {engine_words.splitlines()[0]}")


def _records(path: Path, separator: str) -> Iterator[list[str]]:
    """The file's records with the standard library's reader, blank lines left out."""
    return (record for _, record in _numbered(path, separator))


def _numbered(path: Path, separator: str) -> Iterator[tuple[int, list[str]]]:
    """Each record with the line it starts on."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, delimiter=separator, strict=True)
        start = 1
        for record in reader:
            if record:
                yield start, record
            start = reader.line_num + 1


def _ragged_lines(path: Path, layout: Layout) -> list[str]:
    """Lines whose number of values is not the number of names: the first ones, then a count."""
    listed: list[str] = []
    more = 0
    start = 1
    try:
        for start, record in _numbered(path, layout.separator):
            if len(record) == len(layout.names):
                continue
            if len(listed) < LISTED:
                values = "1 value" if len(record) == 1 else f"{len(record)} values"
                listed.append(f"  line {start}: {values} instead of {len(layout.names)}")
            else:
                more += 1
    except csv.Error as error:
        listed.append(f"  after line {start}: a quote is not closed, or has something behind it ({error})")
    return [*listed, f"  ... and {more} more"] if more else listed


def _require_text(path: Path) -> None:
    with path.open("rb") as file:
        head = file.read(_BLOCK)
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise BadTable(f"{path} is UTF-16; save it as UTF-8")
    if b"\0" in head:
        at = head.index(b"\0")
        raise BadTable(f"{path} is not text: byte {at} is zero; give a CSV file in UTF-8")


def _not_utf8(path: Path) -> BadTable:
    """Where the first byte stands that is not UTF-8."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    offset, line = 0, 1
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            held = len(decoder.getstate()[0])
            try:
                decoder.decode(block)
            except UnicodeDecodeError as error:
                line += error.object[: error.start].count(b"\n")
                at = offset - held + error.start
                return BadTable(
                    f"{path} is not UTF-8: byte {at} (line {line}) is 0x{error.object[error.start]:02x}; "
                    "save it as UTF-8 (from Latin-1: iconv -f LATIN1 -t UTF-8)"
                )
            line += block.count(b"\n")
            offset += len(block)
    return BadTable(f"{path} is not UTF-8: it ends inside a character; save it as UTF-8")


def _mixed_line_ends(path: Path) -> str | None:
    """In words, the first line that ends otherwise than the first one; None if all end alike."""
    with path.open("rb") as file:
        ends = (line.endswith(b"\r\n") for line in file if line.endswith(b"\n"))
        for number, (one, two) in enumerate(pairwise(ends), start=2):
            if one != two:
                return (
                    f"line {number} ends in {'CRLF' if two else 'LF'}, the lines before it in the other kind"
                )
    return None


def _require_header(names: tuple[str, ...], path: Path) -> None:
    """Refuse a first line that looks like data: it has numbers for names.

    Numbers that count up by one (0, 1, 2 or 2019, 2020) are taken for names all the same.
    """
    numbers = [float(name) for name in names if _is_number(name)]
    counted = all(two - one == 1 for one, two in pairwise(numbers))
    if numbers and not (counted and len(numbers) > 1):
        raise BadTable(
            f"{path} has no line of column names: its first line has numbers in it ({len(numbers)} of "
            f"{len(names)}); add the names as the first line",
        )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return text.lower().strip("+-") not in ("nan", "inf", "infinity")


def _literal_path(path: Path) -> str:
    """The path with what DuckDB takes for wildcards in brackets, so that it names one file."""
    return "".join(f"[{letter}]" if letter in "[*?" else letter for letter in str(path.absolute()))
