"""A job: the ML party's program, the columns it reads, and what it declares to give out.

A job is one Python file with a function `run(rows, parameters)`. `rows` has a list of floats per column: a
number within its public bounds, a level as its place in the public list (any other level: the number of
levels), NaN where missing. `parameters` has a list of floats per name; the ML party sends them with the job.
It returns a dictionary with a flat list of numbers for each declared output.

What a job gives out is one of

* statistics: vectors of declared L2 norm. The job runs on blocks of units, each in a process of its own, and
  the sum of the blocks' vectors leaves with noise: differential privacy whatever the job does. Beside them,
  or instead of a program, a job declares statistics that the room computes (`comity.cleanroom.asked`);
* a table: the job runs on each cell of a declared grouping by itself; exact, under minimum-cell rules;
* a model: numbers of declared length, from one run on all rows; exact, under a membership limit.

The digest of a job covers all of it but the parameters' values. What a job of statistics is given cannot
weaken its noise; a job whose results are exact is given few numbers (`_FEW`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Self

from comity.cleanroom.asked import MOST_STATISTICS, Asked
from comity.cleanroom.seen import seen
from comity.crypto.canonical import digest
from comity.errors import BadInput

MOST_SOURCE: Final = 1 << 18
MOST_NUMBERS: Final = 1 << 16
MOST_PARAMETERS: Final = 1 << 21
MOST_BLOCKS: Final = 1 << 20
_MOST_OUTPUTS: Final = 100
_MOST_TOGETHER: Final = 1 << 12
_MOST_BLOCK_MB: Final = 4_096
"""So much memory of one block every machine has: a block cannot make others fail by taking it."""
_MOST_RESULTS: Final = 1 << 27
_SMALLEST: Final = 1e-100
"""Norms lie between this and 1 over it: what computes with them keeps its digits."""
_MOST_GIVEN: Final = 1 << 16
"""Numbers that a block begins with: the more, the longer it takes to begin. Matrices stay outside."""
_LONGEST_NAME: Final = 200
_FEW: Final = 4
"""A job whose results are exact is given few numbers: what it looks for stands in the source that a steward
reads, not in what is sent along."""

_MODULES: Final = """
array bisect collections functools heapq itertools json math numpy numpy.linalg numpy.random operator re scipy
scipy.linalg scipy.optimize scipy.sparse scipy.special sklearn sklearn.ensemble sklearn.linear_model
sklearn.naive_bayes sklearn.neighbors sklearn.preprocessing sklearn.tree statistics
"""
MODULES: Final = frozenset(_MODULES.split())
"""What a job may import. Those that it names are there before it starts; others are not to be had."""

_INSTALLED: Final = ("numpy", "scipy", "sklearn")


class Kind(StrEnum):
    """What an output is, and so what it is held to."""

    statistic = "statistic"
    table = "table"
    model = "model"


@dataclass(frozen=True)
class Output:
    """A declared output.

    Attributes:
        name: its key in what the job returns.
        length: how many numbers.
        norm: for a statistic, the L2 norm that no block's vector may pass; longer ones are cut to it.
        share: for a statistic, its part of the privacy, relative to the other outputs'.
        mix: for a statistic, the name of a parameter of length * length numbers, a matrix (row by row): the
            vector is multiplied by it before it is cut. Spares every block the work.
    """

    name: str
    length: int
    norm: float | None = None
    share: float = 1.0
    mix: str | None = None

    def to_dict(self) -> dict[str, Any]:
        told: dict[str, Any] = {"name": self.name, "length": self.length}
        if self.norm is not None:
            told |= {"norm": self.norm, "share": self.share}
        return told if self.mix is None else told | {"mix": self.mix}


@dataclass(frozen=True)
class Blocks:
    """How a job of statistics is run.

    Attributes:
        number: so many blocks, each unit in one of them by lot. None: each unit is a block of its own.
        most: where each unit is one, about so many blocks are run: units are drawn by lot.
        together: instead, units may share a block, up to so many rows in each, where more units heard are
            worth more noise (`comity.cleanroom.places`). A block of n units is cut to the norm times the root
            of n: right for vectors that point every way, as gradients do, and not for counts.
        cpu_s: processor time of one block; one that takes more is killed and counts as one that failed. The
            answer leaves when all blocks together could have taken that much.
    """

    number: int | None = None
    most: int = 2_000
    cpu_s: float = 0.005
    together: int = 1

    def to_dict(self) -> dict[str, Any]:
        how = {"most": self.most} if self.number is None else {"number": self.number}
        return {**how, "cpu_s": self.cpu_s, **({} if self.together == 1 else {"together": self.together})}


@dataclass(frozen=True)
class Cells:
    """How a job of a table is run: on each combination of the levels of `by`, and on each margin.

    Attributes:
        by: one or two category columns of the job.
        measure: a number column that the table is about. An agreement's dominance rule holds for every number
            column that the job reads.
    """

    by: tuple[str, ...]
    measure: str | None = None

    def to_dict(self) -> dict[str, Any]:
        return {"by": list(self.by), **({} if self.measure is None else {"measure": self.measure})}


@dataclass(frozen=True)
class Job:
    """A program with its declarations. Frozen; the steward approves its digest.

    Attributes:
        title: one line for people.
        source: the Python file.
        columns: what it reads, in order.
        kind: what its outputs are.
        outputs: of the program, in order; several only for statistics. Without outputs there is no program.
        parameters: how many numbers each parameter has.
        modules: what it imports, of `MODULES`.
        blocks, cells: how it is run, for statistics and for a table.
        statistics: what the room computes by itself, in order; only beside or instead of statistics.
        seconds, memory_mb: caps of a run on all rows, or of a block's memory.
    """

    title: str
    source: str
    columns: tuple[str, ...]
    kind: Kind
    outputs: tuple[Output, ...]
    parameters: Mapping[str, int]
    modules: tuple[str, ...] = ()
    blocks: Blocks | None = None
    cells: Cells | None = None
    seconds: float = 60.0
    memory_mb: int = 512
    statistics: tuple[Asked, ...] = ()

    def __post_init__(self) -> None:
        for fault in self._faults():
            raise BadInput(seen(f"the job '{self.title[:60]}' cannot be used: {fault}"))

    def _faults(self) -> list[str]:
        faults: list[str] = []
        if not self.title or len(self.title) > 200 or not self.title.isprintable():
            faults.append("its title is one line of up to 200 characters")
        if len(self.source.encode()) > MOST_SOURCE:
            faults.append(f"its source has more than {MOST_SOURCE:,} bytes")
        unseen = next((s for s in self.source if not (s.isprintable() or s in "\n\t")), None)
        if unseen is not None:
            line = self.source[: self.source.index(unseen)].count("\n") + 1
            faults.append(
                f"its source holds signs that whoever reads it cannot see: line {line} has {unseen!a}"
            )
        if not self.columns or len(set(self.columns)) != len(self.columns):
            faults.append("it names the columns that it reads, each once")
        if not set(self.modules) <= MODULES:
            faults.append(f"it imports {', '.join(sorted(set(self.modules) - MODULES))[:100]}")
        most = _MOST_BLOCK_MB if self.kind is Kind.statistic else 65_536
        if not (0 < self.seconds <= 86_400 and 64 <= self.memory_mb <= most):
            faults.append(f"it runs at most a day, in 64 to {most:,} MiB")
        # a steward reads them at a terminal: signs that move its cursor would show another job
        if not all(0 < len(name) <= _LONGEST_NAME and name.isprintable() for name in self._names()):
            faults.append(f"its names are one line each, of 1 to {_LONGEST_NAME} signs that can be seen")
        return faults + self._output_faults() + self._way_faults() + self._statistic_faults()

    def _names(self) -> Iterator[str]:
        """Every name that whoever reads the job is shown."""
        yield from (*self.columns, *self.modules, *self.parameters)
        for output in self.outputs:
            yield from (output.name,) if output.mix is None else (output.name, output.mix)
        for one in self.statistics:
            yield from one.columns
        if self.cells is not None:
            yield from (*self.cells.by, *(() if self.cells.measure is None else (self.cells.measure,)))

    def _output_faults(self) -> list[str]:
        names = [output.name for output in self.outputs]
        faults: list[str] = []
        least = 0 if self.statistics else 1
        if not least <= len(names) <= _MOST_OUTPUTS or len(set(names)) != len(names):
            faults.append(f"it declares 1 to {_MOST_OUTPUTS} outputs, each once")
        if not names and (self.source or self.parameters or self.modules):
            faults.append("it has a program and no outputs of it; declare some, or leave the program out")
        if sum(self.parameters.values()) > MOST_PARAMETERS or any(n < 0 for n in self.parameters.values()):
            faults.append(f"its parameters are at most {MOST_PARAMETERS:,} numbers")
        for output in self.outputs:
            if not 0 < output.length <= MOST_NUMBERS:
                faults.append(f"'{output.name[:40]}' has 1 to {MOST_NUMBERS:,} numbers")
            if (output.norm is not None) is not (self.kind is Kind.statistic):
                faults.append(f"'{output.name[:40]}': statistics have a norm above 0, and only they")
            elif output.norm is not None and not _SMALLEST <= output.norm <= 1 / _SMALLEST:
                faults.append(f"'{output.name[:40]}': it has a norm above 0, from 1e-100 to 1e100")
            if not 1e-6 <= output.share <= 1e6:
                faults.append(f"'{output.name[:40]}': its share is above 0, from 1e-6 to 1e6")
            if output.mix is not None and self.parameters.get(output.mix) != output.length**2:
                faults.append(f"'{output.name[:40]}': it is mixed by a parameter of its length squared")
        return faults

    def _statistic_faults(self) -> list[str]:
        if not self.statistics:
            return []
        if self.kind is not Kind.statistic:
            return [f"statistics leave with noise and a {self.kind} without: ask for them in two jobs"]
        names = [one.name for one in self.statistics]
        faults = [fault for one in self.statistics for fault in one.faults()]
        if len(names) > MOST_STATISTICS or len(set(names)) != len(names):
            faults.append(f"it declares up to {MOST_STATISTICS} statistics, each once")
        unread = {name for one in self.statistics for name in one.columns} - set(self.columns)
        if unread:
            faults.append(f"its statistics are of {min(unread)[:60]}, which is not among its columns")
        return faults

    def _way_faults(self) -> list[str]:
        if self.kind is Kind.statistic and not self.outputs:
            return (
                [] if self.blocks is None and self.cells is None else ["without a program it has no blocks"]
            )
        if self.kind is Kind.statistic:
            blocks = self.blocks
            if blocks is None or self.cells is not None:
                return ["a job of statistics says on what blocks it is run"]
            number = blocks.most if blocks.number is None else blocks.number
            if not 1 <= number <= MOST_BLOCKS:
                return [f"it runs on 1 to {MOST_BLOCKS:,} blocks"]
            if not 1 <= blocks.together <= _MOST_TOGETHER or (blocks.number and blocks.together > 1):
                return [f"1 to {_MOST_TOGETHER:,} rows share a block, where there is no fixed number of them"]
            if sum(self.parameters[name] for name in self.given) > _MOST_GIVEN:
                return [f"its blocks are given at most {_MOST_GIVEN:,} numbers, besides what mixes outputs"]
            if number * sum(output.length for output in self.outputs) > _MOST_RESULTS:
                return [f"its blocks give at most {_MOST_RESULTS:,} numbers all together"]
            return [] if 0.001 <= blocks.cpu_s <= 60 else ["a block has 0.001 to 60 s of processor time"]
        if self.blocks is not None:
            return ["only a job of statistics has blocks"]
        if sum(self.parameters.values()) > _FEW * (1 + len(self.columns)):
            return [
                f"without noise it is given at most {_FEW} numbers for each of its columns, and {_FEW} more"
            ]
        if len(self.outputs) != 1:
            return ["it has one output"]
        if (self.kind is Kind.table) is (self.cells is None):
            return ["a job of a table names the columns of its cells, and only such a job"]
        if self.cells is not None and not (
            1 <= len(set(self.cells.by)) == len(self.cells.by) <= 2
            and set(self.cells.by) <= set(self.columns)
        ):
            return ["a table is by one or two of the columns that the job reads"]
        if self.cells is not None and self.cells.measure not in (None, *self.columns):
            return ["the measure of its cells is one of the columns that the job reads"]
        return []

    @property
    def given(self) -> tuple[str, ...]:
        """The parameters that the program gets: all but the matrices that the room mixes outputs by."""
        mixed = {output.mix for output in self.outputs}
        return tuple(name for name in self.parameters if name not in mixed)

    @property
    def source_digest(self) -> str:
        """SHA-256 of the program's text."""
        return hashlib.sha256(self.source.encode()).hexdigest()

    @property
    def digest(self) -> str:
        """What an approval is of: the program with all that it declares."""
        return digest(self.to_dict())

    @property
    def needs_installed(self) -> bool:
        """Whether it imports more than Python's own modules."""
        return any(name.partition(".")[0] in _INSTALLED for name in self.modules)

    def to_dict(self) -> dict[str, Any]:
        return {
            "title": self.title,
            "source": self.source,
            "columns": list(self.columns),
            "kind": str(self.kind),
            "outputs": [output.to_dict() for output in self.outputs],
            "parameters": dict(self.parameters),
            "modules": list(self.modules),
            "seconds": self.seconds,
            "memory_mb": self.memory_mb,
            **({} if self.blocks is None else {"blocks": self.blocks.to_dict()}),
            **({} if self.cells is None else {"cells": self.cells.to_dict()}),
            **({"statistics": [one.to_dict() for one in self.statistics]} if self.statistics else {}),
        }

    @classmethod
    def from_dict(cls, document: object) -> Self:
        """Read `to_dict`'s form, from a file or another party.

        Raises:
            BadInput: for unknown or missing keys, wrong types, and what a job may not be.
        """
        from comity.cleanroom.reading import read_job

        return cls(**read_job(document))
