"""RemoteValidator: the ML party's end of a live feedback conversation with a provider's node.

What `comity.validate.LocalValidator` answers in process about 0/1 labels, a provider's node answers over
mutual TLS, under a signed agreement and charged to the provider's ledger. Every answer's signature and
receipt are checked before it counts: the provider's ledger holds the release, and says the same of it. Every
message is kept in the folder (`comity.node.transcript`), so that an audit can be asked for later.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from comity.agreement import Agreement
from comity.architectures.definition import Task
from comity.architectures.exchange import raise_refusal, sound_receipt
from comity.crypto.canonical import digest
from comity.crypto.pads import random_name
from comity.crypto.tls import client_context
from comity.errors import BadInput, ClauseRefused, PartyFailed, UsageError, VerificationFailed
from comity.gate import FAILED
from comity.ledger import Cost, PrivacyUnit, Relation, Remaining, pure
from comity.node.folder import PartyFolder
from comity.node.line import Line, code_of
from comity.node.scored import Sums, scored
from comity.node.transcript import Transcript
from comity.plan import Receipt
from comity.validate.arguments import finite_scores
from comity.validate.frame import Frame
from comity.validate.group_sums import GroupSum, margin
from comity.validate.groups import numbered_groups, without_gaps
from comity.validate.validator import Feedback
from comity.wire import Kind, Message, Query, Sealer, open_message

_METRICS = ("accuracy",)
_MOST_GROUPS = 2**15 - 1


class RemoteValidator:
    """One conversation with one provider's node about one target.

    Args:
        folder: the ML party's own: its key, certificate and the provider's card.
        agreement: signed by all, with a clause `validation` in mode `linked`.
        provider: the provider's name.
        task: target, positive value and id column, which are public.
        ids: of the records that both ends know.
        patience_s: seconds to keep trying to reach the provider's node.
        post: hands a message to the node and returns HTTP status and answer; over HTTPS by default.

    Raises:
        BadInput: if there is no card of the provider, or it means other records.
        ClauseRefused: if agreement or provider refuse the conversation.
        PartyFailed: if its node does not answer.

    Thread-safe: questions go one after another. For several at a time ask them as one batch (`sums`), or open
    a conversation each.
    """

    def __init__(
        self,
        folder: PartyFolder,
        agreement: Agreement,
        provider: str,
        task: Task,
        ids: Iterable[Any],
        *,
        patience_s: float = 30.0,
        post: Callable[[bytes], tuple[int, bytes]] | None = None,
    ) -> None:
        listed = list(ids)
        self._frame = Frame(sorted(listed))
        self._provider, self._me, self._agreement = provider, folder.name, agreement
        self._key = agreement.party(provider).key
        self._line = None if post is not None else _line(folder, provider, patience_s)
        self._post = post
        self._unanswered: bytes | None = None
        self.conversation = random_name()
        self._sealer = Sealer(
            session=self.conversation,
            agreement=agreement.digest,
            party=folder.name,
            key=folder.key,
            may_query=True,
        )
        self._transcript = Transcript(folder, agreement, provider, self.conversation)
        self._number = 0
        self._lock = threading.RLock()
        self._groupings: dict[str, NDArray[np.int64]] = {}
        self._names: dict[str, tuple[Any, ...]] = {}
        self._left: Remaining | None = None
        clause: Any = agreement.clause("validation")
        self._minimum = int(clause.minimum_group)
        self.queries_left: int | None = getattr(clause, "queries", None)
        self._ask("open", {"task": task.to_dict(), "frame": digest(self._frame.ids.tolist())})

    def close(self) -> None:
        """Let go of the connection."""
        if self._line is not None:
            self._line.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def ids(self) -> NDArray[Any]:
        """The ids of the frame, in its order: sorted."""
        return self._frame.ids

    @property
    def frame(self) -> Frame:
        return self._frame

    def __len__(self) -> int:
        return len(self._frame)

    def remaining(self) -> Remaining | None:
        """What one more answer may cost, as the last answer told; None before the first one."""
        return self._left

    def register(self, name: str, groups: Iterable[Any]) -> tuple[Any, ...]:
        """Register a grouping of the frame, once; questions then name it.

        Args:
            name: by which questions call it.
            groups: (records,) a group's name for each record in the frame's order (`ids`), None or NaN for
                none.

        Returns:
            The groups' names, in the order in which questions number them.

        Raises:
            ClauseRefused: if the provider's monitor does not admit it; nothing was charged.
            BadInput: for a name that is taken.
        """
        names, numbers = without_gaps(*numbered_groups(groups, len(self._frame)))
        codes = np.asarray(numbers)
        if len(names) > _MOST_GROUPS:
            raise UsageError(f"a grouping has {_MOST_GROUPS} groups at most, not {len(names)}")
        with self._lock:
            self._ask("grouping", {"name": name}, {"codes": codes.astype("<i2").tobytes()})
            self._groupings[name] = np.bincount(codes[codes >= 0], minlength=len(names))
            self._names[name] = names
        return names

    def positives(self, grouping: str, group: Any = None, *, epsilon: float) -> Feedback:
        """How many positive labels a group has; without `group`, every group at the price of one.

        Raises:
            UsageError: for a grouping or group that is not registered.
            ClauseRefused, BudgetRefused: as the provider's gate decides; nothing was charged.
        """
        return self.sums([self.question(grouping, group)], epsilon=epsilon)[0]

    def question(self, grouping: str, group: Any = None, *, weights: Sequence[int] | None = None) -> GroupSum:
        """A question about a registered grouping, for `sums`: of one group, weighted, or of every group."""
        names = self._names.get(grouping)
        if names is None:
            raise UsageError(f"no grouping '{grouping}' is registered; register it first")
        if weights is not None:
            return GroupSum(grouping, weights=tuple(int(weight) for weight in weights))
        if group is None:
            return GroupSum(grouping)
        if group not in names:
            raise UsageError(f"the grouping '{grouping}' has no group {group!r}")
        return GroupSum(grouping, names.index(group))

    def sums(self, questions: Sequence[GroupSum], *, epsilon: float) -> tuple[Feedback, ...]:
        """Noisy sums of labels, all in one message: admitted together or not at all.

        Args:
            epsilon: of each question by itself.

        Raises:
            ClauseRefused: as the provider's gate decides; nothing was charged.
            VerificationFailed: if the answer, its signature or its receipt does not fit.
        """
        body = {"questions": [question.to_list() for question in questions], "epsilon": float(epsilon)}
        with self._lock:
            message = self._ask("sums", body)
            if message is None:
                raise PartyFailed(f"'{self._provider}' took a question and gave no answer")
            told, receipt = self._checked(message)
            return self._read(questions, epsilon, told, receipt)

    def feedback(
        self,
        ids: Iterable[Any],
        scores: Iterable[Any],
        metrics: Sequence[str] | None = None,
        epsilon: float = 0.1,
        *,
        threshold: float | None = None,
    ) -> Feedback:
        """As `LocalValidator.feedback`, for metrics that sums over groups of records tell.

        Args:
            ids: of the records scored, each in the frame and given once.
            scores: one finite number each; larger means more likely positive.
            metrics: out of `comity.node.scored.TOLD`; None: accuracy.
            epsilon: of all of them together.
            threshold: scores at or above it predict positive; None: 0.5 for scores between 0 and 1, else 0.

        Raises:
            UsageError: for other metrics, and scores that a metric cannot use.
            ClauseRefused, BudgetRefused: as the provider's gate decides; nothing was charged.
        """
        places = self._frame.places(ids)
        given = finite_scores(scores, len(places))
        wanted = _METRICS if metrics is None else (metrics,) if isinstance(metrics, str) else tuple(metrics)
        asked = scored(given, wanted, threshold=threshold, minimum=self._minimum)
        with self._lock:
            questions = [self._asked(one, places) for one in asked.sums]
            told = self.sums(questions, epsilon=epsilon / len(questions))
        numbers = [each.estimates.get("positives") or {0: each.estimates["sum"]} for each in told]
        estimates, intervals = asked.read(numbers, epsilon)
        repeated = all(each.repeated for each in told)
        facts = dict(asked.question.facts)
        return Feedback(estimates, intervals, told[0].cost, told[0].left, facts, repeated)

    def _asked(self, one: Sums, places: NDArray[np.int64]) -> GroupSum:
        """The question for one of a score's sums; its grouping is registered where it is not."""
        groups: list[int | None] = [None] * len(self._frame)
        for place, code in zip(places.tolist(), one.codes.tolist(), strict=True):
            groups[place] = int(code)
        name = f"{one.name}-{digest(groups)[:32]}"
        names = self._names.get(name) or self.register(name, groups)
        # right are the positives predicted 1, and those predicted 0 less their positives
        weights = [1 if each == 1 else -1 for each in names] if one.signed else None
        return self.question(name, weights=weights)

    def _ask(
        self, topic: str, body: Mapping[str, Any], parts: Mapping[str, bytes] | None = None
    ) -> Message | None:
        """Send one message and read its answer; None where it was taken without a word."""
        with self._lock:
            query = Query(topic, dict(body), parts or {})
            number = self._number
            data = self._sealer.seal(self._provider, query)
            if self._unanswered not in (None, data):
                self._catch_up()
                number = self._number
                data = self._sealer.seal(self._provider, query)
            answer = self._sent(data)
            if not answer:
                return None
            message = open_message(answer, keys={self._provider: self._key}, recipient=self._me)
        if (message.session, message.number) != (self.conversation, number):
            raise VerificationFailed(f"'{self._provider}' answered another message than the one it was sent")
        raise_refusal(message)
        return message

    def _catch_up(self) -> None:
        """A message before this one is without an answer: have it answered first, for nobody."""
        if self._unanswered is not None:
            self._sealer.set_back(self._provider, self._number + 1)
            self._sent(self._unanswered)

    def _sent(self, data: bytes) -> bytes:
        """The answer to one message; while there is none its number stays due, and so do its bytes."""
        self._unanswered = data
        try:
            status, answer = self._reach(data)
        except PartyFailed:
            self._sealer.set_back(self._provider, self._number)
            raise
        self._unanswered = None
        if status not in (200, 204):  # it was not taken: its number is due again
            self._sealer.set_back(self._provider, self._number)
            raise _raised(self._provider, status, code_of(answer))
        self._number += 1
        self._transcript.keep(data, answer)
        return answer

    def _reach(self, data: bytes) -> tuple[int, bytes]:
        if self._post is not None:
            return self._post(data)
        if self._line is None:
            raise PartyFailed("this validator has no way to its provider")
        return self._line.post(data)

    def _checked(self, message: Message) -> tuple[Mapping[str, Any], Receipt]:
        """Outcome and receipt, if they belong together and the provider's ledger holds the release."""
        if message.kind is not Kind.release:
            raise VerificationFailed(f"'{self._provider}' answered with something that is no release")
        receipt = sound_receipt(message, self._agreement, self._me)
        return message.body["outcome"], receipt

    def _read(
        self, questions: Sequence[GroupSum], epsilon: float, told: Mapping[str, Any], receipt: Receipt
    ) -> tuple[Feedback, ...]:
        try:
            sums = [int(value) for value in told["sums"]]
            self._left = _remaining(told["left"])
            self.queries_left = told["left"]["queries"]
            repeated = frozenset(int(at) for at in told["repeated"])
            cost = _cost(receipt, every=len(repeated) == len(questions))
            # what an audit could not read is not taken for an answer
            sound = repeated <= set(range(len(questions))) and len(told["scales"]) in (1, len(questions))
            sound = sound and all(float(scale) > 0 for scale in told["scales"])
        except (KeyError, TypeError, ValueError):
            raise PartyFailed(f"'{self._provider}' answered in a form that cannot be read") from None
        if not sound:
            raise PartyFailed(f"'{self._provider}' states noise or repeats that cannot be")
        answers: list[Feedback] = []
        at = 0
        for place, question in enumerate(questions):
            sizes = self._groupings[question.grouping]
            count = question.values(len(sizes))
            # the noise that was asked and paid for; a provider that adds more answers wrongly
            around = margin(question.scale(len(self._frame), len(sizes), float(epsilon)))
            answer = self._told(question, sums[at : at + count], around, cost)
            answers.append(replace(answer, repeated=place in repeated))
            at += count
        if at != len(sums):
            raise PartyFailed(f"'{self._provider}' answered with {len(sums)} numbers where {at} were due")
        return tuple(answers)

    def _told(self, question: GroupSum, sums: list[int], around: int, cost: Cost) -> Feedback:
        if self._left is None:
            raise PartyFailed(f"'{self._provider}' did not say what is left")
        names, sizes = self._names[question.grouping], self._groupings[question.grouping]
        if question.weights is not None:
            estimates: dict[str, Any] = {"sum": float(sums[0])}
            intervals: dict[str, Any] = {"sum": (float(sums[0] - around), float(sums[0] + around))}
            return Feedback(estimates, intervals, cost, self._left, {})
        chosen = range(len(sizes)) if question.group is None else [question.group]
        values = {names[at]: float(value) for at, value in zip(chosen, sums, strict=True)}
        ends = {
            names[at]: (float(max(0, value - around)), float(min(sizes[at], value + around)))
            for at, value in zip(chosen, sums, strict=True)
        }
        groups = {names[at]: {"size": int(sizes[at])} for at in chosen}
        if question.group is not None:
            name = names[question.group]
            return Feedback({"positives": values[name]}, {"positives": ends[name]}, cost, self._left, groups)
        return Feedback({"positives": values}, {"positives": ends}, cost, self._left, groups)


def _line(folder: PartyFolder, provider: str, patience_s: float) -> Line:
    card = folder.peers().get(provider)
    if card is None:
        raise BadInput(f"there is no card of '{provider}': get it and run comity party add")
    context = client_context(folder.key, folder.certificate, card.certificate)
    return Line(card, context, "/feedback", patience_s=patience_s)


def _cost(receipt: Receipt, *, every: bool) -> Cost:
    """What a message was charged: nothing, if it was told before as a whole."""
    if receipt.cost is None and every:
        return pure(0, unit=PrivacyUnit.label, relation=Relation.change_one)
    return Cost.from_dict(dict(receipt.cost or {}))


def _remaining(left: Mapping[str, Any]) -> Remaining:
    gaussian = float("inf") if left["gaussian"] is None else float(left["gaussian"])
    return Remaining(
        PrivacyUnit.label, Relation.change_one, float(left["epsilon"]), float(left["delta"]), gaussian
    )


def _raised(provider: str, status: int, code: str) -> Exception:
    if code == ClauseRefused.code:
        refusal = ClauseRefused(f"'{provider}' refused the message", clause="not named")
        refusal.args = (f"'{provider}' refused the message: its steward knows why",)
        return refusal
    if code == VerificationFailed.code:
        return VerificationFailed(f"'{provider}' could not verify the message")
    if code == BadInput.code:
        return BadInput(
            f"'{provider}' cannot use the message: ids of the frame, a name, a group or an epsilon is not "
            "what both ends have agreed on"
        )
    if code == FAILED:
        return PartyFailed(f"'{provider}' could not take the message: its steward knows why")
    return PartyFailed(f"the node of '{provider}' answered with HTTP {status} ({code})")
