"""Masking free text. Recall is measured on made-up texts, and is a figure about those."""

from __future__ import annotations

import re
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from comity.data import Table
from comity.data.pii.spans import SHAPES, Span, readable
from comity.deidentify.columns.freetext import KINDS, NOTE, FreeText, mask_free_text, presidio, replaced
from comity.deidentify.columns.names import KnownNames, after_salutations, folded, listed_names
from comity.errors import BadTable, MissingExtra, UsageError


def masked(text: str, **columns: str) -> str:
    table = Table(pa.table({"t": [text], **{name: [value] for name, value in columns.items()}}))
    return mask_free_text(table, FreeText("t", names_from=list(columns))).table.strings("t")[0] or ""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mail jo.smith+x@mail.example.org now", "mail [email] now"),
        ("jo (at) example dot org", "[email]"),
        ("jo[at]example[dot]org", "[email]"),
        ("see https://x.org/a?b=1, or www.y.be.", "see [url], or [url]."),
        ("to BE68 5390 0754 7034 from us", "to [iban] from us"),
        ("NL91ABNA0417164300;", "[iban];"),
        ("card 4111 1111 1111 1111 ok", "card [card] ok"),
        ("nn 85.07.30-033.28", "nn [national number]"),
        ("SSN 123-45-6789, NINO AB123456C", "SSN [national number], NINO [national number]"),
        ("RSSMRA85T10A562S", "[national number]"),
        ("call +32 470 12 34 56 or 0470/12.34.57", "call [phone] or [phone]"),
        ("(020) 7946 0958 and 0032 16 32 11 11", "[phone] and [phone]"),
        ("from 192.168.0.1 and 2001:db8::1", "from [ip] and [ip]"),
        ("id 123e4567-e89b-12d3-a456-426614174000", "id [identifier]"),
        ("born on 12 March 1980, seen 2024-05-01", "born on [date of birth], seen 2024-05-01"),
        ("dob: 12/03/80", "dob: [date of birth]"),
        ("geboren op 3 mei 1971", "geboren op [date of birth]"),
        ("file 12345678", "file [number]"),
        ("Dear Mrs van den Berghe, thanks", "Dear [name], thanks"),
        ("dhr. Qzewski belde", "dhr. [name] belde"),
        ("prof. dr. A. B. de Wqit spoke", "prof. dr. [name] spoke"),
        ("my name is Xandrik Ptolw.", "my name is [name]."),
        ("saw jan peeters and piet van den berg", "saw [name] and [name]"),
        ("J. Peeters and J.P. Van Damme", "[name] and [name]"),
        ("at Kerkstraat 5, 9000 Gent, now", "at [address], now"),
        ("12 Main Street; 12 rue de la Paix, 75002 Paris", "[address]; [address]"),
        ("Hauptstr. 5a and Via Roma 5 and Calle de Alcalá 20", "[address] and [address] and [address]"),
        ("letters to PO Box 12", "letters to [address]"),
        ("0470/12.34.56 0470/12.34.57", "[phone]"),
        ("0470/12.34.56/0470/12.34.57", "[phone]"),
        ("2024-05-01 0470/12.34.56", "2024-05-01 [phone]"),
    ],
)
def test_what_names_somebody_on_its_face_is_masked(text, expected):
    assert masked(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "the bill was 12,50 for 100 items in version 1.2.3",
        "came at 10:30 on 2024-05-01, room 12, floor 3",
        "pain since 3 weeks, 2 x 250 mg, then 1.5 mg",
        "the doctor said it will get better in may",
        "IBAN and NINO are no names, Will you come? The Hope of May.",
        "they mark grant papers, 5 km onderweg 5, sent via Email 5 times",
        "vitamine B. Complex, see fig. A. Results were",
        "BE12 is a road, AB12 3CD a shape, 5 @ 3.20 a price",
        "",
    ],
)
def test_what_does_not_is_left(text):
    assert masked(text) == text


def test_values_of_the_same_row_are_masked_wherever_they_stand():
    text = (
        "Élise called; DUPONT's file AB-12.345 (elise, dupont Elise). Jean-Dupont, not Dupontel. Li said so."
    )
    found = masked(text, name="Elise van Dupont", number="ab12345", short="Li")
    assert found == (
        "[name] called; [name]'s file [known value] ([name], [name]). [name], not Dupontel. [name] said so."
    )


def test_only_the_same_row_counts():
    table = Table(pa.table({"t": ["qadir met zorb", "zorb met qadir", None], "n": ["Qadir", None, "Zorb"]}))
    done = mask_free_text(table, FreeText("t", names_from=["n"]))
    assert done.table.strings("t") == ["[name] met zorb", "zorb met qadir", None]
    assert (done.counts, done.rows) == ({"name": 1}, 1)


def test_listed_names_need_a_capital_and_own_ones_do_not():
    table = Table(pa.table({"t": ["Zorb and zorb"], "n": ["x"]}))
    assert mask_free_text(table, FreeText("t", names=["Zorb Qux"])).table.strings("t") == ["[name] and zorb"]
    assert [span.start for span in KnownNames(["Zorb"]).find("Zorb and zorb")] == [0, 9]


def test_look_alikes_and_invisible_characters_are_found():
    assert masked("ｊｏ＠ｅｘａｍｐｌｅ．ｏｒｇ") == "[email]"
    assert masked("jo\u200b@exam\u00adple.org") == "[email]"
    assert masked("+32\u00a0470\u00a012\u00a034\u00a056") == "[phone]"


def test_kinds_can_be_chosen():
    table = Table(pa.table({"t": ["jo@x.org, 12345678, seen 2024-05-01, 0470 12 34 56"]}))
    assert mask_free_text(table, FreeText("t", kinds=["date"])).table.strings("t") == [
        "jo@x.org, 12345678, seen [date], 0470 12 34 56"
    ]
    assert "date" not in KINDS
    phones = mask_free_text(table, FreeText("t", kinds=["phone"], regions=["US"]))
    assert phones.counts == {}
    for wrong in ({"kinds": ["emails"]}, {"names": "Jo"}):
        with pytest.raises(UsageError):
            FreeText("t", **wrong)


def test_numbers_are_no_texts_and_absent_columns_are_named():
    table = Table(pa.table({"t": [1, 2]}))
    with pytest.raises(BadTable, match="numbers"):
        mask_free_text(table, FreeText("t"))
    with pytest.raises(BadTable, match="no column"):
        mask_free_text(table, FreeText("u"))


def test_overlapping_spans_become_one_and_names_join():
    text = "Dr Ann B. Lee 123"
    spans = [Span(3, 6, "name"), Span(3, 13, "number"), Span(10, 17, "phone")]
    assert replaced(text, spans) == ("Dr [number]", ["number"])
    names = [Span(3, 6, "name"), Span(7, 9, "name"), Span(10, 13, "name")]
    assert replaced(text, names) == ("Dr [name] 123", ["name"])


@given(st.text(max_size=60))
def test_any_text_is_masked_and_nothing_found_is_left(text):
    plain = readable(text)
    assert len(folded(plain)) == len(plain)
    found = [span for make in SHAPES.values() for span in make()(plain)]
    found += [*after_salutations(plain), *listed_names(plain), *KnownNames([text]).find(plain)]
    assert all(0 <= span.start < span.end <= len(plain) for span in found)
    result, kinds = replaced(plain, found)
    assert bool(kinds) == bool(found)
    covered = set().union(*(range(span.start, span.end) for span in found)) if found else set()
    rest = "".join(char for at, char in enumerate(plain) if at not in covered)
    if "[" not in plain:
        kept = re.sub(r"\[[a-z ]+\]", "", result)
        assert len(kept) <= len(rest)


def test_presidio_is_an_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "presidio_analyzer", None)
    with pytest.raises(MissingExtra, match=r"comity\[presidio\]"):
        presidio()


def test_presidio_s_findings_are_masked_like_the_others(monkeypatch):
    class Engine:
        def analyze(self, *, text, language, score_threshold):
            at = text.index("zorb")
            return [SimpleNamespace(start=at, end=at + 4, entity_type="PERSON")]

    module = ModuleType("presidio_analyzer")
    module.AnalyzerEngine = Engine
    monkeypatch.setitem(sys.modules, "presidio_analyzer", module)
    table = Table(pa.table({"t": ["ask zorb"]}))
    assert mask_free_text(table, FreeText("t", others=[presidio()])).table.strings("t") == ["ask [name]"]


def word_list(text: str) -> list[str]:
    return text.split()


GIVEN = word_list(
    "Anna Luca Mehmet Aoife Søren Chloé Jürgen Fatima Wouter Giulia Piotr Ingrid Tomás Yuki Priya"
)
FAMILY = word_list(
    "Peeters Rossi Yılmaz Murphy Jensen Dubois Schröder Haddad Janssens Kowalski Berg García Sato"
)
SENTENCES = (
    "Patient {full} phoned on {phone} about the results.",
    "Dear {salutation} {family}, your refund goes to {iban}.",
    "please reply to {email}, thanks, {given}",
    "{given} was seen yesterday with a cough; contact {phone}",
    "national number {nn}, card {card}",
    "spoke with {full} ({email}); see ticket {ticket}",
    "born {dob}, lives with {given}",
    "connection from {ip} refused for {full}",
)


def luhn(rng: np.random.Generator) -> str:
    digits = [4, *rng.integers(0, 10, 14).tolist()]
    total = sum(d if at % 2 else (2 * d - 9 * (d > 4)) for at, d in enumerate(digits))
    text = "".join(map(str, [*digits, -total % 10]))
    return " ".join(text[at : at + 4] for at in range(0, 16, 4))


def entities(rng: np.random.Generator) -> dict[str, str]:
    first, last = rng.choice(GIVEN), rng.choice(FAMILY)
    birth = f"{rng.integers(50, 99):02d}{rng.integers(1, 13):02d}{rng.integers(1, 29):02d}"
    number = f"{birth}{rng.integers(1, 998):03d}"
    account = f"{rng.integers(0, 10**10):010d}"
    account += f"{int(account) % 97 or 97:02d}"
    check = 98 - int(account + "111400") % 97
    return {
        "full": f"{first} {last}",
        "given": str(first),
        "family": str(last),
        "salutation": str(rng.choice(["Mr", "Mrs", "mevrouw", "Herr", "Madame", "Dr."])),
        "email": f"{folded(first)}.{folded(last)}@{rng.choice(['example.org', 'mail.example.be'])}",
        "phone": str(rng.choice(["+32 47{} {}", "047{}/{}", "+31 61{} {}", "0033 61{} {}"])).format(
            *(lambda d: (d[:1], d[1:3] + " " + d[3:5] + " " + d[5:7]))(f"{rng.integers(0, 10**7):07d}")
        ),
        "iban": f"BE{check:02d} " + " ".join(account[at : at + 4] for at in range(0, 12, 4)),
        "nn": f"{birth[:2]}.{birth[2:4]}.{birth[4:]}-{number[6:]}.{97 - int(number) % 97:02d}",
        "card": luhn(rng),
        "ticket": str(rng.integers(10**7, 10**8)),
        "dob": f"{int(birth[4:])}/{int(birth[2:4])}/19{birth[:2]}",
        "ip": ".".join(map(str, rng.integers(1, 255, 4))),
    }


@pytest.mark.slow
def test_recall_on_made_up_texts():
    """2,000 sentences with 16 templates' worth of entities: what of each kind still stands after masking."""
    rng = np.random.default_rng(11)
    drawn = [(SENTENCES[row % len(SENTENCES)], entities(rng)) for row in range(2000)]
    texts = [sentence.format(**words) for sentence, words in drawn]
    table = Table(pa.table({"t": texts, "n": [words["full"] for _, words in drawn]}))

    def recall(rule: FreeText) -> dict[str, float]:
        done = mask_free_text(table, rule).table.strings("t")
        seen: dict[str, list[bool]] = {}
        for (sentence, words), text in zip(drawn, done, strict=True):
            for kind in re.findall(r"\{(\w+)\}", sentence):
                if kind != "salutation":
                    seen.setdefault(kind, []).append(
                        not any(part in (text or "") for part in words[kind].split())
                    )
        return {kind: float(np.mean(gone)) for kind, gone in seen.items()}

    alone, knowing = recall(FreeText("t")), recall(FreeText("t", names_from=["n"]))
    for kind in ("email", "iban", "nn", "card", "ticket", "ip", "dob", "family"):
        assert alone[kind] >= 0.99, (kind, alone)
    assert alone["phone"] >= 0.9, alone
    assert min(alone["full"], alone["given"]) >= 0.85, alone
    assert min(value for kind, value in knowing.items() if kind != "phone") >= 0.99, knowing
    assert "cannot be made anonymous" in NOTE
    print({kind: round(value, 3) for kind, value in sorted(alone.items())})


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("called 020 624 7521", "phone"),
        ("call 06-12345678 now", "phone"),
        ("0612345678", "phone"),
        ("BSN 123456782", "national number"),
        ("bsn: 020 624 7521", "national number"),
        ("SSN 078-05-1120", "national number"),
    ],
)
def test_a_number_written_as_a_phone_number_is_one(text: str, kind: str) -> None:
    table = Table(pa.table({"note": [text]}))
    assert mask_free_text(table, FreeText("note")).counts == {kind: 1}
