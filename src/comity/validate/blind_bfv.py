"""Blind counting where the groups are sensitive: the ML party encrypts them, providers keep their labels.

Neighbouring relation: change-one label, of one record at all the providers that hold it (at most k of them,
`providers_per_record`). Unit: label, as for any blind answer.

Sensitivity: a question is a matrix of whole numbers, one row of weights per record; its answer is the sum
over records and providers of the row times (label - least label). One record's labels move it by at most
k (high - low) times the length of its row, whose bound (`largest`: 1 for groups) the ML party states.

Who sees what. Mediator: ciphertexts under the ML party's key, how many sums there are, the stated length; no
group, no label, not who answered what. Provider: the question's ciphertexts, as many for each sum whatever
its groups are; no group, no prediction. ML party: one noisy sum per question and group over all providers.

The mechanism. The key pair is the ML party's.

1. `EncryptedQuestion`: the ML party encrypts, for every sum it wants, one whole number per record (0 or 1 for
   a group, or weights), 8,192 records to a ciphertext, and sends it to every provider.
2. `masked_count`: a provider multiplies by its labels (0 for what it does not hold), adds up, and adds a
   vector that is uniform modulo the plain modulus but for its sum, which is its noise. The slots are partial
   sums and would tell labels; under the vector they tell the noisy sum and nothing else. Its answers go to
   the mediator.
3. `added_counts`: the mediator adds the providers' ciphertexts and such a vector that sums to its own noise.
4. `opened_sums`: the ML party decrypts, adds the slots up, and has the noisy sum over all providers.

The noise is discrete Gaussian, by both sides and as wide as in `blind`: the mediator's has the full sigma,
and so have the providers' without one of them. The grid has as many bits as there is room for (16 or more
below sigma) instead of 30; what it costs, and what the flooding of ciphertexts costs (`crypto.bfv`), is taken
out of delta, a 64th each.

Guarantee: (epsilon, delta) against an ML party that follows the protocol, if the mediator counts correctly.
Against one that colludes with the mediator only a provider's own noise is left: the full sigma with one or
two providers, sigma / sqrt(P - 1) with P of them. Against the mediator and other providers by encryption.

Nobody but the ML party can see the weights, so nobody can check that a row is as short as was stated, that a
record is in one group only, or that a group is large enough; nor that key and ciphertexts are sound. An ML
party that lies about them learns labels. So this has to be allowed by name (`unsafe_unseen_groups`).

Without a mediator, and for labels that are whole numbers within bounds, there is `encrypted_count`: one
provider, which adds the full noise itself.

CKKS is not used: its sums are approximate, it has no uniform mask, and its decryptions tell of the key (Li
and Micciancio 2021). BFV: Fan and Vercauteren 2012.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from comity import noise
from comity.crypto.bfv import (
    PLAIN_BITS,
    SLOTS,
    DecryptionKey,
    PublicEnd,
    Scheme,
    flood_distance,
    uniform_with_sum,
)
from comity.errors import BadInput, BadTable, ClauseRefused, UsageError
from comity.mechanism import Noise
from comity.validate.blind import total_calibration
from comity.validate.blind_bfv_question import (
    LARGEST_WEIGHT,
    EncryptedQuestion,
    Shape,
    coarser_bits,
    pieces,
    weights_of,
)
from comity.validate.blind_price import FINE_BITS, GRID_SHARE, portion_calibration
from comity.validate.mechanism import NoisySums, Price, Sizes
from comity.validate.queries import Integers, Query

_LEAST_FINE_BITS: Final = 16

LARGEST_EPSILON: Final = 6.0
"""Noise is calibrated to at most this: beyond it the flooding's share of delta, which grows as e^epsilon,
would not fit, and more noise than asked for is no harm."""


def count_calibration(
    shape: Shape,
    bounds: tuple[int, int],
    price: Price,
    *,
    portion: float = 1.0,
    holders: int = 1,
    parties: int = 1,
) -> Noise:
    """The noise, from public facts: all ends reckon it. The grid is as fine as there is room for.

    Args:
        bounds: the least and the largest label there may be.
        portion: of the price.
        holders: at how many providers a record may be.
        parties: how many providers' answers are added up.

    Raises:
        UsageError: if sums and noise do not fit, or delta is too small for grid and flooding.
    """
    low, high = bounds
    if not low < high or high - low > LARGEST_WEIGHT:
        raise UsageError(f"labels lie between two whole numbers at most {LARGEST_WEIGHT} apart")
    move = holders * shape.largest * (high - low)
    sizes = Sizes(shape.sums, move * math.isqrt(shape.sums), move, move * shape.records)
    epsilon = min(price.epsilon, LARGEST_EPSILON)
    flood = parties * flood_distance(shape.sums, -(-shape.records // SLOTS), parties)
    if (1 + math.exp(epsilon)) * flood > price.delta * GRID_SHARE * portion:
        raise UsageError(
            f"delta {price.delta:g} is too small for {shape.sums} encrypted sums; fewer sums may fit"
        )
    for fine_bits in range(FINE_BITS, _LEAST_FINE_BITS, -1):
        # the grid and the flooding take a 64th of delta each
        found = portion_calibration(
            sizes, Price(epsilon, price.delta * (1 - GRID_SHARE)), portion, fine_bits=fine_bits
        )
        noise_room = 40 * total_calibration(found, parties).scale
        if math.ldexp(float(sizes.largest_sum), found.shift) + noise_room < 2.0 ** (PLAIN_BITS - 2):
            return found
    raise UsageError(
        f"sums over {shape.records} records with weights up to {shape.largest} do not fit into {PLAIN_BITS} "
        "bits; use smaller weights, or fewer records"
    )


def require_allowed(unsafe_unseen_groups: bool) -> None:
    """Refuse groups that nobody can check, unless they are allowed by name.

    Raises:
        ClauseRefused: without `unsafe_unseen_groups`.
    """
    if not unsafe_unseen_groups:
        raise ClauseRefused(
            "the provider cannot see the groups, so it cannot hold the ML party to them",
            clause="architectures.blind-validation.unsafe_unseen_groups",
            would_pass="groups that the mediator sees, or unsafe_unseen_groups: true in the agreement",
        )


def masked_count(
    question: EncryptedQuestion, values: Integers, calibration: Noise, scale: float, *, parties: int = 1
) -> list[bytes]:
    """A provider's part: one ciphertext per sum. To be called after the charge is durable.

    Args:
        question: as it came.
        values: (records,) labels less the least one there may be; 0 for what is not held.
        scale: of this provider's own noise, on the calibration's grid.
        parties: how many providers' answers are added up.

    Raises:
        BadInput: for ciphertexts that are none.
    """
    scheme = Scheme()
    end = PublicEnd(scheme, question.public)
    shifted = pieces(values << calibration.shift)
    drawn = noise.add_discrete_gaussian(np.zeros(question.sums, dtype=np.int64), scale)
    return [
        end.weighted(row, shifted, uniform_with_sum(int(extra), scheme.plain_modulus), parties=parties)
        for row, extra in zip(question.ciphers, drawn, strict=True)
    ]


def added_counts(answers: Sequence[Sequence[bytes]], public: bytes, calibration: Noise) -> list[bytes]:
    """The mediator's part: the providers' ciphertexts added up, with its own noise.

    Args:
        answers: for each provider, one ciphertext per sum.
        public: the ML party's key.

    Raises:
        BadInput: for ciphertexts that are none, and answers of different lengths.
    """
    if not answers or len({len(one) for one in answers}) != 1:
        raise BadInput("the providers' answers have different numbers of sums; nothing was added up")
    scheme = Scheme()
    end = PublicEnd(scheme, public)
    drawn = noise.add_discrete_gaussian(np.zeros(len(answers[0]), dtype=np.int64), calibration.scale)
    return [
        end.added(column, uniform_with_sum(int(extra), scheme.plain_modulus))
        for column, extra in zip(zip(*answers, strict=True), drawn, strict=True)
    ]


def opened_sums(
    answer: Sequence[bytes], query: Query, calibration: Noise, key: DecryptionKey, scheme: Scheme
) -> NoisySums:
    """The ML party's part: noisy sums of weights times labels less the least one.

    Args:
        query: as it was asked.
        calibration: of all the noise that is in the answer.

    Raises:
        BadInput: if the answer has another number of ciphertexts, or they are none.
    """
    if len(answer) != query.dimensions:
        raise BadInput(
            f"an answer has a ciphertext for each of {query.dimensions} sums, this one has {len(answer)}"
        )
    modulus = scheme.plain_modulus
    totals = [int(key.decrypt(data).sum()) % modulus for data in answer]
    centred = [total - modulus if total > modulus // 2 else total for total in totals]
    # in the query's whole numbers: its weights were divided by 2^s
    read = Noise(calibration.law, calibration.shift - coarser_bits(query), calibration.scale)
    return NoisySums(np.ldexp(np.array(centred, dtype=np.float64), -read.shift), read)


def encrypted_count(
    question: EncryptedQuestion,
    labels: NDArray[np.integer[Any]],
    price: Price,
    *,
    bounds: tuple[int, int] = (0, 1),
    unsafe_unseen_groups: bool = False,
) -> list[bytes]:
    """One provider's part without a mediator: it adds the full noise itself. To be called after the charge.

    Args:
        question: as it came.
        labels: (records,) whole numbers.
        price: what was charged: label-private, change-one.
        bounds: the least and the largest label there may be; a public fact.
        unsafe_unseen_groups: that the ML party is trusted with weights that nobody checks.

    Raises:
        ClauseRefused: without `unsafe_unseen_groups`.
        BadTable: private, for labels outside the bounds or of another number.
        BadInput: for ciphertexts that are none.
        UsageError: as `count_calibration`.
    """
    require_allowed(unsafe_unseen_groups)
    if labels.shape != (question.records,) or ((labels < bounds[0]) | (labels > bounds[1])).any():
        raise BadTable(f"the labels are whole numbers from {bounds[0]} to {bounds[1]}, one for each record")
    calibration = count_calibration(question.shape, bounds, price)
    return masked_count(question, labels.astype(np.int64) - bounds[0], calibration, calibration.scale)


def opened_count(
    answer: Sequence[bytes],
    query: Query,
    price: Price,
    key: DecryptionKey,
    scheme: Scheme,
    *,
    bounds: tuple[int, int] = (0, 1),
) -> NoisySums:
    """The ML party's part without a mediator: noisy sums of weights times labels.

    Raises:
        BadInput: if the answer has another number of ciphertexts, or they are none.
    """
    found = opened_sums(answer, query, count_calibration(Shape.of(query), bounds, price), key, scheme)
    least = bounds[0] * np.array([int(row.sum()) << coarser_bits(query) for row in weights_of(query)])
    return NoisySums(found.values + least, found.calibration)
