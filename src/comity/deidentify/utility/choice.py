"""How `objective="target"` chose a release, and what it gained: for the provider's steward."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from comity.deidentify.utility.quality import Quality


@dataclass(frozen=True)
class ChosenRelease:
    """One way to anonymize, measured on rows that had no part in the choice.

    Attributes:
        how: in words, what made it.
        levels: per quasi-identifier; None where levels differ by row.
        quality: of the model trained on it.
    """

    how: str
    levels: Mapping[str, int] | None
    loss: float
    suppressed: int
    classes: int
    quality: Quality

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        body = {name: getattr(self, name) for name in self.__dataclass_fields__}
        levels = None if self.levels is None else dict(self.levels)
        return {**body, "levels": levels, "quality": self.quality.to_dict()}


@dataclass(frozen=True)
class Choice:
    """The choice and its measure. It describes raw rows: for the steward.

    Attributes:
        target, positive, model: what was predicted, and by which model.
        candidates: releases that were judged.
        test_rows: raw rows that the figures are from; they had no part in the choice.
        importance: per quasi-identifier, the AUC lost if it alone is hidden.
        raw: the model trained on raw rows. plain: on the release with the least loss. chosen: on this one.
        gain: AUC of chosen less plain on the same rows; `low` and `high` are its 95% interval.
    """

    target: str
    positive: str
    model: str
    candidates: int
    test_rows: int
    importance: Mapping[str, float]
    raw: Quality
    plain: ChosenRelease
    chosen: ChosenRelease
    gain: float
    low: float
    high: float

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        body = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {
            **body,
            "importance": dict(self.importance),
            "raw": self.raw.to_dict(),
            "plain": self.plain.to_dict(),
            "chosen": self.chosen.to_dict(),
        }

    def to_lines(self) -> list[str]:
        """In plain words."""
        plain, chosen = self.plain, self.chosen
        most = sorted(self.importance, key=lambda name: -self.importance[name])[:3]
        return [
            f"Of {self.candidates} releases that satisfy the models, this is the one from which a model "
            f"({self.model}) of '{self.target}' learns most: AUC {chosen.quality.auc:.3f}, against "
            f"{plain.quality.auc:.3f} from the release with the least loss and {self.raw.auc:.3f} from the "
            f"raw table. The gain is {self.gain:+.3f} ({self.low:+.3f} to {self.high:+.3f}), measured on "
            f"{self.test_rows:,} rows that had no part in the choice.",
            f"It loses {chosen.loss:.4f} instead of {plain.loss:.4f}. The target depends most on "
            f"{', '.join(most)}.",
        ]
