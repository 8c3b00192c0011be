from __future__ import annotations

import os
import pickle
import shutil
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from sklearn.ensemble import (
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    VotingClassifier,
)
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import LabelEncoder, StandardScaler
from sklearn.svm import SVC

from hand_gesture.model import safe_pickle
from hand_gesture.model.artifacts import ArtifactsError, load_artifacts, load_classifier
from hand_gesture.model.classifier import GestureClassifier
from hand_gesture.model.safe_pickle import UnsafePickleError
from tests.hands import ARTIFACTS, REFERENCE


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(ARTIFACTS, tmp_path / "artifacts"))


def test_committed_artifacts_load_and_name_18_gestures() -> None:
    artifacts = load_artifacts(ARTIFACTS)
    assert artifacts.classifier.gestures == tuple(REFERENCE.hands)
    assert len(artifacts.classifier.gestures) == 18


def test_version_is_that_of_the_manifest(folder: Path) -> None:
    version = load_artifacts(folder).version
    (folder / "manifest.json").write_text((folder / "manifest.json").read_text() + "\n")
    with pytest.raises(ArtifactsError, match="was changed after it was imported"):
        load_artifacts(folder, expected_version=version)


@pytest.mark.parametrize("name", ["model.pkl", "encoder.pkl", "commands.json", "reference_hands.json"])
def test_changed_file_is_noticed_before_it_is_unpickled(folder: Path, name: str) -> None:
    mark = folder / "ran"
    (folder / name).write_bytes(pickle.dumps(Hostile(Path.touch, mark)))
    with pytest.raises(ArtifactsError, match=f"{name} is not the file"):
        load_artifacts(folder)
    assert not mark.exists()


@pytest.mark.parametrize("name", ["model.pkl", "manifest.json"])
def test_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(ArtifactsError, match=f"{name} cannot be read"):
        load_artifacts(folder)


def test_malformed_manifest_is_explained(folder: Path) -> None:
    (folder / "manifest.json").write_text("{}")
    with pytest.raises(ArtifactsError, match="malformed at 'feature_contract'"):
        load_artifacts(folder)


class Hostile:
    """Pickles to a call of whatever it is given."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.function, self.arguments = function, arguments

    def __reduce__(self) -> Any:
        return self.function, self.arguments


def _dump(path: Path, content: object) -> Path:
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        path.write_bytes(pickle.dumps(content))
    return path


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (Hostile(os.system, "true"), "posix.system"),
        (Hostile(eval, "1"), "builtins.eval"),
        ([{"deep": (Hostile(os.putenv, "A", "B"),)}], "posix.putenv"),
        (Hostile(np.load, "x"), "numpy"),
        (b"cos\nsystem\n(S'true'\ntR.", "os.system"),
        (b"csklearn.utils._testing\nsubprocess.call\n(tR.", "subprocess.call"),
        (b"csklearn.datasets\nfetch_openml\n(tR.", "fetch_openml"),
        # numpy's helper would call bytearray(10**13)
        (b"cnumpy.random._pickle\n__randomstate_ctor\n(I9999999999999\ncbuiltins\nbytearray\ntR.", "2 were given"),
        (b"cnumpy.random._pickle\n__generator_ctor\n(I9999999999999\ncbuiltins\nbytearray\ntR.", "2 were given"),
        (b"not a pickle", "cannot be read as a pickle"),
        (b"", "cannot be read as a pickle"),
        (b"\x80\x05\x96\xff\xff\xff\xff\xff\xff\xff\x7f.", "cannot be read as a pickle|more memory"),
    ],
)
def test_hostile_pickle_is_refused(tmp_path: Path, content: object, message: str) -> None:
    with pytest.raises(UnsafePickleError, match=message):
        safe_pickle.load(_dump(tmp_path / "model.pkl", content))


@pytest.mark.parametrize(
    "content",
    [
        Hostile(np.zeros(1).__reduce__()[0], np.ndarray, (10**13,), b"b"),
        Hostile(bytearray, 10**13),
        Hostile(np.ndarray, (10**13,)),
        Hostile(tuple, np.zeros(10**13, dtype="V0")),  # of which the file holds nothing
        b"\x80\x04cbuiltins\ntuple\nK\x01\x85\x81.",  # cls.__new__(cls, 1)
        b"\x80\x04cbuiltins\ntuple\nK\x01\x85}\x92.",  # cls.__new__(cls, 1, **{})
        b"(I9999999999999\nibuiltins\nbytearray\n.",
        b"(cbuiltins\nbytearray\nI9999999999999\no.",
    ],
)
def test_huge_allocation_is_refused(tmp_path: Path, content: object) -> None:
    with pytest.raises(UnsafePickleError, match=r"in a way that (numpy does not|no classifier needs)"):
        safe_pickle.load(_dump(tmp_path / "model.pkl", content))


@pytest.mark.parametrize("protocol", [3, 4, 5])
def test_containers_are_read_in_each_protocol(tmp_path: Path, protocol: int) -> None:
    content = [{1, 2}, frozenset({"a"}), bytearray(b"\xff\0"), slice(1, 2), np.eye(2), np.float32(1), {"a": (1,)}]
    (tmp_path / "model.pkl").write_bytes(pickle.dumps(content, protocol))
    assert str(safe_pickle.load(tmp_path / "model.pkl")) == str(content)


@pytest.mark.parametrize(
    "classifier",
    [
        MLPClassifier((4,), max_iter=200),
        GradientBoostingClassifier(n_estimators=2),
        HistGradientBoostingClassifier(max_iter=2),
        KNeighborsClassifier(3),
        make_pipeline(StandardScaler(), SVC(probability=True)),
        VotingClassifier([("a", GaussianNB()), ("b", LogisticRegression())], voting="soft"),
    ],
    ids=lambda classifier: type(classifier).__name__,
)
@pytest.mark.filterwarnings("ignore")  # nobody cares how well they do
def test_what_people_train_is_read(tmp_path: Path, classifier: Any) -> None:
    hands = np.random.default_rng(0).normal(size=(60, 63))
    classifier.fit(hands, np.arange(60) % 3)
    joblib.dump(classifier, tmp_path / "model.pkl")
    again = safe_pickle.load(tmp_path / "model.pkl")
    assert np.array_equal(again.predict_proba(hands), classifier.predict_proba(hands))


def test_pickle_of_another_scikit_learn_is_refused(tmp_path: Path) -> None:
    scaler = StandardScaler().fit([[1.0]])
    data = pickle.dumps(scaler)
    from sklearn import __version__

    other = ("9" * len(__version__)).encode()
    path = _dump(tmp_path / "model.pkl", data.replace(__version__.encode(), other))
    with pytest.raises(UnsafePickleError, match=f"written by scikit-learn {other.decode()}"):
        safe_pickle.load(path)


def load(folder: Path) -> GestureClassifier:
    """Load a person's own three files."""
    return load_classifier(folder / "model.pkl", folder / "encoder.pkl", folder / "commands.json")


@pytest.mark.parametrize("dump", [lambda value, path: path.write_bytes(pickle.dumps(value)), joblib.dump])
def test_own_pickles_load_whichever_way_they_were_written(tmp_path: Path, dump: Any) -> None:
    random = np.random.default_rng(0)
    encoder = LabelEncoder().fit(["a", "b", "c"])
    forest = RandomForestClassifier(3, random_state=0).fit(random.normal(size=(60, 63)), np.arange(60) % 3)
    dump(forest, tmp_path / "model.pkl")
    dump(encoder, tmp_path / "encoder.pkl")
    (tmp_path / "commands.json").write_text('{"a": "up"}')
    classifier = load(tmp_path)
    assert classifier.gestures == ("a", "b", "c")
    assert {prediction.gesture for prediction in classifier.predict(random.normal(size=(5, 63)))} <= {"a", "b", "c"}


@pytest.mark.parametrize(
    ("features", "labels", "message"),
    [
        (62, ["a", "b"], "takes 62 features, not 63"),
        (63, ["a", "b", "c"], "2 classes .* and the encoder 3"),
    ],
)
def test_what_does_not_fit_is_explained(tmp_path: Path, features: int, labels: list[str], message: str) -> None:
    random = np.random.default_rng(0)
    forest = RandomForestClassifier(2, random_state=0).fit(random.normal(size=(20, features)), np.arange(20) % 2)
    _dump(tmp_path / "model.pkl", forest)
    _dump(tmp_path / "encoder.pkl", LabelEncoder().fit(labels))
    (tmp_path / "commands.json").write_text("{}")
    with pytest.raises(ArtifactsError, match=message):
        load(tmp_path)
