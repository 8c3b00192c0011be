"""The gateway's answers to requests that it does not accept, and to those that fail, without a server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any
from unittest.mock import ANY, AsyncMock, Mock

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.types import Message

from hand_gesture.errors import FailedRequestError, Reason, RejectedRequestError, ServerReason
from hand_gesture.settings import Settings
from hand_gesture.web import gateway
from hand_gesture.web.decoding import MAX_HAND_BYTES
from hand_gesture.web.gateway import PredictionGateway
from hand_gesture.web.responses import CLOSE
from tests.hands import LIKE

GAME = "https://game.example"
JSON = {"content-type": "application/json"}
KEY = {"authorization": "Bearer secret"}
POST: dict[str, Any] = {
    "type": "http",
    "method": "POST",
    "path": "/predict",
    "query_string": b"",
    "headers": [(b"content-type", b"application/json"), (b"content-length", b"9")],
}
PLAIN = {b"content-type": b"application/json", b"content-length": b"9", b"authorization": b"Bearer secret"}


@pytest.fixture(autouse=True)
def metrics(monkeypatch: pytest.MonkeyPatch) -> Mock:
    recorded = Mock()
    monkeypatch.setattr(gateway, "get_metrics", lambda: recorded)
    return recorded


def make_gateway(**settings: Any) -> PredictionGateway:
    """A gateway in front of an application that answers all paths."""
    app = Starlette(routes=[Route("/{path:path}", lambda _: PlainTextResponse("other"), methods=["GET", "POST"])])
    return PredictionGateway(app, Settings(**settings), Mock())


def ask(app: PredictionGateway, method: str, path: str, headers: dict[str, str], body: bytes = b"") -> httpx.Response:
    """Send a request, the body in two pieces."""

    async def pieces() -> AsyncIterator[bytes]:
        yield body[:1]
        yield body[1:]

    async def request() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://service") as client:
            return await client.request(method, path, headers=headers, content=pieces())

    return asyncio.run(request())


UPGRADE = {"upgrade": "websocket", "connection": "Upgrade"}


@pytest.mark.parametrize(
    ("method", "path", "headers", "status", "reason", "extra", "hint"),
    [
        ("GET", "/predict", KEY, 405, Reason.METHOD_NOT_ALLOWED, {"allow": "POST"}, "only accepts POST"),
        ("PUT", "/gestures", KEY | JSON, 405, Reason.METHOD_NOT_ALLOWED, {"allow": "POST"}, "only accepts POST"),
        (
            "POST",
            "/predict%0A",
            KEY | JSON,
            405,
            Reason.METHOD_NOT_ALLOWED,
            {"allow": "GET, HEAD"},
            "/predict, /predict/command,",
        ),
        ("POST", "/", KEY | JSON, 405, Reason.METHOD_NOT_ALLOWED, {"allow": "GET, HEAD"}, "POST is only allowed for"),
        ("GET", "/stream", {}, 426, Reason.METHOD_NOT_ALLOWED, UPGRADE, "ws://"),
        ("POST", "/stream", KEY, 426, Reason.METHOD_NOT_ALLOWED, UPGRADE, "ws://"),
        (
            "GET",
            "/stream",
            {"origin": GAME},
            426,
            Reason.METHOD_NOT_ALLOWED,
            {"access-control-allow-origin": GAME},
            "ws://",
        ),
        (
            "GET",
            "/stream",
            {"origin": f"{GAME}.evil"},
            403,
            Reason.FORBIDDEN_ORIGIN,
            {"access-control-allow-origin": "*"},
            "ALLOWED_ORIGINS",
        ),
        *(
            (
                "POST",
                path,
                headers,
                401,
                Reason.UNAUTHORIZED,
                {"www-authenticate": "Bearer"},
                "Authorization: Bearer KEY",
            )
            for path in ("/predict", "/predict/command", "/predict_batch", "/gestures")
            for headers in (JSON, {}, JSON | {"authorization": "Bearer other"})
        ),
        *(
            ("POST", "/predict_batch", KEY | headers, 415, Reason.UNSUPPORTED_MEDIA_TYPE, {}, hint)
            for headers, hint in (
                ({"content-type": "image/png"}, "MediaPipe"),
                ({"content-type": "multipart/form-data; boundary=x"}, "MediaPipe"),
                ({"content-type": "application/x-www-form-urlencoded"}, "MediaPipe"),
                ({"content-type": "application/vnd.bentoml+pickle"}, "bentoml.depends"),
                ({"content-type": "text/plain"}, "Content-Type: application/json"),
                ({"content-type": ""}, "Content-Type: application/json"),
                (JSON | {"content-encoding": "gzip"}, "plain JSON"),
            )
        ),
    ],
)
def test_requests_are_rejected(
    method: str,
    path: str,
    headers: dict[str, str],
    status: int,
    reason: Reason,
    extra: dict[str, str],
    hint: str,
    metrics: Mock,
) -> None:
    app = make_gateway(api_key="secret", allowed_origins=GAME)
    response = ask(app, method, path, headers, b"[]" if method == "POST" else b"")
    assert (response.status_code, response.json()["reason"]) == (status, reason)
    assert hint in response.json()["error"]
    assert {name: response.headers[name] for name in extra} == extra
    metrics.count_rejected.assert_called_once_with(reason, 0)


@pytest.mark.parametrize("content_type", ["application/json", "Application/JSON ; charset=utf-8", None])
@pytest.mark.parametrize("encoding", ["identity", "Identity", None])
def test_json_is_decoded(content_type: str | None, encoding: str | None) -> None:
    fields = {"content-type": content_type, "content-encoding": encoding}
    headers = {name: value for name, value in fields.items() if value is not None}
    for path in ("/predict", "/predict/command", "/predict_batch"):
        for body, reason in ((b"{", Reason.INVALID_JSON), (b"[1]", Reason.INVALID_REQUEST)):
            response = ask(make_gateway(), "POST", path, headers, body)
            assert (response.status_code, response.json()["reason"]) == (400, reason)


def test_other_requests_are_passed_on() -> None:
    response = ask(make_gateway(api_key="secret"), "GET", "/reference_hands.json", {})
    assert (response.status_code, response.text) == (200, "other")


@pytest.mark.parametrize(
    ("path", "limit"),
    [("/predict", MAX_HAND_BYTES), ("/predict/command", MAX_HAND_BYTES), ("/predict_batch", 100_000)],
)
def test_larger_bodies_are_rejected(path: str, limit: int) -> None:
    app = make_gateway(max_body_bytes=100_000)
    for size, status, reason in ((limit, 400, Reason.INVALID_JSON), (limit + 1, 413, Reason.BODY_TOO_LARGE)):
        response = ask(app, "POST", path, JSON, b"{" * size)
        assert (response.status_code, response.json()["reason"]) == (status, reason)


@pytest.mark.parametrize("error", [KeyError("a bug"), RuntimeError("a bug"), OSError("a bug")], ids=repr)
def test_an_error_before_the_body_is_read_is_not_a_timeout(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    """It gets a 500 and a line in the log; 408 is for clients that are too slow."""
    sent: list[Message] = []

    async def receive() -> Message:
        raise error

    async def send(message: Message) -> None:
        sent.append(message)

    asyncio.run(make_gateway()(POST, receive, send))
    start, *rest = sent
    assert start["status"] == 500
    assert json.loads(b"".join(message["body"] for message in rest))["reason"] == ServerReason.MODEL_FAILED
    (record,) = caplog.records
    assert record.exc_info is not None
    assert record.exc_info[1] is error


@pytest.mark.parametrize("pieces", [[], [{"type": "http.request", "body": b"{", "more_body": True}]])
def test_a_client_that_disconnects_before_its_body_is_complete(pieces: list[Message], metrics: Mock) -> None:
    """It is counted as nginx does, and nothing is sent."""
    send = Mock()
    receive = AsyncMock(side_effect=[*pieces, {"type": "http.disconnect"}])
    asyncio.run(make_gateway()(POST, receive, send))
    metrics.end_request.assert_called_once_with("/predict", 499, ANY)
    assert not send.called


def test_a_client_that_disconnects_before_its_answer(metrics: Mock, monkeypatch: pytest.MonkeyPatch) -> None:
    admission, send = Mock(), Mock()
    monkeypatch.setattr(gateway, "AdmissionControl", lambda _: admission)
    body = json.dumps({"landmarks": LIKE}).encode()
    messages = [{"type": "http.request", "body": body, "more_body": False}, {"type": "http.disconnect"}]
    asyncio.run(make_gateway()(POST, AsyncMock(side_effect=messages), send))
    admission.submit.assert_called_once()
    admission.submit.return_value.cancel.assert_called_once_with()
    metrics.end_request.assert_called_once_with("/predict", 499, ANY)
    assert not send.called


def watched(monkeypatch: pytest.MonkeyPatch) -> Mock:
    """An event loop that records the watchdog's timers."""
    loop = Mock()
    monkeypatch.setattr(asyncio, "get_running_loop", lambda: loop)
    return loop


@pytest.mark.parametrize(
    ("target", "headers", "is_direct"),
    [
        (b"/predict", {}, True),
        (b"/predict/command", {}, True),
        (b"/predict", {b"content-length": b"%d" % MAX_HAND_BYTES, b"x": b"y"}, True),
        (b"/predict", {b"content-length": b"%d" % (MAX_HAND_BYTES + 1)}, False),
        (b"/predict", {b"content-type": b"application/json; charset=utf-8"}, False),
        (b"/predict", {b"content-encoding": b"identity"}, False),
        (b"/predict", {b"authorization": b"Bearer other"}, False),
        (b"/predict?x", {}, False),
        (b"/predict_batch", {}, False),
        (b"/gestures", {}, False),
        (b"/livez", {}, False),
    ],
)
def test_only_plain_requests_for_one_hand_skip_asgi(
    target: bytes, headers: dict[bytes, bytes], is_direct: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All others need more checks, which ASGI has."""
    watched(monkeypatch)
    request = make_gateway(api_key="secret").open_request(target, PLAIN | headers, Mock())
    assert (request is not None) is is_direct


@pytest.mark.parametrize("is_open", [True, False])
def test_headers_of_plain_requests_may_be_absent(is_open: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    watched(monkeypatch)
    request = make_gateway(api_key="" if is_open else "secret").open_request(b"/predict", {}, Mock())
    assert (request is not None) is is_open


@pytest.mark.parametrize(
    ("error", "status", "lines", "closes", "pause"),
    [
        (RejectedRequestError(400, Reason.INVALID_JSON, ""), 400, b"", False, 0),
        (RejectedRequestError(408, Reason.BODY_TOO_SLOW, "", [CLOSE]), 408, b"connection: close\r\n", True, 0),
        (FailedRequestError(503, ServerReason.OVERLOADED, "", [(b"a", b"b")]), 503, b"a: b\r\n", False, 0.25),
    ],
    ids=["400", "408", "503"],
)
def test_responses_that_skip_asgi(
    error: FailedRequestError, status: int, lines: bytes, closes: bool, pause: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched(monkeypatch)
    app, respond = make_gateway(allowed_origins=GAME), Mock()
    request = app.open_request(b"/predict", PLAIN | {b"origin": GAME.encode()}, respond)
    assert request is not None
    request.fail(error)
    body = json.dumps({"error": "", "reason": error.reason}, separators=(",", ":")).encode()
    head = b"content-type: application/json\r\ncontent-length: %d\r\n%b" % (len(body), lines)
    respond.assert_called_once_with(status, ANY, body, closes, pause)
    headers = respond.call_args.args[1]
    assert headers.startswith(head)
    assert b"access-control-allow-origin: %b\r\n" % GAME.encode() in headers[len(head) :]


def test_a_disconnected_client_gets_no_response(monkeypatch: pytest.MonkeyPatch) -> None:
    watched(monkeypatch)
    respond = Mock()
    request = make_gateway().open_request(b"/predict", PLAIN, respond)
    assert request is not None
    request.disconnect()
    assert not respond.called


@pytest.mark.parametrize(
    ("target", "origin", "is_open"),
    [
        (b"/stream", None, True),
        (b"/stream?key=x", GAME.encode(), True),
        (b"/%73tream", None, True),
        (b"/stream", b"https://evil.example", False),
        (b"/predict", None, False),
        (b"/\xff", None, False),
    ],
)
def test_streams_are_opened_for_allowed_origins(
    target: bytes, origin: bytes | None, is_open: bool, metrics: Mock
) -> None:
    headers = [] if origin is None else [(b"origin", origin)]
    assert (make_gateway(allowed_origins=GAME).open_stream(target, headers, Mock()) is not None) is is_open
    if not is_open and origin is not None:
        metrics.count_rejected.assert_called_once_with(Reason.FORBIDDEN_ORIGIN)


@pytest.mark.parametrize(("request_timeout", "idle", "shortest"), [(2.0, 300, 2.0), (60, 1, 1), (60, 300, 5)])
def test_time_limits_are_exceeded_by_a_twentieth_at_most(
    request_timeout: float, idle: float, shortest: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = watched(monkeypatch)
    app = make_gateway(request_timeout_seconds=request_timeout, stream_idle_seconds=idle)
    app.open_request(b"/predict", PLAIN, Mock())
    loop.call_later.assert_called_once_with(shortest / 20, ANY)
