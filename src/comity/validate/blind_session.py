"""BlindSession: all parties of blind validation in one process, for notebooks and tests.

The code that counts, pads and draws is that of the parties' programs; here one object plays them all, so it
protects nobody from whoever runs it. What it shows is what each party would get: `mediator_sees` and the
answers.
"""

from __future__ import annotations

import hashlib
import tempfile
import threading
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from comity.crypto.canonical import digest
from comity.crypto.exchange import Exchange
from comity.crypto.keys import SigningKey
from comity.crypto.pads import random_key, random_name
from comity.errors import BadInput, UsageError
from comity.validate.account import LabelAccount
from comity.validate.arguments import binary, finite_scores
from comity.validate.blind import (
    PadKeys,
    PadSum,
    Pooled,
    TokenOrder,
    Upload,
    masked_answer,
    opened,
    second_noise,
    total_calibration,
)
from comity.validate.blind_admission import Admission
from comity.validate.blind_groups import question_of
from comity.validate.blind_holders import covering, holder_tokens, require_few_holders
from comity.validate.blind_price import portion_calibration, require_portions
from comity.validate.blind_query import permuted, to_message
from comity.validate.blind_store import StoredAnswers
from comity.validate.frame import Frame
from comity.validate.mechanism import NoisySums, Price
from comity.validate.queries import Query

if TYPE_CHECKING:
    from comity.validate.estimate import Question

_CLAUSE = "architectures.blind-validation"
_DEFAULT_METRICS = ("auc", "calibration", "confusion")


class BlindFeedback:
    """The answer to a question about scores.

    Attributes:
        estimates, intervals: by metric, as `Feedback` has them; over all providers' labels.
        groups: public facts about the groups asked about.
    """

    def __init__(self, question: Question, answer: NoisySums) -> None:
        self.estimates, self.intervals = question.read(answer)
        self.groups: Mapping[str, Any] = dict(question.facts)


class BlindSession:
    """Several providers' labels behind a mediator.

    Args:
        frame_ids: the ids that all parties know, each once.
        providers: by name, ids and labels 0 or 1 of the records it holds.
        epsilon, delta: what all answers together cost each provider, for a change of one record's label at
            all the providers that hold it.
        portions: how the answers share that; they add up to 1 at most, and each is asked for once.
        minimum: least number of records in a group.
        groups_per_record: how many groups a record may be in, over all answers.
        providers_per_record: at how many providers a record may be. Its labels are added, so that it counts
            as often as it is held, and the noise covers all of them.
        folder: where stored answers are kept; None: a folder that goes with the session.

    Raises:
        BadInput: for ids outside the frame or given twice.
        ClauseRefused: if more providers than that hold one record.
        UsageError: for portions or a price that cannot be.
    """

    def __init__(
        self,
        frame_ids: Iterable[Any],
        providers: Mapping[str, tuple[Iterable[Any], Iterable[Any]]],
        *,
        epsilon: float = 1.0,
        delta: float = 1e-6,
        portions: Sequence[float] = (1.0,),
        minimum: int = 10,
        groups_per_record: int = 64,
        providers_per_record: int = 1,
        folder: Path | None = None,
    ) -> None:
        if not providers or providers_per_record < 1:
            raise UsageError("blind validation needs a provider, and a record is at 1 provider or more")
        require_portions(portions)
        self._frame = Frame(frame_ids)
        self._price = Price(epsilon, delta)
        self._portions = tuple(portions)
        self._minimum = minimum
        self._holders = providers_per_record
        self._names = tuple(providers)
        self._own: tempfile.TemporaryDirectory[str] | None = None
        if folder is None:
            self._own = tempfile.TemporaryDirectory(prefix="comity-blind-")
            folder = Path(self._own.name)
        self._stores = {
            name: StoredAnswers(folder / name, clause=_CLAUSE) for name in (*self._names, "mediator")
        }
        self._admission = Admission(len(self._frame), most=groups_per_record, minimum=minimum, clause=_CLAUSE)
        self._accounts = {name: LabelAccount(epsilon, delta) for name in self._names}
        self._lock = threading.Lock()
        self._open(providers)

    def _open(self, providers: Mapping[str, tuple[Iterable[Any], Iterable[Any]]]) -> None:
        """Keys, the order of tokens, and every provider's charge and upload."""
        self.order = TokenOrder.over(len(self._frame), random_key())
        sides = {name: self._side(*table) for name, table in providers.items()}
        token_key = random_key()
        require_few_holders(
            {name: holder_tokens(held, token_key) for name, (held, _) in sides.items()},
            len(self._frame),
            self._holders,
            clause=_CLAUSE,
        )
        agreement = digest({"session": random_name()})
        keys = {name: _pad_keys(name, agreement) for name in self._names}
        uploads: dict[str, Upload] = {}
        for name, (held, labels) in sides.items():
            self._stores[name].claim(f"nonce-{keys[name].nonce}")
            self._accounts[name].charge(None, f"padded labels over a frame of {len(self._frame)} records")
            uploads[name] = Upload.of(held, labels, self.order, keys[name])
        self.mediator_sees: dict[str, Upload] = uploads
        self._pooled = Pooled.over(uploads.items())
        self._pads = PadSum.over(list(keys.values()), "label", self.order)
        self._second = _shared("ml_party", "mediator", agreement)

    def _side(self, ids: Iterable[Any], labels: Iterable[Any]) -> tuple[NDArray[np.int8], NDArray[np.int8]]:
        places, own = self._frame.places(ids), binary(labels)
        if len(places) != len(own):
            raise BadInput(f"{len(places)} ids came with {len(own)} labels: one each is needed", private=True)
        held, spread = np.zeros(len(self._frame), np.int8), np.zeros(len(self._frame), np.int8)
        held[places], spread[places] = 1, own
        return held, spread

    def __len__(self) -> int:
        return len(self._frame)

    def feedback(
        self,
        scores: Iterable[Any],
        metrics: Sequence[str] = _DEFAULT_METRICS,
        *,
        portion: int = 0,
        threshold: float | None = None,
        groups: Iterable[Any] | None = None,
    ) -> BlindFeedback:
        """How well scores, one per record in the frame's order, predict all providers' labels.

        Args:
            groups: (records,) a group's name for each record, None or NaN for none: every metric is told for
                every group, at the price of one answer.

        Raises:
            ClauseRefused: if the mediator refuses the groups, or the portion was spent on another question.
            BadInput, UsageError: as `LocalValidator.feedback`.
        """
        numbers = finite_scores(scores, len(self._frame))
        question = question_of(
            numbers, tuple(metrics), threshold=threshold, minimum=self._minimum, groups=groups
        )
        return BlindFeedback(question, self.statistics(question.query, portion=portion))

    def statistics(self, query: Query, *, portion: int = 0, in_token_order: bool = False) -> NoisySums:
        """The noisy sums of a question.

        The same question for the same portion gets the same answer; another one is refused.

        Args:
            query: its rows in the frame's order.
            in_token_order: its rows are in the order of the tokens instead: whoever keeps its features as
                `order.places` says has nothing to reorder for each question.

        Raises:
            as `feedback`.
        """
        if not 0 <= portion < len(self._portions):
            raise UsageError(f"there are {len(self._portions)} portions, from 0 on; not {portion}")
        turned = query if in_token_order else permuted(query, self.order.places)
        body, parts = to_message(turned)
        asked = digest({"body": body, "parts": {name: _sha256(data) for name, data in parts.items()}})
        calibration = portion_calibration(
            covering(query, self._holders), self._price, self._portions[portion]
        )
        second = self._second.derive(use="second pad", portion=portion)

        def drawn() -> dict[str, bytes]:
            self._admission.admit(turned)
            words = masked_answer(self._pooled, turned, "label", calibration, second, len(self._names))
            return {name: one.astype("<u8").tobytes() for name, one in zip(self._names, words, strict=True)}

        with self._lock:
            summands = self._stores["mediator"].once(f"sums-{portion:x}", asked, drawn)
        noisy: list[NDArray[np.uint64]] = []
        for name in self._names:
            words = np.frombuffer(summands[name], dtype="<u8").astype(np.uint64)
            told = self._stores[name].once(
                f"noise-{portion:x}",
                _sha256(summands[name]),
                lambda words=words: {
                    "summand": second_noise(words, calibration, len(self._names)).astype("<u8").tobytes()
                },
            )
            noisy.append(np.frombuffer(told["summand"], dtype="<u8").astype(np.uint64))
        sums = opened(noisy, turned, calibration, second, self._pads)
        return NoisySums(sums, total_calibration(calibration, len(self._names)))


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _pad_keys(name: str, agreement: str) -> PadKeys:
    return PadKeys(_shared(name, "ml_party", agreement), name, agreement, random_name())


def _shared(one: str, other: str, agreement: str) -> Any:
    """The key of two ends that both stand in this process."""
    key = SigningKey.generate()
    ends = [
        Exchange(sender=sender, recipient=recipient, purpose=agreement, key=key)
        for sender, recipient in ((one, other), (other, one))
    ]
    return ends[0].agree(ends[1].offer, key=key.verify_key)
