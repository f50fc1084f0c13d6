"""At the ML party: open a session through one's own node, and wait for its end."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from comity.architectures import find
from comity.data.labels import require_value
from comity.errors import BadInput, PartyFailed, UsageError
from comity.node.folder import PartyFolder
from comity.node.orders import give_order
from comity.node.state import Status
from comity.schema import Column

if TYPE_CHECKING:
    from comity.agreement.clause import Clause
    from comity.architectures.definition import Architecture

_POLL_S = 0.2
_POLL_LONGEST_S = 5.0
_MOST_SILENCE_S = 120.0
"""How long one's own node may be away, as while it is started again, before waiting ends."""


def open_session(
    folder: PartyFolder, architecture: str, agreement: str, task: Path, options: Mapping[str, Any]
) -> str:
    """The name of a new session.

    Args:
        agreement: the digest of an agreement in the folder, or the beginning of one.
        task: a JSON or YAML file with `target`, `positive`, `id`, and `schema` (a schema, or its file).

    Raises:
        UsageError: if there is no such architecture; the names there are stand in it.
        BadInput: if task or agreement cannot be used, or a target of the agreement has no such value.
        ComityError: whatever the node raised.
    """
    named = find(architecture)
    asked, chosen = read_task(task), chosen_agreement(folder, agreement)
    agreed = folder.agreement(chosen)
    for data in agreed.data:
        if asked["target"] in data.columns:
            _require_positive(task, data.columns[asked["target"]], asked["target"], asked["positive"])
    mode = options.get("mode") or agreed_mode(named, agreed.architectures.get(architecture))
    body = {"architecture": architecture, "task": asked, "options": {**options, "mode": mode}}
    found = give_order(folder, "run", body, agreement=chosen)
    return str(found["session"])


def agreed_mode(architecture: Architecture, clause: Clause | None) -> str | None:
    """The mode that a clause allows, for who has not named one: the clause's own, `exact` where it knows no
    epsilon, or else the architecture's first; None where it has no modes, or the agreement no such clause."""
    if clause is None or not architecture.modes:
        return None
    own = str(getattr(clause, "mode", ""))
    if own in architecture.modes:
        return own
    exact = getattr(clause, "unsafe_exact", None) and getattr(clause, "epsilon", None) is None
    return "exact" if exact and "exact" in architecture.modes else architecture.modes[0]


def session_folder(folder: PartyFolder, session: str) -> Path:
    """Where this party's node keeps what it received and made in a session."""
    return folder.sessions_path / session


def ended(folder: PartyFolder, session: str) -> dict[str, Any]:
    """The session as the node has it once it has ended, with `folder`, where its results are.

    Raises:
        BadInput: if the node does not know it.
        PartyFailed: if the node is away for long.
    """
    pause = _POLL_S
    heard = time.monotonic()
    while True:
        try:
            rows = give_order(folder, "sessions", {})["sessions"]
            heard = time.monotonic()
        except PartyFailed:
            if time.monotonic() - heard > _MOST_SILENCE_S:
                raise
            rows = None
        if rows is not None:
            found = [row for row in rows if row["session"] == session]
            if not found:
                raise BadInput(f"the node knows no session {session}")
            if found[0]["status"] != Status.running:
                return {**found[0], "folder": str(session_folder(folder, session))}
        time.sleep(pause)
        pause = min(pause * 1.5, _POLL_LONGEST_S)


def chosen_agreement(folder: PartyFolder, beginning: str) -> str:
    """The digest of the one agreement in the folder that begins so.

    Raises:
        UsageError: if there is none, or several.
    """
    known = list(folder.agreements())
    found = [digest for digest in known if beginning and digest.startswith(beginning)]
    if len(found) != 1:
        listed = ", ".join(digest[:12] for digest in known) or "none"
        raise UsageError(
            f"{len(found)} agreements in {folder.agreements_path} begin with {beginning!r}; there are: "
            f"{listed}"
        )
    return found[0]


def read_task(path: Path) -> dict[str, Any]:
    """A task's file as the nodes exchange it.

    Raises:
        BadInput: naming what is missing.
    """
    import yaml

    from comity.schema import parse_schema, read_schema

    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise BadInput(f"the task {path} cannot be read: {error.strerror}") from None
    try:
        data = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
    except (ValueError, yaml.YAMLError) as error:
        raise BadInput(f"the task {path} is neither JSON nor YAML: {str(error).splitlines()[0]}") from None
    if not isinstance(data, dict) or set(data) != {"target", "positive", "id", "schema"}:
        raise BadInput(f"the task {path} has to name target, positive, id and schema, and nothing else")
    schema = data["schema"]
    if isinstance(schema, str):
        read = read_schema(path.parent / schema)
    else:
        read = parse_schema(schema, where=f"the schema in {path}")
    for name in ("target", "id"):
        if not isinstance(data[name], str):
            raise BadInput(f"the task {path}: '{name}' is a column's name")
    for name in ("target", "id"):
        if data[name] not in read.columns:
            raise BadInput(f"the task {path}: its {name} '{data[name]}' is no column of its schema")
    _require_positive(path, read.columns[data["target"]], data["target"], str(data["positive"]))
    return {
        "schema": read.to_dict(),
        "target": data["target"],
        "positive": str(data["positive"]),
        "id": data["id"],
    }


def _require_positive(path: Path, column: Column, target: str, positive: str) -> None:
    """A mistyped value would open a session that has no positive record, and fails in a model."""
    try:
        require_value(column, target, positive)
    except BadInput as error:
        raise BadInput(f"the task {path}: its positive {error}") from None
