"""AIM: spends all of its budget, on marginals that the model gets wrong and that fit the model."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from comity.data import Table
from comity.schema import Schema, parse_schema
from comity.synthesize import make_synthetic
from comity.synthesize.aim import aim
from comity.synthesize.cells import LevelCells
from comity.synthesize.looks import MODEL_CELLS, Looks
from comity.synthesize.purse import Purse


def behind(columns: dict[str, np.ndarray], target: int | None = None, epsilon: float = 8.0) -> Looks:
    """Columns of whole numbers from 0 on, as levels."""
    cells = tuple(
        LevelCells(name, tuple(map(str, range(int(values.max()) + 1)))) for name, values in columns.items()
    )
    coded = np.stack([values + 1 for values in columns.values()], axis=1).astype(np.uint16)
    return Looks(Purse(epsilon, 1e-6), cells, coded, target)


def dependent(rows: int = 3000) -> dict[str, np.ndarray]:
    """`a` says what `b` is; `c` and `d` are by themselves."""
    draw = np.random.default_rng(1)
    a, c, d = (draw.integers(0, 4, rows) for _ in range(3))
    return {"a": a, "b": (a + (draw.random(rows) < 0.1)) % 4, "c": c, "d": d}


@pytest.mark.parametrize("target", [None, 0])
@pytest.mark.parametrize("columns", [1, 2, 3])
def test_nothing_is_left_in_the_purse(columns: int, target: int | None) -> None:
    chosen = dict(list(dependent(600).items())[:columns])
    seen = behind(chosen, target)
    aim(seen, bins=16)
    assert seen.purse.left <= 1e-6 * seen.purse.whole


def test_one_feature_gets_what_no_pair_can_take() -> None:
    seen = behind(dict(list(dependent(600).items())[:2]), target=1)
    aim(seen, bins=16)
    pairs = [one for one in seen.asked if len(one.columns) == 2]
    assert [one.columns for one in pairs] == [("a", "b")]
    assert pairs[0].share == pytest.approx(0.75)


def test_what_depends_is_measured_together_first() -> None:
    """The model of single columns is off by over 3,000 rows for (a, b) and by noise for the other pairs."""
    seen = behind(dependent())
    model = aim(seen, bins=16)
    first = next(one for one in seen.asked if len(one.columns) == 2)
    assert first.columns == ("a", "b")
    found = model.marginal((0, 1))
    assert found is not None
    exact = np.zeros((4, 4))
    np.add.at(exact, (dependent()["a"], dependent()["b"]), 1)
    assert np.abs(found - exact).sum() < 0.1 * 3000


def test_no_marginal_takes_more_room_than_the_model_has() -> None:
    seen = behind(dependent())
    model = aim(seen, bins=16, model_cells=25)
    assert model.tree.cells(model.sizes) <= 25
    assert seen.purse.left <= 1e-6 * seen.purse.whole


@pytest.mark.parametrize("method", ["aim", "mst"])
@pytest.mark.parametrize("levels_of_target", [10, 3000])
def test_the_model_holds_no_more_numbers_than_promised(method: str, levels_of_target: int) -> None:
    """Columns of 3,000 levels each that all stand out of the noise, and a target."""
    rows = 60_000
    order = np.arange(rows)
    columns = {
        "x": order % 3000,
        "y": (order // 7) % 3000,
        "z": order % 2,
        "t": (order // 3) % levels_of_target,
    }
    table = Table(pa.table({name: values.astype(str).tolist() for name, values in columns.items()}))
    document = {
        name: {
            "role": "target" if name == "t" else "insensitive",
            "type": "category",
            "values": [str(at) for at in range(int(values.max()) + 1)],
        }
        for name, values in columns.items()
    }
    known: Schema = parse_schema({"columns": document}, where="the test")
    made = make_synthetic(
        table, known, list(columns), epsilon=16.0, delta=1e-6, method=method, target="t", rows=3000
    )
    assert made.manifest["model"]["numbers"] <= MODEL_CELLS
    # merged levels come apart again: hundreds of different ones, where the model tells few apart
    assert len(set(made.table.strings("x"))) > 700
