from __future__ import annotations

import hashlib
import json
import os
import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import LabelEncoder, StandardScaler

from hand_gesture.landmarks import convert, parse_hand
from hand_gesture.model.artifacts import load_artifacts
from hand_gesture.model.features import parse as parse_features
from tests.hands import ARTIFACTS, REFERENCE
from tests.server import PROJECT, Server, import_model, serve, serve_until_exit


def stored(home: Path) -> list[str]:
    models = home / "models" / "hand_gesture"
    return sorted(path.name for path in models.iterdir() if path.is_dir()) if models.is_dir() else []


def test_second_import_reports_that_the_version_exists(tmp_path: Path) -> None:
    version = load_artifacts(ARTIFACTS).version
    first, second = import_model(tmp_path), import_model(tmp_path)
    assert first.stdout == f"hand_gesture:{version} is now in the model store.\n"
    assert second.stdout == f"hand_gesture:{version} is already in the model store.\n"
    assert (first.returncode, second.returncode) == (0, 0)
    assert stored(tmp_path) == [version]


def test_labels_and_metadata_are_stored(home: Path) -> None:
    (file,) = (home / "models" / "hand_gesture").glob("*/model.yaml")
    model = yaml.safe_load(file.read_text())
    assert model["labels"]["feature_contract"] == "wrist_rms_v3"
    assert model["metadata"]["gestures"] == [*REFERENCE.hands, "none"]
    unseen = model["metadata"]["figures"]["unseen_sources"]
    assert unseen.keys() == {"open_hands", "everyday_hands"}
    for of_file in unseen.values():
        assert of_file["strict_none_answered"]["share"] <= 0.03
        assert of_file["gestures_right"]["share"] >= 0.95
        assert of_file["area_under_roc"] >= 0.985
        assert of_file["fist_right"]["share"] >= 0.85


def test_card_manifest_store_and_metrics_name_the_same_model(home: Path, server: Server) -> None:
    digest = hashlib.sha256((ARTIFACTS / "model.pkl").read_bytes()).hexdigest()
    (version,) = stored(home)
    (manifest,) = (home / "models" / "hand_gesture").glob("*/manifest.json")
    (info,) = (name for name in server.metrics() if name.startswith("hand_gesture_model_info"))
    assert digest in (ARTIFACTS / "MODEL_CARD.md").read_text()
    assert manifest.read_bytes() == (ARTIFACTS / "manifest.json").read_bytes()
    assert json.loads(manifest.read_text())["sha256"]["model.pkl"] == digest
    assert hashlib.sha256(manifest.read_bytes()).hexdigest().startswith(version)
    assert hashlib.sha256(manifest.with_name("model.pkl").read_bytes()).hexdigest() == digest
    assert f'digest="{digest}"' in info
    assert f'version="{version}"' in info
    assert server.client.get("/docs.json").json()["info"]["version"] == version


def samples_of(features: str, copies: int = 10) -> tuple[Any, Any]:
    """Features of reference hands with random noise, and their class numbers."""
    hands = np.array([parse_hand(hand) for hand in (*REFERENCE.hands.values(), *REFERENCE.other_side.values())])
    described = parse_features(features)
    convert(hands, REFERENCE.image_size, described.unit)
    samples = np.repeat(described.make(hands), copies, axis=0)
    spread = samples.std(axis=0) * 0.05
    samples = samples + np.random.default_rng(0).normal(size=samples.shape) * spread
    return samples, np.tile(np.repeat(np.arange(len(REFERENCE.hands)), copies), 2)


@pytest.fixture
def own_pickles(tmp_path: Path) -> Path:
    """A classifier and its encoder, as users have them."""
    encoder = LabelEncoder().fit(list(REFERENCE.hands))
    model = LogisticRegression(C=100, max_iter=2000).fit(*samples_of("wrist_middle_tip_v1"))
    (tmp_path / "mine.pkl").write_bytes(pickle.dumps(model))
    (tmp_path / "mine_encoder.pkl").write_bytes(pickle.dumps(encoder))
    return tmp_path


def test_own_pickles_are_imported_and_served(own_home: Path, own_pickles: Path) -> None:
    arguments = ("--model", own_pickles / "mine.pkl", "--encoder", own_pickles / "mine_encoder.pkl")
    result = import_model(own_home, *arguments)
    assert result.returncode == 0, result.stderr
    version = result.stdout.splitlines()[-1].split()[0].partition(":")[2]
    assert "Detected features: wrist_middle_tip_v1" in result.stdout
    assert "predictions per second" in result.stdout
    with serve(own_home) as server:
        body = {"landmarks": REFERENCE.hands["fist"], "image_size": REFERENCE.image_size}
        assert server.client.post("/predict", json=body).json()["gesture"] == "fist"
        assert any(version in name for name in server.metrics() if name.startswith("hand_gesture_model_info"))
    # Importing the bundled model again makes it the latest
    assert import_model(own_home).stdout.endswith("is now in the model store.\n")
    assert len(stored(own_home)) == 2
    latest = (own_home / "models" / "hand_gesture" / "latest").read_text()
    assert latest == load_artifacts(ARTIFACTS).version


def test_min_confidence_makes_an_own_classifier_predict_none(own_home: Path, own_pickles: Path) -> None:
    arguments = ("--model", own_pickles / "mine.pkl", "--encoder", own_pickles / "mine_encoder.pkl")
    assert import_model(own_home, *arguments).returncode == 0
    with serve(own_home, MIN_CONFIDENCE=1) as server:
        body = {"landmarks": REFERENCE.hands["like"], "image_size": REFERENCE.image_size}
        answer = server.client.post("/predict", json=body).json()
        assert (answer["gesture"], answer["command"]) == ("none", None)
        assert 0 <= answer["confidence"] < 0.5
        assert server.client.post("/predict/command", json=body).json() == {"gesture": None}
        figures = server.metrics()
        assert figures['hand_gesture_predictions_total{gesture="none"}'] == 2
        assert figures['hand_gesture_predictions_total{gesture="like"}'] == 0


def test_own_commands_are_served(own_home: Path, tmp_path: Path) -> None:
    table = tmp_path / "mine.json"
    table.write_text('{"rock": "jump"}')
    result = import_model(own_home, "--commands", table)
    assert result.returncode == 0, result.stderr
    with serve(own_home) as server:
        for gesture, command in (("rock", "jump"), ("like", None)):
            body = {"landmarks": REFERENCE.hands[gesture], "image_size": REFERENCE.image_size}
            assert server.client.post("/predict/command", json=body).json() == {"gesture": command}


@pytest.mark.parametrize("content", ["[]", '{"rock": 1}', "{"])
def test_malformed_commands_are_rejected(home: Path, tmp_path: Path, content: str) -> None:
    (tmp_path / "mine.json").write_text(content)
    result = import_model(home, "--commands", tmp_path / "mine.json")
    assert result.returncode == 1
    assert "mine.json is malformed" in result.stderr


@pytest.mark.parametrize("write", ["pickle", "json"])
def test_xgboost_model_is_imported(tmp_path: Path, own_pickles: Path, write: str) -> None:
    xgboost = pytest.importorskip("xgboost")
    model = xgboost.XGBClassifier(n_estimators=5).fit(*samples_of("wrist_middle_tip_v1"))
    file = tmp_path / f"xgb.{write}"
    if write == "json":
        model.save_model(file)
    else:
        file.write_bytes(pickle.dumps(model))
    result = import_model(tmp_path / "home", "--model", file, "--encoder", own_pickles / "mine_encoder.pkl")
    assert result.returncode == 0, result.stderr
    assert "Detected features: " in result.stdout


def test_a_model_trained_on_0_to_1_gets_pixels_converted(own_home: Path, tmp_path: Path) -> None:
    """Pixels and 0..1 give the same prediction with a model that was trained on MediaPipe's coordinates."""
    model = make_pipeline(StandardScaler(), LogisticRegression(C=100, max_iter=2000)).fit(*samples_of("min_xy"))
    (tmp_path / "mine.pkl").write_bytes(pickle.dumps(model))
    labels = ",".join(REFERENCE.hands)
    result = import_model(own_home, "--model", tmp_path / "mine.pkl", "--labels", labels, "--features", "min_xy")
    assert result.returncode == 0, result.stderr
    width, height = REFERENCE.image_size
    with serve(own_home) as server:
        for gesture in ("fist", "palm", "peace"):
            hand = REFERENCE.hands[gesture]
            for landmarks in (hand, [[x * width, y * height, z] for x, y, z in hand]):
                body = {"landmarks": landmarks, "image_size": REFERENCE.image_size}
                assert server.client.post("/predict", json=body).json()["gesture"] == gesture


def test_commands_without_a_model_change_the_latest_model(own_home: Path, own_pickles: Path, tmp_path: Path) -> None:
    arguments = ("--model", own_pickles / "mine.pkl", "--encoder", own_pickles / "mine_encoder.pkl")
    assert import_model(own_home, *arguments).returncode == 0
    (tmp_path / "mine.json").write_text('{"rock": "jump"}')
    assert import_model(own_home, "--commands", tmp_path / "mine.json").returncode == 0
    models = own_home / "models" / "hand_gesture"
    artifacts = load_artifacts(models / (models / "latest").read_text())
    assert artifacts.manifest.name == "mine.pkl"
    assert json.loads((models / artifacts.version / "commands.json").read_text()) == {"rock": "jump"}


def test_commands_for_unknown_gestures_are_rejected(home: Path, tmp_path: Path) -> None:
    before = stored(home)
    (tmp_path / "mine.json").write_text('{"lik": "up"}')
    result = import_model(home, "--commands", tmp_path / "mine.json")
    assert result.returncode == 1
    assert "has a command for lik" in result.stderr
    assert stored(home) == before


class Hostile:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch ran",)


def hostile(folder: Path) -> None:
    (folder / "mine.pkl").write_bytes(pickle.dumps(Hostile()))


def missing(folder: Path) -> None:
    (folder / "mine.pkl").unlink()


def other_classes(folder: Path) -> None:
    (folder / "mine_encoder.pkl").write_bytes(pickle.dumps(LabelEncoder().fit(["yes", "no"])))


def other_features(folder: Path) -> None:
    model = LogisticRegression().fit(np.eye(18), np.arange(18))
    (folder / "mine.pkl").write_bytes(pickle.dumps(model))


def other_contract(folder: Path) -> None:
    """The right shape, but trained on something else."""
    model = LogisticRegression().fit(np.repeat(np.eye(63)[:18], 3, axis=0), np.repeat(np.arange(18), 3))
    (folder / "mine.pkl").write_bytes(pickle.dumps(model))


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (missing, "cannot be read (No such file or directory)"),
        (hostile, "refers to posix.system"),
        (other_classes, "do not match"),
        (other_features, "takes 18 features; this service computes"),
        (other_contract, "give the features that it was trained on"),
    ],
)
def test_failed_import_prints_one_sentence_and_keeps_the_store(
    home: Path, own_pickles: Path, break_it: object, message: str
) -> None:
    before = stored(home)
    break_it(own_pickles)  # type: ignore[operator]
    result = import_model(home, "--model", own_pickles / "mine.pkl", "--encoder", own_pickles / "mine_encoder.pkl")
    assert result.returncode == 1
    assert message in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1, result.stderr
    assert stored(home) == before
    assert not (PROJECT / "ran").exists()


def test_tampered_artifacts_are_rejected(tmp_path: Path, home: Path) -> None:
    folder = Path(shutil.copytree(ARTIFACTS, tmp_path / "artifacts"))
    (folder / "model.pkl").write_bytes((folder / "model.pkl").read_bytes() + b"x")
    result = import_model(home, "--artifacts", folder)
    assert result.returncode == 1
    assert "does not match its SHA-256 digest" in result.stderr


def test_service_without_a_model_says_what_to_do(tmp_path: Path) -> None:
    result = serve_until_exit(tmp_path)
    assert result.returncode == 1
    assert "run `.venv/bin/python import_model.py` first" in result.stdout + result.stderr


def test_service_rejects_a_model_that_was_changed_in_the_store(own_home: Path) -> None:
    (model,) = (own_home / "models" / "hand_gesture").glob("*/model.pkl")
    model.write_bytes(pickle.dumps(Hostile()))
    result = serve_until_exit(own_home)
    assert result.returncode == 1
    assert "does not match its SHA-256 digest" in result.stdout + result.stderr
    assert not (PROJECT / "ran").exists()
