"""An agreement in plain words: what it allows, what each party will see, who has signed, how it stands.

Every sentence about an architecture is its own (`seen_by`, `trust`, `guarantee`) or the clause's; nothing is
concluded here. An architecture that this comity does not have is named with its clause and no more.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from comity.agreement import Agreement, Clause, Standing
    from comity.architectures import Architecture

_ROLES: Final = {"provider": "provider", "ml_party": "ML party", "mediator": "mediator"}
_COLUMN_ROLES: Final = ("identifier", "quasi_identifier", "sensitive", "insensitive", "target")
_WIDTH: Final = 100
_LIMITS: Final[Mapping[str, str]] = {
    "mode": "mode {}",
    "k": "every row like at least {} in what others may know",
    "suppression": "at most {:.0%} of the rows left out",
    "l": "at least {} different sensitive values in each group",
    "t": "sensitive values in a group within {} of all rows'",
    "origin_t": "the mix of providers in a group within {} of the whole table's",
    "origin_l": "at least {} providers in each group",
    "linked_by": "duplicates across providers are removed by the {}, which learns who is at which providers",
    "attempts": "at most {} attempts",
    "epsilon": "epsilon at most {}",
    "delta": "delta at most {}",
    "queries": "at most {} questions",
    "minimum_group": "groups of at least {} records",
    "groups_per_record": "a record in at most {} groups",
    "providers_per_record": "a record at no more than {} provider(s)",
    "groupings": "groups {} to the mediator",
    "unsafe_unseen_groups": "nobody can check the groups (unsafe_unseen_groups)",
    "unsafe_exact": "without differential privacy (unsafe_exact)",
    "unsafe_pilot": "raw rows are handed over (unsafe_pilot)",
    "rounds": "at most {} rounds",
    "rows": "at most {} rows",
}


def describe(agreement: Agreement, standing: Standing, *, only: str | None = None) -> dict[str, Any]:
    """Everything that `agree show` tells, as JSON values.

    Args:
        only: a party's name: what the others see is left out.

    Raises:
        ClauseRefused: if there is no such party.
    """
    if only is not None:
        agreement.party(only)
    signed = {entry.party for entry in agreement.signatures}
    return {
        "title": agreement.title,
        "digest": agreement.digest,
        "replaces": agreement.replaces,
        "purpose": agreement.purpose.to_dict(),
        "expires": agreement.expires.isoformat(),
        "standing": {"state": str(standing.state), "words": standing.words},
        "parties": [
            {
                "name": party.name,
                "role": str(party.role),
                "key": str(party.key),
                "signed": party.name in signed,
            }
            for party in agreement.parties
        ],
        "missing": [party.name for party in agreement.parties if party.name not in signed],
        "data": [_data(data.to_dict()) for data in agreement.data],
        "architectures": [_architecture(agreement, clause, only) for clause in agreement.architectures],
    }


def _data(data: dict[str, Any]) -> dict[str, Any]:
    by_role: dict[str, list[str]] = {}
    for name, column in data["columns"].items():
        by_role.setdefault(column["role"], []).append(name)
    kept = ("provider", "lineage", "source", "licence", "consent", "mediator_may_hold", "seed_rows", "unit")
    return {
        **{name: data.get(name) for name in kept},
        "columns": by_role,
        "budget": data.get("budget"),
        "retention": data.get("retention"),
    }


def _architecture(agreement: Agreement, clause: Clause, only: str | None) -> dict[str, Any]:
    from comity.architectures import find, names

    limits = clause.to_dict()
    found = find(clause.architecture) if clause.architecture in names() else None
    told: dict[str, Any] = {"name": clause.architecture, "limits": limits}
    if found is None:
        return {**told, "installed": False, "summary": None, "guarantee": None, "sees": {}, "trust": []}
    exposure = found.exposure(limits.get("mode"))
    return {
        **told,
        "installed": True,
        "summary": found.summary,
        "guarantee": _guarantee(found, limits),
        "sees": {
            party.name: list(exposure.seen_by.get(party.role, ()))
            for party in agreement.parties
            if only in (None, party.name) and party.role in found.programs
        },
        "trust": [{"party": trust.party, "assumption": trust.assumption} for trust in exposure.trust],
    }


def _guarantee(found: Architecture, limits: Mapping[str, Any]) -> str:
    """The guarantee's sentence at the clause's limits."""
    from comity.architectures.definition import Options
    from comity.report.results import Result
    from comity.report.words import guarantee

    names = ("epsilon", "delta", "k", "mode")
    options = Options(**{name: limits[name] for name in names if limits.get(name) is not None})
    said = guarantee(
        Result.read(
            {
                "architecture": found.name,
                "mode": options.mode,
                "privacy": found.guarantee(options).to_dict(),
            }
        )
    )
    with_dp = found.guarantee(options).epsilon is not None
    return (
        said
        if with_dp or said.startswith(("No differential", "None"))
        else f"No differential privacy. {said}"
    )


def told(description: Mapping[str, Any], *, only: str | None = None, on: date) -> list[str]:
    """The description as lines for a terminal."""
    purpose = description["purpose"]
    basis = purpose["legal_basis"].replace("_", " ")
    lines = [
        f"{description['title']}  ({description['digest'][:12]}...)",
        "",
        f"What for: {purpose['text']}",
        f"Legal basis: {basis}. Last day: {description['expires']} (UTC).",
    ]
    if description["replaces"]:
        lines.append(f"It replaces the agreement {description['replaces'][:12]}...")
    standing = description["standing"]
    lines += [
        "",
        f"Today, {on.isoformat()}: {standing['state']}. {_sentence(standing['words'])}",
        "",
        "Parties",
    ]
    lines += [
        f"  {party['name']:<20} {_ROLES[party['role']]:<10} {'signed' if party['signed'] else 'NOT SIGNED'}"
        for party in description["parties"]
    ]
    lines += ["", "Data"]
    for data in description["data"]:
        lines += _told_data(data)
    for architecture in description["architectures"]:
        lines += ["", *_told_architecture(architecture, description["parties"], only)]
    lines += ["", "What has no clause above is not allowed."]
    return [part for line in lines for part in _wrapped(line)]


def _wrapped(line: str) -> list[str]:
    """A line cut to a readable width, further lines of it indented below its text."""
    indent = len(line) - len(line.lstrip(" "))
    hang = " " * (indent + (2 if line.lstrip().startswith("- ") else 4))
    parts = textwrap.wrap(
        line.strip(), _WIDTH - indent, subsequent_indent=hang[indent:], break_on_hyphens=False
    )
    return [" " * indent + part for part in parts] or [""]


def _told_data(data: Mapping[str, Any]) -> list[str]:
    lines = [f"  {data['provider']}: {data['source']} (counted as '{data['lineage']}'); {data['licence']}"]
    if data["consent"]:
        lines.append(f"    consent: {data['consent']}")
    for role in _COLUMN_ROLES:
        if role in data["columns"]:
            lines.append(f"    {role.replace('_', '-')}: {', '.join(data['columns'][role])}")
    unit = data["unit"]
    whose = "one row" if not unit.get("column") else f"all rows with one value of '{unit['column']}'"
    lines.append(f"    protected as one: {whose}")
    budget = data["budget"]
    if budget:
        lines.append(
            f"    budget for its lifetime: epsilon {budget['epsilon']:g}, delta {budget['delta']:g}, over "
            "all recipients and agreements"
        )
    else:
        lines.append("    no budget: nothing with differential privacy may leave")
    if data["seed_rows"]:
        lines.append(f"    {data['seed_rows']:,} rows are handed over outright, outside every guarantee")
    if data["mediator_may_hold"]:
        lines.append("    the mediator may hold the rows themselves")
    terms = data["retention"]
    if terms:
        days = terms["after_withdrawal_days"]
        when = "on the same day" if days == 0 else f"within {days} days"
        models = (
            "are deleted too" if terms["models"] == "delete" else "may be kept as long as the clause allows"
        )
        lines.append(f"    after a withdrawal: what recipients got is deleted {when}; models {models}")
    return lines


def _told_architecture(
    architecture: Mapping[str, Any], parties: Sequence[Mapping[str, Any]], only: str | None
) -> list[str]:
    lines = [f"Allowed: {architecture['name']}"]
    if architecture["summary"]:
        lines.append(f"  {architecture['summary']}")
    lines.append(f"  Limits: {'; '.join(_limits(architecture['limits']))}.")
    if not architecture["installed"]:
        lines.append("  This comity does not have it: what each party would see is not known here.")
        return lines
    lines.append(f"  Guarantee: {architecture['guarantee']}")
    for name, things in architecture["sees"].items():
        lines.append(f"  {name} sees:" if things else f"  {name} sees nothing of the others")
        lines += [f"    - {thing}" for thing in things]
    if only is not None and not architecture["sees"]:
        lines.append(f"  {only} takes no part in it.")
    if architecture["trust"]:
        lines.append("  This holds if one may trust that")
        lines += [
            f"    - the {_ROLES.get(one['party'], one['party'])} {one['assumption']}"
            for one in architecture["trust"]
        ]
    return lines


def _limits(limits: Mapping[str, Any]) -> list[str]:
    words: list[str] = []
    last: list[str] = []
    for name, value in limits.items():
        if name == "retention_days":
            kept = "until the run ends" if value == 0 else f"for {value} days"
            last.append(f"recipients may keep what they got {kept}")
        elif name == "frame":
            words.append(f"a fixed list of {value['rows']:,} ids")
        elif name == "reference":
            words.append(f"the ML party adds {', '.join(value['columns'])} by '{value['key']}'")
        elif isinstance(value, bool):
            words += [_LIMITS.get(name, name)] if value else []
        elif name in _LIMITS:
            plain = isinstance(value, float) and ":" not in _LIMITS[name]
            words.append(_LIMITS[name].format(f"{value:g}" if plain else value))
        else:
            words.append(f"{name} {value}")
    return words + last


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:].rstrip(".") + "."
