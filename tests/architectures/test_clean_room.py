"""`clean-room`: who may run what, what is checked before it leaves, and what an attack on it finds."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from comity import sandbox
from comity.architectures import clean_room_exact, clean_room_table, find
from comity.architectures.clean_room_exact import exact_job, judged, kept_aside, score
from comity.architectures.clean_room_own import own_job
from comity.architectures.definition import Options
from comity.cleanroom import pace
from comity.cleanroom.approval import approve
from comity.cleanroom.job import Blocks, Job
from comity.cleanroom.jobfile import read_job_file
from comity.cleanroom.lesson import BLOCKS, gradient_job
from comity.cleanroom.shipped import source
from comity.compare.settings import ML_PARTY
from comity.errors import BadInput, ClauseRefused, Refused, Withheld
from comity.ledger import Ledger
from comity.schema import Schema, Unit

COUNT = "def run(rows, parameters):\n    return {'told': [len(rows['age'])]}\n"
STATISTIC = {
    "title": "How many",
    "program": "job.py",
    "columns": ["age"],
    "kind": "statistic",
    "outputs": [{"name": "told", "length": 1, "norm": 1.0}],
    "blocks": {"number": 20},
}
TABLE = {
    "title": "How many in each job",
    "program": "job.py",
    "columns": ["job", "age"],
    "kind": "table",
    "outputs": [{"name": "told", "length": 1}],
    "cells": {"by": ["job"]},
}
MODEL = {
    name: value for name, value in (TABLE | {"kind": "model", "columns": ["age"]}).items() if name != "cells"
}
EXACT = {"unsafe_exact": True, "queries": 1}


@pytest.fixture(autouse=True)
def _needs_sandbox() -> None:
    reason = sandbox.missing()
    assert reason is None, f"install bubblewrap to run these tests: {reason}"


def bring(stage: Any, job: dict[str, Any], program: str = COUNT) -> Path:
    """Put a job of the ML party's own into its folder."""
    folder = stage.folder / ML_PARTY / "job"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "job.py").write_text(program, encoding="utf-8")
    (folder / "job.yaml").write_text(json.dumps(job), encoding="utf-8")
    return folder / "job.yaml"


def clause_of(clause: dict[str, Any], program: str = COUNT) -> Any:
    """The change of an agreement to this clause, which names the jobs of these tests with the program."""

    def change(document: dict[str, Any]) -> None:
        named = [_job(declared, program).digest for declared in (STATISTIC, TABLE, MODEL)]
        document["architectures"]["clean-room"] = {**clause, "programs": named}

    return change


def _job(declared: dict[str, Any], program: str = COUNT) -> Job:
    """As it stands in a file beside its program."""
    return Job.from_dict({**{n: v for n, v in declared.items() if n != "program"}, "source": program})


def answers(outcome: Any) -> dict[str, Any]:
    assert outcome.errors == {}
    return json.loads((outcome.sessions[ML_PARTY] / "answers.json").read_text(encoding="utf-8"))["answers"]


def test_an_own_job_of_statistics(stage: Any) -> None:
    bring(stage, STATISTIC)
    outcome = stage.play("clean-room", change=clause_of({"epsilon": 1.0, "delta": 1e-6, "queries": 1}))
    found = answers(outcome)
    assert set(found) == set(stage.inputs.providers)
    for told in found.values():
        # 20 blocks that give 1 at most, noise of deviation below 10: 200 away is 18 deviations
        assert abs(told["sums"]["told"][0] - 20) < 200
        assert told["units"] is None


def test_a_program_that_nobody_approved_does_not_run(stage: Any) -> None:
    bring(stage, STATISTIC)
    outcome = stage.play("clean-room")
    for provider in stage.inputs.providers:
        assert isinstance(outcome.errors[provider], ClauseRefused)
        assert "charged" not in outcome.kinds(provider)
    told = str(outcome.errors[ML_PARTY])
    assert "not approved" in told


def test_a_steward_approves_a_job_in_the_ledger(stage: Any) -> None:
    job, _ = read_job_file(bring(stage, STATISTIC))
    for provider in stage.inputs.providers:
        session = stage.folder / provider / "sessions" / "run"
        session.mkdir(parents=True)
        with Ledger.open(session / "ledger.db", key=stage.keys[provider], owner=provider) as ledger:
            approve(ledger, job, "the steward")
    assert answers(stage.play("clean-room"))


def test_a_table_leaves_with_its_small_cells_empty(stage: Any) -> None:
    bring(stage, TABLE)
    change = clause_of({**EXACT, "minimum_cell": 10})
    outcome = stage.play("clean-room", options=Options(mode="exact"), change=change)
    for provider, told in answers(outcome).items():
        cells = {tuple(cell["at"]): cell["values"][0] for cell in told["cells"]}
        rows = stage.inputs.train[provider].column("job").to_pylist()
        assert cells == {("all",): len(rows), **{(level,): rows.count(level) for level in "abc"}}
        assert outcome.ledgers[provider].verify().ok


def test_a_table_of_small_cells_is_withheld(stage: Any) -> None:
    bring(stage, TABLE)
    change = clause_of({**EXACT, "minimum_cell": 1000})
    outcome = stage.play("clean-room", options=Options(mode="exact"), change=change)
    for provider in stage.inputs.providers:
        assert isinstance(outcome.errors[provider], Withheld)
        assert "withheld" in outcome.kinds(provider)
        assert all(message.kind == "refusal" for message in outcome.sent[provider])
    assert not (outcome.sessions[ML_PARTY] / "answers.json").exists()


@pytest.mark.parametrize(
    "clause", [{"epsilon": 1.0, "delta": 1e-6, "queries": 1}, {**EXACT, "membership": 0.3}]
)
def test_a_table_does_not_leave_under_a_clause_about_something_else(
    clause: dict[str, Any], stage: Any
) -> None:
    bring(stage, TABLE)
    outcome = stage.play("clean-room", change=clause_of(clause))
    for provider in stage.inputs.providers:
        assert isinstance(outcome.errors[provider], ClauseRefused)
        assert "charged" not in outcome.kinds(provider)


def test_a_job_that_runs_on_nothing_is_refused_with_its_error_before_a_charge(stage: Any) -> None:
    program = "def run(rows, parameters):\n    return {'told': [undefined]}\n"
    bring(stage, STATISTIC, program)
    change = clause_of({"epsilon": 1.0, "delta": 1e-6, "queries": 1}, program)
    outcome = stage.play("clean-room", change=change)
    for provider in stage.inputs.providers:
        assert isinstance(outcome.errors[provider], BadInput)
        assert "undefined" in str(outcome.errors[provider])
        assert "charged" not in outcome.kinds(provider)


def test_a_job_that_behaves_differently_on_a_target_gives_an_answer_of_the_same_form(stage: Any) -> None:
    """It fails, spins or fills memory on some rows: the answer has its form, and nothing says so."""
    program = (
        "def run(rows, parameters):\n    for age in rows['age']:\n        if age > 75:\n"
        "            bytearray(1 << 40)\n        while age > 70:\n            pass\n"
        "    return {'told': [1.0]}\n"
    )
    bring(stage, STATISTIC, program)
    outcome = stage.play(
        "clean-room", change=clause_of({"epsilon": 1.0, "delta": 1e-6, "queries": 1}, program)
    )
    for told in answers(outcome).values():
        assert set(told) == {"drawn", "units", "together", "deviations", "sums"}
    for provider in stage.inputs.providers:
        assert outcome.paid(provider).count("released") == 1


def test_a_model_that_tells_its_rows_is_withheld(stage: Any) -> None:
    """The attack at work: a model that is sure of its own rows and of no others."""
    job, parameters = exact_job(stage.inputs.task)
    levels = parameters["levels"]
    aside = np.arange(400) % 2 == 1
    rows = np.zeros((400, len(levels) + 1))
    rows[:, 0] = np.where(aside, -1.0, 1.0)
    rows[:, -1] = parameters["positive"][0]
    knows = np.zeros(job.outputs[0].length)
    knows[1] = 5.0
    blind = np.zeros(job.outputs[0].length)
    assert not judged(job, parameters, knows, rows, aside, 0.5).passed
    told = judged(job, parameters, blind, rows, aside, 0.5)
    assert told.passed
    assert "advantage is 0.000" in told.reason
    assert not judged(job, parameters, blind[:-1], rows, aside, 0.5).passed
    other = replace(job, parameters={"levels": len(levels) - 1, "positive": 1})
    told = judged(other, parameters, blind, rows, aside, 0.5)
    assert "the room can score no rows with the model" in told.reason
    assert not judged(job, parameters, blind, rows[:60], aside[:60], 0.9).passed
    # turned round it is as sure of the same rows: its recipient can turn it back
    turned = judged(job, parameters, -knows, rows, aside, 0.5)
    assert not turned.passed
    assert float(turned.figures["advantage"]) > 0.9
    # coefficients whose sum is inf - inf for some rows: withheld, and nothing is counted
    mad = np.zeros(job.outputs[0].length)
    mad[1], mad[8] = 1.7e308, -1.7e308
    far = rows.copy()
    far[:, :3] = 1e10
    far[:, 1] = 0.0
    with np.errstate(over="ignore", invalid="ignore"):
        told = judged(job, parameters, mad, far, aside, 0.5)
    assert not told.passed
    assert not any(sign.isdigit() for sign in told.reason)
    assert score(knows, levels, rows[:1, :-1]).tolist() == [5.0]  # type: ignore[union-attr]


def test_a_withheld_model_leaves_no_result(stage: Any) -> None:
    def strict(document: dict[str, Any]) -> None:
        document["architectures"]["clean-room"]["membership"] = 1e-6

    outcome = stage.play("clean-room", options=Options(mode="exact"), change=strict)
    for provider in stage.inputs.providers:
        assert isinstance(outcome.errors[provider], Withheld)
    assert not (outcome.sessions[ML_PARTY] / "scores.parquet").exists()


def test_an_exact_model_leaves_once_per_lineage(stage: Any) -> None:
    assert stage.play("clean-room", options=Options(mode="exact")).errors == {}
    bring(stage, TABLE)
    change = clause_of({**EXACT, "minimum_cell": 10})
    again = stage.play("clean-room", options=Options(mode="exact"), change=change)
    for provider in stage.inputs.providers:
        assert isinstance(again.errors[provider], Refused)


def test_persons_are_protected_where_the_schema_names_them(stage: Any) -> None:
    task = stage.inputs.task
    columns = {**task.schema.columns, "who": task.schema["job"]}
    schema = Schema(columns=columns, unit=Unit(column="who", max_rows=3))
    promised = find("clean-room").promised(Options(mode="private"), replace(task, schema=schema))
    assert promised.unit == "person"
    assert "3 rows" in promised.note


def test_a_column_that_the_agreement_does_not_name_is_not_read(stage: Any) -> None:
    """The table may have it, and the invitation's schema bounds for it: the agreement decides."""

    def without_age(document: dict[str, Any]) -> None:
        clause_of({"epsilon": 1.0, "delta": 1e-6, "queries": 1})(document)
        for terms in document["data"]:
            del terms["columns"]["age"]

    bring(stage, STATISTIC)
    outcome = stage.play("clean-room", change=without_age)
    for provider in stage.inputs.providers:
        assert isinstance(outcome.errors[provider], ClauseRefused)
        assert "no column 'age'" in str(outcome.errors[provider])
        assert "charged" not in outcome.kinds(provider)


def test_what_a_program_prints_on_real_rows_is_for_the_steward_and_in_no_ledger(stage: Any) -> None:
    program = (
        "def run(rows, parameters):\n    if len(rows['age']) > 300:\n"
        "        raise ValueError('rows:' + str(rows['age'][:3]))\n    return {'told': [1.0]}\n"
    )
    bring(stage, MODEL, program)
    change = clause_of({**EXACT, "membership": 0.3}, program)
    outcome = stage.play("clean-room", options=Options(mode="exact"), change=change)
    for provider in stage.inputs.providers:
        assert isinstance(outcome.errors[provider], Withheld)
        (entry,) = outcome.ledgers[provider].events("withheld")
        assert "rows:" not in json.dumps(entry.body)
        assert "rows:" in (outcome.sessions[provider] / "room-for-the-steward.txt").read_text("utf-8")
    told = str(outcome.errors[ML_PARTY])
    assert "a membership attack" in told
    assert "rows:" not in told


def test_a_program_that_comity_ships_is_known_only_as_comity_declares_it(stage: Any) -> None:
    task = stage.inputs.task
    model, _ = exact_job(task)
    assert own_job(task, model)
    features = len(task.features)
    lengths = {"width": 1, "bins": features, "edges": 9, "weights": 20, "positive": 1, "mix": 400}
    step = gradient_job((*task.features, task.target), 20, 0.1, lengths)
    assert own_job(task, step)
    for changed in (
        {"columns": (*task.features[1:], task.target)},
        {"seconds": 86_400.0},
        {"memory_mb": 2048},
        {"modules": ("math",)},
        {"title": "Another"},
    ):
        assert not own_job(task, replace(model, **changed))
        assert not own_job(task, replace(step, **changed))
    assert not own_job(task, replace(step, blocks=Blocks(most=BLOCKS, cpu_s=60.0)))
    assert step.blocks is not None
    assert not own_job(task, replace(step, blocks=replace(step.blocks, together=1)))
    assert not own_job(task, replace(step, source=step.source + "\n"))
    assert not own_job(task, replace(step, source=source("logistic")))


def test_a_named_program_with_another_declaration_is_not_approved(stage: Any) -> None:
    """Its source is the one that the agreement names, its columns and caps are not."""
    bring(stage, STATISTIC | {"columns": ["age", "job"], "memory_mb": 4096})
    outcome = stage.play("clean-room", change=clause_of({"epsilon": 1.0, "delta": 1e-6, "queries": 1}))
    for provider in stage.inputs.providers:
        assert isinstance(outcome.errors[provider], ClauseRefused)
        assert "charged" not in outcome.kinds(provider)


def test_an_answer_that_would_leave_in_years_is_refused_before_a_charge(stage: Any) -> None:
    late = STATISTIC | {"blocks": {"number": 1 << 20, "cpu_s": 60.0}}
    bring(stage, late)

    def change(document: dict[str, Any]) -> None:
        clause = {"epsilon": 1.0, "delta": 1e-6, "queries": 1, "programs": [_job(late).digest]}
        document["architectures"]["clean-room"] = clause

    outcome = stage.play("clean-room", change=change)
    for provider in stage.inputs.providers:
        assert isinstance(outcome.errors[provider], BadInput)
        assert "fewer blocks" in str(outcome.errors[provider])
        assert "charged" not in outcome.kinds(provider)


def test_a_model_that_knows_persons_by_their_rows_is_withheld() -> None:
    """Ten rows of each person: one person's are on one side, and each person counts once."""
    draw = np.random.default_rng(0)
    persons = draw.permutation(400)[:200]
    who = np.repeat(persons, 10)
    units = np.repeat(np.arange(200), 10)
    label = draw.integers(0, 2, 400).astype(float)
    matrix = np.column_stack([who.astype(float), label[who]])
    job = Job.from_dict(
        {
            "title": "Who",
            "source": "x = 1",
            "columns": ["flat", "ill"],
            "kind": "model",
            "outputs": [{"name": "coefficients", "length": 403}],
            "parameters": {"levels": 1, "positive": 1},
        }
    )
    given = {"levels": np.array([400.0]), "positive": np.array([1.0])}
    aside = kept_aside(matrix, units)
    assert all(len(set(aside[units == unit])) == 1 for unit in range(200))
    assert aside.sum() == 400
    knows = np.zeros(403)
    for flat, ill in matrix[~aside]:
        knows[2 + int(flat)] = 9 if ill else -9
    # 40 persons aside are too few to judge by, though they have 400 rows
    assert "too few units" in judged(job, given, knows, matrix, aside, 0.5, units).reason
    even = units % 2 == 0
    knows = np.zeros(403)
    for flat, ill in matrix[~even]:
        knows[2 + int(flat)] = 9 if ill else -9
    assert not judged(job, given, knows, matrix, even, 0.5, units).passed
    assert judged(job, given, np.zeros(403), matrix, even, 0.5, units).passed


def test_a_model_is_charged_to_persons_where_the_agreement_names_them(stage: Any) -> None:
    """The agreement decides whose the rows are, not the task."""

    def persons(document: dict[str, Any]) -> None:
        for terms in document["data"]:
            terms["unit"] = {"column": "pid", "max_rows": 3}

    outcome = stage.play("clean-room", options=Options(mode="exact"), change=persons)
    assert outcome.errors == {}
    for provider in stage.inputs.providers:
        (charged,) = outcome.ledgers[provider].events("charged")
        assert charged.body["account"].endswith("/person")


@pytest.mark.parametrize(("job", "clause"), [(None, {"membership": 0.3}), (TABLE, {"minimum_cell": 1000})])
def test_exact_results_leave_or_are_held_back_at_a_time_after_their_check(
    job: dict[str, Any] | None, clause: dict[str, Any], stage: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """How long the check takes depends on the rows: the wait is the last thing that is done with them."""
    done: list[str] = []
    monkeypatch.setattr(pace, "leave_at", lambda begun, first: done.append("waited"))
    for module, name in ((clean_room_exact, "judged"), (clean_room_table, "_counted_again")):
        judge = getattr(module, name)
        monkeypatch.setattr(
            module, name, lambda *given, judge=judge: (done.append("checked"), judge(*given))[1]
        )
    if job is not None:
        bring(stage, job)
    own = {} if job is None else {"change": clause_of({**EXACT, **clause})}
    stage.play("clean-room", options=Options(mode="exact"), **own)
    assert done.count("checked") == len(stage.inputs.providers)
    assert done.count("waited") == 2 * len(stage.inputs.providers)
    assert done[-1] == "waited"
