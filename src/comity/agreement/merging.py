"""One agreement out of copies that several parties have signed, each for itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from comity.agreement.signing import check_signature
from comity.agreement.terms import Agreement, agreement_from
from comity.errors import BadInput, UsageError


def merge_agreements(copies: Sequence[Agreement]) -> Agreement:
    """The agreement with all the signatures that its copies hold.

    Raises:
        UsageError: without copies.
        BadInput: if they are not copies of one agreement, naming the first place that differs.
        VerificationFailed: if a signature does not fit.
    """
    if not copies:
        raise UsageError("there is nothing to merge: give at least one copy of the agreement")
    first = copies[0]
    for other in copies[1:]:
        if other.digest != first.digest:
            raise BadInput(
                f"these are not copies of one agreement: '{first.title}' ({first.digest[:12]}...) and "
                f"'{other.title}' ({other.digest[:12]}...) differ in {differences(first, other)[0]}; "
                "signatures of one do not count for the other"
            )
    signatures = {entry.party: entry for copy in copies for entry in copy.signatures}
    for copy in copies:
        for index in range(len(copy.signatures)):
            check_signature(copy, index)
    merged = {**first.to_dict(), "signatures": [entry.to_dict() for entry in signatures.values()]}
    return agreement_from(merged)


def differences(first: Agreement, second: Agreement) -> list[str]:
    """The places at which two agreements differ, signatures apart: `expires`, `data.0.budget.epsilon`."""
    return _differences(first.to_dict() | {"signatures": []}, second.to_dict() | {"signatures": []}, "")


def _differences(first: Any, second: Any, place: str) -> list[str]:
    if isinstance(first, dict) and isinstance(second, dict):
        mine, theirs = cast("dict[str, Any]", first), cast("dict[str, Any]", second)
        pairs = [(key, mine.get(key), theirs.get(key)) for key in dict.fromkeys([*mine, *theirs])]
    elif isinstance(first, list) and isinstance(second, list):
        left, right = cast("list[Any]", first), cast("list[Any]", second)
        if len(left) != len(right):
            return [place]
        pairs = [(str(index), *pair) for index, pair in enumerate(zip(left, right, strict=True))]
    else:
        return [] if first == second else [place]
    inside = place + "." if place else ""
    return [found for key, one, other in pairs for found in _differences(one, other, f"{inside}{key}")]
