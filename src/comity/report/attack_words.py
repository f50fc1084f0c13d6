"""What an attack's figures say, for people who read no statistics: tried, by chance, reached, allowed.

Two kinds of figures. Where the adversary decides between two answers, chance is right in 50 of 100 guesses
and an advantage of a is right in 50 + 50 a. Where chance is taken off already, an advantage of a is 100 a of
100 more than chance.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from comity.report.numbers import NO_FIGURE
from comity.report.results import Attack, Result
from comity.report.words import attack_verdict


class Scale(StrEnum):
    """What an advantage of 0 is."""

    coin = "coin"
    above_chance = "above chance"


@dataclass(frozen=True)
class Tried:
    """What an attack tries, and what chance is: a sentence each, and how its advantage is counted."""

    tried: str
    chance: str
    scale: Scale


_COIN = "By chance: right in 50 of 100."

ATTACKS: Final[Mapping[str, Tried]] = {
    "membership": Tried(
        "Tell rows that were used apart from rows that were held out.", _COIN, Scale.coin
    ),
    "model-membership": Tried(
        "Tell rows that were used apart from rows that were held out, by the model's own scores.",
        _COIN,
        Scale.coin,
    ),
    "inversion": Tried(
        "Tell rows that were used apart from others, by the sums that the ML party saw.", _COIN, Scale.coin
    ),
    "inversion-masked": Tried(
        "Tell rows that were used apart from others, by what one provider sent, masked.", _COIN, Scale.coin
    ),
    "label": Tried(
        "Guess one record's label, everything else being known; the record is made up to be the easiest.",
        _COIN,
        Scale.coin,
    ),
    "canary": Tried(
        "Guess whether one record was in the table; the record is made up to be the easiest.",
        _COIN,
        Scale.coin,
    ),
    "attribute": Tried(
        "Guess the target of people in the table from the release.",
        "Chance is how often the same guesses are right for people who were not in it; it is taken off.",
        Scale.above_chance,
    ),
    "linkage": Tried(
        "Point at the released row of a known person.",
        "Chance is any row of the release; it is taken off.",
        Scale.above_chance,
    ),
    "origin": Tried(
        "Guess which provider a released row came from.",
        "Chance is to name the largest provider each time; it is taken off.",
        Scale.above_chance,
    ),
    "extraction": Tried(
        "Copy the model from many scores, and predict fresh rows as it does.",
        "Chance is the middle score for every row; it is taken off.",
        Scale.above_chance,
    ),
    "extract-few": Tried(
        "Copy the model from fewer scores than it has columns, and predict fresh rows as it does.",
        "Chance is the middle score for every row; it is taken off.",
        Scale.above_chance,
    ),
    "rare-value": Tried(
        "Describe one real person by a value that stands once in the synthetic table.",
        "Chance is how often such descriptions fit one person who was not in it; it is taken off.",
        Scale.above_chance,
    ),
    "singling-out": Tried(
        "Describe one real person by several columns of a synthetic row.",
        "Chance is how often such descriptions fit one person all the same; it is taken off.",
        Scale.above_chance,
    ),
}  # fmt: skip
"""By the attack's name."""

IN_HUNDREDS: Final = (
    "Figures are of 100 tries. Where an attack decides between two answers, tossing a coin is right in 50 of "
    "them; elsewhere what chance reaches is taken off, and above 0 is what the attack has learned."
)
_RULES_NOTHING_OUT: Final = 0.9995  # rounded, it is certainty
_ABOUT_MEMBERS = frozenset({"membership", "model-membership", "inversion", "inversion-masked"})


def tried(attack: Attack) -> str:
    """What was tried; nothing for an attack of another version."""
    return ATTACKS[attack.name].tried if attack.name in ATTACKS else ""


def chance(attack: Attack) -> str:
    """What chance would reach, in a sentence."""
    return ATTACKS[attack.name].chance if attack.name in ATTACKS else ""


def by_chance(attack: Attack) -> str:
    """What chance would reach: `50.0 of 100`, or 0 where it is taken off."""
    return _told(0.0, attack) if attack.advantage is not None else NO_FIGURE


def reached(attack: Attack) -> str:
    """What the attack reached: `51.0 of 100`."""
    return NO_FIGURE if attack.advantage is None else _told(attack.advantage, attack)


def between(attack: Attack) -> str:
    """The ends of its 95 % interval: `50.5 to 51.5`; nothing where there are none."""
    if attack.low is None or attack.high is None or attack.name not in ATTACKS:
        return ""
    scale = ATTACKS[attack.name].scale
    return f"{_of_100(attack.low, scale)} to {_of_100(attack.high, scale)}"


def allowed(attack: Attack) -> str:
    """What the guarantee allows at most, rounded up: never less than what may be found."""
    if attack.bound is None or attack.name not in ATTACKS:
        return NO_FIGURE
    return f"{_most(attack.bound, ATTACKS[attack.name].scale)} of 100"


def meaning(attack: Attack, result: Result) -> str:
    """Whether it did better than chance, and what the guarantee says of it, or why it says nothing."""
    if attack.advantage is None:
        return "Not measured."
    said = [_against_chance(attack), _against_bound(attack, result)]
    return " ".join(sentence for sentence in said if sentence)


def _against_chance(attack: Attack) -> str:
    if attack.low is None:
        return ""
    if attack.low > 0:
        return "Better than chance: something leaks."
    return "No better than chance, as far as so many guesses tell."


def _against_bound(attack: Attack, result: Result) -> str:
    if attack.bound is not None:
        if attack.bound >= _RULES_NOTHING_OUT:
            return "The guarantee rules nothing out here: every guess may be right."
        return f"It is {attack_verdict(attack)}."
    if not result.is_private:
        return "No bound: nothing here has differential privacy."
    if result.privacy.unit == "label" and attack.name in _ABOUT_MEMBERS:
        return "No bound: the guarantee is about labels, and says nothing of who is in the table."
    if attack.name in _ABOUT_MEMBERS:
        return (
            "No bound: the test rows were brought along, and may differ from the tables' rows by more than "
            "chance."
        )
    return "No bound follows from the guarantee for what this attack counts."


def in_short(attack: Attack) -> str:
    """What was reached and what is allowed, and the verdict, for a table's cell."""
    if attack.advantage is None or attack.name not in ATTACKS:
        return attack_verdict(attack)
    if attack.bound is None:
        return f"{reached(attack)}; {attack_verdict(attack)}"
    most = _most(attack.bound, ATTACKS[attack.name].scale)
    return f"{reached(attack)}, {most} allowed; {attack_verdict(attack)}"


def _told(advantage: float, attack: Attack) -> str:
    if attack.name not in ATTACKS:
        return NO_FIGURE
    return f"{_of_100(advantage, ATTACKS[attack.name].scale)} of 100"


def _most(bound: float, scale: Scale) -> str:
    return f"{math.ceil(_hundreds(min(1.0, bound), scale) * 10 - 1e-9) / 10:.1f}"


def _hundreds(advantage: float, scale: Scale) -> float:
    return 50 + 50 * advantage if scale is Scale.coin else 100 * advantage


def _of_100(advantage: float, scale: Scale) -> str:
    return f"{round(_hundreds(advantage, scale), 1) + 0.0:.1f}".replace("-", "−")
