from __future__ import annotations

import json
import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from hand_gesture.model.artifacts import ArtifactsError, load_artifacts, sha256
from hand_gesture.model.sandbox import check_in_sandbox
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


def test_malformed_manifest_is_explained(folder: Path) -> None:
    (folder / "manifest.json").write_text("{}")
    with pytest.raises(ArtifactsError, match="malformed at 'feature_contract'"):
        load_artifacts(folder)


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
    values["sha256"]["model.pkl"] = sha256((folder / "model.pkl").read_bytes())
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
