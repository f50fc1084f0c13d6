"""What an agreement may not say at once. Each check yields the place and the reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast

from comity.agreement.clauses import BlindMode, MediatedReleaseClause
from comity.agreement.data import LegalBasis
from comity.agreement.parties import PartyRole
from comity.agreement.text import Path, shown, unreadable
from comity.schema import Role

if TYPE_CHECKING:
    from comity.agreement.terms import Agreement

Contradiction = tuple[Path, str]


def contradictions(agreement: Agreement) -> Iterator[Contradiction]:
    """Everything in the agreement that does not go together; nothing if it is sound."""
    yield from _hidden(agreement.to_dict(), ())
    yield from _parties(agreement)
    yield from _data(agreement)
    yield from _architectures(agreement)
    yield from _budgets(agreement)
    yield from _mediated(agreement)
    yield from _columns(agreement)
    yield from _computing(agreement)


def _hidden(value: object, path: Path) -> Iterator[Contradiction]:
    """Characters that a signatory cannot see."""
    if isinstance(value, str):
        reason = unreadable(value)
        if reason is not None:
            yield path, reason
    elif isinstance(value, dict):
        for name, entry in cast(dict[str, Any], value).items():
            reason = unreadable(name)
            if reason is not None:
                yield (*path, name), reason
            yield from _hidden(entry, (*path, name))
    elif isinstance(value, list):
        for index, entry in enumerate(cast(list[Any], value)):
            yield from _hidden(entry, (*path, index))


def _parties(agreement: Agreement) -> Iterator[Contradiction]:
    names: dict[str, int] = {}
    keys: dict[str, int] = {}
    for index, party in enumerate(agreement.parties):
        first = names.setdefault(party.name, index)
        if first != index:
            yield ("parties", index, "name"), f"'{party.name}' is also the name of parties.{first}"
        holder = keys.setdefault(str(party.key), index)
        if holder != index:
            yield ("parties", index, "key"), f"is also the key of parties.{holder}: every party has its own"
        if party.attested is not None and party.role is not PartyRole.mediator:
            yield (
                ("parties", index, "attested"),
                f"party '{party.name}' has the role {party.role}; only a mediator runs in an enclave",
            )
    for role in (PartyRole.provider, PartyRole.ml_party):
        if not agreement.by_role(role):
            yield ("parties",), f"nobody has the role {role}"
    for party, times in Counter(entry.party for entry in agreement.signatures).items():
        if times > 1:
            yield ("signatures",), f"party '{party}' stands here {times} times"


def _data(agreement: Agreement) -> Iterator[Contradiction]:
    roles = {party.name: party.role for party in agreement.parties}
    seen: set[str] = set()
    for index, data in enumerate(agreement.data):
        place = ("data", index, "provider")
        role = roles.get(data.provider)
        if role is None:
            yield place, f"'{data.provider}' is not one of the parties"
        elif role is not PartyRole.provider:
            yield place, f"party '{data.provider}' has the role {role}; only a provider has data"
        if data.provider in seen:
            yield place, f"party '{data.provider}' has a data entry already"
        seen.add(data.provider)
        if data.auditor is not None and roles.get(data.auditor) is not PartyRole.auditor:
            yield (
                ("data", index, "auditor"),
                f"'{data.auditor}' is shown the whole table in an audit, so it has to be a party with the "
                "role auditor",
            )
        if agreement.purpose.legal_basis is LegalBasis.consent and data.consent is None:
            yield (
                ("data", index, "consent"),
                "is missing: the legal basis is consent, say how it was given",
            )
    for index, party in enumerate(agreement.parties):
        if party.role is PartyRole.provider and party.name not in seen:
            yield ("parties", index), f"provider '{party.name}' has no entry under data"
    named = {data.auditor for data in agreement.data}
    for index, party in enumerate(agreement.parties):
        if party.role is PartyRole.auditor and party.name not in named:
            yield (
                ("parties", index),
                f"'{party.name}' has the role auditor, but no data names it (data.PROVIDER.auditor)",
            )


def _architectures(agreement: Agreement) -> Iterator[Contradiction]:
    if not agreement.architectures.names:
        yield ("architectures",), "is empty, so nothing would be allowed: list at least one architecture"


def _budgets(agreement: Agreement) -> Iterator[Contradiction]:
    """No architecture may spend more of an account than the account has."""
    for clause in agreement.architectures:
        if clause.spending_limit is None:
            continue
        epsilon, delta = clause.spending_limit
        place = ("architectures", clause.architecture)
        for index, data in enumerate(agreement.data):
            if data.budget is None:
                yield place, f"spends a budget, but provider '{data.provider}' has none (data.{index}.budget)"
                continue
            asked = {"epsilon": (epsilon, data.budget.epsilon), "delta": (delta, data.budget.delta)}
            for name, (limit, budget) in asked.items():
                if limit > budget:
                    above = f"{limit!r} is above the budget of provider '{data.provider}', {budget!r}"
                    yield (*place, name), f"{above} (data.{index}.budget.{name})"


def _mediated(agreement: Agreement) -> Iterator[Contradiction]:
    mediated, blind = agreement.architectures.mediated_release, agreement.architectures.blind_validation
    for clause in (mediated, blind):
        if clause is not None and not agreement.by_role(PartyRole.mediator):
            yield ("architectures", clause.architecture), "needs a party with the role mediator"
    providers = len(agreement.by_role(PartyRole.provider))
    if mediated is not None and providers < 3:
        yield (
            ("architectures", mediated.architecture),
            f"hides which provider a row came from, which needs at least 3 providers; there are {providers}",
        )
    if mediated is not None:
        yield from _mixed(agreement, mediated, providers)
    if blind is not None and blind.providers_per_record > providers:
        yield (
            ("architectures", blind.architecture, "providers_per_record"),
            f"{blind.providers_per_record} is above the number of providers, {providers}",
        )
    if blind is not None and blind.mode is BlindMode.entrusted:
        for index, data in enumerate(agreement.data):
            if not data.mediator_may_hold:
                yield (
                    ("architectures", blind.architecture, "mode"),
                    f"entrusts the data to the mediator, which provider '{data.provider}' does not allow "
                    f"(data.{index}.mediator_may_hold)",
                )


def _mixed(agreement: Agreement, clause: MediatedReleaseClause, providers: int) -> Iterator[Contradiction]:
    """What a mediated release asks of the number of providers, and its reference of their columns."""
    place = ("architectures", clause.architecture)
    if clause.origin_l is not None and clause.origin_l > providers:
        yield (*place, "origin_l"), f"{clause.origin_l} is above the number of providers, {providers}"
    if clause.reference is None:
        return
    for index, data in enumerate(agreement.data):
        key = data.columns.get(clause.reference.key)
        if key is None or key.role is not Role.identifier:
            yield (
                (*place, "reference", "key"),
                f"'{shown(clause.reference.key)}' is no identifier of provider '{data.provider}' "
                f"(data.{index}.columns)",
            )
        for name in clause.reference.columns:
            if name in data.columns:
                yield (
                    (*place, "reference", "columns", name),
                    f"is also a column of provider '{data.provider}' (data.{index}.columns)",
                )


def _columns(agreement: Agreement) -> Iterator[Contradiction]:
    """What an architecture needs of the columns."""
    allowed = agreement.architectures
    if allowed.plain is not None:
        if agreement.purpose.legal_basis is not LegalBasis.not_personal:
            yield (
                ("architectures", "plain"),
                "is for data that is not personal (purpose.legal_basis: not_personal)",
            )
        for index, data in enumerate(agreement.data):
            # identifiers stay where they are: the provider's program hands none over
            private = data.table_schema.named(Role.quasi_identifier, Role.sensitive)
            if private:
                yield (
                    ("architectures", "plain"),
                    f"hands tables over as they are, but data.{index}.columns.{shown(private[0])} "
                    f"has the role {data.columns[private[0]].role}",
                )
        for position, name in enumerate(allowed.plain.confirmed or ()):
            if all(name not in data.columns for data in agreement.data):
                yield (
                    ("architectures", "plain", "confirmed", position),
                    f"'{shown(name)}' is no column of any provider",
                )
    for clause in (allowed.direct_release, allowed.mediated_release):
        if clause is None or (clause.l is None and clause.t is None):
            continue
        for data in agreement.data:
            if not data.table_schema.named(Role.sensitive, Role.target):
                yield (
                    ("architectures", clause.architecture),
                    f"l and t protect sensitive columns; provider '{data.provider}' has none",
                )
    for clause in (allowed.validation, allowed.blind_validation):
        if clause is not None and all(data.table_schema.target is None for data in agreement.data):
            yield (
                ("architectures", clause.architecture),
                "gives feedback on labels, but no column has the role target",
            )


def _computing(agreement: Agreement) -> Iterator[Contradiction]:
    federated, encrypted = agreement.architectures.federated, agreement.architectures.encrypted
    if federated is not None:
        count = len(agreement.by_role(PartyRole.provider))
        place = ("architectures", "federated")
        if count < 3:
            yield place, f"masks each update among at least 3 providers; there are {count}"
        elif federated.threshold > count:
            yield (*place, "threshold"), f"{federated.threshold} is above the number of providers, {count}"
        elif federated.colluders >= 2 * federated.threshold - count:
            yield (
                (*place, "colluders"),
                f"must stay below 2 * threshold - providers = {2 * federated.threshold - count}",
            )
        elif federated.unsafe_exact and federated.threshold < max(federated.colluders, 1) + 2:
            yield (
                (*place, "threshold"),
                "without differential privacy a sum that opens holds two providers' updates beside those of "
                f"who may take theirs away from it: {max(federated.colluders, 1) + 2} or more",
            )
    if encrypted is not None:
        names = {party.name for party in agreement.parties}
        listed = {"compute": encrypted.compute, "membership_to": encrypted.membership_to or ()}
        for field, given in listed.items():
            for index, name in enumerate(given):
                if name not in names:
                    yield ("architectures", "encrypted", field, index), f"'{name}' is not one of the parties"
