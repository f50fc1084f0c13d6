"""SafePub's delta against its definition, and the mechanism against an attacker who knows both tables."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pyarrow as pa
import pytest
from scipy.stats import beta as beta_law

from comity.deidentify.generalise import anonymize
from comity.deidentify.hierarchies.hierarchy import Hierarchy
from comity.deidentify.models.checker import check
from comity.deidentify.models.class_models import DistinctLDiversity, KAnonymity
from comity.deidentify.models.safepub import SafePub, delta_of, least_k, published_delta, sampling_probability
from comity.errors import BadTable, UsageError
from comity.ledger.costs import approximate

TREE = Hierarchy.from_rows([("a", "ab"), ("b", "ab"), ("c", "cd"), ("d", "cd")])
FIXED = {"q": (1, 1)}


def shown(rows, k, beta):
    """The law of what a class of some rows shows: its sampled size, 0 below k."""
    law = {0: Fraction(0)}
    for j in range(rows + 1):
        chance = math.comb(rows, j) * beta**j * (1 - beta) ** (rows - j)
        at = j if j >= k else 0
        law[at] = law.get(at, Fraction(0)) + chance
    return law


def divergence(first, second, ratio):
    """The least delta with P[S] <= e^epsilon Q[S] + delta for every set S."""
    return sum((max(Fraction(0), p - ratio * second.get(at, Fraction(0))) for at, p in first.items()))


@pytest.mark.parametrize("epsilon", [0.3, 1, 2])
@pytest.mark.parametrize("k", [1, 2, 5, 12])
def test_delta_is_the_definitions_for_tables_of_up_to_sixty_rows(epsilon, k):
    beta = Fraction(float(sampling_probability(epsilon))).limit_denominator(200)
    if beta > 1 - math.exp(-epsilon):
        beta -= Fraction(1, 200)
    ratio = Fraction(math.exp(epsilon))
    most = Fraction(0)
    for rows in range(1, 60):
        more, fewer = shown(rows, k, beta), shown(rows - 1, k, beta)
        assert divergence(fewer, more, ratio) < 1e-15
        most = max(most, divergence(more, fewer, ratio))
    assert delta_of(epsilon, k, beta) == pytest.approx(float(most), rel=1e-9)


@pytest.mark.parametrize("epsilon", [0.3, 1, 3])
def test_delta_falls_with_k_and_lies_under_the_published_bound(epsilon):
    found = [delta_of(epsilon, k) for k in range(1, 30)]
    assert found == sorted(found, reverse=True)
    assert all(exact <= published_delta(epsilon, k) for k, exact in enumerate(found, start=1))


@pytest.mark.parametrize(("epsilon", "delta"), [(1, 1e-5), (2, 1e-6), (0.5, 1e-6), (0.1, 1e-4), (5, 1e-3)])
def test_k_is_the_least(epsilon, delta):
    k = least_k(epsilon, delta)
    assert delta_of(epsilon, k) <= delta < delta_of(epsilon, k - 1)


@pytest.mark.parametrize("epsilon", [0.001, 0.1, 1, 5, 20])
def test_sampling_keeps_to_epsilon(epsilon):
    beta = sampling_probability(epsilon)
    assert 0 < beta < 1
    assert -math.log1p(-float(beta)) <= epsilon * (1 + 1e-9)
    assert float(beta) == pytest.approx(-math.expm1(-epsilon), rel=1e-12)


def test_an_attacker_who_knows_both_tables_stays_under_the_bound():
    """Tables of m and m - 1 rows at the worst m; the attacker names the larger one where the class shows
    more than gamma m. Clopper-Pearson bounds; each side fails with probability under 2.5e-7."""
    epsilon, delta, runs = 1.0, 0.05, 50_000
    model = SafePub(epsilon, delta)
    gamma = 1 - (1 - float(model.probability)) * math.exp(-epsilon)
    rows = int((model.k - 1) / gamma) + 1

    def named_larger(held):
        sizes = model.drawn(held * runs).reshape(runs, held).sum(axis=1)
        sizes[sizes < model.k] = 0
        return int((sizes > gamma * rows).sum())

    hits, false = named_larger(rows), named_larger(rows - 1)
    least = beta_law.ppf(2.5e-7, hits, runs - hits + 1)
    most = beta_law.ppf(1 - 2.5e-7, false + 1, runs - false)
    assert least <= math.exp(epsilon) * most + delta
    # the attack is real: it finds most of the delta, and without small classes dropped it would find more
    assert hits / runs - math.exp(epsilon) * false / runs > delta_of(epsilon, model.k) - 0.03
    assert delta_of(epsilon, 1) > delta


def test_a_release_shows_classes_of_k_rows_or_none():
    model, table = SafePub(1.0, 0.05), pa.table({"q": ["a"] * 16})
    for _ in range(30):
        done = anonymize(
            table, quasi_identifiers={"q": TREE}, require=[model], suppression_limit=1, level_limits=FIXED
        )
        frame = done.frame.filter(pa.array(done.kept))
        assert check(frame, ["q"], [model]).holds
        assert len(frame) == 0 or len(frame) >= model.k


def test_an_empty_sample_is_for_the_steward_only():
    asked = {"require": [SafePub(0.46, 0.1)], "suppression_limit": 1, "level_limits": FIXED}

    def until_empty():  # one row, kept with probability 0.37: false alarm 3e-9
        for _ in range(20):
            anonymize(pa.table({"q": ["a"]}), quasi_identifiers={"q": TREE}, **asked)

    with pytest.raises(BadTable, match="an empty table leaves") as found:
        until_empty()
    assert found.value.private


def test_the_cost_can_be_charged():
    model = SafePub(1, 1e-5)
    assert model.cost == approximate(1, 1e-5, unit="record", relation="add-remove")
    assert (model.cost.unit, model.cost.relation) == ("record", "add-remove")
    assert "k = " in model.describe()


def test_only_sampled_rows_come_back():
    table = pa.table({"q": ["a", "b", "c", "d"] * 500})
    model = SafePub(1, 1e-5)
    done = anonymize(
        table, quasi_identifiers={"q": TREE}, require=[model], suppression_limit=1, level_limits=FIXED
    )
    spread = 6 * math.sqrt(2000 * 0.632 * 0.368)  # false alarm 2e-9
    assert abs(len(done.frame) - 2000 * 0.6321) < spread
    assert done.levels == {"q": 1}
    assert done.smallest_class >= model.k


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"level_limits": None}, "levels fixed in advance only.*'q' are open"),
        ({"level_limits": {"q": (0, 1)}}, "search for the best levels reads the data"),
        ({"method": "local"}, "levels differ by row"),
        ({"suppression_limit": 0.5}, "it has to be 1"),
        ({"require": [SafePub(1, 0.1), SafePub(2, 0.1)]}, "twice"),
        ({"require": [SafePub(1, 0.1), DistinctLDiversity("s", 2)]}, "only quasi|also has|k-anonymity only"),
        ({"frame": pa.table({"q": ["a"], "s": [1]})}, "also has 's'"),
    ],
)
def test_what_would_break_it_is_refused(change, words):
    asked = {
        "frame": pa.table({"q": ["a", "b"] * 50}),
        "quasi_identifiers": {"q": TREE},
        "require": [SafePub(1, 0.1)],
        "suppression_limit": 1,
        "level_limits": FIXED,
        **change,
    }
    with pytest.raises(UsageError, match=words):
        anonymize(asked.pop("frame"), **asked)


def test_it_goes_with_k_anonymity_and_refuses_bad_parameters():
    done = anonymize(
        pa.table({"q": ["a", "b"] * 200}),
        quasi_identifiers={"q": TREE},
        require=[KAnonymity(150), SafePub(1, 0.1)],
        suppression_limit=1,
        level_limits=FIXED,
    )
    assert done.smallest_class >= 150
    for epsilon, delta in ((0, 0.1), (1, 0), (1, 1), (1e-9, 0.1), (50, 0.1), (float("nan"), 0.1)):
        with pytest.raises(UsageError):
            SafePub(epsilon, delta)
    assert np.isclose(delta_of(1, SafePub(1, 1e-5).k), 8.467385e-06, rtol=1e-5)


SPLIT = Hierarchy.from_rows([("a", "ab"), ("b", "ab"), ("z", "zz"), ("c", "cd"), ("d", "cd")])


def released(frame):
    model = SafePub(1.0, 0.05)
    return anonymize(
        frame, quasi_identifiers={"q": SPLIT}, require=[model], suppression_limit=1, level_limits=FIXED
    )


@pytest.mark.parametrize("kind", ["arrow", "pandas", "polars", "duckdb", "table"])
def test_nothing_but_the_released_rows_comes_back(kind):
    import duckdb
    import polars as pl

    from comity.data import Table

    plain = pa.table({"q": ["a"] * 300 + ["z"] + ["d"] * 300})
    odd = pa.table({"q": ["a"] * 300 + ["z", "*", None] + ["d"] * 300})
    made = {
        "arrow": lambda table: pa.Table.from_pandas(table.to_pandas()),
        "pandas": lambda table: table.to_pandas(),
        "polars": pl.from_arrow,
        "duckdb": duckdb.from_arrow,
        "table": Table,
    }[kind]
    first, second = released(made(plain)), released(made(odd))
    assert first.hierarchies == second.hierarchies
    for done in (first, second):
        frame = done.frame.arrow if kind == "table" else done.frame
        if kind == "pandas":
            assert list(frame.index) == list(range(len(frame)))
            assert not frame.attrs
            texts = list(frame["q"])
        else:
            arrow = frame.to_arrow_table() if kind == "duckdb" else pa.table(frame)
            assert arrow.schema.metadata is None
            assert not pa.types.is_dictionary(arrow.schema.field("q").type)
            texts = arrow["q"].to_pylist()
        assert set(texts) == {"ab", "cd"}
        assert done.kept.tolist() == [True] * len(texts)
        # 190 of each at the least: a random order has them sorted with probability under 1e-100
        assert texts not in (sorted(texts), sorted(texts, reverse=True))


def test_an_attacker_learns_no_more_of_one_row_from_the_frame():
    """Does a table hold one row "z" at its end? The attacker looks for a row that reads "*", at the last row,
    for rows in their order, and at the hierarchy. Clopper-Pearson bounds; false alarm below 1e-6 in all."""
    epsilon, delta, runs = 1.0, 0.05, 300
    attacks = {
        "star": lambda done: "*" in done.frame["q"].to_pylist(),
        "last": lambda done: (done.frame["q"].to_pylist() or ["ab"])[-1] != "ab",
        "class": lambda done: "zz" in done.frame["q"].to_pylist(),
        "leaf": lambda done: len(done.hierarchies["q"].rows) != len(SPLIT.rows) + 1,
        "order": lambda done: done.frame["q"].to_pylist()[:12] == ["ab"] * 12,
    }
    fewer = pa.table({"q": ["a"] * 30 + ["d"] * 30})
    for more in (
        pa.table({"q": [*fewer["q"].to_pylist(), "z"]}),
        pa.table({"q": [*fewer["q"].to_pylist(), None]}),
    ):
        hits = {name: [0, 0] for name in attacks}
        for _ in range(runs):
            for which, table in enumerate((more, fewer)):
                done = released(table)
                for name, attack in attacks.items():
                    hits[name][which] += attack(done)
        for name, (with_it, without) in hits.items():
            least = beta_law.ppf(4e-8, with_it, runs - with_it + 1) if with_it else 0.0
            most = beta_law.ppf(1 - 4e-8, without + 1, runs - without) if without < runs else 1.0
            assert least <= math.exp(epsilon) * most + delta, name
        assert hits["star"] == hits["class"] == hits["leaf"] == [0, 0]
