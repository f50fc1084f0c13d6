"""DP gradient descent over members: the same as where one holder has all records, and it learns."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from comity.data.encode import BinnedColumn, Encoder, LevelColumn
from comity.errors import BadInput
from comity.ledger import PrivacyUnit
from comity.mechanism import Noise
from comity.train.federated.descent import EFFECTS, ROUNDS, START, Holder, Talk, course_of
from comity.train.federated.memory import assemble
from comity.train.federated.servers import run_server, secure_steps
from comity.train.federated.shared_noise import SharedNoise
from comity.train.private.additive import Additive
from comity.train.private.descent import Descent, descend

ENCODER = Encoder(
    (
        BinnedColumn("age", tuple(float(edge) for edge in range(10, 90, 10))),
        LevelColumn("ward", ("a", "b", "c")),
        LevelColumn("kin", ("x", "y")),
    )
)
COURSE = course_of(ENCODER)
WIDTHS = COURSE.columns.fine.widths


def noise_of(epsilon: float, members: int, colluders: int = 0, rows: int = 1) -> SharedNoise:
    return SharedNoise(epsilon, 9e-7, PrivacyUnit.record, COURSE.releases(rows), members, members, colluders)


def made(rows: int, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(seed)
    codes = np.column_stack([draw.integers(1, width, rows) for width in WIDTHS]).astype(np.uint16)
    odds = (codes[:, 0] - 4.0) / 2 + 1.2 * (codes[:, 1] == 2) - 0.5 * (codes[:, 2] == 1)
    return codes, draw.random(rows) < 1 / (1 + np.exp(-odds))


def together(
    codes: np.ndarray, positive: np.ndarray, cuts: list[int], noise: SharedNoise, start: np.ndarray | None
) -> Additive:
    """Train under masks, in one process; rows are cut into as many tables as the noise has members."""
    parts = zip(*(np.split(each, cuts) for each in (codes, positive, np.arange(len(codes)))), strict=True)
    begun = np.zeros(len(codes)) if start is None else start
    holders = {
        name: Holder(COURSE, noise, own, labels, lambda sent, at=at: begun[at])
        for name, (own, labels, at) in zip("abcdefg", parts, strict=False)
    }
    group = assemble(
        {
            name: lambda number, arrays, config, holder=holder: holder.sums(number, arrays)
            for name, holder in holders.items()
        },
        rounds=ROUNDS,
        threshold=len(holders),
    )
    talk = Talk(COURSE, noise, np.zeros(1))
    run_server(group.grid, group.secure, secure_steps(group.secure, talk), {}, ROUNDS)
    return talk.model


def alone(codes: np.ndarray, positive: np.ndarray, noise: SharedNoise) -> Additive:
    """The estimator's descent, with the same course and noise."""
    return descend(Descent(COURSE, noise.calibrated), codes, positive)


@pytest.mark.parametrize("cuts", [[700, 1500], [0, 1], [100, 200, 300, 400, 500]])
def test_without_noise_it_is_the_estimators_own_fit(cuts: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """One holder of all records and any number of members reach the same weights: sums are whole numbers."""
    monkeypatch.setattr(Noise, "add", lambda self, sums: np.asarray(sums) << self.shift)
    codes, positive = made(2_000)
    noise = noise_of(1.0, members=len(cuts) + 1)
    found, one = together(codes, positive, cuts, noise, None), alone(codes, positive, noise)
    assert found.records == one.records
    for here, there in zip(found.effects, one.effects, strict=True):
        np.testing.assert_allclose(here, there, rtol=1e-9, atol=1e-12)


def test_it_learns_under_noise_and_corrects_a_start_model() -> None:
    """The true odds have AUC .813 here. At epsilon 4, 40 runs each had .814 with a deviation of .0002, and a
    number of records that errs by 20: .80 and 5% are 10 deviations off or more."""
    codes, positive = made(4_000)
    truth = (codes[:, 0] - 4.0) / 2 + 1.2 * (codes[:, 1] == 2) - 0.5 * (codes[:, 2] == 1)
    for start in (None, truth):
        model = together(codes, positive, [1_000, 2_500], noise_of(4.0, 3, colluders=1), start)
        scores = model.scores(codes) + (0.0 if start is None else start)
        assert roc_auc_score(positive, scores) > 0.80
        assert model.records == pytest.approx(4_000, rel=0.05)


def test_one_person_moves_a_sum_by_its_rows_at_most() -> None:
    """What is stated of a person with 4 records is what 4 records of the worst kind do."""
    codes, positive = np.ones((9, 3), dtype=np.uint16), np.ones(9, dtype=bool)
    silent = noise_of(1.0, 3, rows=4)
    exact: list[np.ndarray] = []

    class Kept(SharedNoise):
        def add_part(self, number: int, sums: np.ndarray) -> np.ndarray:
            exact.append(sums)
            return sums

    kept = Kept(**{name: getattr(silent, name) for name in silent.__dataclass_fields__})
    for size in (9, 5):
        holder = Holder(COURSE, kept, codes[:size], positive[:size], lambda sent: np.zeros(0))
        holder.sums(0, {})
        # a model that is as wrong about these records as can be
        wrong = {EFFECTS: np.full(COURSE.columns.blocks.dimensions, -9.0)}
        monkey = Holder(COURSE, kept, codes[:size], positive[:size], lambda sent, n=size: np.zeros(n))
        monkey.sums(1, {**wrong, START: np.zeros(1)})
    for number in (0, 1):
        moved = [int(value) for value in exact[number] - exact[number + 2]]
        bound = silent.release(number).l2
        assert (0.99 * bound) ** 2 < sum(value**2 for value in moved) <= bound**2


@pytest.mark.parametrize(
    ("number", "arrays", "words"),
    [
        (0, {EFFECTS: np.zeros(1)}, "first one brings"),
        (1, {EFFECTS: np.zeros(1)}, "first one brings"),
        (2, {EFFECTS: np.zeros(1), START: np.zeros(1)}, "first one brings"),
        (2, {EFFECTS: np.zeros(3)}, "another shape"),
        (2, {EFFECTS: np.full(COURSE.columns.blocks.dimensions, np.nan)}, "NaN or infinite"),
        (2, {EFFECTS: np.full(COURSE.columns.blocks.dimensions, 1e7)}, "beyond"),
    ],
)
def test_other_questions_are_refused(number: int, arrays: dict[str, Any], words: str) -> None:
    codes, positive = made(20)
    holder = Holder(COURSE, noise_of(1.0, 3), codes, positive, lambda sent: np.zeros(20))
    with pytest.raises(BadInput, match=words):
        holder.sums(number, arrays)
