"""Names of people in texts: those that the steward knows, those after a salutation, those in word lists."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from typing import Final

from comity.data.pii.lexicon import fold, word_set
from comity.data.pii.lexicon import words as word_list
from comity.data.pii.names import is_given, is_plain, is_surname
from comity.data.pii.spans import Span

_WORD = re.compile(r"[^\W_]+(?:['’][^\W\d_]+)?")
_PARTICLES: Final = word_set(
    "van von der den de del della di da do dos das du des la le les el al bin ibn ten ter te zu zur"
)
_NO_NAMES: Final = _PARTICLES | word_set("of the and und et jr sr dr mr mrs ms st")
_FUNCTION_WORDS: Final = word_set(
    """the and for you not but all can may she her his has had was are our out who how why when what this
    that then than they them there here
    een het zij wij die dat der das ein und aber les des une mais los las"""
)
_SALUTATION = re.compile(
    r"(?:\bM\.|\b(?:mr|mrs|ms|miss|mx|dr|prof|sir|madam|dear|hello|hi"
    r"|mevr|mevrouw|mw|dhr|de\ heer|meneer|beste|geachte|herrn?|frau|liebe[r]?"
    r"|monsieur|madame|mademoiselle|mme|mlle|señora?|sra?|signora?|sig|don|doña"
    r"|my\ name\ is|mijn\ naam\ is|je\ m'appelle|ich\ hei(?:ß|ss)e|me\ llamo|mi\ chiamo"
    r"|(?:kind\ |best\ )?regards|groeten|groetjes|cordialement|grüße|saludos),?\.?)\s+",
    re.IGNORECASE,
)
_NAME_WORD = re.compile(r"(?:['’])?[^\W\d_][\w'’-]*\.?")
_INITIALS = re.compile(
    r"(?<![\w.])(?:[A-ZÀ-Þ]\.[ -]?){1,4}(?:(?:van|von|de|den|der|del|della|di|da|du|la|le|ten|ter)\s){0,3}"
    r"(?P<surname>[A-ZÀ-Þ][^\W\d_]+(?:['’-][^\W\d_]+)?)"
)
_BESIDE = re.compile(r"[\w '’-]+")
_SHORTEST: Final = 3
_MOST_WORDS: Final = 6


def folded(text: str) -> str:
    """Lower case without accents, of the same length as the text: `Élise` -> `elise`."""
    if text.isascii():
        return text.lower()
    return "".join(_plain(char) for char in text)


def _plain(char: str) -> str:
    base = unicodedata.normalize("NFKD", char)[0].lower()
    return base if len(base) == 1 else char


class KnownNames:
    """Values to find in texts, whole or by their words, whatever the accents.

    A whole value is found in any case and with any signs between its letters and digits, or none (numbers
    of four digits or more, and names of two words or more, in either order). One word of it is found if it
    has three letters or more and is no particle ("van", "de"); with `capitalised` only where the text
    writes it with a capital, as for a list of names in which Rose and Mark are words too. Shorter words need
    a capital always.
    """

    def __init__(self, values: Iterable[str], *, capitalised: bool = False) -> None:
        self._capitalised = capitalised
        self._words: set[str] = set()
        self._short: set[str] = set()
        self._numbers: set[str] = set()
        for value in values:
            for word in _WORD.findall(folded(value)):
                if any(char.isdigit() for char in word):
                    continue
                if len(word) >= _SHORTEST and word not in _NO_NAMES:
                    self._words.add(word)
                elif len(word) == _SHORTEST - 1 and word not in _NO_NAMES:
                    self._short.add(word)
            compact = re.sub(r"[\W_]", "", folded(value))
            if sum(char.isdigit() for char in compact) >= 4:
                self._numbers.add(compact)

    def __bool__(self) -> bool:
        return bool(self._words or self._short or self._numbers)

    def find(self, text: str) -> Iterator[Span]:
        """Where they occur; two names with nothing but a space, a particle or initials between are one."""
        plain = folded(text)
        for found in _WORD.finditer(plain):
            word = found.group()
            base = re.split(r"['’]", word)[0]
            capital = text[found.start()].isupper()
            known = word in self._words or base in self._words
            if (known and (capital or not self._capitalised)) or (
                capital and (word in self._short or base in self._short)
            ):
                end = found.end() if word in self._words or word in self._short else found.start() + len(base)
                yield _whole(text, found.start(), end)
        if self._numbers and any(char.isdigit() for char in plain):
            yield from self._find_numbers(plain)

    def _find_numbers(self, plain: str) -> Iterator[Span]:
        """Values with digits: compared without the signs between them, at the bounds of words."""
        words = [(found.start(), found.end()) for found in re.finditer(r"[^\W_]+", plain)]
        longest = max(len(number) for number in self._numbers)
        for first, (start, _) in enumerate(words):
            compact = ""
            for word_start, end in words[first : first + 12]:
                compact += plain[word_start:end]
                if len(compact) > longest:
                    break
                if compact in self._numbers:
                    yield Span(start, end, "known value")


def listed_names(text: str) -> Iterator[Span]:
    """Given names of the word lists that are written with a capital, with the capitals that follow them.

    A given name that is a plain word too ("Will", "Rose") counts only before another word with a capital, and
    one in capitals alone ("IBAN" is a name) only before another one in capitals.
    """
    words = [found for found in _WORD.finditer(text) if found.group()[0].isalpha()]
    at = 0
    while at < len(words):
        word = words[at].group()
        at += 1
        plain = fold(word)
        if not word[0].isupper() or len(word) < _SHORTEST or plain in _FUNCTION_WORDS or not is_given(plain):
            continue
        start, end, longest = words[at - 1].start(), words[at - 1].end(), at
        for place in range(at, min(at + _MOST_WORDS - 1, len(words))):
            between = text[words[place - 1].end() : words[place].start()]
            if between not in (" ", "-", ". ") or (between == ". " and len(words[place - 1].group()) > 1):
                break
            following = words[place].group()
            named = following[0].isupper() and following.replace("'", "").replace("’", "").isalpha()
            named = named and (following.isupper() or not word.isupper() or len(following) == 1)
            if named and not (between != "-" and is_plain(fold(following))):
                end, longest = words[place].end(), place + 1
            elif fold(following) not in _PARTICLES:
                break
        alone = not word.isupper() and plain not in word_list("plain_words")
        if longest > at or alone:
            yield Span(start, end, "name")
        at = longest


def listed_pairs(text: str) -> Iterator[Span]:
    """A listed given name and a listed surname side by side, in any case, particles between them included.

    At least one of the two has to be no plain word: "mark grant" may be a verb and a noun.
    """
    words = [(found, fold(found.group())) for found in _WORD.finditer(text) if found.group()[0].isalpha()]
    for at, (given, plain) in enumerate(words):
        if len(plain) < _SHORTEST or plain in _FUNCTION_WORDS or plain in _NO_NAMES or not is_given(plain):
            continue
        past = at + 1
        while past < min(at + 4, len(words)) and words[past][1] in _PARTICLES:
            past += 1
        if past >= len(words):
            continue
        surname, behind = words[past]
        joined = _BESIDE.fullmatch(text, given.end(), surname.start())
        listed = behind in word_list("surnames") and len(behind) >= _SHORTEST
        apart = behind not in _FUNCTION_WORDS and behind not in _NO_NAMES
        common = word_list("plain_words")
        if joined and listed and apart and not (plain in common and behind in common):
            yield _whole(text, given.start(), surname.end())


def after_initials(text: str) -> Iterator[Span]:
    """Initials with full stops and a word with a capital that is listed as a surname or written like one."""
    for found in _INITIALS.finditer(text):
        if is_surname(fold(found["surname"])):
            yield Span(found.start(), found.end(), "name")


def _whole(text: str, start: int, end: int) -> Span:
    """A name with what is joined to it by a hyphen: `Jean-[Luc]` is one name."""
    while start > 1 and text[start - 1] == "-" and text[start - 2].isalpha():
        start -= 1
        while start > 0 and text[start - 1].isalpha():
            start -= 1
    while end + 1 < len(text) and text[end] == "-" and text[end + 1].isalpha():
        end += 1
        while end < len(text) and text[end].isalpha():
            end += 1
    return Span(start, end, "name")


def after_salutations(text: str) -> Iterator[Span]:
    """One to six words with capitals (and particles between them) after a salutation or "my name is"."""
    for found in _SALUTATION.finditer(text):
        at = last = found.end()
        for _ in range(_MOST_WORDS):
            word = _NAME_WORD.match(text, at)
            if word is None:
                break
            plain = word.group().lstrip("'’")
            if plain[:1].isupper():
                last = word.end() - (word.group().endswith(".") and len(plain) > 2)
            elif folded(plain) not in _PARTICLES:
                break
            ended = word.group().endswith(".") and len(plain) > 3
            at = word.end() + 1
            if ended or text[word.end() : at] != " ":
                break
        if last > found.end():
            yield Span(found.end(), last, "name")
