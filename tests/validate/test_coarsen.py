"""Coarsening: whatever the frames, the monitor of each admits what comes out."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from comity.validate.coarsen import Layout, coarsened, merged
from comity.validate.monitor import Monitor


def admits(codes: np.ndarray, minimum: int) -> None:
    """Raises if the provider's own monitor would refuse."""
    Monitor(range(len(codes)), minimum=minimum).admit_all(
        [codes[:, column].astype(np.int64) for column in range(codes.shape[1])]
    )


@settings(max_examples=60)
@given(
    seed=st.integers(0, 10_000),
    sizes=st.lists(st.integers(12, 60), min_size=1, max_size=3),
    widths=st.lists(st.integers(1, 7), min_size=1, max_size=4).map(tuple),
    minimum=st.integers(2, 10),
)
def test_what_is_coarsened_is_admitted(
    seed: int, sizes: list[int], widths: tuple[int, ...], minimum: int
) -> None:
    draw = np.random.default_rng(seed)
    layout = Layout(widths, tuple(bool(draw.integers(2)) for _ in widths))
    frames = []
    for size in sizes:
        columns = [
            np.minimum(draw.geometric(draw.uniform(0.2, 0.9), size) - 1, width - 1) for width in widths
        ]
        frames.append(np.stack(columns, axis=1).astype(np.uint16))
    becomes = coarsened(frames, layout, minimum)
    for frame in frames:
        admits(merged(frame, becomes), minimum)


def test_nested_groups_lose_what_tells_a_few_records_apart() -> None:
    """The second column's bin 1 lies inside the first one's, and leaves three records of it."""
    first = np.repeat([0, 1], [60, 40])
    second = np.repeat([0, 1], [63, 37])
    frame = np.stack([first, second], axis=1).astype(np.uint16)
    becomes = coarsened([frame], Layout((2, 2), (False, False)), 5)
    after = merged(frame, becomes)
    admits(after, 5)
    assert len(np.unique(after[:, 0])) + len(np.unique(after[:, 1])) == 3


def test_what_is_fine_is_left_alone() -> None:
    draw = np.random.default_rng(0)
    frame = draw.integers(0, 4, size=(4000, 3)).astype(np.uint16)
    becomes = coarsened([frame], Layout((4, 4, 4), (True, False, True)), 10)
    assert all((bins == np.arange(4)).all() for bins in becomes)
