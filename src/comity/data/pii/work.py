"""Companies and occupations."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache

from comity.data.pii.finding import Match, Sample
from comity.data.pii.lexicon import word_set, words
from comity.data.pii.names import is_surname

_FORMS = word_set(
    """inc llc ltd plc corp corporation co company limited lp llp group holding holdings gmbh
    ag kg kgaa ohg ug
    gbr mbh ev e.v e.g eg stiftung se sa s.a sarl s.a.r.l sas s.a.s sasu snc scop sci bv b.v nv n.v vof
    v.o.f cv stichting groep groupe gruppo grupo spa s.p.a srl s.r.l sl s.l slu s.l.u s.l.l sll s.coop scoop
    s.com s.l.n.e cb c.b slne coop sp sp.j spolka z.o.o o.o fundacja stowarzyszenie ltda s/a eireli me epp
    ab hb kb as a/s aps oy oyj asa kft zrt bt s.r.o sro a.s d.o.o doo ооо оао зао пао ао ип нпо рао гк
    лимитед оοд а.е ε.π.ε ε.ε ο.ε εε αε οε pty pte bhd pvt kk co.ltd partners associates bros"""
)
_FAMILY = re.compile(
    r".*( (and|&|et|und|en|y|e|och|i|και|и) (sons|fils|sohne|zonen|hijos|figli|filhos|soner|υιοι)).*"
)
_PARTNERS = re.compile(r"[\w'.-]+(, [\w' .-]+)+ (and|und|et|en|y|e|och|i|και|и) [\w' .-]+|\S+( \S+)? & \S+.*")
_BOTH = re.compile(r"[*:/_(-]+-?(in|innen|e|a|euse|trice|ska|m|w|d|f|x|h)$")
_HAN = re.compile(r".*[一-鿿]")
_EAST = re.compile(r".*(株式会社|有限会社|合同会社|公司|集团|주식회사|유한회사).*")
_AGENTS = re.compile(
    r".{3,}(logist|iologist|graphist|trician|nician|ographer|ologue|eur|euse|ateur|atrice|ician|icien|icienne|mecanicien|"
    r"ingenieur|ingeniero|ingegnere|engenheiro|tekniker|techniker|techniczny|arbeiter|beamter|macher|bauer|schlosser|"
    r"mechaniker|meister|lehrer|leiter|pfleger|berater|verkaufer|fuhrer|leerkracht|medewerker|monteur|adviseur|leraar|"
    r"ador|adora|ero|era|ista|iere|tore|trice|eiro|eira|ologo|ologa|nik|arz|wca|acz|olog|er|or|ist|ant|ent|iker|"
    r"are|man|woman|wirt|optiker|schwester|kaufmann|лог|тор|тель|щик|чик|ник|ист|ер|ор|арь|师.*|.*经理.*|员.*|士|家|者|業|官|工.*|长|销售.*|主管.*|经纪人.*|总监.*|顾问.*|助理.*|κος|τής|της|ιστης|γος)"
)


def companies(sample: Sample) -> Iterator[Match]:
    """Legal forms, partners and "and Sons": a quarter of the values suffices, the rest being names."""
    if sample.average_words > 7 or sample.digits_share > 0.1:
        return
    east = sample.share(_EAST.fullmatch)
    forms = sum(1 for value in sample.words if any(_is_form(word) for word in _ends(value))) / len(sample)
    quoted = sample.share(lambda value: "«" in value or "„" in value)
    partners = sample.share_folded(lambda value: _FAMILY.fullmatch(value) or _PARTNERS.fullmatch(value))
    hyphened = sum(1 for value in sample.folded if _two_surnames(value)) / len(sample)
    marked = max(east, min(forms + partners + hyphened, 1.0), quoted)
    if (
        east >= 0.5
        or quoted >= 0.5
        or (forms >= 0.15 and marked >= 0.25)
        or (partners >= 0.15 and marked >= 0.4)
    ):
        yield Match(
            "company", marked, 0.7 + 0.25 * marked if marked < 0.6 else 0.95, "written like companies"
        )


def _ends(value: tuple[str, ...]) -> tuple[str, ...]:
    return (*value[:1], *value[-3:]) if len(value) > 1 else ()


def _is_form(word: str) -> bool:
    return word in _FORMS or word.rstrip(".") in _FORMS


def _two_surnames(value: str) -> bool:
    first, dash, second = value.partition("-")
    return bool(dash) and " " not in value and is_surname(first) and is_surname(second)


def jobs(sample: Sample) -> Iterator[Match]:
    """Listed occupations, and others whose main word is one's."""
    if sample.average_words > 9 or sample.digits_share > 0.03:
        return
    listed = sample.share_folded(_is_job)
    headed = sum(1 for value in sample.words if value and _has_job_word(value)) / len(sample)
    agents = sum(1 for value in sample.words if value and _is_agent(value)) / len(sample)
    if listed >= 0.4:
        yield Match("job", max(listed, headed), 0.65 + 0.3 * max(listed, headed))
    elif headed >= 0.5:
        yield Match("job", headed, 0.4 + 0.5 * headed, "headed by words of occupations")
    elif (headed >= 0.25 and agents >= 0.6) or (
        listed >= 0.08 and agents >= 0.75 and _surnames(sample) < 0.4
    ):
        yield Match("job", agents, 0.65, "ending like occupations")
    elif headed >= 0.35 and agents >= 0.45:
        yield Match(
            "job", max(headed, agents), 0.62, "some of them listed occupations, others ending like them"
        )
    elif headed >= 0.2 and listed >= 0.05 and not sample.share(str.isascii):
        yield Match("job", 0.5 + headed / 2, 0.6, "some of them listed occupations")
    elif agents >= 0.45 and sample.share(_HAN.match) >= 0.7:
        yield Match("job", agents, 0.6, "ending like occupations")


def _surnames(sample: Sample) -> float:
    return sum(1 for value in sample.words if value and value[-1] in words("surnames")) / len(sample)


def _is_job(folded: str) -> bool:
    listed = words("jobs")
    return folded in listed or any(part in listed for part in folded.split("/"))


def _has_job_word(value: tuple[str, ...]) -> bool:
    value = tuple(_BOTH.sub("", word) or word for word in value)
    return value[0] in job_heads() or value[-1] in job_heads()


def _is_agent(value: tuple[str, ...]) -> bool:
    return bool(_AGENTS.fullmatch(value[0])) or bool(_AGENTS.fullmatch(value[-1]))


@lru_cache(maxsize=1)
def job_heads() -> frozenset[str]:
    """Words that are occupations alone, or head several listed ones, and are nobody's name."""
    count: Counter[str] = Counter()
    for job in words("jobs"):
        parts = [word.strip(",()") for word in job.split()]
        count.update({parts[0], parts[-1]} if len(parts) > 1 else {parts[0]: 3})
    names = words("surnames") | words("given_names")
    return frozenset(
        word for word, seen in count.items() if seen >= 3 and len(word) > 1 and word not in names
    )
