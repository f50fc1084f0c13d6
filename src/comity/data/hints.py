"""What a column's name suggests about its role: a hint, shown to the steward as one."""

from __future__ import annotations

import re
from itertools import pairwise

_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_NOT_WORD = re.compile(r"[^0-9a-zA-ZÀ-ɏ]+")


def _terms(text: str) -> frozenset[str]:
    """A vocabulary: terms of one or two lower-case words, separated by commas."""
    return frozenset(" ".join(term.split()) for term in text.split(","))


PERSON_NAMES = _terms(
    """
    name, full name, first name, last name, given name, family name, middle name, maiden name, forename,
    surname, firstname, lastname, fullname, patient name, customer name, client name, employee name,
    person name, contact name, user name, username, login, naam, voornaam, achternaam, nom, prenom,
    nachname, vorname, familienname, nombre, apellido, apellidos, cognome
    """
)

CERTAIN_NAMES = PERSON_NAMES - {"name", "nom", "naam", "nombre"}
"""Names of people whatever the values; a column called just "name" may hold names of things."""

CONTACTS = _terms(
    """
    email, mail, e mail, phone, telephone, tel, mobile, cell, gsm, fax, address, street, house number,
    adres, adresse, straat, strasse, rue, url, website, homepage, ip, ip address, mac address
    """
)

PERSON_NUMBERS = _terms(
    """
    ssn, nin, nino, social security, passport, driver license, drivers license, driving licence, license
    plate, licence plate, number plate, national number, national id, insurance number,
    rijksregisternummer, bsn, nhs, mrn, medical record, iban, account number, bank account, credit card,
    card number, vin, imei, tax number, tax id
    """
)

RUNNING_NUMBERS = _terms(
    """
    id, ids, identifier, uid, uuid, guid, key, index, idx, nr, no, number, num, code, record, row,
    rowid, pk, ref, reference, token, pseudonym, serial
    """
)

DEMOGRAPHICS = _terms(
    """
    age, leeftijd, alter, sex, gender, geslacht, race, ethnicity, ethnic, nationality, citizenship,
    country, land, state, province, region, county, district, city, town, municipality, gemeente, stad,
    ort, village, zip, zipcode, postcode, postal, plz, birth, birthdate, birthday, born, dob,
    geburtsdatum, geboortedatum, birthplace, marital, married, household, family, children,
    relationship, education, school, degree, occupation, job, profession, beroep, employer, workclass,
    industry, language, religion, height, weight, latitude, longitude, lat, lon, lng, location,
    residence, admission, discharge, death, deceased, veteran, housing, tenure, arrival, visit
    """
)

SENSITIVE = _terms(
    """
    diagnosis, diagnoses, disease, icd, illness, condition, symptom, medication, drug, treatment,
    therapy, hiv, cancer, disability, pregnancy, salary, income, wage, wages, pay, earnings, gain, loss,
    balance, debt, credit, loan, amount, fee, price, payment, savings, wealth, mortgage, score, grade,
    crime, offence, conviction, fraud, politics, political, party, orientation, union, blood, glucose,
    cholesterol, bmi, pressure, insulin
    """
)

CODES = _terms(
    """
    code, codes, type, class, category, kind, group, status, flag, zip, zipcode, postcode, postal, plz,
    icd
    """
)


MEASURES = _terms(
    """
    quality, ratio, rate, count, counts, size, width, length, total, share, percent, percentage, score, flag,
    type, status, kind, category, available, present, known, consent, opened, clicked, sent, verified,
    valid, resolution, brightness, version, format, months, weeks, duration, frequency, missing
    """
)
"""Last words of a column name that say what is measured or asked of the thing before them."""

COUNTS = _terms("has, is, n, num, count, total, nb, aantal")
"""First words of a column name that make a count or a yes or no of what follows."""


def words_of(header: str) -> tuple[str, ...]:
    """The lower-case words of a column name: `patientBirth_date` -> patient, birth, date."""
    return tuple(word for word in _NOT_WORD.split(_CAMEL.sub(" ", header).lower()) if word)


def hinted(header: str, vocabulary: frozenset[str]) -> str | None:
    """The first two words in a row, or word, of a column name that the vocabulary has; None without one."""
    words = words_of(header)
    pairs = [f"{one} {two}" for one, two in pairwise(words)]
    return next((term for term in (*pairs, *words) if term in vocabulary), None)


def is_exactly(header: str, vocabulary: frozenset[str]) -> bool:
    """Whether the whole column name is one term of the vocabulary."""
    return " ".join(words_of(header)) in vocabulary


def measures(header: str) -> bool:
    """Whether a column name ends in what is measured of a thing: `picture_quality` holds no picture."""
    words = words_of(header)
    return len(words) > 1 and (words[-1] in MEASURES or words[0] in COUNTS)


def ends_in(header: str, vocabulary: frozenset[str]) -> str | None:
    """The last word of a column name if the vocabulary has it."""
    words = words_of(header)
    return words[-1] if words and words[-1] in vocabulary else None


_KIND_TERMS: tuple[tuple[str, frozenset[str]], ...] = (
    ("email", _terms("email, mail, e mail, courriel, correo, emailadres, e post, epost")),
    (
        "phone",
        _terms(
            "phone, telephone, tel, mobile, cell, gsm, fax, telefon, telefoon, telefono,"
            " telefone, handy, movil"
        ),
    ),
    (
        "first_name",
        _terms("first name, given name, forename, firstname, voornaam, vorname, prenom, fornamn, imie"),
    ),
    (
        "last_name",
        _terms(
            "last name, family name, surname, lastname, maiden name, achternaam, nachname,"
            " familienname, apellido,"
            " apellidos, cognome, nazwisko, efternamn, sobrenome"
        ),
    ),
    (
        "name",
        _terms(
            "full name, fullname, patient name, customer name, client name, employee name,"
            " person name, contact name"
        ),
    ),
    ("user_name", _terms("user name, username, login, user id, account name, nickname, handle")),
    (
        "date_of_birth",
        _terms(
            "birth, birthdate, birthday, born, dob, geburtsdatum, geboortedatum, naissance,"
            " nacimiento, nascita,"
            " nascimento"
        ),
    ),
    ("age", _terms("age, leeftijd, alter, edad, eta, idade, wiek, alder")),
    ("gender", _terms("gender, sex, geslacht, geschlecht, sexe, sexo, sesso, plec, kon")),
    (
        "address",
        _terms(
            "address, street, adres, adresse, straat, strasse, rue, direccion, indirizzo, endereco, ulica"
        ),
    ),
    ("postcode", _terms("zip, zipcode, zip code, postcode, post code, postal, plz, postnummer, cap, cep")),
    (
        "city",
        _terms(
            "city, town, village, municipality, gemeente, stad, ort, stadt, ville, ciudad,"
            " citta, cidade, miasto"
        ),
    ),
    ("country", _terms("country, land, pays, pais, paese, kraj, nationality, citizenship")),
    ("region", _terms("state, province, region, county, district")),
    (
        "company",
        _terms(
            "company, employer, organisation, organization, firm, firma, bedrijf, entreprise,"
            " empresa, azienda"
        ),
    ),
    (
        "job",
        _terms(
            "job, occupation, profession, beroep, beruf, metier, job title, position, puesto, zawod, yrke"
        ),
    ),
    ("iban", _terms("iban, bank account")),
    ("credit_card", _terms("credit card, card number, payment card, creditcard")),
    (
        "national_number",
        _terms(
            "ssn, nin, nino, social security, national number, national id, insurance number,"
            " rijksregisternummer,"
            " bsn, nhs, tax number, tax id, personnummer, pesel, cpf, dni, nir, codice fiscale"
        ),
    ),
    (
        "licence_plate",
        _terms("license plate, licence plate, number plate, plate, kenteken, kennzeichen, matricula"),
    ),
    ("vin", _terms("vin, chassis")),
    ("imei", _terms("imei")),
    ("ip", _terms("ip, ip address, ipaddress")),
    ("mac", _terms("mac address, mac")),
    ("web", _terms("url, website, homepage, link")),
    ("coordinates", _terms("latitude, longitude, lat, lon, lng, coordinates, location")),
    ("blood_group", _terms("blood group, blood type, bloodtype, blutgruppe")),
    ("amount", _terms("price, amount, salary, cost, total, balance")),
    ("isbn", _terms("isbn")),
    ("ean", _terms("ean, gtin, barcode, upc")),
)


def hinted_kind(header: str) -> str | None:
    """The kind of value (see `pii.KINDS`) that a column's name suggests, the most specific term first."""
    words = words_of(header)
    pairs = [f"{one} {two}" for one, two in pairwise(words)]
    for term in (*pairs, *words):
        for kind, terms in _KIND_TERMS:
            if term in terms:
                return kind
    return None
