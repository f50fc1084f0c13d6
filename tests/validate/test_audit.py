"""Audits: honest answers pass, and each way to cheat is found."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from comity.errors import UsageError, VerificationFailed
from comity.ledger.commitments import commit
from comity.mechanism import Noise
from comity.validate.audit import AuditedAnswer, GroupQuestion, audit_answers
from comity.validate.group_sums import Draws, GroupSum
from comity.validate.mechanism import NoisySums, Price, answer
from comity.validate.request import ScoreStatistics

SECRET = bytes(range(32))
ROWS = 400
DIMENSIONS = 40
rng = np.random.default_rng(5)
LABELS = rng.integers(0, 2, ROWS).astype(np.int8)
TABLE: list[dict[str, object]] = [{"id": n, "ill": int(LABELS[n])} for n in range(ROWS)]
COMMITMENT = commit(TABLE, ("id", "ill"), SECRET)
GAUSSIAN, LAPLACE = Price(1.0, 1e-6), Price(1.0, 0.0)


def question(seed: int, dimensions: int = DIMENSIONS) -> ScoreStatistics:
    own = np.random.default_rng(seed)
    codes = own.integers(0, 5, (ROWS, 2)).astype(np.uint16)
    mix = own.integers(-1000, 1000, (10, dimensions)).astype(np.int32)
    return ScoreStatistics(codes, (5, 5), mix, 1 << 12)


def answered(number: int, price: Price, labels: Any = LABELS, dimensions: int = DIMENSIONS) -> AuditedAnswer:
    query = question(number, dimensions)
    sums = answer(query, labels, price)
    return AuditedAnswer(f"{number:064x}", query, sums, price, COMMITMENT.digest.hex())


def audited(*answers: AuditedAnswer) -> Any:
    return audit_answers(TABLE, SECRET, COMMITMENT, LABELS, answers)


@pytest.mark.parametrize("price", [GAUSSIAN, LAPLACE, Price(0.1, 1e-6), Price(8.0, 0.0)])
@pytest.mark.parametrize("dimensions", [1, 3, 40])
def test_honest_answers_fit(price: Price, dimensions: int) -> None:
    """False alarms: below 1e-6 for each of the 12 cases."""
    audit = audited(*(answered(number, price, dimensions=dimensions) for number in range(6)))
    assert audit.ok, audit.words()
    assert set(audit.verdict().values()) == {"fits"}
    assert "Every one fits." in audit.words()


def cheat(sums: NoisySums, **changes: Any) -> NoisySums:
    return NoisySums(changes.get("values", sums.values), changes.get("calibration", sums.calibration))


@pytest.mark.parametrize("price", [GAUSSIAN, LAPLACE])
def test_each_way_to_cheat_is_found(price: Price) -> None:
    """An eighth or eight times the noise pass with probability below 1e-9: 40 sums are off by that much."""
    honest = [answered(number, price) for number in range(4)]
    first = honest[0]
    exact = first.query.sums(LABELS).astype(np.float64)
    grid = 2.0**-first.sums.calibration.shift
    deviation = first.sums.deviation
    calibration = first.sums.calibration
    moved = np.rint(first.sums.values / grid) * grid
    moved[3] += np.rint(40 * deviation)
    ways = {
        "no noise": cheat(first.sums, values=exact),
        "an eighth of the noise": cheat(
            first.sums, values=exact + np.rint((first.sums.values - exact) / 8 / grid) * grid
        ),
        "eight times the noise": cheat(first.sums, values=exact + 8 * (first.sums.values - exact)),
        "one sum moved": cheat(first.sums, values=moved),
        "off the grid": cheat(first.sums, values=first.sums.values + grid / 3),
        "another scale": cheat(
            first.sums, calibration=Noise(calibration.law, calibration.shift, calibration.scale * 2)
        ),
    }
    for way, sums in ways.items():
        audit = audited(replace(first, sums=sums), *honest[1:])
        assert first.plan in audit.faults, (way, audit.words())
        if way == "eight times the noise":
            continue  # so much noise may make all answers together lean to one side
        assert list(audit.faults) == [first.plan], (way, audit.words())
        assert audit.verdict() == {one.plan: "does not fit" if one is first else "fits" for one in honest}


def test_answers_about_other_labels_are_found() -> None:
    """The provider answered from another table than it committed to: a fifth of its labels flipped."""
    other = LABELS.copy()
    other[: ROWS // 5] ^= 1
    price = Price(8.0, 1e-6)
    audit = audited(*(answered(number, price, labels=other) for number in range(8)))
    assert not audit.ok


def test_small_shifts_in_one_direction_add_up() -> None:
    answers = []
    for number in range(30):
        one = answered(number, GAUSSIAN)
        grid = 2.0**-one.sums.calibration.shift
        shift = np.rint(0.3 * one.sums.deviation / grid) * grid
        answers.append(replace(one, sums=cheat(one.sums, values=one.sums.values + shift)))
    assert audited(answers[0]).ok  # one answer's noise hides it
    audit = audited(*answers)
    assert "lean to one side" in "\n".join(audit.words())
    assert audit.detectable < 0.2


def test_the_same_noise_twice_is_found() -> None:
    one, two = answered(1, GAUSSIAN), answered(2, GAUSSIAN)
    noise = one.sums.values - one.query.sums(LABELS)
    sums = cheat(two.sums, values=two.query.sums(LABELS) + noise)
    audit = audited(one, replace(two, sums=sums))
    assert set(audit.faults) == {one.plan, two.plan}
    assert "its noise is that of another answer" in audit.faults[one.plan]


def test_a_receipt_without_the_commitment_is_found() -> None:
    for carried in (None, "00" * 32):
        audit = audited(replace(answered(1, GAUSSIAN), commitment=carried))
        assert audit.faults[f"{1:064x}"] == ("its receipt does not carry the commitment",)


def test_another_table_is_not_looked_at() -> None:
    other = [dict(row) for row in TABLE]
    other[7]["ill"] = 1 - int(LABELS[7])
    with pytest.raises(VerificationFailed, match="not the one that was committed to"):
        audit_answers(other, SECRET, COMMITMENT, LABELS, [answered(1, GAUSSIAN)])
    with pytest.raises(UsageError, match="at least one answer"):
        audited()
    with pytest.raises(UsageError, match="between 0 and 1"):
        audit_answers(TABLE, SECRET, COMMITMENT, LABELS, [answered(1, GAUSSIAN)], false_alarm=0)
    short = answered(1, GAUSSIAN)
    with pytest.raises(UsageError, match="another number of sums"):
        audited(replace(short, sums=cheat(short.sums, values=short.sums.values[:-1])))


def test_the_verdict_tells_nothing_but_one_word_each() -> None:
    audit = audited(answered(1, GAUSSIAN), answered(2, GAUSSIAN))
    assert set(audit.verdict()) == {f"{n:064x}" for n in (1, 2)}
    assert all(isinstance(word, str) for word in audit.verdict().values())


def grouped(number: int, question: GroupSum, epsilon: float = 1.0) -> AuditedAnswer:
    """A question of a live conversation, answered."""
    codes = np.random.default_rng(number).integers(-1, 4, ROWS)
    query, price = GroupQuestion(question, codes, 4), Price(epsilon, 0.0)
    scale = question.scale(ROWS, 4, epsilon)
    sums = query.sums(LABELS) + Draws().take(scale, query.dimensions)
    told = NoisySums(sums.astype(np.float64), Noise("laplace", 0, scale))
    return AuditedAnswer(f"{number // 3:064x}", query, told, price, COMMITMENT.digest.hex())


def test_live_questions_fit_and_those_of_one_message_have_one_word() -> None:
    """False alarms: below 1e-6."""
    kinds = [GroupSum("age"), GroupSum("age", 2), GroupSum("age", weights=(3, -1, 0, 7))]
    answers = [grouped(number, kinds[number % 3]) for number in range(60)]
    audit = audited(*answers)
    assert audit.ok, audit.words()
    assert len(audit.checked) == 20
    # 200 off where the scale is 7: never by chance
    off = replace(answers[5], sums=cheat(answers[5].sums, values=answers[5].sums.values + 200))
    found = audited(*answers[:5], off, *answers[6:])
    assert [plan for plan, word in found.verdict().items() if word == "does not fit"] == [answers[5].plan]


@pytest.mark.parametrize("epsilon", [0.02, 0.1, 1.0, 8.0])
def test_noise_that_is_nought_by_chance_fits(epsilon: float) -> None:
    """One number with noise of scale 12: in one of 25 answers it is 0. False alarms: below 1e-6 each."""
    audit = audited(*(grouped(number, GroupSum("age", 1), epsilon) for number in range(150)))
    assert audit.ok, audit.words()


def test_the_exact_sums_of_a_live_question_are_those_of_a_plain_count() -> None:
    codes = np.array([0, 0, 1, -1, 1])
    labels = np.array([1, 0, 1, 1, 1])
    assert GroupQuestion(GroupSum("g"), codes, 2).sums(labels).tolist() == [1, 2]
    assert GroupQuestion(GroupSum("g", 1), codes, 2).sums(labels).tolist() == [2]
    assert GroupQuestion(GroupSum("g", weights=(5, -1)), codes, 2).sums(labels).tolist() == [3]
