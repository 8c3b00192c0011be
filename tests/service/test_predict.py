from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import numpy as np
import pytest
from jsonschema_rs import Draft202012Validator

from hand_gesture.model.classifier import Prediction
from hand_gesture.web.decoding import decode_hand_request
from tests.hands import CLASSIFIER, FORMS, IMAGE_SIZE, LIKE, REFERENCE, shaken_hands, with_z_in_pixels
from tests.load import post_all
from tests.server import Server

COMMANDS = {"like": "up", "dislike": "down", "stop": "right", "fist": "left"}
BODY = {"landmarks": LIKE, "image_size": IMAGE_SIZE}


def alone(body: dict[str, Any]) -> Prediction:
    """The prediction of the classifier itself."""
    import orjson

    (prediction,) = CLASSIFIER.predict(decode_hand_request(orjson.dumps(body)))
    return prediction


@pytest.mark.parametrize("gesture", REFERENCE.hands)
def test_reference_hand_gets_its_gesture_and_command(server: Server, gesture: str) -> None:
    body = {"landmarks": REFERENCE.hands[gesture], "image_size": IMAGE_SIZE}
    answer = server.client.post("/predict", json=body).json()
    assert answer.keys() == {"gesture", "confidence", "command"}
    assert answer["gesture"] == gesture
    assert answer["command"] == COMMANDS.get(gesture)
    assert 0.5 < answer["confidence"] <= 1


@pytest.mark.parametrize("form", FORMS)
def test_every_format_gets_the_same_prediction(server: Server, form: Any) -> None:
    answer = server.client.post("/predict", json={"landmarks": form(LIKE), "image_size": IMAGE_SIZE}).json()
    expected = server.client.post("/predict", json=BODY).json()
    assert (answer["gesture"], answer["command"]) == (expected["gesture"], expected["command"])
    assert answer["confidence"] == pytest.approx(expected["confidence"], abs=0.1)  # z is left out of some


def test_pixels_get_the_same_prediction(server: Server) -> None:
    pixels = [[x * IMAGE_SIZE[0], y * IMAGE_SIZE[1], z] for x, y, z in LIKE]
    expected = server.client.post("/predict", json=BODY).json()
    assert server.client.post("/predict", json={"landmarks": pixels}).json() == expected
    deep = {"landmarks": with_z_in_pixels(LIKE)}
    assert server.client.post("/predict", json=deep | {"image_size": IMAGE_SIZE}).json() == expected
    without_z = {"landmarks": [point[:2] for point in pixels]}  # as z in pixels is read where the frame is not known
    assert server.client.post("/predict", json=deep).json() == server.client.post("/predict", json=without_z).json()
    assert server.client.post("/predict", json={"landmarks": pixels, "image_size": IMAGE_SIZE}).json() == expected


def test_command_reply_is_the_earlier_backends(server: Server) -> None:
    assert server.client.post("/predict/command", json=BODY).json() == {"gesture": "up"}
    rock = {"landmarks": REFERENCE.hands["rock"], "image_size": IMAGE_SIZE}
    assert server.client.post("/predict/command", json=rock).json() == {"gesture": None}


def test_batch_keeps_order(server: Server) -> None:
    body = {"hands": [*REFERENCE.hands.values()], "image_size": IMAGE_SIZE}
    answers = server.client.post("/predict_batch", json=body).json()
    assert [answer["gesture"] for answer in answers] == [*REFERENCE.hands]


@pytest.mark.parametrize(
    ("send", "status", "reason"),
    [
        ({"json": {"landmarks": LIKE[:20]}}, 400, "missing_landmarks"),
        ({"json": {"landmarks": LIKE, "image_size": [0, 0]}}, 400, "invalid_image_size"),
        ({"content": b"{", "headers": {"Content-Type": "application/json"}}, 400, "invalid_json"),
        ({"content": b"{}", "headers": {"Content-Type": "text/plain"}}, 415, "unsupported_media_type"),
        (
            {"content": b"{}", "headers": {"Content-Type": "application/vnd.bentoml+pickle"}},
            415,
            "unsupported_media_type",
        ),
        ({"content": b"{}", "headers": {"Content-Encoding": "gzip"}}, 415, "unsupported_media_type"),
        ({"content": b" " * 2_000_001, "headers": {"Content-Type": "application/json"}}, 413, "body_too_large"),
    ],
)
@pytest.mark.parametrize("route", ["/predict", "/predict/command"])
def test_invalid_requests_are_rejected_and_counted(
    server: Server, route: str, send: dict[str, Any], status: int, reason: str
) -> None:
    before = server.metrics()
    answer = server.client.post(route, **send)
    after = server.metrics()
    assert answer.status_code == status
    assert answer.json()["reason"] == reason
    assert answer.json()["error"].endswith(".")
    for name in (
        f'hand_gesture_invalid_requests_total{{reason="{reason}"}}',
        f'hand_gesture_requests_total{{route="{route}",status="{status}"}}',
    ):
        assert after[name] == before.get(name, 0) + 1
    missing = after["hand_gesture_missing_landmarks_total"] - before["hand_gesture_missing_landmarks_total"]
    assert missing == (reason == "missing_landmarks")


@pytest.mark.parametrize(
    ("route", "body", "hands"),
    [
        ("/predict", BODY, 1),
        ("/predict/command", BODY, 1),
        ("/predict_batch", {"hands": [LIKE] * 3, "image_size": IMAGE_SIZE}, 3),
    ],
)
def test_answers_and_the_call_of_the_model_are_counted(
    server: Server, route: str, body: dict[str, Any], hands: int
) -> None:
    before = server.metrics()
    assert server.client.post(route, json=body).status_code == 200
    after = server.metrics()
    for name, increase in {
        f'hand_gesture_requests_total{{route="{route}",status="200"}}': 1,
        f'hand_gesture_request_duration_seconds_count{{route="{route}"}}': 1,
        f'hand_gesture_batch_size_count{{route="{route}"}}': 1,
        f'hand_gesture_batch_size_sum{{route="{route}"}}': hands,
        "hand_gesture_inference_duration_seconds_count": 1,
        "hand_gesture_prediction_confidence_count": hands,
        'hand_gesture_predictions_total{gesture="like"}': hands,
    }.items():
        assert after[name] == before.get(name, 0) + increase


def test_body_without_content_type_is_taken_as_json(server: Server) -> None:
    import json

    assert server.client.post("/predict", content=json.dumps(BODY)).json()["gesture"] == "like"


def test_concurrent_requests_share_model_calls_and_get_their_own_results(server: Server) -> None:
    bodies = shaken_hands(2000)
    expected = [alone(body) for body in bodies]
    before = server.metrics()
    answers = asyncio.run(post_all(server.url, "/predict", bodies, connections=64))
    after = server.metrics()
    assert Counter(answer.status for answer in answers) == {200: len(bodies)}
    for answer, prediction in zip((answer.json() for answer in answers), expected, strict=True):
        assert answer["gesture"] == prediction.gesture
        assert answer["command"] == prediction.command
        # a batch sums in another order: the last of the four digits may differ
        assert answer["confidence"] == pytest.approx(prediction.confidence, abs=2e-4)
    hands, calls = (
        after[f'hand_gesture_batch_size_{part}{{route="/predict"}}']
        - before.get(f'hand_gesture_batch_size_{part}{{route="/predict"}}', 0)
        for part in ("sum", "count")
    )
    assert hands == len(bodies)
    assert hands / calls > 4


def test_openapi_describes_every_route_and_its_examples_work(server: Server) -> None:
    document = server.client.get("/docs.json").json()
    assert document["paths"].keys() == {
        *("/predict", "/predict_batch", "/predict/command", "/gestures"),
        *("/livez", "/readyz", "/healthz", "/metrics", "/docs.json", "/asyncapi.json", "/reference_hands.json"),
        *("/gestures.js", "/v1/gestures.js"),
    }
    schemas = document["components"]["schemas"]
    for path, item in document["paths"].items():
        if "get" in item:
            assert server.client.get(path).status_code == 200
            continue
        operation = item["post"]
        assert {"200", "400", "405", "408", "413", "415", "500", "503", "504"} == operation["responses"].keys()
        media = operation["requestBody"]["content"]["application/json"]
        request = schemas[media["schema"]["$ref"].rpartition("/")[2]]
        Draft202012Validator(request).validate(media["example"])
        answer = server.client.post(path, json=media["example"])
        assert answer.status_code == 200
        schema = operation["responses"]["200"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
        Draft202012Validator(schemas[schema]).validate(answer.json())


def test_half_closed_hand_makes_no_gesture(server: Server) -> None:
    open_, closed = np.array(REFERENCE.hands["three2"]), np.array(REFERENCE.hands["fist"])
    body = {"landmarks": (0.6 * open_ + 0.4 * closed).tolist(), "image_size": IMAGE_SIZE}
    answer = server.client.post("/predict", json=body).json()
    assert (answer["gesture"], answer["command"]) == ("none", None)
    assert answer["confidence"] > 0.5
    assert server.client.post("/predict/command", json=body).json() == {"gesture": None}
