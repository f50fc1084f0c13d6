"""At how many providers a record is: what the mediator gets tells nothing else, and the bound holds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2

from comity.crypto.pads import random_key, tokens
from comity.errors import BadInput, ClauseRefused
from comity.validate.blind_holders import covering, holder_tokens, require_few_holders
from comity.validate.mechanism import Sizes
from comity.validate.queries import GroupCounts

CLAUSE = "architectures.blind-validation"


def sent(held: np.ndarray, key: bytes) -> dict[str, bytes]:
    return {f"p{at}": holder_tokens(row, key) for at, row in enumerate(held)}


@given(seed=st.integers(0, 2**32 - 1), providers=st.integers(1, 4), records=st.integers(1, 30))
@settings(max_examples=60, deadline=None)
def test_it_refuses_where_a_record_is_at_more_providers_than_agreed(
    seed: int, providers: int, records: int
) -> None:
    """Random tokens coincide with probability below 120^2 / 2^65 an example."""
    held = (np.random.default_rng(seed).random((providers, records)) < 0.4).astype(np.int8)
    most = int(held.sum(axis=0).max())
    tokens_sent = sent(held, random_key())
    for bound in range(1, providers + 1):
        if bound >= most:
            require_few_holders(tokens_sent, records, bound, clause=CLAUSE)
        else:
            with pytest.raises(ClauseRefused, match=f"more than {bound}") as refusal:
                require_few_holders(tokens_sent, records, bound, clause=CLAUSE)
            assert refusal.value.clause == f"{CLAUSE}.providers_per_record"


def test_how_many_and_which_records_a_provider_holds_does_not_show() -> None:
    """False alarm 1e-7: chi-squared over 256 values of each byte, for a provider with all, half and none."""
    key, records = random_key(), 4_000
    for share in (0.0, 0.5, 1.0):
        held = (np.arange(records) < share * records).astype(np.int8)
        data = holder_tokens(held, key)
        assert len(data) == 8 * records
        counts = np.bincount(np.frombuffer(data, dtype=np.uint8), minlength=256)
        expected = counts.sum() / 256
        assert float(((counts - expected) ** 2 / expected).sum()) < chi2.ppf(1 - 1e-7, 255)


def test_its_tokens_are_not_those_of_the_uploads_rows() -> None:
    key = random_key()
    own = np.frombuffer(holder_tokens(np.ones(500, np.int8), key), dtype="<u8")
    assert not np.isin(own, tokens(key, 500)).any()


@pytest.mark.parametrize("change", ["short", "twice", "falling"])
def test_another_form_is_refused(change: str) -> None:
    good = holder_tokens(np.ones(20, np.int8), random_key())
    words = np.frombuffer(good, dtype="<u8")
    bad = {"short": words[1:], "twice": np.r_[words[:1], words[:-1]], "falling": words[::-1]}[change]
    with pytest.raises(BadInput, match="'b' did not send"):
        require_few_holders({"a": good, "b": bad.tobytes()}, 20, 2, clause=CLAUSE)


def test_sensitivity_follows_the_bound() -> None:
    """All labels of one record change at k providers, which hold it in the same row of the question."""
    query = GroupCounts(np.arange(30) % 3, 3)
    for holders in (1, 2, 5):
        sizes = covering(query, holders)
        moved = holders * query.row(4)
        assert (moved**2).sum() <= sizes.l2**2
        assert np.abs(moved).sum() <= sizes.l1
        assert sizes.largest_sum == holders * query.largest_sum
    assert covering(query, 1) == Sizes.of(query)
