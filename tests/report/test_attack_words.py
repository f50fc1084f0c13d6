"""Beside each figure of an attack stands what was tried, what chance is, what was reached and is allowed."""

from __future__ import annotations

from typing import Any

import pytest

from comity.report.attack_words import (
    ATTACKS,
    allowed,
    between,
    by_chance,
    chance,
    in_short,
    meaning,
    reached,
    tried,
)
from comity.report.results import Attack, Result


def attack(name: str, advantage: float | None, bound: float | None = None, half: float = 0.01) -> Attack:
    ends = (None, None) if advantage is None else (advantage - half, advantage + half)
    return Attack(name, advantage, *ends, bound, 0.0, 1000)


def result(**privacy: Any) -> Result:
    return Result.read({"architecture": "validation", "privacy": privacy})


def test_every_attack_says_what_it_tries_and_what_chance_is() -> None:
    for words in ATTACKS.values():
        assert words.tried.endswith(".")
        assert "hance" in words.chance


@pytest.mark.parametrize(
    ("name", "advantage", "chance_is", "told", "ends"),
    [
        ("membership", 0.02, "50.0 of 100", "51.0 of 100", "50.5 to 51.5"),
        ("membership", -0.02, "50.0 of 100", "49.0 of 100", "48.5 to 49.5"),
        ("linkage", 0.02, "0.0 of 100", "2.0 of 100", "1.0 to 3.0"),
        ("origin", -0.002, "0.0 of 100", "−0.2 of 100", "−1.2 to 0.8"),
        ("membership", None, "—", "—", ""),
        ("of another version", 0.5, "—", "—", ""),
    ],
)
def test_what_was_reached_is_told_of_a_hundred(
    name: str, advantage: float | None, chance_is: str, told: str, ends: str
) -> None:
    found = attack(name, advantage)
    assert (by_chance(found), reached(found), between(found)) == (chance_is, told, ends)


def test_chance_is_told_apart_from_a_leak_by_the_interval() -> None:
    assert "something leaks" in meaning(attack("label", 0.02), result())
    assert "No better than chance" in meaning(attack("label", 0.005), result())
    assert meaning(attack("label", None), result()) == "Not measured."


def test_the_bound_is_rounded_against_the_promise() -> None:
    assert allowed(attack("membership", 0.0, bound=0.0997)) == "55.0 of 100"
    assert allowed(attack("membership", 0.0, bound=0.1001)) == "55.1 of 100"
    assert allowed(attack("linkage", 0.0, bound=0.2)) == "20.0 of 100"
    assert allowed(attack("membership", 0.0)) == "—"


def test_what_the_bound_says() -> None:
    private = result(epsilon=0.1, delta=1e-6, unit="record")
    assert "It is under its bound." in meaning(attack("membership", 0.0, bound=0.1), private)
    assert "It is ABOVE its bound." in meaning(attack("membership", 0.5, bound=0.1), private)
    assert "rules nothing out" in meaning(attack("membership", 0.0, bound=0.9999), private)


@pytest.mark.parametrize(
    ("name", "privacy", "why"),
    [
        ("membership", {}, "nothing here has differential privacy"),
        ("membership", {"epsilon": 1.0, "unit": "label"}, "says nothing of who is in the table"),
        ("singling-out", {"epsilon": 1.0, "unit": "record"}, "No bound follows from the guarantee"),
    ],
)
def test_where_there_is_no_bound_it_says_why(name: str, privacy: dict[str, Any], why: str) -> None:
    assert why in meaning(attack(name, 0.0), result(**privacy))


def test_a_cell_holds_it_all_in_short() -> None:
    assert in_short(attack("canary", 0.02, bound=0.05)) == "51.0 of 100, 52.5 allowed; under its bound"
    assert in_short(attack("linkage", 0.02)) == "2.0 of 100; no bound applies"
    assert in_short(attack("canary", None)) == "not measured"
    assert in_short(attack("of another version", 0.02, bound=0.05)) == "under its bound"


def test_an_attack_of_another_version_has_no_words() -> None:
    unknown = attack("of another version", 0.1, bound=0.2)
    assert tried(unknown) == chance(unknown) == ""
    assert allowed(unknown) == "—"
