"""Free text: sentences, or many words."""

from __future__ import annotations

import re
from collections.abc import Iterator

from comity.data.pii.finding import Match, Sample

_STOP = re.compile(r".*[.!?…。؟！？][\"'»”)]?")


def sentences(sample: Sample) -> Iterator[Match]:
    """Values that end like sentences and have several words, most of them in lower case."""
    ended = sample.share(_STOP.fullmatch)
    lower = _lower(sample)
    spaced = sample.average_words >= 3
    east = sample.average_length >= 8 and sample.average_words < 2 and not sample.share(str.isascii)
    if ended >= 0.9 and (spaced or east) and lower >= 0.5:
        yield Match("free_text", ended, 0.98)
    elif sample.average_words >= 7 and lower >= 0.5:
        yield Match("free_text", 1.0, 0.8, "texts of many words")


def _lower(sample: Sample) -> float:
    """Of the words after the first, how many do not start with a capital."""
    later = [word for value in sample.values for word in value.split()[1:]]
    return sum(1 for word in later if not word[0].isupper()) / len(later) if later else 1.0
