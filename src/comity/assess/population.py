"""Population uniques by all models, and the rule that chooses among them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from comity.assess.snb import snb_share
from comity.assess.uniqueness import pitman_fit, pitman_uniques, zayatz_share

if TYPE_CHECKING:
    from numpy.typing import NDArray

MODELS = ("pitman", "zayatz", "snb", "dankar")
NO_POPULATION = "the size of the population is not given"
SMALL_FRACTION = 0.1


@dataclass(frozen=True)
class PopulationUniques:
    """Estimates of the share of the population that is unique.

    Attributes:
        shares: per model of `MODELS`, the share in [0, 1], or None where it has no estimate.
        notes: per model without an estimate, why, in words.
        chosen: the model that `dankar` took its figure from; "" if it has none.
        fit: (theta, alpha) of Pitman's model, or None.
    """

    shares: Mapping[str, float | None]
    notes: Mapping[str, str] = field(default_factory=dict)
    chosen: str = ""
    fit: tuple[float, float] | None = None


def population_uniques(sizes: NDArray[np.integer], population: int | None) -> PopulationUniques:
    """Estimate by Pitman, Zayatz and the slide negative binomial model, and choose by Dankar's rule.

    The rule (Dankar, El Emam, Neisa and Roffey 2012, "Estimating the re-identification risk of clinical data
    sets", BMC Medical Informatics and Decision Making 12:66), as the ARX anonymisation tool applies it:
    where the sample holds at most a tenth of the population, Pitman's estimate, and Zayatz's if that has
    none or is 0; where it holds more, the smaller of Zayatz's and the slide negative binomial's.

    Args:
        sizes: (classes,) rows of the sample in each equivalence class, all at least 1.
        population: its size, at least the sample's; None if it is not known.
    """
    if population is None:
        return PopulationUniques(dict.fromkeys(MODELS), dict.fromkeys(MODELS, NO_POPULATION))
    if not (np.asarray(sizes) == 1).any():
        return PopulationUniques(dict.fromkeys(MODELS, 0.0), {}, "zayatz")
    zayatz = zayatz_share(sizes, population)
    snb, no_snb = snb_share(sizes, population)
    fit = pitman_fit(sizes)
    pitman = None if isinstance(fit, str) else pitman_uniques(*fit, population) / population
    if int(np.sum(sizes)) <= SMALL_FRACTION * population:
        chosen = "pitman" if pitman else "zayatz"
    else:
        chosen = "snb" if snb and snb < zayatz else "zayatz"
    shares = {"pitman": pitman, "zayatz": zayatz, "snb": snb}
    notes = {"pitman": fit} if isinstance(fit, str) else {}
    if no_snb:
        notes["snb"] = no_snb
    return PopulationUniques(
        {**shares, "dankar": shares[chosen]}, notes, chosen, None if isinstance(fit, str) else fit
    )
