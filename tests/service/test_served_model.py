"""A user's own model: predictions, documents and metrics are of this model."""

from __future__ import annotations

import asyncio
import json
import os
import pickle
import subprocess
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.preprocessing import LabelEncoder
from sklearn.svm import SVC
from websockets.sync.client import connect

from hand_gesture.landmarks import parse_hand, restore_shape
from hand_gesture.model.features import wrist_rms
from tests.hands import IMAGE_SIZE, REFERENCE
from tests.load import post_all
from tests.server import GENEROUS_LIMITS, PROJECT, environment, free_port, import_model, serve, serve_until_exit

LETTERS = {"A": "fist", "B": "stop", "C": "call"}  # hands that stand in for letters
ROWS = 40  # of each class
pytestmark = pytest.mark.filterwarnings("ignore:The `probability` parameter:FutureWarning")  # what people have


def body(gesture: str) -> dict[str, Any]:
    return {"landmarks": REFERENCE.hands[gesture], "image_size": IMAGE_SIZE}


def import_classifier(home: Path, folder: Path, model: Any, shapes: Sequence[str], names: Sequence[str]) -> str:
    """Train a model on reference hands with noise, import it, and return its version."""
    hands = np.array([parse_hand(REFERENCE.hands[shape]) for shape in shapes])
    restore_shape(hands, REFERENCE.image_size)
    features = np.repeat(wrist_rms(hands), ROWS, axis=0)
    features += np.random.default_rng(0).normal(0, 0.03, features.shape).astype(np.float32)
    encoder = LabelEncoder().fit(names)
    model.fit(features, encoder.transform(np.repeat(names, ROWS)))
    (folder / "mine.pkl").write_bytes(pickle.dumps(model))
    (folder / "mine_encoder.pkl").write_bytes(pickle.dumps(encoder))
    arguments = ("--model", folder / "mine.pkl", "--encoder", folder / "mine_encoder.pkl")
    result = import_model(home, *arguments, "--features", "wrist_rms_v3")
    assert result.returncode == 0, result.stderr
    return result.stdout.splitlines()[-1].split()[0].partition(":")[2]


def make_model(home: Path) -> str:
    """Run ``make model``, as ``make serve`` does."""
    result = subprocess.run(
        ["make", "--assume-old=.venv/.runtime", "model"],
        cwd=PROJECT,
        env=environment(home),
        capture_output=True,
        text=True,
        check=True,
    )
    return result.stdout


def test_letters_are_served_described_and_kept(tmp_path: Path) -> None:
    version = import_classifier(
        tmp_path, tmp_path, SVC(probability=True, random_state=0), [*LETTERS.values()], [*LETTERS]
    )
    assert f"Keeping your own model hand_gesture:{version};" in make_model(tmp_path)
    with serve(tmp_path) as server:
        document = server.client.get("/reference_hands.json").json()
        assert document["gestures"] == ["A", "B", "C"]
        assert (document["hands"], document["other_side"], document["commands"]) == ({}, {}, {})
        assert document["model"] == {
            "name": "hand_gesture",
            "version": version,
            "kind": "SVC",
            "features": "wrist_rms_v3",
            "bundled": False,
        }
        for letter, shape in LETTERS.items():
            assert server.client.post("/predict", json=body(shape)).json()["gesture"] == letter
        figures = server.metrics()
        predictions = {name: value for name, value in figures.items() if name.startswith("hand_gesture_predictions_")}
        assert {name: value for name, value in predictions.items() if "created" not in name} == {
            **{f'hand_gesture_predictions_total{{gesture="{letter}"}}': 1 for letter in LETTERS},
            'hand_gesture_predictions_total{gesture="none"}': 0,
        }
        (info,) = (name for name in figures if name.startswith("hand_gesture_model_info"))
        assert f'feature_contract="wrist_rms_v3",kind="SVC",version="{version}"' in info


def test_known_shapes_have_reference_hands_and_commands(tmp_path: Path) -> None:
    names = ["wave", "like", "fist"]
    import_classifier(tmp_path, tmp_path, SVC(probability=True, random_state=0), ["palm", "like", "fist"], names)
    with serve(tmp_path) as server:
        document = server.client.get("/reference_hands.json").json()
    assert document["gestures"] == ["fist", "like", "wave"]
    assert document["hands"] == {name: REFERENCE.hands[name] for name in ("fist", "like")}
    assert document["other_side"] == {name: REFERENCE.other_side[name] for name in ("fist", "like")}
    assert document["commands"] == {"fist": "left", "like": "up"}


def test_make_imports_the_bundled_model_into_an_empty_store_and_updates_it(tmp_path: Path) -> None:
    assert "is now in the model store" in make_model(tmp_path)
    assert "is already in the model store" in make_model(tmp_path)
    # An older one, as it lies there after a git pull; the versions before the label "origin" are recognised, too
    (stored,) = (tmp_path / "models" / "hand_gesture").glob("*/")
    older = stored.rename(stored.with_name("older"))
    described = (older / "model.yaml").read_text()
    assert "  origin: bundled\n" in described
    described = described.replace("  origin: bundled\n", "").replace(stored.name, "older")
    (older / "model.yaml").write_text(described)
    (tmp_path / "models" / "hand_gesture" / "latest").write_text("older")
    assert f"hand_gesture:{stored.name} is now in the model store" in make_model(tmp_path)
    assert (tmp_path / "models" / "hand_gesture" / "latest").read_text() == stored.name


def test_missing_library_of_the_model_stops_the_service(tmp_path: Path) -> None:
    xgboost = pytest.importorskip("xgboost")
    import_classifier(tmp_path, tmp_path, xgboost.XGBClassifier(n_estimators=5), [*LETTERS.values()], [*LETTERS])
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / "xgboost.py").write_text("raise ModuleNotFoundError(name=__name__)\n")  # found before the installed one
    result = serve_until_exit(tmp_path, PORT=free_port(), WORKERS=2, PYTHONPATH=hidden)
    assert result.returncode == os.EX_CONFIG
    events = [json.loads(line) for line in result.stdout.splitlines()]
    told = {event["message"] for event in events if event["level"] == "critical"}
    assert told == {
        "model.pkl was not loaded: it needs xgboost.sklearn.XGBClassifier, which is not installed; install xgboost."
    }
    assert not [event for event in events if "exception" in event]
    assert "Traceback" not in result.stdout + result.stderr


@pytest.fixture(scope="module")
def forest_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with a slow forest."""
    home = tmp_path_factory.mktemp("forest")
    model = RandomForestClassifier(2000, n_jobs=-1, random_state=0)
    import_classifier(home, home, model, [*REFERENCE.hands], [*REFERENCE.hands])
    return home


def test_a_slow_model_does_not_block_other_requests(forest_home: Path) -> None:
    with serve(forest_home, **GENEROUS_LIMITS) as server, httpx.Client(base_url=server.url, timeout=60) as other:
        assert server.client.get("/reference_hands.json").json()["model"]["kind"] == "RandomForestClassifier"
        most = 0
        with connect(server.url.replace("http", "ws") + "/stream") as stream:
            stream.send("{}")
            for _ in range(100):  # on a busy machine few requests fit into a call
                stream.send(json.dumps(body("like")))
                answer: list[Any] = []
                waiting = threading.Thread(target=lambda answer=answer: answer.append(json.loads(stream.recv(60))))
                waiting.start()
                answered = 0
                while waiting.is_alive():
                    assert other.get("/livez").is_success
                    answered += waiting.is_alive()
                assert other.get("/metrics").is_success
                assert answer[0]["gesture"] == "like"
                most = max(most, answered)
                if most >= 5:
                    break
        # On the event loop, a call would let one of them through before it begins
        assert most >= 5


def test_a_slow_model_is_batched(forest_home: Path) -> None:
    bodies = [body(gesture) for gesture in REFERENCE.hands] * 10
    with serve(forest_home, **GENEROUS_LIMITS) as server:
        answers = asyncio.run(post_all(server.url, "/predict", bodies, connections=36))
        assert [answer.json()["gesture"] for answer in answers] == [*REFERENCE.hands] * 10
        figures = server.metrics()
    hands, calls = (figures[f'hand_gesture_batch_size_{part}{{route="/predict"}}'] for part in ("sum", "count"))
    assert hands == len(bodies)
    assert hands / calls > 9  # a quarter of the waiting hands
    # The call's time, not the requests': what the operator is told is how slow the model is
    assert figures["hand_gesture_inference_duration_seconds_count"] == calls
