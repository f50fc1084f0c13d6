"""Places: countries, states, cities and street addresses."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from comity.data.pii.finding import Match, Sample
from comity.data.pii.lexicon import word_set, words
from comity.data.pii.names import capitalised
from comity.data.pii.shapes import country_codes

_STREETS = word_set(
    """intrarea aleea bulevardul calea soseaua splaiul piata drumul ulice trida namesti nabrezi
    ut ter koz korut
    sokak sokagi caddesi cad cd sok mah mahallesi bulvari вул вулиця пров
    street st avenue ave road rd drive dr lane ln boulevard blvd court ct place pl square sq terrace parkway
    pkwy highway hwy circle trail alley way ways row crescent close grove gardens mews hill mount park plaza
    bridge brook branch bypass camp canyon cape causeway center centers centre cliff cliffs club common
    corner corners course cove creek crest crossing crossroad curve dale dam divide estate estates
    expressway extension extensions fall falls ferry field fields flat flats ford fords forest forge forges
    fork forks fort freeway garden gateway glen glens green greens groves harbor harbors haven heights hills
    hollow inlet island islands isle junction junctions key keys knoll knolls lake lakes land landing lights
    light loaf lock locks lodge loop mall manor manors meadow meadows mews mill mills mission motorway
    mountain mountains neck orchard oval overpass parks pass passage path pike pine pines plain plains point
    points port ports prairie radial ramp ranch rapid rapids rest ridge ridges river roads route rue run
    shoal shoals shore shores skyway spring springs spur squares station stravenue stream streets summit
    throughway trace track trafficway tunnel turnpike underpass union unions valley valleys via viaduct view
    views village villages ville vista walk walks wall well wells avenue impasse chemin quai allee allees
    sentier cours ruelle faubourg calle avenida paseo pasaje camino carretera callejon ronda rambla glorieta
    travesia urbanizacion cuesta vial alameda acceso canada plaza via c/ avda viale vicolo corso piazza
    piazzale strada contrada borgo largo rotonda stretto incrocio canale lungomare ulica ul aleja al aleje
    plac pl osiedle os rondo rua travessa estrada rodovia praca ladeira viela vila vale beco quadra setor
    sitio residencial recanto residencia jardim feira fazenda esplanada distrito condominio conjunto colonia
    chacara campo area aeroporto nucleo morro lote loteamento lagoa lagoa passarela patio praia parque
    trecho trevo vereda viaduto ул улица пр просп проспект пер переулок ш шоссе наб набережная бул бульвар
    пл площадь алл аллея проезд тупик οδος πλατεια λεωφ λεωφορος παροδος شارع طريق"""
)
_STREET_ENDS = re.compile(
    r".{2,}(strasse|str|gasse|weg|platz|allee|ring|damm|ufer|graben|steig|straat|laan|plein|dreef|singel|steeg|baan|"
    r"kade|gracht|hof|pad|dijk|boulevard|gatan|vagen|stigen|grand|granden|torget|gata|vag|allen|vej|gade|gate|veien|"
    r"katu|tie|utca|polku|kuja|vagen|vegen|alle)"
)
_BOX = re.compile(
    r"(?:p\.?\s?o\.?\s?box|post office box|postbus|postfach|bo[iî]te postale|b\.p\.|apartado(?: de correos)?|"
    r"casella postale|caixa postal|skrytka(?: pocztowa)?|postboks)\s?\.?\s?\d{1,6}(?:[, ].*)?",
    re.IGNORECASE,
)
_CERTAIN_ENDS = re.compile(
    r".{2,}(strasse|straße|str|gasse|platz|allee|straat|laan|plein|dreef|steenweg|singel|gracht|gatan|vagen|vej|gade|katu)"
)
_NUMBER = re.compile(r"\d+[a-z]?([-/]\d+[a-z]?)?")
_EAST = re.compile(r".*(丁目|番|号|路|街|区.*\d).*|.*(로|길)( ?\d.*)?")
_CITY_STARTS = word_set(
    """new north south east west port lake saint st sankt sint san santa sao santo villa bad le la les los las
    el al fort mount upper lower great little old san' borgo castel monte nova novo vila porto puerto sesto
    quarto settimo г с д п к х пгт рп пос ст клх р.п ст-ца"""
)
_PLACE_ONLY = word_set("saint sainte sankt sint port fort mount lake г д пгт рп с п")
_CITY_ENDS = re.compile(
    r".{2,}(ton|ville|town|burgh|borough|burg|bury|mouth|shire|chester|cester|port|stad|furt|fort|haven|land|view|side|"
    r"bourg|berg|ham|ford|wick|field|pool|dorp|dam|dijk|veen|kerk|hout|wijk|hoven|heim|hausen|ingen|stadt|stedt|dorf|"
    r"bruck|brucken|kirchen|hult|as|koping|sund|vik|by|holm|hamn|nas|grad|gorod|sk|ск|град|во|abad|pur|owo|ow|ice|nica|"
    r"ано|ino|市|区|县|町|村|郡.*|县城)"
)
_CITY_MIDDLES = (
    " del ",
    " in ",
    " sul ",
    " sulla ",
    " di ",
    " am ",
    " an der ",
    " bei ",
    " aan de ",
    " sur ",
    "-sur-",
    " sous ",
    "-les-",
    "-la-",
    "-le-",
    "-en-",
    " do ",
    " da ",
    " de ",
    " dos ",
    " das ",
)
_LATIN_TAILS = word_set(
    """veneto umbro salentino lido calabro terme ligure laziale sardo nell'emilia del friuli a mare paulista
    alegre grande verde galho campo serra oeste norte sul minas goias mata praia pedras"""
)


def countries(sample: Sample) -> Iterator[Match]:
    """Names of countries in many languages, or their ISO codes."""
    share = sample.share_folded(_is_country)
    codes = sample.share(lambda value: len(value) == 2 and value in country_codes())
    three = sample.share(lambda value: value in words("country_codes_3"))
    if share >= 0.6:
        yield Match("country", share, 0.97)
    elif max(codes, three) >= 0.95:
        yield Match("country", max(codes, three), 0.85, "ISO codes of countries")


def regions(sample: Sample) -> Iterator[Match]:
    share = sample.share_folded(words("regions").__contains__)
    if share >= 0.6:
        yield Match("region", share, 0.85)


def cities(sample: Sample) -> Iterator[Match]:
    """Listed cities, or names that are built like those of places."""
    if sample.digits_share > 0.02 or sample.average_words > 4.5:
        return
    listed = sample.share_folded(is_city)
    if sample.share(lambda value: capitalised(value.split()[-1])) < 0.8:
        return
    built = sum(1 for value in sample.words if value and _built(value)) / len(sample)
    either = sum(
        1
        for folded, value in zip(sample.folded, sample.words, strict=True)
        if value and (is_city(folded) or _built(value))
    ) / len(sample)
    strong = sum(1 for value in sample.words if value and _marked(value)) / len(sample)
    if strong >= 0.2 and either >= 0.35:
        yield Match("city", either, 0.9, "written like names of places")
    elif listed >= 0.5:
        yield Match("city", max(listed, either), 0.6 + 0.35 * listed)
    elif either >= 0.4:
        yield Match(
            "city", either, 0.45 + 0.45 * either if built >= 0.3 else 0.5, "built like names of places"
        )


def addresses(sample: Sample) -> Iterator[Match]:
    """A street's word and mostly a number, or a post office box."""
    if (share := sample.share(is_box)) >= 0.5:
        yield Match("address", share, 0.9, "post office boxes")
    east = sample.share(_EAST.fullmatch)
    if east >= 0.8 and sample.average_length >= 4:
        yield Match("address", east, 0.85)
        return
    numbered = sum(1 for value in sample.words if any(_NUMBER.fullmatch(word) for word in value)) / len(
        sample
    )
    street = sum(1 for value in sample.words if has_street(value)) / len(sample)
    if numbered < 0.3 or sample.digits_share > 0.5:
        return
    if street >= 0.5:
        yield Match("address", street, 0.95)
    elif numbered >= 0.9 and street >= 0.15:
        yield Match("address", numbered, 0.7, "words and a number, some with a street's word")
    elif numbered >= 0.95 and _numbers_vary(sample) and _worded(sample):
        yield Match("address", numbered, 0.6, "a different word or two and a house number each")


def is_box(value: str) -> bool:
    """Whether a value is a post office box."""
    return bool(_BOX.fullmatch(value))


def street_end(word: str) -> bool:
    """Whether a folded word ends as streets do in languages that join them (Kerkstraat, Hauptstrasse)."""
    return len(word) >= 6 and bool(_CERTAIN_ENDS.fullmatch(word))


def has_street(value: tuple[str, ...]) -> bool:
    """Whether the folded words of a value hold a word for a street."""
    return len(value) >= 2 and any(
        word in _STREETS or _STREET_ENDS.fullmatch(word)
        for part in value
        for word in (part, part.split("-")[-1])
    )


def _numbers_vary(sample: Sample) -> bool:
    ends = sum(1 for value in sample.words if len(value) >= 2 and _NUMBER.fullmatch(value[-1])) / len(sample)
    heads = {value[:-1] for value in sample.words}
    return ends >= 0.9 and len(heads) >= 0.8 * len(sample)


def _worded(sample: Sample) -> bool:
    """Capitalised words of some length before the number, few of them plain words."""
    heads = [word for value in sample.words for word in value[:-1]]
    long = sum(1 for word in heads if len(word) >= 5 and word.isalpha())
    plain = sum(1 for word in heads if word in words("plain_words"))
    return long >= 0.7 * len(heads) and plain <= 0.2 * len(heads)


def _is_country(folded: str) -> bool:
    return folded in words("countries") or folded.split(" (")[0] in words("countries")


@lru_cache(maxsize=4096)
def is_city(folded: str) -> bool:
    """Whether a folded value is a listed city."""
    listed = words("cities")
    if folded in listed or folded.replace("-", " ") in listed:
        return True
    head = folded.split(" (")[0].split(",")[0]
    first, _, rest = head.partition(". ")
    return head in listed or (bool(rest) and len(first) <= 3 and rest in listed)


def _is_thing(word: str) -> bool:
    return word in words("plain_words") and word not in words("given_names")


def _marked(value: tuple[str, ...]) -> bool:
    """Parts that stand in names of places only: Saint at the start, -sur- in the middle."""
    if len(value) >= 2 and value[0] in _PLACE_ONLY and not _is_thing(value[-1]):
        return True
    if len(value) >= 2 and value[-1] in _LATIN_TAILS:
        return True
    joined = " ".join(value)
    return any(
        part in joined
        for part in ("-sur-", " sur ", "-les-", " sous ", "-en-", "-la-", "-aux-", "-am-", "-an-der-")
    )


def _built(value: tuple[str, ...]) -> bool:
    if len(value) >= 2 and value[0] in _CITY_STARTS and not _is_thing(value[-1]):
        return True
    if len(value) >= 2 and value[-1] in _LATIN_TAILS:
        return True
    joined = " ".join(value)
    last = joined.rpartition(" ")[2]
    return bool(_CITY_ENDS.fullmatch(last)) or any(middle in joined for middle in _CITY_MIDDLES)
