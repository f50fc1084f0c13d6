"""The origin attack: finds what leaks, finds nothing where nothing does, and stays under t where t holds."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from comity.attack.origin import origin_attack
from comity.data import Table
from comity.errors import BadInput

ROWS = 3000


def dealt(seed: int, shares: tuple[float, ...] = (0.5, 0.3, 0.2)) -> np.ndarray:
    return np.random.default_rng(seed).choice(len(shares), ROWS, p=shares)


def table(seed: int, **columns: object) -> Table:
    draw = np.random.default_rng([seed, 1])
    return Table(
        pa.table(
            {"age": draw.choice(["20-39", "40-59"], ROWS), "hours": draw.integers(1, 99, ROWS), **columns}
        )
    )


def test_a_column_that_tells_the_provider_is_found() -> None:
    origins = dealt(1)
    found = origin_attack(table(1, site=np.array(["a", "b", "c"])[origins]), origins, t=0.2)
    assert found.advantage > 0.45
    assert found.low > 0.2
    assert found.within_bound is False
    assert found.control is not None
    assert found.control < 0.02


def test_numbers_that_differ_by_provider_are_found() -> None:
    origins = dealt(2)
    found = origin_attack(
        table(2, pulse=origins * 3.0 + np.random.default_rng(3).normal(size=ROWS)), origins, t=0.2
    )
    assert found.low > 0.2


def test_nothing_is_found_where_the_provider_is_dealt_out() -> None:
    """No guess from columns that are independent of the provider is right more often than the largest share.
    False alarm: 5.5 standard deviations of the success of the best one, 2e-8."""
    origins = dealt(4)
    found = origin_attack(table(4), origins, shares=(0.5, 0.3, 0.2), t=0.2)
    assert found.advantage < 5.5 * np.sqrt(0.25 / ROWS)
    assert found.high < 0.2
    assert found.control is not None
    assert abs(found.control - found.advantage) < 0.1


def test_the_attack_stays_under_t_where_every_class_is_t_close() -> None:
    """Classes whose mix lies 0.15 from the whole: the best guess is right at most share + 0.15. False alarm:
    5.5 standard deviations, 2e-8."""
    draw = np.random.default_rng(5)
    classes = draw.integers(0, 2, ROWS)
    mixes = np.array([[0.55, 0.225, 0.225], [0.25, 0.375, 0.375]])
    origins = np.array([draw.choice(3, p=mixes[each]) for each in classes])
    shares = mixes.mean(axis=0)
    t = 0.5 * np.abs(mixes[0] - shares).sum()
    found = origin_attack(
        Table(pa.table({"class": np.array(["x", "y"])[classes]})), origins, shares=shares.tolist(), t=t
    )
    assert 0 < found.advantage < t + 5.5 * np.sqrt(0.25 / ROWS)


def test_the_seed_fixes_it_and_large_tables_are_sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("comity.attack.origin.MOST_ROWS", 400)
    origins = dealt(6)
    first, second = (origin_attack(table(6), origins, seed=1) for _ in range(2))
    assert first == second
    assert first.trials == 400
    assert first.bound is None


@pytest.mark.parametrize("rows", [0, 49])
def test_few_rows_are_refused(rows: int) -> None:
    with pytest.raises(BadInput, match="at least 50 rows"):
        origin_attack(table(7).take(np.arange(rows)), dealt(7)[:rows])
