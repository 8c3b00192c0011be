"""Published models of other projects, imported and compared with their own predictions, if available."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hand_gesture.landmarks import convert, parse_hand
from hand_gesture.model.artifacts import load_artifacts
from tests.hands import REFERENCE
from tests.server import GENEROUS_LIMITS, PROJECT, import_model, serve

MODELS = PROJECT.parent / "shared" / "models"
FRAMES = PROJECT.parent / "shared" / "data" / "webcam_hands.json"
LEAST_EQUAL = 0.98
# Options for models whose labels are not known gestures
FEATURES = {
    "min42": "min_xy",
    "raw42": "raw_xy",
    "raw63": "raw_xyz",
    "xyz9": "scale=0-9,scale_dimensions=3,z=scaled",
    "zscaled": "scale=0-12,z=scaled",
}
MAYAR = "one_side=true,upright=9,scale=box"
REFUSED = {
    "asl_charlsii": "two hands in one vector",
    "asl_dhruv": "two hands in one vector",
    "asl_hpozy": "two hands in one vector",
    "asl_alistair": "a Keras model",
    "amany": "reference hands correctly",
    "mayar_xgb": "reference hands correctly",
}

if not MODELS.is_dir():
    pytest.skip("there are no published models beside the project", allow_module_level=True)
ABOUT = {path.parent.name: json.loads(path.read_text()) for path in sorted(MODELS.glob("*/about.json"))}


def arguments(name: str) -> list[str | Path]:
    """Options of the import for a model."""
    about = ABOUT[name]
    result: list[str | Path] = ["--model", MODELS / name / about["model"]]
    for option in ("encoder", "scaler"):
        if about[option]:
            result += [f"--{option}", MODELS / name / about[option]]
    if about["features_name"] in FEATURES:
        result += ["--features", FEATURES[about["features_name"]]]
    if name in {"amany", "sohataher_svm"}:  # classes are numbers, of HaGRID's gestures in order
        result += ["--labels", ",".join(REFERENCE.hands)]
    elif not about["encoder"] and about["answers"] and all(answer.isdigit() for answer in about["answers"]):
        result += ["--labels", json.dumps({str(number): str(number) for number in range(100)})]
    return result


def equal_answers(home: Path, expected: list[str]) -> int:
    """Number of frames with the same prediction as the original project."""
    latest = home / "models" / "hand_gesture"
    classifier = load_artifacts(latest / (latest / "latest").read_text()).classifier
    equal = 0
    for frame, answer in zip(json.loads(FRAMES.read_text()), expected, strict=True):
        hand = parse_hand(frame["landmarks"])[np.newaxis]
        convert(hand, frame["size"], classifier.features.unit)
        (prediction,) = classifier.predict(hand)
        equal += prediction.gesture == answer
    return equal


@pytest.mark.parametrize("name", [name for name in ABOUT if name not in REFUSED])
def test_predictions_match_the_original_project(tmp_path: Path, name: str) -> None:
    result = import_model(tmp_path, *arguments(name))
    assert result.returncode == 0, result.stderr
    expected: Any = ABOUT[name]["answers"]
    assert equal_answers(tmp_path, expected) >= LEAST_EQUAL * len(expected), result.stdout


def test_the_earlier_backends_model_is_served(tmp_path: Path) -> None:
    assert import_model(tmp_path, *arguments("habibasoliman")).returncode == 0
    expected = ABOUT["habibasoliman"]["answers"]
    with serve(tmp_path, **GENEROUS_LIMITS) as server:
        given = [
            server.client.post("/predict", json={"landmarks": frame["landmarks"], "image_size": frame["size"]}).json()[
                "gesture"
            ]
            for frame in json.loads(FRAMES.read_text())
        ]
    assert given == expected


@pytest.mark.parametrize("name", REFUSED)
def test_unsupported_models_are_explained(tmp_path: Path, name: str) -> None:
    result = import_model(tmp_path, *arguments(name))
    assert result.returncode == 1, result.stdout
    assert REFUSED[name] in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1, result.stderr
