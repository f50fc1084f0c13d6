"""(epsilon, delta)-differential privacy by random sampling: SafePub's privacy model.

Sources: Li, Qardaji and Su 2012 ("On sampling, anonymization, and differential privacy"); Bild, Kuhn and
Prasser 2018 ("SafePub: a truthful data anonymization algorithm with strong privacy guarantees").

Each row is kept with probability beta, independently; what is kept is generalised to levels that were fixed
before the data was seen; classes with fewer than k rows are dropped. What leaves are the classes and their
sizes, nothing else.

Why it holds. Let two tables differ in one row, of class c. All other classes are sampled alike and
independently of c, so only the size of c differs: Binomial(m, beta) against Binomial(m - 1, beta), sizes
below k shown as 0. The first probability is over e^epsilon times the second exactly at sizes j > gamma m with
gamma = 1 - (1 - beta) e^-epsilon; the second is never over e^epsilon times the first, since
epsilon >= -ln(1 - beta). So delta is the largest over m of

    sum over j >= max(k, floor(gamma m) + 1) of P[Bin(m) = j] - e^epsilon P[Bin(m - 1) = j],

the exact divergence of this mechanism. (The papers bound it by P[Bin(m) > gamma m], `published_delta`.) For a
first size J the sum grows with m while gamma (m - 1) < J, so one m per J >= k has to be looked at, and a
Chernoff bound ends the search.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal, localcontext
from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from comity.data.table import Table
from comity.deidentify.models.class_models import KAnonymity, PrivacyModel, exact, finite
from comity.deidentify.models.partition import Partition
from comity.errors import BadTable, UsageError
from comity.ledger.costs import Cost, approximate
from comity.noise import sample

if TYPE_CHECKING:
    from comity.deidentify.search.settings import Settings

_DIGITS = 60
_CLOSE = Decimal(10) ** -40
"""Relative error, far above that of sixty digits, that every figure is raised by."""
_BITS = 53
_SMALLEST_DELTA = 1e-30


@dataclass(frozen=True)
class SafePub:
    """(epsilon, delta)-differential privacy of a release made from a random sample of the rows.

    Unit: one row; relation: add or remove it. (Changing a row is both: twice the epsilon, (1 + e^epsilon)
    delta.) It holds for the released frame alone, and only

    - with levels fixed before the data is seen, `level_limits` with low == high for every quasi-identifier,
      and hierarchies that are public: the search for the best levels is refused, for the choice would tell;
    - if every released column is a quasi-identifier: another column would leave unprotected;
    - if nothing else computed from the rows is given away: not how many rows there were or were sampled, not
      `Anonymized`'s figures, not that a suppression limit was exceeded (so the limit has to be 1). Rows that
      read "*" are dropped, and the others leave in an order that tells nothing;
    - for a sample drawn once. Each further draw costs again: `cost` is what the ledger is charged.

    Args:
        epsilon: from 0.001 to 20, in nats.
        delta: between 1e-30 and 1, both excluded. Far less than 1 over the rows of the table, or single rows
            may leave as they are.

    Attributes:
        probability: beta, the largest with epsilon >= -ln(1 - beta), as a fraction of 2^53.
        k: the least rows of a class with which delta holds.
    """

    epsilon: float
    delta: float
    steady: ClassVar[bool] = True

    def __post_init__(self) -> None:
        finite(self.epsilon, "epsilon", above=0)
        finite(self.delta, "delta", above=0)
        if not 1e-3 <= self.epsilon <= 20:
            raise UsageError(f"epsilon is {self.epsilon}: sampling is worked out for 0.001 to 20")
        if not _SMALLEST_DELTA < self.delta < 1:
            raise UsageError(f"delta is {self.delta}: it lies between {_SMALLEST_DELTA:g} and 1")

    @property
    def probability(self) -> Fraction:
        return sampling_probability(self.epsilon)

    @property
    def k(self) -> int:
        return least_k(self.epsilon, self.delta)

    @property
    def cost(self) -> Cost:
        """What one release is charged: unit record, relation add-remove."""
        return approximate(self.epsilon, self.delta, unit="record", relation="add-remove")

    @property
    def sensitive(self) -> None:
        return None

    def violates(self, partition: Partition) -> NDArray[np.bool_]:
        raise UsageError(
            "SafePub needs rows that were sampled: `anonymize` samples a table in memory, other "
            "ways to release do not offer it"
        )

    def most_kept(self, partition: Partition) -> NDArray[np.int64]:
        return np.zeros(partition.number, dtype=np.int64)

    def drawn(self, rows: int) -> NDArray[np.bool_]:
        """Which rows are kept, from the operating system's randomness."""
        return sample(rows, self.probability)

    def describe(self) -> str:
        return (
            f"({self.epsilon:g}, {self.delta:g})-differential privacy by sampling rows with probability "
            f"{float(self.probability):.4g}, k = {self.k}"
        )


def safepub_of(models: Sequence[PrivacyModel]) -> SafePub | None:
    """The SafePub model among models; None if there is none.

    Raises:
        UsageError: if there are two.
    """
    found = [model for model in models if isinstance(model, SafePub)]
    if len(found) > 1:
        raise UsageError("SafePub is required twice: a release is sampled once")
    return found[0] if found else None


def sampled(frame: Any, settings: Settings) -> tuple[Any, Settings]:
    """For SafePub, a random sample of a table's rows and what is then asked for; otherwise what was given.

    Raises:
        UsageError: if something else that was asked for would break the guarantee.
        BadTable: private; if no row was drawn.
    """
    import narwhals as nw

    model = safepub_of(settings.models)
    if model is None:
        return frame, settings
    given = nw.from_native(frame.arrow if isinstance(frame, Table) else frame)
    table = given.collect() if isinstance(given, nw.LazyFrame) else given
    _require_fixed(settings, table.columns)
    rows = np.flatnonzero(model.drawn(len(table)))
    if not len(rows):
        raise BadTable(
            "the random sample has no rows: an empty table leaves, as if every class had been dropped"
        )
    taken = frame.take(rows) if isinstance(frame, Table) else table[rows.tolist()].to_native()
    models = (KAnonymity(model.k), *(each for each in settings.models if each is not model))
    return taken, replace(settings, models=models)


def _require_fixed(settings: Settings, columns: Sequence[str]) -> None:
    """Refuse what would break the guarantee: why, and what to do."""
    names = settings.names
    free = [name for name in names if len(set(settings.level_limits.get(name, (0, 1)))) != 1]
    if free or settings.method != "global":
        open_levels = f"the levels of {', '.join(map(repr, free))} are open"
        raise UsageError(
            "SafePub holds with levels fixed in advance only, and "
            f"{open_levels if free else 'levels differ by row'}: a search for the best levels reads the "
            "data, and its choice tells. Give level_limits with low equal to high for every "
            'quasi-identifier, from public knowledge, and method="global"'
        )
    others = [name for name in columns if name not in names]
    if others:
        raise UsageError(
            f"SafePub protects generalised quasi-identifiers only, and the table also has '{others[0]}'. "
            "Drop that column, or make it a quasi-identifier with a hierarchy"
        )
    unfit = [model for model in settings.models if not isinstance(model, (SafePub, KAnonymity))]
    if unfit:
        raise UsageError(
            f"SafePub goes together with k-anonymity only, not with {unfit[0].describe()}: drop one of them"
        )
    if settings.suppression_limit != 1:
        raise UsageError(
            f"suppression_limit is {settings.suppression_limit}: with SafePub it has to be 1, because "
            "to refuse a release for what it suppresses would tell of the data"
        )


@lru_cache(maxsize=64)
def sampling_probability(epsilon: float) -> Fraction:
    """The largest multiple of 2^-53 at most 1 - e^-epsilon."""
    with localcontext() as context:
        context.prec = _DIGITS
        most = 1 - (-_decimal(epsilon)).exp()
        scaled = (most * (1 - _CLOSE) * 2**_BITS).to_integral_value(ROUND_FLOOR)
    return Fraction(int(scaled), 2**_BITS)


def delta_of(epsilon: float, k: int, probability: Fraction | None = None) -> float:
    """The delta of sampling and dropping classes under k rows: exact, rounded up. It falls as k grows."""
    beta = sampling_probability(epsilon) if probability is None else probability
    return _rounded_up(max(_deltas(epsilon, beta, k, Decimal(0))))


def published_delta(epsilon: float, k: int, probability: Fraction | None = None) -> float:
    """Li, Qardaji and Su's bound: the largest P[Bin(n) > gamma n] over n >= k/gamma - 1. Rounded up."""
    beta = sampling_probability(epsilon) if probability is None else probability
    with localcontext() as context:
        context.prec = _DIGITS
        gamma = _gamma(epsilon, beta)
        n, most = max(1, int((k / gamma - 1).to_integral_value(ROUND_CEILING))), Decimal(0)
        while _chernoff(n, gamma, beta) > most:
            most = max(most, _tail(n, int(gamma * n) + 1, beta, Decimal(0)))
            n += 1
    return _rounded_up(most)


@lru_cache(maxsize=64)
def least_k(epsilon: float, delta: float) -> int:
    """The least k whose delta, with the sampling probability of epsilon, is at most `delta`."""
    beta, target = sampling_probability(epsilon), _decimal(delta)
    least = 1
    for first, found in enumerate(_deltas(epsilon, beta, 1, target), start=1):
        if found > target:
            least = first + 1
    return least


def _deltas(epsilon: float, beta: Fraction, k: int, floor: Decimal) -> Iterator[Decimal]:
    """The divergence for each first size k, k + 1, ... until none can exceed `floor` or those before."""
    most, first = floor, k
    with localcontext() as context:
        context.prec = _DIGITS
        gamma, ratio = _gamma(epsilon, beta), _decimal(epsilon).exp()
    while True:
        with localcontext() as context:
            context.prec = _DIGITS
            n = int((first - 1) / gamma) + 1
            ended = _chernoff(n, gamma, beta) <= most
            found = Decimal(0) if ended else _tail(n, first, beta, ratio)
        yield found
        if ended:
            return
        most, first = floor or max(most, found), first + 1


def _gamma(epsilon: float, beta: Fraction) -> Decimal:
    return 1 - (1 - _ratio(beta)) * (-_decimal(epsilon)).exp()


def _chernoff(n: int, gamma: Decimal, beta: Fraction) -> Decimal:
    """A bound on P[Bin(n) > gamma n], and on the same of every larger n."""
    b = _ratio(beta)
    rest = (1 - gamma) * ((1 - gamma) / (1 - b)).ln()
    return (-n * (gamma * (gamma / b).ln() + rest)).exp() * (1 + _CLOSE)


def _tail(n: int, first: int, beta: Fraction, ratio: Decimal) -> Decimal:
    """sum over j >= first of P[Bin(n) = j] - ratio P[Bin(n - 1) = j], raised by 1e-40 of itself."""
    if first > n:
        return Decimal(0)
    b = _ratio(beta)
    chance = math.comb(n, first) * b**first * (1 - b) ** (n - first)
    total, scale = Decimal(0), ratio / (n * (1 - b))
    for j in range(first, n + 1):
        total += chance * (1 - scale * (n - j))
        if chance < total * _CLOSE * _CLOSE:
            break
        chance *= b * (n - j) / ((1 - b) * (j + 1))
    return max(Decimal(0), total) * (1 + _CLOSE)


def _ratio(number: Fraction) -> Decimal:
    return Decimal(number.numerator) / Decimal(number.denominator)


def _decimal(number: float) -> Decimal:
    fraction: Any = exact(number)
    with localcontext() as context:
        context.prec = _DIGITS
        return _ratio(fraction)


def _rounded_up(number: Decimal) -> float:
    found = float(number)
    return found if Decimal(found) >= number else math.nextafter(found, math.inf)
