"""Blind validation (2.B): a mediator adds up labels that are uniform bytes to it.

Parties share a frame: a list of record ids, one per unit, in one order. The protocol, with P providers:

1. Each provider p and the ML party share a key K_p (`comity.crypto.exchange`); all of them share a token key.
   The mediator has neither.
2. `Upload`: for every record of the frame, provider p gives m (1 if it holds the record, else 0) and m y (y
   its label), each plus a pad word modulo 2^64. Rows stand in the order of their tokens, so the mediator can
   add over providers and cannot tell which record is which, nor who holds it.
3. The ML party asks a query whose rows stand in the same order. The mediator computes its sums over the
   padded words (`Query.padded_sums`), adds noise of the full sigma, adds a second pad that it shares with
   the ML party, and cuts the result into one summand per provider, uniform words each (`cut`).
4. Each provider adds its noise to its summand (`second_noise`) and sends it to the ML party.
5. `opened`: the ML party adds the summands, takes off the second pad and its own sums over all pads.

What mediator and providers draw for an answer they keep (`blind_store`), and repeat to whoever asks again.

Who sees what. Mediator: uniform words, tokens, the query's groups, their sizes, and which queries are about
the same upload. Provider: uniform words and how large the noise is to be, no prediction and no group. ML
party: one noisy sum per group over all providers.

Guarantee: label-private (change-one) per provider from the mediator's noise alone; from the providers' alone
as long as at most one of the other providers tells its noise (`provider_sigma`). It holds against the ML
party if the mediator counts correctly, and against the mediator if it colludes with nobody. Pads give no
integrity: what is sent is signed by `wire`.

Source: additive one-time pads after Castelluccia, Mykletun and Tsudik 2005.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from comity import noise
from comity.crypto.exchange import SharedKey
from comity.crypto.pads import Words, cut, pad, tokens
from comity.errors import BadInput
from comity.mechanism import Noise
from comity.validate.queries import Labels, Query

FIELDS: Final = ("held", "label")
"""What is uploaded for every record: m, and m y."""


@dataclass(frozen=True, eq=False)
class TokenOrder:
    """The order in which uploads and queries stand: that of the records' tokens.

    Attributes:
        tokens: (records,) rising.
        places: (records,) where each of them stands in the frame.
    """

    tokens: Words
    places: NDArray[np.int64]

    @classmethod
    def over(cls, records: int, token_key: bytes) -> Self:
        """The order of a frame of this many records under a key that the mediator does not have."""
        drawn = tokens(token_key, records)
        places = np.argsort(drawn)
        return cls(drawn[places], places)


@dataclass(frozen=True)
class PadKeys:
    """What one provider's pads are drawn from: the key it shares with the ML party, and one upload's nonce.

    Attributes:
        shared: K_p.
        provider, agreement: the provider's name, the agreement's digest.
        nonce: 128 random bits in hexadecimal, never used twice under one K_p.
    """

    shared: SharedKey
    provider: str
    agreement: str
    nonce: str

    def pad_key(self, field: str) -> bytes:
        """The key of the pads of one uploaded field."""
        if field not in FIELDS:
            raise BadInput(f"an upload has the fields {', '.join(FIELDS)}, not '{field}'")
        return self.shared.derive(
            use="upload", field=field, nonce=self.nonce, agreement=self.agreement, provider=self.provider
        )


@dataclass(frozen=True, eq=False)
class Upload:
    """What the mediator gets from one provider.

    Attributes:
        tokens: (records,) rising: which row is which, to who has the token key.
        held, label: (records,) padded words, in the order of the tokens.
    """

    tokens: Words
    held: Words
    label: Words

    @classmethod
    def of(cls, held: Labels, labels: Labels, order: TokenOrder, keys: PadKeys) -> Self:
        """Pad one provider's side of the frame.

        Args:
            held: (records,) 1 where this provider holds the record, else 0, in the frame's order.
            labels: (records,) 0 or 1; where nothing is held it does not matter.

        Raises:
            BadInput: if they do not fit the frame.
        """
        for values in (held, labels):
            if values.shape != order.tokens.shape or (values != (values == 1)).any():
                raise BadInput("an upload has a 0 or 1 for every record of the frame", private=True)
        clear = {"held": held, "label": held * labels}
        padded: dict[str, Words] = {}
        for field, values in clear.items():
            words = pad(keys.pad_key(field), len(values))
            words += values.astype(np.uint64)
            padded[field] = words[order.places]
        return cls(order.tokens, **padded)

    def to_parts(self) -> dict[str, bytes]:
        """Binary parts of a message."""
        return {name: getattr(self, name).astype("<u8").tobytes() for name in ("tokens", *FIELDS)}

    @classmethod
    def from_parts(cls, parts: Mapping[str, bytes], *, records: int) -> Self:
        """Read `to_parts`' form.

        Raises:
            BadInput: unless it has exactly one token and one word per field for every record, tokens rising.
        """
        if set(parts) != {"tokens", *FIELDS} or any(len(data) != 8 * records for data in parts.values()):
            raise BadInput(f"an upload has tokens and the fields {', '.join(FIELDS)} for {records} records")
        read = {name: np.frombuffer(data, dtype="<u8").astype(np.uint64) for name, data in parts.items()}
        if records > 1 and not (read["tokens"][1:] > read["tokens"][:-1]).all():
            raise BadInput("an upload's tokens have to rise: one of them stands there twice or out of order")
        return cls(**read)


@dataclass(frozen=True, eq=False)
class Pooled:
    """All uploads added up: what the mediator answers from.

    Attributes:
        tokens: (records,) rising.
        fields: per field, (records,) words.
    """

    tokens: Words
    fields: Mapping[str, Words]

    @classmethod
    def over(cls, uploads: Iterable[tuple[str, Upload]]) -> Self:
        """Add the providers' uploads as they come: one is held at a time, and nothing is counted on the way.

        Args:
            uploads: each with its provider's name.

        Raises:
            BadInput: naming the provider whose tokens are not those of the others, or that came twice.
        """
        names: list[str] = []
        known: Words | None = None
        total: dict[str, Words] = {}
        for name, upload in uploads:
            if name in names:
                raise BadInput(f"'{name}' uploaded twice; nothing was counted")
            if known is None:
                known = upload.tokens
                total = {field: getattr(upload, field).copy() for field in FIELDS}
            elif not np.array_equal(upload.tokens, known):
                raise BadInput(
                    f"the uploads of '{names[0]}' and '{name}' have different tokens: one of them lacks "
                    "records, has unknown ones, or used another key; nothing was counted"
                )
            else:
                for field in FIELDS:
                    total[field] += getattr(upload, field)
            names.append(name)
        if known is None:
            raise BadInput("there is no upload to count over")
        return cls(known, total)


@dataclass(frozen=True, eq=False)
class PadSum:
    """At the ML party: all providers' pads of one field, added up once per upload.

    Attributes:
        words: (records,) in the order of the tokens, as questions are asked.
        providers: how many uploads they are of.
    """

    words: Words
    providers: int

    @classmethod
    def over(cls, keys: Sequence[PadKeys], field: str, order: TokenOrder) -> Self:
        """Draw every provider's pads again.

        Raises:
            BadInput: if two uploads were padded alike: what both hold would show.
        """
        if len({key.pad_key(field) for key in keys}) != len(keys):
            raise BadInput("two uploads have the same pads: one of them reused a key and a nonce")
        words = np.zeros(len(order.tokens), dtype=np.uint64)
        for key in keys:
            words += pad(key.pad_key(field), len(words))
        return cls(words[order.places], len(keys))


def masked_answer(
    pooled: Pooled,
    query: Query,
    field: str,
    calibration: Noise,
    second_pad: bytes,
    providers: int,
) -> list[Words]:
    """The mediator's part of an answer: sums, its noise, the second pad, one summand per provider.

    Args:
        query: its rows in the order of the tokens.
        second_pad: a key for this answer alone, shared with the ML party.

    Returns:
        (dimensions,) words for each provider; any of them alone, and all but one together, are uniform.

    Raises:
        BadInput: if the query is about another number of records.
    """
    if query.rows != len(pooled.tokens):
        raise BadInput(f"the query is about {query.rows} records, the uploads about {len(pooled.tokens)}")
    if field not in FIELDS:
        raise BadInput(f"an upload has the fields {', '.join(FIELDS)}, not '{field}'")
    sums = query.padded_sums(pooled.fields[field]) << np.uint64(calibration.shift)
    noisy = sums + _noise(calibration, query.dimensions, calibration.scale)
    return cut(noisy + pad(second_pad, query.dimensions), providers)


def provider_sigma(calibration: Noise, providers: int) -> float:
    """Each provider's own noise, so that all of them but one still add up to the full sigma.

    A sum of discrete Gaussians is not one itself; at these scales (sigma above 2^20 steps) it differs by less
    than exp(-2^40) in its density ratio (Kairouz, Liu and Steinke 2021, theorem 1).
    """
    return calibration.scale / math.sqrt(max(1, providers - 1))


def second_noise(summand: Words, calibration: Noise, providers: int) -> Words:
    """A provider's part of an answer: its noise on words that look random to it."""
    return summand + _noise(calibration, len(summand), provider_sigma(calibration, providers))


def total_calibration(calibration: Noise, providers: int) -> Noise:
    """All noise in an opened sum: the mediator's and every provider's."""
    factor = math.sqrt(1 + providers / max(1, providers - 1))
    return Noise(calibration.law, calibration.shift, calibration.scale * factor)


def total_deviation(calibration: Noise, providers: int) -> float:
    """Standard deviation of all noise in an opened sum, in the query's whole numbers."""
    return total_calibration(calibration, providers).deviation


def opened(
    summands: Sequence[Words],
    query: Query,
    calibration: Noise,
    second_pad: bytes,
    pads: PadSum,
) -> NDArray[np.float64]:
    """The ML party's part: the noisy sums, in the query's whole numbers.

    Args:
        summands: what came from each provider.
        query: as it was asked, its rows in the order of the tokens.
        pads: of every provider's upload, of the field asked about.

    Raises:
        BadInput: if a summand has the wrong length.
    """
    if len(summands) != pads.providers or any(len(words) != query.dimensions for words in summands):
        raise BadInput(f"an answer has {query.dimensions} words from each of {pads.providers} providers")
    padded = query.padded_sums(pads.words) << np.uint64(calibration.shift)
    total = np.add.reduce(list(summands)) - pad(second_pad, query.dimensions) - padded
    return np.ldexp(total.view(np.int64).astype(np.float64), -calibration.shift)


def _noise(calibration: Noise, count: int, scale: float) -> Words:
    zeros = np.zeros(count, dtype=np.int64)
    if calibration.law != "gaussian":
        raise BadInput("blind validation adds Gaussian noise: give the price a delta above 0")
    return noise.add_discrete_gaussian(zeros, scale).view(np.uint64)
