"""What each architecture may do under an agreement: one clause for each; what has no clause is not allowed.

A clause holds limits: a plan passes if it asks for no more. `epsilon` and `delta` are the most that this
architecture may spend of each provider's account under this agreement. `retention_days` is how long
recipients may keep what they got; 0 means until the run ends.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, ClassVar, Self

from pydantic import (
    AfterValidator,
    Field,
    PlainSerializer,
    ValidationInfo,
    field_validator,
    model_validator,
)

from comity.agreement.data import columns_as_json, in_order
from comity.agreement.term import Count, Delta, Epsilon, Flag, PartyName, Share, Term, fault
from comity.schema import Column, Role


class Clause(Term):
    """Limits of one architecture."""

    architecture: ClassVar[str]

    retention_days: Annotated[int, Field(strict=True, ge=0, le=36_500)] = 365

    @property
    def spending_limit(self) -> tuple[float, float] | None:
        """(epsilon, delta) it may spend per provider; None where nothing of it has differential privacy."""
        return None


class _Charged(Clause):
    """All that leaves has differential privacy."""

    epsilon: Epsilon
    delta: Delta

    @property
    def spending_limit(self) -> tuple[float, float] | None:
        return (self.epsilon, self.delta)


class _MaybeExact(Clause):
    """What leaves has differential privacy, unless the agreement says by name that it has none."""

    epsilon: Epsilon | None = None
    delta: Delta | None = None
    unsafe_exact: Flag = False
    attempts: Annotated[int, Field(strict=True, ge=1, le=3)] = 3

    @model_validator(mode="after")
    def _either(self) -> Self:
        if (self.epsilon is None) != (self.delta is None):
            raise fault("epsilon and delta come together")
        if (self.epsilon is None) != self.unsafe_exact:
            raise fault("set epsilon and delta, or 'unsafe_exact: true' to go without")
        return self

    @property
    def spending_limit(self) -> tuple[float, float] | None:
        return None if self.epsilon is None or self.delta is None else (self.epsilon, self.delta)


class _Anonymous(Clause):
    """A table without differential privacy: k-anonymous, checked and attacked before it leaves.

    Attributes:
        k: smallest class of rows alike in all quasi-identifiers.
        suppression: share of rows that may be left out to reach it.
        l: distinct values of each sensitive column in every class (distinct l-diversity).
        t: largest distance of a class's sensitive values from all rows' (t-closeness).
        attempts: tries per table and release; a refusal of a release without DP is itself a disclosure.
    """

    k: Annotated[int, Field(strict=True, ge=2, le=10**9)]
    suppression: Share
    l: Annotated[int, Field(strict=True, ge=2, le=10**9)] | None = None  # noqa: E741  # its name in the literature
    t: Annotated[float, Field(strict=True, gt=0.0, le=1.0)] | None = None
    attempts: Annotated[int, Field(strict=True, ge=1, le=3)] = 3


ColumnName = Annotated[str, Field(min_length=1, max_length=200)]


Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Frame(Term):
    """The ids that all parties know, one per unit: how many, and the SHA-256 of their canonical list."""

    rows: Count
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class PlainClause(Clause):
    """Tables as they are: only for data that is neither sensitive nor personal, which is said by name.

    Attributes:
        not_sensitive: the rows do no provider harm, whoever sees them. Without it no table leaves.
        not_personal: no row is about a person; a company of one person is one. Without it no table leaves.
        confirmed: columns whose values look personal by themselves (serial numbers, a map's coordinates) and
            that the parties have looked at: they are about no person.
    """

    architecture = "plain"

    not_sensitive: Flag | None = None
    not_personal: Flag | None = None
    confirmed: Annotated[tuple[ColumnName, ...], Field(min_length=1)] | None = None

    @model_validator(mode="after")
    def _stated(self) -> Self:
        for name in ("not_sensitive", "not_personal"):
            if getattr(self, name) is False:
                raise fault(
                    f"{name}: plain is for data of which that is true; say true, or remove the clause"
                )
        return self


class DirectReleaseClause(_Anonymous):
    """1.A: each provider releases a de-identified table to the ML party."""

    architecture = "direct-release"


class LinkedBy(StrEnum):
    """The role that may find out which records of several providers are one person's."""

    mediator = "mediator"


class Reference(Term):
    """What the ML party may have put beside the rows at the mediator, so that it need not go to providers.

    Attributes:
        key: the identifier of the providers' tables that its rows are found by; the mediator gets tokens of
            it.
        columns: what is added, quasi-identifiers with public bounds or levels: they are generalised with the
            others.
    """

    key: Annotated[str, Field(min_length=1, max_length=200)]
    columns: Annotated[
        Mapping[str, Column], Field(min_length=1), AfterValidator(in_order), PlainSerializer(columns_as_json)
    ]

    @model_validator(mode="after")
    def _generalised(self) -> Self:
        for name, column in self.columns.items():
            if column.role is not Role.quasi_identifier:
                raise fault(
                    f"columns.{name}: has the role {column.role}; the ML party knows its reference, "
                    "so a value that is not generalised would lead back to the key: make it a "
                    "quasi_identifier"
                )
        return self


class MediatedReleaseClause(_Anonymous):
    """1.B: a mediator merges the providers' de-identified tables and hides who each row came from.

    k, l and t hold at every provider and again over the union; up to `suppression` of the rows may be left
    out both times.

    Attributes:
        origin_t: bounds the total variation between the mix of providers in a class and in the whole table.
        origin_l: different providers in every class, at least.
        linked_by: who may remove duplicates across providers by linkage tokens, and so learns who is at
            which providers; None: nobody, and duplicates stay.
        reference: columns of the ML party's that are joined at the mediator.
    """

    architecture = "mediated-release"

    origin_t: Annotated[float, Field(strict=True, gt=0.0, le=1.0)]
    origin_l: Annotated[int, Field(strict=True, ge=2, le=10_000)] | None = None
    linked_by: LinkedBy | None = None
    reference: Reference | None = None


class ValidationMode(StrEnum):
    """Who holds the features: the ML party (linked by ids) or the provider (hosted)."""

    linked = "linked"
    hosted = "hosted"


class ValidationClause(_Charged):
    """2.A: the ML party gets noisy feedback about groups of its predictions.

    `minimum_group` counts rows of the frame, a public fact. In hosted mode a refusal by size would leak, so
    there is none.
    """

    architecture = "validation"

    mode: ValidationMode
    minimum_group: Count | None = None
    queries: Count
    frame: Frame | None = None

    @model_validator(mode="after")
    def _group_fits_mode(self) -> Self:
        if self.mode is ValidationMode.linked and self.minimum_group is None:
            raise fault("minimum_group is missing: linked mode needs a smallest group")
        if self.mode is ValidationMode.hosted and self.minimum_group is not None:
            raise fault("minimum_group: a refusal by size would leak in hosted mode; remove the line")
        return self


class BlindMode(StrEnum):
    """What the mediator holds: padded labels only (linked), or the data, entrusted to it."""

    linked = "linked"
    entrusted = "entrusted"


class Groupings(StrEnum):
    """Who sees a question's groups: the mediator (open), or nobody but the ML party (encrypted, by BFV)."""

    open = "open"
    encrypted = "encrypted"


class BlindValidationClause(_Charged):
    """2.B: a mediator computes the feedback; linked: over padded labels that are uniform bytes to it.

    `groups_per_record` is how many groups one record may be in, over all answers. `providers_per_record` is
    at how many providers one record may be: the noise covers its labels at all of them together.
    `groupings: encrypted` hides groups and predictions from the mediator and from providers. Nobody can then
    hold the ML party to groups of a size or number, or to the weights it states, which
    `unsafe_unseen_groups: true` allows by name.
    """

    architecture = "blind-validation"

    mode: BlindMode
    queries: Count
    groups_per_record: Count = 1
    providers_per_record: Count = 1
    minimum_group: Count | None = None
    groupings: Groupings = Groupings.open
    unsafe_unseen_groups: Flag = False
    frame: Frame | None = None

    @model_validator(mode="after")
    def _has_frame(self) -> Self:
        if self.mode is BlindMode.linked and self.frame is None:
            raise fault("frame is missing: linked mode needs a list of ids that all parties know")
        return self

    @model_validator(mode="after")
    def _groupings_can_be_held_to(self) -> Self:
        hidden = self.groupings is Groupings.encrypted
        if hidden and self.mode is not BlindMode.linked:
            raise fault("groupings: encrypted ones go with mode linked; an entrusted mediator counts by them")
        if hidden != self.unsafe_unseen_groups:
            raise fault(
                "unsafe_unseen_groups: nobody can check encrypted groups; say true to that where groupings "
                "are encrypted, and only there"
            )
        if hidden and self.minimum_group is not None:
            raise fault("minimum_group: nobody sees how large encrypted groups are; remove the line")
        if hidden and self.groups_per_record != 1:
            raise fault("groups_per_record: nobody can count encrypted groups; remove the line")
        return self


class FederatedModel(StrEnum):
    """What providers train together: logistic regression, or a network with one hidden layer."""

    logistic = "logistic"
    network = "network"


class FederatedStrategy(StrEnum):
    """How local training is averaged; FedProx holds each provider's training near the common model."""

    fedavg = "fedavg"
    fedprox = "fedprox"


class FederatedUnit(StrEnum):
    """Whose coming or going differential privacy hides: one row (or person), or a provider's whole table."""

    record = "record"
    party = "party"


class FederatedClause(_MaybeExact):
    """Providers train locally; only sums of masked updates are opened.

    `threshold` of the n providers must stay for a round to open; up to `colluders` of them may work with the
    server without learning an update. With differential privacy per record the model is logistic and every
    round a sum over records; otherwise `strategy` says how local training is averaged. `unit: record` means
    the data's own unit: a person, where the schema names one. What is left away is logistic, fedavg, record.
    """

    architecture = "federated"

    rounds: Count = 100
    threshold: Annotated[int, Field(strict=True, ge=2, le=10_000)]
    colluders: Annotated[int, Field(strict=True, ge=0, le=10_000)] = 0
    model: FederatedModel | None = None
    strategy: FederatedStrategy | None = None
    proximal: Annotated[float, Field(strict=True, gt=0.0, le=100.0)] | None = None
    unit: FederatedUnit | None = None

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if (self.strategy is FederatedStrategy.fedprox) != (self.proximal is not None):
            raise fault("proximal: the weight of fedprox's proximal term goes with it, and only with it")
        if self.unsafe_exact and self.unit is FederatedUnit.party:
            raise fault("unit: without differential privacy nothing is hidden; remove the line")
        summed = not self.unsafe_exact and self.unit is not FederatedUnit.party
        if summed and self.model is FederatedModel.network:
            raise fault("model: with differential privacy per record it is logistic")
        if summed and self.strategy is FederatedStrategy.fedprox:
            raise fault(
                "strategy: with differential privacy per record nothing is trained locally; remove it"
            )
        return self


class Protocol(StrEnum):
    """Secret sharing: ABY3 among three with an honest majority, CHEETAH between two that do not collude."""

    aby3 = "aby3"
    cheetah = "cheetah"

    @property
    def parties(self) -> int:
        return 3 if self is Protocol.aby3 else 2


class LinearKind(StrEnum):
    """What is trained on shares."""

    logistic = "logistic"
    linear = "linear"


class Opened(StrEnum):
    """What the ML party gets of it: the model, or predictions for rows of its own while the model stays shared."""

    model = "model"
    predictions = "predictions"


class EncryptedClause(_MaybeExact):
    """Training on secret shares.

    Attributes:
        protocol, compute: how shares are computed on, and the parties that hold them, in this order. Two of
            three (ABY3), or the two (CHEETAH), together can open everything.
        model: what is trained; by default logistic regression.
        opens: what is opened, to the ML party and nobody else; by default the model.
        membership_to: who learns which records several providers hold, where providers hold columns of the
            same records (plain private set intersection); without it such tables are not aligned.
    """

    architecture = "encrypted"

    protocol: Protocol
    compute: tuple[PartyName, ...]
    model: LinearKind | None = None
    opens: Opened | None = None
    membership_to: tuple[PartyName, ...] | None = None

    @model_validator(mode="after")
    def _enough(self) -> Self:
        if len(set(self.compute)) != len(self.compute) or len(self.compute) != self.protocol.parties:
            raise fault(f"compute: {self.protocol} runs between {self.protocol.parties} different parties")
        return self


class Scheme(StrEnum):
    """Homomorphic encryption: exact integers (BFV) or approximate numbers (CKKS)."""

    bfv = "bfv"
    ckks = "ckks"


class HomomorphicClause(_MaybeExact):
    """Scores of encrypted rows (CKKS), or sums over encrypted values (BFV).

    With CKKS a provider sends rows that only it can open, so it needs neither epsilon nor `unsafe_exact`.

    Attributes:
        queries: CKKS: how many rows each provider may have scored, so much can it learn of the model.
        flooding_bits: CKKS: results are flooded with at least as many bits over the encryption's own errors.
        score_error: CKKS: scores are off by at least this much either way, uniformly; None: by as little as
            the flooding allows. What a score tells of the model is less, the larger this is.
    """

    architecture = "homomorphic"

    scheme: Scheme
    queries: Count
    flooding_bits: Annotated[int, Field(strict=True, ge=40, le=200)] = 40
    score_error: Annotated[float, Field(strict=True, gt=0.0, le=512.0)] | None = None

    @model_validator(mode="after")
    def _either(self) -> Self:
        if (self.epsilon is None) != (self.delta is None):
            raise fault("epsilon and delta come together")
        if self.epsilon is not None and self.unsafe_exact:
            raise fault("set epsilon and delta, or 'unsafe_exact: true' to go without")
        if self.scheme is not Scheme.ckks and self.epsilon is None and not self.unsafe_exact:
            raise fault("set epsilon and delta, or 'unsafe_exact: true' to go without")
        return self

    @model_validator(mode="after")
    def _error_of_scores(self) -> Self:
        if self.score_error is not None and self.scheme is not Scheme.ckks:
            raise fault("score_error: scores are made by scheme ckks; remove the line")
        return self


class SyntheticMethod(StrEnum):
    """How the marginals are chosen."""

    aim = "aim"
    mst = "mst"


class SyntheticClause(_Charged):
    """A synthetic table of at most `rows` rows, made from noisy marginals."""

    architecture = "synthetic"

    method: SyntheticMethod = SyntheticMethod.aim
    rows: Count


class Dominance(Term):
    """The largest contributors of a cell together make up at most this share of it ((n, k) rule).

    Attributes:
        largest: how many contributors are taken together.
        share: of the cell's total.
    """

    largest: Annotated[int, Field(strict=True, ge=1, le=1_000)]
    share: Annotated[float, Field(strict=True, gt=0.0, lt=1.0)]


class CleanRoomClause(Clause):
    """The ML party's program runs beside the data; declared results leave, at most `queries` of them.

    Attributes:
        unsafe_exact: a table or a model may leave without differential privacy, once per lineage.
        epsilon, delta: the most that statistics may spend; needed unless unsafe_exact is true.
        programs: SHA-256 of the programs that may run. A provider's steward may approve others, each with its
            declared outputs, by a note in the provider's ledger.
        minimum_cell: units in every cell of a table, at least; without it no table leaves.
        dominance: what a cell's largest contributors may make up of it.
        membership: how far an attack may tell a model's training rows from others: the upper end of the
            interval of its advantage; without it no model leaves.
    """

    architecture = "clean-room"

    unsafe_exact: Flag | None = None
    epsilon: Annotated[Epsilon | None, Field(validate_default=True)] = None
    delta: Annotated[Delta | None, Field(validate_default=True)] = None
    queries: Count
    programs: Annotated[tuple[Sha256, ...], Field(min_length=1, max_length=1_000)] | None = None
    minimum_cell: Annotated[int, Field(strict=True, ge=2, le=10**9)] | None = None
    dominance: Dominance | None = None
    membership: Annotated[float, Field(strict=True, gt=0.0, lt=1.0)] | None = None

    @field_validator("epsilon", "delta")
    @classmethod
    def _needed(cls, value: float | None, info: ValidationInfo) -> float | None:
        if value is None and not info.data.get("unsafe_exact"):
            raise fault("is missing")
        return value

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.epsilon is None) != (self.delta is None):
            raise fault("epsilon and delta come together")
        for name in ("minimum_cell", "dominance", "membership"):
            if getattr(self, name) is not None and self.unsafe_exact is None:
                raise fault(
                    f"{name}: a table or a model leaves without differential privacy; say "
                    "'unsafe_exact: true' to that (or false: none may leave), or remove the line"
                )
        if self.dominance is not None and self.minimum_cell is None:
            raise fault("dominance: it goes with a minimum_cell")
        return self

    @property
    def spending_limit(self) -> tuple[float, float] | None:
        return None if self.epsilon is None or self.delta is None else (self.epsilon, self.delta)


class _Baseline(Clause):
    """To compare with: raw rows are handed over, so it is for a pilot and says so."""

    retention_days: Annotated[int, Field(strict=True, ge=0, le=36_500)] = 0
    unsafe_pilot: Flag

    @model_validator(mode="after")
    def _named(self) -> Self:
        if not self.unsafe_pilot:
            raise fault("unsafe_pilot: a baseline hands raw rows over; say true to that, or remove it")
        return self


class AloneClause(_Baseline):
    """The ML party trains on the seed rows only."""

    architecture = "alone"


class AloneProviderClause(_Baseline):
    """A model on one provider's rows."""

    architecture = "alone-provider"


class PooledClause(_Baseline):
    """A model on all providers' raw rows."""

    architecture = "pooled"
