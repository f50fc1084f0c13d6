"""Each architecture's clause: what it can say, and what it may not."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from comity.agreement import (
    Agreement,
    BlindValidationClause,
    DirectReleaseClause,
    EncryptedClause,
    FederatedClause,
    PooledClause,
    Protocol,
    ValidationClause,
    ValidationMode,
    agreement_from,
)
from comity.errors import BadAgreement


def test_every_clause_can_be_written(agreement: Agreement) -> None:
    assert len(agreement.architectures.names) == 12
    assert agreement.clause(DirectReleaseClause).k == 5
    assert agreement.clause(DirectReleaseClause).l == 2
    assert agreement.clause(ValidationClause).mode is ValidationMode.linked
    assert agreement.clause(EncryptedClause).protocol is Protocol.aby3
    assert agreement.clause(PooledClause).retention_days == 0


def test_what_a_clause_may_spend(agreement: Agreement) -> None:
    limits = {clause.architecture: clause.spending_limit for clause in agreement.architectures}
    assert limits["validation"] == (1.0, 1e-6)
    assert limits["homomorphic"] == (0.5, 1e-7)
    assert limits["encrypted"] is None
    assert limits["direct-release"] is None
    assert limits["pooled"] is None


def test_plain_is_for_data_that_is_neither_sensitive_nor_personal(full: dict[str, Any]) -> None:
    full["purpose"]["legal_basis"] = "not_personal"
    for data in full["data"]:
        data["columns"] = {
            "load": {"role": "insensitive", "type": "number"},
            "peak": {"role": "target", "type": "text"},
        }
        data["unit"] = {}
    full["architectures"] = {"plain": {}}
    assert agreement_from(full).clause("plain").retention_days == 365


_LINKED = {"mode": "linked", "epsilon": 1.0, "delta": 1e-6, "minimum_group": 10, "queries": 100}
_BLIND = {
    "mode": "linked",
    "epsilon": 1.0,
    "delta": 1e-6,
    "queries": 1,
    "frame": {"rows": 9, "sha256": "0" * 64},
}
_UNSEEN = {**_BLIND, "groupings": "encrypted", "unsafe_unseen_groups": True}
_FEDERATED = {"epsilon": 1.0, "delta": 1e-6, "threshold": 2}
_EXACT = {"unsafe_exact": True}
_MIXED = {"k": 5, "suppression": 0, "origin_t": 0.1}
_INSENSITIVE = {"role": "insensitive", "type": "integer", "min": 0, "max": 9}


@pytest.mark.parametrize(
    ("architecture", "clause", "says"),
    [
        ("direct-release", {"suppression": 0.05}, "direct-release.k: is missing"),
        (
            "direct-release",
            {"k": 1, "suppression": 0.05},
            "direct-release.k: must be greater than or equal to 2",
        ),
        ("direct-release", {"k": 2.5, "suppression": 0.05}, "direct-release.k"),
        ("direct-release", {"k": 5, "suppression": 1.01}, "suppression"),
        ("direct-release", {"k": 5, "suppression": -0.1}, "suppression"),
        ("direct-release", {"k": 5, "suppression": 0, "l": 1}, "direct-release.l"),
        ("direct-release", {"k": 5, "suppression": 0, "t": 0}, "direct-release.t"),
        ("direct-release", {"k": 5, "suppression": 0, "t": 1.5}, "direct-release.t"),
        ("direct-release", {"k": 5, "suppression": 0, "attempts": 4}, "direct-release.attempts"),
        ("direct-release", {"k": 5, "suppression": 0, "attempts": 0}, "direct-release.attempts"),
        ("direct-release", {"k": 5, "suppression": 0, "retention_days": -1}, "retention_days"),
        ("mediated-release", {"k": 5, "suppression": 0}, "mediated-release.origin_t: is missing"),
        ("mediated-release", {**_MIXED, "origin_t": 1.5}, "mediated-release.origin_t"),
        ("mediated-release", {**_MIXED, "origin_l": 1}, "mediated-release.origin_l"),
        ("mediated-release", {**_MIXED, "linked_by": "ml_party"}, "linked_by: must be 'mediator'"),
        ("mediated-release", {**_MIXED, "reference": {"key": "vat", "columns": {}}}, "reference.columns"),
        (
            "mediated-release",
            {**_MIXED, "reference": {"key": "vat", "columns": {"size": _INSENSITIVE}}},
            "would lead back to the key",
        ),
        ("validation", {**_LINKED, "mode": "blind"}, "validation.mode: must be 'linked' or 'hosted'"),
        ("validation", {**_LINKED, "minimum_group": None}, "linked mode needs a smallest group"),
        ("validation", {**_LINKED, "mode": "hosted"}, "a refusal by size would leak in hosted mode"),
        ("validation", {**_LINKED, "epsilon": 0}, "validation.epsilon"),
        ("validation", {**_LINKED, "epsilon": True}, "validation.epsilon"),
        ("validation", {**_LINKED, "epsilon": None}, "validation.epsilon"),
        ("validation", {**_LINKED, "delta": 1.0}, "validation.delta"),
        ("validation", {**_LINKED, "queries": 0}, "validation.queries"),
        ("blind-validation", {**_BLIND, "frame": None}, "frame is missing"),
        ("blind-validation", {**_BLIND, "frame": {"rows": 1, "sha256": "AB" * 32}}, "frame.sha256"),
        ("blind-validation", {**_BLIND, "providers_per_record": 0}, "providers_per_record"),
        ("blind-validation", {**_BLIND, "groupings": "hidden"}, "must be 'open' or 'encrypted'"),
        ("blind-validation", {**_BLIND, "groupings": "encrypted"}, "nobody can check encrypted groups"),
        ("blind-validation", {**_BLIND, "unsafe_unseen_groups": True}, "nobody can check encrypted groups"),
        ("blind-validation", {**_UNSEEN, "mode": "entrusted"}, "encrypted ones go with mode linked"),
        ("blind-validation", {**_UNSEEN, "minimum_group": 10}, "nobody sees how large encrypted groups are"),
        ("blind-validation", {**_UNSEEN, "groups_per_record": 2}, "nobody can count encrypted groups"),
        ("federated", {**_FEDERATED, "epsilon": None}, "epsilon and delta come together"),
        ("federated", {"threshold": 2}, "or 'unsafe_exact: true'"),
        ("federated", {**_FEDERATED, **_EXACT}, "set epsilon and delta, or"),
        ("federated", {**_FEDERATED, "threshold": 1}, "federated.threshold"),
        ("encrypted", {**_EXACT, "protocol": "semi2k", "compute": []}, "encrypted.protocol"),
        (
            "encrypted",
            {**_EXACT, "protocol": "aby3", "compute": ["north", "south"]},
            "between 3 different parties",
        ),
        (
            "encrypted",
            {**_EXACT, "protocol": "cheetah", "compute": ["north", "north"]},
            "between 2 different parties",
        ),
        ("homomorphic", {**_EXACT, "scheme": "ckks", "queries": 1, "flooding_bits": 39}, "flooding_bits"),
        ("synthetic", {"epsilon": 1.0, "delta": 1e-6, "rows": 0}, "synthetic.rows"),
        ("clean-room", {"queries": 1}, "clean-room.epsilon: is missing"),
        ("alone", {}, "alone.unsafe_pilot: is missing"),
        ("alone-provider", {"unsafe_pilot": False}, "a baseline hands raw rows over"),
    ],
)
def test_limits_out_of_range(
    full: dict[str, Any], architecture: str, clause: dict[str, Any], says: str
) -> None:
    full["architectures"] = {architecture: clause}
    with pytest.raises(BadAgreement) as caught:
        agreement_from(full)
    assert f"architectures.{architecture}" in str(caught.value)
    assert says in str(caught.value)


def test_modes_that_need_other_limits(full: dict[str, Any]) -> None:
    hosted = {key: value for key, value in _LINKED.items() if key != "minimum_group"} | {"mode": "hosted"}
    entrusted = {**_BLIND, "mode": "entrusted", "frame": None}
    full["architectures"] = {"validation": hosted, "blind-validation": entrusted}
    agreement = agreement_from(full)
    assert agreement.clause(ValidationClause).minimum_group is None
    assert agreement.clause("blind-validation").spending_limit == (1.0, 1e-6)


def test_encrypted_groupings_and_records_at_several_providers(full: dict[str, Any]) -> None:
    full["architectures"] = {"blind-validation": {**_UNSEEN, "providers_per_record": 2}}
    clause = agreement_from(full).clause(BlindValidationClause)
    assert (clause.groupings, clause.unsafe_unseen_groups, clause.providers_per_record) == (
        "encrypted", True, 2,
    )  # fmt: skip
    full["architectures"] = {"blind-validation": _BLIND}
    plain = agreement_from(full).clause(BlindValidationClause)
    assert (plain.groupings, plain.unsafe_unseen_groups, plain.providers_per_record) == ("open", False, 1)


def test_danger_has_to_be_named() -> None:
    assert FederatedClause(unsafe_exact=True, threshold=2).spending_limit is None
    with pytest.raises(ValidationError):
        FederatedClause(threshold=2)
    with pytest.raises(ValidationError):
        PooledClause(unsafe_pilot=False)


CELLS = {"minimum_cell": 10, "dominance": {"largest": 2, "share": 0.8}}


@pytest.mark.parametrize(
    ("clause", "says"),
    [
        ({"queries": 1, "epsilon": 1.0}, "delta: is missing"),
        ({"queries": 1, **CELLS, "epsilon": 1.0, "delta": 1e-6}, "minimum_cell: a table or a model"),
        ({"queries": 1, "unsafe_exact": True, "dominance": CELLS["dominance"]}, "goes with a minimum_cell"),
        ({"queries": 1, "unsafe_exact": True, "minimum_cell": 1}, "minimum_cell"),
        ({"queries": 1, "unsafe_exact": True, "membership": 1.5}, "membership"),
        ({"queries": 1, "unsafe_exact": True, "programs": ["short"]}, "programs"),
    ],
)
def test_a_clean_room_says_what_may_leave_of_it(
    full: dict[str, Any], clause: dict[str, Any], says: str
) -> None:
    full["architectures"] = {"clean-room": clause}
    with pytest.raises(BadAgreement, match=says):
        agreement_from(full)


def test_a_clean_room_without_differential_privacy_has_no_spending_limit(full: dict[str, Any]) -> None:
    full["architectures"] = {"clean-room": {"queries": 1, "unsafe_exact": True, **CELLS, "membership": 0.2}}
    clause = agreement_from(full).clause("clean-room")
    assert clause.spending_limit is None
    full["architectures"] = {"clean-room": {"queries": 1, "epsilon": 0.5, "delta": 1e-7}}
    written = agreement_from(full).clause("clean-room")
    assert written.spending_limit == (0.5, 1e-7)
    assert set(written.to_dict()) == {"retention_days", "queries", "epsilon", "delta"}
