"""Statistics that a job declares: computed beside the data, paid for once, and attacked."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from comity import mechanism
from comity.architectures.clean_room_statistics import compute, rehearse_statistics
from comity.attack.interval import newcombe
from comity.cleanroom.approval import approve
from comity.cleanroom.columns import Columns, Units
from comity.cleanroom.job import Job
from comity.cleanroom.jobfile import read_job_file
from comity.cleanroom.purse import Parts, Purse
from comity.compare.settings import ML_PARTY
from comity.errors import BadSchema, ClauseRefused
from comity.ledger import Ledger, PrivacyUnit, Relation, pure
from comity.schema import parse_schema

SCHEMA = parse_schema(
    {
        "columns": {
            "ward": {"role": "insensitive", "type": "category", "values": ["heart", "knee"]},
            "age": {"role": "insensitive", "type": "integer", "min": 18, "max": 90},
        }
    },
    where="a test",
)
ALL = (
    {"count": "records"},
    {"count": "records", "by": ["ward"]},
    {"sum": "age", "by": ["ward"]},
    {"mean": "age"},
    {"mean": "age", "by": ["ward"]},
    {"histogram": "age", "bins": 4},
    {"histogram": "ward"},
    {"quantile": "age", "at": [0.5]},
)
SUMS = ALL[:3]
SETTINGS = {"title": "Wards", "columns": ["ward", "age"], "kind": "statistic"}
CLAUSE = {"epsilon": 1.0, "delta": 1e-6, "queries": 1}


def asked(*statistics: Any) -> Job:
    return Job.from_dict(SETTINGS | {"statistics": list(statistics)})


def told(job: Job, rows: list[list[float]], people: list[str] | None = None, epsilon: float = 1.0) -> Any:
    """The figures of all statistics, one after another, and the purse."""
    unit = PrivacyUnit.record if people is None else PrivacyUnit.person
    purse = Purse(pure(epsilon, unit=unit, relation=Relation.add_remove))
    columns = Columns.of(SCHEMA, ["ward", "age"])
    matrix = np.array(rows, dtype=np.float64).reshape(-1, 2)
    found = compute(job, columns, matrix, people, 2, Parts.of(job, epsilon), purse)
    return np.concatenate([one.values for one in found]), purse


def without_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        mechanism.Noise, "add", lambda self, sums: np.asarray(sums, dtype=np.int64) * (1 << self.shift)
    )


ROWS = [[0.0, 20.0], [0.0, 60.0], [1.0, 90.0], [np.nan, 30.0], [2.0, 40.0], [1.0, np.nan]]


def test_figures_are_of_the_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without noise: a level that is not listed and missing values count nowhere."""
    without_noise(monkeypatch)
    figures, purse = told(asked(*ALL[:7]), ROWS)
    expected = [6, 2, 2, 80, 90, 48, 40, 90, 2, 1, 1, 1, 2, 2]
    assert figures[:5] == pytest.approx(expected[:5])
    assert figures[5:6] == pytest.approx(expected[5:6], rel=0.7)  # held from below by the noise it would have
    assert figures[-6:].tolist() == expected[-6:]
    assert purse.spent[0] == pytest.approx(1.0, abs=1e-7)


def test_a_person_moves_figures_by_as_many_rows_as_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sensitivity, noise taken away: five rows of one person, of which two count. Control: all five do."""
    without_noise(monkeypatch)
    rest, people = [[1.0, 50.0]] * 9, [f"p{at}" for at in range(9)]
    whole, _ = told(asked(*SUMS), [*rest, *[[0.0, 90.0]] * 5], [*people, *["target"] * 5])
    less, _ = told(asked(*SUMS), rest, people)
    assert (whole - less).tolist() == pytest.approx([2, 2, 0, 180, 0])
    whole, _ = told(asked(*SUMS), [*rest, *[[0.0, 90.0]] * 5])
    less, _ = told(asked(*SUMS), rest)
    assert (whole - less).tolist() == pytest.approx([5, 5, 0, 450, 0])


def advantage(epsilon: float, trials: int, people: bool) -> tuple[float, float]:
    """Whether the target is in the table, guessed from all figures by their likelihoods: value, upper end."""
    job = asked(*SUMS)
    rest, target = [[1.0, 50.0]] * 5, [[0.0, 90.0]] * (2 if people else 1)
    worlds = [rest, [*rest, *target]]
    names = [[f"p{at}" for at in range(5)] + ["t"] * (len(rows) - 5) if people else None for rows in worlds]
    moved = len(target) * np.array([1, 1, 0, 90, 0])
    least = np.array([5, 0, 5, 0, 250])
    part = epsilon / 3 / np.array([1, 1, 1, 90, 90]) / (2 if people else 1)
    guessed = [0, 0]
    for world, rows in enumerate(worlds):
        for _ in range(trials):
            figures, _ = told(job, rows, names[world], epsilon)
            likely = (np.abs(figures - least) - np.abs(figures - least - moved)) * part
            guessed[world] += bool(likely.sum() > 0)
    _, high = newcombe(guessed[1], trials, guessed[0], trials)
    return (guessed[1] - guessed[0]) / trials, high


@pytest.mark.parametrize("people", [False, True])
def test_the_best_guess_from_all_figures_stays_under_the_bound(people: bool) -> None:
    """150 trials each. The adversary knows all but whether the target is there; it reaches 0.62
    for a record and 0.57 for a person (2 million draws), the bound is tanh(3/2) = 0.905. The figure deviates
    by 0.047: the bound and 0.25 are more than 6 of that away, false alarm below 1e-8."""
    found, high = advantage(3.0, 150, people)
    assert found < math.tanh(1.5)
    assert high < math.tanh(1.5) + 0.1
    assert found > 0.25


@pytest.mark.parametrize("people", [False, True])
def test_control_without_noise_the_guess_is_certain(people: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    without_noise(monkeypatch)
    assert advantage(1.0, 20, people)[0] == 1.0


def test_a_rehearsal_is_on_made_up_rows_and_costs_as_much() -> None:
    found = rehearse_statistics(asked(*ALL), SCHEMA, 8.0)
    assert [one.asked.name for one in found] == [one.name for one in asked(*ALL).statistics]
    assert all((one.lows <= one.values).all() and (one.values <= one.highs).all() for one in found)
    person = rehearse_statistics(asked(*ALL), SCHEMA, 8.0, Units("who", 5, PrivacyUnit.person))
    assert person[0].widest > 3 * found[0].widest
    with pytest.raises(BadSchema, match="it needs numbers"):
        rehearse_statistics(asked({"mean": "ward"}), SCHEMA, 1.0)


def bring(stage: Any, job: dict[str, Any], program: str = "") -> Job:
    """An own job of the ML party, approved by every provider's steward."""
    folder = stage.folder / ML_PARTY / "job"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "job.py").write_text(program, encoding="utf-8")
    (folder / "job.yaml").write_text(json.dumps(job), encoding="utf-8")
    return read_job_file(Path(folder / "job.yaml"))[0]


def approved(stage: Any, job: Job) -> None:
    for provider in stage.inputs.providers:
        session = stage.folder / provider / "sessions" / "run"
        session.mkdir(parents=True)
        with Ledger.open(session / "ledger.db", key=stage.keys[provider], owner=provider) as ledger:
            approve(ledger, job, "the steward")


def allow(document: dict[str, Any]) -> None:
    document["architectures"]["clean-room"] = dict(CLAUSE)


OWN = {
    "title": "Jobs and ages",
    "columns": ["job", "age"],
    "kind": "statistic",
    "statistics": [{"count": "records", "by": ["job"]}, {"mean": "age"}, {"quantile": "age"}],
}


def test_statistics_leave_with_error_bars_for_one_charge(stage: Any) -> None:
    approved(stage, bring(stage, OWN))
    outcome = stage.play("clean-room", change=allow)
    assert outcome.errors == {}
    answers = json.loads((outcome.sessions[ML_PARTY] / "answers.json").read_text(encoding="utf-8"))
    for provider in stage.inputs.providers:
        found = answers["answers"][provider]
        assert set(found) == {"statistics"}
        counts = found["statistics"]["count by job"]
        jobs = stage.inputs.train[provider].column("job").to_pylist()
        assert [one["of"] for one in counts] == ["a", "b", "c"]
        for one in counts:
            # Laplace noise of scale 3: 60 off with a probability of 2e-9
            assert abs(one["value"] - jobs.count(one["of"])) < 60
            assert one["high"] - one["low"] == pytest.approx(18, abs=2)
        (mean,) = found["statistics"]["mean of age"]
        assert mean["low"] <= mean["value"] <= mean["high"]
        charged = outcome.ledgers[provider].events("charged")
        assert [entry.body["cost"]["delta"] for entry in charged] == [0]
        assert outcome.paid(provider).count("released") == 1
        assert outcome.ledgers[provider].verify().ok


def test_beside_a_program_they_share_its_charge(stage: Any) -> None:
    program = "def run(rows, parameters):\n    return {'told': [len(rows['age'])]}\n"
    more = {
        "program": "job.py",
        "outputs": [{"name": "told", "length": 1, "norm": 1.0, "share": 2}],
        "blocks": {"number": 20},
    }
    approved(stage, bring(stage, OWN | more, program))
    outcome = stage.play("clean-room", change=allow)
    assert outcome.errors == {}
    answers = json.loads((outcome.sessions[ML_PARTY] / "answers.json").read_text(encoding="utf-8"))
    for provider in stage.inputs.providers:
        found = answers["answers"][provider]
        assert set(found) == {"drawn", "units", "together", "deviations", "sums", "statistics"}
        # 2 of 5 parts of epsilon: as much noise as a job of epsilon 0.4 has
        assert 10 < found["deviations"]["told"] < 35
        assert outcome.kinds(provider).count("charged") == 1


def test_statistics_are_the_stewards_to_approve(stage: Any) -> None:
    bring(stage, OWN)
    outcome = stage.play("clean-room", change=allow)
    for provider in stage.inputs.providers:
        assert isinstance(outcome.errors[provider], ClauseRefused)
        assert "charged" not in outcome.kinds(provider)
    assert "not approved" in str(outcome.errors[ML_PARTY])
