"""The questions of the selection process, as data: what is asked, of whom, and how it is measured.

The first six are the blueprint's own (section IV-C: nature and quality of the data, willingness to share,
willingness to show the model). The others are about what its architectures take for granted, and about what
the architectures beyond the blueprint need.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

YES, NO = "yes", "no"


@dataclass(frozen=True)
class Choice:
    """One answer.

    Attributes:
        words: what it means, for who answers.
        said: the same as a clause in a sentence: "the rows are sensitive to the provider".
    """

    words: str
    said: str


@dataclass(frozen=True)
class Question:
    """One question.

    Attributes:
        id: its name in a file of answers.
        text: as people are asked.
        choices: the answers by name.
        who: who can answer: `provider` (its steward), `ml_party`, or `both` together.
        source: where it comes from.
        measured: how it is measured where it can be; "" where only people know.
    """

    id: str
    text: str
    choices: Mapping[str, Choice]
    who: str
    source: str
    measured: str = ""


def _yes_no(yes: tuple[str, str], no: tuple[str, str]) -> dict[str, Choice]:
    return {YES: Choice(*yes), NO: Choice(*no)}


QUESTIONS: Final[tuple[Question, ...]] = (
    Question(
        "sensitive",
        "Would it harm a provider, or its standing, if the ML party saw its rows?",
        _yes_no(
            ("they tell of its customers, sales or inner workings", "the rows are sensitive to the provider"),
            ("they tell nothing that it has to keep to itself", "the rows are not sensitive to the provider"),
        ),
        who="provider",
        source="blueprint IV-C, II-A",
    ),
    Question(
        "personal",
        "Is anything in the rows about people? A company of one person is a person.",
        _yes_no(
            ("rows are about people, with or without their names", "the rows are about people"),
            ("rows are about things, or about groups of many people", "the rows are about nobody"),
        ),
        who="provider",
        source="blueprint IV-C, II-B.4",
        measured="values that name or reach a person, and values that find one row (comity assess)",
    ),
    Question(
        "suits",
        "Can the tables be anonymised, by themselves or once enriched, and still be of use?",
        _yes_no(
            ("what others may know can be made coarser", "the tables can be anonymised and still be of use"),
            ("too few rows, or too unlike each other", "anonymising the tables leaves too little to learn"),
        ),
        who="provider",
        source="blueprint IV-C, IV-A.4",
        measured="a k-anonymous table is made of each, and a model of the target trained on it and on the "
        "raw one; or by the results of comity compare",
    ),
    Question(
        "providers",
        "How many providers take part?",
        {
            "one": Choice("one", "there is one provider"),
            "two": Choice("two", "there are two providers"),
            "many": Choice("three or more", "there are three providers or more"),
        },
        who="both",
        source="blueprint IV-C, II-A.1",
        measured="the number of --provider tables",
    ),
    Question(
        "mixes",
        "If all providers' rows were mixed, would it be hard to tell whose a row is?",
        _yes_no(
            ("their rows look alike", "mixing hides whose a row is"),
            ("a region, a product or a way of writing gives it away", "a row shows whose it is"),
        ),
        who="both",
        source="blueprint IV-C, III-A.2",
        measured="an adversary guesses each row's provider from its features (comity.attack.origin)",
    ),
    Question(
        "sight",
        "What may a provider see of the ML party's model?",
        {
            "nothing": Choice("nothing, no prediction either", "the model needs protection"),
            "predictions": Choice("how it groups records", "a provider may see predictions, not the model"),
            "model": Choice("the model, or the program", "a provider may see the model"),
        },
        who="ml_party",
        source="blueprint IV-C, III-B.1",
    ),
    Question(
        "mediator",
        "Is there a third party that both sides trust, and that works with neither against the other?",
        {
            "none": Choice("no", "there is no mediator"),
            "counts": Choice("yes, but it must not read rows", "the mediator may count, not read rows"),
            "rows": Choice("yes, and it may hold de-identified rows", "the mediator may hold rows"),
        },
        who="both",
        source="blueprint III-A.2, III-B.2, IV-B",
    ),
    Question(
        "columns",
        "Where are the columns to learn from?",
        {
            "linked": Choice(
                "the ML party has them too, under ids that both know",
                "the ML party has the features, under shared ids",
            ),
            "provider": Choice(
                "at the providers alone, whole records at each",
                "the features are at the providers alone",
            ),
            "spread": Choice(
                "one record's columns are at different providers",
                "different columns of one record are at different providers",
            ),
        },
        who="both",
        source="blueprint III-B; docs/validation.md",
        measured="whether the tables of --provider have the same columns",
    ),
    Question(
        "start",
        "Has the ML party a first model, or a few labelled rows or public data to make one of?",
        _yes_no(
            ("it can make predictions that are better than chance", "the ML party has a first model"),
            ("it has nothing yet", "the ML party has no first model"),
        ),
        who="ml_party",
        source="blueprint III-B",
    ),
    Question(
        "proof",
        "Must all that leaves be differentially private, so that its bound holds whatever others know?",
        _yes_no(
            ("a bound that holds whatever the ML party knows is required", "a proven bound is required"),
            ("checks, attacks and the agreement may be enough", "a proven bound is not required"),
        ),
        who="provider",
        source="blueprint V; docs/privacy.md",
    ),
    Question(
        "want",
        "What does the ML party need in the end?",
        {
            "model": Choice("a model, or to know how good one is", "a model is what is needed"),
            "rows": Choice("rows to look at and to try things on", "rows to look at are needed"),
            "program": Choice("what a program of its own finds", "a program of the ML party's is to be run"),
            "scores": Choice(
                "nothing: providers want its scores of their rows",
                "providers want scores of their rows, and nothing is learned from them",
            ),
        },
        who="ml_party",
        source="blueprint II-B.2, V",
    ),
    Question(
        "compute",
        "Can every provider run its part of a training: a machine that stays up, for minutes to hours?",
        _yes_no(
            ("each has the machines and somebody to run them", "the providers can compute"),
            ("answering questions is as much as they can do", "the providers cannot run a training"),
        ),
        who="provider",
        source="blueprint V",
    ),
    Question(
        "enough",
        "Are there enough records for noisy answers: hundreds of the rarer kind, more at a small epsilon?",
        _yes_no(
            ("noise is small beside what there is", "there are enough records for noisy answers"),
            ("the noise would drown it", "there are too few records for noisy answers"),
        ),
        who="provider",
        source="docs/privacy.md; Dwork and Roth 2014",
        measured="the noise of one count, from every provider, beside the count's own sampling error",
    ),
)

BY_ID: Final[Mapping[str, Question]] = {question.id: question for question in QUESTIONS}
