"""`homomorphic`: what the contract suite does not ask of it."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from comity.architectures import find, homomorphic_ml_party, homomorphic_provider
from comity.architectures.definition import Options, Parties, Pilot
from comity.architectures.homomorphic import PILOT_QUERIES, QUERIES
from comity.architectures.homomorphic_ml_party import require_allowed
from comity.architectures.homomorphic_provider import (
    BYTES_PER_ANSWER,
    BYTES_PER_COLUMN,
    LINEAR,
    SCORES,
)
from comity.compare.settings import ML_PARTY
from comity.errors import BadInput, ClauseRefused, MissingExtra, PartyFailed
from comity.ledger import Ledger

PROVIDERS = ("north", "south")


def scores(outcome: Any, party: str) -> np.ndarray:
    return pq.read_table(outcome.sessions[party] / "scores.parquet").column("logistic").to_numpy()


def with_clause(**changes: Any) -> Any:
    def change(document: dict[str, Any]) -> None:
        document["architectures"]["homomorphic"] |= changes

    return change


def test_providers_get_the_scores_that_the_ml_party_would_have(stage: Any) -> None:
    alone = stage.play("alone", run="alone")
    outcome = stage.play("homomorphic")
    assert outcome.errors == {}
    for name in PROVIDERS:
        figures = outcome.figures[name]
        assert np.abs(scores(outcome, name) - scores(alone, ML_PARTY)).max() <= figures["score_error"] < 1e-4
        assert figures["flooding_bits"] >= 40
        assert figures["told_beyond"] < 1e-11


def test_the_error_against_plaintext_and_the_bytes_are_figures(stage: Any) -> None:
    outcome = stage.play("homomorphic")
    figures = outcome.figures[ML_PARTY]
    assert 0 < figures["error"]["rms"] <= figures["error"]["max"] <= figures["error"]["bound"] < 1e-4
    probe = len(scores(outcome, "north"))
    assert figures["rows_scored"] == dict.fromkeys(PROVIDERS, probe)
    sent = sum(len(data) for message in outcome.sent["north"] for data in message.parts.values())
    assert outcome.figures["north"]["ciphertext_bytes"] == sent
    assert json.loads(json.dumps(dict(outcome.figures))) == outcome.figures


def test_scores_come_back_in_parts_that_no_key_gets_more_out_of(stage: Any) -> None:
    outcome = stage.play("homomorphic")
    most = outcome.figures["north"]["scores_per_ciphertext"]
    assert most == 199
    for name in PROVIDERS:
        (answer,) = (m for m in outcome.sent[ML_PARTY] if m.topic == SCORES and m.recipient == name)
        assert len(answer.parts) == -(-len(scores(outcome, name)) // most) > 1
        assert answer.body["any_key"] is True


def test_the_ml_party_gets_no_score_and_providers_no_weight(stage: Any) -> None:
    outcome = stage.play("homomorphic")
    assert not list(outcome.sessions[ML_PARTY].glob("*.parquet"))
    for message in outcome.sent[ML_PARTY]:
        assert message.kind == "query"
        assert set(message.body) <= {
            "features", "columns", "parameters", "rows", "flood", "kind", "unit", "any_key",
        }  # fmt: skip
    for name in PROVIDERS:
        assert [message.kind for message in outcome.sent[name]] == ["share"]
        assert set(outcome.sent[name][0].body["outcome"]) == {"rows", "columns", "parameters"}


def test_a_provider_may_have_as_many_rows_scored_as_the_clause_says(stage: Any) -> None:
    free = stage.play("homomorphic")
    probe = len(scores(free, "north"))
    exact = stage.play("homomorphic", change=with_clause(queries=probe), run="exact")
    assert exact.errors == {}
    # as many rows in another run are not the same share again: each run counts
    claims = [one.ledgers["north"].events("note") for one in (free, exact)]
    assert len({entry.body["plan"] for run in claims for entry in run if "own_key" in entry.body}) == 2
    fewer = stage.play("homomorphic", change=with_clause(queries=probe - 1), run="fewer")
    assert isinstance(fewer.errors["north"], ClauseRefused)
    assert fewer.errors["north"].clause == "architectures.homomorphic.queries"
    assert isinstance(fewer.errors[ML_PARTY], ClauseRefused)
    assert not list(fewer.sessions["north"].glob("*scores*"))


FEW = 20


def few_rows(stage: Any, provider: str) -> None:
    """A provider with few rows to be scored."""
    path = stage.folder / provider / "tables" / "probe.parquet"
    pq.write_table(pq.read_table(path).slice(0, FEW), path)


def test_a_provider_that_refuses_ends_nothing_but_its_own_part(stage: Any) -> None:
    few_rows(stage, "south")
    outcome = stage.play("homomorphic", change=with_clause(queries=FEW))
    assert set(outcome.errors) == {"north"}
    assert isinstance(outcome.errors["north"], ClauseRefused)
    assert len(scores(outcome, "south")) == FEW
    assert not list(outcome.sessions["north"].glob("*scores*"))
    figures = outcome.figures[ML_PARTY]
    assert figures["rows_scored"] == {"south": FEW}
    assert list(figures["refused"]) == ["north"]
    assert "'north' refused" in figures["refused"]["north"]
    assert find("homomorphic").bears_drop_outs  # or else nodes would end the run for all


@pytest.mark.parametrize("fault", ["queries", "ciphertext", "message"])
def test_a_provider_that_is_refused_ends_nothing_but_its_own_part(
    fault: str, stage: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the ML party: for rows beyond the clause's, and for what is no encryption of rows."""
    few_rows(stage, "south")
    counted, sound = homomorphic_ml_party.require_allowed, homomorphic_provider.encrypt_rows

    def claim(seat: Any, provider: str, rows: int, *, session: str) -> None:
        counted(seat, provider, rows + (PILOT_QUERIES if provider == "north" else 0), session=session)

    def encrypted(key: Any, rows: Any) -> Any:
        made = sound(key, rows)
        if len(rows) == FEW:
            return made
        columns = ((b"?", *made.columns[0][1:]),)
        return replace(made, columns=columns) if fault == "ciphertext" else replace(made, rows=2**21)

    if fault == "queries":
        monkeypatch.setattr(homomorphic_ml_party, "require_allowed", claim)
    else:
        monkeypatch.setattr(homomorphic_provider, "encrypt_rows", encrypted)
    outcome = stage.play("homomorphic")
    assert set(outcome.errors) == {"north"}
    assert isinstance(outcome.errors["north"], ClauseRefused)
    assert len(scores(outcome, "south")) == FEW
    assert list(outcome.figures[ML_PARTY]["refused"]) == ["north"]
    assert [m.kind for m in outcome.sent[ML_PARTY] if m.recipient == "north"] == ["query", "refusal"]


class Forging:
    """A provider's channel that changes its share after the gate: the receipt is about another one."""

    def __init__(self, channel: Any) -> None:
        self._channel = channel

    def __getattr__(self, name: str) -> Any:
        return getattr(self._channel, name)

    def send(self, recipient: str, item: Any) -> None:
        first, *rest = item.parts
        parts = {first: item.parts[first][:-1] + b"?", **{name: item.parts[name] for name in rest}}
        changed = copy.copy(item)
        object.__setattr__(changed, "parts", parts)
        self._channel.send(recipient, changed)


@pytest.mark.parametrize("fault", ["receipt", "no table", "no parquet"])
def test_a_share_that_is_not_sound_or_none_ends_nothing_but_its_senders_part(fault: str, stage: Any) -> None:
    few_rows(stage, "south")
    paths = [stage.folder / "north" / "tables" / f"{name}.parquet" for name in ("train", "probe")]
    for path in paths if fault != "receipt" else []:
        path.write_bytes(b"no table") if fault == "no parquet" else path.unlink()

    def wrap(name: str, channel: Any) -> Any:
        return Forging(channel) if (name, fault) == ("north", "receipt") else channel

    outcome = stage.play("homomorphic", wrap=wrap)
    assert set(outcome.errors) == {"north"}
    assert len(scores(outcome, "south")) == FEW
    figures = outcome.figures[ML_PARTY]
    assert figures["rows_scored"] == {"south": FEW}
    assert list(figures["refused"]) == ["north"]
    assert str(stage.folder) not in str(figures)


def test_where_everybody_is_refused_the_run_is(stage: Any) -> None:
    few_rows(stage, "south")
    outcome = stage.play("homomorphic", change=with_clause(queries=FEW - 1))
    assert set(outcome.errors) == {*PROVIDERS, ML_PARTY}
    assert outcome.errors[ML_PARTY].exit_code == 4


def test_the_ml_party_counts_rows_over_all_runs_itself(stage: Any, tmp_path: Path) -> None:
    """A provider that leaves its own count out gets no further."""
    outcome = stage.play("homomorphic", change=with_clause(queries=500))
    ledger = Ledger.open(tmp_path / "ledger.db", key=stage.keys[ML_PARTY], owner=ML_PARTY)
    seat = stage.seat(ML_PARTY, outcome.agreement, ledger, Options(), tmp_path)
    require_allowed(seat, "north", 300)
    require_allowed(seat, "south", 500)
    require_allowed(seat, "north", 200)
    with pytest.raises(ClauseRefused) as refused:
        require_allowed(seat, "north", 1)
    assert (refused.value.asked, refused.value.left) == ("1 rows", "0 of 500")
    assert ledger.verify().ok


def test_an_agreed_error_is_on_every_score(stage: Any) -> None:
    bare = stage.play("homomorphic", run="bare")
    coarse = stage.play("homomorphic", change=with_clause(score_error=0.5), run="coarse")
    assert coarse.errors == {}
    off = np.abs(
        pq.read_table(coarse.sessions["north"] / f"{LINEAR}.parquet").column("score").to_numpy()
        - pq.read_table(bare.sessions["north"] / f"{LINEAR}.parquet").column("score").to_numpy()
    )
    # over 200 rows: none beyond 0.4 of a uniform error within 0.5 with probability 0.8^200
    assert 0.4 < off.max() <= coarse.figures["north"]["score_error"] < 0.51
    assert coarse.figures["north"]["bits_per_score"] < bare.figures["north"]["bits_per_score"]


def test_more_flooding_than_there_is_room_for_is_refused_in_words(stage: Any) -> None:
    outcome = stage.play("homomorphic", change=with_clause(flooding_bits=79))
    assert isinstance(outcome.errors[ML_PARTY], ClauseRefused)
    assert "at most 78 bits" in str(outcome.errors[ML_PARTY])


def test_an_ml_party_that_floods_less_is_not_believed(stage: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    exact = homomorphic_ml_party.score_encrypted
    monkeypatch.setattr(
        homomorphic_ml_party, "score_encrypted", lambda model, rows, precision: exact(model, rows)
    )
    outcome = stage.play("homomorphic", change=with_clause(score_error=1.0))
    assert any("agreement says" in str(outcome.errors.get(name)) for name in PROVIDERS)
    assert not list(outcome.sessions["north"].glob("*scores*"))


@pytest.mark.parametrize("broken", ["column", "public", "rows"])
def test_ciphertexts_that_cannot_be_read_are_refused_and_nobody_waits(
    broken: str, stage: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    sound = homomorphic_provider.encrypt_rows

    def encrypted(key: Any, rows: Any) -> Any:
        made = sound(key, rows)
        if broken == "column":
            return replace(made, columns=((b"?", *made.columns[0][1:]),))
        return replace(made, public=b"?") if broken == "public" else replace(made, rows=9000)

    monkeypatch.setattr(homomorphic_provider, "encrypt_rows", encrypted)
    outcome = stage.play("homomorphic")
    assert isinstance(outcome.errors[ML_PARTY], BadInput)
    assert all(isinstance(outcome.errors[name], ClauseRefused | PartyFailed) for name in PROVIDERS)
    assert isinstance(outcome.errors["north"], ClauseRefused)


def test_more_than_a_message_holds_is_refused_before_anything_is_encrypted(
    stage: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(homomorphic_provider, "MOST_BYTES", 10_000)
    outcome = stage.play("homomorphic")
    assert "fewer rows" in str(outcome.errors["north"])
    assert isinstance(outcome.errors[ML_PARTY], ClauseRefused)
    assert "asked" not in outcome.kinds("north")


def test_its_cost_says_what_is_counted_only_to_measure(stage: Any) -> None:
    outcome = stage.play("homomorphic")
    note = find("homomorphic").cost_note(outcome.figures)
    probe = outcome.figures["north"]["rows_scored"]
    assert f"for {probe:,} rows at each provider" in note
    assert "scored only to measure" in note
    # what is said of a run of one's own is what such a run sends: these rows are one block as well
    columns = outcome.figures["north"]["columns"]
    own = columns * BYTES_PER_COLUMN + BYTES_PER_ANSWER
    assert f"about {own / 1e6:,.1f} MB" in note
    assert columns * BYTES_PER_COLUMN == pytest.approx(outcome.figures["north"]["ciphertext_bytes"], rel=0.25)
    assert find("homomorphic").cost_note({}) == ""
    assert find("validation").cost_note(outcome.figures) == ""


def test_without_the_engine_it_says_how_to_install_it(stage: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> Any:
        raise MissingExtra("homomorphic scoring", "homomorphic")

    monkeypatch.setattr(homomorphic_provider, "ProviderKey", missing)
    outcome = stage.play("homomorphic")
    assert isinstance(outcome.errors["north"], MissingExtra)
    assert "comity[homomorphic]" in str(outcome.errors[ML_PARTY])


def test_the_pilot_s_attack_solves_for_the_model(stage: Any) -> None:
    outcome = stage.play("homomorphic")
    architecture = find("homomorphic")
    pilot = Pilot(
        task=stage.inputs.task,
        options=Options(),
        members=stage.inputs.train,
        outsiders=stage.inputs.test,
        sessions=outcome.sessions,
        figures=outcome.figures,
        ml_party=ML_PARTY,
    )
    found = architecture.attacks(pilot)
    assert found["extraction"].low > 0.8
    assert abs(found["extraction"].control or 0) < 0.3
    assert set(found) == {"extraction", "extract-few"}


def test_a_schema_without_bounds_is_skipped_by_name(stage: Any) -> None:
    task = stage.inputs.task
    columns = dict(task.schema.columns)
    columns["age"] = columns["age"].model_copy(update={"min": None})
    open_ended = replace(task, schema=task.schema.model_copy(update={"columns": columns}))
    reason = find("homomorphic").skip(open_ended, PROVIDERS)
    assert reason is not None
    assert "age (min and max)" in reason
    assert find("homomorphic").skip(task, PROVIDERS) is None


def test_a_pilot_s_clause_lets_any_pilot_s_rows_through_and_a_draft_s_does_not() -> None:
    parties = Parties(PROVIDERS, ML_PARTY, "mediator")
    pilot = find("homomorphic").clause_of(Options(), parties)
    assert pilot == {"scheme": "ckks", "queries": PILOT_QUERIES}
    assert find("homomorphic").clause(Options())["queries"] == QUERIES < PILOT_QUERIES
