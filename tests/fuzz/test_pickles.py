"""Fuzzes the loading of model files in a sandboxed process; PICKLES sets the number of examples (60)."""

from __future__ import annotations

import os
import pickle
import sys
from collections.abc import Callable, Iterator
from functools import cache
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

from tests.fuzz import reader
from tests.fuzz.reader import Outcome
from tests.hands import ARTIFACTS

EXAMPLES = int(os.environ.get("PICKLES", "60"))
MAX_MORE_BYTES = 500_000_000
Read = Callable[[bytes], Outcome]

if sys.platform != "linux":
    pytest.skip("memory usage is read from /proc", allow_module_level=True)


@pytest.fixture(scope="module")
def read() -> Iterator[Read]:
    with reader.start() as function:
        yield function


@pytest.fixture(scope="module")
def largest_good_peak(read: Read) -> int:
    return max(read(content).peak_bytes for content in good_files())


@cache
def good_files() -> list[bytes]:
    """Valid pickles of all kinds of models with compiled code."""
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
    """A valid file with bytes replaced, removed, duplicated or inserted."""
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


# No database: the files change with each version of the classifiers
FUZZ = settings(max_examples=EXAMPLES // 2, database=None, suppress_health_check=[*HealthCheck], deadline=None)


@FUZZ
@given(content=mutated())
def test_mutated_models_are_loaded_or_rejected(read: Read, largest_good_peak: int, content: bytes) -> None:
    assert_harmless(read(content), largest_good_peak)


@FUZZ
@given(content=generated)
def test_generated_pickles_are_rejected(read: Read, largest_good_peak: int, content: bytes) -> None:
    assert_harmless(read(content), largest_good_peak)


def assert_harmless(outcome: Outcome, largest_good_peak: int) -> None:
    assert outcome.code == 0, f"ended by signal {-outcome.code}"
    assert outcome.message
    assert "UNEXPECTED" not in outcome.message, outcome.message
    assert not outcome.opened
    assert outcome.peak_bytes <= largest_good_peak + MAX_MORE_BYTES


def test_valid_files_are_accepted(read: Read) -> None:
    """Otherwise rejecting their mutations would prove nothing."""
    for content in good_files()[:-1]:
        assert read(content).message == "accepted"
