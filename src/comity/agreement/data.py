"""What is shared and why: purpose, and each provider's data with its columns, privacy unit and budget."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Annotated, Any, Self

from pydantic import AfterValidator, Field, PlainSerializer, ValidationError, model_validator

from comity.agreement.term import Delta, Epsilon, Flag, PartyName, Term, Words, fault
from comity.schema import Column, Schema, Unit


class LegalBasis(StrEnum):
    """Article 6(1) of the GDPR, or that the data is not personal."""

    consent = "consent"
    contract = "contract"
    legal_obligation = "legal_obligation"
    vital_interest = "vital_interest"
    public_task = "public_task"
    legitimate_interest = "legitimate_interest"
    not_personal = "not_personal"


class Purpose(Term):
    """What the parties want to learn, and what allows it."""

    text: Words
    legal_basis: LegalBasis


class Budget(Term):
    """What may be spent on the data for its lifetime, over all recipients and agreements (the account).

    `delta_additive` is the part of `delta` set aside for mechanisms with an additive delta of their own; 0
    admits none of them.
    """

    epsilon: Epsilon
    delta: Delta
    delta_additive: Annotated[float, Field(strict=True, ge=0.0, lt=1.0)] = 0.0

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.delta_additive >= self.delta:
            raise fault(f"delta_additive {self.delta_additive:g} must stay below delta {self.delta:g}")
        return self


class Models(StrEnum):
    """What becomes of models that were made with a provider's data, once the agreement has ended early."""

    keep = "keep"
    delete = "delete"


class Retention(Term):
    """What recipients do with a provider's data when a party withdraws from the agreement.

    Attributes:
        after_withdrawal_days: how many days they have to delete what they got; 0 means on the same day. A
            clause's `retention_days`, counted from receipt, may end earlier.
        models: whether models made with it may be kept, as long as the clause allows.
    """

    after_withdrawal_days: Annotated[int, Field(strict=True, ge=0, le=36_500)]
    models: Models


def in_order(columns: Mapping[str, Column]) -> Mapping[str, Column]:
    """By name: the order in the file is not signed (RFC 8785 sorts keys), so it must not mean anything."""
    return MappingProxyType({name: columns[name] for name in sorted(columns)})


def columns_as_json(columns: Mapping[str, Column]) -> dict[str, dict[str, Any]]:
    """The file form of columns."""
    return {name: column.model_dump(mode="json", exclude_none=True) for name, column in columns.items()}


class DataTerms(Term):
    """One provider's data.

    Attributes:
        lineage: name of the dataset lineage; (provider, lineage, unit) is the account, for its lifetime.
        source, licence, consent: where it is from, on what terms it may be used, what its subjects said.
        mediator_may_hold: whether a mediator may hold the rows themselves (not a release made of them).
        seed_rows: rows handed to the ML party outright; the people in them are outside every guarantee.
        columns: sorted by name; their order in the file means nothing.
        unit: what is protected: one row, or all rows with one value of a column.
        budget: None means that nothing with differential privacy may leave.
        retention: what is deleted after a withdrawal; None: what recipients got, on the same day, and nothing
            is said about models.
        auditor: the party that may be shown the whole table, with the secret of its commitment, in an audit
            that provider and ML party have signed for; None: nobody, and the provider audits itself.
    """

    provider: PartyName
    lineage: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=128)]
    source: Words
    licence: Words
    consent: Words | None = None
    mediator_may_hold: Flag = False
    seed_rows: Annotated[int, Field(strict=True, ge=0, le=10**9)] = 0
    columns: Annotated[Mapping[str, Column], AfterValidator(in_order), PlainSerializer(columns_as_json)]
    unit: Unit = Unit()
    budget: Budget | None = None
    retention: Retention | None = None
    auditor: PartyName | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        try:
            Schema(columns=dict(self.columns), unit=self.unit)
        except ValidationError as error:
            raise fault(error.errors()[0]["msg"].removeprefix("Value error, ")) from None
        if self.unit.column is None and self.unit.max_rows != 1:
            raise fault("unit: without a column the unit is one row, so max_rows is 1")
        return self

    @property
    def table_schema(self) -> Schema:
        """The columns and the unit, as tables are read with."""
        return Schema(columns=dict(self.columns), unit=self.unit)
