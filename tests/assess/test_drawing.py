"""What a terminal shows: short lines, plain words, and the table's own text as it is."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from comity.assess import assess_table
from comity.assess.drawing import draw
from comity.data import adult_schema, load_adult, read_table


@pytest.fixture(scope="module")
def adult():
    return assess_table(load_adult(), adult_schema(), population=317_238_626)


@pytest.mark.parametrize("width", [60, 80, 110])
def test_no_line_is_wider_than_the_terminal(adult, width: int) -> None:
    lines = draw(adult, width)
    assert all(len(line) <= width for line in lines)
    table = [
        line for line in lines[: lines.index("How easily a person's row is found")] if line.startswith(" ")
    ]
    assert sum(" quasi_identifier" in line for line in table) == 9  # one line per column


def test_it_says_what_there_is_and_what_to_do(adult) -> None:
    text = " ".join(" ".join(draw(adult)).split())
    for words in (
        "are the only one with their values",
        "Of the 317,238,626 people",
        "Pitman's estimate, chosen by Dankar's rule",
        "What each adds",
        "HIPAA Safe Harbor",
        "What to do next 1. ",
        "Generalise age first",
    ):
        assert words in text


def test_it_draws_on_a_console(tmp_path: Path) -> None:
    from rich.console import Console

    path = tmp_path / "t.csv"
    path.write_text("age,[red]w\n30,[red]\n40,x\n")
    console = Console(record=True, width=80, file=(tmp_path / "out").open("w"))
    console.print(assess_table(path).to_rich())
    text = console.export_text()
    assert "quasi_identifier" in text
    assert "[red]w" in text


def test_a_table_in_which_nothing_is_known_to_others() -> None:
    text = " ".join(draw(assess_table(pa.table({"k": [1] * 60}))))
    assert "No column is a quasi-identifier" in text
    assert "No sign of any of its 18 identifiers" in text


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.lists(st.one_of(st.none(), st.integers(0, 3)), min_size=1, max_size=4), min_size=1, max_size=12
    ).map(lambda rows: [(row * 4)[:4] for row in rows]),
    st.integers(60, 100),
)
def test_any_table_is_drawn(rows: list[list[int | None]], width: int) -> None:
    table = pa.table({f"column {at}": pa.array([row[at] for row in rows], pa.int64()) for at in range(4)})
    assessment = assess_table(read_table(table), population=10_000)
    assert all(len(line) <= width for line in draw(assessment, width))
    assessment.to_dict()


def test_control_characters_in_names_do_not_reach_the_terminal() -> None:
    evil = "\x1b[31mred\x1b]0;title\x07\u202e"
    table = pa.table({evil: [row % 5 for row in range(40)], f"b{evil}": [row % 3 for row in range(40)]})
    lines = draw(assess_table(table, quasi_identifiers=[evil, f"b{evil}"]))
    assert all(line.isprintable() for line in lines)
    assert any("red" in line for line in lines)
