"""Tables larger than memory: read a file, find levels for its distinct tuples, write the file generalised.

The file is read twice, batch by batch: once to count distinct tuples, once to write. Memory follows distinct
tuples and one batch, not rows. Nothing is spilled to disk, and the result appears under its name only when it
is whole.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING, Any

from comity.data.arrays import to_arrow
from comity.deidentify.hierarchies.hierarchy import Hierarchy
from comity.deidentify.models.class_models import PrivacyModel
from comity.deidentify.models.safepub import safepub_of
from comity.deidentify.search.counting import Counting
from comity.deidentify.search.frames import coded_labels
from comity.deidentify.search.settings import Settings
from comity.deidentify.search.solve import Solved, solve
from comity.deidentify.search.tablefile import TableFile, TableWriter
from comity.errors import BadInput, UsageError

if TYPE_CHECKING:
    import pyarrow as pa

WRITTEN = (".parquet", ".pq", ".csv")


@dataclass(frozen=True)
class AnonymizedFile:
    """What `anonymize_file` did. Names that `Anonymized` has too mean the same.

    Attributes:
        path: the file that was written.
        rows: rows that were read.
        written: rows that were written: all, or those kept (`drop_suppressed`).
        tuples: distinct quasi-identifier tuples; memory and the time of the search follow them.
    """

    path: Path
    rows: int
    written: int
    tuples: int
    levels: dict[str, int] | None
    loss: float
    objective: float
    suppressed: int
    already_suppressed: int
    classes: int
    smallest_class: int
    hierarchies: Mapping[str, Hierarchy]
    bound: float | None
    evaluated: int


def anonymize_file(
    source: str | os.PathLike[str],
    destination: str | os.PathLike[str],
    *,
    quasi_identifiers: Mapping[str, Hierarchy],
    require: Sequence[PrivacyModel],
    suppression_limit: float = 0.05,
    method: str = "global",
    aggregate: str = "arithmetic",
    level_limits: Mapping[str, tuple[int, int]] | None = None,
    weights: Mapping[str, float] | None = None,
    drop_suppressed: bool = False,
) -> AnonymizedFile:
    """`anonymize` from file to file, for tables larger than memory; the result is the same.

    Rows keep their order. Columns that are no quasi-identifiers are written as they are: like the frame of
    `anonymize` this is not yet a release. Parquet to Parquet they keep their types, as far as the format does
    (seconds become milliseconds). All values of a CSV file are texts, nothing between separators is a missing
    value; hierarchies of numbers find those with a decimal point, not those with a decimal comma.

    Args:
        source: a Parquet file, or a CSV file as `comity.data` reads them.
        destination: a Parquet (.parquet, .pq) or CSV (.csv) file; one that is there is replaced.
        drop_suppressed: leave suppressed rows out, those that came in suppressed too. By default they stay
            in their place and read "*".

    The other arguments are those of `anonymize`.

    Raises:
        UsageError: as `anonymize`; or if both names mean the same file, or an ending is none of the above.
        BadInput: if a file cannot be opened or written.
        BadTable: as `anonymize`; if a CSV file cannot hold a column; or if the file changes between the two
            readings in any quasi-identifier or sensitive column that a model looks at. In every case the
            destination is as it was before.
    """
    settings = Settings.checked(
        quasi_identifiers, require, suppression_limit, method, aggregate, level_limits, weights
    )
    if safepub_of(settings.models) is not None:
        raise UsageError("SafePub samples rows of a table in memory: use anonymize")
    path, target = Path(source), Path(destination)
    if target.suffix.lower() not in WRITTEN:
        raise UsageError(f"{target} has no ending that is written here; use {', '.join(WRITTEN)}")
    if target.exists() and path.exists() and path.samefile(target):
        raise UsageError(f"{target} is the table itself: give the result a name of its own")
    file = TableFile(path, (*settings.names, *settings.sensitive))
    counting = Counting(file, settings)
    tuples = counting.count()
    done = solve(tuples, settings)
    written = _write(file, target, counting, done, drop_suppressed)
    return AnonymizedFile(
        path=target,
        rows=counting.rows,
        written=written,
        tuples=len(tuples.counts),
        levels=done.levels,
        loss=done.loss,
        objective=done.objective,
        suppressed=done.suppressed,
        already_suppressed=done.already_suppressed,
        classes=done.classes,
        smallest_class=done.smallest_class,
        hierarchies=done.hierarchies,
        bound=done.bound,
        evaluated=done.evaluated,
    )


def _write(file: TableFile, target: Path, counting: Counting, done: Solved, drop: bool) -> int:
    """Write the rows to a file beside the target and give it its name when it is whole."""
    temporary = None
    try:
        with NamedTemporaryFile(dir=target.parent, prefix=f".{target.name}.", delete=False) as sink:
            temporary = Path(sink.name)
            written = _write_rows(file, sink, target.suffix.lower() == ".csv", counting, done, drop)
            sink.flush()
            os.fsync(sink.fileno())
        os.replace(temporary, target)
    except OSError as error:
        raise BadInput(f"{target} cannot be written: {error.strerror or error}") from None
    finally:
        if temporary is not None:
            with suppress(FileNotFoundError):
                temporary.unlink()
    return written


def _write_rows(
    file: TableFile, sink: Any, as_csv: bool, counting: Counting, done: Solved, drop: bool
) -> int:
    written = 0
    with TableWriter(sink, _schema(file, done, as_csv), as_csv=as_csv, texts=[*done.columns]) as writer:
        for batch in file.batches():
            shown = _generalised(batch, counting, done, drop, writer.schema)
            written += shown.num_rows
            writer.write(shown)
    counting.require_same()
    return written


def _generalised(
    batch: pa.RecordBatch, counting: Counting, done: Solved, drop: bool, schema: pa.Schema
) -> pa.RecordBatch:
    """A batch with its quasi-identifiers replaced."""
    import pyarrow as pa

    places = counting.tuples_of(batch)
    if drop:
        kept = done.kept[places]
        batch, places = batch.filter(to_arrow(kept)), places[kept]
    columns = []
    for field in schema:
        if field.name in done.columns:
            column = done.columns[field.name]
            columns.append(coded_labels(column.codes[places], column.labels))
        else:
            columns.append(batch.column(field.name))
    columns = [
        column if column.type == field.type else column.cast(field.type)
        for column, field in zip(columns, schema, strict=True)
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _schema(file: TableFile, done: Solved, as_csv: bool) -> pa.Schema:
    import pyarrow as pa

    text = pa.string() if as_csv else pa.dictionary(pa.int32(), pa.string())
    fields = [pa.field(field.name, text) if field.name in done.columns else field for field in file.schema]
    if as_csv:
        fields = [f.with_type(f.type.value_type) if pa.types.is_dictionary(f.type) else f for f in fields]
    return pa.schema(fields)
