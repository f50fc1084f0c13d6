"""Each provider's data in plain words, as `comity agree show` tells it: nothing signed is left out."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

_COLUMN_ROLES: Final = ("identifier", "quasi_identifier", "sensitive", "insensitive", "target")
_TYPES: Final[Mapping[str, str]] = {
    "integer": "whole number",
    "number": "number",
    "category": "one of",
    "text": "text",
}
_KEPT: Final = (
    "provider",
    "lineage",
    "source",
    "licence",
    "consent",
    "mediator_may_hold",
    "seed_rows",
    "unit",
    "budget",
    "retention",
    "auditor",
)
_MOST_VALUES: Final = 20
_MOST_WHOLE: Final = 2**53


def described_data(data: Mapping[str, Any]) -> dict[str, Any]:
    """A data entry of an agreement, its columns by role."""
    by_role: dict[str, dict[str, Any]] = {}
    for name, column in data["columns"].items():
        rest = {key: value for key, value in column.items() if key != "role"}
        by_role.setdefault(column["role"], {})[name] = rest
    return {**{name: data.get(name) for name in _KEPT}, "columns": by_role}


def told_data(data: Mapping[str, Any]) -> list[str]:
    """The lines about one provider's data."""
    lines = [f"  {data['provider']}: {data['source']} (counted as '{data['lineage']}'); {data['licence']}"]
    if data["consent"]:
        lines.append(f"    consent: {data['consent']}")
    for role in _COLUMN_ROLES:
        columns = data["columns"].get(role)
        if columns:
            told = ", ".join(column_words(name, column) for name, column in columns.items())
            lines.append(f"    {role.replace('_', '-')}: {told}")
    lines += _protected(data)
    if data["seed_rows"]:
        lines.append(f"    {data['seed_rows']:,} rows are handed over outright, outside every guarantee")
    if data["mediator_may_hold"]:
        lines.append("    the mediator may hold the rows themselves")
    if data["auditor"]:
        lines.append(
            f"    in an audit that both sides sign for, '{data['auditor']}' is shown the whole table, with "
            "identifiers"
        )
    return [*lines, *_after_withdrawal(data["retention"])]


def _protected(data: Mapping[str, Any]) -> Iterator[str]:
    unit, budget = data["unit"], data["budget"]
    most = unit.get("max_rows", 1)
    whose = "one row"
    if unit.get("column"):
        whose = f"all rows with one value of '{unit['column']}', at most {most:,}"
    yield f"    protected as one: {whose}"
    if not budget:
        yield "    no budget: nothing with differential privacy may leave"
        return
    additive = budget.get("delta_additive", 0)
    yield (
        f"    budget for its lifetime: epsilon {number(budget['epsilon'])}, delta {number(budget['delta'])} "
        f"(of it {number(additive)} for mechanisms with a delta of their own), over all recipients and "
        "agreements"
    )


def _after_withdrawal(terms: Mapping[str, Any] | None) -> Iterator[str]:
    if not terms:
        return
    days = terms["after_withdrawal_days"]
    when = "on the same day" if days == 0 else f"within {days} days"
    models = "are deleted too" if terms["models"] == "delete" else "may be kept as long as the clause allows"
    yield f"    after a withdrawal: what recipients got is deleted {when}; models {models}"


def column_words(name: str, column: Mapping[str, Any]) -> str:
    """A column with its type, bounds or values, and how it is generalised: `age (whole number, 0 to 110)`."""
    words = _TYPES[column["type"]]
    if column.get("values") is not None:
        words += " " + _listed(column["values"])
    elif column["type"] == "category":
        words = "category"
    low, high = column.get("min"), column.get("max")
    if low is not None and high is not None:
        words += f", {number(low)} to {number(high)}"
    elif low is not None or high is not None:
        words += f", from {number(low)}" if low is not None else f", to {number(high)}"
    hierarchy = column.get("hierarchy")
    if hierarchy is not None:
        words += f", generalised by {hierarchy if isinstance(hierarchy, str) else _rule(hierarchy)}"
    return f"{name} ({words})"


def number(value: Any) -> str:
    """A number with every digit that was signed, whole ones without a point; anything else as it is."""
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < _MOST_WHOLE else repr(value)
    return str(value)


def _listed(values: Sequence[Any]) -> str:
    """Values; of many the first ones, and a digest of all, so that two lists never read alike."""
    if len(values) <= _MOST_VALUES:
        return " / ".join(str(value) for value in values)
    digest = hashlib.sha256("\n".join(str(value) for value in values).encode()).hexdigest()
    first = " / ".join(str(value) for value in values[: _MOST_VALUES // 2])
    return f"{first} and {len(values) - _MOST_VALUES // 2} more (SHA-256 {digest[:16]})"


def _rule(rule: Mapping[str, Any]) -> str:
    """A hierarchy's rule: `dates, first 2020, last 2025`."""
    words: list[str] = []
    for name, value in rule.items():
        if isinstance(value, Mapping):
            words += [name, _rule(value)]
        elif isinstance(value, list):
            words.append(f"{name} {' / '.join(number(each) for each in value)}")
        else:
            words.append(f"{name} {number(value)}")
    return ", ".join(word for word in words if word)
