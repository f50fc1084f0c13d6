"""What an architecture has to say and do: its programs, its clause, its guarantee, its attacks.

An architecture is a frozen value. Its programs run at the parties, each in a process of its own; the
other functions are pure and run wherever somebody wants to know (compare, advise, docs).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from comity.errors import BadInput, MissingExtra
from comity.schema import Schema
from comity.wire import Channel

DELTA_ADDITIVE_SHARE = 0.9
"""The additive part of a pilot's delta: one release whose noise is fixed before its first answer takes nearly
all of it, and the rest keeps the Renyi filter's own part above zero."""


def rounded_delta(delta: float) -> float:
    """The delta in steps of 1e-15, as accounts are kept, rounded down to a whole number of them."""
    return float(f"{math.floor(round(delta * 1e15, 3))}e-15")


ROW_ID: Final = "comity_row"
"""The id of rows that have none of their own, which a pilot numbers."""


if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from comity.agreement import Agreement
    from comity.attack.result import AttackResult
    from comity.crypto.keys import SigningKey
    from comity.ledger import Ledger


@dataclass(frozen=True)
class Task:
    """What is to be learned. Public to all parties.

    Attributes:
        schema: the columns that the parties agreed on.
        target: the target column; `positive` is its value that counts as 1, every other one counts as 0.
        id: the column of record ids that provider and ML party share.
    """

    schema: Schema
    target: str
    positive: str
    id: str

    def to_dict(self) -> dict[str, Any]:
        return {
            "schema": self.schema.to_dict(),
            "target": self.target,
            "positive": self.positive,
            "id": self.id,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Task:
        from comity.schema import parse_schema

        return cls(
            schema=parse_schema(data["schema"], where="the task"),
            target=data["target"],
            positive=data["positive"],
            id=data["id"],
        )

    @property
    def features(self) -> tuple[str, ...]:
        """Feature columns: everything in the schema but identifiers, the id and the target."""
        return tuple(name for name in self.schema.features if name not in (self.id, self.target))


@dataclass(frozen=True)
class Options:
    """The settings of one run. `seed` fixes splits and models; noise never depends on it.

    `partition` says whether providers hold different records (`rows`) or different columns of the same ones
    (`columns`).
    """

    epsilon: float = 1.0
    delta: float = 1e-6
    k: int = 5
    seed: int = 0
    mode: str | None = None
    partition: str = "rows"

    def to_dict(self) -> dict[str, Any]:
        return {
            "epsilon": self.epsilon,
            "delta": self.delta,
            "k": self.k,
            "seed": self.seed,
            "mode": self.mode,
            "partition": self.partition,
        }


@dataclass(frozen=True)
class Seat:
    """Where a program sits: one party's view of one session.

    Attributes:
        party: this party's name; `providers` and `ml_party` name the others as the agreement does.
        folder: this party's own folder; `tables/` in it holds what this party has.
        session: this party's folder for the session: ledger, agreement, what was received, results.
        ledger: the party's ledger.
    """

    party: str
    providers: tuple[str, ...]
    ml_party: str
    folder: Path
    session: Path
    agreement: Agreement
    ledger: Ledger
    key: SigningKey
    task: Task
    options: Options

    def table(self, name: str, *, columns: Sequence[str] | None = None) -> pa.Table:
        """A table that this party has, by name (`train`, `seed`, `probe`, `linked-<provider>`).

        With `columns` no other column is read from the disk.
        """
        import pyarrow.parquet as pq

        path = self.require_table(name)
        return pq.read_table(path, columns=None if columns is None else list(columns))

    def require_table(self, name: str) -> Path:
        """Where a table of this party lies; asked before a charge, so that none is made for nothing.

        Raises:
            BadInput: if there is none. Where the holder keeps its tables is nobody else's business.
        """
        path = self.folder / "tables" / f"{name}.parquet"
        if not path.is_file():
            raise BadInput(f"party '{self.party}' has no table '{name}': expected it at {path}", private=True)
        return path

    def keep(self, name: str, table: pa.Table) -> None:
        """Write a table into the session's folder."""
        import pyarrow.parquet as pq

        pq.write_table(table, self.session / f"{name}.parquet")


Figures = Mapping[str, Mapping[str, Any]]
"""What each party's program said of its run."""

Program = Callable[[Seat, Channel], dict[str, Any]]
"""A role's part. Returns figures about the run (`rows_used`, ...); tables go into the session's folder."""


@dataclass(frozen=True)
class Trust:
    """An assumption about a party that the guarantee rests on."""

    party: str
    assumption: str


@dataclass(frozen=True)
class Guarantee:
    """What is promised, in the words of PRIVACY.md and no more; None where there is no such figure.

    `short` is for a table's cell, where there is neither an epsilon nor a k to put there.
    """

    epsilon: float | None = None
    delta: float | None = None
    unit: str | None = None
    relation: str | None = None
    k: int | None = None
    prior_knowledge: tuple[str, ...] = ()
    note: str = ""
    short: str = ""

    def to_dict(self) -> dict[str, Any]:
        return {
            "epsilon": self.epsilon,
            "delta": self.delta,
            "unit": self.unit,
            "relation": self.relation,
            "k": self.k,
            "prior_knowledge": list(self.prior_knowledge),
            "note": self.note,
            "short": self.short,
        }


@dataclass(frozen=True)
class Pilot:
    """What an attack may use: everything. Only `compare` and `try` have it, with consent of all parties.

    Attributes:
        members: training rows per provider, with ids and target.
        outsiders: held-out rows of all providers, with target.
        outsiders_of: each provider's own; empty where held-out rows are no provider's.
        sessions: each party's session folder.
        figures: what each party's program returned.
        member_scores / outsider_scores: the resulting model's scores on samples of both, with their labels.
    """

    task: Task
    options: Options
    members: Mapping[str, pa.Table]
    outsiders: pa.Table
    sessions: Mapping[str, Path]
    figures: Mapping[str, Mapping[str, Any]]
    ml_party: str
    member_scores: Any = None
    member_labels: Any = None
    outsider_scores: Any = None
    outsider_labels: Any = None
    outsiders_of: Mapping[str, pa.Table] = field(default_factory=dict[str, "pa.Table"])

    def held_against(self, provider: str) -> pa.Table:
        """The held-out rows that this provider's members are held against: its own, where it has any.

        Providers differ: against rows of all of them an attack would find out whose a row is, not whether it
        was in the table.
        """
        return self.outsiders_of.get(provider, self.outsiders)


def _no_attacks(pilot: Pilot) -> dict[str, AttackResult]:
    return {}


def _always(task: Task, providers: Sequence[str]) -> str | None:
    return None


def _nothing_left_out(task: Task) -> Mapping[str, str]:
    return {}


def _as_users_run_it(figures: Figures) -> str:
    return ""


@dataclass(frozen=True)
class InWords:
    """What it protects, from whom, and at what price: a plain sentence each."""

    protects: str
    against: str
    price: str

    def to_dict(self) -> dict[str, str]:
        return {"protects": self.protects, "against": self.against, "price": self.price}


@dataclass(frozen=True)
class Exposure:
    """Whom a mode trusts with what, what each role's process receives in it, and why it cannot run, if so.

    `partitions` are those of a mode that cannot run on all of its architecture's.
    """

    trust: tuple[Trust, ...]
    seen_by: Mapping[str, tuple[str, ...]]
    skip: Callable[[Task, Sequence[str]], str | None] = _always
    in_words: InWords | None = None
    partitions: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Parties:
    """Who takes part in a draft: a clause may depend on how many providers there are, or name parties."""

    providers: tuple[str, ...]
    ml_party: str
    mediator: str


@dataclass(frozen=True)
class Architecture:
    """One way of collaborating.

    Attributes:
        name: as in DESIGN.md; also the clause's name in the agreement.
        summary: one sentence for people.
        programs: the program of each role that takes part.
        clause: the clause that a pilot's agreement needs for a run with these options.
        clause_among: the same where it depends on who takes part as well, such as on how many providers.
        guarantee: what it promises with these options.
        promise: the same where it depends on the task as well, such as on the schema's unit.
        trust: whom it trusts with what.
        seen_by: what each role's process receives, in plain words.
        exposures: for modes in which trust or what is seen differs, those of that mode.
        modes: the modes it has; the first is the default.
        beside: modes that stand in a comparison beside the default one, each in a row of its own.
        charges: whether its guarantee has an epsilon, so that a sweep over epsilon makes sense.
        exact: modes of one that charges in which nothing that leaves has differential privacy.
        engine: the module that it runs on and the extra that installs it, where there is one.
        in_words: what it protects, from whom and at what price, for people.
        skip: why it cannot run for this task and these providers, or None.
        attacks: adversaries run against the result, by name.
        partitions: how the data may be split over providers: by rows, by columns.
        skip_columns: why it cannot run where it is split by columns, or None.
        frame: whether its clause fixes a frame: a list of record ids that all parties know, each held once.
        features_brought: modes in which the ML party brings the features; providers have id and target.
        bears_drop_outs: whether a run may go on where a provider gives up: its ML party decides.
        leaves_out: columns that what it releases does not have, each with the reason, from the schema alone.
        fit_models: roles whose programs fit models with scikit-learn, which takes seconds to load.
        cost_note: of a pilot's figures: what its cost holds that a run of one's own would not, or "".
    """

    name: str
    summary: str
    programs: Mapping[str, Program]
    clause: Callable[[Options], dict[str, Any]]
    guarantee: Callable[[Options], Guarantee]
    trust: tuple[Trust, ...]
    seen_by: Mapping[str, tuple[str, ...]]
    modes: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()
    promise: Callable[[Options, Task], Guarantee] | None = None
    charges: bool = False
    skip: Callable[[Task, Sequence[str]], str | None] = _always
    attacks: Callable[[Pilot], dict[str, AttackResult]] = _no_attacks
    baseline: bool = False
    frame: bool = False
    partitions: tuple[str, ...] = ("rows",)
    skip_columns: Callable[[Task, Sequence[str]], str | None] = _always
    exposures: Mapping[str, Exposure] = field(default_factory=dict[str, Exposure])
    tables: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    clause_among: Callable[[Options, Parties], dict[str, Any]] | None = None
    exact: tuple[str, ...] = ()
    engine: tuple[str, str] | None = None
    in_words: InWords | None = None
    features_brought: tuple[str, ...] = ()
    bears_drop_outs: bool = False
    leaves_out: Callable[[Task], Mapping[str, str]] = _nothing_left_out
    fit_models: tuple[str, ...] = ("ml_party",)
    cost_note: Callable[[Figures], str] = _as_users_run_it

    def charged(self, mode: str | None) -> bool:
        """Whether a run in this mode has an epsilon."""
        return self.charges and mode not in self.exact

    def clause_of(self, options: Options, parties: Parties) -> dict[str, Any]:
        """The clause that a run with these options among these parties needs."""
        return self.clause(options) if self.clause_among is None else self.clause_among(options, parties)

    def unavailable(self) -> str | None:
        """Why it cannot run on this machine, with the line that mends it; None if it can."""
        if self.engine is None or find_spec(self.engine[0]) is not None:
            return None
        return str(MissingExtra(f"the architecture '{self.name}'", self.engine[1]))

    def exposure(self, mode: str | None) -> Exposure:
        """Whom a run in this mode trusts, and what each role sees in it."""
        return self.exposures.get(mode or "", Exposure(self.trust, self.seen_by))

    def words(self, mode: str | None) -> InWords | None:
        """The mode's own plain words, or the architecture's."""
        return self.exposure(mode).in_words or self.in_words

    def promised(self, options: Options, task: Task) -> Guarantee:
        """What it promises for this task."""
        return self.guarantee(options) if self.promise is None else self.promise(options, task)
