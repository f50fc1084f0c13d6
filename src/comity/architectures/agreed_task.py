"""Task and options of a run, held against the agreement: what an ML party asks decides nothing by itself.

A task says which columns are learned from, within which bounds, which one is the target and which one the
id; programs rest on it. So it may say nothing but what the signed agreement says: a bound, a level, a role or
a privacy unit of the ML party's own making would choose how much noise there is and which account pays.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from comity.architectures.definition import ROW_ID, Architecture, Options, Task
from comity.errors import BadInput, ClauseRefused
from comity.schema import Column, Role

if TYPE_CHECKING:
    from collections.abc import Mapping, Set

    from comity.agreement import Agreement, DataTerms

_MOST_SHOWN = 60
_SAME = ("role", "type", "min", "max", "values")


def read_options(architecture: Architecture, data: Mapping[str, Any]) -> Options:
    """The options of a run, of the types and within the ranges that there are.

    Raises:
        BadInput: naming the option that is none.
    """
    try:
        options = Options(**data)
    except TypeError:
        raise BadInput("the options of a run have names that are not known, or they are no mapping") from None
    faults = {
        "epsilon": not _is_number(options.epsilon) or not 0 < options.epsilon < math.inf,
        "delta": not _is_number(options.delta) or not 0 < options.delta < 1,
        "k": type(options.k) is not int or options.k < 1,
        "seed": type(options.seed) is not int or options.seed < 0,
        "mode": options.mode is not None and options.mode not in architecture.modes,
        "partition": options.partition not in architecture.partitions,
    }
    wrong = [name for name, is_wrong in faults.items() if is_wrong]
    if wrong:
        raise BadInput(f"the options of a run of '{architecture.name}': it has no such {wrong[0]}")
    return options


def require_agreed(
    task: Task, agreement: Agreement, party: str, architecture: Architecture, options: Options
) -> None:
    """Hold a task against the data terms that this party's program rests on.

    Those are a provider's own; the others hold it against every provider's. A column that a provider has not
    agreed on is none of the task's, be it in its table or another one's terms: but where providers hold
    columns of the same records it is another's, and where the ML party brings the features it is its own.

    Raises:
        ClauseRefused: naming the place of the agreement that says otherwise.
    """
    somebody = {name for terms in agreement.data for name in terms.columns}
    elsewhere = somebody if options.partition == "columns" else set[str]()
    if (options.mode or next(iter(architecture.modes), "")) in architecture.features_brought:
        elsewhere |= set(task.features)
    own = [terms for terms in agreement.data if terms.provider == party] or list(agreement.data)
    for terms in own:
        _require_held(task, terms, elsewhere)
        _require_columns(task, terms)
        _require_roles(task, terms)
        _require_unit(task, terms)


def _require_held(task: Task, terms: DataTerms, elsewhere: Set[str]) -> None:
    wanted = [*task.features, task.target, *([] if task.id == ROW_ID else [task.id])]
    lacking = next((name for name in wanted if name not in terms.columns and name not in elsewhere), None)
    if lacking is not None:
        raise ClauseRefused(
            f"the task names a column {_quoted(lacking)}, which the agreement has not in this data",
            clause=f"data.{terms.provider}.columns",
        )


def _require_columns(task: Task, terms: DataTerms) -> None:
    for name, asked in task.schema.columns.items():
        agreed = terms.columns.get(name)
        if agreed is not None and not _alike(asked, agreed):
            field = next((field for field in _SAME if getattr(asked, field) != getattr(agreed, field)), None)
            raise ClauseRefused(
                f"the task gives the column {_quoted(name)} another {field or 'hierarchy'} than the "
                "agreement does",
                clause=f"data.{terms.provider}.columns.{name}",
            )


def _alike(asked: Column, agreed: Column) -> bool:
    same = all(getattr(asked, field) == getattr(agreed, field) for field in _SAME)
    return same and agreed.hierarchy in (None, asked.hierarchy)


def _require_roles(task: Task, terms: DataTerms) -> None:
    for name, role in ((task.target, Role.target), (task.id, Role.identifier)):
        agreed = terms.columns.get(name)
        if agreed is not None and agreed.role is not role:
            raise ClauseRefused(
                f"the task takes the column {_quoted(name)} for its {role}; in the agreement it is "
                f"{agreed.role}",
                clause=f"data.{terms.provider}.columns.{name}",
            )
    target = terms.columns.get(task.target)
    if target is not None and target.values is not None and task.positive not in target.values:
        raise ClauseRefused(
            f"the target has no value {_quoted(task.positive)}",
            clause=f"data.{terms.provider}.columns.{task.target}",
        )


def _require_unit(task: Task, terms: DataTerms) -> None:
    asked, agreed = task.schema.unit, terms.unit
    if asked != agreed:
        raise ClauseRefused(
            f"the task's privacy unit is {_unit(asked.column, asked.max_rows)}; in the agreement it is "
            f"{_unit(agreed.column, agreed.max_rows)}",
            clause=f"data.{terms.provider}.unit",
        )


def _unit(column: str | None, rows: int) -> str:
    return "one row" if column is None else f"all rows with one {_quoted(column)}, at most {rows}"


def _quoted(name: str) -> str:
    return repr(name[:_MOST_SHOWN])


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
