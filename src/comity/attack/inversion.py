"""Gradient inversion: from a gradient back to the records it was made of.

The gradient of one record in a linear layer is a multiple of the record itself, and the constant's gradient
is that multiple: a division gives the record back (Phong et al. 2018), and with it the label's side. For
sums over many records, and for other models, an adversary looks for records whose own gradient points the
way that what it saw does (Zhu et al. 2019; Geiping et al. 2020, who take the cosine). Here it may pick
among real candidates, rows that took part and rows that did not, which is easier than to make them up: the
attack measures how much better it points at those that did.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from comity.attack.membership import control, membership_inference
from comity.attack.result import AttackResult
from comity.errors import BadInput

Floats = NDArray[np.float64]


def invert_linear(weights: Floats, constant: float) -> Floats:
    """(width,) the one record whose gradient this is, in a model that is linear in it.

    Args:
        weights: (width,) gradient of the weights, summed or averaged.
        constant: gradient of the constant. Of several records, the result is their mean, weighted by how
            wrong
            the model is about each.

    Raises:
        BadInput: if the constant's gradient is 0: no record can be read off.
    """
    if not (np.isfinite(constant) and constant != 0 and np.isfinite(weights).all()):
        raise BadInput("a record can be read off a gradient whose constant's part is a number other than 0")
    return np.asarray(weights, dtype=np.float64) / constant


def alignment(seen: Floats, gradients: Floats) -> Floats:
    """(n,) the cosine between what was seen and each candidate's own gradient; 0 where one of them is 0.

    Args:
        seen: (d,) what the adversary got hold of.
        gradients: (n, d).

    Raises:
        BadInput: if they do not have the same columns.
    """
    if seen.ndim != 1 or gradients.ndim != 2 or gradients.shape[1] != len(seen):
        raise BadInput("what was seen and the candidates' gradients have the same columns")
    largest = float(np.abs(seen).max(initial=0.0))
    if largest == 0:
        return np.zeros(len(gradients))
    pointed = seen / largest
    lengths = np.linalg.norm(gradients, axis=1) * np.linalg.norm(pointed)
    return np.divide(gradients @ pointed, lengths, out=np.zeros(len(gradients)), where=lengths > 0)


def inversion_attack(
    members: Floats, outsiders: Floats, *, bound: float | None = None, seed: int = 0
) -> AttackResult:
    """How well alignment tells records that took part from others of the same kind.

    Args:
        members, outsiders: alignments, added up over rounds where several were seen.
        bound: what the guarantee allows, for the same unit and relation.

    Returns:
        `control` is the same adversary on two halves of the outsiders.
    """
    found = membership_inference(members, outsiders, seed=seed)
    blind = control(outsiders, seed=seed).advantage
    return replace(found.result(bound=bound, control=blind), name="inversion")
