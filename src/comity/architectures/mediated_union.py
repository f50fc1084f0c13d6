"""The union at the mediator: duplicates out, rows aligned, mixed, and de-identified again, all on disk.

Providers' labels stand at levels of their own. A label is put back on one of the leaves below it, the same
for all, and no column may go below the highest level that any provider chose: so the labels of the release
cover what every provider's labels cover, and its loss is measured as in any other release. The provider of
each row is a sensitive column of the search (l-diversity, t-closeness in total variation) and is taken off
before anything is written that leaves.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from comity.architectures.mediated_mixing import Mixer
from comity.architectures.mediated_pieces import PIECE_BYTES, Candidate
from comity.architectures.mediated_terms import ORIGIN, Terms
from comity.data.ipc import table_to_bytes
from comity.errors import BadInput
from comity.schema import Schema

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from comity.architectures.definition import Seat
    from comity.architectures.mediated_incoming import Incoming
    from comity.architectures.mediated_reference import Joined
    from comity.deidentify import Hierarchy
    from comity.deidentify.models.class_models import PrivacyModel
    from comity.deidentify.stream import AnonymizedFile
    from comity.link import Duplicates

ORIGINS = "origins.npy"
REFERENCE = "reference.json"


class Union:
    """Makes the candidate release out of what came in."""

    def __init__(
        self,
        seat: Seat,
        terms: Terms,
        incoming: Mapping[str, Incoming],
        joined: Joined | None,
        work: Path,
    ) -> None:
        self._seat = seat
        self._terms = terms
        self._incoming = incoming
        self._joined = joined
        self._work = work
        self._trees = {
            **_agreed_hierarchies(incoming),
            **({} if joined is None else joined.hierarchies),
        }
        self._levels = {
            name: max(table.levels.get(name, 0) for table in incoming.values()) for name in self._trees
        }

    @property
    def schema(self) -> Schema:
        """The columns of the union, with those that were joined."""
        added = {} if self._joined is None else self._joined.columns
        task = self._seat.task
        columns = {name: task.schema[name] for name in (*task.features, task.target)}
        return Schema(columns={**columns, **added})

    @property
    def models(self) -> list[PrivacyModel]:
        """What every class of the release has to satisfy."""
        return models_of_union(self.schema, self._seat.task.schema.unit.max_rows, self._terms)

    def make(self, candidate: Candidate) -> None:
        """Write the candidate's pieces and, for the mediator's own check, what they are held against.

        Raises:
            BadTable: private; if no levels satisfy the models within the suppression limit.
        """
        from comity.deidentify.stream import anonymize_file

        shutil.rmtree(self._work, ignore_errors=True)
        self._work.mkdir(mode=0o700, parents=True)
        mixed, generalised = self._work / "mixed.parquet", self._work / "generalised.parquet"
        counted = self._mix(mixed)
        done = anonymize_file(
            mixed,
            generalised,
            quasi_identifiers=self._trees,
            require=self.models,
            suppression_limit=self._terms.suppression,
            level_limits={name: (low, self._trees[name].levels - 1) for name, low in self._levels.items()},
            drop_suppressed=True,
        )
        candidate.begin()
        (candidate.folder / REFERENCE).write_text(json.dumps(counted), encoding="utf-8")
        np.save(candidate.folder / ORIGINS, self._strip(generalised, candidate))
        candidate.finish({"manifest": self._manifest(done)}, {})
        shutil.rmtree(self._work)

    def _mix(self, path: Path) -> dict[str, Any]:
        """All rows that stay, in a random order; counts of what the models compare with."""
        import pyarrow.parquet as pq

        dropped = self._duplicates()
        schema = self._mixed_schema()
        looked_at = [model.sensitive for model in self.models if model.sensitive is not None]
        counts: dict[str, Counter[Any]] = {name: Counter() for name in dict.fromkeys(looked_at)}
        rows = sum(table.rows for table in self._incoming.values())
        with (
            Mixer(self._work / "mixing", schema, rows=rows) as mixer,
            pq.ParquetWriter(path, schema, compression="zstd") as writer,
        ):
            for number, table in enumerate(self._incoming.values()):
                gone = None if dropped is None else dropped.dropped[table.provider]
                for batch in self._aligned(table, number, gone, schema):
                    for name, counter in counts.items():
                        found = batch.column(name).value_counts()
                        pairs = zip(*(found.field(part).to_pylist() for part in (0, 1)), strict=True)
                        counter.update(dict(pairs))
                    mixer.add(batch)
            for part in mixer.mixed():
                writer.write_table(part)
        return {
            "counts": {name: list(counter.items()) for name, counter in counts.items()},
            "duplicates": None if dropped is None else {"people": dropped.people, "records": dropped.records},
        }

    def _duplicates(self) -> Duplicates | None:
        if not self._terms.linked:
            return None
        from comity.link import find_duplicates

        rows = {name: table.rows for name, table in self._incoming.items()}
        return find_duplicates(rows, lambda holder, other: self._incoming[holder].tokens(other))

    def _mixed_schema(self) -> pa.Schema:
        import pyarrow as pa
        import pyarrow.parquet as pq

        stored = pq.read_schema(next(iter(self._incoming.values())).path)
        names = [*self._seat.task.features, self._seat.task.target]
        fields = [pa.field(name, stored.field(name).type) for name in names]
        fields += [] if self._joined is None else self._joined.fields
        return pa.schema([*fields, pa.field(ORIGIN, pa.int16())])

    def _aligned(
        self, table: Incoming, number: int, gone: NDArray[np.int64] | None, schema: pa.Schema
    ) -> Iterator[pa.RecordBatch]:
        """A provider's rows at common levels, without those that are dropped, with its number."""
        import pyarrow as pa

        leaf_of = {name: self._leaves(table, name, level) for name, level in table.levels.items()}
        start = 0
        for batch in table.batches():
            end = start + batch.num_rows
            if self._joined is not None:
                batch = self._joined.join(table.provider, batch)
            if gone is not None and len(gone):
                stays = np.ones(batch.num_rows, dtype=bool)
                stays[gone[(gone >= start) & (gone < end)] - start] = False
                batch = batch.filter(pa.array(stays))
            start = end
            columns = [
                pa.array(np.full(batch.num_rows, number, dtype=np.int16))
                if field.name == ORIGIN
                else _relabelled(batch.column(field.name), leaf_of[field.name], table.provider)
                if field.name in leaf_of
                else batch.column(field.name)
                for field in schema
            ]
            yield pa.RecordBatch.from_arrays(columns, schema=schema)

    def _leaves(self, table: Incoming, name: str, level: int) -> dict[str | None, str | None]:
        """For each label of a provider's level, the first leaf below it."""
        found: dict[str | None, str | None] = {}
        for row in self._trees[name].rows:
            found.setdefault(row[level], row[0])
        return found

    def _strip(self, path: Path, candidate: Candidate) -> NDArray[np.int16]:
        """Write the pieces without the origin; (rows,) the provider's number of each row."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        origins: list[NDArray[np.int16]] = [np.zeros(0, dtype=np.int16)]
        waiting: list[pa.Table] = []
        size = 0
        with pq.ParquetFile(path, pre_buffer=False) as file:
            for batch in file.iter_batches(65_536, use_threads=False):
                origins.append(batch.column(ORIGIN).to_numpy(zero_copy_only=False).astype(np.int16))
                table = pa.Table.from_batches([batch]).drop_columns([ORIGIN])
                waiting.append(table)
                size += table.nbytes
                if size >= PIECE_BYTES:
                    candidate.add(table_to_bytes(pa.concat_tables(waiting)))
                    waiting, size = [], 0
        if waiting:
            candidate.add(table_to_bytes(pa.concat_tables(waiting)))
        return np.concatenate(origins)

    def _manifest(self, done: AnonymizedFile) -> dict[str, Any]:
        from comity.deidentify.release.manifest import make_manifest, unprotected

        terms = self._terms
        made = make_manifest(
            settings={
                "k": terms.k,
                "l": terms.l,
                "t": terms.t,
                "origin_t": terms.origin_t,
                "origin_l": terms.origin_l,
                "providers": len(self._incoming),
                "suppression": terms.suppression,
                "method": "global",
                "aggregate": "arithmetic",
                "objective": "loss",
                "target": None,
                "weights": None,
                "rows_per_unit": self._seat.task.schema.unit.max_rows,
                "models": [model.describe().replace(ORIGIN, "origin") for model in self.models],
            },
            schema=self.schema,
            names=list(self.schema),
            dropped_columns=[name for name in self._seat.task.schema if name not in self.schema.columns],
            pseudonyms={},
            steps=[] if self._joined is None else [self._joined.description],
            done=done,  # type: ignore[arg-type]  # levels and classes are all that is read of it
            hierarchies=done.hierarchies,
            released_rows=done.written,
            risk_after={
                "prosecutor_max": 1 / max(1, done.smallest_class),
                "prosecutor_mean": done.classes / max(1, done.written),
            },
            not_protected=unprotected(
                sensitive_models=terms.l is not None or terms.t is not None, by_target=False
            )
            | {"origin": _ORIGIN_WORDS},
        )
        return json.loads(json.dumps(made))


_ORIGIN_WORDS = (
    "the bound on a guess of a row's provider holds for who guesses by the quasi-identifiers; columns that "
    "are released as they are have been tried by an attack, which is no bound"
)


def models_of_union(schema: Schema, max_rows: int, terms: Terms) -> list[PrivacyModel]:
    """k, l and t as at a provider, and l-diversity and t-closeness of the origin."""
    from comity.deidentify import DistinctLDiversity, TCloseness
    from comity.deidentify.release.required import models_of
    from comity.schema import Unit

    unit = Schema(columns=schema.columns, unit=Unit(max_rows=max_rows))
    models = models_of(unit, terms.k, terms.l, terms.t)
    if terms.origin_l is not None:
        models.append(DistinctLDiversity(ORIGIN, terms.origin_l))
    return [*models, TCloseness(ORIGIN, terms.origin_t, distance="equal")]


def _agreed_hierarchies(incoming: Mapping[str, Incoming]) -> dict[str, Hierarchy]:
    """The hierarchies, which all providers have to share.

    Raises:
        BadInput: naming a column and two providers that differ.
    """
    first, *others = incoming.values()
    for other in others:
        for name, tree in first.hierarchies.items():
            if other.hierarchies[name] != tree:
                raise BadInput(
                    f"'{first.provider}' and '{other.provider}' have different hierarchies for '{name}': "
                    "agree on one"
                )
    return dict(first.hierarchies)


def _relabelled(column: pa.Array, leaf_of: Mapping[str | None, str | None], provider: str) -> pa.Array:
    """Labels put back on leaves.

    Raises:
        BadInput: if a label does not stand at the level that the provider stated.
    """
    import pyarrow as pa

    coded = column.dictionary_encode()
    labels = coded.dictionary.to_pylist()
    if any(label not in leaf_of for label in labels) or (column.null_count and None not in leaf_of):
        raise BadInput(f"a label of '{provider}' does not stand at the level that its manifest states")
    leaves = pa.array([*(leaf_of[label] for label in labels), leaf_of.get(None)], pa.string())
    return leaves.take(coded.indices.fill_null(len(labels)))
