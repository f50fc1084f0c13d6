"""How figures and guarantees are worded: a guarantee's sentence says what docs/privacy.md says, no more."""

from __future__ import annotations

import math

from comity.report import numbers
from comity.report.results import Attack, Privacy, Report, Result

PILOT = "A pilot, not a release."
PILOT_WHY = (
    "To measure this, all tables were read in one place. It is for a provider's own trial or for parties "
    "that consented."
)

ATTACKS_ARE_LOWER_BOUNDS = (
    "An attack shows at least how much leaks, never how little: a better attack may find more."
)

ACROSS_PROVIDERS = (
    "Every ε is per provider, unless a guarantee says otherwise: for somebody who is at two providers it "
    "counts twice, at three providers three times, and δ grows with it."
)

PEAK_MEMORY = (
    "Peak memory is the highest while a row ran, of all processes that took part, added up. They serve one "
    "row after another and keep what they have loaded, so it is more than the row alone would need."
)

_UNITS = {"label": "one label", "record": "one record", "person": "one person", "party": "one party"}
_BASELINE_WORDS = {
    "alone": "The seed rows that the ML party starts with are disclosed outright: outside every guarantee.",
    "alone-provider": "Nothing leaves a provider: each learns from its own rows.",
    "pooled": "None: every provider hands all its raw rows over.",
}


def headline(report: Report) -> list[str]:
    """What was compared, in a few facts."""
    facts: list[str] = []
    if report.providers:
        number = len(report.providers)
        facts.append("1 provider" if number == 1 else f"{number} providers")
    if report.by_columns:
        facts.append("columns of the same records")  # their rows do not add up
    elif rows := sum(provider.rows or 0 for provider in report.providers):
        facts.append(f"{rows:,} rows")
    if report.target:
        facts.append(f"target {report.target}" + (f" = {report.positive}" if report.positive else ""))
    if report.test_rows is not None:
        facts.append(f"tested on {report.test_rows:,} held-out rows")
    return facts


def across_providers(report: Report) -> str | None:
    """That what is spent on one person at several providers adds up; None where there is nothing to add."""
    per_provider = [r for r in report.done if r.is_private and r.privacy.unit != "party"]
    return ACROSS_PROVIDERS if per_provider and len(report.providers) != 1 else None


def startup(report: Report) -> str | None:
    """What starting the processes took, which serve all rows; None where nobody measured it."""
    took = sorted({r.cost.startup_s for r in report.done if r.cost.startup_s is not None})
    if not took:
        return None
    how_long = numbers.seconds(took[0])
    if len(took) == 1:
        return (
            f"Starting all parties' processes took {how_long}, once for all rows; no row's figures hold it."
        )
    return (
        f"Starting all parties' processes took {how_long} to {numbers.seconds(took[-1])}, each time that a "
        "lost party made it necessary; no row's figures hold it."
    )


def cost_notes(report: Report) -> list[tuple[str, str]]:
    """What the cost of an architecture holds that a run of one's own would not, once per architecture."""
    return list({r.label: r.cost_note for r in report.done if r.cost_note}.items())


def left_out(result: Result) -> str | None:
    """The columns that what an architecture releases does not have, each with the reason."""
    if not result.left_out:
        return None
    return "; ".join(f"{name} ({why})" for name, why in result.left_out)


def interval(attack: Attack) -> str:
    """`0.10 [0.02, 0.18]`."""
    if attack.advantage is None:
        return numbers.NO_FIGURE
    if attack.low is None or attack.high is None:
        return numbers.figure(attack.advantage, 2)
    low, high = numbers.figure(attack.low, 2), numbers.figure(attack.high, 2)
    return f"{numbers.figure(attack.advantage, 2)} [{low}, {high}]"


def role(name: str) -> str:
    """A role or party as written in sentences: `ml_party` becomes `ML party`."""
    return "ML party" if name == "ml_party" else name.replace("_", " ")


def epsilon_delta(privacy: Privacy) -> str:
    """`ε = 1, δ = 10⁻⁶`."""
    named = (("ε", privacy.epsilon), ("δ", privacy.delta))
    parts = [f"{letter}{numbers.GAP}={numbers.GAP}{numbers.plain(value)}" for letter, value in named if value]
    return ", ".join(parts) or numbers.NO_FIGURE


def guarantee_short(result: Result) -> str:
    """A few words for a table's cell; epsilon stands in a column of its own."""
    privacy = result.privacy
    if privacy.epsilon is not None:
        return f"DP per {privacy.unit}" if privacy.unit else "DP"
    if privacy.k is not None:
        return f"{privacy.k}-anonymous, no DP"
    return privacy.short or {"alone-provider": "nothing leaves", "alone": "seed rows disclosed"}.get(
        result.architecture, "none"
    )


def guarantee(result: Result) -> str:
    """What is promised, in whole sentences, with the architecture's own note."""
    privacy, note = result.privacy, result.privacy.note
    if privacy.epsilon is not None:
        return f"{_dp_sentence(privacy)} {note or ''}".rstrip()
    if privacy.k is not None:
        lead = note or (
            "No differential privacy. Each record released shares its quasi-identifiers with at least "
            f"{privacy.k - 1} others."
        )
        return (
            f"{lead} k-anonymity does not compose: intersection with another release, minimality and "
            "downcoding are unprotected."
        )
    return note or _BASELINE_WORDS.get(result.architecture, "None.")


def _dp_sentence(privacy: Privacy) -> str:
    unit = _UNITS.get(privacy.unit or "", "one unit")
    bound = epsilon_delta(privacy)
    if privacy.relation == "change-one":
        change = f"{unit} changes"
    elif privacy.relation in ("add-remove", "add/remove", "add-or-remove"):
        change = (
            f"{unit}'s rows come or go" if privacy.unit in ("record", "person") else f"{unit} comes or goes"
        )
    else:
        change = f"data differ in {unit}" + (f" ({privacy.relation})" if privacy.relation else "")
    sentence = (
        f"Differential privacy with {bound}: when {change}, the probability of anything that leaves changes "
        f"by at most a factor of {_factor(privacy.epsilon)}{', plus δ' if privacy.delta else ''}."
    )
    if privacy.prior_knowledge:
        sentence += f" Known to the ML party beforehand: {', '.join(privacy.prior_knowledge)}."
    if privacy.unit == "label":
        sentence += " A label guarantee says nothing about membership."
    return sentence


def _factor(epsilon: float | None) -> str:
    """e^epsilon, rounded up so that the sentence never promises more than the guarantee."""
    if epsilon is None or epsilon > 20:
        return f"e^{numbers.plain(epsilon)}"
    exact = math.exp(epsilon)
    digits = 2 if exact < 10 else 0
    return f"{math.ceil(exact * 10**digits) / 10**digits:,.{digits}f}"


def attack_verdict(attack: Attack) -> str:
    """How a measured advantage stands to its bound."""
    if attack.advantage is None:
        return "not measured"
    if attack.bound is None:
        return "no bound applies"
    if attack.breaks_bound:
        return "ABOVE its bound"
    if attack.high is not None and attack.high > attack.bound:
        return "interval reaches past its bound"
    return "under its bound"
