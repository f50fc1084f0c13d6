"""`encrypted` beyond the contract: two providers and the mediator, columns, predictions, another program."""

from __future__ import annotations

import csv
import json
import random
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import NormalDist
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError
from sklearn.metrics import roc_auc_score

from comity.agreement import EncryptedClause
from comity.agreement.training_clauses import Opened
from comity.architectures import find
from comity.architectures.definition import Options, Parties, Task
from comity.architectures.encrypted_attacks import canary_attack
from comity.architectures.encrypted_compute import (
    MEMBER,
    Computing,
    Watch,
    require_same_program,
    shared_shapes,
)
from comity.architectures.encrypted_ml_party import _share_of_result
from comity.architectures.encrypted_terms import (
    COLLUDERS,
    LEAST_ROWS,
    MOST_CELLS,
    MOST_ROWS,
    Terms,
    clause,
    compute_among,
)
from comity.compare.progress import quiet
from comity.compare.run import run_comparison
from comity.compare.settings import MEDIATOR, ML_PARTY, Settings
from comity.crypto.keys import SigningKey
from comity.errors import ClauseRefused, PartyFailed, UsageError, VerificationFailed
from comity.ledger import Ledger
from comity.report.reading import MAX_TEXT
from comity.schema import parse_schema
from comity.train.encrypted.features import Features, Number
from comity.train.encrypted.noisy import NoiseParts, training_of
from comity.train.encrypted.settings import Kind as Model
from comity.train.encrypted.settings import Partition
from comity.train.encrypted.sharing import SCHEMES
from comity.wire import Kind

pytestmark = pytest.mark.slow
EXACT = Options(mode="exact")


def auc_of(stage: Any, outcome: Any) -> float:
    scores = pq.read_table(outcome.sessions[ML_PARTY] / "scores.parquet")
    tests = len(stage.inputs.test_labels)
    return float(roc_auc_score(stage.inputs.test_labels, np.asarray(scores.column(0))[:tests]))


def test_the_guarantee_says_what_row_counts_tell_and_what_a_changed_record_costs() -> None:
    note = find("encrypted").guarantee(Options(mode="private")).note
    assert "how many rows each provider has" in note
    assert "whether one more is there" in note
    assert "a little over twice the ε" in note
    assert len(note) < MAX_TEXT  # the page cuts longer text


def test_who_computes() -> None:
    assert compute_among(Parties(("a", "b"), "m", "t")) == ("a", "b", "t")
    assert compute_among(Parties(("a", "b", "c", "d"), "m", "t")) == ("a", "b", "c")
    told = clause(Options(mode="exact", partition="columns"), Parties(("a", "b"), "m", "t"))
    assert told["membership_to"] == ["a", "b"]
    assert told["unsafe_exact"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"protocol": "cheetah", "compute": ("a", "b")}, "it is aby3"),
        ({"model": "linear"}, "it is logistic"),
        ({"membership_to": ("a", "b")}, "records are not aligned"),
    ],
)
def test_a_clause_with_noise_says_nothing_that_noise_does_not_cover(
    change: dict[str, Any], words: str
) -> None:
    sound = {"epsilon": 1.0, "delta": 1e-6, "protocol": "aby3", "compute": ("a", "b", "c")}
    assert EncryptedClause.model_validate(sound).spending_limit == (1.0, 1e-6)
    with pytest.raises(ValidationError, match=words):
        EncryptedClause.model_validate({**sound, **change})
    exact = {**sound, **change, "epsilon": None, "delta": None, "unsafe_exact": True}
    assert EncryptedClause.model_validate(exact).unsafe_exact


def test_two_providers_and_the_mediator_give_predictions_and_keep_the_model(
    stage_of: Callable[..., Any], tmp_path: Path
) -> None:
    stage = stage_of(tmp_path)

    def change(document: dict[str, Any]) -> None:
        document["architectures"]["encrypted"] |= {"opens": "predictions", "model": "linear"}

    outcome = stage.play("encrypted", options=EXACT, change=change)
    assert outcome.errors == {}
    assert auc_of(stage, outcome) > 0.6
    assert not (outcome.sessions[ML_PARTY] / "model.json").exists()
    assert all(outcome.figures[name]["engine_bytes"] > 0 for name in ("north", "south", MEDIATOR))
    # what leaves each provider is one exact release: opened once, drawn on for the rest
    for name in ("north", "south"):
        assert outcome.kinds(name).count("charged") == 1
        released = [entry.body for entry in outcome.ledgers[name].events("released")]
        assert [body["sealed"] for body in released] == [True] * 3
        assert [body["exact"] for body in released] == [True, False, False]
    nothing_of_a_share_lies_about(stage, outcome)


@pytest.fixture
def numbers(stage_of: Callable[..., Any], tmp_path: Path) -> Any:
    """A stage whose target is a number between 0 and 1,000; a row of south's is out of these bounds."""
    stage = stage_of(tmp_path)
    draw = np.random.default_rng(5)
    for folder in stage.inputs.folders.values():
        for path in (folder / "tables").glob("*.parquet"):
            table = pq.read_table(path)
            age, job = np.asarray(table.column("age"), dtype=float), np.asarray(table.column("job"))
            cost = 100 + 5 * age + 100 * (job == "b") + draw.normal(0, 20, len(age))
            if path.parts[-3:] == ("south", "tables", "train.parquet"):
                cost[0] = 1e6
            pq.write_table(table.append_column("cost", pa.array(cost)), path)
    document = stage.inputs.task.schema.to_dict()
    del document["columns"]["ill"]
    document["columns"]["cost"] = {"role": "target", "type": "number", "min": 0.0, "max": 1000.0}
    task = Task(parse_schema(document, where="the test"), "cost", "1", stage.inputs.task.id)
    stage.inputs = replace(stage.inputs, task=task)
    return stage


def test_two_providers_alone_predict_a_number_and_keep_the_model(numbers: Any) -> None:
    """CHEETAH between the two, linear regression, predictions to the ML party."""

    def change(document: dict[str, Any]) -> None:
        document["architectures"]["encrypted"] |= {
            "protocol": "cheetah", "compute": ["north", "south"], "model": "linear", "opens": "predictions",
        }  # fmt: skip

    outcome = numbers.play("encrypted", options=EXACT, change=change)
    assert outcome.errors == {}
    assert outcome.figures[MEDIATOR] == {}
    told = np.asarray(pq.read_table(outcome.sessions[ML_PARTY] / "scores.parquet").column(0))
    probe = pq.read_table(numbers.inputs.folders[ML_PARTY] / "tables" / "probe.parquet")
    true = np.asarray(probe.column("cost"))
    assert np.corrcoef(told, true)[0, 1] > 0.95
    assert np.abs(told - true).mean() < 25  # the noise itself is 16 off in the mean
    assert not (outcome.sessions[ML_PARTY] / "model.json").exists()
    nothing_of_a_share_lies_about(numbers, outcome)


def refused(outcome: Any, words: str) -> None:
    """Before anything left, with these words, to everybody."""
    assert outcome.figures == {}
    for name, sent in outcome.sent.items():
        assert words in str(outcome.errors[name])
        assert not [message for message in sent if message.kind == Kind.share]
    assert not [name for name in outcome.sent if {"charged", "released"} & set(outcome.kinds(name))]


def test_a_number_without_bounds_is_refused_before_anything_leaves(numbers: Any) -> None:
    document = numbers.inputs.task.schema.to_dict()
    del document["columns"]["cost"]["max"]
    task = replace(numbers.inputs.task, schema=parse_schema(document, where="the test"))
    numbers.inputs = replace(numbers.inputs, task=task)

    def change(document: dict[str, Any]) -> None:
        document["architectures"]["encrypted"] |= {"model": "linear"}

    refused(numbers.play("encrypted", options=EXACT, change=change), "add min and max")


@pytest.mark.parametrize(
    ("mode", "names", "words"),
    [
        ("exact", ("north", "south", "west"), "aligning records tells both providers"),
        ("exact", ("north", "south"), "'age' is one provider's"),
        ("private", ("north", "south"), "noise in the model does not hide that"),
    ],
)
def test_columns_that_cannot_be_aligned_are_refused_before_anything_leaves(
    mode: str, names: tuple[str, ...], words: str, stage_of: Callable[..., Any], tmp_path: Path
) -> None:
    stage = stage_of(tmp_path, names=names)
    refused(stage.play("encrypted", options=Options(mode=mode, partition="columns")), words)


def test_what_the_file_itself_says_is_refused_before_a_charge(
    stage_of: Callable[..., Any], tmp_path: Path
) -> None:
    """A column that a table lacks, which only its holder is told of."""
    stage = stage_of(tmp_path)
    path = stage.inputs.folders["south"] / "tables" / "train.parquet"
    whole = pq.read_table(path)
    pq.write_table(whole.drop_columns(["pulse"]), path)
    lacking = stage.play("encrypted", options=EXACT)
    assert "lacks the columns pulse" in str(lacking.errors["south"])
    assert "pulse" not in str(lacking.errors[ML_PARTY])
    assert lacking.figures == {}
    assert not [name for name in ("north", "south") if "charged" in lacking.kinds(name)]


def made_terms(columns: int = 1) -> Terms:
    features = Features(tuple(Number(f"n{at}", 0.0, 1.0) for at in range(columns)), ())
    return Terms(
        compute=("north", "south", "west"),
        scheme=SCHEMES["aby3"],
        kind=Model.logistic,
        opens=Opened.model,
        exact=False,
        partition=Partition.rows,
        features=features,
        blocks=dict.fromkeys(("north", "south", "west"), features),
        labelled=("north", "south", "west"),
        privacy=(4.0, 1e-6),
    )


@pytest.mark.parametrize("columns", [1, 30, 250])
@pytest.mark.parametrize("rows", [(100, 200, 300), (900_000, 90_000, 25), (10**7, 10**7, 10**7)])
def test_of_many_rows_everybody_shares_the_same_part(columns: int, rows: tuple[int, ...]) -> None:
    terms = made_terms(columns)
    wide = terms.features.width + 1
    has = dict(zip(terms.labelled, rows, strict=True))
    shares = terms.shared(has)
    assert all(LEAST_ROWS <= shares[name] <= has[name] for name in has)
    assert sum(shares.values()) * wide <= MOST_CELLS + LEAST_ROWS * 3 * wide
    assert sum(shares.values()) <= MOST_ROWS + LEAST_ROWS * 3
    if sum(rows) < 1_000:
        assert shares == has
    if min(rows) > 10**6:
        assert sum(shares.values()) >= 0.99 * min(MOST_ROWS, MOST_CELLS // wide)
    assert replace(terms, kind=Model.linear).shared(has) == has
    aligned = replace(terms, partition=Partition.columns)
    same = aligned.shared(dict.fromkeys(has, 10**7))
    assert set(same.values()) == {min(MOST_ROWS, MOST_CELLS // wide)}


def test_providers_that_were_told_another_epsilon_do_not_share() -> None:
    """Each one's noise hides the others' rows too. Steps and their length may be the same."""
    terms = made_terms()
    features = terms.features
    rows = dict.fromkeys(terms.labelled, 10_000)
    own = terms.training(rows)
    require_same_program("north", own.to_dict(), replace(terms).training(rows).to_dict())
    wider = Features((*features.numbers, *features.numbers), ())
    for other in (
        replace(terms, privacy=(8.0, 1e-6)),
        replace(terms, privacy=(4.0, 1e-7)),
        replace(terms, features=wider),
    ):
        told = other.training(rows)
        assert (told.steps, told.rate) == (own.steps, own.rate)
        with pytest.raises(VerificationFailed):
            require_same_program("north", told.to_dict(), own.to_dict())


def test_noise_that_delta_cannot_pay_for_is_refused_before_anything_is_sent() -> None:
    terms = replace(made_terms(), privacy=(4.0, 1e-25))
    with pytest.raises(UsageError, match="too small"):
        terms.training(dict.fromkeys(terms.labelled, 10_000))


@pytest.mark.parametrize(("epsilon", "providers"), [(0.3, 2), (3.0, 5)])
def test_a_canary_is_told_apart_as_well_as_the_noise_lets_and_no_better(
    epsilon: float, providers: int
) -> None:
    """All sums together are one Gaussian mechanism, so the advantage is known. 5,000 trials: 5 standard
    deviations are 0.07, a false alarm below 1e-6 each way."""
    features, told = Features((Number("n", 0.0, 1.0),), ()), Options(epsilon=epsilon)
    found = canary_attack(told, features, rows=4_000, providers=providers, trials=5_000)
    training = training_of(
        features, 4_000, epsilon, 0.9 * told.delta, providers=providers, colluders=COLLUDERS
    )
    multiplier = NoiseParts(training, providers, COLLUDERS).calibrated.multiplier
    assert abs(found.advantage - (2 * NormalDist().cdf(0.5 / multiplier) - 1)) < 0.07
    assert found.bound is not None
    assert found.advantage - 0.07 < found.bound
    assert abs(found.control or 0.0) < 0.07


def test_with_noise_labels_are_not_shared_by_themselves() -> None:
    terms = made_terms(3)
    training = terms.training(dict.fromkeys(terms.labelled, 100))
    shapes = shared_shapes(terms, training, "south", 100)
    assert shapes == {"rows": (100, 7), "noise": (1 + training.steps, 7)}
    exact = replace(terms, privacy=None).training(dict.fromkeys(terms.labelled, 100))
    assert shared_shapes(terms, exact, "south", 100) == {
        "rows": (100, 6),
        "labels": (100,),
        "products": (7, 7),
    }


def test_who_waits_for_a_refusal_hears_its_words() -> None:
    """The ML party for the mediator's share of the result, and a compute party for rows to score."""
    refusal = SimpleNamespace(
        kind=Kind.refusal,
        topic="encrypted",
        sender="mediator",
        body={"message": "no more than 5 rows", "clause": "architectures.encrypted.opens"},
    )
    channel: Any = SimpleNamespace(receive=lambda name: refusal)
    seat: Any = SimpleNamespace(providers=("north", "south", "west"), ml_party="mediator")
    with pytest.raises(ClauseRefused, match="no more than 5 rows"):
        _share_of_result(seat, channel, made_terms(), "mediator", 3)
    computing = object.__new__(Computing)
    computing._seat, computing._channel, computing._asked = seat, channel, 5
    with pytest.raises(ClauseRefused, match="no more than 5 rows"):
        computing.ask()


@pytest.mark.parametrize("column", ["job", "pid"])
def test_persons_are_not_what_the_noise_hides(
    column: str, stage_of: Callable[..., Any], tmp_path: Path
) -> None:
    stage = stage_of(tmp_path)

    def change(document: dict[str, Any]) -> None:
        for data in document["data"]:
            data["unit"] = {"column": column, "max_rows": 3}

    refused(stage.play("encrypted", mode="private", change=change), "hides one record")


@pytest.mark.parametrize("more", [False, True])
def test_persons_with_one_row_each_are(more: bool, stage_of: Callable[..., Any], tmp_path: Path) -> None:
    """Where the agreement says that a person has one row, a table that holds more is cut to it."""
    stage = stage_of(tmp_path)
    rows: dict[str, int] = {}
    for name in stage.inputs.providers:
        path = stage.folder / name / "tables" / "train.parquet"
        table = pq.read_table(path)
        people = [f"{name}-{row}" for row in range(table.num_rows)]
        rows[name] = table.num_rows
        if more:
            people[1], people[2] = people[0], None
            rows[name] -= 2
        pq.write_table(table.append_column("who", pa.array(people)), path)

    def change(document: dict[str, Any]) -> None:
        for data in document["data"]:
            data["columns"]["who"] = {"role": "identifier", "type": "text"}
            data["unit"] = {"column": "who", "max_rows": 1}

    outcome = stage.play("encrypted", mode="private", change=change)
    assert outcome.errors == {}
    for name, count in rows.items():
        assert outcome.figures[name]["rows_used"] == count
        (charged,) = outcome.ledgers[name].events("charged")
        assert charged.body["account"].endswith("/person")


def test_what_is_promised_to_persons_with_one_row_each() -> None:
    columns = {
        "pid": {"role": "identifier", "type": "text"},
        "who": {"role": "identifier", "type": "text"},
        "age": {"role": "quasi_identifier", "type": "integer", "min": 0, "max": 90},
        "ill": {"role": "target", "type": "category", "values": ["no", "yes"]},
    }

    def task_of(most: int) -> Task:
        unit = {"column": "who", "max_rows": most}
        return Task(parse_schema({"columns": columns, "unit": unit}, where="s"), "ill", "yes", "pid")

    found = find("encrypted")
    skip = found.exposure("private").skip
    assert skip(task_of(1), ("a", "b")) is None
    assert "hides one record" in str(skip(task_of(2), ("a", "b")))
    promised = found.promised(Options(mode="private"), task_of(1))
    assert promised.unit == "person"
    assert "uses one row of each" in promised.note
    assert len(promised.note) < MAX_TEXT


def nothing_of_a_share_lies_about(stage: Any, outcome: Any) -> None:
    """No part of a message that carried shares is in any file of any party."""
    shares = [
        data
        for messages in outcome.sent.values()
        for message in messages
        if message.kind == Kind.share or message.topic in ("asked", "result-share")
        for data in message.parts.values()
        if len(data) >= 32
    ]
    assert shares
    files = [path.read_bytes() for path in stage.folder.rglob("*") if path.is_file()]
    assert not [data for data in shares if any(data[:32] in file or data[-32:] in file for file in files)]


def columns_settings(folder: Path) -> Settings:
    """North has ages and who is ill, south jobs; each knows some records that the other does not."""
    draw = random.Random(4)
    people = []
    for row in range(700):
        age, job = draw.randint(18, 80), draw.choice("abc")
        ill = draw.random() < 0.1 + 0.5 * (age > 50) + 0.3 * (job == "b")
        people.append({"pid": f"p{row}", "age": age, "job": job, "ill": "yes" if ill else "no"})
    for name, columns, known in (("north", ("age", "ill"), people[20:]), ("south", ("job",), people[:650])):
        draw.shuffle(known)
        with open(folder / f"{name}.csv", "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["pid", *columns])
            writer.writerows([person["pid"], *(person[column] for column in columns)] for person in known)
    return Settings.parse(
        providers=[f"{name}={folder / name}.csv" for name in ("north", "south")],
        target="ill",
        positive="yes",
        id="pid",
        test=None,
        schema=None,
        epsilon="1",
        delta=1e-6,
        k=5,
        seed_rows=40,
        architectures=["encrypted"],
        mode="exact",
        partition="columns",
        seed=0,
        keep=folder / "kept",
    )


def test_columns_of_the_same_records_are_aligned_and_trained_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With real processes, as `comity try encrypted --partition columns` runs them; they leave nothing behind
    where they were started."""
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    comparison = run_comparison(columns_settings(tmp_path), quiet)
    assert list(here.iterdir()) == []
    (result,) = comparison.document["results"]
    assert "error" not in result
    assert result["utility"]["auc"] > 0.6
    kept = tmp_path / "kept"
    ids = [
        set(pq.read_table(kept / name / "tables" / "train.parquet").column("pid").to_pylist())
        for name in ("north", "south")
    ]
    assert result["utility"]["rows_used"] == len(ids[0] & ids[1]) < min(map(len, ids))
    document = json.loads((kept / ML_PARTY / "sessions" / "encrypted-exact" / "model.json").read_text())
    assert {"age", "job: b"} <= set(document["weights"])
    for name in ("north", "south"):  # alignment tells membership: it is charged, before any id is read
        key = SigningKey.load(kept / name / "key.pem")
        ledger = Ledger.open(kept / name / "ledger.db", key=key, owner=name)
        ours = [entry for entry in ledger.events() if "encrypted" in str(entry.body.get("clause"))]
        (charged,) = (entry for entry in ours if entry.kind == "charged")
        assert "align" in charged.body["purpose"]
        assert [entry.kind for entry in ours].count("released") == 4


def test_another_program_is_refused_before_anything_is_shared(
    stage_of: Callable[..., Any], tmp_path: Path
) -> None:
    """South's program has another digest than north's and the mediator's."""
    stage = stage_of(tmp_path)

    class Other:
        def __init__(self, channel: Any) -> None:
            self._channel = channel

        def __getattr__(self, name: str) -> Any:
            return getattr(self._channel, name)

        def receive(self, sender: str) -> Any:
            message = self._channel.receive(sender)
            if message.topic != MEMBER:
                return message
            return replace(message, body={**message.body, "program": "0" * 64})

    outcome = stage.play(
        "encrypted", options=EXACT, wrap=lambda party, end: Other(end) if party == "south" else end
    )
    assert isinstance(outcome.errors["south"], VerificationFailed)
    assert "another program" in str(outcome.errors["south"])
    assert ML_PARTY not in outcome.figures
    for name in ("north", "south"):
        assert "charged" not in outcome.kinds(name)
        assert not [message for message in outcome.sent[name] if message.kind == Kind.share]


def test_a_failure_heard_of_ends_the_wait_for_the_work() -> None:
    def hear(name: str) -> None:
        raise PartyFailed(f"'{name}' is gone")

    def work() -> None:
        threading.Event().wait(60)

    with pytest.raises(PartyFailed, match="west"):
        Watch(["west"], hear).work(work)
