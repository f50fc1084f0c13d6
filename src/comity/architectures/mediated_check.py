"""The mediator's check before the union leaves: every class, from the bytes that would leave, and the origin.

It reads the pieces back and knows nothing of how they were made. Memory follows distinct rows of the columns
that it looks at, not rows.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from comity.architectures.mediated_pieces import Candidate
from comity.architectures.mediated_terms import ORIGIN, Terms
from comity.architectures.mediated_union import ORIGINS, REFERENCE
from comity.attack.origin import LEAST_ROWS, MOST_ROWS, origin_attack
from comity.data.ipc import table_from_bytes
from comity.data.table import Table
from comity.deidentify.models.checker import satisfies
from comity.plan import Verdict

if TYPE_CHECKING:
    import pyarrow as pa

    from comity.attack.result import AttackResult
    from comity.deidentify.models.class_models import PrivacyModel


def examine_union(
    candidate: Candidate, names: Sequence[str], models: Sequence[PrivacyModel], terms: Terms
) -> Verdict:
    """Whether the candidate may leave: it holds rows, every model holds in every class, the attack fails.

    Args:
        names: the quasi-identifiers.
    """
    sizes, broken = _broken(candidate, names, models)
    if broken or not sizes:
        return Verdict(passed=False, reason="; ".join(broken) or "no row is left")
    attack = attack_candidate(candidate, terms.origin_t)
    figures: dict[str, Any] = {"rows": sum(sizes), "classes": len(sizes), "smallest_class": min(sizes)}
    if attack is None:
        return Verdict(
            passed=False,
            reason=f"fewer than {LEAST_ROWS} rows are left: too few to try whether the origin shows",
            figures=figures,
        )
    figures["origin"] = attack.to_dict()
    return Verdict(
        passed=attack.high <= terms.origin_t,
        reason=f"a classifier guesses the provider of a row {attack.advantage:+.3f} more often than the "
        f"largest provider's share (95% interval {attack.low:+.3f} to {attack.high:+.3f}); up to "
        f"{terms.origin_t:g} is allowed",
        figures=figures,
    )


def attack_candidate(candidate: Candidate, t: float, *, seed: int = 0) -> AttackResult | None:
    """The origin attack on the first rows, which are a random sample: the order is. None if they are few."""
    import pyarrow as pa

    tables: list[pa.Table] = []
    rows = 0
    for data in candidate.pieces():
        tables.append(table_from_bytes(data))
        rows += tables[-1].num_rows
        if rows >= MOST_ROWS:
            break
    if rows < LEAST_ROWS:
        return None
    origins = np.load(candidate.folder / ORIGINS, allow_pickle=False)
    counted = np.array([count for _, count in _reference(candidate)[ORIGIN]], dtype=np.float64)
    taken = min(rows, MOST_ROWS)
    return origin_attack(
        Table(pa.concat_tables(tables).slice(0, taken)),
        origins[:taken].astype(np.int64),
        shares=(counted / counted.sum()).tolist(),
        t=t,
        seed=seed,
    )


def _reference(candidate: Candidate) -> dict[str, list[Any]]:
    """Per column that a model looks at, [value, count] of all rows before any were suppressed."""
    return json.loads((candidate.folder / REFERENCE).read_text(encoding="utf-8"))["counts"]


def _broken(
    candidate: Candidate, names: Sequence[str], models: Sequence[PrivacyModel]
) -> tuple[list[int], list[str]]:
    """Sizes of the classes, and one line for each model that does not hold in some of them."""
    sensitive = list(dict.fromkeys(model.sensitive for model in models if model.sensitive is not None))
    origins = np.load(candidate.folder / ORIGINS, allow_pickle=False)
    found: dict[str, Counter[tuple[Any, ...]]] = {name: Counter() for name in sensitive}
    start = 0
    for data in candidate.pieces():
        table = table_from_bytes(data)
        _count(table, origins[start : start + table.num_rows], names, found)
        start += table.num_rows
    by_class = {name: _by_class(counter) for name, counter in found.items()}
    sizes = {key: sum(counts.values()) for key, counts in by_class[ORIGIN].items()}
    reference = {name: _merged(pairs) for name, pairs in _reference(candidate).items()}
    lines: list[str] = []
    for model in models:
        column = model.sensitive
        bad = [
            size
            for key, size in sizes.items()
            if not satisfies(
                model,
                size,
                {} if column is None else by_class[column][key],
                {} if column is None else reference[column],
            )
        ]
        if bad:
            lines.append(
                f"{model.describe().replace(ORIGIN, 'origin')} does not hold in {len(bad)} classes with "
                f"{sum(bad)} rows together"
            )
    return list(sizes.values()), lines


def _count(
    table: pa.Table,
    origins: np.ndarray[Any, Any],
    names: Sequence[str],
    found: Mapping[str, Counter[tuple[Any, ...]]],
) -> None:
    import pyarrow as pa

    table = table.append_column(ORIGIN, pa.array(origins))
    for column, counter in found.items():
        grouped = table.group_by([*names, column], use_threads=False).aggregate([([], "count_all")])
        keys = zip(*(grouped.column(name).to_pylist() for name in (*names, column)), strict=True)
        for key, count in zip(keys, grouped.column("count_all").to_pylist(), strict=True):
            counter[key] += count


def _by_class(counter: Counter[tuple[Any, ...]]) -> dict[tuple[Any, ...], dict[Any, int]]:
    """Per class, how often each value of the column occurs."""
    from comity.deidentify.hierarchies.hierarchy import as_counted

    found: dict[tuple[Any, ...], dict[Any, int]] = {}
    for key, count in counter.items():
        counts, value = found.setdefault(key[:-1], {}), as_counted(key[-1])
        counts[value] = counts.get(value, 0) + count
    return found


def _merged(pairs: Sequence[Any]) -> dict[Any, int]:
    from comity.deidentify.hierarchies.hierarchy import as_counted

    found: dict[Any, int] = {}
    for given, count in pairs:
        value = as_counted(given)
        found[value] = found.get(value, 0) + count
    return found
