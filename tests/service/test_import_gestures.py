"""Custom gestures for all clients: import_model.py --gestures."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import LabelEncoder

from hand_gesture.model.artifacts import load_artifacts
from hand_gesture.model.features import WRIST_RMS
from tests.hands import ARTIFACTS, CLASSIFIER, IMAGE_SIZE, REFERENCE
from tests.own_gestures import gestures, recording
from tests.server import import_model, serve


def saved(folder: Path, content: Any) -> Path:
    path = folder / "my_gestures.json"
    path.write_text(json.dumps(content))
    return path


def latest(home: Path) -> Path:
    folder = home / "models" / "hand_gesture"
    return folder / (folder / "latest").read_text().strip()


def test_all_clients_get_imported_gestures_and_other_predictions_stay(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    result = import_model(home, "--gestures", saved(tmp_path, gestures("L", command="jump")))
    assert result.returncode == 0, result.stderr
    assert json.loads((latest(home) / "manifest.json").read_text())["taught"] == ["L"]
    assert "| L | 10 | jump |" in (latest(home) / "MODEL_CARD.md").read_text()
    known = {"hands": [*REFERENCE.hands.values()], "image_size": IMAGE_SIZE}
    with serve(home) as server:
        for hand in recording("L", 5, seed=1):
            answer = server.client.post("/predict", json={"landmarks": hand}).json()
            assert (answer["gesture"], answer["command"]) == ("L", "jump")
            assert 0.5 < answer["confidence"] <= 1
        answers = server.client.post("/predict_batch", json=known).json()
        assert [answer["gesture"] for answer in answers] == [*REFERENCE.hands]
        assert server.metrics()['hand_gesture_predictions_total{gesture="L"}'] == 5
        reference = server.client.get("/reference_hands.json").json()
        assert reference["gestures"] == [*REFERENCE.hands, "L"]
        assert reference["commands"]["L"] == "jump"
        taken = server.client.post("/gestures", json=gestures("L"))
        assert "The name L is taken" in taken.json()["error"]


def test_import_without_gestures_restores_the_model(tmp_path: Path) -> None:
    before = import_model(tmp_path)
    assert import_model(tmp_path, "--gestures", saved(tmp_path, gestures("L"))).returncode == 0
    with_them = load_artifacts(latest(tmp_path)).classifier
    assert import_model(tmp_path).stdout == before.stdout
    assert not (latest(tmp_path) / "MODEL_CARD.md").exists()
    without = load_artifacts(latest(tmp_path)).classifier
    hands = np.array([np.ravel(hand) for hand in recording("L", 20, seed=1)])
    hands = np.insert(hands.reshape(-1, 21, 2), 2, 0, axis=2).reshape(-1, 63)
    assert without.predict(hands) == CLASSIFIER.predict(hands)
    assert {prediction.gesture for prediction in with_them.predict(hands)} == {"L"}


def test_the_stored_file_of_gestures_can_be_imported_again(tmp_path: Path) -> None:
    assert import_model(tmp_path, "--gestures", saved(tmp_path, gestures("L", command="jump"))).returncode == 0
    first = latest(tmp_path)
    again = import_model(tmp_path, "--gestures", first / "gestures.json")
    assert "already in the model store" in again.stdout


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"gestures": {"like": {"hands": recording("L", 1)}}}, "The name like is taken"),
        ({"gestures": {"L": {"hands": [*recording("L", 1), [1, 2, 3]]}}}, "Example 2 of L: landmarks 1 THUMB_CMC"),
        ([], "The body must be"),
    ],
)
def test_invalid_files_are_rejected(tmp_path: Path, content: Any, message: str) -> None:
    result = import_model(tmp_path, "--gestures", saved(tmp_path, content))
    assert result.returncode == 1
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "models" / "hand_gesture").exists()


def test_missing_file_is_named(tmp_path: Path) -> None:
    result = import_model(tmp_path, "--gestures", tmp_path / "nowhere.json")
    assert result.returncode == 1
    assert "nowhere.json cannot be read" in result.stderr


def test_classifiers_other_than_networks_are_rejected(tmp_path: Path) -> None:
    names = [*REFERENCE.hands]
    hands = np.array([np.ravel(hand) for hand in REFERENCE.hands.values()])
    model = LogisticRegression().fit(WRIST_RMS.make(hands), np.arange(len(names)))
    encoder = LabelEncoder().fit(names)
    for name, content in (("model.pkl", model), ("encoder.pkl", encoder)):
        (tmp_path / name).write_bytes(pickle.dumps(content))
    own = ("--model", tmp_path / "model.pkl", "--encoder", tmp_path / "encoder.pkl", "--features", "wrist_rms_v3")
    result = import_model(tmp_path, *own, "--gestures", saved(tmp_path, gestures("L")))
    assert result.returncode == 1
    assert (
        "gestures.json cannot be used with this model. Gestures can be taught to neural networks only" in result.stderr
    )


def test_the_bundled_artifacts_have_none() -> None:
    assert not (ARTIFACTS / "gestures.json").exists()
    assert load_artifacts(ARTIFACTS).manifest.taught == []
