"""Training on secret shares beside a bare SPU script: CPU seconds, bytes and AUC, in one run.

    .venv/bin/python bench/encrypted.py [ROWS COLUMNS BATCH STEPS]

By default 15,000 rows of 50 numbers, batches of 500, 90 steps, on a made table. The bare script is what one
writes from SPU's own examples: three processes, connections without TLS, `spu.Io` for the shares, which the
first party sends to the others, stochastic gradient descent with SPU's own logistic function, no
standardisation. comity's: three engine processes with a session's certificates over TLS, shares by keys and
words, standardisation and curvature on shares. Counted are all processes with their start-up, what the
engines' connections carried (TCP_INFO), and the shares on their way to the other two. Left out are the
parties' own processes around the engines, which a run has anyway (about a second each).
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from comity.crypto.keys import SigningKey
from comity.crypto.session_ca import SessionIdentity, session_name
from comity.train.encrypted.mesh import LOOPBACK, Member, acknowledged, own_address
from comity.train.encrypted.process import EngineProcess
from comity.train.encrypted.program import input_shapes
from comity.train.encrypted.settings import BITS, Kind, Training
from comity.train.encrypted.sharing import SCHEMES, held, opened, split, to_values, to_words

SIZE = (15_000, 50, 500, 90)
RATE = 0.5
PORTS = (24_711, 24_712, 24_713)


def table(rows: int, columns: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Numbers from -1 to 1 whose logistic model has coefficients of both signs."""
    draw = np.random.default_rng(seed)
    x = np.clip(draw.normal(0, 0.35, (rows, columns)), -1, 1)
    weights = np.random.default_rng(7).normal(0, 1.0, columns)
    return x, (draw.uniform(size=rows) < 1 / (1 + np.exp(-(x @ weights)))).astype(np.float64)


def bare(rank: int, folder: Path, rows: int, columns: int, batch: int, steps: int) -> None:
    """One party of the bare script; rank 0 has the table and writes down the model."""
    import jax
    import jax.numpy as jnp
    import spu
    from spu import libspu
    from spu.utils import frontend

    description = libspu.link.Desc()
    for at, port in enumerate(PORTS):
        description.add_party(f"party{at}", f"{LOOPBACK}:{port}")
    link = libspu.link.create_brpc(description, rank)
    config = libspu.RuntimeConfig(protocol=libspu.ProtocolKind.ABY3, field=libspu.FieldType.FM64)
    runtime, io = spu.Runtime(link, config), spu.Io(3, config)
    x, y = table(rows, columns, 1)
    for name, values in (("x", x), ("y", y)):
        share = libspu.Share()
        if rank == 0:
            made = io.make_shares(values.astype(np.float32), libspu.Visibility.VIS_SECRET)
            for other in (1, 2):
                link.send(other, made[other].meta)
                link.send(other, made[other].share_chunks[0])
            share = made[0]
        else:
            share.meta = link.recv(0)
            share.share_chunks = [link.recv(0)]
        runtime.set_var(name, share)

    def train(x: Any, y: Any) -> Any:
        def step(at: Any, w: Any) -> Any:
            start = (at % (rows // batch)) * batch
            part = jax.lax.dynamic_slice_in_dim(x, start, batch)
            error = jax.nn.sigmoid(part @ w) - jax.lax.dynamic_slice_in_dim(y, start, batch)
            return w - RATE * (part.T @ error) / batch

        return jax.lax.fori_loop(0, steps, step, jnp.zeros(columns))

    shapes = [jax.ShapeDtypeStruct(values.shape, np.float32) for values in (x, y)]
    secret = [libspu.Visibility.VIS_SECRET] * 2
    program, _ = frontend.compile(
        frontend.Kind.JAX, train, shapes, {}, ["x", "y"], secret, lambda _made: ["w"]
    )
    runtime.run(program)
    mine = runtime.get_var("w")
    if rank == 0:
        shares = [mine]
        for other in (1, 2):
            share = libspu.Share()
            share.meta, share.share_chunks = link.recv(other), [link.recv(other)]
            shares.append(share)
        np.save(folder / "model.npy", io.reconstruct(shares))
    else:
        link.send(0, mine.meta)
        link.send(0, mine.share_chunks[0])
    link.barrier()
    sent = sum(acknowledged(int(name), set(PORTS)) for name in os.listdir("/proc/self/fd"))
    (folder / f"sent-{rank}").write_text(str(sent))
    link.stop_link()


def run_bare(size: tuple[int, ...]) -> tuple[float, int, np.ndarray]:
    """CPU seconds of the three processes, bytes, weights."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        before = _children_s()
        words = [str(one) for one in size]
        parties = [
            subprocess.Popen([sys.executable, __file__, "--bare", str(rank), made, *words])
            for rank in range(3)
        ]
        codes = [party.wait(timeout=300) for party in parties]
        if any(codes):
            raise SystemExit("the bare script failed")
        sent = sum(int((folder / f"sent-{rank}").read_text()) for rank in range(3))
        return _children_s() - before, sent, np.load(folder / "model.npy")


def run_comity(size: tuple[int, ...]) -> tuple[float, int, np.ndarray]:
    """CPU seconds of the engines' processes and of sharing and opening, bytes, weights."""
    rows, columns, batch, steps = size
    scheme = SCHEMES["aby3"]
    training = Training(Kind.logistic, rows, columns, columns, batch=batch, steps=steps)
    shapes = input_shapes(training)
    before, started = _children_s(), time.process_time()
    x, y = table(rows, columns, 1)
    wide = np.column_stack([x, np.ones(rows)])
    inputs = {"rows": x, "labels": y, "products": wide.T @ wide / rows}
    with ExitStack() as stack:
        engines = [stack.enter_context(EngineProcess()) for _ in range(3)]
        parts = {name: split(to_words(inputs[name], BITS), scheme, own=0) for name in shapes}
        session = session_name("bench")
        identities = [SessionIdentity.make(SigningKey.generate(), f"party{at}", session) for at in range(3)]
        addresses = [stack.enter_context(own_address(Path())) for _ in range(3)]
        members = [Member(f"party{at}", addresses[at], identities[at].certificate) for at in range(3)]
        shares: list[Any] = [None] * 3

        def act(rank: int) -> None:
            engine = engines[rank]
            engine.compile(training)
            engine.connect(members, rank, identities[rank], session, scheme)
            for name, shape in shapes.items():
                engine.put(name, held(parts[name][rank], scheme, rank, int(np.prod(shape))), shape)
            shares[rank] = engine.run()

        threads = [threading.Thread(target=act, args=(rank,)) for rank in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        sent = sum(engine.bytes_sent for engine in engines)
        sent += sum(len(data) for part in parts.values() for rank in (1, 2) for data in part[rank].values())
        weights = to_values(opened(shares, scheme), BITS)
    return _children_s() - before + time.process_time() - started, sent, weights[:-1]


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    words = sys.argv[1:]
    if words[:1] == ["--bare"]:
        bare(int(words[1]), Path(words[2]), *(int(word) for word in words[3:]))
        return
    size = tuple(int(word) for word in words) or SIZE
    theirs, ours = run_bare(size), run_comity(size)
    x, y = table(size[0], size[1], 1)
    test, truth = table(size[0], size[1], 2)
    plain = LogisticRegression(C=1.0, max_iter=1000).fit(x, y)
    reference = roc_auc_score(truth, plain.decision_function(test))
    print(
        f"{size[0]:,} x {size[1]}, batch {size[2]}, {size[3]} steps, three parties; plain AUC {reference:.4f}"
    )
    print(f"{'':12}{'CPU-s a party':>16}{'MB in all':>12}{'AUC':>9}{'off plain':>11}")
    for name, (cpu_s, sent, weights) in (("bare SPU", theirs), ("comity", ours)):
        auc = roc_auc_score(truth, test @ weights)
        print(f"{name:12}{cpu_s / 3:>16.2f}{sent / 1e6:>12.1f}{auc:>9.4f}{auc - reference:>+11.4f}")
    print(f"{'ratio':12}{ours[0] / theirs[0]:>16.2f}{ours[1] / theirs[1]:>12.2f}   (at most 1.3 and 1.3)")


if __name__ == "__main__":
    main()
