"""Names of people: full names, first names, surnames, user names, by lists and by how they are written."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from comity.data.pii.finding import Match, Sample
from comity.data.pii.lexicon import word_set, words

MANY = 50
"""Distinct values from which on a column of mostly unlisted words is taken for names."""

_PARTICLES = word_set(
    """van von de der den del della di da do dos das du la le lo los las el al bin ibn ben bint abu zu zur zum
    ter ten af av op het 't y e i d'"""
)
_TITLES = word_set(
    """mr mrs ms miss mx dr prof sir dame lord lady herr frau hr fr dipl ing dipl.-ing
    univ.prof mag m mme mlle
    monsieur madame sig sig.ra dott dott.ssa sr sra srta don dona dna dhr mw mevr ir drs pan pani jr ii iii
    iv phd md dds dvm msc bsc mba b.sc m.sc b.a m.a ba ma b.eng m.eng b.ed frk г-н г-жа السيد السيدة الأستاذ
    الأستاذة المهندس المهندسة الدكتور الدكتورة الآنسة"""
)
_SLAVIC = re.compile(
    r".{2,}(ов|ова|ев|ева|ин|ина|скии|ская|цкии|цкая|енко|ук|юк|ович|евич|овна|евна|ична|ski|ska|cki|cka|dzki|dzka|"
    r"wicz|czyk|ova|enko|escu|eanu|oiu|vic|nyi)"
)
_ENDINGS = re.compile(
    r".{2,}(sson|sen|qvist|quist|strom|berg|lund|gren|dahl|stedt|mann|maier|meier|meyer|bauer|huber|berger|hoff|stein|"
    r"ez|es|oglu|idis|iadis|opoulos|opoulou|akis|aki|ellis|ιδησ|ιδου|οπουλοσ|οπουλου|ακησ|ακη|ατοσ|ελησ|ογλου|ιου|"
    r"stra|sma|inga|son|smith|worth|man|field|ini|elli|etti|otti|ucci|acci|azzi|oni|aro|ier|eau|ault|oux|ard)"
)
_SHORT_LISTS = re.compile(r"[\u0370-\u03ff\u1f00-\u1fff\u0590-\u06ff\u0900-\u0dff\u10a0-\u10ff\u0530-\u058f]")
_HAN_NAME = re.compile(r"[一-鿿々ぁ-ん]{1,4}[ 　]?[一-鿿々ぁ-んァ-ヶー]{0,4}")
_HAN_HEADS = frozenset(
    "王李张刘陈杨黄赵周吴徐孙朱马胡郭林何高梁郑罗宋谢唐韩曹许邓萧冯曾程蔡彭潘袁于董余苏叶吕魏蒋田杜丁沈姜范江傅钟卢汪戴崔任"
    "陆廖姚方金邱夏谭韦贾邹石熊孟秦阎薛侯雷白龙段郝孔邵史毛常万顾赖武康贺严尹钱施牛洪龚張劉陳楊趙黃吳孫鄭謝"
)
"""The hundred most common surnames of China: nine in ten people have one of them."""
_UNCAPPED = _PARTICLES | _TITLES
_JOINED = re.compile(r"(?<=[^\W\d_])[_.](?=[^\W\d_])(?![a-z])")
"""What stands between two words, the second with a capital; in lower case it is a user name."""
_NUMBER_BEHIND = re.compile(r"\s*\(\d+\)$")
_CAMEL = re.compile(r".*[a-z][A-Z]")
_USER = re.compile(r"[a-z][a-z0-9._-]{2,29}")


@dataclass(frozen=True)
class Told:
    """Shares of a column's values, by what the word lists know.

    Attributes:
        person: all words but particles and titles are names, or nearly.
        given: the first word is a listed given name.
        surname: the last word is a listed surname or has a surname's ending.
        plain: the value is made of plain words that name nobody.
    """

    person: float
    given: float
    surname: float
    plain: float
    capital: float
    words: float


def told(sample: Sample) -> Told:
    """What the word lists know of a column's values."""
    bare = [without_titles(value) for value in sample.words]
    count = len(sample)
    return Told(
        person=sum(_named(value) for value in bare) / count,
        given=sum(1 for value in bare if value and is_given(value[0])) / count,
        surname=sum(1 for value in bare if value and is_surname(value[-1])) / count,
        plain=sum(1 for value in bare if value and all(is_plain(word) for word in value)) / count,
        capital=sample.share(capitalised),
        words=sum(map(len, bare)) / count,
    )


def people(sample: Sample) -> Iterator[Match]:
    """Full names, or first names or surnames alone."""
    sample = _apart(sample)
    if sample.digits_share > 0.02 or sample.average_length > 45:
        return
    if sample.share(_HAN_NAME.fullmatch) >= 0.85:
        yield from _han(sample)
        return
    found = told(sample)
    if found.capital < 0.8:
        yield from _uncapped(sample, found)
        return
    if found.words >= 1.7:
        yield from _full(sample, found)
    else:
        yield from _single(sample, found)


def _apart(sample: Sample) -> Sample:
    """The values with the words of a name apart: `Vermeulen,Quinn`, `Anna_Kuiper`, `Eva Bos (4711)`."""
    values = [_JOINED.sub(" ", _NUMBER_BEHIND.sub("", value)).replace(",", ", ") for value in sample.values]
    if tuple(values) == sample.values:
        return sample
    apart = Sample(values)
    apart.distinct = sample.distinct
    return apart


def _uncapped(sample: Sample, found: Told) -> Iterator[Match]:
    """Names in lower case: the lists have to know most of them, since any words are written so."""
    if sample.share(str.islower) < 0.8 or found.plain >= 0.1:
        return
    listed = sum(1 for value in sample.words if listed_pair(without_titles(value))) / len(sample)
    if found.words >= 1.7 and listed >= 0.5:
        yield Match("name", listed, 0.45 + 0.5 * listed, "names of people in lower case, by lists of names")
    elif found.words >= 1.7 and _other_script(sample) and found.given + found.surname >= 0.3:
        yield Match("name", found.given, 0.65, "two or three words in lower case, some of them listed names")
    elif found.words < 1.2 and len(sample) >= MANY and max(found.given, found.surname) >= 0.8:
        kind = "first_name" if found.given >= found.surname else "last_name"
        yield Match(kind, max(found.given, found.surname), 0.6, "names in lower case, by lists of names")


def listed_pair(value: tuple[str, ...]) -> bool:
    """Two to four words, a listed given name ahead and a surname behind, not both of them plain words."""
    if not 2 <= len(value) <= 4 or len(value[0]) < 2 or len(value[-1]) < 2:
        return False
    known = is_given(value[0]) and is_surname(value[-1])
    return known and not (value[0] in words("plain_words") and value[-1] in words("plain_words"))


def _full(sample: Sample, found: Told) -> Iterator[Match]:
    lists = found.person - 0.6 * found.plain
    heads = Counter(value[0] for value in map(without_titles, sample.words) if value)
    if heads.most_common(1)[0][1] > 0.6 * len(sample):
        return
    endings = len({value[-1] for value in sample.words if value}) / len(sample)
    if lists >= 0.6:
        yield Match("name", found.person, min(0.5 + 0.5 * lists, 0.97), "names of people, by lists of names")
    elif _other_script(sample) and found.given >= 0.8 and found.words <= 3.2:
        yield Match("name", found.given, 0.85, "two or three words that begin with a listed first name")
    elif (
        max(lists, found.given) >= 0.45
        and (endings >= 0.3 or found.given + found.surname >= 0.9)
        and found.plain < 0.1
    ):
        yield Match("name", found.capital, 0.65, "written like names of people, about half of them listed")
    elif (
        found.given >= 0.25 and found.given + found.surname >= 0.45 and endings >= 0.6 and found.plain < 0.05
    ):
        yield Match("name", found.capital, 0.58, "written like names of people, some of them listed")
    elif _other_script(sample) and found.given >= 0.1 and sample.distinct >= MANY and found.words <= 3.2:
        yield Match(
            "name", 1.0, 0.65, "two or three words in a script with few listed names, some of them listed"
        )


def _single(sample: Sample, found: Told) -> Iterator[Match]:
    count = len(sample)
    last = [value[-1] for value in sample.words if value]
    first = [value[0] for value in sample.words if value]
    given = sum(map(is_given, first)) / count
    listed = sum(1 for word in last if word in words("surnames")) / count
    surname = max(found.surname, listed)
    plain = found.plain
    if _other_script(sample) and max(given, surname) < 0.5 and len(sample) >= MANY:
        yield from _few_listed(sample, given, surname)
        return
    if max(given, surname) < 0.5 and surname >= 0.13 and plain < 0.06 and len(sample) >= MANY:
        yield from _unlisted(sample, surname)
    if (
        surname < 0.5
        and 0.3 <= given < 0.5
        and given >= 1.5 * listed
        and plain < 0.05
        and len(sample) >= MANY
    ):
        yield Match("first_name", given, 0.65, "single capitalised words, many of them listed first names")
    if max(given, surname) < 0.5 or plain >= 0.6:
        return
    only_given = sum(1 for word in first if is_given(word) and word not in words("surnames")) / count
    only_surname = sum(1 for word in last if is_surname(word) and word not in words("given_names")) / count
    kind = "first_name" if (given, only_given) > (listed, only_surname) else "last_name"
    if abs(given - surname) < 0.25:
        kind = "first_name" if only_given >= only_surname else "last_name"
    share = given if kind == "first_name" else surname
    listed_words = "first names, by lists of names" if kind == "first_name" else "surnames, by lists of names"
    yield Match(kind, share, max(min(0.45 + 0.5 * share - 0.5 * plain, 0.95), 0.0), listed_words)


def _other_script(sample: Sample) -> bool:
    """Neither Latin, Cyrillic nor Han letters: scripts for which the lists of names are short."""
    letters = [value[0] for value in sample.values if value[0].isalpha()]
    return bool(letters) and sum(1 for letter in letters if _SHORT_LISTS.fullmatch(letter)) >= 0.9 * len(
        sample
    )


def _few_listed(sample: Sample, given: float, surname: float) -> Iterator[Match]:
    """Names in a script with short lists: more listed names than places or occupations."""
    places = sample.share_folded(words("cities").__contains__)
    jobs = sum(1 for value in sample.words if value and value[0] in words("jobs")) / len(sample)
    if max(given, surname) < max(0.09, 1.5 * places, 1.5 * jobs) or sample.average_words > 1.6:
        return
    kind = "first_name" if given >= surname else "last_name"
    yield Match(
        kind, max(given, surname), 0.68, "single words in a script with few listed names, some listed"
    )


def _unlisted(sample: Sample, surname: float) -> Iterator[Match]:
    """Many different single words, next to none a plain word or a place, some of them listed surnames."""
    last = [value[-1] for value in sample.words if value]
    places = sample.share_folded(words("cities").__contains__)
    jobs = sample.share_folded(words("jobs").__contains__)
    if sample.share(_CAMEL.match) > 0.2:
        return
    if len(set(last)) >= 0.9 * len(sample) and surname >= 1.3 * places and jobs < 0.08:
        told = "single capitalised words, hardly any of them plain words, some of them listed surnames"
        yield Match("last_name", surname, min(0.6 + 0.3 * surname, 0.75), told)


def _han(sample: Sample) -> Iterator[Match]:
    """Chinese and Japanese names: the surname stands first."""
    surnames, given = words("surnames"), words("given_names")
    spaced = sum(1 for value in sample.folded if " " in value) / len(sample)
    heads = sum(1 for v in sample.folded if (v.split()[0] if " " in v else v) in surnames) / len(sample)
    starts = sum(1 for v in sample.folded if len(v) >= 2 and _starts_with_surname(v)) / len(sample)
    firsts = sum(1 for v in sample.folded if v in given or (len(v) == 1 and v not in surnames)) / len(sample)
    if spaced >= 0.8 and heads >= 0.6:
        yield Match("name", heads, 0.95)
    elif spaced < 0.2 and heads >= 0.6 and heads > firsts:
        yield Match("last_name", heads, 0.9)
    elif spaced < 0.2 and sample.average_length <= 3.2:
        if sample.average_length >= 2 and _common_heads(sample) >= 0.9:
            yield Match("name", max(starts, 0.9), 0.88, "two or three signs that begin with a common surname")
        elif firsts >= 0.4 and firsts >= starts - 0.5:
            yield Match("first_name", max(firsts, 0.6), 0.8)
        elif starts >= 0.8 and sample.average_length >= 2.2:
            yield Match("name", starts, 0.8)


def _common_heads(sample: Sample) -> float:
    """How many begin with a common surname and are no place."""
    return sample.share(lambda value: value[0] in _HAN_HEADS and value not in words("cities"))


def _starts_with_surname(value: str) -> bool:
    return value[:1] in words("surnames") or value[:2] in words("surnames")


def user_names(sample: Sample) -> Iterator[Match]:
    """Lower-case names without spaces, made of first names, surnames, initials and digits."""
    if sample.share(_USER.fullmatch) < 0.9:
        return
    made = sample.share(_made_of_names)
    begun = sample.share(_holds_name)
    plain = sample.share_folded(_all_plain)
    if (made >= 0.5 or (made >= 0.2 and begun >= 0.6)) and plain < 0.3:
        share = max(made, begun)
        yield Match("user_name", share, min(0.5 + 0.5 * share, 0.95), "made of names, as user names are")


@lru_cache(maxsize=4096)
def is_given(word: str) -> bool:
    parts = word.split("-")
    return word in words("given_names") or (
        len(parts) > 1 and all(part in words("given_names") for part in parts)
    )


@lru_cache(maxsize=4096)
def is_surname(word: str) -> bool:
    listed = words("surnames")
    if word in listed or any(part in listed for part in word.split("-")[1:]):
        return True
    return bool(_SLAVIC.fullmatch(word)) or (bool(_ENDINGS.fullmatch(word)) and not is_plain(word))


def is_plain(word: str) -> bool:
    """A plain word that is no listed name."""
    return word in words("plain_words") and word not in words("given_names") and word not in words("surnames")


def without_titles(value: tuple[str, ...]) -> tuple[str, ...]:
    """The words of a name without titles and particles."""
    return tuple(word for word in value if word not in _TITLES and word not in _PARTICLES)


def _named(value: tuple[str, ...]) -> bool:
    """One to five words, a given name and a surname among them, at either end."""
    if not 2 <= len(value) <= 6:
        return False
    ahead = is_given(value[0]) or is_given(value[1])
    behind = any(is_surname(word) for word in value[1:]) or is_surname(value[0])
    return (ahead and behind) or (is_surname(value[0]) and is_given(value[-1]))


def capitalised(value: str) -> bool:
    """All words but particles start with a capital, or the script has none."""
    parts = [word for word in value.replace("'", " ").split() if word.lower().strip(".") not in _UNCAPPED]
    return all(word[0].isupper() or not (word[0].isupper() or word[0].islower()) for word in parts)


def _made_of_names(value: str) -> bool:
    letters = re.sub(r"\d+$", "", value)
    parts = [part for part in re.split(r"[._\-\d]+", letters) if part]
    if len(parts) > 1:
        return any(_is_name(part) for part in parts if len(part) > 2)
    name = parts[0] if parts else ""
    if len(name) < 3:
        return False
    if _is_name(name) and len(name) > 3:
        return True
    if len(name) > 4 and name[1:] in words("surnames"):
        return True
    return any(_is_name(name[:at]) and _is_name(name[at:]) for at in range(3, len(name) - 2))


def _all_plain(value: str) -> bool:
    return all(part in words("plain_words") for part in re.split(r"[._\-\d]+", value) if part)


def _holds_name(value: str) -> bool:
    """A name of four letters or more at the start or the end."""
    letters = re.sub(r"[^a-z]", "", value)
    return any(_is_name(letters[:at]) for at in range(4, len(letters) + 1)) or any(
        _is_name(letters[at:]) for at in range(1, len(letters) - 3)
    )


def _is_name(word: str) -> bool:
    return word in words("given_names") or word in words("surnames")
