"""Agreements to test with: a small one in the steward's words, and one that allows all it can."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from comity.agreement import Agreement, agreement_from
from comity.crypto.keys import SigningKey

PARTIES = {
    "north": "provider",
    "south": "provider",
    "east": "provider",
    "mediator": "mediator",
    "analyst": "ml_party",
}


@pytest.fixture(scope="session")
def keys() -> dict[str, SigningKey]:
    return {name: SigningKey.generate() for name in (*PARTIES, "stranger")}


def _data(provider: str) -> dict[str, Any]:
    return {
        "provider": provider,
        "lineage": f"adult-{provider}",
        "source": "Census of 1994",
        "licence": "CC BY 4.0",
        "consent": "none needed",
        "mediator_may_hold": True,
        "seed_rows": 20,
        "columns": {
            "person": {"role": "identifier", "type": "text"},
            "age": {
                "role": "quasi_identifier",
                "type": "integer",
                "min": 0,
                "max": 110,
                "hierarchy": "age.csv",
            },
            "country": {"role": "quasi_identifier", "type": "category", "values": ["NO", "SE"]},
            "diagnosis": {"role": "sensitive", "type": "category", "values": ["flu", "asthma"]},
            "income": {"role": "target", "type": "category", "values": ["<=50K", ">50K"]},
        },
        "unit": {"column": "person", "max_rows": 3},
        "budget": {"epsilon": 2.0, "delta": 1e-6, "delta_additive": 5e-7},
    }


CLAUSES: dict[str, dict[str, Any]] = {
    "direct-release": {"k": 5, "suppression": 0.05, "l": 2, "t": 0.3, "retention_days": 365, "attempts": 3},
    "mediated-release": {"k": 5, "suppression": 0.05, "origin_t": 0.1},
    "validation": {"mode": "linked", "epsilon": 1.0, "delta": 1e-6, "minimum_group": 10, "queries": 100},
    "blind-validation": {
        "mode": "linked",
        "epsilon": 1.0,
        "delta": 1e-6,
        "queries": 100,
        "frame": {"rows": 30_000, "sha256": "ab" * 32},
    },
    "federated": {"epsilon": 1.0, "delta": 1e-6, "threshold": 2, "colluders": 0, "rounds": 50},
    "encrypted": {"unsafe_exact": True, "protocol": "aby3", "compute": ["north", "south", "east"]},
    "homomorphic": {"epsilon": 0.5, "delta": 1e-7, "scheme": "ckks", "queries": 10},
    "synthetic": {"epsilon": 1.0, "delta": 1e-6, "method": "aim", "rows": 10_000},
    "clean-room": {"epsilon": 1.0, "delta": 1e-6, "queries": 10},
    "alone": {"unsafe_pilot": True},
    "alone-provider": {"unsafe_pilot": True},
    "pooled": {"unsafe_pilot": True, "retention_days": 0},
}


@pytest.fixture
def full(keys: dict[str, SigningKey]) -> dict[str, Any]:
    """A document with five parties that allows everything but `plain` (its data is personal)."""
    return {
        "comity": 1,
        "title": "Income pilot",
        "parties": [
            {"name": name, "role": role, "key": str(keys[name].verify_key)} for name, role in PARTIES.items()
        ],
        "purpose": {"text": "Predict income,\nand no more.", "legal_basis": "contract"},
        "data": [_data(name) for name, role in PARTIES.items() if role == "provider"],
        "architectures": copy.deepcopy(CLAUSES),
        "expires": "2027-12-31",
        "signatures": [],
    }


@pytest.fixture
def agreement(full: dict[str, Any]) -> Agreement:
    return agreement_from(full)


SignAll = Callable[[Agreement], Agreement]


@pytest.fixture(scope="session")
def sign_all(keys: dict[str, SigningKey]) -> SignAll:
    def sign(agreement: Agreement) -> Agreement:
        for party in agreement.parties:
            agreement = agreement.sign(party.name, keys[party.name])
        return agreement

    return sign


STEWARD_TEXT = """\
comity: 1                       # format version
title: Income pilot
parties:
  - {name: north, role: provider, key: "NORTH"}
  - {name: analyst, role: ml_party, key: "ANALYST"}
purpose: {text: learn what goes with income, legal_basis: contract}
data:
  - provider: north
    lineage: adult-north
    source: census
    licence: CC BY 4.0
    mediator_may_hold: false
    columns:
      age: {role: quasi_identifier, type: integer, min: 0, max: 110, hierarchy: age.csv}
      country: {role: quasi_identifier, type: category, values: ["NO", SE]}
      income: {role: target, type: category, values: ["<=50K", ">50K"]}
    unit: {column: null, max_rows: 1}
    budget: {epsilon: 1.0, delta: 1e-6, delta_additive: 5e-7}
architectures:
  direct-release: {k: 5, suppression: 0.05, l: null, t: null, retention_days: 365, attempts: 3}
  validation: {mode: linked, epsilon: 1.0, delta: 1e-6, minimum_group: 10, queries: 100, retention_days: 365}
  pooled: {unsafe_pilot: true}
expires: 2027-12-31
"""


@pytest.fixture(scope="session")
def steward_text(keys: dict[str, SigningKey]) -> str:
    """What a steward writes by hand."""
    text = STEWARD_TEXT.replace("NORTH", str(keys["north"].verify_key))
    return text.replace("ANALYST", str(keys["analyst"].verify_key))
