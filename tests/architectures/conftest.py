"""A stage for architectures: real tables, agreement and gate; programs in threads over memory channels."""

from __future__ import annotations

import csv
import json
import random
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from comity.agreement import Agreement, agreement_from
from comity.architectures import find
from comity.architectures.definition import Options, Seat
from comity.compare.draft import draft_agreement
from comity.compare.inputs import Inputs, prepare_inputs
from comity.compare.settings import MEDIATOR, ML_PARTY, Settings
from comity.crypto.keys import SigningKey
from comity.errors import VerificationFailed
from comity.ledger import Ledger
from comity.wire import Inbox, MemoryChannel, Message, Sealer, open_message


def write_table(path: Path, rows: int, seed: int) -> Path:
    """A made-up table whose target can be learned from its features."""
    draw = random.Random(seed)
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["pid", "age", "job", "pulse", "ill"])
        for row in range(rows):
            age, job, pulse = draw.randint(18, 80), draw.choice("abc"), round(draw.gauss(70, 9), 1)
            chance = 0.1 + 0.5 * (age > 50) + 0.3 * (job == "b")
            writer.writerow([f"{seed}-{row}", age, job, pulse, "yes" if draw.random() < chance else "no"])
    return path


PLAIN_SCHEMA = """
columns:
  hours: {role: insensitive, type: integer, min: 0, max: 10000}
  part: {role: insensitive, type: category, values: [belt, fan, pump]}
  heat: {role: insensitive, type: number, min: -50, max: 150}
  failed: {role: target, type: category, values: ["no", "yes"]}
"""


def plain_settings(folder: Path, names: Sequence[str] = ("north", "south"), **changes: Any) -> Settings:
    """Settings over tables about machines: nothing in them is about anybody."""
    for number, name in enumerate(names):
        draw = random.Random(number)
        with open(folder / f"{name}.csv", "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["hours", "part", "heat", "failed"])
            for _ in range(600):
                hours, part = draw.randint(0, 9000), draw.choice(["belt", "fan", "pump"])
                fails = draw.random() < 0.1 + 0.5 * (hours > 6000) + 0.3 * (part == "belt")
                writer.writerow([hours, part, round(draw.gauss(60, 9), 1), "yes" if fails else "no"])
    (folder / "plain.yaml").write_text(PLAIN_SCHEMA, encoding="utf-8")
    paths = [f"{name}={folder / name}.csv" for name in names]
    given = {"providers": paths, "target": "failed", "id": None, "schema": folder / "plain.yaml"}
    return settings_for(folder, (), **(given | changes))


def settings_for(folder: Path, names: Sequence[str] = ("north", "south"), **changes: Any) -> Settings:
    """Settings over such tables, two of them unless more providers are named."""
    paths = {name: write_table(folder / f"{name}.csv", 600, n) for n, name in enumerate(names)}
    given: dict[str, Any] = {
        "providers": [f"{name}={path}" for name, path in paths.items()],
        "target": "ill",
        "positive": "yes",
        "id": "pid",
        "test": None,
        "schema": None,
        "epsilon": "1",
        "delta": 1e-6,
        "k": 5,
        "seed_rows": 50,
        "architectures": None,
        "mode": None,
        "partition": "rows",
        "seed": 0,
        "keep": None,
    }
    return Settings.parse(**(given | changes))


@dataclass
class Outcome:
    """What came of a run: per party its figures or its error, its ledger, and what it sent."""

    agreement: Agreement
    figures: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    errors: dict[str, BaseException] = field(default_factory=dict)
    ledgers: dict[str, Ledger] = field(default_factory=dict)
    sent: dict[str, list[Message]] = field(default_factory=dict)
    sessions: dict[str, Path] = field(default_factory=dict)

    def paid(self, party: str) -> list[str]:
        """Kinds of a party's entries, but for answers that an earlier share has paid for."""
        drawn = [entry.body["plan"] for entry in self.ledgers[party].events("note") if "drawn" in entry.body]
        return [entry.kind for entry in self.ledgers[party].events() if entry.body.get("plan") not in drawn]

    def own_key(self, party: str) -> int:
        """How many shares left that only this party can open."""
        sealed = {
            entry.body["plan"] for entry in self.ledgers[party].events("note") if "own_key" in entry.body
        }
        return sum(entry.body["plan"] in sealed for entry in self.ledgers[party].events("released"))

    def kinds(self, party: str) -> list[str]:
        return [entry.kind for entry in self.ledgers[party].events()]


@dataclass
class Stage:
    """Two providers, a mediator and an ML party with their folders and keys."""

    folder: Path
    inputs: Inputs
    keys: Mapping[str, SigningKey]

    def play(
        self,
        architecture: str,
        *,
        options: Options | None = None,
        mode: str | None = None,
        change: Callable[[dict[str, Any]], None] | None = None,
        wrong_key_for: str | None = None,
        run: str = "run",
        wrap: Callable[[str, MemoryChannel], Any] | None = None,
    ) -> Outcome:
        """Run every party's program; `change` edits the agreement before it is signed.

        `wrap` puts something between a party's program and its channel: a party that misbehaves.
        """
        found = find(architecture)
        options = options or Options(mode=mode or (found.modes[0] if found.modes else None))
        document = json.loads(json.dumps(self._draft(found, options, run)))
        if change is not None:
            change(document)
        agreement = agreement_from(document)
        parties = [party.name for party in agreement.parties]
        for name in parties:
            agreement = agreement.sign(name, self.keys[name])
        outcome = Outcome(agreement)
        names = [name for name in parties if agreement.party(name).role in found.programs]
        ends = {
            name: MemoryChannel(
                name,
                Sealer(
                    session="s",
                    agreement=agreement.digest,
                    party=name,
                    key=SigningKey.generate() if name == wrong_key_for else self.keys[name],
                    may_query=agreement.party(name).role != "provider",
                ),
                Inbox(session="s", agreement=agreement.digest),
                timeout_s=60.0,
            )
            for name in names
        }
        public = {name: key.verify_key for name, key in self.keys.items()}
        for name, end in ends.items():
            end.connect({other: peer for other, peer in ends.items() if other != name}, public)
        threads = [
            threading.Thread(target=self._act, args=(name, found, options, outcome, ends, run, wrap))
            for name in names
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=120)
        for name, end in ends.items():
            outcome.sent[name] = [
                message for data in end.sent if (message := self._opened(data, public)) is not None
            ]
        return outcome

    def _draft(self, found: Any, options: Options, run: str) -> Mapping[str, Any]:
        return draft_agreement(
            found,
            self.inputs.task,
            options,
            run=run,
            providers=self.inputs.providers,
            ml_party=ML_PARTY,
            keys={name: str(key.verify_key) for name, key in self.keys.items()},
            seed_rows=self.inputs.seed_rows,
            frame=self.inputs.frame,
        ).document

    def _act(
        self,
        name: str,
        found: Any,
        options: Options,
        outcome: Outcome,
        ends: Mapping[str, MemoryChannel],
        run: str,
        wrap: Callable[[str, MemoryChannel], Any] | None,
    ) -> None:
        session = self.folder / name / "sessions" / run
        session.mkdir(parents=True, exist_ok=True)
        ledger = Ledger.open(session / "ledger.db", key=self.keys[name], owner=name)
        outcome.ledgers[name] = ledger
        outcome.sessions[name] = session
        seat = self.seat(name, outcome.agreement, ledger, options, session)
        program = found.programs[outcome.agreement.party(name).role]
        try:
            channel = ends[name] if wrap is None else wrap(name, ends[name])
            outcome.figures[name] = program(seat, channel)
        except BaseException as error:
            outcome.errors[name] = error
            for other, end in ends.items():
                if other != name:
                    end._inbox.fail(name, "it stopped")

    def seat(self, name: str, agreement: Agreement, ledger: Ledger, options: Options, session: Path) -> Seat:
        return Seat(
            party=name,
            providers=self.inputs.providers,
            ml_party=ML_PARTY,
            folder=self.folder / name,
            session=session,
            agreement=agreement,
            ledger=ledger,
            key=self.keys[name],
            task=self.inputs.task,
            options=options,
        )

    @staticmethod
    def _opened(data: bytes, keys: Mapping[str, Any]) -> Message | None:
        for recipient in keys:
            try:
                return open_message(data, keys=keys, recipient=recipient)
            except VerificationFailed:
                continue
        return None


def staged(folder: Path, settings: Settings) -> Stage:
    """A stage over these tables, with fresh keys."""
    inputs = prepare_inputs(settings, folder / "parties")
    keys = {name: SigningKey.generate() for name in (*inputs.providers, MEDIATOR, ML_PARTY)}
    return Stage(folder / "parties", inputs, keys)


# these refuse to run among fewer
_MANY = ("mediated-release", "federated", "encrypted")


def _stage_for(name: str, folder: Path) -> Stage:
    if name == "plain":
        return staged(folder, plain_settings(folder))
    providers = ("north", "south", "west") if name in _MANY else ("north", "south")
    return staged(folder, settings_for(folder, providers))


@pytest.fixture
def stage(tmp_path: Path, request: pytest.FixtureRequest) -> Stage:
    """Two providers; three where the test is about an architecture that needs as many."""
    about = getattr(request.node, "callspec", None)
    return _stage_for("" if about is None else about.params.get("name", ""), tmp_path)


@pytest.fixture(scope="session")
def stage_for() -> Callable[[str, Path], Stage]:
    """A stage that an architecture can run on, in a folder of the test's own."""
    return _stage_for


@pytest.fixture
def stage_of() -> Callable[..., Stage]:
    """A stage over tables of the test's own: (folder, settings that differ)."""
    return lambda folder, **changes: staged(folder, settings_for(folder, **changes))
