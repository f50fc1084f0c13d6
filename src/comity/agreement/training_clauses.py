"""Clauses of training together, of scoring on ciphertexts, of synthetic tables and of clean rooms."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Self

from pydantic import (
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from comity.agreement.clause import Charged, Clause, MaybeExact, Sha256
from comity.agreement.term import Count, Delta, Epsilon, Flag, PartyName, Term, fault


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


class FederatedClause(MaybeExact):
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
    """What the ML party gets: the model, or predictions for rows of its own while the model stays shared."""

    model = "model"
    predictions = "predictions"


class EncryptedClause(MaybeExact):
    """Training on secret shares.

    With differential privacy every provider shares a part of noise in: logistic regression by aby3, of tables
    split by rows, against the ML party together with one provider.

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

    @model_validator(mode="after")
    def _with_noise(self) -> Self:
        if self.unsafe_exact:
            return self
        if self.protocol is not Protocol.aby3:
            raise fault("protocol: with differential privacy it is aby3, whose sums on shares are exact")
        if self.model is LinearKind.linear:
            raise fault("model: with differential privacy it is logistic")
        if self.membership_to is not None:
            raise fault("membership_to: with differential privacy records are not aligned; remove the line")
        return self


class Scheme(StrEnum):
    """Homomorphic encryption: exact integers (BFV) or approximate numbers (CKKS)."""

    bfv = "bfv"
    ckks = "ckks"


class HomomorphicClause(MaybeExact):
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


class SyntheticClause(Charged):
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
        programs: digests of the jobs that may run, each with all that it declares; of a program that comity
            ships, SHA-256 of its text, with comity's own declaration for the task. A provider's steward may
            approve others by a note in the provider's ledger.
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
