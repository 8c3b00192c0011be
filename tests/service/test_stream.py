"""Streams, tested with the websockets library."""

from __future__ import annotations

import contextlib
import json
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from jsonschema_rs import Draft202012Validator
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from hand_gesture.debounce import CLOCK_SECONDS
from hand_gesture.errors import Reason
from hand_gesture.web.asyncapi import CLOSE_CODES
from hand_gesture.web.stream import MAX_MESSAGE_BYTES
from tests.fuzz.account import account
from tests.fuzz.test_streams import GOOD, stream
from tests.hands import FORMS, IMAGE_SIZE, LIKE, REFERENCE, as_frame, as_numbers
from tests.server import PROJECT, Server, serve

SETTINGS = {"image_size": IMAGE_SIZE}
PATIENCE = 60


def address_of(server: Server) -> str:
    return server.url.replace("http", "ws") + "/stream"


def opened(server: Server, settings: object = SETTINGS, **options: Any) -> ClientConnection:
    stream: ClientConnection = connect(address_of(server), open_timeout=PATIENCE, **options)
    stream.send(json.dumps(settings))
    return stream


def ask(stream: ClientConnection, message: bytes | str) -> Any:
    stream.send(message)
    return json.loads(stream.recv(PATIENCE))


def end_of(stream: ClientConnection) -> tuple[int, str, Any]:
    """Close code and reason of a stream, and the error sent before."""
    last = [None, *_messages(stream)][-1]
    assert stream.close_code is not None
    assert stream.close_reason is not None
    return stream.close_code, stream.close_reason, last


def _messages(stream: ClientConnection) -> Iterator[Any]:
    with contextlib.suppress(ConnectionClosed):
        while True:
            yield json.loads(stream.recv(PATIENCE))


@pytest.fixture(scope="module")
def guarded(home: Path) -> Iterator[Server]:
    """A service with an API key, one allowed origin, and low limits."""
    with serve(home, API_KEY="secret", ALLOWED_ORIGINS="https://game.example", MAX_STREAMS=2) as running:
        yield running


@pytest.fixture
def short_limits(home: Path) -> Iterator[Server]:
    """A service with short timeouts."""
    with serve(home, STREAM_IDLE_SECONDS=1) as running:
        yield running


@pytest.mark.parametrize("gesture", REFERENCE.hands)
def test_each_gesture_is_answered_as_over_http(server: Server, gesture: str) -> None:
    hand = REFERENCE.hands[gesture]
    expected = server.client.post("/predict", json={"landmarks": hand, "image_size": IMAGE_SIZE}).json()
    with opened(server) as stream:
        messages: list[bytes | str] = [as_frame(hand), *(json.dumps({"landmarks": form(hand)}) for form in FORMS[:3])]
        for message in messages:
            answer = ask(stream, message)
            assert answer["confidence"] == pytest.approx(expected["confidence"], abs=2e-4)
            assert (answer["gesture"], answer["command"]) == (expected["gesture"], expected["command"])


def test_settings_may_be_empty_and_frames_may_have_a_size(server: Server) -> None:
    with opened(server, {}) as stream:
        assert ask(stream, as_frame(LIKE))["gesture"] == "like"
        with_size = ask(stream, json.dumps({"landmarks": LIKE, "image_size": IMAGE_SIZE}))
    with opened(server) as stream:
        assert ask(stream, json.dumps({"landmarks": LIKE}))["confidence"] == with_size["confidence"]


def test_hands_of_a_frame_are_answered_in_order_each_with_what_it_holds(server: Server) -> None:
    stop, like = ([[x + 0.5, y, z] for x, y, z in hand] for hand in (REFERENCE.hands["stop"], LIKE))
    with opened(server) as stream:
        first = ask(stream, as_frame(LIKE, stop))
        assert [(hand["gesture"], hand["held"], hand["changed"]) for hand in first] == [
            ("like", "like", True),
            ("stop", "stop", True),
        ]
        second = ask(stream, json.dumps({"hands": [LIKE, like]}))
        assert [(hand["held"], hand["changed"]) for hand in second] == [("like", False), ("like", True)]


def test_frames_sent_ahead_are_answered_in_order(server: Server) -> None:
    names = [*REFERENCE.hands] * 20
    with opened(server) as stream:
        for name in names:
            stream.send(as_frame(REFERENCE.hands[name]))
        assert [json.loads(stream.recv(PATIENCE))["gesture"] for _ in names] == names


def test_a_gesture_holds_when_it_has_been_shown_long_enough(server: Server) -> None:
    with opened(server, SETTINGS | {"hold_ms": 100}) as stream:
        started = time.monotonic()
        answer = ask(stream, as_frame(LIKE))
        assert (answer["gesture"], answer["held"], answer["changed"]) == ("like", "none", False)
        while not answer["changed"]:
            assert answer["held"] == "none"
            answer = ask(stream, as_frame(LIKE))
        assert time.monotonic() - started >= 0.1 - CLOCK_SECONDS
        assert answer["held"] == "like"
        assert not ask(stream, as_frame(LIKE))["changed"]


def test_streams_share_nothing(server: Server) -> None:
    with opened(server, SETTINGS | {"hold_ms": 10_000}) as slow, opened(server) as quick:
        for _ in range(20):
            assert ask(quick, as_frame(LIKE))["held"] == "like"
            assert ask(slow, as_frame(REFERENCE.hands["stop"]))["held"] == "none"


NAN = [*as_numbers(LIKE)]
NAN[30] = float("nan")


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (b"\x00", Reason.MALFORMED_LANDMARKS),
        (as_frame(LIKE)[:-1], Reason.MALFORMED_LANDMARKS),
        (as_frame(LIKE, LIKE)[:300], Reason.MALFORMED_LANDMARKS),
        (struct.pack("<63f", *NAN), Reason.MISSING_LANDMARKS),
        (struct.pack("<63f", *[1e7] * 63), Reason.MALFORMED_LANDMARKS),
        (as_frame(LIKE) + struct.pack("<63f", *NAN), Reason.MISSING_LANDMARKS),
        ("", Reason.INVALID_JSON),
        ('{"\\ud800": NaN}', Reason.INVALID_JSON),
        ("{}", Reason.INVALID_REQUEST),
        ('{"landmarks": []}', Reason.MISSING_LANDMARKS),
        ('{"hands": {}}', Reason.INVALID_REQUEST),
        (as_frame(*[LIKE] * 9), Reason.TOO_MANY_HANDS),
        (json.dumps({"hands": [LIKE] * 9}), Reason.TOO_MANY_HANDS),
        (struct.pack("<d", float("nan")), Reason.INVALID_REQUEST),
        (struct.pack("<d", float("-inf")) + as_frame(LIKE), Reason.INVALID_REQUEST),
        ('{"hands": [], "time": NaN}', Reason.INVALID_REQUEST),
        ('{"hands": [], "time": "12"}', Reason.INVALID_REQUEST),
        (json.dumps({"landmarks": LIKE, "time": True}), Reason.INVALID_REQUEST),
        (json.dumps({"landmarks": [LIKE, LIKE]}), Reason.MALFORMED_LANDMARKS),
        (json.dumps({"landmarks": LIKE, "image_size": [0, 0]}), Reason.INVALID_IMAGE_SIZE),
        (json.dumps({"hands": [LIKE], "hold_ms": 3}), Reason.INVALID_REQUEST),
    ],
    ids=lambda value: str(value)[:30],
)
def test_invalid_frame_gets_a_reason_and_the_stream_continues(
    server: Server, message: bytes | str, reason: Reason
) -> None:
    with opened(server) as stream:
        with account(server) as change:
            answer = ask(stream, message)
            assert answer.keys() == {"error", "reason"}
            assert answer["error"].endswith(".")
        assert answer["reason"] == reason
        assert change.rejections == {reason: 1}
        assert change.missing_points == {Reason.MISSING_LANDMARKS: 21 if "[]" in str(message) else 1}.get(reason, 0)
        assert ask(stream, as_frame(LIKE))["gesture"] == "like"


def test_frame_with_a_missing_point_is_told_as_over_http(server: Server) -> None:
    hand = [*as_numbers(LIKE)]
    hand[30] = None  # type: ignore[call-overload]
    over_http = server.client.post("/predict", json={"landmarks": hand}).json()
    with opened(server) as stream:
        assert ask(stream, struct.pack("<63f", *NAN)) == over_http


@pytest.mark.parametrize(
    ("first", "code", "words"),
    [
        (b"\x00" * 252, 1003, "begins with its settings"),
        ("no JSON", 1008, "not valid JSON"),
        ("[]", 1008, "begins with its settings"),
        (json.dumps({"landmarks": LIKE}), 1008, "begins with its settings"),
        ('{"hold_ms": -1}', 1008, "hold_ms must be"),
        ('{"hold_ms": true}', 1008, "hold_ms must be"),
        ('{"image_size": [1]}', 1008, "image_size must be"),
        ('{"key": 3}', 1008, "key must be"),
        ('{"answers": "object"}', 1008, 'answers must be "list"'),
        ('{"answers": ["list"]}', 1008, 'answers must be "list"'),
    ],
    ids=lambda value: str(value)[:20],
)
def test_invalid_first_message_closes_the_stream_with_a_message(
    server: Server, first: bytes | str, code: int, words: str
) -> None:
    with connect(address_of(server)) as stream:
        stream.send(first)
        given, sentence, error = end_of(stream)
    assert given == code
    assert words in error["error"]
    assert error["error"].startswith(sentence)


def test_message_that_is_too_large_ends_the_stream(guarded: Server) -> None:
    with opened(guarded, {"key": "secret"}) as stream:
        stream.send(b"\x00" * (MAX_MESSAGE_BYTES + 1))
        code, sentence, _ = end_of(stream)
    assert (code, str(MAX_MESSAGE_BYTES) in sentence) == (1009, True)


@pytest.mark.parametrize("key", ["", "wrong", "secret ", "sécret"])
def test_wrong_key_ends_the_stream(guarded: Server, key: str) -> None:
    with account(guarded) as change, opened(guarded, {"key": key}) as stream:
        code, sentence, error = end_of(stream)
    assert code == 1008
    assert sentence.startswith("This server asks for a key")
    assert error["reason"] == "unauthorized"
    assert change.rejections == {"unauthorized": 1}


def test_right_key_is_taken_from_either_place(guarded: Server) -> None:
    with opened(guarded, SETTINGS | {"key": "secret"}) as stream:
        assert ask(stream, as_frame(LIKE))["gesture"] == "like"
    with opened(guarded, additional_headers={"Authorization": "Bearer secret"}) as stream:
        assert ask(stream, as_frame(LIKE))["gesture"] == "like"


@pytest.mark.parametrize("origin", ["https://game.example", "HTTPS://GAME.EXAMPLE", None, "own"])
def test_allowed_origins_and_clients_without_origin_are_accepted(guarded: Server, origin: Any) -> None:
    origin = guarded.url if origin == "own" else origin
    with opened(guarded, {"key": "secret"}, origin=origin) as stream:
        assert "gesture" in ask(stream, as_frame(LIKE))


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "https://game.example.evil", "http://game.example", "http://["]
)
def test_other_origins_are_rejected(guarded: Server, origin: Any) -> None:
    with account(guarded) as change, pytest.raises(InvalidStatus) as refusal:
        opened(guarded, {"key": "secret"}, origin=origin)
    assert refusal.value.response.status_code == 403
    assert change.rejections == {"forbidden_origin": 1}


def test_silent_streams_are_closed(short_limits: Server) -> None:
    with connect(address_of(short_limits)) as stream:
        assert end_of(stream)[:2] == (1001, "The settings did not arrive within 15 seconds.")
    with opened(short_limits) as stream:
        assert end_of(stream)[:2] == (1001, "No frame for 1 seconds.")


def test_any_data_resets_the_ping_timeout(home: Path) -> None:
    """The client sends frames but no pongs."""
    limits = {"PING_INTERVAL_SECONDS": 0.1, "CLIENT_TIMEOUT_SECONDS": 0.1, "MAX_WAITING_FRAMES": 1}
    with serve(home, "tests.stream_limits:HandGesture", **limits) as server:
        with stream(server) as busy, stream(server) as silent:
            until = time.monotonic() + 2
            while time.monotonic() < until:
                busy.socket.sendall(GOOD * 50)
                for _ in range(50):
                    assert busy.answer()["gesture"] == "like"
            assert b"No data within" in b"".join(iter(lambda: silent.socket.recv(65_536), b""))


def test_number_of_streams_is_limited(guarded: Server) -> None:
    key = {"Authorization": "Bearer secret"}
    with opened(guarded, additional_headers=key), opened(guarded, additional_headers=key):
        with connect(address_of(guarded)) as third:
            code, sentence, error = end_of(third)
    assert code == 1013
    assert "try again" in sentence
    assert error["reason"] == "overloaded"


def test_plain_http_is_told_to_upgrade(server: Server) -> None:
    answer = server.client.get("/stream")
    assert answer.status_code == 426
    assert answer.headers["upgrade"] == "websocket"
    assert "WebSocket" in answer.json()["error"]
    assert server.client.post("/stream", json={}).status_code == 426


def test_compression_is_declined_and_other_paths_are_not_found(server: Server) -> None:
    with opened(server) as stream:  # which offers it
        assert "Sec-WebSocket-Extensions" not in stream.response.headers  # type: ignore[union-attr]
    with pytest.raises(InvalidStatus):
        connect(server.url.replace("http", "ws") + "/predict")


def test_metrics_count_streams(server: Server) -> None:
    def figure(name: str) -> float:
        return server.metrics().get(name, 0)

    answered = 'hand_gesture_requests_total{route="/stream",status="200"}'
    refused = 'hand_gesture_requests_total{route="/stream",status="400"}'
    closed = 'hand_gesture_closed_streams_total{code="1000"}'
    before = figure(answered), figure(refused), figure(closed)
    with opened(server) as stream:
        for _ in range(5):
            ask(stream, as_frame(LIKE))
        ask(stream, b"bad")
        assert figure("hand_gesture_streams") == 1
    deadline = time.monotonic() + PATIENCE
    while figure("hand_gesture_streams"):
        assert time.monotonic() < deadline
    assert (figure(answered), figure(refused), figure(closed)) == (before[0] + 5, before[1] + 1, before[2] + 1)
    assert figure('hand_gesture_request_duration_seconds_count{route="/stream"}') >= 6


def test_stream_and_requests_may_be_mixed(server: Server) -> None:
    with opened(server) as stream:
        for _ in range(20):
            assert ask(stream, as_frame(LIKE))["gesture"] == "like"
            body = {"landmarks": LIKE, "image_size": IMAGE_SIZE}
            assert httpx.post(f"{server.url}/predict", json=body, timeout=PATIENCE).json()["gesture"] == "like"


def test_asyncapi_document_matches_the_service(guarded: Server, server: Server) -> None:
    document = server.client.get("/asyncapi.json").json()
    assert document["asyncapi"] == "3.0.0"
    assert document["components"]["securitySchemes"] == {}
    assert "key" in guarded.client.get("/asyncapi.json").json()["components"]["securitySchemes"]
    messages = document["components"]["messages"]
    for operation in document["operations"].values():
        for reference in operation["messages"]:
            assert reference["$ref"].rpartition("/")[2] in messages
    schemas = {name: Draft202012Validator(message["payload"]) for name, message in messages.items()}
    with opened(server, SETTINGS | {"hold_ms": 1.5, "key": "any"}) as stream:
        schemas["settings"].validate(SETTINGS | {"hold_ms": 1.5, "key": "any"})
        schemas["answer"].validate(ask(stream, as_frame(LIKE)))
        schemas["answers"].validate(ask(stream, as_frame(LIKE, LIKE)))
        schemas["error"].validate(ask(stream, b"x"))
        schemas["answerWithoutHands"].validate(ask(stream, b""))
        for name, frame in (("frameOfOneHand", {"landmarks": LIKE}), ("frameOfHands", {"hands": []})):
            schemas[name].validate(frame | {"time": 12.5})
            assert "gesture" in ask(stream, json.dumps(frame | {"time": 12.5}))
        for wrong in (
            *({"hold_ms": -1}, {"hold_ms": 10_001}, {"image_size": [1]}, {"key": 1}, {"other": 1}),
            *({"answers": "object"}, {"answers": True}),
        ):
            assert not schemas["settings"].is_valid(wrong)
            with opened(server, wrong) as refused:
                assert end_of(refused)[0] == 1008
    with opened(server, {"answers": "list"}) as stream:
        for message in (as_frame(LIKE), b""):
            answer = ask(stream, message)
            assert len(answer) == 1
            schemas["answers"].validate(answer)
    text = (PROJECT / "docs" / "stream.md").read_text()
    for code in CLOSE_CODES:
        assert f"| {code.value} |" in text
        assert str(code.value) in document["info"]["description"]
