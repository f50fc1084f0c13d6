"""How figures are written."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from comity.report import numbers


@pytest.mark.parametrize(
    "write",
    [numbers.figure, numbers.percent, numbers.count, numbers.plain, numbers.seconds, numbers.size],
)
def test_no_figure_is_a_dash(write: Callable[[float | None], str]) -> None:
    assert write(None) == "—"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (numbers.figure(0.91024), "0.910"),
        (numbers.figure(-0.0004, 2), "0.00"),
        (numbers.figure(-0.034, 2), "−0.03"),
        (numbers.percent(0.7641), "76 %"),
        (numbers.percent(-0.001), "0 %"),
        (numbers.percent(1.083), "108 %"),
        (numbers.count(1203442.0), "1,203,442"),
        (numbers.plain(1.0), "1"),
        (numbers.plain(0.05), "0.05"),
        (numbers.plain(1e-6), "10⁻⁶"),
        (numbers.plain(2.5e-7), "2.5·10⁻⁷"),
        (numbers.seconds(0.0), "0 s"),
        (numbers.seconds(0.0004), "< 1 ms"),
        (numbers.seconds(0.034), "34 ms"),
        (numbers.seconds(0.21), "0.21 s"),
        (numbers.seconds(3.14), "3.1 s"),
        (numbers.seconds(59.6), "60 s"),
        (numbers.seconds(190.4), "3 min 10 s"),
        (numbers.seconds(3720), "1 h 02 min"),
        (numbers.size(0), "0 B"),
        (numbers.size(999), "999 B"),
        (numbers.size(1_204_331), "1.20 MB"),
        (numbers.size(23_400), "23.4 kB"),
        (numbers.size(999_800), "1.00 MB"),
        (numbers.size(412.5e6), "412 MB"),
    ],
)
def test_figures(text: str, expected: str) -> None:
    assert text.replace(numbers.GAP, " ") == expected
