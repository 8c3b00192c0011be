"""Mutated and generated model files, each read in a process of its own: PICKLES=1000 for as many of them."""

from __future__ import annotations

import json
import os
import pickle
import resource
import signal
import sys
import warnings
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from hand_gesture.model import estimators, sandbox
from hand_gesture.model.inspection import InspectionError, ModelFile, Options, Reference, inspect
from tests.hands import ARTIFACTS, REFERENCE

EXAMPLES = int(os.environ.get("PICKLES", "60"))
MAX_MORE_BYTES = 500_000_000
HANDS = Reference(image_size=REFERENCE.image_size, gestures=[*REFERENCE.hands], hands=[*REFERENCE.hands.values()])
OPTIONS = Options(labels=",".join(map(str, range(3))), features="raw_xyz")

if sys.platform != "linux":
    pytest.skip("how much memory a process takes is read as Linux gives it", allow_module_level=True)


@dataclass
class Outcome:
    """How reading a file ended."""

    status: int  # as waitpid has it
    message: str
    opened: list[str]
    peak_bytes: int


def read_in_fork(content: bytes) -> Outcome:
    """Read a file as the import does, with the same limits, and say what it did."""
    estimators.import_all()
    read_end, write_end = os.pipe()
    child = os.fork()
    if not child:
        os.close(read_end)
        os.dup2(write_end, 1)
        opened: list[str] = []
        message = "accepted"
        try:
            warnings.simplefilter("ignore")
            sandbox._limit(len(content))
            sys.addaudithook(lambda event, _: opened.append(event) if event.startswith(sandbox._REFUSED) else None)
            sys.addaudithook(sandbox._refuse)
            inspect(ModelFile("model.pkl", content), None, None, OPTIONS, HANDS)
        except InspectionError as error:
            message = str(error)
        except BaseException as error:  # noqa: BLE001
            message = f"UNEXPECTED {type(error).__name__}: {error}"
        os.write(1, json.dumps([message[:500], opened]).encode())
        os._exit(0)
    os.close(write_end)
    with os.fdopen(read_end, "rb") as pipe:
        output = pipe.read()
    _, status, usage = os.wait4(child, 0)
    message, opened = json.loads(output) if output else ("", [])
    return Outcome(status, message, opened, usage.ru_maxrss * 1024)


@cache
def good_files() -> list[bytes]:
    """Models of each kind that has compiled code of its own."""
    samples, classes = np.random.default_rng(0).normal(size=(40, 63)), np.arange(40) % 3
    models: list[Any] = [
        SVC(),
        KNeighborsClassifier(3),
        RandomForestClassifier(2, max_depth=3),
        HistGradientBoostingClassifier(max_iter=1, max_depth=3),
        make_pipeline(StandardScaler(), LogisticRegression()),
    ]
    for model in models:
        model.fit(samples, classes)
    files = [pickle.dumps(model, protocol) for model in models for protocol in (2, 5)]
    return [*files, (ARTIFACTS / "model.pkl").read_bytes()[:20_000]]


@cache
def largest_good_peak() -> int:
    return max(read_in_fork(content).peak_bytes for content in good_files())


NAMES = sorted(f"{module} {name}" for module, name in estimators.CLASSES if module.startswith("sklearn"))
OPCODES = st.sampled_from(
    [
        *(b"(", b"t", b"R", b"b", b"s", b"}", b"]", b"a", b"e", b"u", b")", b"\x81", b"\x92", b"2", b"0", b"1", b"N"),
        *(
            b"\x85",
            b"\x86",
            b"\x87",
            b"\x94",
            b"h\x00",
            b"h\x01",
            b"q\x00",
            b"I1000000000\n",
            b"I2\n",
            b"I-1\n",
            b"\x88",
        ),
        *(b"S'V1500000000'\n", b"S'O'\n", b"S'f8'\n", b"S'classes_'\n", b"S'tree_'\n", b"F1e300\n", b"C\x04abcd", b"o"),
        *(b"cnumpy\ndtype\n", b"cnumpy\nndarray\n", b"cnumpy._core.multiarray\n_reconstruct\n", b"\x90", b"\x91", b"d"),
        *(b"cnumpy._core.multiarray\nscalar\n", b"cnumpy._core.numeric\n_frombuffer\n", b"cbuiltins\nbytearray\n"),
        *(b"cjoblib.numpy_pickle\nNumpyArrayWrapper\n", b"cposix\nsystem\n", b"cbuiltins\nopen\n", b"S'/etc/passwd'\n"),
        *(b"csklearn.tree._tree\nTree\n", b"csklearn.svm._classes\nSVC\n", b"ccopyreg\n_reconstructor\n"),
    ]
)
generated = st.lists(OPCODES, max_size=60).map(lambda parts: b"\x80\x04" + b"".join(parts) + b".")


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A good file with some bytes changed, cut out, doubled or moved."""
    content = bytearray(draw(st.sampled_from(good_files())))
    for _ in range(draw(st.integers(1, 6))):
        start = draw(st.integers(0, len(content)))
        kind = draw(st.sampled_from(["set", "number", "cut", "double", "opcode"]))
        if kind == "set":
            content[start : start + 1] = draw(st.binary(min_size=1, max_size=3))
        elif kind == "number":
            value = draw(st.sampled_from([0, 1, -1, 2**31 - 1, -(2**31), 2**63 - 1, 50_000_000]))
            size = 8 if value > 2**31 else 4
            content[start : start + size] = value.to_bytes(size, "little", signed=True)
        elif kind == "cut":
            del content[start : start + draw(st.integers(1, 100))]
        elif kind == "double":
            content[start:start] = content[start : start + draw(st.integers(1, 100))]
        else:
            content[start:start] = draw(OPCODES)
    return bytes(content)


def assert_harmless(content: bytes) -> None:
    outcome = read_in_fork(content)
    end = f"signal {os.WTERMSIG(outcome.status)}" if os.WIFSIGNALED(outcome.status) else "no signal"
    assert os.WIFEXITED(outcome.status), end
    assert "UNEXPECTED" not in outcome.message, outcome.message
    assert outcome.message
    assert not outcome.opened
    assert outcome.peak_bytes <= largest_good_peak() + MAX_MORE_BYTES


# Each example forks: shrinking a failure is worth it, keeping what passed is not
FUZZ = settings(max_examples=EXAMPLES // 2, database=None, suppress_health_check=[*HealthCheck], deadline=None)


@FUZZ
@given(mutated())
def test_a_mutated_model_is_read_or_refused(content: bytes) -> None:
    assert_harmless(content)


@FUZZ
@given(generated)
def test_a_generated_pickle_is_refused(content: bytes) -> None:
    assert_harmless(content)


def test_good_files_are_accepted() -> None:
    """Else the mutations would say nothing."""
    for content in good_files()[:-1]:
        assert read_in_fork(content).message == "accepted"


def test_the_limits_hold() -> None:
    """Memory, files and sockets are out of reach of whoever gets past the unpickler."""
    outcomes = {}
    for name, act in {
        "memory": lambda: bytearray(2_000_000_000),
        "file": lambda: os.open("/etc/hostname", os.O_RDONLY),
        "socket": lambda: __import__("socket").socket(),
    }.items():
        child = os.fork()
        if not child:
            sandbox._limit(0)
            try:
                act()
            except (MemoryError, OSError):
                os._exit(7)
            os._exit(0)
        outcomes[name] = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert outcomes == dict.fromkeys(("memory", "file", "socket"), 7)
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] > 0
    assert signal.getsignal(signal.SIGINT) is not None
    assert Path("/etc/hostname").exists()
