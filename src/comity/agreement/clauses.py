"""Clauses of the blueprint's four architectures, of plain tables, and of the baselines to compare with."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Self

from pydantic import (
    AfterValidator,
    Field,
    PlainSerializer,
    model_validator,
)

from comity.agreement.clause import Anonymous, Charged, Clause, ColumnName
from comity.agreement.data import columns_as_json, in_order
from comity.agreement.term import Count, Flag, Term, fault
from comity.schema import Column, Role


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


class DirectReleaseClause(Anonymous):
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


class MediatedReleaseClause(Anonymous):
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


class ValidationClause(Charged):
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


class BlindValidationClause(Charged):
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
