"""`federated` beyond the contract: drop-outs over a channel, its units, what is refused, and what is told."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import roc_auc_score

from comity.architectures import federated_provider, federated_server, find
from comity.architectures.definition import Options, Parties, Pilot
from comity.architectures.federated_attacks import attacks, canary_attack
from comity.architectures.federated_features import Features
from comity.architectures.federated_terms import threshold
from comity.compare.settings import ML_PARTY
from comity.data.table import Table
from comity.errors import (
    BadInput,
    BadSchema,
    BadTable,
    ClauseRefused,
    PartyFailed,
    Refused,
    VerificationFailed,
)
from comity.plan import Notice, Refusal
from comity.schema import Schema
from comity.train.federated import descent
from comity.train.federated.clients import REVEAL, SURVIVORS, TRAIN
from comity.train.federated.engine import flower
from comity.train.federated.records import record
from comity.wire import Query

pytestmark = pytest.mark.slow

FIVE = ("north", "south", "west", "east", "hill")
EXACT = Options(mode="exact")


class Leaving:
    """A provider's channel that is cut when a message about `topic` is due for the `times`-th time."""

    def __init__(self, channel: Any, topic: str, times: int = 1) -> None:
        self._channel, self._topic, self._left = channel, topic, times

    def __getattr__(self, name: str) -> Any:
        return getattr(self._channel, name)

    def send(self, recipient: str, item: Any) -> None:
        self._left -= item.topic == self._topic
        if self._left == 0 and item.topic == self._topic:
            raise PartyFailed("its line is cut")
        self._channel.send(recipient, item)


def cut(party: str, topic: str, times: int = 1) -> Callable[[str, Any], Any]:
    return lambda name, channel: Leaving(channel, topic, times) if name == party else channel


def auc_of(outcome: Any, stage: Any) -> float:
    scores = pq.read_table(outcome.sessions[ML_PARTY] / "scores.parquet").column("federated")
    labels = stage.inputs.test_labels
    return float(roc_auc_score(labels, np.asarray(scores)[: len(labels)]))


@pytest.mark.parametrize("topic", ["open", "query.shares", TRAIN, REVEAL])
def test_a_provider_that_drops_out_anywhere_is_borne(topic: str, stage_of: Any, tmp_path: Path) -> None:
    stage = stage_of(tmp_path, names=FIVE)
    outcome = stage.play("federated", options=Options(mode="private"), wrap=cut("west", topic))
    assert set(outcome.errors) == {"west"}
    assert outcome.figures[ML_PARTY]["stayed"] == [name for name in FIVE if name != "west"]
    assert outcome.figures[ML_PARTY]["drop_outs_borne"] == 1
    assert auc_of(outcome, stage) > 0.6
    for name in stage.inputs.providers:
        assert outcome.kinds(name).count("charged") == 1


def test_one_drop_out_more_than_is_borne_leaves_no_result(stage_of: Any, tmp_path: Path) -> None:
    stage = stage_of(tmp_path, names=("north", "south", "west"))
    outcome = stage.play("federated", options=EXACT, wrap=cut("west", TRAIN, 3))
    assert isinstance(outcome.errors[ML_PARTY], PartyFailed)
    assert "2 of 3 members are left and the threshold is 3" in str(outcome.errors[ML_PARTY])
    assert not (outcome.sessions[ML_PARTY] / "scores.parquet").exists()


class Garbling:
    """A provider's channel that changes what it sends about a topic."""

    def __init__(self, channel: Any, topic: str, change: Callable[[Any], Any]) -> None:
        self._channel, self._topic, self._change = channel, topic, change

    def __getattr__(self, name: str) -> Any:
        return getattr(self._channel, name)

    def send(self, recipient: str, item: Any) -> None:
        sent = self._change(item) if item.topic == self._topic else item
        self._channel.send(recipient, sent)
        if isinstance(sent, Refusal):
            raise PartyFailed("it stops")


def garbage_for_south(item: Any) -> Any:
    parts = {name: bytes(len(data)) if "south" in name else data for name, data in item.parts.items()}
    return Notice(item.topic, item.body, parts)


def odd_kind(item: Any) -> Any:
    return Notice(item.topic, {**item.body, "arrays": {"x": {"kind": [], "shape": [0]}}}, item.parts)


def refused(item: Any) -> Any:
    return Refusal(item.topic, {"code": "failed", "message": "no more"})


@pytest.mark.parametrize(
    ("topic", "change", "words"),
    [
        ("query.shares", garbage_for_south, None),
        (SURVIVORS, odd_kind, "cannot be read"),
        (TRAIN, refused, "'west' refused: no more"),
    ],
)
def test_one_provider_that_sends_garbage_ends_its_own_part(
    topic: str, change: Callable[[Any], Any], words: str | None, stage_of: Any, tmp_path: Path
) -> None:
    stage = stage_of(tmp_path, names=FIVE)
    outcome = stage.play(
        "federated",
        options=EXACT,
        wrap=lambda name, channel: Garbling(channel, topic, change) if name == "west" else channel,
    )
    assert set(outcome.errors) <= {"west"}
    figures = outcome.figures[ML_PARTY]
    assert figures["stayed"] == [name for name in FIVE if name != "west"]
    assert figures.get("refused", {}).keys() == ({"west"} if words else set())
    assert words is None or words in figures["refused"]["west"]
    if words is None or words == "cannot be read":
        assert "'west' was left out" in str(outcome.errors["west"])
    assert auc_of(outcome, stage) > 0.6


def test_a_provider_that_refuses_at_the_start_is_borne(stage_of: Any, tmp_path: Path) -> None:
    stage = stage_of(tmp_path, names=FIVE)
    path = stage.folder / "west" / "tables" / "train.parquet"
    pq.write_table(pq.read_table(path).drop_columns(["pulse"]), path)
    outcome = stage.play("federated", options=EXACT)
    assert set(outcome.errors) == {"west"}
    assert "charged" not in outcome.kinds("west")
    assert list(outcome.figures[ML_PARTY]["refused"]) == ["west"]
    assert "pulse" not in str(outcome.figures[ML_PARTY])


def test_whatever_a_members_bytes_lead_to_it_is_that_member_that_is_gone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(*given: Any) -> Any:
        raise RuntimeError("a reader met what nobody thought of")

    monkeypatch.setattr(federated_server, "receive_notice", lambda *given: SimpleNamespace(body={}, parts={}))
    monkeypatch.setattr(federated_server, "from_parts", broken)
    gone: dict[str, Any] = {}
    carrier = federated_server._Carrier(None, SimpleNamespace(send=lambda *given: None), gone)  # type: ignore[arg-type]
    message = flower("flwr.app").Message(record(config={}), 1, "query.keys")
    assert carrier.carry([("west", message)]) == [None]
    assert "'west' sent about 'query.keys' what cannot be read" in str(gone["west"])


class Lying:
    """An ML party's channel that changes what it asks one provider about a topic."""

    def __init__(self, channel: Any, victim: str, topic: str, change: Callable[[Any], Any]) -> None:
        self._channel, self._victim, self._topic, self._change = channel, victim, topic, change

    def __getattr__(self, name: str) -> Any:
        return getattr(self._channel, name)

    def send(self, recipient: str, item: Any) -> None:
        if recipient == self._victim and item.topic == self._topic:
            item = self._change(item)
        self._channel.send(recipient, item)


def with_config(item: Any, **changes: Any) -> Any:
    return Query(item.topic, {**item.body, "config": {**item.body["config"], **changes}}, item.parts)


def nan_weights(item: Any) -> Any:
    parts = {name: np.full(len(data) // 8, np.nan).tobytes() for name, data in item.parts.items()}
    return Query(item.topic, item.body, parts)


def other_weights(item: Any) -> Any:
    parts = {name: (np.frombuffer(data, "<f8") + 1e-3).tobytes() for name, data in item.parts.items()}
    return Query(item.topic, item.body, parts)


def later_weights(item: Any) -> Any:
    return other_weights(item) if item.body["config"]["round"] else item


def far_weights(item: Any) -> Any:
    """To all the same, as a server would that asks with a model of its own making."""
    if not item.body["config"]["round"]:
        return item
    parts = {name: (np.frombuffer(data, "<f8") + 12.0).tobytes() for name, data in item.parts.items()}
    return Query(item.topic, item.body, parts)


def short_weights(item: Any) -> Any:
    arrays = {"weights": {"kind": "<f8", "shape": [2]}}
    return Query(item.topic, {**item.body, "arrays": arrays}, {"array:weights": bytes(16)})


@pytest.mark.parametrize(
    ("topic", "change", "error"),
    [
        (TRAIN, other_weights, BadInput),
        (TRAIN, later_weights, PartyFailed),
        (TRAIN, far_weights, BadInput),
        (TRAIN, nan_weights, BadInput),
        (TRAIN, short_weights, BadInput),
        (TRAIN, lambda item: with_config(item, round=1), VerificationFailed),
        (TRAIN, lambda item: with_config(item, active=["north", "south"]), ClauseRefused),
        (SURVIVORS, lambda item: with_config(item, names=["north", "south"]), VerificationFailed),
        (REVEAL, lambda item: with_config(item, names=["north"]), (VerificationFailed, BadInput)),
        ("query.keys", lambda item: Query(item.topic, {"odd": 1}, {}), BadInput),
    ],
)
def test_a_server_that_lies_to_one_provider_gets_nothing(
    topic: str, change: Callable[[Any], Any], error: type[Exception], stage_of: Any, tmp_path: Path
) -> None:
    stage = stage_of(tmp_path, names=("north", "south", "west"))

    def wrap(name: str, channel: Any) -> Any:
        return Lying(channel, "north", topic, change) if name == ML_PARTY else channel

    outcome = stage.play("federated", options=EXACT, wrap=wrap)
    assert isinstance(outcome.errors["north"], error) or isinstance(outcome.errors[ML_PARTY], error)
    assert ML_PARTY not in outcome.figures
    assert not (outcome.sessions[ML_PARTY] / "scores.parquet").exists()
    reveals = [
        message for message in outcome.sent["north"] if message.topic == REVEAL and message.kind == "notice"
    ]
    # what honest rounds before it opened stays opened
    assert len(reveals) == (change in (later_weights, far_weights))


@pytest.mark.parametrize("what", ["epsilon", "features"])
def test_providers_that_were_told_different_things_mask_nothing(
    what: str, stage_of: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A provider's noise is enough only with the others': a server that has one of them add more noise than
    the rest, or look at other features, gets no vector of any."""
    stage = stage_of(tmp_path, names=("north", "south", "west"))
    group = federated_provider.group_of

    def told(seat: Any, features: Any) -> Any:
        if seat.party == "north" and what == "epsilon":
            seat = dataclasses.replace(seat, options=dataclasses.replace(seat.options, epsilon=0.1))
        if seat.party == "north" and what == "features":
            scales = {name: (mean, scale * 0.5) for name, (mean, scale) in features.scales.items()}
            features = dataclasses.replace(features, scales=scales)
        return group(seat, features)

    monkeypatch.setattr(federated_provider, "group_of", told)
    outcome = stage.play("federated", options=Options(mode="private"))
    assert isinstance(outcome.errors[ML_PARTY], VerificationFailed | PartyFailed | Refused)
    for name in stage.inputs.providers:
        assert name in outcome.errors
        assert not [message for message in outcome.sent[name] if message.topic == TRAIN]


def test_an_error_at_a_provider_reaches_the_ml_party_as_a_code(
    stage_of: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*given: Any) -> Any:
        raise ValueError("row 17 holds 42.125")

    monkeypatch.setattr(descent, "gradient_sums", broken)
    stage = stage_of(tmp_path, names=("north", "south", "west"))
    outcome = stage.play("federated", options=Options(mode="private"))
    told = [
        json.dumps(dict(message.body)) + str(message.parts)
        for name in stage.inputs.providers
        for message in outcome.sent[name]
    ]
    assert not any("42.125" in text or "row 17" in text for text in told)
    assert "42.125" not in str(outcome.errors[ML_PARTY])
    assert isinstance(outcome.errors[ML_PARTY], Refused)
    assert any("42.125" in str(outcome.errors[name]) for name in stage.inputs.providers)


def test_everything_that_leaves_is_sealed_or_made_of_no_data(stage_of: Any, tmp_path: Path) -> None:
    stage = stage_of(tmp_path, names=("north", "south", "west"))
    outcome = stage.play("federated", options=Options(mode="private"))
    for name in stage.inputs.providers:
        kinds = {message.kind for message in outcome.sent[name]}
        assert kinds == {"share", "notice"}
        released = outcome.ledgers[name].events("released")
        assert all(entry.body["sealed"] for entry in released)
        assert len(released) == 1 + descent.ROUNDS
    assert not {"a row", "ids"} & set(find("federated").seen_by["ml_party"])


def test_what_a_table_lacks_is_found_before_the_charge(stage_of: Any, tmp_path: Path) -> None:
    stage = stage_of(tmp_path, names=("north", "south", "west"))
    path = stage.folder / "north" / "tables" / "train.parquet"
    table = pq.read_table(path)
    pq.write_table(table.drop_columns(["age"]), path)
    outcome = stage.play("federated", options=Options(mode="private"))
    assert isinstance(outcome.errors["north"], BadTable)
    assert "age" in str(outcome.errors["north"])
    assert "charged" not in outcome.kinds("north")
    assert "column" not in str(outcome.sent["north"][-1].body)


def test_a_sorted_table_is_not_withheld(stage_of: Any, tmp_path: Path) -> None:
    """Sorted by label, the halves of the table as it lies differ with an advantage near 1."""
    stage = stage_of(tmp_path, names=("north", "south", "west"))
    for name in stage.inputs.providers:
        path = stage.folder / name / "tables" / "train.parquet"
        pq.write_table(pq.read_table(path).sort_by("ill"), path)
    outcome = stage.play("federated", options=EXACT)
    assert outcome.errors == {}


def test_a_row_has_no_part_in_another_rows_odds(stage_of: Any, tmp_path: Path) -> None:
    """To the last bit: what a row moves a sum by is then its own gradient and nothing else."""
    stage = stage_of(tmp_path, names=("north", "south", "west"))
    seeds = Table(pq.read_table(stage.folder / ML_PARTY / "tables" / "seed.parquet"))
    features = Features.drawn_up(stage.inputs.task, seeds)
    rows = pa.concat_tables([stage.inputs.train["north"]] * 9)
    weights = np.random.default_rng(0).normal(size=features.width + 1)
    together = features.odds(weights, Table(rows))
    assert np.array_equal(features.odds(weights, Table(rows.slice(1))), together[1:])
    one = [features.odds(weights, Table(rows.slice(at, 1)))[0] for at in range(40)]
    assert np.array_equal(one, together[:40])
    dense = np.clip(features.matrix(Table(rows)) @ weights[:-1] + weights[-1], -9, 9)
    np.testing.assert_allclose(together, dense, atol=1e-5)


def test_one_provider_at_least_looks_on(stage_of: Any, tmp_path: Path) -> None:
    """A clause without colluders: its noise still bears the provider that sees every round's model."""

    def alone(document: dict[str, Any]) -> None:
        document["architectures"]["federated"] |= {"colluders": 0}

    stage = stage_of(tmp_path, names=("north", "south", "west"))
    outcome = stage.play("federated", options=Options(mode="private"), change=alone)
    assert outcome.figures[ML_PARTY]["noise_excess"] == pytest.approx(3 / 2)


def party_unit(document: dict[str, Any]) -> None:
    document["architectures"]["federated"] |= {"unit": "party", "rounds": 4, "model": "network"}


def test_a_whole_provider_can_be_the_unit(stage_of: Any, tmp_path: Path) -> None:
    stage = stage_of(tmp_path, names=("north", "south", "west"))
    outcome = stage.play("federated", options=Options(mode="private", epsilon=8.0), change=party_unit)
    assert outcome.errors == {}
    for name in stage.inputs.providers:
        (charged,) = outcome.ledgers[name].events("charged")
        assert charged.body["account"].endswith("/party")
        assert (charged.body["cost"]["unit"], charged.body["cost"]["relation"]) == ("party", "add-remove")


def fedprox(document: dict[str, Any]) -> None:
    document["architectures"]["federated"] |= {"strategy": "fedprox", "proximal": 0.01, "model": "logistic"}


def test_fedprox_by_the_clause(stage_of: Any, tmp_path: Path) -> None:
    stage = stage_of(tmp_path, names=("north", "south", "west"))
    outcome = stage.play("federated", options=EXACT, change=fedprox)
    assert outcome.errors == {}
    assert auc_of(outcome, stage) > 0.6
    assert outcome.figures[ML_PARTY]["rows_used"] == sum(
        table.num_rows for table in stage.inputs.train.values()
    )


@pytest.mark.parametrize(
    ("mode", "change"),
    [
        ("exact", {"epsilon": 1.0, "delta": 1e-6, "unsafe_exact": False, "model": "logistic"}),
        ("private", {"epsilon": None, "delta": None, "unsafe_exact": True}),
        ("private", {"rounds": 5}),
    ],
)
def test_what_the_clause_does_not_allow_is_refused(
    mode: str, change: dict[str, Any], stage_of: Any, tmp_path: Path
) -> None:
    stage = stage_of(tmp_path, names=("north", "south", "west"))

    def edit(document: dict[str, Any]) -> None:
        document["architectures"]["federated"] |= change
        for data in document["data"]:
            data.setdefault("budget", {"epsilon": 1.0, "delta": 1e-6, "delta_additive": 9e-7})

    outcome = stage.play("federated", options=Options(mode=mode), change=edit)
    assert outcome.figures == {}
    for name in stage.inputs.providers:
        assert isinstance(outcome.errors[name], ClauseRefused)
        assert "charged" not in outcome.kinds(name)


def test_too_small_a_table_is_withheld_where_nothing_is_noisy(
    stage_of: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(federated_provider, "LEAST_ROWS", 10_000)
    stage = stage_of(tmp_path, names=("north", "south", "west"))
    outcome = stage.play("federated", options=EXACT)
    for name in stage.inputs.providers:
        assert outcome.errors[name].code == "withheld"
        assert "released" not in outcome.kinds(name)
        assert "rows" not in str(outcome.sent[name][-1].body["message"])


def test_attacks_stay_within_their_bounds(stage_of: Any, tmp_path: Path) -> None:
    """Made-up tables: what is asserted is that nothing is found beyond the bound's interval by far (a
    canary's interval holds with 95%; its point lies 5 standard deviations under the bound, a chance below
    1e-6)."""
    stage = stage_of(tmp_path, names=("north", "south", "west"))
    for options in (Options(mode="private"), EXACT):
        outcome = stage.play("federated", options=options, run=options.mode or "")
        assert outcome.errors == {}
        draw = np.random.default_rng(0)
        pilot = Pilot(
            task=stage.inputs.task,
            options=options,
            members=stage.inputs.train,
            outsiders=stage.inputs.test,
            outsiders_of=stage.inputs.held_out,
            sessions=outcome.sessions,
            figures=outcome.figures,
            ml_party=ML_PARTY,
            member_scores=draw.random(200),
            member_labels=draw.integers(0, 2, 200),
            outsider_scores=draw.random(200),
            outsider_labels=draw.integers(0, 2, 200),
        )
        found = attacks(pilot)
        assert {"membership", "inversion", "inversion-masked"} <= set(found)
        bounded = [each for each in found.values() if each.bound is not None]
        assert len(bounded) == (0 if options.mode == "exact" else 4)
        assert all(each.within_bound or each.low <= (each.bound or 0.0) for each in bounded)


@pytest.mark.parametrize(("epsilon", "members"), [(0.3, 3), (3.0, 7)])
def test_a_canary_is_told_apart_no_better_than_the_bound_and_about_as_well_as_the_noise_lets(
    epsilon: float, members: int
) -> None:
    """20,000 trials: 5 standard deviations are 0.035, a false alarm below 1e-6 each way."""
    found = canary_attack(Options(epsilon=epsilon), members)
    assert found.bound is not None
    assert found.advantage - 0.035 < found.bound
    assert abs(found.control or 0.0) < 0.035
    if epsilon == 3.0:
        assert found.advantage > 0.1


def test_thresholds_bear_a_colluder_and_a_drop_out_where_there_are_enough() -> None:
    assert [threshold(members) for members in (3, 4, 5, 9, 10)] == [3, 4, 4, 8, 8]
    for members in range(3, 60):
        assert 2 * threshold(members) - members > 1


def test_it_is_skipped_with_a_reason_for_two_providers(stage_of: Any, tmp_path: Path) -> None:
    stage = stage_of(tmp_path, names=("north", "south"))
    reason = find("federated").skip(stage.inputs.task, stage.inputs.providers)
    assert reason == "secure aggregation hides an update among 3 providers or more; there are 2"


def test_the_clause_depends_on_how_many_providers_there_are() -> None:
    found = find("federated")
    drawn = found.clause_of(Options(mode="private"), Parties(FIVE, "ml", "m"))
    assert (drawn["threshold"], drawn["colluders"], drawn["rounds"]) == (4, 1, descent.ROUNDS)
    exact = found.clause_of(EXACT, Parties(FIVE[:3], "ml", "m"))
    assert exact["unsafe_exact"] is True
    assert "epsilon" not in exact


def cut_otherwise(document: dict[str, Any], kind: str, cut: list[Any]) -> dict[str, Any]:
    """The features' encoder with one column's edges or levels exchanged."""
    columns = [dict(column) for column in document["encoder"]["columns"]]
    found = next(column for column in columns if kind in column)
    found[kind] = cut
    return {**document["encoder"], "columns": columns}


def test_features_are_held_against_the_schema(stage_of: Any, tmp_path: Path) -> None:
    stage = stage_of(tmp_path, names=("north", "south", "west"))
    task = stage.inputs.task
    seeds = Table(pq.read_table(stage.folder / ML_PARTY / "tables" / "seed.parquet"))
    features = Features.drawn_up(task, seeds)
    document = json.loads(json.dumps(features.to_dict()))
    read = Features.from_dict(document, task)
    assert read == features
    turned = {**document, "scales": dict(reversed(document["scales"].items()))}
    train = Table(stage.inputs.train["north"])
    assert np.array_equal(Features.from_dict(turned, task).matrix(train), features.matrix(train))
    rows = Table(stage.inputs.train["north"])
    assert read.matrix(rows).shape == (rows.rows, read.width)
    assert np.isfinite(read.matrix(rows)).all()
    assert Features.drawn_up(task, Table(seeds.arrow.slice(0, 0))).encoder.width > 0
    target = {"name": task.target, "levels": ["yes"]}
    for broken in (
        {},
        {**document, "more": 1},
        {**document, "encoder": {"format": 1, "columns": [target]}},
        {**document, "encoder": {"format": 1, "columns": []}},
        {**document, "encoder": {"format": 1, "columns": [document["encoder"]["columns"][0]] * 2}},
        {**document, "scales": {"age": [0.0, 0.0]}},
        {**document, "scales": {"age": [float("nan"), 1.0]}},
        {**document, "scales": {task.target: [0.0, 1.0]}},
        {**document, "scales": {"age": [1e9, 1.0]}},
        {**document, "scales": {"age": [40.0, 1e-12]}},
        {**document, "encoder": cut_otherwise(document, "edges", [-1e9])},
        {**document, "encoder": cut_otherwise(document, "levels", ["a level of its own"])},
        {**document, "scales": []},
    ):
        with pytest.raises(BadInput):
            Features.from_dict(broken, task)


def test_private_features_need_public_bounds(stage_of: Any, tmp_path: Path) -> None:
    stage = stage_of(tmp_path, names=("north", "south", "west"))
    task = stage.inputs.task
    columns = {
        name: column.model_copy(update={"min": None, "max": None, "values": None})
        for name, column in task.schema.columns.items()
    }
    bare = type(task)(Schema(columns=columns, unit=task.schema.unit), task.target, task.positive, task.id)
    with pytest.raises(BadSchema, match="age"):
        Features.drawn_up(bare, Table(pa.table({"age": [1]})))
    assert "public bounds" in (find("federated").skip(bare, ("a", "b", "c")) or "")
