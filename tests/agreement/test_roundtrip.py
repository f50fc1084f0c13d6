"""Any agreement that can exist is written and read back as itself, byte for byte in its signed form."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from comity.agreement import agreement_from, parse_agreement
from comity.crypto.keys import SigningKey

_KEYS = [str(SigningKey.generate().verify_key) for _ in range(6)]

_characters = st.characters(exclude_categories=("Cs", "Cc", "Cf", "Cn", "Zl", "Zp"))
_spiky = st.sampled_from(list("-:?#&*!|>'\"%@`{}[], \n\t0123456789.eE+_~<=yYnNoO/\\aä"))
_words = st.text(_characters | _spiky, min_size=1, max_size=60).filter(lambda text: bool(text.strip()))
_levels = st.text(_characters | _spiky, max_size=12) | st.sampled_from(["NO", "null", "010", "1e5", "~", ""])
_bounds = st.floats(allow_nan=False, allow_infinity=False)
_roles = st.sampled_from(["quasi_identifier", "sensitive", "insensitive", "identifier"])


@st.composite
def _column(draw: st.DrawFn) -> dict[str, Any]:
    kind = draw(st.sampled_from(["integer", "number", "category", "text"]))
    column: dict[str, Any] = {"role": draw(_roles), "type": kind}
    if kind in ("integer", "number"):
        low, high = sorted((draw(_bounds), draw(_bounds)))
        column |= {"min": low, "max": high}
    elif draw(st.booleans()):
        column["values"] = draw(st.lists(_levels, unique=True, max_size=4))
    if draw(st.booleans()):
        column["hierarchy"] = draw(_words)
    return column


@st.composite
def _data(draw: st.DrawFn, provider: str) -> dict[str, Any]:
    columns = draw(st.dictionaries(_words, _column(), min_size=1, max_size=4))
    columns["label"] = {"role": "target", "type": "category", "values": ["0", "1"]}
    data: dict[str, Any] = {
        "provider": provider,
        "lineage": draw(st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,20}", fullmatch=True)),
        "source": draw(_words),
        "licence": draw(_words),
        "consent": draw(_words),
        "mediator_may_hold": draw(st.booleans()),
        "columns": columns,
        "unit": draw(st.sampled_from([{}, {"column": next(iter(columns)), "max_rows": 3}])),
    }
    if draw(st.booleans()):
        delta = draw(st.floats(1e-300, 1, exclude_max=True))
        data["budget"] = {
            "epsilon": draw(st.floats(0, 1e6, exclude_min=True)),
            "delta": delta,
            "delta_additive": draw(st.floats(0, delta, exclude_max=True)),
        }
    return data


@st.composite
def _documents(draw: st.DrawFn) -> dict[str, Any]:
    names = draw(
        st.lists(
            st.from_regex(r"[a-z](-?[a-z0-9]){0,20}", fullmatch=True), unique=True, min_size=2, max_size=5
        )
    )
    providers = names[1:]
    architectures: dict[str, Any] = {
        "direct-release": {"k": draw(st.integers(2, 10**9)), "suppression": draw(st.floats(0, 1))}
    }
    data = [draw(_data(provider)) for provider in providers]
    if all("budget" in entry for entry in data):
        architectures["validation"] = {
            "mode": "linked",
            "epsilon": min(entry["budget"]["epsilon"] for entry in data),
            "delta": min(entry["budget"]["delta"] for entry in data),
            "minimum_group": draw(st.integers(1, 10**6)),
            "queries": draw(st.integers(1, 10**6)),
        }
    if draw(st.booleans()):
        architectures["pooled"] = {"unsafe_pilot": True}
    return {
        "comity": 1,
        "title": draw(_words),
        "parties": [
            {"name": name, "role": "provider" if name in providers else "ml_party", "key": key}
            for name, key in zip(names, _KEYS, strict=False)
        ],
        "purpose": {"text": draw(_words), "legal_basis": draw(st.sampled_from(["consent", "contract"]))},
        "data": data,
        "architectures": architectures,
        "expires": draw(st.dates()).isoformat(),
    }


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
@given(_documents())
def test_written_and_read_back_it_is_the_same(document: dict[str, Any]) -> None:
    agreement = agreement_from(document)
    again = parse_agreement(agreement.to_yaml(), where="again")
    assert again == agreement
    assert again.body_bytes() == agreement.body_bytes()
    assert again.digest == agreement.digest
    assert again.to_yaml() == agreement.to_yaml()
    assert hash(again) == hash(agreement)
    assert agreement_from(agreement.to_dict()) == agreement
