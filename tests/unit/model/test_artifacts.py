from __future__ import annotations

import json
import pickle
import platform
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
import sklearn
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC

from hand_gesture.landmarks import parse_hand
from hand_gesture.model.artifacts import (
    ArtifactsError,
    installed_versions,
    load_artifacts,
    load_commands,
    load_reference_hands,
    sha256,
    verify_artifacts,
)
from hand_gesture.model.sandbox import check_in_sandbox
from tests import own_gestures
from tests.hands import ARTIFACTS, REFERENCE


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(ARTIFACTS, tmp_path / "artifacts"))


def test_committed_artifacts_load_and_name_18_gestures() -> None:
    artifacts = load_artifacts(ARTIFACTS)
    assert artifacts.classifier.gestures == tuple(REFERENCE.hands)
    assert len(artifacts.classifier.gestures) == 18


def test_version_is_the_digest_of_the_manifest(folder: Path) -> None:
    version = load_artifacts(folder).version
    assert version == sha256((folder / "manifest.json").read_bytes())[:16]
    (folder / "manifest.json").write_text((folder / "manifest.json").read_text() + "\n")
    with pytest.raises(ArtifactsError, match="was changed after the import"):
        load_artifacts(folder, expected_version=version)


@pytest.mark.parametrize("name", ["model.pkl", "encoder.pkl", "commands.json", "reference_hands.json"])
def test_changed_file_is_detected_before_unpickling(folder: Path, name: str) -> None:
    mark = folder / "ran"
    (folder / name).write_bytes(pickle.dumps(Hostile(Path.touch, mark)))
    with pytest.raises(ArtifactsError, match=f"{name} does not match its SHA-256 digest"):
        load_artifacts(folder)
    assert not mark.exists()


@pytest.mark.parametrize("name", ["model.pkl", "manifest.json"])
def test_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(ArtifactsError, match=f"{name} cannot be read"):
        load_artifacts(folder)


@pytest.mark.parametrize(
    ("manifest", "place"),
    [
        ({}, "feature_contract"),
        ({"feature_contract": "mine", "gestures": [], "sha256": {"model": 1}}, "sha256.model"),
    ],
)
def test_malformed_manifest_is_explained(folder: Path, manifest: dict[str, Any], place: str) -> None:
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ArtifactsError, match=rf"manifest\.json is malformed at '{place}': "):
        load_artifacts(folder)


def test_files_can_be_verified_without_loading_them(folder: Path) -> None:
    manifest, version = verify_artifacts(folder)
    artifacts = load_artifacts(folder)
    assert (manifest, version) == (artifacts.manifest, artifacts.version)
    with pytest.raises(ArtifactsError, match="was changed after the import"):
        verify_artifacts(folder, expected_version="another")


@pytest.mark.parametrize(
    ("name", "load"),
    [
        ("commands.json", lambda folder: load_commands(folder / "commands.json")),
        ("reference_hands.json", load_reference_hands),
    ],
)
def test_files_can_be_read_on_their_own(folder: Path, name: str, load: Callable[[Path], Any]) -> None:
    assert json.loads(json.dumps(load(folder), default=lambda read: read.model_dump())) == json.loads(
        (folder / name).read_text()
    )
    (folder / name).write_text("[]")
    with pytest.raises(ArtifactsError, match=f"{folder / name} is malformed"):
        load(folder)
    (folder / name).unlink()
    with pytest.raises(ArtifactsError, match=f"{folder / name} cannot be read"):
        load(folder)


def test_versions_are_of_the_libraries_of_a_pickle() -> None:
    assert installed_versions() == {
        "python": platform.python_version(),
        "scikit-learn": sklearn.__version__,
        "numpy": np.__version__,
        "joblib": joblib.__version__,
    }


class Hostile:
    """Pickles to a call of the given function."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.function, self.arguments = function, arguments

    def __reduce__(self) -> Any:
        return self.function, self.arguments


def rewrite(folder: Path, model: object, **manifest: object) -> None:
    """Replace the model in the folder, and update the manifest."""
    (folder / "model.pkl").write_bytes(pickle.dumps(model))
    values = json.loads((folder / "manifest.json").read_text()) | manifest
    names = [name for name in (*values["sha256"], "gestures.json") if (folder / name).exists()]
    values["sha256"] = {name: sha256((folder / name).read_bytes()) for name in names}
    (folder / "manifest.json").write_text(json.dumps(values))


def trained(features: int = 42, classes: int = 2) -> Any:
    return LogisticRegression().fit(np.random.default_rng(0).normal(size=(20, features)), np.arange(20) % classes)


def test_manifest_defines_gestures_and_features(folder: Path) -> None:
    rewrite(folder, trained(), gestures=["yes", "no"], feature_contract="mine", features={"unit": "image"})
    classifier = load_artifacts(folder).classifier
    assert classifier.gestures == ("yes", "no")
    assert classifier.features.unit == "image"


@pytest.mark.parametrize(
    ("model", "manifest", "message"),
    [
        (trained(classes=3), {"gestures": ["yes", "no"]}, "has 3 classes and manifest.json 2"),
        (trained(features=63), {"gestures": ["yes", "no"]}, "takes 63 features, not the 42 of wrist_rms_v3"),
        (trained(), {"gestures": ["yes", "no"], "feature_contract": "mine"}, "features 'mine' are unknown"),
        (LogisticRegression(), {"gestures": ["yes", "no"]}, "no trained classifier"),
        (Hostile(Path.touch, "ran"), {}, "which is not supported"),
    ],
)
def test_inconsistent_artifacts_are_rejected(folder: Path, model: Any, manifest: dict[str, Any], message: str) -> None:
    rewrite(folder, model, **manifest)
    for load in (load_artifacts, check_in_sandbox):
        with pytest.raises(ArtifactsError, match=message):
            load(folder)
    assert not Path("ran").exists()


def test_classifier_without_probabilities_has_margins(folder: Path) -> None:
    random = np.random.default_rng(0)
    model = LinearSVC().fit(random.normal(size=(20, 42)), np.arange(20) % 2)
    rewrite(folder, model, gestures=["yes", "no"], confidence="margin", min_confidence=0)
    hands = np.array([parse_hand(hand) for hand in REFERENCE.hands.values()])
    assert {prediction.gesture for prediction in load_artifacts(folder).classifier.predict(hands)} <= {"yes", "no"}


@pytest.mark.parametrize("prior", [[0.0, 0.0], [1.0, 0.0], [1.01, -0.01], [-0.01, -0.02], [np.nan, np.nan]])
def test_confidences_of_the_reference_hands_must_be_probabilities(folder: Path, prior: list[float]) -> None:
    model = DummyClassifier(strategy="prior").fit(np.zeros((2, 42)), [0, 1])
    model.class_prior_ = np.array(prior)
    rewrite(folder, model, gestures=["yes", "no"], min_confidence=0)
    if 0 <= prior[0] <= 1:
        load_artifacts(folder)
    else:
        with pytest.raises(ArtifactsError, match=r"returned the confidence \S+, not a probability"):
            load_artifacts(folder)


def test_classifier_that_fails_on_the_reference_hands_is_rejected(folder: Path) -> None:
    model = trained()
    model.coef_ = model.coef_[:, 1:]
    rewrite(folder, model, gestures=["yes", "no"])
    with pytest.raises(ArtifactsError, match=r"failed on the reference hands: ValueError: .*41"):
        load_artifacts(folder)


def bundled_model(folder: Path) -> Any:
    return pickle.loads((folder / "model.pkl").read_bytes())  # noqa: S301 (the project's own)


def test_custom_gestures_among_the_files_are_recognized(folder: Path) -> None:
    hands = [np.ravel([[x, y, 0] for x, y in hand]).tolist() for hand in own_gestures.recording("L")]
    gestures = {"gestures": {"L": {"hands": hands, "command": "jump"}}}
    (folder / "gestures.json").write_text(json.dumps(gestures))
    rewrite(folder, bundled_model(folder))
    classifier = load_artifacts(folder).classifier
    assert classifier.gestures == (*REFERENCE.hands, "L")
    predictions = classifier.predict(np.array(hands))
    assert [(prediction.gesture, prediction.command) for prediction in predictions] == [("L", "jump")] * len(hands)
    (folder / "gestures.json").write_text("{}")
    rewrite(folder, bundled_model(folder))
    with pytest.raises(ArtifactsError, match=r"gestures\.json is malformed at 'gestures'"):
        load_artifacts(folder)


def test_custom_gestures_need_a_network_and_the_stored_hands(folder: Path) -> None:
    (folder / "gestures.json").write_text("{}")
    model = bundled_model(folder)
    rewrite(folder, trained(), gestures=["yes", "no"])
    with pytest.raises(ArtifactsError, match=r"gestures\.json cannot be used with this model\. [A-Z].*\.$"):
        load_artifacts(folder)
    (folder / "stored_hands.npz").unlink()
    rewrite(folder, model, gestures=[*REFERENCE.hands, "none"])
    with pytest.raises(ArtifactsError, match=r"This model has no stored_hands\.npz, which custom gestures need"):
        load_artifacts(folder)
