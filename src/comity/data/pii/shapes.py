"""Kinds that a pattern or a small closed set of words tells apart."""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import ip_address

from comity.data.pii.finding import FEWEST_VALUES, Match, Sample
from comity.data.pii.lexicon import word_set, words

_LOCAL = r"[\w.+-]+"
_AT = r"[(\[{]\s?(?:at|@)\s?[)\]}]"
_DOT = r"(?:\.|\s?[(\[{]\s?dot\s?[)\]}]\s?)"
_HOLDS_EMAIL = re.compile(
    rf"{_LOCAL}(?:@|\s?{_AT}\s?)[\w-]+(?:{_DOT}[\w-]+)*{_DOT}[^\W\d_]{{2,}}", re.IGNORECASE
)
HOLD_EMAILS = "texts that hold email addresses"
_FEW_WITHIN = 0.05
"""Texts of which so many hold an email address reach people."""

_PATTERNS: tuple[tuple[str, float, re.Pattern[str]], ...] = (
    ("email", 1.0, re.compile(r"(mailto:)?[^@\s,;]+@[^@\s,;]+\.[^\W\d_]{2,}")),
    ("email", 1.0, re.compile(rf"{_LOCAL}\s?{_AT}\s?[\w-]+({_DOT}[\w-]+)*{_DOT}[^\W\d_]{{2,}}", re.I)),
    ("web", 1.0, re.compile(r"(https?://|ftp://|www\.)\S+", re.IGNORECASE)),
    ("user_name", 0.9, re.compile(r"@[A-Za-z_][\w.-]{1,38}")),
    ("uuid", 1.0, re.compile(r"\{?[0-9a-f]{8}-?([0-9a-f]{4}-){3}[0-9a-f]{12}\}?", re.IGNORECASE)),
    (
        "mac",
        1.0,
        re.compile(r"[0-9a-f]{2}([:-])[0-9a-f]{2}(\1[0-9a-f]{2}){4}|([0-9a-f]{4}\.){2}[0-9a-f]{4}", re.I),
    ),
    (
        "coordinates",
        1.0,
        re.compile(r"\(?-?\d{1,3}\.\d{3,}°?\s*[NS]?\s*[,; ]\s*-?\d{1,3}\.\d{3,}°?\s*[EWO]?\)?"),
    ),
    ("coordinates", 1.0, re.compile(r"\d{1,3}°\s*\d{1,2}['′]\s*([\d.]+[\"″]\s*)?[NSEWO].*")),
    (
        "hash",
        0.9,
        re.compile(r"([0-9a-f]{32}|[0-9a-f]{40}|[0-9a-f]{56}|[0-9a-f]{64}|[0-9a-f]{96}|[0-9a-f]{128})", re.I),
    ),
    (
        "colour",
        1.0,
        re.compile(r"#([0-9a-f]{3}|[0-9a-f]{6}|[0-9a-f]{8})|(rgb|hsl|hsv)a?\([\d\s,.%]+\)", re.I),
    ),
    ("path", 1.0, re.compile(r"(/[^/\0]+){2,}/?|(file://|~/)\S+|[A-Za-z]:\\.+|\\\\[^\\]+\\.+")),
    ("user_agent", 1.0, re.compile(r"(Mozilla|Opera|Safari|Chrome|curl|Wget|Dalvik)/\d.*")),
    ("percentage", 1.0, re.compile(r"[+-]?\d+([.,]\d+)?\s?%")),
    (
        "time",
        0.9,
        re.compile(r"([01]?\d|2[0-3]):[0-5]\d(:[0-5]\d([.,]\d+)?)?(\s?[ap]\.?m\.?)?", re.IGNORECASE),
    ),
    ("version", 0.7, re.compile(r"v?\d{1,3}(\.\d{1,3}){1,2}\.\d{1,5}([-+.]?[a-z]+[.\d]*)?", re.IGNORECASE)),
    ("number", 0.9, re.compile(r"[+-]?(\d{1,3}([.,'’   ]\d{3})+([.,]\d+)?|\d+,\d+)")),
)
_CURRENCY_SIGN = r"(?:[$€£¥₹₽₩₺₴฿]|(?:US|CA|AU|R|NZ|HK)\$|zł|kr\.?|Kč|Ft|Fr\.?|руб\.?|[A-Z]{3})"
_PLAIN_AMOUNT = r"\d[\d.,'’   ]*"
_AMOUNT = re.compile(
    rf"[+-]?\s?{_CURRENCY_SIGN}\s?[+-]?{_PLAIN_AMOUNT}|[+-]?{_PLAIN_AMOUNT}\s?{_CURRENCY_SIGN}"
)
_DOMAIN = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+([a-z]{2,})", re.IGNORECASE)
_TOP = word_set("""com org net info biz edu gov int eu io dev app name online site shop cloud cat museum""")
_WEB = re.compile(r"https?://|ftp://|www\.", re.IGNORECASE)
TOO_WEAK = 0.45
"""Strength of evidence that is too little alone, and enough with the header or a second column."""
_DEGREES = re.compile(r"-?\d{1,3}\.\d{1,8}")
_CODE = re.compile(r"[A-Z]{3}")
_SMALL: tuple[tuple[str, float, frozenset[str]], ...] = (
    (
        "gender",
        0.9,
        word_set(
            """male female m f w v k man woman men women boy girl other diverse divers
            nonbinary non-binary unknown
    mannlich weiblich mann frau homme femme masculin feminin man vrouw mannelijk vrouwelijk hombre mujer
    masculino femenino feminino maschio femmina uomo donna mezczyzna kobieta meski zenski homem mulher
    kvinna manlig kvinnlig kvinde mand kvinne mies nainen muz zena x d u nb trans мужской женский мужчина
    женщина муж жен м ж 男 女 男性 女性 ذكر أنثى ανδρας γυναικα ανδρασ"""
        ),
    ),
    (
        "boolean",
        0.9,
        word_set(
            """true false yes no y n t f on off ja nein nee nej oui non si sim nao tak nie vrai
            faux wahr falsch
    verdadero falso vero sant falskt prawda falsz да нет ναι οχι はい いいえ 是 否 نعم لا 0 1"""
        ),
    ),
    (
        "blood_group",
        1.0,
        word_set("""a+ a- b+ b- ab+ ab- o+ o- 0+ 0- a b ab o 0"""),
    ),
)


def patterned(sample: Sample) -> Iterator[Match]:
    """Whole-value patterns, amounts of money, network addresses and domain names."""
    for kind, strength, pattern in _PATTERNS:
        share = sample.share(pattern.fullmatch)
        if share >= 0.5 and not (kind == "number" and sample.share(_reads_as_number) >= 0.5):
            yield Match(kind, share, strength)
    if (share := sample.share(holds_email)) >= _FEW_WITHIN and not sample.share(_WEB.match) >= 0.5:
        yield Match("email", share, 0.95, HOLD_EMAILS)
    if (share := sample.share(_DEGREES.fullmatch)) >= 0.95 and _on_earth(sample):
        yield Match("coordinates", share, *_degrees(sample))
    if (share := sample.share(is_machine_address)) >= 0.5:
        yield Match("ip", share, 1.0 if _spread_like_addresses(sample) else TOO_WEAK)
    if (share := sample.share(_is_path_on_site)) >= 0.5:
        yield Match("web", share, 0.95)
    if (share := sample.share(_is_domain)) >= 0.5:
        yield Match("domain", share, 0.95)
    if (share := sample.share(_is_amount)) >= 0.5:
        yield Match("amount", share, 0.95)


def closed_sets(sample: Sample) -> Iterator[Match]:
    """Kinds that have a few values only, so that a few suffice; months, weekdays, currencies."""
    for kind, strength, members in _SMALL:
        if 2 <= sample.distinct <= 12 and (share := sample.share_folded(members.__contains__)) >= 0.75:
            enough = kind != "blood_group" or any(len(value) > 1 for value in sample.values)
            if share == 1.0 and enough and not (kind == "gender" and not _says_gender(sample)):
                yield Match(kind, share, strength)
    if sample.distinct >= 3 and (share := sample.share_folded(words("months").__contains__)) >= 0.8:
        yield Match("month", share, 0.95)
    if sample.distinct >= FEWEST_VALUES:
        share = sample.share_folded(words("currencies").__contains__)
        codes = sample.share(lambda value: _CODE.fullmatch(value) and value in _currency_codes())
        if max(share, codes) >= 0.7:
            yield Match("currency", max(share, codes), 0.95)


def _on_earth(sample: Sample) -> bool:
    """Within 180 degrees, four to eight decimals, and not around zero as measurements are."""
    degrees = [abs(float(value)) for value in sample.values if _DEGREES.fullmatch(value)]
    decimals = [len(value.partition(".")[2]) for value in sample.values]
    exact = sum(1 for places in decimals if places >= 4) >= 0.9 * len(decimals) and max(decimals) <= 8
    return exact and max(degrees) <= 180 and sum(1 for each in degrees if each > 1.5) >= 0.9 * len(degrees)


def _says_gender(sample: Sample) -> bool:
    """One letter alone says little: at least two different answers that are the usual pair."""
    short = {value[0] for value in sample.folded}
    return len(sample.folded) >= 2 and short != {"t", "f"} and short != {"n", "y"}


def _reads_as_number(value: str) -> bool:
    try:
        float(value)
    except ValueError:
        return False
    return True


def is_coordinates(value: str) -> bool:
    """Whether a value holds a latitude and a longitude."""
    return any(pattern.fullmatch(value) for kind, _, pattern in _PATTERNS if kind == "coordinates")


def _degrees(sample: Sample) -> tuple[float, str]:
    """Alone, degrees say so only where both signs occur far from zero: measurements are mostly positive."""
    degrees = [float(value) for value in sample.values if _DEGREES.fullmatch(value)]
    west = sum(1 for each in degrees if each < 0) / len(degrees)
    if 0.1 <= west <= 0.9 and max(map(abs, degrees)) > 45:
        return 0.7, "degrees with many decimals, as latitudes and longitudes have"
    return TOO_WEAK, "numbers with as many decimals as latitudes and longitudes have"


def holds_email(value: str) -> bool:
    """Whether an email address stands anywhere in a text, also written `jo [at] example.org`."""
    return ("@" in value or "at" in value.lower()) and bool(_HOLDS_EMAIL.search(value))


def _spread_like_addresses(sample: Sample) -> bool:
    """Parts as large as addresses have, or a private network: version numbers have small parts."""
    parts = [value.partition("/")[0].split(".") for value in sample.values if is_machine_address(value)]
    six = sum(1 for each in parts if len(each) != 4)
    private = sum(1 for each in parts if each[:2] == ["192", "168"] or each[0] in ("10", "127", "172"))
    large = sum(1 for each in parts if len(each) == 4 and int(each[0]) >= 32)
    return six + max(private, large) >= 0.5 * len(parts)


def _is_path_on_site(value: str) -> bool:
    """A page's address without https://: a site's name, a slash and more."""
    site, slash, _ = value.partition("/")
    return bool(slash) and " " not in value and _is_domain(site)


def is_machine_address(value: str) -> bool:
    """Whether a value is an IP address, with or without a mask."""
    try:
        ip_address(value.partition("/")[0])
    except ValueError:
        return False
    return "." in value or ":" in value


def _is_domain(value: str) -> bool:
    found = _DOMAIN.fullmatch(value)
    return bool(found) and (found[1].lower() in _TOP or found[1].lower() in _country_tops())


def _is_amount(value: str) -> bool:
    if not _AMOUNT.fullmatch(value):
        return False
    letters = re.sub(r"[^A-Za-z]", "", value)
    return not _CODE.fullmatch(letters) or letters in _currency_codes()


def _country_tops() -> frozenset[str]:
    return frozenset(code.lower() for code in country_codes()) | {"uk"}


def country_codes() -> frozenset[str]:
    """ISO 3166 codes of two letters, as far as phone numbers know them."""
    return words("country_codes")


def _currency_codes() -> frozenset[str]:
    return words("currency_codes")
