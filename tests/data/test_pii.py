"""Detectors of personal data: what they find, and that they let ordinary values pass."""

from __future__ import annotations

import numpy as np
import pytest

from comity.data.pii import FEWEST_VALUES, find_pii

SURNAMES = ("Ng", "Lee", "De Wit", "O'Hara", "Orr", "Díaz", "Smith-Jones", "Li", "Öz", "Bär")
GENERATOR = np.random.default_rng(3)


def with_check_digit(body: str, length: int) -> str:
    """The Luhn number of some length that starts with a body."""
    from stdnum import luhn

    body = body + "".join(str(digit) for digit in GENERATOR.integers(0, 10, length - len(body) - 1))
    return body + luhn.calc_check_digit(body)


def belgian_numbers(count: int) -> list[str]:
    made = []
    for row in range(count):
        body = f"{50 + row % 40:02d}{1 + row % 12:02d}{1 + row % 28:02d}{100 + row:03d}"
        made.append(f"{body}{97 - int(body) % 97:02d}")
    return made


def iban_numbers(count: int) -> list[str]:
    from stdnum import iban

    bodies = [f"{row:03d}{row * 7919 % 10**7:07d}" for row in range(539, 539 + count)]
    whole = [f"{body}{int(body) % 97 or 97:02d}" for body in bodies]
    return [f"BE{iban.calc_check_digits('BE00' + body)}{body}" for body in whole]


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("email", [f"a.b{row}@mail.example.com" for row in range(20)]),
        ("web", [f"https://example.org/u/{row}" for row in range(20)]),
        ("uuid", [f"123e4567-e89b-42d3-a456-4266141740{row:02d}" for row in range(20)]),
        ("mac", [f"00:1b:44:11:3a:{row:02d}" for row in range(20)]),
        ("ip", [f"192.168.0.{row}" for row in range(20)]),
        ("ip", [f"2001:db8::{row}" for row in range(20)]),
        ("coordinates", [f"50.85{row:02d}, 4.35{row:02d}" for row in range(20)]),
        ("credit_card", [with_check_digit("4539", 16) for _ in range(20)]),
        ("national_number", belgian_numbers(20)),
        ("national_number", [f"{100 + row}-45-{6789 - row}" for row in range(20)]),
        ("iban", iban_numbers(20)),
        ("phone", [f"+44 20 7946 0{100 + row}" for row in range(20)]),
        ("phone", [f"(02) 555 {10 + row} 12" for row in range(20)]),
        (
            "name",
            [f"{first} {last}" for first in ("Ada", "Cy") for last in SURNAMES],
        ),
    ],
)
def test_kinds_are_found(kind: str, values: list[str]) -> None:
    found = find_pii("column", values)
    assert found, values[:3]
    assert found[0].kind == kind
    assert found[0].share > 0.5


def digits(length: int) -> list[str]:
    return sorted({"".join(str(digit) for digit in GENERATOR.integers(0, 10, length)) for _ in range(200)})


@pytest.mark.parametrize(
    "values",
    [
        *(digits(length) for length in range(4, 20)),
        [f"{value:.2f}" for value in GENERATOR.normal(size=200)],
        [f"2020-0{row % 9 + 1}-{row % 28 + 1:02d}" for row in range(60)],
        [f"A{row:05d}" for row in range(100)],
        [f"Product line {row}" for row in range(100)],
        [
            "Bachelors",
            "Some-college",
            "11th",
            "HS-grad",
            "Prof-school",
            "Assoc-acdm",
            "Assoc-voc",
            "9th",
            "Masters",
        ],
        [
            "New York",
            "Los Angeles",
            "San Diego",
            "San Jose",
            "Fort Worth",
            "El Paso",
            "Las Vegas",
            "Long Beach",
        ],
    ],
    ids=lambda values: values[0],
)
def test_ordinary_values_pass(values: list[str]) -> None:
    """Random digits pass a detector by chance with a probability below 1e-6 (see the module)."""
    assert find_pii("column", values) == ()


def test_a_header_lowers_what_is_asked_of_digits() -> None:
    values = [f"47{row}123{10 + row}"[:9] for row in range(10, 40)]
    kinds = [found.kind for found in find_pii("column", [f"0{value}" for value in values])]
    assert kinds in ([], ["phone"])
    assert find_pii("mobile phone", [f"0{value}" for value in values])[0].kind == "phone"


def test_few_values_prove_what_one_proves_and_no_more() -> None:
    assert find_pii("x", ["a@example.org"])[0].kind == "email"
    digits_only = [f"90210{row}77" for row in range(FEWEST_VALUES - 1)]
    assert find_pii("x", digits_only) == ()


def test_a_finding_reads_as_a_sentence() -> None:
    found = find_pii("x", [f"a{row}@example.org" for row in range(9)] + ["none"])
    assert str(found[0]) == "90% of its values are email addresses"
