"""What each quasi-identifier adds to the risk: measured by leaving it out, and by taking it alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from comity.assess.tuples import Tuples, distinction, separation, unique_share


@dataclass(frozen=True)
class Contribution:
    """One quasi-identifier. All figures are shares in [0, 1].

    Attributes:
        column: its name.
        uniques_without: share of the rows that are unique by all the other quasi-identifiers.
        uniques_added: by how much the share of unique rows falls when this one is left out.
        mean_risk_without: mean prosecutor risk by all the other quasi-identifiers.
        mean_risk_added: by how much the mean prosecutor risk falls when this one is left out.
        uniques_alone: share of the rows that are unique by this column alone.
        mean_risk_alone: mean prosecutor risk by this column alone; it is also its distinction.
        separation_alone: share of the pairs of rows that this column alone tells apart.
    """

    column: str
    uniques_without: float
    uniques_added: float
    mean_risk_without: float
    mean_risk_added: float
    uniques_alone: float
    mean_risk_alone: float
    separation_alone: float

    def to_dict(self) -> dict[str, Any]:
        """The JSON form: the attributes by name."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


def contributions(tuples: Tuples) -> tuple[Contribution, ...]:
    """What each column of the tuples adds, the one that adds most unique rows first, then mean risk.

    The figures do not add up to the whole: columns that say the same add nothing each.
    """
    found = [_contribution(tuples, name) for name in tuples.names]
    return tuple(
        sorted(found, key=lambda each: (-each.uniques_added, -each.mean_risk_added, -each.separation_alone))
    )


def _contribution(tuples: Tuples, name: str) -> Contribution:
    rest = tuples.sizes(other for other in tuples.names if other != name)
    alone = tuples.sizes([name])
    return Contribution(
        column=name,
        uniques_without=unique_share(rest),
        uniques_added=unique_share(tuples.counts) - unique_share(rest),
        mean_risk_without=distinction(rest),
        mean_risk_added=distinction(tuples.counts) - distinction(rest),
        uniques_alone=unique_share(alone),
        mean_risk_alone=distinction(alone),
        separation_alone=separation(alone),
    )
