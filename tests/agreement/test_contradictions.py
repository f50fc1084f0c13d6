"""An agreement that contradicts itself cannot be read, and says where."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from comity.agreement import agreement_from, cautions
from comity.errors import BadAgreement

Document = dict[str, Any]


def _rename(document: Document) -> None:
    document["parties"][1]["name"] = "north"


def _same_key(document: Document) -> None:
    document["parties"][1]["key"] = document["parties"][0]["key"]


def _role(index: int, role: str) -> Callable[[Document], None]:
    def change(document: Document) -> None:
        document["parties"][index]["role"] = role

    return change


def _without_data(document: Document) -> None:
    document["data"].pop()


def _data_twice(document: Document) -> None:
    document["data"].append(document["data"][0])


def _data_of(provider: str) -> Callable[[Document], None]:
    def change(document: Document) -> None:
        document["data"][2]["provider"] = provider

    return change


def _clause(name: str, **limits: Any) -> Callable[[Document], None]:
    def change(document: Document) -> None:
        document["architectures"].setdefault(name, {}).update(limits)

    return change


def _reference(key: str, *, name: str = "sector") -> Callable[[Document], None]:
    column = {"role": "quasi_identifier", "type": "category", "values": ["farm", "shop"]}
    return _clause("mediated-release", reference={"key": key, "columns": {name: column}})


def _without_budget(document: Document) -> None:
    del document["data"][1]["budget"]


def _without_mediator(document: Document) -> None:
    document["parties"].pop(3)


def _without_east(document: Document) -> None:
    document["parties"].pop(2)
    document["data"].pop(2)
    document["architectures"]["encrypted"].update(protocol="cheetah", compute=["north", "south"])


def _may_not_hold(document: Document) -> None:
    document["data"][1]["mediator_may_hold"] = False
    document["architectures"]["blind-validation"]["mode"] = "entrusted"


def _no_consent(document: Document) -> None:
    document["purpose"]["legal_basis"] = "consent"
    del document["data"][2]["consent"]


def _nothing_allowed(document: Document) -> None:
    document["architectures"] = {}


def _columns_as(role: str) -> Callable[[Document], None]:
    def change(document: Document) -> None:
        for data in document["data"]:
            for column in data["columns"].values():
                if column["role"] in ("target", "sensitive"):
                    column["role"] = role

    return change


def _plain_of_persons(document: Document) -> None:
    document["architectures"]["plain"] = {}


def _plain_with_identifiers(document: Document) -> None:
    document["purpose"]["legal_basis"] = "not_personal"
    document["architectures"]["plain"] = {}


def _signed_twice(document: Document) -> None:
    document["signatures"] = [{"party": "north", "signature": "A" * 86 + "=="}] * 2


def _hidden_column(document: Document) -> None:
    document["data"][0]["columns"]["ag\u202ee"] = {"role": "insensitive", "type": "text"}


def _two_targets(document: Document) -> None:
    document["data"][0]["columns"]["age"]["role"] = "target"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (_rename, "parties.1.name: 'north' is also the name of parties.0"),
        (_same_key, "parties.1.key: is also the key of parties.0"),
        (_role(4, "mediator"), "parties: nobody has the role ml_party"),
        (
            _role(0, "mediator"),
            "data.0.provider: party 'north' has the role mediator; only a provider has data",
        ),
        (_without_data, "parties.2: provider 'east' has no entry under data"),
        (_data_twice, "data.3.provider: party 'north' has a data entry already"),
        (_data_of("west"), "data.2.provider: 'west' is not one of the parties"),
        (_data_of("analyst"), "data.2.provider: party 'analyst' has the role ml_party"),
        (
            _clause("validation", epsilon=2.5),
            "architectures.validation.epsilon: 2.5 is above the budget of provider",
        ),
        (_clause("validation", epsilon=2.5), "(data.2.budget.epsilon)"),
        (
            _clause("clean-room", delta=2e-6),
            "architectures.clean-room.delta: 2e-06 is above the budget of provider",
        ),
        (
            _without_budget,
            "architectures.validation: spends a budget, but provider 'south' has none (data.1.budget)",
        ),
        (_without_mediator, "architectures.blind-validation: needs a party with the role mediator"),
        (_without_mediator, "architectures.mediated-release: needs a party with the role mediator"),
        (_without_east, "which needs at least 3 providers; there are 2"),
        (
            _clause("mediated-release", origin_l=4),
            "architectures.mediated-release.origin_l: 4 is above the number of providers, 3",
        ),
        (_reference("diagnosis"), "mediated-release.reference.key: 'diagnosis' is no identifier of provider"),
        (_reference("vat"), "mediated-release.reference.key: 'vat' is no identifier of provider 'north'"),
        (
            _reference("person", name="age"),
            "mediated-release.reference.columns.age: is also a column of provider 'north' (data.0.columns)",
        ),
        (_without_east, "architectures.federated: masks each update among at least 3 providers; there are 2"),
        (
            _may_not_hold,
            "architectures.blind-validation.mode: entrusts the data to the mediator, which provider 'south'",
        ),
        (
            _clause("blind-validation", providers_per_record=4),
            "architectures.blind-validation.providers_per_record: 4 is above the number of providers, 3",
        ),
        (_no_consent, "data.2.consent: is missing: the legal basis is consent"),
        (_nothing_allowed, "architectures: is empty"),
        (
            _columns_as("insensitive"),
            "architectures.validation: gives feedback on labels, but no column has the role",
        ),
        (_columns_as("insensitive"), "architectures.direct-release: l and t protect sensitive columns"),
        (_plain_of_persons, "architectures.plain: is for data that is not personal"),
        (_plain_with_identifiers, "but data.0.columns.age has the role quasi_identifier"),
        (
            _clause("federated", threshold=4),
            "architectures.federated.threshold: 4 is above the number of providers, 3",
        ),
        (
            _clause("federated", colluders=1),
            "architectures.federated.colluders: must stay below 2 * threshold",
        ),
        (
            _clause("federated", epsilon=None, delta=None, unsafe_exact=True, threshold=2),
            "architectures.federated.threshold: without differential privacy a sum that opens holds two",
        ),
        (
            _clause("federated", epsilon=None, delta=None, unsafe_exact=True, threshold=3, colluders=2),
            "beside those of who may take theirs away from it: 4 or more",
        ),
        (
            _clause("encrypted", compute=["north", "south", "west"]),
            "architectures.encrypted.compute.2: 'west' is not one",
        ),
        (_signed_twice, "signatures: party 'north' stands here 2 times"),
        (_hidden_column, "data.0.columns.ag\\u202ee: holds the invisible character U+202E"),
        (_two_targets, "data.0: several columns have the role target: age, income"),
    ],
)
def test_contradictions_are_refused(full: Document, change: Callable[[Document], None], says: str) -> None:
    change(full)
    with pytest.raises(BadAgreement) as caught:
        agreement_from(full)
    assert says in str(caught.value)


def test_federated_thresholds_that_hold(full: Document) -> None:
    _clause("federated", threshold=3, colluders=2)(full)
    agreement_from(full)


def test_a_provider_that_only_releases_needs_no_budget(full: Document) -> None:
    full["architectures"] = {"direct-release": {"k": 5, "suppression": 0.0}}
    for data in full["data"]:
        del data["budget"]
    assert agreement_from(full).data[0].budget is None


def test_an_auditor_is_one_and_is_named(full: dict[str, Any], keys: dict[str, Any]) -> None:
    full["data"][0]["auditor"] = "mediator"
    with pytest.raises(BadAgreement, match=r"data.0.auditor.*role auditor"):
        agreement_from(full)
    full["parties"].append({"name": "stranger", "role": "auditor", "key": str(keys["stranger"].verify_key)})
    full["data"][0]["auditor"] = "stranger"
    assert agreement_from(full).data[0].auditor == "stranger"
    del full["data"][0]["auditor"]
    with pytest.raises(BadAgreement, match="no data names it"):
        agreement_from(full)


def test_two_releases_without_privacy_are_cautioned_against(full: dict[str, Any]) -> None:
    assert [place for place, _ in cautions(agreement_from(full))] == [("architectures",)]
    del full["architectures"]["direct-release"]
    assert not list(cautions(agreement_from(full)))
    del full["data"][1]["columns"]["country"]["values"]
    ((place, words),) = cautions(agreement_from(full))
    assert place == ("data", 1, "columns", "country")
    assert "needs 'values'" in words
