"""What the programs say of their runs, in words: one catalogue explains every figure that any of them
returns.

A figure that stands elsewhere on the page (rows, cost) is explained here too and not shown twice. One that
the catalogue does not know, of another version, is shown under its own name with spaces.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from comity.report import numbers
from comity.report.reading import MAX_NAME, clean_text, mapping_of, number_of, shown


@dataclass(frozen=True)
class Words:
    """What a figure is called and what it means.

    Attributes:
        written: the figure as text; None where there is nothing to show.
        elsewhere: whether the page has it in another place already.
    """

    label: str
    meaning: str
    written: Callable[[Any], str | None] = shown
    elsewhere: bool = False


@dataclass(frozen=True)
class Told:
    """One figure of one party's program, in words; `meaning` is empty where nobody has explained it."""

    party: str
    label: str
    meaning: str
    value: str


def _share(value: object) -> str | None:
    number = number_of(value)
    return None if number is None else f"{numbers.figure(number * 100, 1)}{numbers.GAP}%"


def _bytes(value: object) -> str | None:
    number = number_of(value)
    return None if number is None else numbers.size(number)


def _small(value: object) -> str | None:
    """A small number to three digits: 1.87·10⁻⁵."""
    number = number_of(value)
    return None if number is None else numbers.plain(float(f"{number:.3g}"))


def _times(value: object) -> str | None:
    number = number_of(value)
    return None if number is None else f"{numbers.plain(number)} times"


def _between(digits: int) -> Callable[[Any], str | None]:
    """A value with its interval, out of three numbers; a number alone where there is no interval."""

    def written(value: Any) -> str | None:
        parts = value if isinstance(value, list | tuple) else [value]
        found = [number_of(part) for part in parts]
        if len(found) not in (1, 3) or None in found:
            return None
        told = [numbers.count(n) if digits == 0 else numbers.figure(n, digits) for n in found]
        return told[0] if len(told) == 1 else f"{told[0]} [{told[1]}, {told[2]}]"

    return written


_NOISY = "As the providers' noisy answers say, with the interval that the noise leaves (95\u00a0%)."
_CONFUSION = f"Records at a score of one half. {_NOISY}"

FIGURES: Final[Mapping[str, Words]] = {
    "rows_used": Words("rows used", "Rows that this party's part was about.", elsewhere=True),
    "own_rows": Words("seed rows", "Rows of its own among those learned from.", elsewhere=True),
    "sandbox": Words(
        "sandbox", "What the program in the sandbox cost; counted under CPU and memory.", elsewhere=True
    ),
    "engine_bytes": Words(
        "engine's bytes", "What the engine sent past comity's messages; counted under sent.", elsewhere=True
    ),
    "candidate": Words(
        "candidate", "The mediator's name for the release that it made and tried first.", elsewhere=True
    ),
    "rows_estimated": Words(
        "rows at the providers, estimated",
        "How many rows there are is private: this is the noisy count, with its interval (95\u00a0%).",
        _between(0),
    ),
    "columns": Words(
        "columns after encoding",
        "Columns of numbers that the features become: one for each level or bin. Cost grows with them.",
    ),
    "threshold": Words(
        "providers that must stay", "With fewer than these to the end, the sum cannot be opened."
    ),
    "drop_outs_borne": Words(
        "drop-outs that it bears", "So many providers may drop out, and the others still finish."
    ),
    "colluders_borne": Words(
        "colluders that it bears",
        "So many providers may tell the ML party all they know, and the guarantee still holds.",
    ),
    "noise_excess": Words(
        "noise in the sum",
        "Its variance, against what the guarantee needs. The rest makes up for providers that collude or "
        "drop out.",
        _times,
    ),
    "gradients": Words("steps of learning", "Rounds in which the model is moved; all are paid for at once."),
    "stayed": Words("stayed to the end", "The providers whose rows are in the result."),
    "refused": Words("refused", "In its own words. The result was made without it."),
    "rows_scored": Words("rows scored", "In a pilot, rows that are scored only to measure."),
    "score_error": Words(
        "error of a score, at most",
        "How far a score may be off the model's own, before it is made a chance.",
        _small,
    ),
    "flooding_bits": Words(
        "bits of noise over each score",
        "How far noise outgrows what would tell of the model and the key; 40 bits are the least.",
    ),
    "bits_per_score": Words("bits that a score tells, at most", "Of the model, whatever the row is."),
    "scores_per_ciphertext": Words(
        "scores in one ciphertext", "Few of them, so that a crafted key tells no more than an honest one."
    ),
    "told_beyond": Words(
        "chance that more is told",
        "The most by which what comes back differs from scores with the stated error and nothing else.",
        _small,
    ),
    "ciphertext_bytes": Words(
        "size of the ciphertexts", "What this party sent encrypted; counted under sent.", _bytes
    ),
    "error.max": Words("largest error found", "On the seed rows, against scores without encryption.", _small),
    "error.rms": Words("usual error found", "The root of the mean square, on the seed rows.", _small),
    "error.bound": Words("error allowed", "No score may be further off than this.", _small),
    "error.rows": Words("rows that errors were found on", "The seed rows, scored both ways."),
    "units_counted": Words(
        "units counted", "Records, or persons, at all providers: a noisy count; the true one is private."
    ),
    "drawn": Words(
        "share that took part",
        "Each record is drawn with this chance, and nobody learns which: that saves noise.",
        _share,
    ),
    "correction_kept": Words(
        "correction kept",
        "Whether what was learned beat the start by more than noise; if not, the start stands.",
    ),
    "feedback.auc": Words("feedback: AUC", _NOISY, _between(3)),
    "feedback.accuracy": Words("feedback: accuracy", _NOISY, _between(3)),
    "feedback.log_loss": Words("feedback: log-loss", f"Smaller is better. {_NOISY}", _between(3)),
    "feedback.brier": Words("feedback: Brier score", f"Smaller is better. {_NOISY}", _between(3)),
    "feedback.records": Words("feedback: records", f"How many it is about. {_NOISY}", _between(0)),
    "feedback.confusion.tp": Words("feedback: true positives", _CONFUSION, _between(0)),
    "feedback.confusion.fp": Words("feedback: false positives", _CONFUSION, _between(0)),
    "feedback.confusion.fn": Words("feedback: false negatives", _CONFUSION, _between(0)),
    "feedback.confusion.tn": Words("feedback: true negatives", _CONFUSION, _between(0)),
    "feedback.calibration": Words(
        "feedback: calibration", "A list of shares by score; it is in the ML party's feedback.json.",
        elsewhere=True,
    ),
    "feedback.groups": Words(
        "feedback: groups", "The groups that were asked about; in the ML party's feedback.json.",
        elsewhere=True,
    ),
    "feedback.refused": Words(
        "feedback refused", "Why some of the feedback was not given; what was learned stands."
    ),
}  # fmt: skip
"""By the key that a program returns; a key inside another one after a dot."""


def explained(name: str, part: str = "") -> Words | None:
    """The words for a figure, or for one part of it; None where there are none.

    The parts of a figure without words for each are named by what they belong to, such as a provider.
    """
    return FIGURES.get(f"{name}.{part}" if part else name) or FIGURES.get(name)


def read_figures(value: object) -> Iterator[Told]:
    """Every figure that is shown, party by party; what has no text (nested lists) is left out."""
    for party, figures in mapping_of(value).items():
        for name, figure in mapping_of(figures).items():
            for part, inner in parts_of(str(name), figure):
                if (told := _told(clean_text(party, MAX_NAME), str(name), part, inner)) is not None:
                    yield told


def parts_of(name: str, figure: object) -> Iterator[tuple[str, object]]:
    """A figure's parts, each with its name; one part without a name where it is a single figure.

    A number with its two ends, however a program writes the three, is one part: (value, low, high).
    """
    inner = mapping_of(figure)
    if set(inner) == {"value", "low", "high"}:
        yield "", [inner[key] for key in ("value", "low", "high")]
    elif name == "feedback" and "estimates" in inner:
        yield from _feedback(inner)
    elif inner:
        yield from ((str(part), number) for part, number in inner.items())
    elif not isinstance(figure, Mapping):
        yield "", figure


def _feedback(inner: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    """Estimates, each with its interval beside it."""
    ends = mapping_of(inner.get("intervals"))
    for metric, estimate in mapping_of(inner["estimates"]).items():
        if isinstance(estimate, Mapping):
            either = mapping_of(ends.get(metric))
            yield from ((f"{metric}.{cell}", _with_ends(n, either.get(cell))) for cell, n in estimate.items())
        else:
            yield metric, _with_ends(estimate, ends.get(metric))
    yield from ((str(name), part) for name, part in inner.items() if name not in ("estimates", "intervals"))


def _with_ends(estimate: object, ends: object) -> object:
    return [estimate, *ends] if isinstance(ends, list | tuple) and len(ends) == 2 else estimate


def _told(party: str, name: str, part: str, figure: object) -> Told | None:
    words = explained(name, part)
    if words is None:
        text = None if isinstance(figure, list | tuple) else shown(figure)
        label = " ".join((name, part)).replace("_", " ").replace(".", " ").strip()
        return None if text is None else Told(party, clean_text(label, MAX_NAME), "", text)
    text = None if words.elsewhere else words.written(figure)
    if text is None:
        return None
    whose = part if part and f"{name}.{part}" not in FIGURES else ""
    label = f"{words.label}: {clean_text(whose, MAX_NAME)}" if whose else words.label
    return Told(party, label, words.meaning, text)
