"""A lot: which share of the units is drawn, and whether each is a block of its own or several share one.

A lot follows from what is public or was paid for: the job, epsilon, and a noisy count of the units.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True)
class Lot:
    """How units are put into blocks.

    Attributes:
        drawn: the probability with which each unit is drawn, independently.
        places: how many blocks may be run.
        alone: whether each drawn unit is a block of its own; else each falls into one of the places.
        together: about how many units fall into one place, where that is what makes a block's vector longer
            than one unit's; 1 where the declared norm is a block's as it stands.
    """

    drawn: float
    places: int
    alone: bool = True
    together: int = 1

    @classmethod
    def of_all(cls, number: int) -> Self:
        """Every unit in one of so many blocks."""
        return cls(1.0, number, alone=False)

    @property
    def moved(self) -> int:
        """By how many norms of a block one unit moves the sum (L2).

        Alone, one vector comes or goes. In a block with others it may turn the block's vector round.
        """
        return 1 if self.alone else 2

    def cut(self, norm: float) -> float:
        """The length that a block's vector is cut to.

        Vectors that point every way add up to one that grows with the root of their number.
        """
        return norm * math.sqrt(self.together)
