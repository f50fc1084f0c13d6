"""The opening of a report, in plain words: which way of collaborating serves which need.

Only architectures that ran are compared, never the baselines. A pick says what it was picked for, by which
figure, and what speaks against it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from comity.report import numbers, words
from comity.report.results import Report, Result

SMALLEST_GAP = 0.01  # below it, shares of the gap have no figure
_TAUGHT = 0.05
"""Share of the gap below which an architecture taught next to nothing."""


@dataclass(frozen=True)
class Pick:
    """The architecture that serves a need best; `result` is None where none does, and `words` says why."""

    need: str
    result: Result | None
    headline: str
    words: str


def picks(report: Report) -> tuple[Pick, ...]:
    """One pick per need; empty if nothing but baselines ran."""
    ran = report.collaborations
    if not ran:
        return ()
    found = [_most_useful(ran)]
    if found[0].result is None or not found[0].result.is_private:
        found.append(_most_useful_private(ran))
    if len(report.epsilons) > 1:
        found.append(_strictest(ran, report.epsilons[0]))
    if len({result.label for result in ran}) == 1:
        return tuple(found)  # nothing else to be cheaper than
    quickest, lightest = _quickest(ran), _least_traffic(ran)
    if quickest.result is not None and quickest.result is lightest.result:
        return (*found, _cheapest(quickest.result))
    return (*found, quickest, lightest)


def name_with_epsilon(result: Result, report: Report) -> str:
    """The result's label, with its epsilon where several were run."""
    epsilon = result.privacy.epsilon
    if epsilon is None or len(report.epsilons) < 2:
        return result.label
    return f"{result.label}, ε\u00a0=\u00a0{numbers.plain(epsilon)}"


def opening(report: Report) -> str:
    """The first sentences: where the ML party starts and what is there to gain."""
    ends = report.reference_aucs
    if len(ends) < 2:
        first = "alone-provider" if report.by_columns else "alone"
        return (
            f"The baselines {first} and pooled did not both run, so there is no figure for shares of the gap "
            "between them."
        )
    if report.by_columns:
        return _opening_by_columns(report, ends["alone-provider"], ends["pooled"])
    start = f"On its seed rows alone the ML party reaches an AUC of {numbers.figure(ends['alone'])}."
    own = next((r.auc for r in report.done if r.architecture == "alone-provider"), None)
    if own is not None:
        start += f" A provider on its own rows reaches {numbers.figure(own)} on average."
    if ends["pooled"] - ends["alone"] < SMALLEST_GAP:
        return (
            f"{start} With all raw rows of all providers it would reach {numbers.figure(ends['pooled'])}: "
            f"{_no_gap(ends['alone'], ends['pooled'])}."
        )
    return (
        f"{start} If every provider handed all its raw rows over, it would reach "
        f"{numbers.figure(ends['pooled'])}. What follows is how much of that gap each architecture closes, "
        "and at what price."
    )


def _no_gap(alone: float, pooled: float) -> str:
    return "less than without them, so no gap to close" if pooled < alone else "hardly a gap to close"


def _opening_by_columns(report: Report, own: float, pooled: float) -> str:
    joined = report.joined_seeds_auc
    seeds = (
        ""
        if joined is None
        else " On the seed rows, which have everybody's columns already because they were joined and "
        f"disclosed, the ML party reaches {numbers.figure(joined)}."
    )
    start = (
        f"The provider that has the target learns from its own columns to an AUC of {numbers.figure(own)}. "
        f"With the columns of all providers joined it would be {numbers.figure(pooled)}"
    )
    if pooled - own < SMALLEST_GAP:
        return f"{start}: {_no_gap(own, pooled)}.{seeds}"
    return (
        f"{start}.{seeds} What follows is how much of the gap between its own columns and all of them each "
        "architecture closes, and at what price."
    )


def _best(results: Iterable[Result], key: Callable[[Result], float | None], *, most: bool) -> Result | None:
    known = [(value, result) for result in results if (value := key(result)) is not None]
    if not known:
        return None
    pick = max if most else min
    return pick(known, key=lambda pair: pair[0])[1]


def _utility(result: Result) -> str:
    closed = result.gap_closed
    share = f", {numbers.percent(closed)} of the gap" if closed is not None else ""
    return f"AUC {numbers.figure(result.auc)}{share}"


def _most_useful(ran: Iterable[Result]) -> Pick:
    need = "The most accurate way of sharing"
    best = _best(ran, lambda result: result.auc, most=True)
    if best is None:
        return Pick(need, None, "no figure", "No architecture produced a model that could be scored.")
    if best.is_private:
        return Pick(need, best, _utility(best), f"It has differential privacy. {_held(best)}{_hardly(best)}")
    against = "It has no differential privacy: what protects depends on what its recipient knows already."
    return Pick(need, best, _utility(best), f"{against}{_hardly(best)}")


def _most_useful_private(ran: Iterable[Result]) -> Pick:
    need = "The most accurate with differential privacy"
    best = _best((result for result in ran if result.is_private), lambda result: result.auc, most=True)
    if best is None:
        return Pick(need, None, "none ran", "No architecture with differential privacy ran to its end.")
    return Pick(need, best, _utility(best), f"{_held(best)}{_hardly(best)}")


def _strictest(ran: Iterable[Result], epsilon: float) -> Pick:
    need = f"The most accurate at the strictest ε, {numbers.plain(epsilon)}"
    at = [result for result in ran if result.privacy.epsilon == epsilon]
    best = _best(at, lambda result: result.auc, most=True)
    if best is None:
        return Pick(need, None, "no figure", "No run with this ε could be scored.")
    return Pick(need, best, _utility(best), f"{_held(best)}{_hardly(best)}")


def _hardly(result: Result) -> str:
    """A word of warning where the best of them taught next to nothing."""
    if result.gap_closed is None or result.gap_closed >= _TAUGHT:
        return ""
    return " It taught next to nothing beyond where the gap starts: more rows, or a larger ε, may help."


def _held(result: Result) -> str:
    about = " It protects labels, not membership." if result.privacy.unit == "label" else ""
    return f"It holds at {words.epsilon_delta(result.privacy)}, per {result.privacy.unit or 'unit'}.{about}"


def _quickest(ran: Iterable[Result]) -> Pick:
    need = "The quickest to run"
    best = _best(ran, lambda result: result.cost.wall_s, most=False)
    if best is None:
        return Pick(need, None, "no figure", "No run was timed.")
    spent = f"All parties together, start-up apart; {numbers.seconds(best.cost.cpu_s)} of CPU."
    return Pick(need, best, numbers.seconds(best.cost.wall_s), f"{spent} It reaches {_utility(best)}.")


def _least_traffic(ran: Iterable[Result]) -> Pick:
    need = "The least traffic between parties"
    best = _best(ran, lambda result: result.cost.bytes_sent, most=False)
    if best is None:
        return Pick(need, None, "no figure", "No traffic was counted.")
    sent = f"In {numbers.count(best.cost.messages)} messages, as signed, before TLS."
    return Pick(need, best, numbers.size(best.cost.bytes_sent), f"{sent} It reaches {_utility(best)}.")


def _cheapest(best: Result) -> Pick:
    return Pick(
        "The cheapest to run: quickest, and least traffic",
        best,
        f"{numbers.seconds(best.cost.wall_s)}, {numbers.size(best.cost.bytes_sent)}",
        f"All parties together, start-up apart; {numbers.seconds(best.cost.cpu_s)} of CPU and "
        f"{numbers.count(best.cost.messages)} messages. It reaches {_utility(best)}.",
    )


def warnings(report: Report) -> tuple[str, ...]:
    """What a reader must not miss: a measured leakage above its bound, and runs that failed."""
    found = [
        f"{name_with_epsilon(result, report)}: the {attack.name} attack measured {words.interval(attack)}, "
        f"above its bound of {numbers.figure(attack.bound, 2)}. Do not rely on this guarantee until that is "
        "explained."
        for result in report.done
        for attack in result.attacks
        if attack.breaks_bound
    ]
    found += [f"{name_with_epsilon(result, report)} failed: {result.error}" for result in report.failed]
    return tuple(found)
