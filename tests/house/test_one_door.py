"""One door: nothing leaves a party but what the gate issued, and nothing protects but what it should.

The rules are read off the syntax trees of `src/comity`. An exception to a rule is listed with its reason,
and an exception that is no longer used fails too. Each detector is first shown a program that breaks its
rule, so that a detector which sees nothing cannot pass.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[2] / "src"

ISSUED = {"Release", "Share", "Notice", "Refusal"}
NETWORK = {
    "aiohttp",
    "asyncio",
    "ftplib",
    "grpc",
    "http.client",
    "http.server",
    "httpx",
    "requests",
    "smtplib",
    "socket",
    "socketserver",
    "starlette",
    "telnetlib",
    "urllib.request",
    "urllib3",
    "uvicorn",
    "websockets",
    "xmlrpc",
}
UNPICKLERS = {"cloudpickle", "dill", "jsonpickle", "marshal", "pickle", "shelve"}
FORKERS = {"concurrent.futures.process", "multiprocess", "multiprocessing"}
SEEDED = {"BitGenerator", "Generator", "PCG64", "PCG64DXSM", "Philox", "SeedSequence", "SFC64", "default_rng"}


@dataclass(frozen=True)
class Module:
    """A module's dotted name, its tree, and what each of its local names stands for."""

    name: str
    tree: ast.Module
    names: Mapping[str, str]

    @classmethod
    def parse(cls, name: str, text: str) -> Module:
        tree = ast.parse(text)
        names: dict[str, str] = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    bound = alias.asname or alias.name.partition(".")[0]
                    names[bound] = alias.name if alias.asname else bound
            elif isinstance(node, ast.ImportFrom) and node.module:
                for alias in node.names:
                    names[alias.asname or alias.name] = f"{node.module}.{alias.name}"
        return cls(name, tree, names)

    @cached_property
    def nodes(self) -> tuple[ast.AST, ...]:
        """All nodes of the tree: every rule looks at them, so they are walked once."""
        return tuple(ast.walk(self.tree))

    def imports(self) -> Iterator[tuple[str, int]]:
        """Every imported dotted name (`a.b` and, for `from a.b import c`, `a.b.c`) with its line."""
        for node in self.nodes:
            if isinstance(node, ast.Import):
                yield from ((alias.name, node.lineno) for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module:
                yield from ((f"{node.module}.{alias.name}", node.lineno) for alias in node.names)
            elif isinstance(node, ast.Call) and self.meaning(node.func) in (
                "importlib.import_module", "__import__",
            ):  # fmt: skip
                for argument in node.args[:1]:
                    if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                        yield argument.value, node.lineno

    def meaning(self, node: ast.expr) -> str:
        """What an expression names, through imports: `np.random.normal` -> `numpy.random.normal`."""
        if isinstance(node, ast.Name):
            return self.names.get(node.id, node.id)
        if isinstance(node, ast.Attribute):
            return f"{self.meaning(node.value)}.{node.attr}"
        return ""

    def calls(self) -> Iterator[tuple[str, ast.Call]]:
        for node in self.nodes:
            if isinstance(node, ast.Call) and (name := self.meaning(node.func)):
                yield name, node

    def attributes(self) -> Iterator[tuple[str, int]]:
        for node in self.nodes:
            if isinstance(node, ast.Attribute) and (name := self.meaning(node)):
                yield name, node.lineno
            elif isinstance(node, ast.Name) and node.id in self.names:
                yield self.names[node.id], node.lineno


def is_within(name: str, roots: set[str]) -> bool:
    return any(name == root or name.startswith(root + ".") for root in roots)


def house() -> list[Module]:
    """All modules of comity."""
    modules: list[Module] = []
    for path in sorted((SOURCE / "comity").rglob("*.py")):
        parts = path.relative_to(SOURCE).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        modules.append(Module.parse(name, path.read_text(encoding="utf-8")))
    return modules


Detector = Callable[[Module], Iterator[int]]


def seals_for_itself(module: Module) -> Iterator[int]:
    for _, call in module.calls():
        if any(keyword.arg == "own_key" for keyword in call.keywords):
            yield call.lineno


def notifies(module: Module) -> Iterator[int]:
    for name, call in module.calls():
        if name == "comity.gate.notify" or name.rpartition(".")[2] == "send_notice":
            yield call.lineno


def makes_issued(module: Module) -> Iterator[int]:
    for name, call in module.calls():
        *path, last = name.split(".")
        if last in ISSUED and path and path[0] == "comity":
            yield call.lineno


def subclasses_issued(module: Module) -> Iterator[int]:
    for node in module.nodes:
        if isinstance(node, ast.ClassDef):
            bases = {module.meaning(base).rpartition(".")[2] for base in node.bases}
            if bases & (ISSUED | {"Issued", "Outgoing"}):
                yield node.lineno


def opens_network(module: Module) -> Iterator[int]:
    yield from (line for name, line in module.imports() if is_within(name, NETWORK))


def starts_process(module: Module) -> Iterator[int]:
    yield from (line for name, line in module.imports() if is_within(name, {"subprocess", "pty"}))
    yield from (
        line
        for name, line in module.attributes()
        if name.startswith(("os.exec", "os.spawn", "os.posix_spawn")) or name in ("os.system", "os.popen")
    )


def forks(module: Module) -> Iterator[int]:
    yield from (line for name, line in module.imports() if is_within(name, FORKERS))
    yield from (
        line
        for name, line in module.attributes()
        if name in ("os.fork", "os.forkpty") or name.endswith("ProcessPoolExecutor")
    )


def unpickles(module: Module) -> Iterator[int]:
    yield from (line for name, line in module.imports() if is_within(name, UNPICKLERS))
    for name, call in module.calls():
        allows = any(
            word.arg == "allow_pickle"
            and not (isinstance(word.value, ast.Constant) and word.value.value is False)
            for word in call.keywords
        )
        if allows or name in ("joblib.load", "yaml.load", "torch.load") or name.endswith(".read_pickle"):
            yield call.lineno


def runs_text(module: Module) -> Iterator[int]:
    for name, call in module.calls():
        if name in ("eval", "exec", "compile", "__import__") or name.startswith("builtins."):
            yield call.lineno


def changes_path(module: Module) -> Iterator[int]:
    yield from (line for name, line in module.attributes() if name == "sys.path")


def draws_dp_noise(module: Module) -> Iterator[int]:
    yield from (line for name, line in module.imports() if is_within(name, {"opendp"}))


def draws_global_randomness(module: Module) -> Iterator[int]:
    """Global or unseeded generators: neither reproducible nor fit to protect anybody."""
    yield from (line for name, line in module.imports() if is_within(name, {"random"}))
    for name, line in module.attributes():
        *path, last = name.split(".")
        if path == ["numpy", "random"] and last not in SEEDED:
            yield line
    for name, call in module.calls():
        if name.endswith("default_rng") and not call.args and not call.keywords:
            yield call.lineno


def draws_seeded_randomness(module: Module) -> Iterator[int]:
    for name, call in module.calls():
        *path, last = name.split(".")
        if (path == ["numpy", "random"] and last in SEEDED) or last in ("rvs", "train_test_split"):
            yield call.lineno


def draws_secrets(module: Module) -> Iterator[int]:
    yield from (line for name, line in module.imports() if is_within(name, {"secrets"}))
    yield from (
        line
        for name, line in module.attributes()
        if name in ("os.urandom", "os.getrandom", "uuid.uuid4", "random.SystemRandom")
    )


@dataclass(frozen=True)
class Rule:
    """A detector, a program that breaks the rule, and who may (`.*` covers a package), with the reason."""

    detector: Detector
    breaks: str
    may: Mapping[str, str]


RULES: tuple[Rule, ...] = (
    Rule(
        makes_issued,
        "from comity.plan import Release as R\nR(topic='t')",
        {"comity.gate": "the gate is the one door"},
    ),
    Rule(
        subclasses_issued,
        "from comity.wire import Issued\nclass Letter(Issued): ...",
        {
            "comity.wire": "defines what can be sent at all",
            "comity.plan": "defines what the gate issues",
        },
    ),
    Rule(
        seals_for_itself,
        "Plan(own_key=True)",
        {
            "comity.architectures.homomorphic_provider": "rows under the provider's own key",
        },
    ),
    Rule(
        notifies,
        "from comity.architectures.exchange import send_notice\nsend_notice()",
        {
            "comity.architectures.exchange": "hands a protocol's keys and signatures to the gate",
            "comity.architectures.encrypted_compute": "certificates of a session, and a program's digest",
            "comity.architectures.encrypted_provider": "how many rows it is about to share, which is public",
            "comity.architectures.federated_provider": "keys, shares of keys, signatures",
        },
    ),
    Rule(
        opens_network,
        "from urllib.request import urlopen",
        {
            "comity.node.*": "a party's process supplies the Channel",
            "comity.train.encrypted.mesh": "a free port for SPU's connections, and a count of their bytes",
        },
    ),
    Rule(
        starts_process,
        "import subprocess",
        {
            "comity.compare.*": "starts the parties' processes of a pilot",
            "comity.sandbox": "runs somebody's program beside the data, behind walls",
            "comity.train.encrypted.process": "SPU ends its process when a peer is gone",
        },
    ),
    Rule(
        forks,
        "from concurrent.futures import ProcessPoolExecutor\nProcessPoolExecutor()",
        {"comity.cleanroom.block_runner": "inside the sandbox: a process for each block, of one thread"},
    ),
    Rule(unpickles, "import numpy as np\nnp.load(path, allow_pickle=True)", {}),
    Rule(
        runs_text,
        "eval('1')",
        {
            "comity.cleanroom.block_runner": "inside the sandbox: the job itself",
            "comity.cleanroom.whole_runner": "inside the sandbox: the job itself",
        },
    ),
    Rule(changes_path, "import sys\nsys.path.insert(0, '.')", {}),
    Rule(
        draws_dp_noise,
        "def f():\n    from opendp.measurements import make_gaussian",
        {"comity.noise": "all DP noise is drawn here"},
    ),
    Rule(draws_global_randomness, "import numpy as np\nnp.random.normal()", {}),
    Rule(
        draws_seeded_randomness,
        "from numpy.random import default_rng as d\nd(3)",
        {
            "comity.data.split": "splits of a pilot, by --seed",
            "comity.attack.*": "an adversary's samples and controls, by --seed; they protect nobody",
            "comity.compare.inputs": "the sample of rows that a pilot's attacks run on, by --seed",
            "comity.validate.terms": "the sample of public features that a question is designed on",
            "comity.validate.estimate": "draws for intervals, from answers that have left",
            "comity.train.federated.networks": "a model's first weights and the order of rows, by --seed",
            "comity.architectures.federated_attacks": "the candidates that a pilot's attacks run on",
        },
    ),
    Rule(
        draws_secrets,
        "import secrets",
        {
            "comity.crypto.*": "keys and pads come from the operating system",
            "comity.noise": "so does noise",
            "comity.ledger.entries": "salts of the log's leaves",
            "comity.ledger.founding": "the name of a draft file beside the store",
            "comity.deidentify.hierarchies.opaque": "which letter stands for which label",
            "comity.deidentify.columns.pseudonymise": "keys of pseudonyms",
            "comity.compare.measure": "names of sessions",
            "comity.validate.isolation": "a prime that nobody who prepares groupings can foresee",
            "comity.architectures.direct_release": "the key of a provider's pseudonyms, kept in its folder",
        },
    ),
)


def allowed_by(rule: Rule, name: str) -> str | None:
    """The entry of the rule that lets this module pass, if any."""
    for entry in rule.may:
        if name == entry or (entry.endswith(".*") and is_within(name, {entry[:-2]})):
            return entry
    return None


def rule_id(rule: Rule) -> str:
    return rule.detector.__name__


@pytest.fixture(scope="module")
def modules() -> list[Module]:
    found = house()
    assert len(found) > 5
    return found


@pytest.mark.parametrize("rule", RULES, ids=rule_id)
def test_detector_sees_a_breach(rule: Rule) -> None:
    assert list(rule.detector(Module.parse("comity.elsewhere", rule.breaks)))


@pytest.mark.parametrize("rule", RULES, ids=rule_id)
def test_house_keeps_rule(rule: Rule, modules: list[Module]) -> None:
    breaches = [
        f"{module.name}:{line}"
        for module in modules
        if allowed_by(rule, module.name) is None
        for line in sorted(set(rule.detector(module)))
    ]
    assert not breaches, f"{rule_id(rule)} is allowed in {list(rule.may) or 'no module'} only: {breaches}"


@pytest.mark.parametrize("rule", RULES, ids=rule_id)
def test_no_exception_is_stale(rule: Rule, modules: list[Module]) -> None:
    excepted = [(entry, module) for module in modules if (entry := allowed_by(rule, module.name)) is not None]
    used = {entry for entry, module in excepted if any(rule.detector(module))}
    assert set(rule.may) <= used, f"no longer needed: {set(rule.may) - used}"
