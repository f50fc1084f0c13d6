"""The whole comparison: read, split, start the parties, run every architecture, collect."""

from __future__ import annotations

import math
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from comity import __version__
from comity.architectures import Architecture, find, names
from comity.architectures.definition import Options
from comity.compare.columns import prepare_columns
from comity.compare.inputs import Inputs, prepare_inputs
from comity.compare.measure import measure
from comity.compare.pool import Pool
from comity.compare.progress import Progress
from comity.compare.result import Ends, Result, Utility, gap_closed
from comity.compare.settings import MEDIATOR, ML_PARTY, Settings
from comity.errors import BadInput, PartyFailed, UsageError, Withheld
from comity.mechanism import LARGEST_EPSILON

_REFERENCES = {
    "rows": ("alone", "pooled"),
    # joined seed rows are more than anybody has: the gap starts at the target's holder's own columns as well
    "columns": ("alone", "alone-provider", "pooled"),
}
_TOLD_SHARE = 0.05
PILOT_NOTE = (
    "A pilot: all tables were read in one place to measure this, with the consent of those whose they are. "
    "Nothing here is a release."
)


@dataclass(frozen=True)
class Comparison:
    """What came of it: the CONTRACT document, and the exit code that says whether all of it worked."""

    document: dict[str, Any]
    exit_code: int


@dataclass(frozen=True)
class _Job:
    architecture: Architecture
    options: Options
    asked: bool


def run_comparison(settings: Settings, progress: Progress) -> Comparison:
    """Compare the architectures that were asked for, or all that apply.

    Raises:
        BadInput, UsageError: before any process starts, if the tables or options cannot be used.
    """
    with _folder(settings.keep) as folder:
        progress(0, 1, "reading tables")
        prepare = prepare_columns if settings.partition == "columns" else prepare_inputs
        inputs = prepare(settings, folder)
        jobs, skipped = _jobs(settings, inputs)
        results = _run_all(jobs, inputs, progress, sweeps=len(settings.epsilons) > 1) if jobs else []
        document = _document(settings, inputs, results, skipped)
    if any("error" in result for result in document["results"]):
        return Comparison(document, PartyFailed.exit_code)
    if not document["results"] and any("withheld" in entry for entry in document["skipped"]):
        return Comparison(document, Withheld.exit_code)
    if settings.architectures is not None and not document["results"]:
        return Comparison(document, UsageError.exit_code)
    return Comparison(document, 0)


def _run_all(
    jobs: list[_Job], inputs: Inputs, progress: Progress, *, sweeps: bool
) -> list[tuple[_Job, Result]]:
    """Run the jobs one after another on one pool; a pool that lost a party is replaced for the next job."""
    results: list[tuple[_Job, Result]] = []
    folders = dict(inputs.folders)
    if not any("mediator" in job.architecture.programs for job in jobs):
        folders.pop(MEDIATOR)
    while len(results) < len(jobs):
        progress(len(results), len(jobs) + 1, "starting the parties' processes")
        left = jobs[len(results) :]
        with Pool(folders, threads=inputs.threads, fit_models=_fit_models(left)) as pool:
            for job in left:
                progress(len(results) + 1, len(jobs) + 1, _title(job))
                swept = sweeps and job.architecture.charged(job.options.mode)
                results.append((job, measure(job.architecture, job.options, inputs, pool, swept=swept)))
                if pool.broken:
                    break
    return results


def _fit_models(jobs: list[_Job]) -> set[str]:
    """The parties that need scikit-learn in one of these jobs."""
    named = {"ml_party": ML_PARTY, "mediator": MEDIATOR}
    return {named[role] for job in jobs for role in job.architecture.fit_models}


def _jobs(settings: Settings, inputs: Inputs) -> tuple[list[_Job], list[dict[str, Any]]]:
    """What to run, references first, and what is left out with its reason."""
    asked = settings.architectures or names()
    jobs: list[_Job] = []
    skipped: list[dict[str, Any]] = []
    for name in names():
        if name not in asked and name not in _REFERENCES[settings.partition]:
            continue
        architecture = find(name)
        for mode in _modes(architecture, settings):
            reason = _skip_reason(architecture, settings, inputs, mode)
            if reason is not None:
                if name in asked:
                    skipped.append(_skipped(architecture, mode, reason))
                continue
            chosen, same = _charged_apart(architecture, settings, mode)
            jobs += [_Job(architecture, options, name in asked) for options in chosen]
            if name in asked:
                skipped += [_skipped(architecture, mode, why) for why in same]
    if all(not job.asked for job in jobs):
        return [], skipped
    return jobs, skipped


def _charged_apart(
    architecture: Architecture, settings: Settings, mode: str | None
) -> tuple[list[Options], list[str]]:
    """The options that runs are charged differently for, and why the others are left out."""
    if not architecture.charged(mode):
        return [_options(settings, settings.epsilons[0], mode)], []
    chosen: dict[float | None, Options] = {}
    same: list[str] = []
    for asked in settings.epsilons:
        options = _options(settings, asked, mode)
        charged = architecture.guarantee(options).epsilon
        if charged is not None and charged in chosen:
            same.append(f"epsilon {asked:g} is charged as {charged:g}, which is measured already")
        chosen.setdefault(charged, options)
    return list(chosen.values()), same


def _modes(architecture: Architecture, settings: Settings) -> tuple[str | None, ...]:
    """The mode that was asked for, else the default one and, where nothing was picked, those beside it."""
    if not architecture.modes:
        return (None,)
    if settings.mode is not None:
        return (settings.mode,)
    return (architecture.modes[0], *(() if settings.architectures else architecture.beside))


def _skipped(architecture: Architecture, mode: str | None, reason: str) -> dict[str, Any]:
    words = architecture.words(mode)
    told = {"architecture": architecture.name, "in_words": None if words is None else words.to_dict()}
    if mode not in architecture.beside:
        return {**told, "reason": reason}
    return {**told, "mode": mode or "", "reason": f"mode {mode}: {reason}"}


def _skip_reason(
    architecture: Architecture, settings: Settings, inputs: Inputs, mode: str | None
) -> str | None:
    if settings.mode is not None and architecture.modes and settings.mode not in architecture.modes:
        modes = ", ".join(architecture.modes)
        return f"{architecture.name} has no mode '{settings.mode}'; its modes are: {modes}"
    alone = settings.architectures == (architecture.name,)
    if settings.mode is not None and not architecture.modes and alone:
        return f"'{architecture.name}' has no modes; leave --mode out"
    if settings.partition not in (architecture.exposure(mode).partitions or architecture.partitions):
        if settings.partition in architecture.partitions:
            others = [other for other in architecture.modes if other != mode]
            return f"mode {mode} runs on tables split by rows; for columns: --mode {' or '.join(others)}"
        return "it runs on tables split by rows; it cannot join tables that hold different columns"
    by_columns = architecture.skip_columns(inputs.task, inputs.providers)
    if settings.partition == "columns" and by_columns is not None:
        return by_columns
    if architecture.frame and inputs.frame is None:
        return (
            "two providers hold records with the same id, and a pilot runs it with each record at one only; "
            f"between nodes, architectures.{architecture.name}.providers_per_record in the agreement says at "
            "how many a record may be, and the noise then covers its labels at all of them. To measure it "
            "here, keep each such record in one table"
        )
    reason = architecture.unavailable() or architecture.skip(inputs.task, inputs.providers)
    return reason or architecture.exposure(mode).skip(inputs.task, inputs.providers)


def _options(settings: Settings, epsilon: float, mode: str | None) -> Options:
    return Options(
        epsilon=min(epsilon, LARGEST_EPSILON),  # no noise is made smaller beyond it
        delta=settings.delta,
        k=settings.k,
        seed=settings.seed,
        mode=mode,
        partition=settings.partition,
    )


def _title(job: _Job) -> str:
    if not job.architecture.charged(job.options.mode):
        beside = job.options.mode in job.architecture.beside
        return f"{job.architecture.name} ({job.options.mode})" if beside else job.architecture.name
    if job.options.mode in job.architecture.beside:
        return f"{job.architecture.name} ({job.options.mode}), epsilon {job.options.epsilon:g}"
    return f"{job.architecture.name}, epsilon {job.options.epsilon:g}"


_KNOWN_WELL = 0.02


def _known_to(inputs: Inputs, pooled: Utility | None) -> float | None:
    """How far an AUC may be off either way, by its error (Hanley and McNeil 1982); None if little."""
    positives = int(inputs.test_labels.sum())
    others = len(inputs.test_labels) - positives
    if pooled is None or pooled.auc is None or not positives or not others:
        return None
    auc = pooled.auc
    one, two = auc / (2 - auc), 2 * auc * auc / (1 + auc)
    variance = auc * (1 - auc) + (positives - 1) * (one - auc * auc) + (others - 1) * (two - auc * auc)
    around = 1.96 * math.sqrt(max(0.0, variance) / (positives * others))
    return None if around <= _KNOWN_WELL else around


def _uncertainty(inputs: Inputs, around: float) -> str:
    """What few test rows leave open."""
    positives = int(inputs.test_labels.sum())
    return (
        f"the test rows hold {positives} positive and {len(inputs.test_labels) - positives} other ones: an "
        f"AUC is known to about {around:.2f} either way here, so smaller differences, and shares of the gap, "
        "may be chance"
    )


def _starts(results: list[tuple[_Job, Result]], ends: Ends) -> list[str]:
    """Where learning from feedback begins, if that closes part of the gap before a label is asked for."""
    found: dict[str, float] = {}
    for job, result in results:
        start = None if result.utility is None else result.utility.start_auc
        if job.asked and start is not None:
            mode = job.options.mode
            found.setdefault(job.architecture.name + (f" ({mode})" if mode else ""), start)
    told = [
        f"{name} at AUC {start:.3f}, {share:.0%} of the gap"
        for name, start in found.items()
        if (share := gap_closed(Utility(start, None, None), ends.alone, ends.pooled)) is not None
        and abs(share) >= _TOLD_SHARE
    ]
    if not told:
        return []
    return [
        f"learning from feedback begins at a start model of the ML party's own: {', '.join(told)}; it reads "
        "the seed rows more closely than alone does, and only what lies beyond it comes from the providers"
    ]


def _is_withheld(result: Result) -> bool:
    return result.error is not None and result.error["code"] == Withheld.code


def _withheld(job: _Job, result: Result) -> dict[str, Any]:
    """An architecture that ran as it should, and let nothing out: a provider's own check held it back."""
    reason = f"it ran, and nothing was released: {(result.error or {})['message']}"
    return {**_skipped(job.architecture, job.options.mode, reason), "withheld": True}


def _document(
    settings: Settings,
    inputs: Inputs,
    results: list[tuple[_Job, Result]],
    skipped: list[dict[str, Any]],
) -> dict[str, Any]:
    reference: dict[str, Utility | None] = {
        job.architecture.name: result.utility
        for job, result in results
        if job.architecture.name in _REFERENCES[settings.partition]
    }
    ends = Ends(
        reference.get("alone"),
        reference.get("pooled"),
        settings.partition == "columns",
        reference.get("alone-provider"),
    )
    shown = [result.to_dict(ends) for job, result in results if job.asked and not _is_withheld(result)]
    described = inputs.describe(settings)
    around = _known_to(inputs, ends.pooled)
    if around is not None:
        described["auc_known_to"] = around
        described["notes"].append(_uncertainty(inputs, around))
    described["notes"] += _starts(results, ends)
    above = [result["architecture"] for result in shown if _above(result["utility"])]
    if above:
        described["notes"].append(
            f"{', '.join(dict.fromkeys(above))} scored above pooled: the models that pooled trains are "
            "ordinary ones, not tuned to this table, so it is a reference and not a ceiling"
        )
    return {
        "comity": __version__,
        "note": PILOT_NOTE,
        "inputs": described,
        "references": {
            name: None if utility is None else {"auc": utility.auc} for name, utility in reference.items()
        },
        "results": shown,
        "skipped": [*skipped, *(_withheld(job, result) for job, result in results if _is_withheld(result))],
        "keep": None if settings.keep is None else str(settings.keep),
    }


def _above(utility: Mapping[str, Any]) -> bool:
    return any((utility.get(gap) or 0) > 1 for gap in ("gap_closed", "gap_closed_own"))


@contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    """Where the parties' folders are: kept if asked for, else gone with the run."""
    if keep is None:
        folder = Path(tempfile.mkdtemp(prefix="comity-"))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        return
    try:
        keep.mkdir(mode=0o700, parents=True, exist_ok=True)
        taken = [party for party in (ML_PARTY, MEDIATOR) if (keep / party).exists()]
    except OSError as error:
        raise BadInput(f"--keep {keep} cannot be used: {error.strerror}") from None
    if taken:
        raise BadInput(f"--keep {keep} already holds a run; give an empty or a new folder")
    before = set(keep.iterdir())
    try:
        yield keep
    except BaseException:
        for entry in set(keep.iterdir()) - before:
            shutil.rmtree(entry, ignore_errors=True)
        raise
