"""`comity agree show` leaves nothing out: whatever differs in what is signed differs in what it prints."""

from __future__ import annotations

import copy
import types
import typing
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

import pytest
from pydantic import BaseModel

from comity.agreement import Agreement, agreement_from, standing
from comity.cli.agree_words import describe, told
from comity.crypto.keys import SigningKey
from comity.errors import BadAgreement

ROLES = {
    "north": "provider",
    "south": "provider",
    "east": "provider",
    "hub": "mediator",
    "analyst": "ml_party",
    "court": "auditor",
    "bench": "auditor",
}
KEYS = {name: str(SigningKey.generate().verify_key) for name in (*ROLES, "other")}
DP = {"epsilon": 1.0, "delta": 1e-6}
FRAME = {"rows": 30_000, "sha256": "ab" * 32}
K = {"k": 5, "suppression": 0.05, "l": 2, "t": 0.3, "attempts": 3}

COLUMNS: dict[str, Any] = {
    "person": {"role": "identifier", "type": "text"},
    "card": {"role": "identifier", "type": "text"},
    "age": {"role": "quasi_identifier", "type": "integer", "min": 0, "max": 110, "hierarchy": "age.csv"},
    "height": {
        "role": "quasi_identifier",
        "type": "number",
        "min": 10.0,
        "max": 250.5,
        "hierarchy": {
            "intervals": {"widths": [5.0, 10.0], "cuts": [1.0], "levels": 3, "bottom": 10.0, "top": 250.0}
        },
    },
    "seen": {
        "role": "quasi_identifier",
        "type": "category",
        "values": ["2020-01-01", "2021-01-01"],
        "hierarchy": {
            "dates": {"first": 2020, "last": 2025, "levels": ["year", "decade"], "day_first": True}
        },
    },
    "home": {
        "role": "quasi_identifier",
        "type": "category",
        "values": ["8000", "9000"],
        "hierarchy": {"postcodes": {"country": "ch"}},
    },
    "code": {
        "role": "quasi_identifier",
        "type": "category",
        "values": [f"c{number}" for number in range(40)],
        "hierarchy": {"prefix": {"steps": 2}},
    },
    "rank": {
        "role": "quasi_identifier",
        "type": "category",
        "values": ["low", "high"],
        "hierarchy": {"ordered": {}},
    },
    "diagnosis": {"role": "sensitive", "type": "category", "values": ["flu", "asthma"]},
    "income": {"role": "target", "type": "category", "values": ["<=50K", ">50K"]},
}


FEW = ("person", "card", "age", "diagnosis", "income")


def data(provider: str) -> dict[str, Any]:
    return {
        "provider": provider,
        "lineage": f"adult-{provider}",
        "source": "Census",
        "licence": "CC BY 4.0",
        "consent": "none needed",
        "mediator_may_hold": True,
        "seed_rows": 20,
        "columns": {name: COLUMNS[name] for name in (COLUMNS if provider == "north" else FEW)},
        "unit": {"column": "person", "max_rows": 3},
        "budget": {"epsilon": 2.0, "delta": 1e-5, "delta_additive": 5e-6},
        "retention": {"after_withdrawal_days": 30, "models": "keep"},
        "auditor": "bench" if provider == "south" else "court",
    }


def document(**clauses: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "comity": 1,
        "title": "Pilot",
        "parties": [
            {
                "name": name,
                "role": role,
                "key": KEYS[name],
                **({"attested": {"measurement": "12" * 32}} if role == "mediator" else {}),
            }
            for name, role in ROLES.items()
        ],
        "purpose": {"text": "Predict income", "legal_basis": "contract"},
        "data": [data(name) for name, role in ROLES.items() if role == "provider"],
        "architectures": {
            name.replace("_", "-"): {"retention_days": 100, **clause} for name, clause in clauses.items()
        },
        "expires": "2027-12-31",
        "replaces": "34" * 32,
    }


DOCUMENTS = [
    document(
        direct_release=K,
        mediated_release={
            **K,
            "origin_t": 0.1,
            "origin_l": 2,
            "linked_by": "mediator",
            "reference": {
                "key": "person",
                "columns": {"region": {"role": "quasi_identifier", "type": "integer", "min": 0, "max": 9}},
            },
        },
        validation={**DP, "mode": "linked", "minimum_group": 10, "queries": 100, "frame": FRAME},
        blind_validation={
            **DP,
            "mode": "linked",
            "queries": 100,
            "groups_per_record": 2,
            "providers_per_record": 2,
            "minimum_group": 10,
            "frame": FRAME,
        },
        federated={
            **DP,
            "threshold": 3,
            "colluders": 0,
            "rounds": 50,
            "unit": "party",
            "model": "network",
            "strategy": "fedprox",
            "proximal": 0.5,
        },
        encrypted={
            "unsafe_exact": True,
            "protocol": "aby3",
            "compute": ["north", "south", "east"],
            "model": "linear",
            "opens": "predictions",
            "membership_to": ["north", "south"],
        },
        homomorphic={**DP, "scheme": "ckks", "queries": 10, "flooding_bits": 50, "score_error": 0.5},
        synthetic={**DP, "method": "aim", "rows": 10_000},
        clean_room={**DP, "unsafe_exact": True, "queries": 10, "programs": ["cd" * 32]},
        alone={"unsafe_pilot": True},
        alone_provider={"unsafe_pilot": True},
        pooled={"unsafe_pilot": True, "retention_days": 1},
    ),
    document(
        clean_room={
            **DP,
            "unsafe_exact": True,
            "queries": 10,
            "minimum_cell": 10,
            "dominance": {"largest": 2, "share": 0.75},
            "membership": 0.25,
        },
        blind_validation={
            **DP,
            "mode": "linked",
            "queries": 100,
            "frame": FRAME,
            "groupings": "encrypted",
            "unsafe_unseen_groups": True,
        },
        encrypted={**DP, "attempts": 2, "protocol": "aby3", "compute": ["north", "south", "east"]},
        homomorphic={"unsafe_exact": True, "attempts": 2, "scheme": "bfv", "queries": 10},
        federated={"unsafe_exact": True, "attempts": 2, "threshold": 3},
    ),
]

GROUPS = (
    ("identifier", "insensitive", "sensitive", "quasi_identifier"),
    ("target", "insensitive"),
    ("integer", "number"),
    ("text", "category"),
    ("linked", "hosted", "entrusted"),
    ("open", "encrypted"),
    ("record", "party"),
    ("logistic", "network"),
    ("bfv", "ckks"),
    ("aim", "mst"),
    ("keep", "delete"),
    ("year", "month"),
    ("contract", "public_task"),
    ("provider", "auditor", "mediator", "ml_party"),
    ("ch", "de"),
    ("2027-12-31", "2027-12-30"),
    tuple(byte * 32 for byte in ("ab", "12", "34", "cd")),
    tuple(KEYS.values())[::-1],
    ("court", "bench"),
    ("person", "card"),
    ("hub", "north", "south", "east", "analyst"),
)

# what is fixed by the format or cannot be changed by itself; each with what stands for it in what is printed
ALONE: dict[tuple[str, str], str] = {
    ("Agreement", "comity"): "one format is read, and another one refused",
    ("Signature", "party"): "told as signed or not for each party; `standing` checks them",
    ("Signature", "signature"): "likewise",
    ("Party", "role"): "goes with the data and architectures that need it",
    ("DataTerms", "provider"): "is one of the parties, whose names are changed",
    ("ValidationClause", "mode"): "goes with minimum_group; both are changed in the test below",
    ("BlindValidationClause", "groupings"): "goes with unsafe_unseen_groups; the documents have both kinds",
    ("PlainClause", "retention_days"): "not beside personal data; in the test below",
    ("PlainClause", "not_sensitive"): "likewise",
    ("PlainClause", "not_personal"): "likewise",
    ("PlainClause", "confirmed"): "likewise",
    ("BlindValidationClause", "unsafe_unseen_groups"): "goes with groupings",
    ("AloneClause", "unsafe_pilot"): "always true",
    ("AloneProviderClause", "unsafe_pilot"): "always true",
    ("PooledClause", "unsafe_pilot"): "always true",
    ("EncryptedClause", "unsafe_exact"): "goes with epsilon, which is taken out in the test below",
    ("HomomorphicClause", "unsafe_exact"): "likewise",
    ("FederatedClause", "unsafe_exact"): "likewise",
    ("FederatedClause", "strategy"): "goes with proximal, which is changed",
    ("FederatedClause", "unit"): "goes with model and strategy, which are changed",
    ("EncryptedClause", "protocol"): "goes with the number of compute; both are changed in the test below",
}


def printed(agreement: Agreement) -> str:
    """What `show` prints, but for the digest, which differs wherever anything does."""
    stands = standing(agreement, (), (), date(2026, 1, 1))
    text = "\n".join(told(describe(agreement, stands), on=date(2026, 1, 1)))
    return text.replace(agreement.digest[:12], "DIGEST")


def at(value: Any, path: tuple[Any, ...]) -> Any:
    for step in path:
        value = value[step]
    return value


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place of a document that holds something, mappings and lists among them."""
    if path:
        yield path
    if isinstance(value, dict):
        for name, entry in value.items():
            yield from leaves(entry, (*path, name))
    elif isinstance(value, list):
        for index, entry in enumerate(value):
            yield from leaves(entry, (*path, index))


def others(value: Any) -> list[Any]:
    """Values that may stand in place of one; which of them may, the agreement's checks decide."""
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int):
        return [value + 1, value - 1]
    if isinstance(value, float):
        return [value * 0.9999999, value * 1.0000001]
    if not isinstance(value, str):
        return []
    group = next((group for group in GROUPS if value in group), ())
    return [word for word in (*group, f"{value}x") if word != value]


def changed_at(base: dict[str, Any], path: tuple[Any, ...]) -> Iterator[Agreement]:
    """Sound agreements that differ from a document at one place and nowhere else, and one without it."""
    *before, last = path
    for other in others(at(base, path)):
        document = copy.deepcopy(base)
        at(document, tuple(before))[last] = other
        try:
            yield agreement_from(document)
            break
        except BadAgreement:
            continue
    document = copy.deepcopy(base)
    del at(document, tuple(before))[last]
    try:
        yield agreement_from(document)
    except BadAgreement:
        return


def terms(model: type[BaseModel] = Agreement) -> Iterator[tuple[type[BaseModel], str]]:
    """Every field of every part that an agreement is made of."""
    for name, field in model.model_fields.items():
        yield model, name
        for inner in parts(field.annotation):
            yield from terms(inner)


def parts(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    elif isinstance(annotation, types.UnionType) or typing.get_origin(annotation) is not None:
        for each in typing.get_args(annotation):
            yield from parts(each)


def field_of(path: tuple[Any, ...]) -> tuple[str, str]:
    """The part and the field that a place in a document is of."""
    model: Any = Agreement
    found = ("", "")
    for step in path:
        if not (isinstance(model, type) and issubclass(model, BaseModel)):
            inner = list(parts(model))
            if not inner:
                return found
            if isinstance(step, int) or step not in {n for m in inner for n in names(m)}:
                continue
            model = next(each for each in inner if step in names(each))
        field = names(model).get(step)
        if field is None:
            return found
        found = (model.__name__, field)
        model = model.model_fields[field].annotation
        inner = list(parts(model))
        if len(inner) == 1 and typing.get_origin(model) in (types.UnionType, typing.Union):
            model = inner[0]
    return found


def names(model: type[BaseModel]) -> dict[str, str]:
    return {field.alias or name: name for name, field in model.model_fields.items()}


@pytest.fixture(scope="module")
def told_of() -> dict[tuple[str, str], list[tuple[tuple[Any, ...], bool]]]:
    """By field: the places at which it was changed, and whether what is printed changed with it."""
    found: dict[tuple[str, str], list[tuple[tuple[Any, ...], bool]]] = {}
    for base in DOCUMENTS:
        agreement = agreement_from(base)
        before = printed(agreement)
        for path in leaves(base):
            if base is not DOCUMENTS[0] and path[0] != "architectures":
                continue  # told by the first one
            if path[0] == "data" and len(path) > 1 and path[1] != 0:
                continue  # one provider's entry stands for the others
            if len(path) > 5 and isinstance(path[-1], int) and path[-1] > 0:
                continue  # and one value for those beside it
            for other in changed_at(base, path):
                if other.digest == agreement.digest:
                    continue
                found.setdefault(field_of(path), []).append((path, printed(other) != before))
    return found


def test_whatever_is_changed_changes_what_show_prints(told_of: dict[Any, Any]) -> None:
    silent = [path for places in told_of.values() for path, changes in places if not changes]
    assert not silent


def test_every_field_of_an_agreement_is_changed_here(told_of: dict[Any, Any]) -> None:
    """A new field fails here until a document above holds it."""
    wanted = {
        (model.__name__, name)
        for model, name in terms()
        if not any(parts(model.model_fields[name].annotation))  # those are changed by what is in them
    }
    assert wanted - set(told_of) == set(ALONE)


def test_what_is_changed_together() -> None:
    first, second = (agreement_from(each) for each in DOCUMENTS)
    said = " ".join(printed(first).split())
    assert "protocol aby3; computed by north, south, east" in said
    assert "without differential privacy (unsafe_exact)" in said
    between_two = copy.deepcopy(DOCUMENTS[0])
    between_two["architectures"]["encrypted"] |= {"protocol": "cheetah", "compute": ["north", "south"]}
    assert "protocol cheetah" in printed(agreement_from(between_two))
    assert "groups open to the mediator" in said
    assert "groups encrypted to the mediator" in " ".join(printed(second).split())
    hosted = copy.deepcopy(DOCUMENTS[0])
    hosted["architectures"]["validation"]["mode"] = "hosted"
    del hosted["architectures"]["validation"]["minimum_group"]
    assert "mode hosted" in printed(agreement_from(hosted))
    for base in DOCUMENTS:
        for name, clause in base["architectures"].items():
            if "unsafe_exact" in clause:
                document = copy.deepcopy(base)
                document["architectures"][name] |= {**DP, "unsafe_exact": False}
                if name == "encrypted":  # neither goes with noise
                    del document["architectures"][name]["model"]
                    del document["architectures"][name]["membership_to"]
                assert printed(agreement_from(document)) != printed(agreement_from(base))


def test_a_plain_clause_is_told() -> None:
    base = document(plain={"retention_days": 5})
    base["purpose"]["legal_basis"] = "not_personal"
    for each in base["data"]:
        each["columns"] = {"size": {"role": "insensitive", "type": "integer", "min": 0, "max": 9}}
        del each["unit"]
    said = printed(agreement_from(base))
    assert "Allowed: plain" in said
    assert "for 5 days" in said
    for field, words in (
        ("not_sensitive", "no row is sensitive to a provider"),
        ("not_personal", "no row is about a person"),
        ("confirmed", "looked at, and about no person: size"),
    ):
        base["architectures"]["plain"] = {field: ["size"] if field == "confirmed" else True}
        assert words in printed(agreement_from(base))


def test_a_signature_is_told() -> None:
    key = SigningKey.generate()
    base = copy.deepcopy(DOCUMENTS[1])
    base["parties"][0]["key"] = str(key.verify_key)
    agreement = agreement_from(base)
    assert printed(agreement.sign("north", key)) != printed(agreement)


def test_attested_and_origin_are_told_in_words() -> None:
    said = " ".join(printed(agreement_from(DOCUMENTS[0])).split())
    assert f"has to prove before every session that it runs the enclave {'12' * 32}" in said
    assert "the mix of providers in a group within 0.1 of the whole table's" in said
    assert "'court' is shown the whole table, with identifiers" in said


def test_two_releases_of_one_lineage_are_cautioned_against() -> None:
    said = " ".join(printed(agreement_from(DOCUMENTS[0])).split())
    assert "whichever comes second is refused" in said
    assert "To think about" not in printed(agreement_from(DOCUMENTS[1]))
