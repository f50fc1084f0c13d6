"""The Agreement itself: read, frozen, compared, asked."""

from __future__ import annotations

import copy
import random
import types
from typing import Any, get_args

import pytest
from pydantic import BaseModel, ValidationError

import comity.agreement as package
from comity.agreement import (
    ARCHITECTURES,
    Agreement,
    PartyRole,
    ValidationClause,
    agreement_from,
    parse_agreement,
)
from comity.agreement.term import Term
from comity.crypto.keys import VerifyKey
from comity.errors import BadAgreement, ClauseRefused
from comity.schema import Column, Unit


def test_a_stewards_text_is_read(steward_text: str) -> None:
    agreement = parse_agreement(steward_text, where="pilot.yaml")
    assert agreement.title == "Income pilot"
    assert [party.name for party in agreement.by_role("provider")] == ["north"]
    assert agreement.by_role(PartyRole.ml_party)[0].name == "analyst"
    assert agreement.by_role("mediator") == ()
    assert isinstance(agreement.party("north").key, VerifyKey)
    data = agreement.data_of("north")
    assert data.columns["country"].values == ("NO", "SE")
    assert data.table_schema.target == "income"
    assert data.budget is not None
    assert (data.budget.epsilon, data.budget.delta, data.budget.delta_additive) == (1.0, 1e-6, 5e-7)
    assert agreement.architectures.names == ("direct-release", "validation", "pooled")
    assert agreement.clause("direct-release") is agreement.architectures.direct_release


def test_every_architecture_of_the_design_has_a_clause() -> None:
    assert set(ARCHITECTURES) == {
        "plain",
        "direct-release",
        "mediated-release",
        "validation",
        "blind-validation",
        "federated",
        "encrypted",
        "homomorphic",
        "synthetic",
        "clean-room",
        "alone",
        "alone-provider",
        "pooled",
    }


def test_a_clause_by_name_and_by_class(agreement: Agreement) -> None:
    assert agreement.clause(ValidationClause).minimum_group == 10
    assert agreement.clause("validation") == agreement.clause(ValidationClause)
    for name in ARCHITECTURES:
        if name != "plain":
            assert agreement.clause(name).architecture == name


def test_what_is_not_listed_is_refused_with_what_is(steward_text: str) -> None:
    agreement = parse_agreement(steward_text, where="a")
    for asked in ("synthetic", "no-such-thing"):
        with pytest.raises(ClauseRefused) as caught:
            agreement.clause(asked)
        assert caught.value.clause == f"architectures.{asked}"
        assert caught.value.would_pass == "direct-release, validation, pooled"
    with pytest.raises(ClauseRefused) as caught:
        agreement.clause("\x1b[2J" + "x" * 1000)
    assert "\x1b" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_strangers_have_no_part_and_no_data(agreement: Agreement) -> None:
    with pytest.raises(
        ClauseRefused, match="clause parties; would pass: north, south, east, mediator, analyst"
    ):
        agreement.party("stranger")
    with pytest.raises(ClauseRefused, match="clause data; would pass: north, south, east"):
        agreement.data_of("analyst")


def test_the_digest_is_the_sha256_of_the_canonical_body(agreement: Agreement) -> None:
    import hashlib

    assert agreement.digest == hashlib.sha256(agreement.body_bytes()).hexdigest()
    assert b"signatures" not in agreement.body_bytes()
    assert agreement.signed_bytes() == b"comity agreement\x00" + agreement.body_bytes()


def test_the_digest_of_a_fixed_agreement_never_changes(steward_text: str, keys: dict[str, Any]) -> None:
    """Agreements outlive versions of comity: this text has had this name since format 1."""
    text = steward_text.replace(str(keys["north"].verify_key), "ed25519:" + "B" * 42 + "A")
    text = text.replace(str(keys["analyst"].verify_key), "ed25519:" + "C" * 42 + "A")
    digest = parse_agreement(text, where="a").digest
    assert digest == "7a5a879fb462a5f9fc09cb53c834f7ef5bb5cfc47e52c097fce9d285c2cec981"


def test_order_layout_and_comments_do_not_count(full: dict[str, Any], steward_text: str) -> None:
    agreement = parse_agreement(steward_text, where="a")
    assert parse_agreement(steward_text.replace("# format version", "# one"), where="b") == agreement
    shuffled = _shuffled(full, random.Random(1))
    one, other = agreement_from(full), agreement_from(shuffled)
    assert one == other
    assert hash(one) == hash(other)
    assert one.body_bytes() == other.body_bytes()
    assert list(one.data[0].columns) == list(other.data[0].columns) == sorted(full["data"][0]["columns"])


def _shuffled(value: Any, order: random.Random) -> Any:
    if isinstance(value, dict):
        names = list(value)
        order.shuffle(names)
        return {name: _shuffled(value[name], order) for name in names}
    return [_shuffled(entry, order) for entry in value] if isinstance(value, list) else value


def test_absent_and_null_are_one_meaning(steward_text: str) -> None:
    without = steward_text.replace(", l: null, t: null", "").replace("column: null, ", "")
    assert without != steward_text
    assert parse_agreement(without, where="a").digest == parse_agreement(steward_text, where="b").digest


def test_defaults_are_written_into_what_is_signed(full: dict[str, Any]) -> None:
    del full["architectures"]["direct-release"]["attempts"]
    assert b'"attempts":3' in agreement_from(full).body_bytes()


def _models() -> list[type[BaseModel]]:
    found: list[type[BaseModel]] = [Unit, Column]
    pending: list[type[Term]] = [Term]
    while pending:
        model = pending.pop()
        pending.extend(model.__subclasses__())
        found.append(model)
    return found


@pytest.mark.parametrize("model", _models(), ids=lambda model: model.__name__)
def test_every_part_is_frozen_closed_and_injective(model: type[BaseModel]) -> None:
    """A nullable field with another default than null would make two meanings sign as one."""
    assert model.model_config.get("frozen") is True
    assert model.model_config.get("extra") == "forbid"
    for name, field in model.model_fields.items():
        if type(None) in get_args(field.annotation):
            assert field.default is None, f"{model.__name__}.{name} may be null but has another default"


def test_nothing_can_be_changed(agreement: Agreement) -> None:
    with pytest.raises(ValidationError):
        agreement.title = "another"  # type: ignore[misc]
    with pytest.raises(ValidationError):
        agreement.data[0].budget.epsilon = 9.0  # type: ignore[misc, union-attr]
    assert isinstance(agreement.data[0].columns, types.MappingProxyType)
    with pytest.raises(TypeError):
        agreement.data[0].columns["x"] = agreement.data[0].columns["age"]  # type: ignore[index]
    assert isinstance(agreement.parties, tuple)


def test_copies_are_the_same_value(agreement: Agreement) -> None:
    assert copy.deepcopy(agreement) == agreement
    assert copy.copy(agreement) == agreement
    assert len({agreement, copy.copy(agreement)}) == 1


def test_construction_from_values_names_faults_without_lines(full: dict[str, Any]) -> None:
    full["data"][1]["colour"] = "red"
    with pytest.raises(
        BadAgreement, match=r"^the plan is not a usable agreement: data\.1\.colour: unknown key; kn"
    ):
        agreement_from(full, where="the plan")
    with pytest.raises(BadAgreement, match="must be a mapping"):
        agreement_from([])  # type: ignore[arg-type]
    with pytest.raises(BadAgreement, match="canonical"):
        agreement_from({"comity": float("nan")})
    with pytest.raises(BadAgreement, match="canonical"):
        agreement_from({"expires": object()})


def test_direct_construction_is_checked_too(agreement: Agreement) -> None:
    fields = dict(agreement)
    with pytest.raises(ValidationError, match="nobody has the role ml_party"):
        Agreement(**{**fields, "parties": agreement.parties[:-1]})
    with pytest.raises(ValidationError, match="YYYY-MM-DD"):
        Agreement(**{**fields, "expires": 1_800_000_000})


def test_bounds_that_json_cannot_hold_are_refused(agreement: Agreement) -> None:
    with pytest.raises(ValidationError):
        Column(role="target", type="number", min=float("nan"))  # type: ignore[arg-type]


def test_the_package_lists_what_it_exports() -> None:
    for name in package.__all__:
        assert getattr(package, name) is not None
