"""What the user asked a comparison to do, checked before any table is read."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from comity.architectures import names
from comity.architectures.definition import rounded_delta
from comity.errors import UsageError

_NAME = re.compile(r"[a-z](-?[a-z0-9])*")
MODES = ("linked", "hosted", "entrusted", "encrypted", "private", "exact")
_SMALLEST_EPSILON = 1e-6
_SMALLEST_DELTA = 1e-12
ML_PARTY = "analyst"
MEDIATOR = "mediator"


@dataclass(frozen=True)
class Settings:
    """A comparison's settings; see CONTRACT for each option's meaning."""

    providers: tuple[tuple[str, str], ...]
    target: str
    positive: str | None
    id: str | None
    test: str | None
    schema: Path | None
    epsilons: tuple[float, ...]
    delta: float
    k: int
    seed_rows: int
    architectures: tuple[str, ...] | None
    mode: str | None
    partition: str
    seed: int
    keep: Path | None

    @classmethod
    def parse(
        cls,
        *,
        providers: Sequence[str],
        target: str,
        positive: str | None,
        id: str | None,
        test: str | None,
        schema: Path | None,
        epsilon: str,
        delta: float,
        k: int,
        seed_rows: int,
        architectures: Sequence[str] | None,
        mode: str | None,
        partition: str,
        seed: int,
        keep: Path | None,
    ) -> Self:
        """Check options as given on the command line.

        Raises:
            UsageError: naming the option and what it takes.
        """
        if mode is not None and mode not in MODES:
            raise UsageError(f"--mode is one of {', '.join(MODES)}, not '{mode}'")
        if partition not in ("rows", "columns"):
            raise UsageError(f"--partition is rows or columns, not '{partition}'")
        if not _SMALLEST_DELTA <= delta < 1:
            raise UsageError(f"--delta is between {_SMALLEST_DELTA:g} and 1, not {delta:g}; 1e-6 is usual")
        if k < 1:
            raise UsageError(f"--k is 1 or more, not {k}")
        if seed_rows < 2:
            raise UsageError(
                f"--seed-rows is 2 or more, not {seed_rows}: both values of the target are needed"
            )
        if not 0 <= seed < 2**32:
            raise UsageError(f"--seed is from 0 to {2**32 - 1}, not {seed}")
        return cls(
            providers=_parse_providers(providers),
            target=target,
            positive=positive,
            id=id,
            test=test,
            schema=schema,
            epsilons=_parse_epsilons(epsilon),
            delta=rounded_delta(delta),
            k=k,
            seed_rows=seed_rows,
            architectures=_parse_architectures(architectures),
            mode=mode,
            partition=partition,
            seed=seed,
            keep=keep,
        )


def _parse_providers(given: Sequence[str]) -> tuple[tuple[str, str], ...]:
    providers: dict[str, str] = {}
    for entry in given:
        name, separator, path = entry.partition("=")
        if not separator or not path:
            raise UsageError(f"--provider takes NAME=PATH, for example north=north.csv, not '{entry}'")
        if not _NAME.fullmatch(name) or len(name) > 40:
            raise UsageError(
                f"the provider name '{name}' cannot be used: small letters, digits and hyphens, "
                "a letter first, at most 40"
            )
        if name in (ML_PARTY, MEDIATOR):
            raise UsageError(f"the name '{name}' is taken by another party of the pilot; choose another")
        if name in providers:
            raise UsageError(f"the provider name '{name}' is given twice")
        providers[name] = path
    if not providers:
        raise UsageError("give at least one --provider NAME=PATH")
    return tuple(providers.items())


def _parse_epsilons(text: str) -> tuple[float, ...]:
    values: list[float] = []
    for item in text.split(","):
        try:
            value = float(item)
        except ValueError:
            raise UsageError(f"--epsilon takes a number or a list such as 0.1,1,3, not '{text}'") from None
        if not math.isfinite(value) or value < _SMALLEST_EPSILON or value > 100:
            raise UsageError(f"--epsilon is from {_SMALLEST_EPSILON:g} to 100, not {item.strip()}")
        # accounts are kept in steps of 1e-9
        value = math.floor(round(value * 1e9, 3)) / 1e9
        if value not in values:
            values.append(value)
    return tuple(values)


def _parse_architectures(given: Sequence[str] | None) -> tuple[str, ...] | None:
    if given is None:
        return None
    if not given:
        raise UsageError(f"--architectures is empty; there are: {', '.join(names())}")
    unknown = [name for name in given if name not in names()]
    if unknown:
        raise UsageError(f"there is no architecture '{unknown[0]}'; there are: {', '.join(names())}")
    return tuple(dict.fromkeys(given))
