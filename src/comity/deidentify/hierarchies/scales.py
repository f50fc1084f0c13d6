"""Words that stand in an order: degrees, sizes, schooling, and bands of numbers such as "18-24"."""

from __future__ import annotations

import re
from collections.abc import Sequence


def _scale(text: str) -> tuple[tuple[str, ...], ...]:
    """Steps separated by "<", synonyms of one step by ","."""
    return tuple(tuple(" ".join(word.split()) for word in step.split(",")) for step in text.split("<"))


SCALES: dict[str, tuple[tuple[str, ...], ...]] = {
    "degrees": _scale(
        """none, no < minimal < very low, lowest < low, minor < below average < lower middle, low medium
        < medium, middle, moderate, mid, average, normal < upper middle, medium high < above average
        < high, major < very high, severe < highest, extreme, critical"""
    ),
    "sizes": _scale(
        """xxs < xs, extra small < s, small < m, medium < l, large < xl, extra large, x large
        < xxl, 2xl < xxxl, 3xl"""
    ),
    "sizes of companies": _scale("micro < small < medium, medium sized < large < very large, enterprise"),
    "frequencies": _scale(
        """never < almost never, hardly ever < rarely, seldom < occasionally < sometimes < regularly < often,
        frequently < usually, very often < almost always < always < daily"""
    ),
    "grades": _scale(
        """very poor, very bad, terrible < poor, bad < below average < fair, average, sufficient, acceptable
        < good < very good < excellent, outstanding"""
    ),
    "agreement": _scale(
        """strongly disagree, fully disagree < disagree < somewhat disagree < neutral, undecided,
        neither agree nor disagree < somewhat agree < agree < strongly agree, fully agree"""
    ),
    "ages of life": _scale(
        """baby, infant < toddler < child < adolescent, teenager, teen, youth < young adult, young < adult
        < middle aged < senior, older adult, elderly, old"""
    ),
    "ranks": _scale(
        """intern, trainee < junior < medior, intermediate, mid level < senior < lead, principal < manager
        < director < executive"""
    ),
    "schooling": _scale(
        """none, no schooling, no education, preschool < 1st 4th < primary, primary school, elementary,
        5th 6th < lower secondary, middle school, 7th 8th < 9th < 10th < 11th < 12th
        < secondary, secondary school, high school, hs grad, upper secondary, vocational
        < some college < post secondary < assoc voc < assoc acdm, associate, associates
        < bachelor, bachelors, undergraduate, tertiary < prof school < master, masters, graduate
        < doctorate, phd, doctoral, doctor"""
    ),
    "months": _scale(
        """january, jan < february, feb < march, mar < april, apr < may < june, jun < july, jul < august, aug
        < september, sep, sept < october, oct < november, nov < december, dec"""
    ),
    "days of the week": _scale(
        """monday, mon < tuesday, tue < wednesday, wed < thursday, thu < friday, fri < saturday, sat
        < sunday, sun"""
    ),
}

_APART = re.compile(r"[\s_./'-]+")
_NUMBER = r"[$€£]?\s*(\d+(?:[.,]\d{3})*(?:\.\d+)?)\s*[k%€]?"
_BAND = re.compile(rf"{_NUMBER}\s*(?:-|–|to|until|\.\.)\s*{_NUMBER}(?:\s*\w+)?", re.IGNORECASE)
_UNDER = re.compile(rf"(?:<=?|under|below|less than|up to|until)\s*{_NUMBER}(?:\s*\w+)?", re.IGNORECASE)
_OVER = re.compile(
    rf"(?:>=?|over|above|more than|from)\s*{_NUMBER}(?:\s*\w+)?"
    rf"|{_NUMBER}\s*(?:\+|and over|and above|or more|and older|plus)(?:\s*\w+)?",
    re.IGNORECASE,
)


def in_order(values: Sequence[str]) -> tuple[str, list[str]] | None:
    """The name of the scale on which all values stand, and the values in its order; None if there is none."""
    words = {value: _APART.sub(" ", value.strip().casefold()).strip() for value in values}
    for name, steps in SCALES.items():
        place = {word: at for at, step in enumerate(steps) for word in step}
        if all(word in place for word in words.values()):
            return name, sorted(values, key=lambda value: (place[words[value]], value))
    return None


def bands_in_order(values: Sequence[str]) -> list[str] | None:
    """Bands of numbers ("<18", "18-24", "65+") from low to high; None if a value is no band."""
    places = {value: _place(value.strip()) for value in values}
    if any(place is None for place in places.values()):
        return None
    return sorted(values, key=lambda value: (places[value] or (0.0, 0), value))


def _place(text: str) -> tuple[float, int] | None:
    for order, pattern in ((0, _UNDER), (1, _BAND), (2, _OVER)):
        found = pattern.fullmatch(text)
        if found:
            number = next(each for each in found.groups() if each is not None)
            return float(number.replace(",", "")), order
    return None
