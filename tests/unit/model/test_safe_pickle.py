"""Malicious pickles, and classifiers with an inconsistent state."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections import OrderedDict, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
import sklearn
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.multiclass import OneVsRestClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import QuantileTransformer, StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier
from sklearn.tree._tree import Tree

from hand_gesture.model import estimators
from hand_gesture.model.safe_pickle import Placeholder, UnsafePickleError
from tests.hands import ARTIFACTS, PROJECT

ARRAY = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntVb\ntR"
SAMPLES = np.random.default_rng(0).normal(size=(60, 63))
CLASSES = np.arange(60) % 3


class Hostile:
    """Pickles to a call of the given function."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.function, self.arguments = function, arguments

    def __reduce__(self) -> Any:
        return self.function, self.arguments


def read(content: object) -> Any:
    value, _ = estimators.read(content if isinstance(content, bytes) else pickle.dumps(content))
    return value


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("function", [os.system, eval, np.load, __import__])
def test_functions_in_a_pickle_are_not_called(function: Any, protocol: int) -> None:
    value = read(pickle.dumps([Hostile(function, "touch ran")], protocol))[0]
    assert isinstance(value, Placeholder)
    assert value.name.endswith(function.__name__)
    assert not Path("ran").exists()
    with pytest.raises(UnsafePickleError, match="is not supported"):
        estimators.prepare(value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"# A text", "it is not a pickle, or damaged$"),
        (b"", "truncated"),
        (b"\x80\x05\x96\xff\xff\xff\xff\xff\xff\xff\x7f.", "truncated"),
        (Hostile(np.zeros(1).__reduce__()[0], np.ndarray, (10**13,), b"b"), None),
        (Hostile(bytearray, 10**13), "invalid call of bytearray"),
        (Hostile(bytes, 10**13), "invalid call of bytes"),
        (b"cnumpy\ndtype\n(S'V1500000000'\ntR.", "unsupported type 'V1500000000'"),
        (b"cnumpy\ndtype\n(S'V0'\nI0\nI1\ntR(I3\nS'|'\nNNNI-1\nI-1\nI0\ntb.", "invalid array type"),
        (b"cbuiltins\nset\n((((ttttR.", "invalid call of set"),
        (b"}((ttI1\ns.", "sets items of a dict"),  # hashing nested tuples could exhaust the stack
        (b"cnumpy\nndarray\n(I1\ntR.", "calls something that is not a function"),
        (b"(I99999999999999\nibuiltins\nbytearray\n.", "invalid call of bytearray"),
        (b"(cbuiltins\nbytearray\nI9999999999999\no.", "invalid call of bytearray"),
        (b"\x80\x02\x82\x01.", "copyreg's code 1"),
        (b"csklearn.svm._classes\nSVC\n(I1\ntR.", "creates a SVC with arguments"),
        (b"csklearn.svm._classes\nSVC\n)\x81}S'predict'\nI1\nsb.", "overrides a method of SVC"),
        (b"csklearn.svm._classes\nSVC\n)\x81}S'__class__'\nI1\nsb.", "overrides a method of SVC"),
        (b"csklearn.tree._tree\nTree\n(I9\nI9\nI9\ntR.", "a tree with invalid arguments"),
        (b"c__builtin__\nbytes\n((lI1\naVa\natR.", "invalid call of bytes"),
        (b"c__builtin__\nbytes\n(I1\nI1\ntR.", "cannot be read as a pickle"),
        (b"c__builtin__\nbytearray\n(Va\nVutf-16\ntR.", "invalid call of codecs.encode"),
        (b"c_codecs\nencode\n(I1\nVlatin1\ntR.", "invalid call of codecs.encode"),
        (b"c_codecs\nencode\n(Va\nVutf-16\ntR.", "invalid call of codecs.encode"),
        (b"c__builtin__\nset\n(Vabc\ntR.", "invalid call of set"),
        (b"c__builtin__\nslice\n(tR.", "invalid call of slice"),
        (b"c__builtin__\nslice\n(I1\nI1\nI1\nI1\ntR.", "invalid call of slice"),
        (b"c__builtin__\nslice\n(Va\ntR.", "invalid call of slice"),
        (b"ccollections\nOrderedDict\n((ltR.", "invalid call of OrderedDict"),
        (b"(lI1\nI2\ns.", "sets items of a list"),
        (b"}(I1\nu.", "sets items of a dict"),
        (b"}(cmine\nModel\ntI1\ns.", "sets items of a dict"),
        (b"}cmine\nModel\nI1\ns.", "sets items of a dict"),
        (b"cnumpy._core.numeric\n_frombuffer\n(C\x01acnumpy\ndtype\n(Vf8\ntR(I1\ntVC\ntR.", "size does not match"),
        (b"cnumpy._core.numeric\n_frombuffer\n(](I1\necnumpy\ndtype\n(Vi1\ntR(I1\ntVC\ntR.", "size does not match"),
        (b"cnumpy._core.multiarray\nscalar\n(cnumpy\ndtype\n(Vi1\ntRC\x00tR.", "size does not match its data"),
        (b"cnumpy._core.multiarray\nscalar\n(cnumpy\ndtype\n(Vi1\ntRI1\ntR.", "size does not match its data"),
        (b"cnumpy._core.multiarray\nscalar\n(cnumpy\ndtype\n(VO8\ntRC\x08abcdefghtR.", "unsupported type"),
        (b"(((ttI1\nd.", "sets items of a dict"),
        (b"}I1\na.", "appends to a dict"),
        (b"](I1\n\x90.", "adds items to a list"),
        (b"\x8f(((tt\x90.", "adds items to a set"),
        (b"(((tt\x91.", "invalid call of set"),
        (b"c__builtin__\nset\n(tR}b.", "sets the state of a set"),
        (b"c__builtin__\nset\nI1\nR.", "a call with invalid arguments"),
        (b"c__builtin__\nset\n(I1\nI2\ntR.", "a call with invalid arguments"),
        (b"I1\n(tR.", "calls something that is not a function"),
        (b"ccopy_reg\n_reconstructor\n(csklearn.svm._classes\nSVC\nc__builtin__\nset\nNtR.", "call of copyreg"),
        (b"csklearn.svm._classes\nSVC\n)}Va\nI1\ns\x92.", "creates an object with arguments"),
        (b"csklearn.svm._classes\nSVC\n)\x81](I1\neb.", "a SVC with an invalid state"),
        (b"csklearn.svm._classes\nSVC\n)\x81}I1\nI1\nsb.", "overrides a method of SVC"),
    ],
)
def test_malicious_pickles_are_rejected(content: object, message: str | None) -> None:
    if message is None:
        read(content)  # harmless: nothing is allocated
        return
    with pytest.raises(UnsafePickleError, match=message):
        read(content)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"c__builtin__\nbytes\n((lI1\naI255\natR.", b"\x01\xff"),
        (b"c__builtin__\nbytes\n(tR.", b""),
        (b"c__builtin__\nbytearray\n(V\\u00ff\nVlatin-1\ntR.", bytearray(b"\xff")),
        (b"c__builtin__\nbytearray\n(tR.", bytearray()),
        (b"c_codecs\nencode\n(V\\u00ff\nVlatin1\ntR.", b"\xff"),
        (b"c__builtin__\nset\n(tR.", set()),
        (b"c__builtin__\nset\n((I1\nVa\nttR.", {1, "a"}),
        (b"\x8f((I1\nVa\nt\x90.", {(1, "a")}),
        (b"((I1\nNt\x91.", frozenset({(1, None)})),
        (b"c__builtin__\nslice\n(I5\ntR.", slice(5)),
        (b"c__builtin__\nslice\n(NI5\nI2\ntR.", slice(None, 5, 2)),
        (b"(Va\nI1\nd.", {"a": 1}),
        (b"(i__builtin__\nset\n.", set()),
        (b"(c__builtin__\nset\no.", set()),
        (b"cnumpy.core.multiarray\nscalar\n(cnumpy\ndtype\n(Vi1\ntRV\x07\ntR.", np.int8(7)),
        (b"cnumpy.core.multiarray\nscalar\n(cnumpy\ndtype\n(Vu1\ntRV\\u00ff\ntR.", np.uint8(255)),
    ],
)
def test_calls_that_old_versions_of_python_wrote_are_supported(content: bytes, expected: object) -> None:
    value = read(content)
    assert (type(value), value) == (type(expected), expected)


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (b"cmine\nmake\n(cmine\nModel\ntR.", "mine.make"),
        (b"cbuiltins\ngetattr\n(cmine\nModel\nVmethod\ntR.", "mine.Model"),  # a method becomes its class
        (b"cbuiltins\ngetattr\n(I1\nVreal\ntR.", "builtins.getattr"),
        (b"cbuiltins\ngetattr\n(tR.", "builtins.getattr"),
    ],
)
def test_other_functions_become_placeholders(content: bytes, name: str) -> None:
    value = read(content[:-1] + b"}Va\nI1\nsb(I1\neI2\naVb\nI3\ns.")
    assert isinstance(value, Placeholder)
    assert (value.name, value.state) == (name, {"a": 1})


@pytest.mark.parametrize("module", [b"copyreg", b"copy_reg"])
def test_objects_of_old_protocols_are_created(module: bytes) -> None:
    content = (
        b"c" + module + b"\n_reconstructor\n(csklearn.preprocessing._data\nStandardScaler\nc__builtin__\nobject\nNtR."
    )
    assert type(read(content)) is StandardScaler


def test_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "xgboost.sklearn", None)  # as if it were not installed
    message = r"^it needs xgboost\.sklearn\.XGBClassifier, which is not installed; install xgboost$"
    with pytest.raises(UnsafePickleError, match=message):
        read(b"cxgboost.sklearn\nXGBClassifier\n.")


@pytest.mark.parametrize("protocol", range(6))
def test_estimators_are_loaded_with_every_protocol(protocol: int) -> None:
    scaler = StandardScaler().fit(SAMPLES)
    loaded = estimators.prepare(read(pickle.dumps(scaler, protocol)))
    assert np.array_equal(loaded.transform(SAMPLES), scaler.transform(SAMPLES))


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6.0).reshape(2, 3),
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.array(["a", "bc"]),
        np.array([[1, None], ["a", 2.5]], dtype=object),
        np.zeros((0, 3)),
        np.array(7, dtype=np.int8),
    ],
)
def test_arrays_of_joblib_are_read(tmp_path: Path, array: NDArray[Any]) -> None:
    joblib.dump({"first": array, "second": [array, "text"]}, tmp_path / "arrays.pkl")
    content = (tmp_path / "arrays.pkl").read_bytes()
    loaded = read(content)
    for read_array in (loaded["first"], loaded["second"][0]):
        assert np.array_equal(read_array, array)
        assert (read_array.dtype, read_array.shape) == (array.dtype, array.shape)
    assert loaded["second"][1] == "text"
    read_array[...] = read_array  # it can be written to
    for end in range(1, len(content) - 1, 5):
        with pytest.raises(UnsafePickleError):
            read(content[:end])


def dtype(code: bytes, *states: bytes) -> bytes:
    """A pickle of a type of NumPy, and tuples that set its state."""
    return b"cnumpy\ndtype\n(V" + code + b"\ntR" + b"".join(b"(" + state + b"tb" for state in states)


def array(shape: bytes, kind: bytes, data: bytes) -> bytes:
    """A pickle of an array."""
    return ARRAY + b"(I1\n" + shape + kind + b"I00\n" + data + b"tb."


END = b"I-1\nI-1\nI0\n"  # size, alignment and flags of a type without fields
BYTE = dtype(b"i1")
TWO = dtype(b"V2", b"I3\nV|\nN(Va\nVb\nt}Va\n(" + BYTE + b"I1\ntsVb\n(" + BYTE + b"I0\ntsI2\nI1\nI0\n")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (array(b"I1\n", BYTE, b"C\x01\x07"), np.array([7], dtype=np.int8)),
        (array(b"(I1\nI1\nI1\nI1\nI1\nI1\nI1\nI1\nt", BYTE, b"C\x01\x07"), np.full((1,) * 8, 7, dtype=np.int8)),
        (array(b"(I1\nt", BYTE, b"\x96\x01" + bytes(7) + b"\x07"), np.array([7], dtype=np.int8)),
        (array(b"(I1\nt", dtype(b"i1", b"I3\nV=\nNNN" + END), b"C\x01\x07"), np.array([7], dtype=np.int8)),
        (array(b"(I1\nt", dtype(b"i1", b"I3\nV|\nNNN" + END + b"N"), b"C\x01\x07"), np.array([7], dtype=np.int8)),
        (array(b"(I1\nt", TWO, b"C\x02\x07\x08"), np.array([(8, 7)], dtype=[("a", "i1"), ("b", "i1")])),
        (array(b"(I1\nt", dtype(b"O8"), b"](Va\ne"), np.array(["a"], dtype=object)),
    ],
)
def test_arrays_of_every_kind_are_read(content: bytes, expected: NDArray[Any]) -> None:
    loaded = read(content)
    assert loaded.shape == expected.shape
    assert loaded.tolist() == expected.tolist()


def structure(fields: bytes, names: bytes = b"(Va\nt", size: bytes = b"I2\n") -> bytes:
    return dtype(b"V2", b"I3\nV|\nN" + names + fields + size + b"I1\nI0\n")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (array(b"(I2\nt", BYTE, b"C\x01\x07"), "an array whose size does not match its data"),
        (array(b"(I1\nt", BYTE, b"I7\n"), "an array whose size does not match its data"),
        (array(b"(I-1\nt", BYTE, b"C\x01\x07"), "an array with an invalid shape"),
        (array(b"(VA\nt", BYTE, b"C\x01\x07"), "an array with an invalid shape"),
        (array(b"](I1\ne", BYTE, b"C\x01\x07"), "an array with an invalid shape"),
        (array(b"(" + b"I1\n" * 9 + b"t", BYTE, b"C\x01\x07"), "an array with an invalid shape"),
        (array(b"(I1\nt", dtype(b"O8"), b"C\x08abcdefgh"), "an array of an unsupported type"),
        (array(b"(I2\nt", dtype(b"O8"), b"](Va\ne"), "an invalid array"),
        (array(b"(I1\nt", b"N", b"C\x01\x07"), "an array of an unsupported type"),
        (array(b"(I1\nt", dtype(b"U0"), b"C\x00"), "an array of an unsupported type"),
        (array(b"(I1\nt", dtype(b"V2"), b"C\x02ab"), "an array of an unsupported type"),
        (dtype(b"i4", b"I3\nV>\nNNN" + END), "arrays were written on a big-endian machine"),
        (dtype(b"i4", b"I3\nV?\nNNN" + END), "an invalid array type"),
        (dtype(b"i4", b"I3\nV<\nI1\nNN" + END), "an invalid array type"),
        (dtype(b"i4", b"I3\nV<\nN(Va\ntN" + END), "an invalid array type"),
        (dtype(b"i4", b"I3\nV<\nNN}Va\nI1\ns" + END), "an invalid array type"),
        (dtype(b"i4", b"I3\nV<\n"), "an invalid array type"),
        (dtype(b"i4", b"I3\nV<\nNNN" + END + b"NN"), "an invalid array type"),
        (dtype(b"i4") + b"](I1\neb.", "an invalid array type"),
        (structure(b"N"), "an invalid array type"),
        (structure(b"}", names=b"]"), "an invalid array type"),
        (structure(b"}", size=b"I3\n"), "an invalid array type"),
        (structure(b"}Va\n(" + BYTE + b"I-1\nts"), "an invalid array type"),
        (structure(b"}Va\n(" + BYTE + b"I2\nts"), "an invalid array type"),
        (structure(b"}Va\n(" + BYTE + b"V0\nts"), "an invalid array type"),
        (structure(b"}Va\n(" + dtype(b"f8") + b"I0\nts"), "an invalid array type"),
        (structure(b"}Va\n(" + dtype(b"O8") + b"I0\nts"), "an array of an unsupported type"),
        (TWO + TWO.partition(b"tR")[2], "an invalid array type"),
    ],
)
def test_arrays_with_invalid_types_or_sizes_are_rejected(content: bytes, message: str) -> None:
    with pytest.raises(UnsafePickleError, match=f"^it(s| has) {message}$"):
        read(content + b".")


def test_state_of_an_object_may_have_an_empty_second_part() -> None:
    scaler = b"csklearn.preprocessing._data\nStandardScaler\n)\x81"
    assert vars(read(scaler + b"(}Va\nI1\nsNtb.")) == {"a": 1}
    for state in (b"(}Va\nI1\nsI1\nt", b"(}NNt", b"(NNt", b"(t"):
        with pytest.raises(UnsafePickleError, match=r"^it has a StandardScaler with an invalid state$"):
            read(scaler + state + b"b.")
    with pytest.raises(UnsafePickleError, match=r"^it overrides a method of StandardScaler$"):
        read(scaler + b"}V__doc__\nI1\nsb.")


def test_versions_of_scikit_learn_are_found() -> None:
    scaler = StandardScaler().fit(SAMPLES)
    other = pickle.dumps(scaler, 0).replace(f"V{sklearn.__version__}".encode(), b"V1.2.3")
    assert estimators.read(pickle.dumps(scaler))[1] == {sklearn.__version__}
    assert estimators.read(other)[1] == {"1.2.3"}
    unknown = b"csklearn.preprocessing._data\nStandardScaler\n)\x81}V_sklearn_version\nI1\nsb."
    assert estimators.read(unknown)[1] == set()


def test_estimators_in_an_array_of_joblib_are_read(tmp_path: Path) -> None:
    boosting = GradientBoostingClassifier(n_estimators=2).fit(SAMPLES, CLASSES)
    array = in_array(StandardScaler().fit(SAMPLES))
    joblib.dump([boosting, array, boosting], tmp_path / "models.pkl")
    loaded = estimators.prepare(read((tmp_path / "models.pkl").read_bytes()))
    assert np.array_equal(loaded[0].predict_proba(SAMPLES), boosting.predict_proba(SAMPLES))
    assert np.array_equal(loaded[1][0].transform(SAMPLES), array[0].transform(SAMPLES))
    joblib.dump(array, tmp_path / "array.pkl")
    assert estimators.read((tmp_path / "array.pkl").read_bytes())[1] == {sklearn.__version__}


def of_joblib(dtype: bytes, shape: bytes, rest: bytes = b"") -> bytes:
    """A pickle of an array of bytes that joblib wrote, with other metadata."""
    state = b"}Vdtype\ncnumpy\ndtype\n(V" + dtype + b"\ntRsVshape\n" + shape + b"sVnumpy_array_alignment_bytes\nI16\ns"
    return b"cjoblib.numpy_pickle\nNumpyArrayWrapper\n)\x81" + state + b"b" + rest


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (of_joblib(b"i1", b"(I2\nt", b"\x00\x01"), "size does not match its data"),
        (of_joblib(b"i1", b"(I2\nt", b"\x09\x01"), "size does not match its data"),
        (of_joblib(b"i1", b"(I2\nt"), "size does not match its data"),
        (of_joblib(b"f8", b"(I999999999999\nt", b"\x00" + bytes(16)), "size does not match its data"),
        (of_joblib(b"i1", b"(I-1\nt", b"\x00\x01."), "an array with an invalid shape"),
        (of_joblib(b"i1", b"(VA\nt", b"\x00\x01."), "an array with an invalid shape"),
        (of_joblib(b"i1", b"(" + b"I1\n" * 9 + b"t", b"\x00\x01."), "an array with an invalid shape"),
        (of_joblib(b"O8", b"(I1\nt", b"I1\n."), "an invalid joblib array"),
        (of_joblib(b"O8", b"(I1\nt") * 200, "too many nested pickles"),
        (b"cjoblib.numpy_pickle\nNumpyArrayWrapper\n)\x81I1\nb.", "an invalid joblib array"),
    ],
)
def test_invalid_arrays_of_joblib_are_rejected(content: bytes, message: str) -> None:
    assert read(of_joblib(b"i1", b"(I2\nt", b"\x03abc\x01\x02.")).tolist() == [1, 2]
    with pytest.raises(UnsafePickleError, match=message):
        read(content)


STATE = b"(I1\n(I1\ntcnumpy\ndtype\n(Vi1\ntRI00\nC\x01\x07t"
EMPTY = b"(I1\n(I0\ntcnumpy\ndtype\n(Vf8\ntRI00\nC\x00t"


@pytest.mark.parametrize("state", [STATE + b"b" + STATE, EMPTY + b"b" + EMPTY, STATE[:-1] + b"l", b"(I1\nt", b"N"])
def test_invalid_states_of_arrays_are_rejected(state: bytes) -> None:
    assert read(ARRAY + STATE + b"b.").tolist() == [7]
    with pytest.raises(UnsafePickleError, match=r"^it has an invalid array$"):
        read(ARRAY + state + b"b.")


@pytest.mark.parametrize("protocol", range(6))
def test_dictionaries_of_other_types_are_loaded(protocol: int) -> None:
    ordered, default = OrderedDict(b=1, a=2), defaultdict(int, {"a": 1})
    loaded = read(pickle.dumps([ordered, default], protocol))
    assert [[*values.items()] for values in loaded] == [[("b", 1), ("a", 2)], [("a", 1)]]


@pytest.mark.parametrize("protocol", range(6))
def test_containers_are_loaded_with_every_protocol(protocol: int) -> None:
    content = [{1, 2}, frozenset({"a"}), bytearray(b"\xff\0"), slice(1, 2), np.eye(2), np.float32(1), {"a": (1,)}]
    content += [np.array(["a", "bc"]), np.array([1, None], dtype=object), b"\xff\0", np.asfortranarray(np.eye(3, 2))]
    content += [np.arange(6.0).reshape(2, 3), np.asfortranarray(np.arange(6.0).reshape(2, 3)), np.zeros((0, 3))]
    assert str(read(pickle.dumps(content, protocol))) == str(content)


CLASSIFIERS = [
    MLPClassifier((4,), max_iter=200),
    GradientBoostingClassifier(n_estimators=2),
    HistGradientBoostingClassifier(max_iter=2),
    KNeighborsClassifier(3),
    KNeighborsClassifier(3, algorithm="brute", weights="distance"),
    RandomForestClassifier(3),
    ExtraTreesClassifier(3),
    AdaBoostClassifier(n_estimators=3),
    BaggingClassifier(n_estimators=3),
    LinearDiscriminantAnalysis(),
    SVC(probability=True),
    make_pipeline(StandardScaler(), PCA(9), LogisticRegression()),
    make_pipeline(QuantileTransformer(n_quantiles=9, output_distribution="normal"), SGDClassifier(loss="log_loss")),
    OneVsRestClassifier(LogisticRegression()),
    VotingClassifier([("a", GaussianNB()), ("b", LogisticRegression())], voting="soft"),
    StackingClassifier([("a", GaussianNB()), ("b", LogisticRegression())], cv=2),
]


@pytest.mark.parametrize("classifier", CLASSIFIERS, ids=lambda classifier: type(classifier).__name__)
@pytest.mark.parametrize("write", ["joblib", "pickle 2", "pickle 5"])
@pytest.mark.filterwarnings("ignore")  # accuracy does not matter here
def test_supported_classifiers_predict_the_same_after_loading(tmp_path: Path, classifier: Any, write: str) -> None:
    classifier.fit(SAMPLES, CLASSES)
    if write == "joblib":
        joblib.dump(classifier, tmp_path / "model.pkl")
        content = (tmp_path / "model.pkl").read_bytes()
    else:
        content = pickle.dumps(classifier, int(write[-1]))
    again = estimators.prepare(read(content))
    assert again.predict_proba(SAMPLES) == pytest.approx(classifier.predict_proba(SAMPLES), abs=1e-12)
    reloaded = estimators.prepare(read(pickle.dumps(again, 5)))
    assert np.array_equal(reloaded.predict_proba(SAMPLES), again.predict_proba(SAMPLES))


@pytest.mark.parametrize(
    ("classifier", "classes"),
    [
        (KNeighborsClassifier(1, algorithm="kd_tree", metric="manhattan", leaf_size=1), 3),
        (KNeighborsClassifier(3, algorithm="kd_tree", p=3, leaf_size=20), 3),
        (KNeighborsClassifier(3, algorithm="ball_tree", metric="chebyshev", leaf_size=20_000), 3),
        (KNeighborsClassifier(3, algorithm="brute", p=3), 3),
        (GradientBoostingClassifier(n_estimators=2), 2),
        (GradientBoostingClassifier(n_estimators=2, loss="exponential"), 2),
        (GradientBoostingClassifier(n_estimators=2), 4),
        (HistGradientBoostingClassifier(max_iter=2), 2),
        (HistGradientBoostingClassifier(max_iter=2), 4),
        (DecisionTreeClassifier(min_samples_split=100), 3),  # a single node
        (RandomForestClassifier(2, max_depth=2), 2),
        (MLPClassifier((4, 3), max_iter=5), 2),
        (SVC(probability=True, degree=0), 2),
    ],
    ids=lambda value: value if isinstance(value, int) else type(value).__name__,
)
@pytest.mark.filterwarnings("ignore")  # accuracy does not matter here
def test_search_trees_and_other_numbers_of_classes(classifier: Any, classes: int) -> None:
    classifier.fit(SAMPLES, np.arange(60) % classes)
    again = estimators.prepare(read(pickle.dumps(classifier)))
    new = np.random.default_rng(1).normal(size=(60, 63))
    assert again.predict_proba(new) == pytest.approx(classifier.predict_proba(new), abs=1e-12)
    if isinstance(classifier, KNeighborsClassifier):
        assert type(again._tree) is type(classifier._tree)


@pytest.mark.parametrize("loss", ["log_loss", "exponential"])
def test_attributes_that_older_versions_lack_are_added(loss: str) -> None:
    classifier = GradientBoostingClassifier(n_estimators=2, loss=loss).fit(SAMPLES, CLASSES % 2)
    expected = classifier.predict_proba(SAMPLES)
    for name in ("_loss", "n_trees_per_iteration_", "ccp_alpha"):
        del vars(classifier)[name]
    again = estimators.prepare(read(pickle.dumps(classifier)))
    assert again.predict_proba(SAMPLES) == pytest.approx(expected, abs=1e-12)
    assert again.get_params()["ccp_alpha"] == 0


def test_every_nested_estimator_is_found_once() -> None:
    scaler, bayes, logistic, tree = StandardScaler(), GaussianNB(), LogisticRegression(), DecisionTreeClassifier()
    pipeline = Pipeline([("scaler", scaler), ("vote", VotingClassifier([("a", bayes), ("b", logistic), ("c", bayes)]))])
    found = [*estimators.walk(pipeline)]
    assert found[0] is pipeline
    assert sorted(map(name_of, found)) == sorted(map(name_of, [pipeline, scaler, pipeline[1], bayes, logistic]))
    array = np.array([bayes, tree], dtype=object)
    itself: list[Any] = [array, {"a": scaler}, (logistic, [bayes]), np.zeros(3), "text"]
    itself.append(itself)
    assert sorted(map(name_of, estimators.walk(itself))) == sorted(map(name_of, [bayes, tree, scaler, logistic]))


def name_of(estimator: Any) -> str:
    return type(estimator).__name__


def test_parameters_that_slow_predictions_down_or_print_are_reset() -> None:
    classifier = RandomForestClassifier(2, n_jobs=-1, verbose=2, warm_start=True).fit(SAMPLES, CLASSES)
    pipeline = Pipeline([("forest", classifier)], memory="folder", verbose=True)
    again = estimators.prepare(read(pickle.dumps(pipeline)))
    assert (again.memory, again.verbose) == (None, 0)
    forest = again.named_steps["forest"]
    assert (forest.n_jobs, forest.verbose, forest.warm_start) == (None, 0, False)


def changed(classifier: Any, **attributes: Any) -> Any:
    """A fitted classifier with modified attributes."""
    vars(classifier).update(attributes)
    return classifier


def svc(**attributes: Any) -> Any:
    return changed(SVC().fit(SAMPLES, CLASSES), **attributes)


def neighbors(**attributes: Any) -> Any:
    return changed(KNeighborsClassifier().fit(SAMPLES, CLASSES), **attributes)


def histogram(**fields: Any) -> Any:
    classifier = HistGradientBoostingClassifier(max_iter=1).fit(SAMPLES, CLASSES)
    for name, value in fields.items():
        classifier._predictors[0][0].nodes[name][0] = value
    return classifier


def forest_of(**attributes: Any) -> Any:
    return changed(RandomForestClassifier(2, random_state=0).fit(SAMPLES, CLASSES), **attributes)


def boosting(**attributes: Any) -> Any:
    return changed(GradientBoostingClassifier(n_estimators=1, random_state=0).fit(SAMPLES, CLASSES), **attributes)


def tree_of(**attributes: Any) -> Any:
    return changed(DecisionTreeClassifier(random_state=0).fit(SAMPLES, CLASSES), **attributes)


def network(**attributes: Any) -> Any:
    return changed(MLPClassifier((4,), max_iter=5, random_state=0).fit(SAMPLES, CLASSES), **attributes)


class _Pickler(pickle.Pickler):
    """Writes trees with modified nodes or leaves."""

    def __init__(self, file: Any, **fields: Any) -> None:
        super().__init__(file, 5)
        self._fields = fields

    def reducer_override(self, value: Any) -> Any:
        if type(value) is not Tree:
            return NotImplemented
        make, arguments, state = value.__reduce__()
        nodes = state["nodes"].copy()
        for name, new in self._fields.items():
            if name in nodes.dtype.names:
                nodes[name][0] = new
            else:
                state = state | {name: new(state[name]) if callable(new) else new}
        return make, arguments, state | {"nodes": nodes}


def forest(tmp_path: Path, **fields: Any) -> bytes:
    with (tmp_path / "forest.pkl").open("wb") as file:
        _Pickler(file, **fields).dump(RandomForestClassifier(2, random_state=0).fit(SAMPLES, CLASSES))
    return (tmp_path / "forest.pkl").read_bytes()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"left_child": 50_000_000}, "point outside of it"),
        ({"right_child": 0}, "point outside of it"),
        ({"left_child": -2}, "point outside of it"),
        ({"left_child": -1}, "point outside of it"),
        ({"feature": 63}, "invalid feature indices"),
        ({"threshold": np.nan}, "thresholds are not numbers"),
        ({"node_count": 10**6}, "size does not match"),
        ({"values": np.zeros((1, 1, 3))}, "leaves are not numbers"),
        ({"values": lambda values: values.tolist()}, "leaves are not numbers"),
        ({"values": lambda values: values + np.inf}, "leaves are not numbers"),
        ({"values": lambda values: values.astype(np.float32)}, "leaves are not numbers"),
        ({"values": lambda values: -values}, "leaves are not probabilities"),
        ({"values": lambda values: 0 * values}, "leaves are not probabilities"),
        ({"max_depth": -1}, "size does not match"),
        ({"max_depth": 10**6}, "size does not match"),
        ({"node_count": 0}, "size does not match"),
        ({"feature": -1}, "invalid feature indices"),
        ({"right_child": -1}, "point outside of it"),
    ],
)
def test_trees_with_invalid_indices_are_rejected(tmp_path: Path, fields: dict[str, Any], message: str) -> None:
    with pytest.raises(UnsafePickleError, match=message):
        estimators.prepare(read(forest(tmp_path, **fields)))


def in_array(value: object) -> NDArray[Any]:
    array = np.empty(1, dtype=object)
    array[0] = value
    return array


@pytest.mark.parametrize("wrap", [lambda value: [value], lambda value: (value,), lambda value: {"a": value}, in_array])
def test_nesting_is_limited(wrap: Callable[[Any], Any]) -> None:
    value: Any = "innermost"
    for _ in range(31):
        value = wrap(value)
    estimators.prepare(value)
    with pytest.raises(UnsafePickleError, match=r"^it is nested too deeply$"):
        estimators.prepare(wrap(value))


def test_only_types_are_accepted_besides_what_is_listed() -> None:
    assert estimators.prepare(read(b"cnumpy\nfloat64\n.")) is np.float64
    with pytest.raises(UnsafePickleError, match=r"^it contains builtins\.function, which is not supported$"):
        estimators.prepare(read(b"c__builtin__\nset\n."))


def test_shared_objects_are_prepared_once_and_stay_shared() -> None:
    random, pair = np.random.RandomState(0), (SVC(verbose=True), "text")
    loaded = estimators.prepare(read([random, pair, random, pair, {"again": pair}]))
    assert loaded[0] is loaded[2] is None  # not needed to predict
    assert loaded[1] is loaded[3] is loaded[4]["again"]
    assert loaded[1][0].verbose == 0


LEAF = -1


@pytest.mark.parametrize(
    ("left", "right", "feature", "message"),
    [
        ([1, LEAF, LEAF], [2, LEAF, LEAF], [3, -2, -2], None),
        ([LEAF], [LEAF], [-2], None),
        ([1, LEAF, LEAF], [3, LEAF, LEAF], [3, -2, -2], "it has a tree whose nodes point outside of it"),
        ([3, LEAF, LEAF], [2, LEAF, LEAF], [3, -2, -2], "it has a tree whose nodes point outside of it"),
        ([0, LEAF, LEAF], [2, LEAF, LEAF], [3, -2, -2], "it has a tree whose nodes point outside of it"),
        ([1, LEAF, LEAF], [2, 2, LEAF], [3, -2, -2], "it has a tree whose nodes point outside of it"),
        ([1, LEAF, LEAF], [LEAF, LEAF, LEAF], [3, -2, -2], "it has a tree whose nodes point outside of it"),
        ([], [], [], "it has a tree whose nodes point outside of it"),
        ([1, LEAF, LEAF], [2, LEAF, LEAF], [4, -2, -2], "it has a tree with invalid feature indices"),
        ([1, LEAF, LEAF], [2, LEAF, LEAF], [-1, -2, -2], "it has a tree with invalid feature indices"),
    ],
)
def test_every_path_through_a_tree_ends_at_a_leaf(
    left: list[int], right: list[int], feature: list[int], message: str | None
) -> None:
    lefts, rights, features = (np.array(values, dtype=np.int64) for values in (left, right, feature))
    if message is None:
        estimators.check_nodes(lefts, rights, features, 4, leaf=LEAF)
    else:
        with pytest.raises(UnsafePickleError, match=f"^{message}$"):
            estimators.check_nodes(lefts, rights, features, 4, leaf=LEAF)


@pytest.mark.parametrize(
    ("arguments", "fits"),
    [
        ((1, np.array([1]), 1), True),
        ((1_000_000, np.array([10_000]), 1), True),
        ((0, np.array([3]), 1), False),
        ((1_000_001, np.array([3]), 1), False),
        ((63.5, np.array([3]), 1), False),
        ((63, np.array([3]), 2), False),
        ((63, np.array([3]), 0), False),
        ((63, np.array([0]), 1), False),
        ((63, np.array([10_001]), 1), False),
        ((63, np.array([3.0]), 1), False),
        ((63, np.array([3, 3]), 1), False),
        ((63, [3], 1), False),
        ((63, np.array([3])), False),
    ],
)
def test_arguments_of_trees_are_validated(arguments: tuple[Any, ...], *, fits: bool) -> None:
    make = estimators.SPECIAL["sklearn.tree._tree", "Tree"].make
    if fits:
        tree = make(Tree, arguments)
        assert (tree.n_features, tree.max_n_classes, tree.n_outputs) == (arguments[0], arguments[1][0], 1)
    else:
        with pytest.raises(UnsafePickleError, match=r"^it has a tree with invalid arguments$"):
            make(Tree, arguments)


STATE_OF_TREE = DecisionTreeClassifier(random_state=0).fit(SAMPLES, CLASSES).tree_.__getstate__()
NODES = STATE_OF_TREE["nodes"]


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ([], "a tree without nodes"),
        ({}, "a tree without nodes"),
        (STATE_OF_TREE | {"nodes": NODES.tolist()}, "a tree without nodes"),
        (STATE_OF_TREE | {"nodes": NODES[np.newaxis]}, "a tree without nodes"),
        (STATE_OF_TREE | {"nodes": NODES[:0]}, "a tree without nodes"),
        (STATE_OF_TREE | {"nodes": np.zeros(len(NODES))}, "a tree without nodes"),
        (STATE_OF_TREE | {"nodes": NODES[["left_child", "right_child"]]}, "a tree with unsupported nodes"),
        (
            STATE_OF_TREE | {"nodes": NODES.astype([(name, "f8") for name in NODES.dtype.names])},
            "a tree with unsupported nodes",
        ),
    ],
)
def test_states_of_trees_are_validated(state: Any, message: str) -> None:
    tree = Tree(63, np.array([3]), 1)
    special = estimators.SPECIAL["sklearn.tree._tree", "Tree"]
    with pytest.raises(UnsafePickleError, match=f"^it has {message}$"):
        special.set_state(tree, state)
    special.set_state(tree, STATE_OF_TREE)
    assert np.array_equal(tree.__getstate__()["nodes"], NODES)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: svc(_n_support=np.array([900, 1, 1], dtype=np.int32)), "support vectors does not match"),
        (lambda: svc(_intercept_=np.zeros(1)), "_intercept_ of its SVC"),
        (lambda: svc(_dual_coef_=np.full((2, 60), np.nan)), "_dual_coef_ of its SVC"),
        (lambda: svc(kernel="precomputed"), "kernel 'precomputed'"),
        (lambda: svc(support_vectors_=np.zeros((2, 63))), "SVC"),
        (lambda: neighbors(_y=np.full(60, 7)), "classes without a name"),
        (lambda: neighbors(n_neighbors=61), "unsupported weights"),
        (lambda: neighbors(effective_metric_="pyfunc"), "unsupported metric"),
        (lambda: histogram(left=1_000_000), "point outside of it"),
        (lambda: histogram(feature_idx=63), "invalid feature indices"),
        (lambda: histogram(is_categorical=1), "not those of the installed scikit-learn"),
        (lambda: histogram(left=0), "point outside of it"),
        (lambda: histogram(value=np.nan), "leaves are not numbers"),
        (lambda: changed(histogram(), _baseline_prediction=np.zeros((1, 2))), "another number of classes"),
        (lambda: changed(histogram(), _predictors=[[]]), "another number of classes"),
        (lambda: changed(histogram(), n_features_in_=64), "another number of classes"),
        (lambda: changed(histogram(), n_features_in_=1), "invalid feature indices"),
        (
            lambda: changed(KNeighborsClassifier().fit(SAMPLES, CLASSES), _fit_X=None),
            "its KNeighborsClassifier does not match the installed version",
        ),
        (lambda: svc(_sparse=True), "sparse matrix"),
        (lambda: svc(_probA=np.zeros(2)), "the _probA of its SVC"),
        (lambda: svc(_probB=np.zeros(3)), "the _probB of its SVC"),
        (lambda: svc(support_vectors_=np.zeros((60, 63), dtype=np.float32)), "the support_vectors_ of its SVC"),
        (lambda: svc(_n_support=np.array([-1, 31, 30], dtype=np.int32)), "support vectors does not match"),
        (lambda: svc(_n_support=np.array([30, 30], dtype=np.int32)), "support vectors does not match"),
        (lambda: svc(_n_support=SVC().fit(SAMPLES, CLASSES)._n_support.astype(np.int64)), "vectors does not match"),
        (lambda: svc(_gamma=np.inf), "kernel parameters of its SVC"),
        (lambda: svc(coef0=np.nan), "kernel parameters of its SVC"),
        (lambda: svc(degree=-1), "kernel parameters of its SVC"),
        (lambda: svc(degree=101), "kernel parameters of its SVC"),
        (lambda: svc(degree=2.5), "kernel parameters of its SVC"),
        (lambda: neighbors(_fit_X=np.zeros(60)), "neighbours of its KNeighborsClassifier are not numbers"),
        (lambda: neighbors(_fit_X=np.zeros((60, 63), dtype=int)), "neighbours of its KNeighborsClassifier are not"),
        (lambda: neighbors(_fit_X=np.full((60, 63), np.nan)), "neighbours of its KNeighborsClassifier are not"),
        (lambda: neighbors(_y=np.zeros(59, dtype=int)), "one class per neighbour"),
        (lambda: neighbors(_y=np.zeros(60)), "one class per neighbour"),
        (lambda: neighbors(_y=np.full(60, -1)), "classes without a name"),
        (lambda: neighbors(_y=np.full(60, 3)), "classes without a name"),
        (lambda: neighbors(n_neighbors=0), "unsupported weights"),
        (lambda: neighbors(n_neighbors=1.5), "unsupported weights"),
        (lambda: neighbors(weights="other"), "unsupported weights"),
        (lambda: neighbors(effective_metric_params_={"w": np.ones(63)}), "unsupported metric"),
        (lambda: neighbors(_fit_method="other"), "unsupported algorithm"),
        (lambda: forest_of(estimators_=[]), "a forest without trees"),
        (lambda: forest_of(estimators_=()), "a forest without trees"),
        (lambda: forest_of(estimators_=[SVC()]), "trees do not match it"),
        (lambda: forest_of(n_features_in_=64), "trees do not match it"),
        (lambda: forest_of(classes_=np.arange(4)), "trees do not match it"),
        (lambda: boosting(estimators_=np.empty((0, 3), dtype=object)), "another number of classes"),
        (lambda: boosting(classes_=np.arange(2)), "another number of classes"),
        (lambda: boosting(classes_=np.arange(4)), "another number of classes"),
        (lambda: boosting(estimators_=np.array([[SVC()] * 3])), "its trees do not match it"),
        (lambda: boosting(n_features_in_=64), "its trees do not match it"),
        (lambda: tree_of(n_features_in_=64), "a tree whose size does not match"),
        (lambda: tree_of(classes_=np.arange(2)), "a tree whose size does not match"),
        (lambda: tree_of(n_outputs_=2), "a tree whose size does not match"),
        (lambda: tree_of(tree_=1), "a tree whose size does not match"),
        (lambda: network(n_layers_=4), "the shapes of the layers"),
        (lambda: network(n_features_in_=64), "the shapes of the layers"),
        (lambda: network(coefs_=[np.zeros((63, 4)), np.zeros((3, 3))]), "the shapes of the layers"),
        (lambda: network(intercepts_=[np.zeros(4)]), "the shapes of the layers"),
    ],
)
def test_state_used_by_compiled_code_is_validated(make: Any, message: str) -> None:
    with pytest.raises(UnsafePickleError, match=message):
        estimators.prepare(read(pickle.dumps(make())))


def test_forests_of_scikit_learn_before_1_4_predict_the_same(tmp_path: Path) -> None:
    """Their leaves have sample counts instead of probabilities, and their nodes lack ``missing_go_to_left``."""
    now = RandomForestClassifier(3, random_state=0, max_depth=3).fit(SAMPLES, CLASSES)

    class Old(pickle.Pickler):
        def reducer_override(self, value: Any) -> Any:
            if type(value) is not Tree:
                return NotImplemented
            make, arguments, state = value.__reduce__()
            nodes = state["nodes"]
            old = np.zeros(len(nodes), dtype=[(name, nodes.dtype[name]) for name in (nodes.dtype.names or ())[:-1]])
            for name in old.dtype.names or ():
                old[name] = nodes[name]
            counts = nodes["weighted_n_node_samples"][:, np.newaxis, np.newaxis]
            return make, arguments, state | {"nodes": old, "values": state["values"] * counts}

    with (tmp_path / "old.pkl").open("wb") as file:
        Old(file).dump(now)
    old = estimators.prepare(read((tmp_path / "old.pkl").read_bytes()))
    assert old.predict_proba(SAMPLES) == pytest.approx(now.predict_proba(SAMPLES), abs=1e-15)


def test_loading_a_network_imports_no_other_estimators() -> None:
    code = f"""
import sys
from pathlib import Path
from hand_gesture.model.artifacts import load_artifacts
load_artifacts(Path({str(ARTIFACTS)!r}))
print("sklearn.svm" in sys.modules, "xgboost" in sys.modules)
"""
    result = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert result.stdout.split() == ["False", "False"]
