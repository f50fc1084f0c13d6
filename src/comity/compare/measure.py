"""Runs one architecture at one setting and measures it: utility on held-out rows, cost, attacks."""

from __future__ import annotations

import secrets
import time
import traceback
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from comity.architectures.definition import Architecture, Options, Pilot
from comity.compare.draft import draft_agreement, run_name, sign_by_all
from comity.compare.inputs import Inputs
from comity.compare.pool import Pool
from comity.compare.result import Cost, Result, Utility
from comity.compare.settings import MEDIATOR, ML_PARTY
from comity.errors import BadInput, ComityError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def measure(
    architecture: Architecture, options: Options, inputs: Inputs, pool: Pool, *, swept: bool
) -> Result:
    """Run it; a failure becomes a result with `error`, so that the others can still be compared."""
    try:
        return _measure(architecture, options, inputs, pool, swept=swept)
    except ComityError as error:
        failure = {"code": error.code, "exit_code": error.exit_code, "message": str(error)}
    except Exception as error:
        traceback.print_exc()
        message = f"a defect in comity: {type(error).__name__}: {error}"
        failure = {"code": ComityError.code, "exit_code": ComityError.exit_code, "message": message}
    return Result(
        architecture=architecture,
        options=options,
        guarantee=architecture.promised(options, inputs.task),
        utility=None,
        cost=None,
        attacks={},
        error=failure,
    )


def _measure(
    architecture: Architecture, options: Options, inputs: Inputs, pool: Pool, *, swept: bool
) -> Result:
    run = run_name(architecture, options, swept=swept)
    names = _taking_part(architecture, inputs)
    agreement = sign_by_all(
        draft_agreement(
            architecture,
            inputs.task,
            options,
            run=run,
            providers=inputs.providers,
            ml_party=ML_PARTY,
            keys=pool.keys,
            seed_rows=inputs.seed_rows,
            frame=inputs.frame,
            own_columns=inputs.columns,
        ),
        pool,
    )
    started = time.monotonic()
    reports = pool.run(
        names,
        session=secrets.token_hex(16),
        run=run,
        agreement=agreement,
        architecture=architecture.name,
        task=inputs.task.to_dict(),
        options=options.to_dict(),
    )
    wall_s = time.monotonic() - started
    figures = {name: report["figures"] for name, report in reports.items()}
    judges = [name for name in names if (_session(pool, name, run) / "scores.parquet").is_file()]
    utility, best = _utility(architecture, inputs, pool, run, judges, figures)
    pilot = _pilot(architecture, options, inputs, pool, run, names, figures, judges, best)
    return Result(
        architecture=architecture,
        options=options,
        guarantee=architecture.promised(options, inputs.task),
        utility=utility,
        cost=Cost.of(reports, wall_s=wall_s, startup_s=pool.startup_s),
        figures=figures,
        left_out=architecture.leaves_out(inputs.task),
        **_attacked(architecture, pilot),
    )


def _attacked(architecture: Architecture, pilot: Pilot) -> dict[str, Any]:
    """The attacks' results, or why there are none: a table may be too small to tell anything by them."""
    try:
        return {"attacks": architecture.attacks(pilot)}
    except BadInput as error:
        return {"attacks": {}, "attacks_note": f"no attack was run: {error}"}


def _taking_part(architecture: Architecture, inputs: Inputs) -> list[str]:
    names: list[str] = []
    if "provider" in architecture.programs:
        names += inputs.providers
    if "mediator" in architecture.programs:
        names.append(MEDIATOR)
    if "ml_party" in architecture.programs:
        names.append(ML_PARTY)
    return names


def _session(pool: Pool, party: str, run: str) -> Any:
    return pool.parties[party].folder / "sessions" / run


def _scores(pool: Pool, party: str, run: str) -> dict[str, NDArray[np.float64]]:
    import numpy as np
    import pyarrow.parquet as pq

    table = pq.read_table(_session(pool, party, run) / "scores.parquet")
    return {name: np.asarray(table.column(name), dtype=np.float64) for name in table.column_names}


def _utility(
    architecture: Architecture,
    inputs: Inputs,
    pool: Pool,
    run: str,
    judges: list[str],
    figures: Mapping[str, Mapping[str, Any]],
) -> tuple[Utility, dict[str, str]]:
    """The best of each judge's models on the test rows, as CONTRACT defines baselines; means over judges."""
    from sklearn.metrics import accuracy_score, roc_auc_score

    if not judges:
        return Utility(None, None, None), {}
    labels = inputs.test_labels
    aucs: list[float] = []
    accuracies: list[float] = []
    best: dict[str, str] = {}
    for party in judges:
        by_model = {name: scores[: len(labels)] for name, scores in _scores(pool, party, run).items()}
        best[party] = max(by_model, key=lambda name: roc_auc_score(labels, by_model[name]))
        chosen = by_model[best[party]]
        aucs.append(float(roc_auc_score(labels, chosen)))
        accuracies.append(float(accuracy_score(labels, chosen >= 0.5)))
    rows = [_rows_used(figures, party) for party in judges]
    models = sorted(set(best.values()))
    utility = Utility(
        auc=sum(aucs) / len(aucs),
        accuracy=sum(accuracies) / len(accuracies),
        rows_used=round(sum(rows) / len(rows)),
        rows_estimated=next((figures[party].get("rows_estimated") for party in judges), None),
        model=models[0] if len(models) == 1 else None,
        start_auc=_start_auc(pool, judges, run, labels),
    )
    return utility, best


def _start_auc(pool: Pool, judges: list[str], run: str, labels: NDArray[np.uint8]) -> float | None:
    """The AUC that learning began at, mean over judges; None where no start model is told of."""
    import pyarrow.parquet as pq
    from sklearn.metrics import roc_auc_score

    kept = [path for party in judges if (path := _session(pool, party, run) / "start.parquet").is_file()]
    if not kept:
        return None
    scores = [pq.read_table(path).column("start").to_numpy()[: len(labels)] for path in kept]
    return sum(float(roc_auc_score(labels, each)) for each in scores) / len(scores)


def _rows_used(figures: Mapping[str, Mapping[str, Any]], party: str) -> int:
    """Rows that this party learned from; those that it may not count itself are counted where they lie."""
    own = figures[party]
    if own["rows_used"] is not None:
        return int(own["rows_used"])
    others = (int(figures[name]["rows_used"] or 0) for name in figures if name != party)
    return int(own["own_rows"]) + sum(others)


def _pilot(
    architecture: Architecture,
    options: Options,
    inputs: Inputs,
    pool: Pool,
    run: str,
    names: list[str],
    figures: Mapping[str, Mapping[str, Any]],
    judges: list[str],
    best: Mapping[str, str],
) -> Pilot:
    member_scores = outsider_scores = None
    if ML_PARTY in judges:
        scores = _scores(pool, ML_PARTY, run)[best[ML_PARTY]]
        tests = len(inputs.test_labels)
        outsider_scores, member_scores = scores[:tests], scores[tests:]
    return Pilot(
        task=inputs.task,
        options=options,
        members=inputs.train,
        outsiders=inputs.test,
        sessions={name: _session(pool, name, run) for name in names},
        figures=figures,
        ml_party=ML_PARTY,
        member_scores=member_scores,
        member_labels=inputs.member_labels,
        outsider_scores=outsider_scores,
        outsider_labels=inputs.test_labels,
        outsiders_of=inputs.held_out,
    )
