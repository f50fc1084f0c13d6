"""Which architectures an agreement allows, under their names of DESIGN.md."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Self

from pydantic import ConfigDict, Field, model_validator

from comity.agreement.clause import Clause
from comity.agreement.clauses import (
    AloneClause,
    AloneProviderClause,
    BlindValidationClause,
    DirectReleaseClause,
    MediatedReleaseClause,
    PlainClause,
    PooledClause,
    ValidationClause,
)
from comity.agreement.term import Term, fault
from comity.agreement.training_clauses import (
    CleanRoomClause,
    EncryptedClause,
    FederatedClause,
    HomomorphicClause,
    SyntheticClause,
)


def _without_null(schema: dict[str, Any]) -> None:
    """A clause is there or not: the exported schema shows no null where the parser takes none."""
    for place in schema["properties"].values():
        place["$ref"] = next(option["$ref"] for option in place.pop("anyOf") if "$ref" in option)
        place.pop("default", None)


class Architectures(Term):
    """One optional clause per architecture; what is absent is not allowed."""

    model_config = ConfigDict(json_schema_extra=_without_null)

    plain: PlainClause | None = None
    direct_release: DirectReleaseClause | None = Field(default=None, alias="direct-release")
    mediated_release: MediatedReleaseClause | None = Field(default=None, alias="mediated-release")
    validation: ValidationClause | None = None
    blind_validation: BlindValidationClause | None = Field(default=None, alias="blind-validation")
    federated: FederatedClause | None = None
    encrypted: EncryptedClause | None = None
    homomorphic: HomomorphicClause | None = None
    synthetic: SyntheticClause | None = None
    clean_room: CleanRoomClause | None = Field(default=None, alias="clean-room")
    alone: AloneClause | None = None
    alone_provider: AloneProviderClause | None = Field(default=None, alias="alone-provider")
    pooled: PooledClause | None = None

    @model_validator(mode="after")
    def _null_is_not_a_clause(self) -> Self:
        # not a "before" validator: after one, pydantic no longer knows that it reads JSON
        for field in self.model_fields_set:
            if getattr(self, field) is None:
                name = type(self).model_fields[field].alias or field
                raise fault(f"{name}: nothing is written below it; write its limits, or remove the line")
        return self

    def __iter__(self) -> Iterator[Clause]:  # type: ignore[override]  # iterating gives the clauses that are there
        for field in type(self).model_fields:
            clause = getattr(self, field)
            if isinstance(clause, Clause):
                yield clause

    def get(self, name: str) -> Clause | None:
        """The clause of this architecture, or None."""
        return next((clause for clause in self if clause.architecture == name), None)

    @property
    def names(self) -> tuple[str, ...]:
        """What is allowed."""
        return tuple(clause.architecture for clause in self)


ARCHITECTURES: tuple[str, ...] = tuple(
    field.alias or name for name, field in Architectures.model_fields.items()
)
"""Every architecture that an agreement can allow."""
