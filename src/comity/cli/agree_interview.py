"""What `comity agree draft` asks, and the agreement that comes of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from comity.cli.agree_limits import LIMITS, NOBODY, Limit, guessing
from comity.cli.agree_questions import CHANCE, POSITIVE, Questions, Range
from comity.errors import BadInput, ComityError, UsageError

if TYPE_CHECKING:
    from comity.architectures import Architecture
    from comity.architectures.definition import Parties

ROLES: Final[Mapping[str, str]] = {
    "provider": "has data and does not hand it over",
    "ml_party": "wants to learn from it",
    "mediator": "stands between them and is trusted by both with little",
    "auditor": "may be shown a provider's table in an audit, and takes no other part",
    "none": "takes no part",
}
BASES: Final[Mapping[str, str]] = {
    "consent": "the people in the data have agreed (GDPR 6(1)(a))",
    "contract": "a contract with them needs it (b)",
    "legal_obligation": "a law demands it (c)",
    "vital_interest": "it saves lives (d)",
    "public_task": "a task in the public interest (e)",
    "legitimate_interest": "a legitimate interest that outweighs theirs (f)",
    "not_personal": "the data is about nobody",
}
_MODELS: Final[Mapping[str, str]] = {
    "keep": "models made before may be kept as long as the clause allows",
    "delete": "models made with the data are deleted too",
}
_SEEN_GROUPS: Final = frozenset({"minimum_group", "groups_per_record"})
_DAYS: Final = 365
_ADDITIVE: Final = 0.9


def interview(questions: Questions, keys: Mapping[str, str], *, base: Path) -> dict[str, Any]:
    """An agreement's document out of answers.

    Args:
        keys: every known party's public key, in the order in which they are asked about.
        base: the folder that file names in answers are relative to.

    Raises:
        UsageError: listing the answers that are missing, or that nobody asked for.
        BadInput: if a file that an answer names cannot be used.
    """
    questions.say(
        "An agreement says what is allowed; what it does not name is not. Enter takes [the default].\n"
    )
    title = questions.text("title", "A short title")
    purpose = {
        "text": questions.text("purpose.text", "What do you want to learn, and what for"),
        "legal_basis": questions.choice("purpose.legal_basis", "What allows it?", BASES),
    }
    roles = _roles(questions, keys)
    providers = [name for name, role in roles.items() if role == "provider"]
    mediated = "mediator" in roles.values()
    auditors = [name for name, role in roles.items() if role == "auditor"]
    schemas = {name: _schema(questions, name, base) for name in providers}
    architectures = _architectures(questions, _cast(roles), mediated=mediated, base=base)
    data = [
        {
            **_data(questions, name, schemas[name], architectures, purpose["legal_basis"], mediated=mediated),
            **_auditor(questions, name, auditors),
        }
        for name in providers
    ]
    last = (datetime.now(UTC) + timedelta(days=_DAYS)).date().isoformat()
    expires = questions.day("expires", "The last day on which the agreement holds (YYYY-MM-DD, UTC)", last)
    questions.finish()
    return {
        "comity": 1,
        "title": title,
        "parties": [{"name": name, "role": role, "key": keys[name]} for name, role in roles.items()],
        "purpose": purpose,
        "data": data,
        "architectures": architectures,
        "expires": expires,
    }


def _cast(roles: Mapping[str, str]) -> Parties | None:
    """Who takes part, for clauses that depend on it; None as long as a role is nobody's."""
    from comity.architectures.definition import Parties as Cast

    by_role = {role: [name for name in roles if roles[name] == role] for role in roles.values()}
    if not by_role.get("provider") or not by_role.get("ml_party"):
        return None
    mediator = by_role.get("mediator", [""])[0]
    return Cast(tuple(by_role["provider"]), by_role["ml_party"][0], mediator)


def _roles(questions: Questions, keys: Mapping[str, str]) -> dict[str, str]:
    named = questions.take("parties") if questions.has("parties") else {}
    strangers = [name for name in named if name not in keys] if isinstance(named, Mapping) else []
    if strangers:
        raise BadInput(
            f"there is no card of '{strangers[0]}' here (known: {', '.join(keys)}); ask for it and run: "
            "comity party add CARD --folder DIR"
        )
    questions.say(f"\nThe parties, from the cards in your folder: {', '.join(keys)}")
    default = None if not named else "none"  # who names parties has named all of them
    roles = {name: questions.choice(f"parties.{name}", f"What is '{name}'?", ROLES, default) for name in keys}
    return {name: role for name, role in roles.items() if role not in (None, "none")}


def _schema(questions: Questions, provider: str, base: Path) -> dict[str, Any]:
    """Columns and unit of a provider's table, from its schema file or written out."""
    from comity.schema import read_schema

    questions.say(f"\nThe columns of '{provider}'")
    place = f"data.{provider}"
    columns = questions.take(f"{place}.columns")
    if columns is not None:
        return {"columns": columns, "unit": {}}
    words = "  Its schema file (comity assess TABLE --write-schema makes one)"
    while True:
        named = questions.text(f"{place}.schema", words)
        if named is None:
            return {"columns": {}, "unit": {}}
        try:
            return read_schema(base / Path(named).expanduser()).to_dict()
        except ComityError as error:
            if questions.has(f"{place}.schema"):
                raise
            questions.say(f"  {error}")


def _data(
    questions: Questions,
    provider: str,
    schema: Mapping[str, Any],
    architectures: Mapping[str, Mapping[str, Any]],
    basis: str | None,
    *,
    mediated: bool,
) -> dict[str, Any]:
    place = f"data.{provider}"
    questions.say(f"\nThe data of '{provider}'")
    consent = questions.text(
        f"{place}.consent",
        "  How did the people in it agree" + ("" if basis == "consent" else " (empty: not said)"),
        optional=basis != "consent",
    )
    terms: dict[str, Any] = {
        "provider": provider,
        "lineage": questions.text(
            f"{place}.lineage",
            "  A name for this data for good: what is spent on it is counted under this name",
            f"{provider}-data",
        ),
        "source": questions.text(f"{place}.source", "  Where is it from"),
        "licence": questions.text(f"{place}.licence", "  On what terms may it be used"),
        **({} if consent is None else {"consent": consent}),
        "mediator_may_hold": mediated
        and questions.flag(
            f"{place}.mediator_may_hold",
            "  May the mediator hold the rows themselves (not only what is made of them)",
            False,
        ),
        "seed_rows": questions.count(
            f"{place}.seed_rows", "  How many rows are handed over outright, outside every guarantee", 0
        ),
        "columns": schema["columns"],
        "unit": _unit(questions, place, schema),
    }
    budget = _budget(questions, place, architectures)
    return {
        **terms,
        **({} if budget is None else {"budget": budget}),
        "retention": {
            "after_withdrawal_days": questions.count(
                f"{place}.retention.after_withdrawal_days",
                "  After a withdrawal, within how many days is what recipients got deleted (0: the same day)",
                30,
            ),
            "models": questions.choice(
                f"{place}.retention.models", "  And models made with it?", _MODELS, "keep"
            ),
        },
    }


def _auditor(questions: Questions, provider: str, auditors: Sequence[str]) -> dict[str, str]:
    """Who may be shown the whole table in an audit."""
    if not auditors:
        return {}
    choices = {
        **dict.fromkeys(auditors, "is shown the whole table, sealed to it, once both sides have signed"),
        NOBODY: "the provider computes its answers again by itself",
    }
    words = f"  Who may be shown the table of '{provider}' in an audit?"
    chosen = questions.choice(f"data.{provider}.auditor", words, choices, auditors[0])
    return {} if chosen in (None, NOBODY) else {"auditor": chosen}


def _unit(questions: Questions, place: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    """Whose presence is protected: one row, or all rows of one person."""
    known = schema["unit"]
    column = questions.text(
        f"{place}.unit.column",
        "  The column that says which rows are one person's (empty: every row is another one's)",
        known.get("column"),
        optional=True,
    )
    if column is None:
        return {}
    most = questions.count(
        f"{place}.unit.max_rows",
        "  At most how many rows has one person",
        known.get("max_rows", 1),
        within=Range(1),
    )
    return {"column": column, "max_rows": most}


def _budget(
    questions: Questions, place: str, architectures: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any] | None:
    """What may be spent on the data for its lifetime; None where nothing has differential privacy."""
    from comity.architectures.definition import rounded_delta

    charged = [clause for clause in architectures.values() if clause.get("epsilon") is not None]
    if not charged and not questions.has(f"{place}.budget"):
        return None
    epsilon = questions.number(
        f"{place}.budget.epsilon",
        "  Epsilon that may be spent on this data in its lifetime, over all agreements and recipients",
        max((clause["epsilon"] for clause in charged), default=1.0),
        within=POSITIVE,
    )
    delta = questions.number(
        f"{place}.budget.delta",
        "  And delta",
        max((clause["delta"] for clause in charged if clause.get("delta")), default=1e-6),
        within=CHANCE,
    )
    additive = questions.take(f"{place}.budget.delta_additive")
    if epsilon is not None and delta is not None:
        questions.say(
            f"  With all of it spent, a guess at something as likely as not is right at most "
            f"{guessing(epsilon, delta)} of the time"
        )
    # nearly all for the one release whose noise is fixed before its first answer; the rest for adaptive ones
    part = rounded_delta((delta or 0) * _ADDITIVE) if additive is None else additive
    return {"epsilon": epsilon, "delta": delta, "delta_additive": part}


def _architectures(
    questions: Questions, cast: Parties | None, *, mediated: bool, base: Path
) -> dict[str, dict[str, Any]]:
    """The clauses: which ways of collaborating, with which limits."""
    from comity.agreement import ARCHITECTURES
    from comity.architectures import find, names

    wanted = questions.take("architectures") if questions.has("architectures") else {}
    listed = list(wanted) if isinstance(wanted, Mapping | list) else [wanted]
    unknown = [name for name in listed if name not in ARCHITECTURES]
    if unknown:
        raise UsageError(f"there is no architecture '{unknown[0]}'; there are: {', '.join(ARCHITECTURES)}")
    clauses: dict[str, dict[str, Any]] = {}
    questions.say("\nWhich ways of collaborating are allowed?")
    for name in ARCHITECTURES:
        known = find(name) if name in names() else None
        if listed:
            if name not in listed:
                continue
        elif (
            known is None
            or known.baseline
            or ("mediator" in known.programs and not mediated)
            or not questions.flag(f"allow.{name}", f"  {known.summary}\n  Allow {name}", False)
        ):
            continue
        clauses[name] = _clause(questions, name, known, wanted, base, cast)
    if not clauses and not listed:
        questions.choice(
            "architectures", "At least one architecture has to be allowed", dict.fromkeys(names(), "")
        )
    return clauses


def _clause(
    questions: Questions,
    name: str,
    known: Architecture | None,
    wanted: Any,
    base: Path,
    cast: Parties | None,
) -> dict[str, Any]:
    """One clause. What the answers hold beyond the questions is taken as it is; the agreement's own checks
    look at it."""
    given = wanted.get(name) if isinstance(wanted, Mapping) else None
    clause = dict(given) if isinstance(given, Mapping) else {}
    mode: str | None = None
    for limit in LIMITS.get(name, ()):
        if limit.modes is not None and mode not in limit.modes:
            continue
        if clause.get("groupings") == "encrypted" and limit.field in _SEEN_GROUPS:
            continue
        value = _limit(questions, f"architectures.{name}.{limit.field}", limit, _own(known, mode, cast))
        if limit.field == "mode":
            mode = value
        if value == NOBODY:
            clause.pop(limit.field, None)
        elif value is not None:
            clause[limit.field] = value
    if known is not None and known.frame and mode != "entrusted":
        clause["frame"] = _frame(questions, f"architectures.{name}.frame", base)
    return clause


def _own(known: Architecture | None, mode: str | None, cast: Parties | None) -> Mapping[str, Any]:
    """What the architecture's own runs need, among these parties."""
    from comity.architectures.definition import Options

    if known is None:
        return {}
    options = Options(mode=mode)
    return known.clause(options) if cast is None else known.clause_of(options, cast)


def _limit(questions: Questions, path: str, limit: Limit, own: Mapping[str, Any]) -> Any:
    default = own.get(limit.field, limit.default)
    if limit.kind == "count":
        most = max(default, limit.default) if default is not None and limit.default is not None else default
        return questions.count(path, limit.words, most, within=limit.within, optional=limit.optional)
    if limit.kind == "number":
        return questions.number(path, limit.words, default, within=limit.within, optional=limit.optional)
    if isinstance(limit.kind, Mapping):
        return questions.choice(path, limit.words, limit.kind, default)
    return questions.flag(path, limit.words, default)


def _frame(questions: Questions, path: str, base: Path) -> dict[str, Any]:
    """The frame: rows and digest as answered, or of a file with one column of ids."""
    from comity.crypto.canonical import digest
    from comity.data import read_table

    given = questions.take(path)
    if isinstance(given, Mapping):
        return dict(given)
    named = given or questions.text(path, "  A table whose first column holds the ids that all parties know")
    if named is None:
        return {}
    table = read_table(str(base / Path(str(named)).expanduser()))
    ids = sorted(table.arrow.column(0).to_pylist())
    if len(set(ids)) != len(ids):
        raise BadInput(f"the frame {named} has an id twice; every id stands in it once")
    return {"rows": len(ids), "sha256": digest(ids)}
