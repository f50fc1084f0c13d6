"""Singling out: found where rows are real ones, not where nothing of a row is left."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from comity.attack.singling_out import singling_out_attack
from comity.data import Table
from comity.errors import BadInput, UsageError

KINDS = {"univariate": "rare-value", "multivariate": "singling-out"}


def people(rows: int, seed: int) -> Table:
    draw = np.random.default_rng(seed)
    columns = {f"n{at}": np.round(draw.normal(0, 100, rows), 1) for at in range(3)}
    columns |= {f"c{at}": draw.choice(list("abcdefgh"), rows).tolist() for at in range(4)}
    return Table(pa.table(columns))


@pytest.mark.parametrize("kind", KINDS)
def test_a_copy_of_the_table_singles_people_out(kind: str) -> None:
    real = people(800, 1)
    found = singling_out_attack(real, real, outsiders=people(800, 2), kind=kind)
    assert found.name == KINDS[kind]
    assert found.advantage > 0.15
    assert found.low > 0.1
    assert found.control is not None


@pytest.mark.parametrize("kind", KINDS)
def test_a_table_of_other_people_singles_nobody_out(kind: str) -> None:
    """Descriptions of strangers fit members and held-out rows alike: 1,000 of each, and 6 standard deviations
    of the difference of two shares are 0.13 at most; false alarm 2e-9."""
    found = singling_out_attack(people(800, 3), people(800, 1), outsiders=people(800, 2), kind=kind)
    assert found.advantage < 0.135


def test_without_held_out_rows_the_shuffled_table_is_the_control() -> None:
    real = people(800, 1)
    assert singling_out_attack(real, real).low > 0.1
    shuffled = real
    for at, name in enumerate(real.names):
        order = np.random.default_rng(at).permutation(800)
        shuffled = shuffled.with_column(name, real.column(name).take(order))
    assert singling_out_attack(shuffled, real).advantage < 0.135
    with pytest.raises(UsageError, match="outsiders"):
        singling_out_attack(real, real, kind="univariate")


def test_missing_values_are_described_too() -> None:
    real = people(100, 4)
    one = real.with_column("c0", pa.array([None, *real.strings("c0")[1:]]))
    found = singling_out_attack(one, one, outsiders=people(100, 5), kind="univariate", columns=["c0"])
    assert found.advantage == 1.0
    assert found.trials == 2


def test_nothing_to_describe_is_no_success() -> None:
    same = Table(pa.table({"c": ["a"] * 60}))
    found = singling_out_attack(same, same, outsiders=same, kind="univariate")
    assert (found.advantage, found.trials) == (0.0, 0)


def test_what_it_cannot_work_with_is_refused() -> None:
    real = people(60, 1)
    with pytest.raises(BadInput, match="50 rows"):
        singling_out_attack(people(20, 1), real)
    with pytest.raises(UsageError, match="kind"):
        singling_out_attack(real, real, kind="any")
    with pytest.raises(UsageError, match="wealth"):
        singling_out_attack(real, real, columns=["wealth"])
