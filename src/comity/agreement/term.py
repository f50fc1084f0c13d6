"""What all parts of an agreement have in common: immutable, strict about types, no unknown keys."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

from comity.crypto.canonical import canonical_bytes


class Term(BaseModel):
    """A part of an agreement.

    A field that may be null has null as its default: then "absent" and "null" are one meaning, and the
    signed form leaves both out. A field with any other default is always written into the signed form, so a
    later default cannot change what was signed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    def to_dict(self) -> dict[str, Any]:
        """The file form: JSON values, without nulls, with the file's key names."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)

    def __hash__(self) -> int:
        return hash(canonical_bytes(self.to_dict()))

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        return self


def fault(text: str) -> PydanticCustomError:
    """A validation error whose message is `text` and nothing else."""
    return PydanticCustomError("agreement", "{text}", {"text": text})


def _not_blank(text: str) -> str:
    if not text.strip():
        raise fault("is blank; say it in words")
    return text


Words = Annotated[str, Field(max_length=10_000), AfterValidator(_not_blank)]
"""Text for people, one line or several."""

Heading = Annotated[str, Field(max_length=200), AfterValidator(_not_blank)]
"""A short text for people."""

PartyName = Annotated[str, Field(pattern=r"^[a-z](-?[a-z0-9])*$", max_length=63)]
"""A party's name: lower-case letters, digits, single hyphens, as TLS certificates hold it as host name."""

Count = Annotated[int, Field(strict=True, ge=1, le=10**12)]
Share = Annotated[float, Field(strict=True, ge=0.0, le=1.0)]
Epsilon = Annotated[float, Field(strict=True, gt=0.0, allow_inf_nan=False)]
Delta = Annotated[float, Field(strict=True, gt=0.0, lt=1.0)]
Flag = Annotated[bool, Field(strict=True)]
