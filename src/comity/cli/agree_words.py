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

_ROLES: Final = {
    "provider": "provider",
    "ml_party": "ML party",
    "mediator": "mediator",
    "auditor": "auditor",
}
_WIDTH: Final = 100
_LIMITS: Final[Mapping[str, str]] = {
    "mode": "mode {}",
    "k": "every row like at least {} in what others may know",
    "suppression": "at most {} of the rows left out",
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
    "not_sensitive": "no row is sensitive to a provider (not_sensitive)",
    "not_personal": "no row is about a person (not_personal)",
    "confirmed": "looked at, and about no person: {}",
    "unsafe_exact": "without differential privacy (unsafe_exact)",
    "unsafe_pilot": "raw rows are handed over (unsafe_pilot)",
    "rounds": "at most {} rounds",
    "rows": "at most {} rows",
    "threshold": "at least {} providers stay in every round",
    "colluders": "up to {} of them may work with the server",
    "strategy": "local training averaged by {}",
    "proximal": "a proximal term weighted {}",
    "unit": "differential privacy per {}",
    "protocol": "protocol {}",
    "compute": "computed by {}",
    "model": "model {}",
    "opens": "{} opened, to the ML party",
    "membership_to": "{} learn which records several providers hold",
    "scheme": "scheme {}",
    "flooding_bits": "results flooded with at least {} bits of noise",
    "score_error": "scores off by up to {} or more, either way",
    "method": "method {}",
    "programs": "the programs {} may run without a steward's entry",
    "minimum_cell": "at least {} units in every cell of a table",
    "membership": "a model leaves only if an attack's advantage is surely at most {}",
}


def describe(agreement: Agreement, standing: Standing, *, only: str | None = None) -> dict[str, Any]:
    """Everything that `agree show` tells, as JSON values.

    Args:
        only: a party's name: what the others see is left out.

    Raises:
        ClauseRefused: if there is no such party.
    """
    from comity.agreement import cautions
    from comity.agreement.text import path_text
    from comity.cli.agree_data_words import described_data

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
                "measurement": None if party.attested is None else party.attested.measurement,
                "signed": party.name in signed,
            }
            for party in agreement.parties
        ],
        "missing": [party.name for party in agreement.parties if party.name not in signed],
        "data": [described_data(data.to_dict()) for data in agreement.data],
        "cautions": [f"{path_text(place)}: {words}" for place, words in cautions(agreement)],
        "architectures": [_architecture(agreement, clause, only) for clause in agreement.architectures],
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
    from comity.cli.agree_data_words import told_data

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
    for party in description["parties"]:
        lines += _told_party(party)
    lines += ["", "Data"]
    for data in description["data"]:
        lines += told_data(data)
    for architecture in description["architectures"]:
        lines += ["", *_told_architecture(architecture, description["parties"], only)]
    lines += ["", "What has no clause above is not allowed."]
    if description["cautions"]:
        lines += ["", "To think about before signing", *(f"  - {one}" for one in description["cautions"])]
    return [part for line in lines for part in _wrapped(line)]


def _told_party(party: Mapping[str, Any]) -> list[str]:
    signed = "signed" if party["signed"] else "NOT SIGNED"
    lines = [f"  {party['name']:<20} {_ROLES[party['role']]:<10} {signed}", f"    key {party['key']}"]
    if party["measurement"] is not None:
        lines.append(
            f"    its node has to prove before every session that it runs the enclave {party['measurement']}"
        )
    return lines


def _wrapped(line: str) -> list[str]:
    """A line cut to a readable width, further lines of it indented below its text."""
    indent = len(line) - len(line.lstrip(" "))
    hang = " " * (indent + (2 if line.lstrip().startswith("- ") else 4))
    parts = textwrap.wrap(
        line.strip(), _WIDTH - indent, subsequent_indent=hang[indent:], break_on_hyphens=False
    )
    return [" " * indent + part for part in parts] or [""]


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
    from comity.cli.agree_data_words import column_words, number

    words: list[str] = []
    last: list[str] = []
    for name, value in limits.items():
        if name == "retention_days":
            kept = "until the run ends" if value == 0 else f"for {value} days"
            last.append(f"recipients may keep what they got {kept}")
        elif name == "frame":
            words.append(f"a fixed list of {value['rows']:,} ids (SHA-256 {value['sha256']})")
        elif name == "dominance":
            largest, most = value["largest"], number(value["share"])
            words.append(f"the {largest} largest of a cell make up at most {most} of it")
        elif name == "reference":
            added = ", ".join(column_words(each, column) for each, column in value["columns"].items())
            words.append(f"the ML party adds, by '{value['key']}': {added}")
        elif isinstance(value, bool):
            words += [_LIMITS.get(name, name)] if value else []
        elif name in _LIMITS:
            words.append(_LIMITS[name].format(_value(name, value)))
        else:
            words.append(f"{name} {number(value)}")
    return words + last


def _value(name: str, value: Any) -> str:
    from comity.cli.agree_data_words import number

    if isinstance(value, list):
        return ", ".join(str(each) for each in value)
    if name == "suppression":
        return f"{float(f'{value * 100:.12g}'):.12g}%"
    return number(value)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:].rstrip(".") + "."
