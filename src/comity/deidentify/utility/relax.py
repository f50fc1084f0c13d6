"""When anonymisation went so far that nothing can be learned: say so, and what to relax, measured.

Each way to relax is tried for real: the table is anonymized again with one thing changed, and the same model
is trained and tested on the same rows. What helps at the same privacy comes first; what lowers it is for the
steward to decide.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

from comity.deidentify.generalise import Anonymized, anonymize
from comity.deidentify.hierarchies.hierarchy import Hierarchy
from comity.deidentify.models.class_models import PrivacyModel
from comity.deidentify.utility.cells import Cells
from comity.deidentify.utility.model_utility import (
    LOGISTIC,
    NO_INFORMATION,
    ModelUtility,
    fitted_scores,
    share_kept,
    split,
)
from comity.deidentify.utility.quality import auc_difference, quality
from comity.errors import ComityError

LITTLE = 0.5
"""A release that keeps less than this share of the raw model's advantage teaches too little."""

_MANY = 8
_FEW = 3
_SUPPRESSION_STEP = 0.05


@dataclass(frozen=True)
class Relaxation:
    """One thing changed, and what it gives.

    Attributes:
        what: "column", "hierarchy", "suppression", "objective" or "model".
        column: the quasi-identifier it is about; None if it is about none.
        words: what to do.
        same_privacy: whether the models asked for still hold.
        auc, loss: of the release so changed; kept: share of the raw model's advantage.
        gain: in AUC, with its 95% interval `low` to `high`.
    """

    what: str
    column: str | None
    words: str
    same_privacy: bool
    auc: float
    loss: float
    kept: float | None
    gain: float
    low: float
    high: float

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


@dataclass(frozen=True)
class Warned:
    """The warning, and what was measured for it, the best first."""

    text: str
    relaxations: tuple[Relaxation, ...]

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {"text": self.text, "relaxations": [each.to_dict() for each in self.relaxations]}


def too_little(measured: ModelUtility) -> str | None:
    """Why a release teaches too little, in words; None if it teaches enough, or the raw table nothing."""
    if measured.raw.low <= NO_INFORMATION:
        return None
    release = measured.release
    if release.low <= NO_INFORMATION:
        return (
            f"Nothing can be learned from this release: a model of '{measured.target}' trained on it reaches "
            f"AUC {release.auc:.3f} ({release.low:.3f} to {release.high:.3f}), and guessing reaches 0.5. The "
            f"raw table teaches {measured.raw.auc:.3f}."
        )
    if measured.kept is not None and measured.kept < LITTLE:
        return (
            f"Little can be learned from this release: a model of '{measured.target}' keeps "
            f"{measured.kept:.0%} of what the raw table teaches (AUC {release.auc:.3f} instead of "
            f"{measured.raw.auc:.3f})."
        )
    return None


def warn(
    frame: Any,
    done: Anonymized,
    measured: ModelUtility,
    *,
    quasi_identifiers: Mapping[str, Hierarchy],
    require: Sequence[PrivacyModel],
    suppression_limit: float,
    method: str = "global",
    features: Sequence[str] = (),
    model: Any = LOGISTIC,
    seed: int = 0,
    by_target: Callable[[], Anonymized] | None = None,
    **settings: Any,
) -> Warned | None:
    """The warning that a release needs, with what to relax; None where it teaches enough.

    Args:
        frame, done, measured: the source, the release, and what a model keeps of it.
        settings: what else `anonymize` was called with.
        by_target: makes the release that `objective="target"` would choose, if it has not been asked for.
    """
    why = too_little(measured)
    if why is None:
        return None
    cells = Cells.of(frame, done.hierarchies, measured.target, features=features, positive=measured.positive)
    judge = _Judge(cells, done, model, seed)
    found: list[Relaxation] = []

    def tried(what: str, column: str | None, words: str, same: bool, **changed: Any) -> None:
        asked = {
            "quasi_identifiers": quasi_identifiers,
            "require": require,
            "suppression_limit": suppression_limit,
            "method": method,
            **settings,
            **changed,
        }
        made = _or_none(lambda: anonymize(frame, **asked))
        if made is not None and (one := judge.relaxation(made, what, column, words, same)) is not None:
            found.append(one)

    for name, words, limits in _columns(done, quasi_identifiers, settings.get("level_limits") or {}):
        tried("column", name, words, True, level_limits=limits)
    if suppression_limit < 1:
        more = min(1.0, round(suppression_limit + _SUPPRESSION_STEP, 4))
        words = f"allow {more:.0%} of the rows to be left out instead of {suppression_limit:.0%}"
        tried("suppression", None, words, True, suppression_limit=more)
    for at, words, weaker in _weaker(require):
        changed = [weaker if number == at else each for number, each in enumerate(require)]
        tried("model", None, words, False, require=changed)
    for name, finer, words in _finer(quasi_identifiers):
        tried("hierarchy", name, words, True, quasi_identifiers={**quasi_identifiers, name: finer})
    if by_target is not None:
        made = _or_none(by_target)
        words = "choose levels by what the model keeps (objective 'target')"
        if made is not None and (one := judge.relaxation(made, "objective", None, words, True)) is not None:
            found.append(one)
    ranked = sorted((one for one in found if one.low > 0), key=_order)
    return Warned(f"{why} {_advice(ranked, measured)}", tuple(ranked))


class _Judge:
    """Trains and tests the model on other releases of the same table, on the same rows."""

    def __init__(self, cells: Cells, done: Anonymized, model: Any, seed: int) -> None:
        self._cells, self._model, self._seed = cells, model, seed
        self._train, self._test = split(cells.labels, seed)
        self._truth = cells.labels[self._test]
        self._before = self._scores(done)
        raw = fitted_scores(cells, cells.leaves, self._train, self._test, model, seed)
        self._raw = quality(self._truth, raw).auc

    def relaxation(
        self, made: Anonymized, what: str, column: str | None, words: str, same: bool
    ) -> Relaxation | None:
        scores = _or_none(lambda: self._scores(made))
        if scores is None:
            return None
        auc = quality(self._truth, scores).auc
        gain, low, high = auc_difference(self._truth, scores, self._before)
        kept = share_kept(auc, self._raw)
        return Relaxation(what, column, words, same, auc, made.loss, kept, gain, low, high)

    def _scores(self, made: Anonymized):
        cells = self._cells.under(made.hierarchies)  # a hierarchy may have got a level
        seen = self._train[made.kept[self._train]]
        return fitted_scores(
            cells, cells.released(made.frame), seen, self._test, self._model, self._seed, levels=made.levels
        )


def _columns(
    done: Anonymized,
    hierarchies: Mapping[str, Hierarchy],
    limits: Mapping[str, tuple[int, int]],
) -> Iterator[tuple[str, str, dict[str, tuple[int, int]]]]:
    """Each column held finer than it came out; and each given up, for the others to stay finer."""
    for name, tree in hierarchies.items():
        top = tree.levels - 1
        low, high = limits.get(name, (0, top))
        level = high if done.levels is None else done.levels[name]
        if level > low:
            words = f"keep '{name}' at level {level - 1} or finer instead of {level}"
            if level - 1 == 0:
                words = f"keep '{name}' as it is instead of at level {level}"
            yield name, words, {**limits, name: (low, level - 1)}
        if level < top and high == top:
            yield name, f"give up '{name}': release it at its coarsest", {**limits, name: (top, top)}


def _weaker(require: Sequence[PrivacyModel]) -> Iterator[tuple[int, str, PrivacyModel]]:
    """Each model a step weaker, where it has a parameter that is known to weaken it."""
    for at, model in enumerate(require):
        for parameter, value in _steps(model):
            try:
                weaker = replace(cast(Any, model), **{parameter: value})
            except (TypeError, ComityError):
                continue
            yield (
                at,
                f"ask for {weaker.describe()} instead of {parameter} = {getattr(model, parameter):g}",
                weaker,
            )


def _steps(model: PrivacyModel) -> Iterator[tuple[str, Any]]:
    k = getattr(model, "k", None)
    if isinstance(k, int) and k > 2:
        yield from (("k", max(2, k // less)) for less in (2, 10) if less == 2 or k > 2 * less)
    l = getattr(model, "l", None)  # noqa: E741  # the model's own name
    if isinstance(l, int | float) and l > 2:
        yield "l", l - 1
    t = getattr(model, "t", None)
    if isinstance(t, int | float) and t < 1:
        yield "t", min(1.0, round(t + 0.1, 4))


def _finer(
    hierarchies: Mapping[str, Hierarchy],
) -> Iterator[tuple[str, Hierarchy, str]]:
    """Hierarchies whose first step hides nearly everything, with a level put in between."""
    for name, tree in hierarchies.items():
        if type(tree) is not Hierarchy or tree.levels < 2:
            continue
        if len(tree.labels[0]) < _MANY or len(tree.labels[1]) > _FEW:
            continue
        size = max(2, round(len(tree.rows) ** 0.5))
        seen: dict[Any, int] = {}
        rows = []
        for row in tree.rows:
            number = seen[row[1]] = seen.get(row[1], -1) + 1
            rows.append((row[0], f"{row[1]} part {number // size + 1}", *row[1:]))
        words = (
            f"add a level to the hierarchy of '{name}' between its {len(tree.labels[0])} values and the "
            f"{len(tree.labels[1])} label{'s' if len(tree.labels[1]) != 1 else ''} above (tried with groups "
            f"of {size} neighbours; groups that mean something do better)"
        )
        yield name, replace(tree, rows=tuple(rows)), words


def _order(one: Relaxation) -> tuple[bool, bool, float, float]:
    """Enough at the same privacy first; then by AUC to a hundredth, then by loss."""
    enough = one.kept is not None and one.kept >= LITTLE
    return not (enough and one.same_privacy), not one.same_privacy, -round(one.auc, 2), one.loss


def _advice(ranked: Sequence[Relaxation], measured: ModelUtility) -> str:
    if not ranked:
        return (
            "No single change that was tried gives it back. Ask whether every quasi-identifier is really "
            "known to others, or share by another architecture, for example validation."
        )
    best = ranked[0]
    words = (
        f"What gives most back: {best.words}; the model then reaches AUC {best.auc:.3f} at loss "
        f"{best.loss:.3f} (now {measured.release.auc:.3f})."
    )
    if not best.same_privacy:
        words += " That protects less: it is for you to decide."
        return words
    weaker = next((one for one in ranked if not one.same_privacy and one.auc > best.auc), None)
    if weaker is not None:
        words += f" More, at less protection: {weaker.words} (AUC {weaker.auc:.3f})."
    return words


def _or_none(make: Callable[[], Any]) -> Any:
    """What it makes; None if no release keeps to these limits, or none can be measured."""
    try:
        return make()
    except ComityError:
        return None
