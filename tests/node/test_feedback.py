"""Live feedback: a conversation between an ML party and a provider's node, over its HTTP side."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from starlette.testclient import TestClient

from comity.agreement import Agreement
from comity.errors import BadInput, ClauseRefused, PartyFailed, UsageError, VerificationFailed
from comity.node.api import application
from comity.node.remote import RemoteValidator
from comity.validate.group_sums import Draws, GroupSum, margin
from comity.wire import Query, Sealer, open_message

ROWS = 400


@dataclass
class Scene:
    """A provider's node and an ML party that asks it."""

    town: Any
    agreement: Agreement
    ids: list[str]
    ages: list[int]
    ill: np.ndarray
    network: Any
    client: TestClient
    lost: list[bytes] = field(default_factory=list)

    @property
    def node(self) -> Any:
        return self.network.nodes["north"]

    def post(self, data: bytes) -> tuple[int, bytes]:
        answer = self.client.post("/feedback", content=data)
        return answer.status_code, answer.content

    def validator(self, **changes: Any) -> RemoteValidator:
        settings = {"ids": self.ids, "task": self.town.task, "post": self.post, **changes}
        return RemoteValidator(self.town.analyst, self.agreement, "north", **settings)

    def restart(self, fuse: Any = None) -> None:
        self.network.nodes.pop("north").stop()
        self.rise(fuse)

    def rise(self, fuse: Any = None) -> None:
        """Start the node; a fuse guards what feedback writes durably."""
        node = self.network.start("north")
        if fuse is not None:
            for name in ("charge_all", "append_all"):
                setattr(node.ledger, name, fuse.guard(f"ledger.{name}", getattr(node.ledger, name)))
        self.client = TestClient(application(node), raise_server_exceptions=False)

    def kinds(self) -> list[str]:
        return [entry.kind for entry in self.node.ledger.events()]


@pytest.fixture
def scene_of(houses: Any, crashing: Any, tmp_path: Path) -> Iterator[Callable[..., Scene]]:
    networks = []

    def build(*, epsilon: float = 50.0, queries: int = 1_000) -> Scene:
        town = houses.build_town(
            tmp_path, ["validation"], parties=("north", "analyst"), rows=ROWS, epsilon=epsilon
        )
        document = town.agreement.to_dict()
        document.pop("signatures")
        document["architectures"]["validation"] |= {"queries": queries, "epsilon": epsilon}
        agreement = houses.agreed(town.folders, document)
        table = pq.read_table(town.folders["north"].tables_path / "train.parquet").sort_by("id")
        network = crashing.Network(town)
        networks.append(network)
        ill = np.array([value == "yes" for value in table.column("ill").to_pylist()])
        scene = Scene(
            town,
            agreement,
            table.column("id").to_pylist(),
            table.column("age").to_pylist(),
            ill,
            network,
            None,
        )
        scene.rise()
        return scene

    yield build
    for network in networks:
        network.stop()


@pytest.fixture
def scene(scene_of: Callable[..., Scene]) -> Scene:
    return scene_of()


def test_a_private_failure_is_told_as_one_and_as_nothing_more(scene: Scene) -> None:
    (scene.town.folders["north"].tables_path / "train.parquet").unlink()
    with pytest.raises(PartyFailed, match="its steward knows why") as told:
        scene.validator()
    assert "train" not in str(told.value)


def decades(scene: Scene) -> list[int]:
    return [age // 20 for age in scene.ages]


def test_a_conversation_tells_noisy_sums_with_cost_and_what_is_left(scene: Scene) -> None:
    validator = scene.validator()
    assert validator.register("age", decades(scene)) == (1, 2, 3)
    told = validator.positives("age", 2, epsilon=2.0)
    exact = int(scene.ill[np.array(decades(scene)) == 2].sum())
    # noise of scale 1/2: more than 60 has a probability below 1e-50
    assert abs(told.estimates["positives"] - exact) <= 60
    low, high = told.intervals["positives"]
    assert low <= told.estimates["positives"] <= high
    assert told.cost.epsilon == 2.0
    assert told.left.epsilon == 48.0
    assert validator.queries_left == 999
    every = validator.positives("age", epsilon=2.0)
    assert set(every.estimates["positives"]) == {1, 2, 3}
    assert every.left.epsilon <= 46.0
    assert scene.node.ledger.verify().ok


def test_a_batch_is_one_charge_and_counts_as_its_questions(scene: Scene) -> None:
    validator = scene.validator()
    validator.register("age", decades(scene))
    before = len(scene.kinds())
    questions = [validator.question("age", weights=[1, at, 1]) for at in range(-25, 25)]
    questions.append(validator.question("age", weights=[1, -2, 3]))
    answers = validator.sums(questions, epsilon=0.5)
    assert len(answers) == 51
    assert scene.kinds()[before:] == ["opened", "asked", "charged", "released"]
    assert answers[0].cost.epsilon == pytest.approx(25.5)
    assert validator.queries_left == 1_000 - 51
    sizes = [scene.ill[np.array(decades(scene)) == at].sum() for at in (1, 2, 3)]
    # scale 3 / 0.5: more than 600 has a probability below 1e-40
    assert abs(answers[-1].estimates["sum"] - (sizes[0] - 2 * sizes[1] + 3 * sizes[2])) <= 600


def test_accuracy_as_a_local_validator_tells_it(scene: Scene) -> None:
    scores = np.array(scene.ages) / 80
    told = scene.validator().feedback(scene.ids, scores, ["accuracy"], epsilon=8.0)
    exact = float(((scores >= 0.5) == scene.ill).mean())
    # scale 1/8 over 400 records: an error of 0.02 has a probability below 1e-27
    assert told.estimates["accuracy"] == pytest.approx(exact, abs=0.02)
    assert told.cost.epsilon == 8.0


def test_other_metrics_are_told_of_the_same_sums_and_those_by_record_are_refused(scene: Scene) -> None:
    validator = scene.validator()
    scores = np.array(scene.ages) / 80
    wanted = ["confusion", "precision", "recall", "f1", "specificity", "prevalence", "calibration"]
    told = validator.feedback(scene.ids, scores, wanted, epsilon=16.0)
    positive = scores >= 0.5
    exact = {
        "precision": (positive & scene.ill).sum() / positive.sum(),
        "recall": (positive & scene.ill).sum() / scene.ill.sum(),
        "prevalence": scene.ill.mean(),
    }
    # noise of scale 1/8 on counts of 100 and more: an error of 0.1 has a probability below 1e-30
    for metric, value in exact.items():
        assert told.estimates[metric] == pytest.approx(value, abs=0.1)
        low, high = told.intervals[metric]
        assert low <= told.estimates[metric] <= high
    assert set(told.estimates["confusion"]) == {"tp", "fp", "fn", "tn"}
    assert len(told.estimates["calibration"]) == len(told.groups["calibration"]["sizes"])
    assert told.cost.epsilon == pytest.approx(16.0)
    before = scene.kinds()
    for metrics in (["auc"], ["log_loss", "accuracy"], ["no-such"], []):
        with pytest.raises(UsageError):
            validator.feedback(scene.ids, scores, metrics, epsilon=1.0)
    assert scene.kinds() == before
    again = validator.feedback(scene.ids, scores, wanted, epsilon=16.0)
    assert again.repeated
    assert again.estimates == told.estimates


def test_a_question_asked_again_is_told_again_for_free(scene: Scene) -> None:
    validator = scene.validator()
    validator.register("age", decades(scene))
    told = validator.positives("age", 2, epsilon=0.5)
    every = validator.positives("age", epsilon=0.5)
    left, queries = validator.remaining(), validator.queries_left
    charged = scene.kinds().count("charged")
    other = scene.validator()
    other.register("the same under another name", decades(scene))
    again = other.positives("the same under another name", 2, epsilon=0.5)
    assert (again.estimates, again.intervals) == (told.estimates, told.intervals)
    assert again.repeated
    assert again.cost.epsilon == 0
    assert not told.repeated
    assert other.positives("the same under another name", epsilon=0.5).estimates == every.estimates
    assert other.remaining().epsilon >= left.epsilon
    assert other.queries_left == queries
    scene.restart()
    third = scene.validator()
    third.register("age", decades(scene))
    assert third.positives("age", 2, epsilon=0.5).estimates == told.estimates
    assert scene.kinds().count("charged") == charged
    # what has left stands in the ledger, with the releases whose answers it tells again
    *_, last = scene.node.ledger.events("released")
    first = scene.node.ledger.events("released")[0]
    assert last.body["repeats"] == [first.seq]
    assert not last.body["exact"]
    # another price is another question
    assert not third.positives("age", 2, epsilon=0.25).repeated
    assert scene.kinds().count("charged") == charged + 1
    assert scene.node.ledger.verify().ok


def test_a_batch_pays_for_what_is_new_in_it_alone(scene: Scene) -> None:
    validator = scene.validator()
    validator.register("age", decades(scene))
    known = validator.positives("age", 1, epsilon=0.5)
    queries = validator.queries_left
    asked = [validator.question("age", group) for group in (2, 1, 3, 2)]
    told = validator.sums(asked, epsilon=0.5)
    assert [each.repeated for each in told] == [False, True, False, False]
    assert told[1].estimates == known.estimates
    assert told[3].estimates == told[0].estimates
    assert told[0].cost.epsilon == 1.0
    assert validator.queries_left == queries - 2
    again = validator.sums(asked[:2], epsilon=0.5)
    assert [each.estimates for each in again] == [told[0].estimates, told[1].estimates]
    assert again[0].cost.epsilon == 0
    assert scene.kinds().count("charged") == 2


def test_the_same_question_of_many_at_once_is_drawn_once(scene: Scene) -> None:
    validators = [scene.validator() for _ in range(6)]
    for validator in validators:
        validator.register("age", decades(scene))
    told: list[Any] = []
    threads = [
        threading.Thread(target=lambda each=each: told.append(each.positives("age", 1, epsilon=0.5)))
        for each in validators
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({each.estimates["positives"] for each in told}) == 1
    assert sorted(each.cost.epsilon for each in told) == [0, 0, 0, 0, 0, 0.5]
    assert scene.kinds().count("charged") == 1


def test_a_question_that_is_none_is_refused_before_anything_is_charged_or_read(scene: Scene) -> None:
    validator = scene.validator()
    validator.register("age", decades(scene))
    before = scene.kinds()
    sealer = Sealer(
        session=validator.conversation,
        agreement=scene.agreement.digest,
        party="analyst",
        key=scene.town.analyst.key,
        may_query=True,
    )
    fine = {"questions": [["age", 1]], "epsilon": 0.5}
    wrong = [
        *({**fine, "epsilon": epsilon} for epsilon in (0, -1, 17, 1e-9, True, "1", None, [0.5])),
        *({**fine, "questions": asked} for asked in ([], {}, "age", [["age", 3]], [["job", 0]], [["age"]])),
        *({**fine, "questions": [["age", weights]]} for weights in ([1, 2], [0, 0, 0], [2**21, 0, 0])),
        {"questions": [["age", 1]]},
        {**fine, "more": 1},
    ]
    for body in wrong:
        sealer.set_back("north", 2)
        status, answer = scene.post(sealer.seal("north", Query("sums", body)))
        assert (status, answer) == (422, b'{"code":"bad-input"}'), body
    sealer.set_back("north", 2)
    assert scene.post(sealer.seal("north", Query("sums", fine, {"part": b"x"})))[0] == 422
    assert set(scene.kinds()[len(before) :]) == {"refused"}
    assert all(book._labels is None for book in scene.node.desk.talks.books)
    assert validator.positives("age", 1, epsilon=0.5).left.epsilon == 49.5


def test_the_monitor_refuses_a_grouping_before_anything_is_charged(scene: Scene) -> None:
    validator = scene.validator()
    with pytest.raises(ClauseRefused, match="minimum_group"):
        validator.register("few", [0] * 3 + [1] * (ROWS - 3))
    assert "charged" not in scene.kinds()
    with pytest.raises(UsageError, match=r"no grouping"):
        validator.positives("few", 0, epsilon=1.0)
    validator.register("all", [0] * ROWS)
    # all but 3, asked beside all, would single them out; another conversation changes nothing about it
    with pytest.raises(ClauseRefused, match=r"validation\.minimum_group"):
        scene.validator().register("others", [None] * 3 + [1] * (ROWS - 3))
    assert validator.positives("all", 0, epsilon=1.0).cost.epsilon == 1.0


def test_queries_and_budget_are_refused_in_words_with_what_is_left(scene_of: Callable[..., Scene]) -> None:
    scene = scene_of(epsilon=5.0, queries=4)
    validator = scene.validator()
    validator.register("age", decades(scene))
    with pytest.raises(ClauseRefused, match=r"left: epsilon 5"):
        validator.positives("age", 1, epsilon=6.0)
    validator.positives("age", 1, epsilon=1.0)
    with pytest.raises(ClauseRefused, match="3 of 4"):
        validator.sums([validator.question("age", weights=[1, 1, at]) for at in range(4)], epsilon=0.1)
    for group in (1, 2, 3):
        validator.positives("age", group, epsilon=0.1)
    with pytest.raises(ClauseRefused, match="used up"):
        validator.positives("age", epsilon=0.1)
    assert scene.kinds().count("charged") == 4


def test_the_same_message_again_gets_the_same_bytes_and_a_changed_one_is_refused(scene: Scene) -> None:
    sent: list[tuple[bytes, tuple[int, bytes]]] = []

    def post(data: bytes) -> tuple[int, bytes]:
        answer = scene.post(data)
        sent.append((data, answer))
        return answer

    validator = scene.validator(post=post)
    validator.register("age", decades(scene))
    validator.positives("age", 1, epsilon=0.5)
    before = scene.kinds()
    for data, answer in sent:
        assert scene.post(data) == answer
    assert scene.kinds() == before
    scene.restart()
    for data, answer in sent:
        assert scene.post(data) == answer
    sealer = Sealer(
        session=validator.conversation,
        agreement=scene.agreement.digest,
        party="analyst",
        key=scene.town.analyst.key,
        may_query=True,
    )
    sealer.set_back("north", 2)
    changed = sealer.seal("north", Query("sums", {"questions": [["age", 2]], "epsilon": 0.5}))
    assert scene.post(changed) == (422, b'{"code":"bad-input"}')
    sealer.set_back("north", 9)
    assert scene.post(sealer.seal("north", Query("sums", {"questions": [], "epsilon": 1.0})))[0] == 409
    assert scene.kinds().count("charged") == 1


def test_a_conversation_goes_on_after_a_restart(scene: Scene) -> None:
    validator = scene.validator()
    validator.register("age", decades(scene))
    validator.positives("age", 1, epsilon=0.5)
    scene.restart()
    assert validator.positives("age", 2, epsilon=0.5).left.epsilon == 49.0
    with pytest.raises(ClauseRefused):  # what the monitor has admitted, it remembers
        scene.validator().register("nearly", [1] * 3 + decades(scene)[3:])


def test_who_is_no_ml_party_or_asks_about_other_records_is_refused(scene: Scene, houses: Any) -> None:
    with pytest.raises(BadInput):
        scene.validator(ids=scene.ids[:-1])
    stranger = Sealer(
        session="ab" * 16,
        agreement="0" * 64,
        party="analyst",
        key=scene.town.analyst.key,
        may_query=True,
    )
    status, body = scene.post(stranger.seal("north", Query("open", {})))
    assert (status, body) == (403, b'{"code":"clause-refused"}')
    forged = Sealer(
        session="ab" * 16,
        agreement=scene.agreement.digest,
        party="analyst",
        key=scene.node.key,
        may_query=True,
    )
    assert b"verification-failed" in scene.post(forged.seal("north", Query("open", {})))[1]
    assert scene.post(b"garbage")[0] < 500


def test_an_answer_that_was_altered_does_not_count(scene: Scene) -> None:
    def post(data: bytes) -> tuple[int, bytes]:
        status, answer = scene.post(data)
        return status, answer.replace(b'"sums":[', b'"sums":[1') if answer else answer

    validator = scene.validator(post=post)
    validator.register("age", decades(scene))
    with pytest.raises(VerificationFailed):
        validator.positives("age", 1, epsilon=0.5)


def test_a_lost_answer_is_got_by_asking_again(scene: Scene) -> None:
    drops = [False]

    def post(data: bytes) -> tuple[int, bytes]:
        answer = scene.post(data)
        if drops[0]:
            drops[0] = False
            raise PartyFailed("the connection broke")
        return answer

    validator = scene.validator(post=post)
    validator.register("age", decades(scene))
    drops[0] = True
    with pytest.raises(PartyFailed):
        validator.positives("age", 1, epsilon=0.5)
    assert validator.positives("age", 1, epsilon=0.5).left.epsilon == 49.5
    drops[0] = True
    with pytest.raises(PartyFailed):
        validator.positives("age", 3, epsilon=0.5)
    assert validator.positives("age", 2, epsilon=0.5).left.epsilon <= 48.5
    assert scene.kinds().count("charged") == 3


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("at", [1, 2])
def test_a_crash_at_every_write_never_gives_two_answers_for_one_plan(
    scene: Scene, crashing: Any, at: int, after: bool
) -> None:
    """`at` 1 is the charge, 2 the release; after it the answer itself is lost."""
    validator = scene.validator()
    validator.register("age", decades(scene))
    fuse = crashing.Fuse(at, after)
    scene.restart(fuse)
    with pytest.raises(PartyFailed):
        validator.positives("age", 1, epsilon=0.5)
    assert fuse.blown.is_set()
    charged = {(1, False): 0, (1, True): 1, (2, False): 1, (2, True): 1}[at, after]
    scene.network.bury("north")
    scene.rise()
    assert scene.kinds().count("charged") == charged
    if (at, after) == (2, True):
        with pytest.raises(ClauseRefused, match="not drawn a second time"):
            validator.positives("age", 1, epsilon=0.5)
        assert scene.kinds().count("charged") == 1
    assert validator.positives("age", 1, epsilon=0.5).cost.epsilon == 0.5
    assert scene.kinds().count("charged") == charged + 1
    plans = [e.body["plan"] for e in scene.node.ledger.events("released")]
    assert len(plans) == len(set(plans))
    assert scene.node.ledger.verify().ok


def test_eight_askers_get_exactly_as_many_answers_as_the_budget_holds(scene_of: Callable[..., Scene]) -> None:
    scene = scene_of(epsilon=2.0)
    validators = [scene.validator() for _ in range(8)]
    for validator in validators:
        validator.register("age", decades(scene))
    answered, refused = [], []

    def ask(validator: RemoteValidator, which: int) -> None:
        for at in range(4):
            question = validator.question("age", weights=[which, at, 9])
            try:
                answered.extend(validator.sums([question], epsilon=0.1))
            except ClauseRefused:
                refused.append(1)

    threads = [threading.Thread(target=ask, args=each) for each in zip(validators, range(8), strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(answered), len(refused)) == (20, 12)
    assert scene.kinds().count("charged") == scene.kinds().count("released") == 20
    report = scene.node.ledger.verify()
    assert report.ok


def test_noise_shared_by_a_round_is_handed_out_once() -> None:
    draws = Draws()
    for _ in range(50):
        draws.want(30.0, 2)
    taken = np.concatenate([draws.take(30.0, 2) for _ in range(60)])
    assert taken.shape == (120,)
    # variance of discrete Laplace of scale 30 is about 1800: 120 draws outside 3 times that have p < 1e-9
    assert 600 < taken.var() < 5_400


def test_the_margin_covers_what_it_says() -> None:
    """Against the sum of the probabilities themselves."""
    for scale in (0.2, 1.0, 7.5, 300.0):
        q = np.exp(-1 / scale)
        for level in (0.5, 0.95, 0.999):
            t = margin(scale, level)
            beyond = 2 * q ** (t + 1) / (1 + q)
            assert beyond <= (1 - level) * (1 + 1e-9)
            assert t == 0 or 2 * q**t / (1 + q) > (1 - level) * (1 - 1e-9)


def test_a_question_reads_back_and_garbage_is_refused() -> None:
    groups = {"age": 3}
    for question in (GroupSum("age"), GroupSum("age", 2), GroupSum("age", weights=(1, -1, 0))):
        assert GroupSum.from_list(question.to_list(), groups) == question
    garbage = [
        ["age"],
        ["job", 1],
        ["age", 3],
        ["age", -1],
        ["age", True],
        ["age", [1, 2]],
        ["age", [0, 0, 0]],
    ]
    for document in [*garbage, ["age", [1.5, 0, 0]], ["age", [2**30, 0, 0]], {}, None]:
        with pytest.raises(BadInput):
            GroupSum.from_list(document, groups)


def test_the_provider_signs_its_answer_for_the_asker_alone(scene: Scene) -> None:
    kept: list[bytes] = []

    def post(data: bytes) -> tuple[int, bytes]:
        status, answer = scene.post(data)
        kept.append(answer)
        return status, answer

    validator = scene.validator(post=post)
    validator.register("age", decades(scene))
    validator.positives("age", 1, epsilon=0.5)
    keys = {"north": scene.node.key.verify_key}
    assert open_message(kept[-1], keys=keys, recipient="analyst").number == 2
    with pytest.raises(VerificationFailed):
        open_message(kept[-1], keys=keys, recipient="hub")
