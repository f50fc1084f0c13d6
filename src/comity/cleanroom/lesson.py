"""The ML party's end of the pilot's job: one noisy Newton step from a start model, by the job `gradient`.

The start model is a logistic regression on the seed rows, which are disclosed outright. The job gives each
row's gradient over bins of the features; the room multiplies it by this side's matrix, which makes all
directions equally well known before they are cut and noised (F^(-1/2), F the information that so many rows
would hold, guessed from the seed rows and, where they say little, as if features were independent), and a
direction is followed as far as noise, chance and the guess let it be known. A bad guess costs precision,
never privacy.

With many rows it is the guess that decides: a bin three times as common as the seed rows say would be moved
three times too far. So what so few seed rows leave open of a bin's share counts as noise that grows with the
rows, and neighbouring bins of a number are drawn towards each other.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from comity.cleanroom.job import Blocks, Job, Kind, Output
from comity.cleanroom.shipped import source
from comity.cleanroom.statistic import Answer
from comity.data.bins import quantile_edges
from comity.data.encode import BinnedColumn, Encoder, LevelColumn
from comity.data.table import Table
from comity.errors import BadInput
from comity.schema import Schema

Floats = NDArray[np.float64]

MOST_WIDTH: Final = 1_000
"""Bins of all features together: their matrix is one of the job's parameters."""
BLOCKS: Final = 2_300
"""Of each provider. Twice as many would give .002 more AUC at epsilon 1 on Adult, for twice the time."""
_CPU_S: Final = 0.0015
"""A block of 32 of Adult's rows takes a sixth of that, and on a busy machine one in 250 passes it."""
_MOST_TOGETHER: Final = 32
_MOST_VALUES: Final = 500
"""Of all rows of a block, so that a slower machine has time for them as well."""
_BINS: Final = 16
_MOST_LEVELS: Final = 100
_SPIKE: Final = 0.5
_CLIP: Final = 4.0
_CURVATURE: Final = 0.12
_PRIOR: Final = 2.0
_ALONE: Final = (0.1, 0.5)
_TOGETHER: Final = (1.0, 2.0)
"""The mean square of a bin's step, by which a wrong guess of its share counts, and how close neighbouring
bins are. Less where each row's vector is cut by itself: that takes most from the rare bins already."""
_SEED_WEIGHT: Final = 300.0
_SPREAD: Final = 10.0
_MOST_ODDS: Final = 9.0


def gradient_job(columns: Sequence[str], width: int, norm: float, lengths: Mapping[str, int]) -> Job:
    """The job `gradient`, all of whose declaration but this is fixed.

    Args:
        columns: the features, then the target.
        width: bins of all features together.
        norm: the length that a row's mixed gradient is cut to.
        lengths: how many numbers each of its parameters has.
    """
    return Job(
        title="One noisy step of logistic regression from a start model",
        source=source("gradient"),
        columns=tuple(columns),
        kind=Kind.statistic,
        outputs=(Output("gradient", width, norm=norm, mix="mix"),),
        parameters=dict(lengths),
        modules=("bisect", "math"),
        blocks=Blocks(
            most=BLOCKS, cpu_s=_CPU_S, together=max(1, min(_MOST_TOGETHER, _MOST_VALUES // len(columns)))
        ),
    )


class Lesson:
    """What the ML party asks of every provider, and what it makes of the answers.

    Args:
        schema: the agreed columns; `names` are the features, in order, and `target` the target.
        seeds: the seed rows, with `labels`, (rows,) 0 or 1.
        positive: what a job is given for the target's value that counts as 1.
        providers: how many are asked.
        seed: of the start model.
    """

    def __init__(
        self,
        schema: Schema,
        names: Sequence[str],
        target: str,
        positive: float,
        seeds: Table,
        labels: NDArray[np.uint8],
        *,
        providers: int,
        seed: int,
    ) -> None:
        self._schema, self._names, self._target = schema, tuple(names), target
        self.encoder = _bins(schema, seeds, self._names)
        self._start = _Start(schema, self.encoder, self._names, seeds, labels, seed)
        dense = self.encoder.dense(self.encoder.codes(seeds)).astype(np.float64)
        self._moments = _moments(self.encoder, dense)
        self._rows = float(BLOCKS * providers)
        share = np.diag(self._moments)
        # (width,) variance of a bin's share, as so many seed rows tell it
        self._doubts = share * (1.0 - share) / (seeds.rows + _SPREAD)
        self._mix = _root(_CURVATURE * self._rows * self._moments + _PRIOR * np.eye(self.encoder.width))
        self._positive = positive

    @property
    def job(self) -> Job:
        """The job with its declaration."""
        width = self.encoder.width
        norm = _CLIP * math.sqrt(len(self._names) / self._rows)
        lengths = {name: len(values) for name, values in self.parameters.items()}
        return gradient_job((*self._names, self._target), width, norm, lengths)

    @property
    def parameters(self) -> dict[str, Floats]:
        bins = [
            len(column.edges) if isinstance(column, BinnedColumn) else -len(column.levels)
            for column in self.encoder.columns
        ]
        edges = [
            edge
            for column in self.encoder.columns
            if isinstance(column, BinnedColumn)
            for edge in column.edges
        ]
        return {
            "width": np.array([float(self.encoder.width)]),
            "bins": np.array(bins, dtype=np.float64),
            "edges": np.array(edges, dtype=np.float64),
            "weights": self._start.weights,
            "positive": np.array([self._positive]),
            "mix": self._mix.ravel(),
        }

    def learn(self, answers: Sequence[Answer]) -> None:
        """Take the step that the providers' answers tell, each direction of each as far as it is known.

        Generalised least squares: what is not known is chance (`fisher`), noise and the guess (`doubt`).
        """
        width = self.encoder.width
        information, slope = np.zeros((width, width)), np.zeros(width)
        steps, walk = _TOGETHER if any(answer.together > 1 for answer in answers) else _ALONE
        for answer in answers:
            rows = answer.drawn * max(answer.units or 0, 1)
            fisher = _CURVATURE * rows * self._mix @ self._moments @ self._mix
            # one guess for all providers, so that it is as wrong for the last as for the first
            doubts = len(answers) * steps * (_CURVATURE * rows) ** 2 * self._doubts
            doubt = self._mix @ np.diag(doubts) @ self._mix
            noise = answer.deviations["gradient"] ** 2 * np.eye(width)
            known = np.linalg.solve(fisher + noise + doubt, fisher).T
            information += known @ fisher
            slope += known @ answer.sums["gradient"]
        pull = self._mix @ _prior(self.encoder, walk) @ self._mix
        self._step = self._mix @ np.linalg.solve(information + pull, slope)

    def scores(self, table: Table) -> Floats:
        """(rows,) chances of the positive value, after `learn`."""
        places = self.encoder.codes(table).astype(np.int64) + self.encoder.offsets[:-1]
        odds = self._start.odds(table) + self._step[places].sum(axis=1)
        return 0.5 * (1.0 + np.tanh(odds / 2.0))


def _bins(schema: Schema, seeds: Table, names: Sequence[str]) -> Encoder:
    """Bins by the schema's levels, and for numbers by the seed rows, which are public to both ends.

    A number that sits at its lower bound in most seed rows is cut at halves, quarters, ... of its range as
    well: few seed rows tell where the rest lies.
    """
    made: list[BinnedColumn | LevelColumn] = []
    for name in names:
        column = schema[name]
        if not column.type.is_numeric:
            made.append(LevelColumn(name, (column.values or ())[:_MOST_LEVELS]))
            continue
        low, high = float(column.min or 0.0), float(column.max or 0.0)
        numbers = seeds.numbers(name)
        known = np.clip(numbers[~np.isnan(numbers)], low, high)
        edges = {edge for edge in quantile_edges(known, _BINS, 5) if low < edge <= high}
        if len(known) and float((known == low).mean()) >= _SPIKE and high > low:
            edges |= {low + (high - low) * 2.0**-power for power in (*range(1, 8), 16)}
        made.append(BinnedColumn(name, tuple(sorted(edges))))
    encoder = Encoder(tuple(made))
    if encoder.width > MOST_WIDTH:
        raise BadInput(
            f"the features have {encoder.width:,} bins together, a lesson in a clean room takes "
            f"{MOST_WIDTH:,}: leave out columns of many levels"
        )
    return encoder


def _moments(encoder: Encoder, seeds: Floats) -> Floats:
    """(width, width) how often two bins meet, for one row: partly as in the seed rows, else independent."""
    owner = np.repeat(np.arange(len(encoder.columns)), encoder.widths)
    even = _SPREAD / np.repeat(encoder.widths, encoder.widths)
    share = (seeds.sum(axis=0) + even) / (len(seeds) + _SPREAD)
    part = len(seeds) / (len(seeds) + _SEED_WEIGHT)
    seen = seeds.T @ seeds / max(len(seeds), 1)
    mixed = part * seen + (1 - part) * np.outer(share, share)
    moments = mixed * (owner[:, None] != owner[None, :]) + np.diag(share)
    values, vectors = np.linalg.eigh(moments)
    return np.asarray((vectors * np.maximum(values, 1e-9)) @ vectors.T, dtype=np.float64)


def _prior(encoder: Encoder, walk: float) -> Floats:
    """(width, width) precision of the step before anything is known: small, and smooth along numbers.

    Args:
        walk: precision of the difference between neighbouring bins of a number.
    """
    prior = _PRIOR * np.eye(encoder.width)
    for column, first in zip(encoder.columns, encoder.offsets[:-1], strict=True):
        if isinstance(column, BinnedColumn):
            # the first bin is that of missing values, which has no neighbour
            for left in range(first + 1, first + column.width - 1):
                prior[left : left + 2, left : left + 2] += walk * np.array([[1.0, -1.0], [-1.0, 1.0]])
    return prior


def _root(information: Floats) -> Floats:
    """The symmetric inverse square root."""
    values, vectors = np.linalg.eigh(information)
    return (vectors / np.sqrt(values)) @ vectors.T


class _Start:
    """Logistic regression (L2, C = 1) on the seed rows: standardised numbers and one-hot levels."""

    def __init__(
        self,
        schema: Schema,
        encoder: Encoder,
        names: Sequence[str],
        seeds: Table,
        labels: NDArray[np.uint8],
        seed: int,
    ) -> None:
        from sklearn.linear_model import LogisticRegression

        self._schema, self._encoder, self._names = schema, encoder, names
        self._fills = [self._fill(seeds, name) for name in names]
        matrix = self._matrix(seeds)
        middle, wide = matrix.mean(axis=0), matrix.std(axis=0)
        numeric = self._numeric()
        middle, wide = np.where(numeric, middle, 0.0), np.where(numeric & (wide > 0), wide, 1.0)
        if len(np.unique(labels)) < 2:
            coefficients: Floats = np.zeros(matrix.shape[1])
            intercept = 0.0
        else:
            model = LogisticRegression(C=1.0, max_iter=1000, random_state=seed)
            model.fit((matrix - middle) / wide, labels)
            fitted = np.asarray(model.coef_, dtype=np.float64)
            coefficients, intercept = fitted[0] / wide, float(np.asarray(model.intercept_)[0])
        self._coefficients = coefficients
        self._intercept = intercept - float(self._coefficients @ middle)

    def _fill(self, seeds: Table, name: str) -> float:
        """What stands for a missing number: the mean of the seed rows."""
        column = self._schema[name]
        if not column.type.is_numeric:
            return 0.0
        numbers = np.clip(seeds.numbers(name), column.min, column.max)
        known = numbers[~np.isnan(numbers)]
        return float(known.mean()) if len(known) else 0.0

    def _numeric(self) -> NDArray[np.bool_]:
        """(design columns,) which of them are numbers."""
        kinds = [
            np.zeros(column.width, bool) if isinstance(column, LevelColumn) else np.ones(1, bool)
            for column in self._encoder.columns
        ]
        return np.concatenate(kinds)

    def _matrix(self, table: Table) -> Floats:
        """(rows, design columns) numbers as they are, then levels one-hot, column by column."""
        codes = self._encoder.codes(table)
        parts: list[Floats] = []
        for at, column in enumerate(self._encoder.columns):
            if isinstance(column, LevelColumn):
                parts.append((codes[:, at][:, None] == np.arange(column.width)).astype(np.float64))
                continue
            bounds = self._schema[column.name]
            numbers = np.clip(table.numbers(column.name), bounds.min, bounds.max)
            parts.append(np.where(np.isnan(numbers), self._fills[at], numbers)[:, None])
        return np.concatenate(parts, axis=1)

    @property
    def weights(self) -> Floats:
        """As the job `gradient` takes them."""
        told: list[float] = [self._intercept]
        first = 0
        for at, column in enumerate(self._encoder.columns):
            width = column.width if isinstance(column, LevelColumn) else 1
            told += self._coefficients[first : first + width].tolist()
            told += [] if isinstance(column, LevelColumn) else [self._fills[at]]
            first += width
        return np.array(told)

    def odds(self, table: Table) -> Floats:
        """(rows,) log odds between -9 and 9."""
        odds = self._matrix(table) @ self._coefficients + self._intercept
        return np.clip(odds, -_MOST_ODDS, _MOST_ODDS)
