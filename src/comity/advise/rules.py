"""The selection process as data: rules in order, each with what it needs, why it stands there, its source.

A rule's `needs` are assumptions of the architecture: where one fails, it is never advised. Its `prefers` say
for which situations it stands at this place. The first rule that holds is the advice; what has to be asked
follows from the rules (`comity.advise.process`).

Rules 1 to 4 and the `validation`/`blind-validation` pair are section IV-C of the blueprint. Its words for
"a variant of Architecture 2" are spelt out here: 2.B where the model needs protection, else 2.A. The others
are placed where the blueprint is silent, or where one of its assumptions fails.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

Conditions = Mapping[str, tuple[str, ...]]

NOTHING: Final = "none"
"""Stands for an architecture where no one fits."""


@dataclass(frozen=True)
class Rule:
    """One rule.

    Attributes:
        architecture, mode: what it advises.
        needs: answers without which the architecture does not work, or breaks a promise, by question.
        prefers: answers for which it is the best known choice at this place.
        reason: why, in words of the field.
        source: the blueprint's section, or the literature.
        caution: what to think about; "" for nothing.
    """

    architecture: str
    mode: str | None
    needs: Conditions
    reason: str
    source: str
    prefers: Conditions = field(default_factory=dict[str, tuple[str, ...]])
    caution: str = ""

    @property
    def name(self) -> str:
        """What it advises, with the mode."""
        return name_of(self.architecture, self.mode)

    @cached_property
    def conditions(self) -> Conditions:
        """All of them, in the order in which they are asked about."""
        merged: dict[str, tuple[str, ...]] = dict(self.prefers)
        for name, allowed in self.needs.items():
            merged[name] = tuple(each for each in merged.get(name, allowed) if each in allowed)
        return merged


def name_of(architecture: str, mode: str | None) -> str:
    """An architecture as people read it: `plain`, `validation (hosted)`."""
    return architecture if mode is None else f"{architecture} ({mode})"


_HELD: Final = ("linked", "provider")
"""Every provider's table has the features of its records; the ML party may have them as well."""

_SEVERAL: Final = ("two", "many")

_SEEN: Final = ("predictions", "model")

_NOISY: Final = (
    "A proven bound is required, and the providers can compute: on secret shares nobody sees rows or the "
    "model on the way, every provider adds a part of noise, and the model that is opened has a bound. "
)
_NOISY_SOURCE: Final = "docs/encrypted.md; docs/privacy.md"

_NOISY_CAUTION: Final = (
    "It costs the most, and it hides one record: a person's many rows it does not. The bound holds as long "
    "as no two compute parties work together and all follow the protocol."
)

_MEDIATED_SOURCE: Final = "blueprint IV-C, III-A.2"

_MEDIATED_CAUTION: Final = "The trust moves from the ML party to the mediator: it must not collude with it."

_SYNTHETIC_SOURCE: Final = "blueprint V; McKenna et al. 2022 (AIM)"

_SYNTHETIC_CAUTION: Final = (
    "It keeps counts of a few columns at a time; what stands only in finer patterns is lost."
)

_SHARES_SOURCE: Final = "Lindell 2020 (blueprint [43]); Mohassel and Zhang 2017"

RULES: Final[tuple[Rule, ...]] = (
    Rule(
        "plain",
        None,
        {"sensitive": ("no",), "personal": ("no",)},
        "Nothing in the rows is sensitive or personal, so no privacy-enhancing tactics are required.",
        "blueprint IV-C",
        caution="Once handed over a table cannot be called back: let a second person look at it first.",
    ),
    Rule(
        "direct-release",
        None,
        {"sensitive": ("no",), "suits": ("yes",), "columns": _HELD, "proof": ("no",)},
        "The rows are personal but not sensitive to the provider, and they can be anonymised: each provider "
        "de-identifies its own table and hands it over. No third party is needed, and the ML party may learn "
        "from it whatever it likes.",
        "blueprint IV-C, III-A.1",
        caution="k-anonymity is a property of one table and does not compose: release a lineage once.",
    ),
    Rule(
        "mediated-release",
        None,
        {
            "personal": ("no",),
            "providers": ("many",),
            "mediator": ("rows",),
            "columns": _HELD,
            "proof": ("no",),
            "mixes": ("yes",),
        },
        "The provider is reluctant, but there are several, and mixing their rows hides which provider a row "
        "came from, up to the bound that is agreed.",
        _MEDIATED_SOURCE,
        caution=_MEDIATED_CAUTION,
    ),
    Rule(
        "mediated-release",
        None,
        {
            "providers": ("many",),
            "mediator": ("rows",),
            "suits": ("yes",),
            "columns": _HELD,
            "proof": ("no",),
            "mixes": ("yes",),
        },
        "The provider is reluctant, but there are several, the rows can be anonymised, and mixing them "
        "hides which provider a row came from, up to the bound that is agreed.",
        _MEDIATED_SOURCE,
        caution=_MEDIATED_CAUTION,
    ),
    Rule(
        "encrypted",
        "exact",
        {"columns": ("spread",), "providers": _SEVERAL, "proof": ("no",)},
        "No party has whole rows, and none may see the others' columns: only a computation on secret shares "
        "can learn across them.",
        _SHARES_SOURCE,
        caution="Records are matched first, which tells the providers who is in both; the model is exact.",
    ),
    Rule(
        NOTHING,
        None,
        {"columns": ("spread",), "providers": _SEVERAL, "proof": ("yes",)},
        "Nothing fits: no party has whole rows, a proven bound is required, and what runs here on columns of "
        "different providers (training on secret shares) has none.",
        "docs/encrypted.md",
        caution="One of the two has to change: that all that leaves is differentially private, or that no "
        "party has whole rows.",
    ),
    Rule(
        "synthetic",
        None,
        {"columns": _HELD},
        "Rows are needed to look at, and no release of real ones fits these answers: a synthetic table has "
        "rows, and differential privacy bounds what they tell of any real one.",
        _SYNTHETIC_SOURCE,
        prefers={"want": ("rows",)},
        caution=_SYNTHETIC_CAUTION,
    ),
    Rule(
        "clean-room",
        "private",
        {"columns": _HELD, "sight": ("model",)},
        "The ML party's own program is to see real rows: it comes to the data, runs behind walls, and only "
        "noisy results leave.",
        "blueprint IV-B.2; docs/privacy.md",
        prefers={"want": ("program",)},
        caution="The provider runs the program and can read it.",
    ),
    Rule(
        "synthetic",
        None,
        {"columns": _HELD},
        "The ML party's program must not be shown to a provider, so it cannot run beside the data: it runs "
        "at home, on a synthetic table.",
        _SYNTHETIC_SOURCE,
        prefers={"want": ("program",)},
        caution=_SYNTHETIC_CAUTION,
    ),
    Rule(
        "homomorphic",
        None,
        {"want": ("scores",), "columns": _HELD, "start": ("yes",), "sight": _SEEN},
        "Nothing is to be learned: providers want the scores of their rows, the rows are theirs and the "
        "model is the ML party's. It computes on rows that only their provider can open.",
        "blueprint III-B.2, V; Martins et al. 2017 (blueprint [13])",
        caution="Scores tell the model: a few more rows than columns are all of it, so keep `queries` far "
        "below. If providers may have the model, hand it to them instead: then nothing leaves at all.",
    ),
    Rule(
        "federated",
        "exact",
        {
            "columns": _HELD,
            "proof": ("no",),
            "providers": ("many",),
            "compute": ("yes",),
            "sight": ("model",),
        },
        "There are too few records for noise to leave anything, but the providers can train together: sums "
        "of masked updates are opened and no update of one provider is.",
        "Bonawitz et al. 2017; blueprint V",
        prefers={"enough": ("no",)},
        caution="The model is exact: it may tell of the rows it was trained on, and it is told to everybody.",
    ),
    Rule(
        "encrypted",
        "exact",
        {"proof": ("no",), "providers": _SEVERAL, "compute": ("yes",)},
        "There are too few records for noise to leave anything, but the providers can compute: training on "
        "secret shares opens the model and nothing on the way to it.",
        _SHARES_SOURCE,
        prefers={"enough": ("no",)},
        caution="The model is exact: it may tell of the rows it was trained on.",
    ),
    Rule(
        "clean-room",
        "exact",
        {"columns": _HELD, "proof": ("no",), "sight": ("model",)},
        "There are too few records for noise to leave anything: the ML party's training runs beside the "
        "data, and its model leaves only if an attack at the provider finds no more than was agreed.",
        "blueprint IV-B.2; docs/privacy.md",
        prefers={"enough": ("no",)},
        caution="The model is exact: an attack shows at least how much it tells of rows, never how little.",
    ),
    Rule(
        "blind-validation",
        "linked",
        {"want": ("model",), "columns": ("linked",), "start": ("yes",), "mediator": ("counts", "rows")},
        "The data cannot be shared and the model needs protection: a mediator compares predictions with "
        "padded labels. Neither side's secrets reach the other, and it cannot read the labels.",
        "blueprint IV-C, III-B.2",
        prefers={"sight": ("nothing",)},
        caution="The mediator sees which records share a group; it must not collude with either side.",
    ),
    Rule(
        "validation",
        "linked",
        {"want": ("model",), "columns": ("linked",), "start": ("yes",), "sight": _SEEN},
        "The data cannot be shared, and a provider may see how the model groups records: it compares "
        "predictions with its labels at home and answers with noisy feedback about groups.",
        "blueprint IV-C, III-B.1",
        caution="Groups of predictions tell a provider something of the model.",
    ),
    Rule(
        "validation",
        "hosted",
        {"want": ("model",), "columns": _HELD, "start": ("yes",), "sight": ("model",)},
        "The data cannot be shared and the ML party does not have the features: its model runs beside the "
        "data, and noisy feedback about groups of rows leaves.",
        "blueprint III-B.1; docs/validation.md",
        caution="The provider runs the model and can read it.",
    ),
    Rule(
        "federated",
        "private",
        {"columns": _HELD, "providers": ("many",), "compute": ("yes",), "sight": ("model",)},
        "There is no first model to validate, and the providers can train: the model visits them, and only "
        "noisy sums of masked updates are opened.",
        "Kairouz, Liu and Steinke 2021; blueprint V",
        caution="The blueprint warns that providers then set up and run the training among themselves.",
    ),
    Rule(
        "encrypted",
        "private",
        {"providers": ("two",), "mediator": ("counts", "rows"), "columns": _HELD, "compute": ("yes",)},
        _NOISY + "The mediator is the third that computes: it sees random numbers only.",
        _NOISY_SOURCE,
        prefers={"proof": ("yes",)},
        caution=_NOISY_CAUTION,
    ),
    Rule(
        "encrypted",
        "private",
        {"providers": ("many",), "columns": _HELD, "compute": ("yes",)},
        _NOISY + "Three of the providers compute.",
        _NOISY_SOURCE,
        prefers={"proof": ("yes",)},
        caution=_NOISY_CAUTION,
    ),
    Rule(
        "encrypted",
        "exact",
        {"providers": _SEVERAL, "proof": ("no",), "compute": ("yes",)},
        "The providers can compute, and no proven bound is required: on secret shares nobody sees rows or "
        "the model on the way, and it is opened to the ML party alone.",
        _SHARES_SOURCE,
        caution="It costs the most, the model is exact, and compute parties that collude see everything.",
    ),
    Rule(
        "synthetic",
        None,
        {"columns": _HELD},
        "Nothing else fits these answers better: a synthetic table is made once at each provider, and the ML "
        "party works with it alone.",
        _SYNTHETIC_SOURCE,
        caution=_SYNTHETIC_CAUTION,
    ),
)

BETTER: Final[Mapping[str, str]] = {
    "plain": "Better where nothing in the rows is sensitive or personal.",
    "direct-release": "Better where a provider is willing and its table can be made coarser: the ML party "
    "may then train anything, as often as it likes.",
    "mediated-release": "Better where a provider is reluctant to be known as a row's source, and three or "
    "more can be mixed.",
    "validation": "Better where the ML party has a first model and providers may see something of it: little "
    "leaves, and all of it has a bound.",
    "blind-validation": "Better where the model needs protection from the providers and a mediator is there.",
    "federated": "Better where there is no first model, three or more providers can train, and the model "
    "need not be hidden from them.",
    "encrypted": "Better where nobody may see rows or model on the way, or one record's columns are at "
    "different parties; it costs the most.",
    "homomorphic": "Better where nothing is to be learned: providers want scores, and show no rows for them.",
    "synthetic": "Better where rows are needed to look at, or the ML party wants to work alone afterwards.",
    "clean-room": "Better where the ML party's own program has to see real rows and may be shown to the "
    "provider.",
}
"""What each is better at than the others, for those that fit but do not come first."""

LACKS: Final[Mapping[tuple[str, tuple[str, ...]], str]] = {
    ("sensitive", ("no",)): "the rows are sensitive to the provider",
    ("personal", ("no",)): "the rows are about people",
    ("suits", ("yes",)): "anonymising the tables leaves too little to learn",
    ("providers", ("many",)): "it needs three providers or more",
    ("providers", _SEVERAL): "it needs two providers or more",
    ("providers", ("two",)): "it needs two providers or more",
    ("mixes", ("yes",)): "a row shows whose it is, mixed or not",
    ("sight", _SEEN): "it shows providers predictions, or how the model groups records",
    ("sight", ("model",)): "it shows providers the model or the program",
    ("mediator", ("counts", "rows")): "it needs a mediator",
    ("mediator", ("rows",)): "it needs a mediator that may hold de-identified rows",
    ("columns", ("linked",)): "it needs the features at the ML party too, under shared ids",
    ("columns", _HELD): "it needs whole records at each provider",
    ("columns", ("spread",)): "it is meant for columns at different parties",
    ("start", ("yes",)): "it needs a first model of the ML party's",
    ("proof", ("no",)): "it has no proven bound",
    ("want", ("model",)): "it is for learning or judging a model",
    ("want", ("scores",)): "nothing is learned by it",
    ("compute", ("yes",)): "it needs providers that can run a training",
}
"""What fails, in words, where the answer to a question is not among those that an architecture needs."""
