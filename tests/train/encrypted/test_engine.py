"""Engines in processes of their own: what they compute, whom they let in, what is left when one is gone."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from comity.crypto.keys import SigningKey
from comity.crypto.session_ca import SessionIdentity, session_name
from comity.errors import PartyFailed
from comity.train.encrypted.mesh import Member, own_address
from comity.train.encrypted.process import EngineProcess
from comity.train.encrypted.program import function_of, input_shapes
from comity.train.encrypted.settings import BITS, Kind, Training
from comity.train.encrypted.sharing import SCHEMES, Scheme, held, opened, split, to_values, to_words

pytestmark = pytest.mark.slow
SESSION = session_name("sha256:agreement", "session")


class Ring:
    """Compute parties that trust each other's certificates, each acting in a thread."""

    def __init__(self, scheme: Scheme, stack: ExitStack, folder: Path) -> None:
        self.scheme = scheme
        names = [f"party{rank}" for rank in range(scheme.parties)]
        self.engines = [stack.enter_context(EngineProcess()) for _ in names]
        self.identities = [SessionIdentity.make(SigningKey.generate(), name, SESSION) for name in names]
        addresses = [stack.enter_context(own_address(folder)) for _ in names]
        self.members = [
            Member(name, address, identity.certificate)
            for name, address, identity in zip(names, addresses, self.identities, strict=True)
        ]

    def connect(self, rank: int) -> None:
        self.engines[rank].connect(self.members, rank, self.identities[rank], SESSION, self.scheme)

    def together(self, act: Callable[[int], Any]) -> list[Any]:
        """What each party's act returns or raises."""
        came: list[Any] = [None] * self.scheme.parties

        def run(rank: int) -> None:
            try:
                came[rank] = act(rank)
            except BaseException as error:
                came[rank] = error

        threads = [threading.Thread(target=run, args=(rank,)) for rank in range(self.scheme.parties)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=120)
        return came


def train(
    ring: Ring, training: Training, inputs: dict[str, np.ndarray], begun: threading.Barrier | None = None
) -> list[Any]:
    """Each party's share of the model, or what it raised; `begun` is passed when all are about to run."""
    shapes = input_shapes(training)
    parts = {name: split(to_words(inputs[name], BITS), ring.scheme) for name in shapes}

    def act(rank: int) -> Any:
        engine = ring.engines[rank]
        engine.compile(training)
        ring.connect(rank)
        for name, shape in shapes.items():
            engine.put(name, held(parts[name][rank], ring.scheme, rank, int(np.prod(shape))), shape)
        if begun is not None:
            begun.wait(timeout=100)
        return engine.run()

    return ring.together(act)


def inputs_of(made: Any, rows: int, columns: int) -> dict[str, np.ndarray]:
    part = type(made)(made.rows[:rows, :columns], made.labels[:rows], made.numbers[:rows])
    return {"rows": part.rows, "labels": part.labels, "products": part.products}


def model_of(shares: Sequence[Any], scheme: Scheme) -> np.ndarray:
    assert not [share for share in shares if isinstance(share, BaseException)]
    return to_values(opened(shares, scheme), BITS)


def kill_soon(ring: Ring, begun: threading.Barrier, wait_s: float) -> None:
    """Once all have begun: the first party's process dies; the others give theirs up, as on hearing of it."""

    def kill() -> None:
        begun.wait(timeout=100)
        threading.Event().wait(wait_s)
        for engine in ring.engines:
            engine.kill()

    threading.Thread(target=kill, daemon=True).start()


def test_training_on_shares_ranks_as_plain_training_does(made: Any, held_out: Any, tmp_path: Path) -> None:
    training = Training(Kind.logistic, rows=9_000, columns=15, numeric=3)
    with ExitStack() as stack:
        ring = Ring(SCHEMES["aby3"], stack, tmp_path)
        found = model_of(train(ring, training, inputs_of(made, 9_000, 15)), ring.scheme)
        assert all(engine.bytes_sent > 8 * training.rows for engine in ring.engines)
        assert all(engine.peak_rss_mb > 50 for engine in ring.engines)
    assert list(tmp_path.iterdir()) == []
    reference = LogisticRegression(C=1.0, max_iter=1000).fit(made.rows, made.labels)
    ours = roc_auc_score(held_out.labels, held_out.rows @ found[:-1])
    theirs = roc_auc_score(held_out.labels, reference.decision_function(held_out.rows))
    assert abs(ours - theirs) < 0.002


def test_two_parties_compute_by_cheetah(made: Any, tmp_path: Path) -> None:
    training = Training(Kind.logistic, rows=40, columns=2, numeric=0, steps=2)
    inputs = inputs_of(made, 40, 2)
    with ExitStack() as stack:
        ring = Ring(SCHEMES["cheetah"], stack, tmp_path)
        found = model_of(train(ring, training, inputs), ring.scheme)
    plain = function_of(training)(*(np.asarray(inputs[name], np.float32) for name in input_shapes(training)))
    assert np.allclose(found, plain, atol=0.01)


def test_a_killed_party_stops_the_others(made: Any, tmp_path: Path) -> None:
    training = Training(Kind.logistic, rows=9_000, columns=15, numeric=3, steps=4_000)
    begun = threading.Barrier(4)
    with ExitStack() as stack:
        ring = Ring(SCHEMES["aby3"], stack, tmp_path)
        folders = [Path(engine._folder.name) for engine in ring.engines]
        kill_soon(ring, begun, 1.0)
        came = train(ring, training, inputs_of(made, 9_000, 15), begun)
    assert all(isinstance(one, PartyFailed) for one in came)
    assert not [folder for folder in folders if folder.exists()]


def test_a_party_with_another_certificate_is_not_let_in(tmp_path: Path) -> None:
    begun = threading.Barrier(3)
    with ExitStack() as stack:
        ring = Ring(SCHEMES["cheetah"], stack, tmp_path)
        other = SessionIdentity.make(SigningKey.generate(), "party1", SESSION)
        shown = replace(ring.members[1], certificate=other.certificate)

        def act(rank: int) -> None:
            members = [ring.members[0], shown] if rank else ring.members
            identity = other if rank else ring.identities[0]
            begun.wait(timeout=100)
            ring.engines[rank].connect(members, rank, identity, SESSION, ring.scheme)

        kill_soon(ring, begun, 10.0)
        came = ring.together(act)
    assert all(isinstance(one, PartyFailed) for one in came)
