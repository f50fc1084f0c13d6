"""Every figure that a program returns has words, and a reader meets no key."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import comity.architectures
from comity.report.figures import FIGURES, explained, parts_of, read_figures

PROGRAMS = Path(comity.architectures.__file__).parent
RETURNING = {"figures", "figures_of"}


def keys_of(node: ast.AST) -> Iterator[str]:
    """The keys of a dictionary as it is written, those of dictionaries spread into it among them."""
    if isinstance(node, ast.IfExp):
        yield from (*keys_of(node.body), *keys_of(node.orelse))
    if isinstance(node, ast.Dict):
        for key, value in zip(node.keys, node.values, strict=True):
            if key is None:
                yield from keys_of(value)
            elif isinstance(key, ast.Constant):
                yield str(key.value)


def returned() -> set[str]:
    """Every key in what the architectures' programs return of their runs, as their source writes it."""
    found: set[str] = set()
    for path in PROGRAMS.glob("*.py"):
        for function in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(function, ast.FunctionDef):
                continue
            for node in ast.walk(function):
                if isinstance(node, ast.Return) and node.value is not None:
                    keys = set(keys_of(node.value))
                    if "rows_used" in keys or function.name in RETURNING:
                        found |= keys
    return found


def test_every_key_that_a_program_returns_is_explained() -> None:
    keys = returned()
    assert {"rows_used", "threshold", "noise_excess", "engine_bytes", "rows_scored", "drawn"} <= keys
    for name in (*keys, "stayed", "refused"):
        assert explained(name) or any(key.startswith(f"{name}.") for key in FIGURES), name


def test_words_are_for_people() -> None:
    for key, words in FIGURES.items():
        assert words.meaning.endswith("."), key
        assert "_" not in words.label
        assert "_" not in words.meaning
    shown = [words.label for words in FIGURES.values() if not words.elsewhere]
    assert len(shown) == len(set(shown))


@pytest.mark.parametrize(
    ("name", "figure", "told"),
    [
        ("noise_excess", 1.5, [("noise in the sum", "1.5 times")]),
        ("stayed", ["north", "east"], [("stayed to the end", "north, east")]),
        ("drawn", {"north": 0.1003}, [("share that took part: north", "10.0\u00a0%")]),
        ("rows_scored", 14767, [("rows scored", "14,767")]),
        ("rows_scored", {"north": 14767}, [("rows scored: north", "14,767")]),
        ("error", {"max": 1.38399e-05}, [("largest error found", "1.38·10⁻⁵")]),
        ("ciphertext_bytes", 30391447, [("size of the ciphertexts", "30.4\u00a0MB")]),
        ("correction_kept", True, [("correction kept", "yes")]),
        ("refused", {"north": "no clause"}, [("refused: north", "no clause")]),
        (
            "rows_estimated",
            {"value": 37361.2, "low": 33438.0, "high": 41284.4},
            [("rows at the providers, estimated", "37,361 [33,438, 41,284]")],
        ),
        ("feedback", {"auc": [0.9017, 0.8743, 0.9293]}, [("feedback: AUC", "0.902 [0.874, 0.929]")]),
        (
            "feedback",
            {
                "records": 388,
                "estimates": {"auc": 0.92, "confusion": {"tp": 58.4}, "calibration": [0.1, 0.2]},
                "intervals": {
                    "auc": [0.91, 0.93],
                    "confusion": {"tp": [57.0, 59.8]},
                    "calibration": [[0, 1]],
                },
                "groups": {"calibration": {"sizes": [3]}},
            },
            [
                ("feedback: AUC", "0.920 [0.910, 0.930]"),
                ("feedback: true positives", "58 [57, 60]"),
                ("feedback: records", "388"),
            ],
        ),
        ("rows_used", 12, []),
        ("sandbox", {"cpu_s": 1.0}, []),
        ("of_another_version", 3, [("of another version", "3")]),
        ("of_another_version", [[3]], []),
    ],
)
def test_figures_are_told_in_words(name: str, figure: Any, told: list[tuple[str, str]]) -> None:
    found = list(read_figures({"north": {name: figure}}))
    assert [(one.label, one.value) for one in found] == told
    assert {one.party for one in found} <= {"north"}
    if explained(name, next((part for part, _ in parts_of(name, figure)), "")):
        assert all(one.meaning for one in found)
