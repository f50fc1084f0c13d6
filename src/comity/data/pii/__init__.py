"""What a column's values are: names, contacts, numbers of people, places, dates and others.

`find_kinds` tells the kind of any column, `find_pii` only those that name or reach a person. Both take the
header as a hint and work without one. Kinds, their meaning and what they tell of a person are in `KINDS`.
"""

from comity.data.pii.decide import SURE_ENOUGH, find_kinds, find_pii
from comity.data.pii.finding import FEWEST_VALUES, SAMPLE, Finding
from comity.data.pii.kinds import KINDS, Kind, Tells
from comity.data.pii.within import find_within

__all__ = [
    "FEWEST_VALUES",
    "KINDS",
    "SAMPLE",
    "SURE_ENOUGH",
    "Finding",
    "Kind",
    "Tells",
    "find_kinds",
    "find_pii",
    "find_within",
]
