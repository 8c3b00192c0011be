"""Which requests skip ASGI, and what those behind them and their clients notice."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import Mock

import pytest
from starlette.types import Message, Receive, Scope, Send
from uvicorn.config import Config
from uvicorn.server import ServerState

from hand_gesture.bento.http_connection import APPLICATION, HttpConnection
from hand_gesture.bento.websocket_connection import MessageTransport, WebSocket

GET = b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n"
BODY = b"{}"
UPGRADE = (
    b"GET /stream?x HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


@dataclass
class Service:
    """A connection to an ASGI application that answers when ``is_ready`` is set, and the direct path beside it."""

    may_skip: bool = True
    is_ready: asyncio.Event = field(default_factory=asyncio.Event)
    asgi: list[tuple[str, str]] = field(default_factory=list)  # methods and paths
    received: list[Message] = field(default_factory=list)
    direct: list[tuple[bytes, dict[bytes, bytes]]] = field(default_factory=list)  # targets and headers
    request: Mock = field(default_factory=Mock)
    limits: Mock = field(default_factory=Mock)
    watchdog: Mock = field(default_factory=Mock)
    streams: list[tuple[bytes, list[tuple[bytes, bytes]]]] = field(default_factory=list)  # targets and headers

    def __post_init__(self) -> None:
        config = Config(self, lifespan="off", ws="none", log_config=None)
        self.connection = HttpConnection(config, ServerState(), {APPLICATION: self}, asyncio.get_running_loop())
        self.transport = Mock(spec=asyncio.Transport)
        self.transport.get_extra_info.return_value = None
        self.transport.is_closing.return_value = False
        self.connection.connection_made(self.transport)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.asgi.append((scope["method"], scope["path"]))
        self.received.append(await receive())
        readied = asyncio.ensure_future(self.is_ready.wait())
        message = asyncio.ensure_future(receive())
        await asyncio.wait([readied, message], return_when=asyncio.FIRST_COMPLETED)
        if message.done():
            self.received.append(message.result())
        message.cancel()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4")]})
        await send({"type": "http.response.body", "body": b"asgi"})

    def open_request(self, target: bytes, headers: dict[bytes, bytes], respond: Callable[..., None]) -> Mock | None:
        self.direct.append((target, headers))
        self.respond = respond
        return self.request if self.may_skip else None

    def open_stream(self, target: bytes, headers: list[tuple[bytes, bytes]], _: MessageTransport) -> None:
        self.streams.append((target, headers))

    async def send(self, *pieces: bytes) -> None:
        for piece in pieces:
            self.connection.data_received(piece)
            await self.settle()

    async def settle(self) -> None:
        for _ in range(20):
            await asyncio.sleep(0)

    @property
    def written(self) -> bytes:
        return b"".join(call.args[0] for call in self.transport.write.call_args_list)


def run(scenario: Callable[[Service], Awaitable[None]], monkeypatch: pytest.MonkeyPatch, **options: Any) -> None:
    monkeypatch.setattr(HttpConnection, "keep_alive_seconds", 60, raising=False)

    async def main() -> None:
        await scenario(Service(**options))

    asyncio.run(main())


def changed(old: bytes, new: bytes) -> bytes:
    assert old in POST
    return POST.replace(old, new)


@pytest.mark.parametrize(
    ("request_", "is_direct"),
    [
        (POST + BODY, True),
        (changed(b"/predict", b"/livez?x=y") + BODY, True),
        (changed(b"Host: a", b"Host: a\r\nConnection: close") + BODY, True),
        (changed(b"POST", b"PUT") + BODY, False),
        (changed(b"HTTP/1.1", b"HTTP/1.0") + BODY, False),
        (changed(b"Host: a", b"Host: a\r\nExpect: 100-continue") + BODY, False),
        (changed(b"Host: a", b"Host: a\r\nX: y\r\nx: z") + BODY, False),
        (changed(b"Content-Length: 2", b"Transfer-Encoding: chunked") + b"2\r\n{}\r\n0\r\n\r\n", False),
        (changed(b"POST /predict", b"CONNECT http://a/"), False),
        (GET, False),
    ],
)
def test_only_plain_posts_skip_asgi(request_: bytes, is_direct: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(service: Service) -> None:
        service.is_ready.set()
        await service.send(request_)
        assert (len(service.direct), len(service.asgi)) == (is_direct, not is_direct)
        if is_direct:
            service.request.receive.assert_called_once_with(BODY)
        else:
            assert service.written.endswith(b"asgi")
            assert (b"HTTP/1.1 100 Continue\r\n" in service.written) is (b"Expect" in request_)

    run(scenario, monkeypatch)


def test_an_upgrade_that_is_offered_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(service: Service) -> None:
        await service.send(changed(b"Host: a", b"Host: a\r\nConnection: Upgrade\r\nUpgrade: h2c") + BODY)
        ((target, headers),) = service.direct
        assert target == b"/predict"
        assert b"upgrade" not in headers
        service.request.receive.assert_called_once_with(BODY)

    run(scenario, monkeypatch)


@pytest.mark.parametrize(
    ("old", "new", "status", "text"),
    [
        (b"GET", b"POST", b"400 Bad Request", b"A WebSocket must be opened with a GET request of HTTP/1.1."),
        (b"HTTP/1.1", b"HTTP/1.0", b"400 Bad Request", b"A WebSocket must be opened with a GET request of HTTP/1.1."),
        (b": 13", b": 12", b"426 Upgrade Required", b"Sec-WebSocket-Version must be 13."),
        (b"Version", b"V", b"426 Upgrade Required", b"Sec-WebSocket-Version must be 13."),
        (b"Key", b"K", b"400 Bad Request", b"Sec-WebSocket-Key must be 16 bytes in base64."),
        (b"dGhl", b"dGh", b"400 Bad Request", b"Sec-WebSocket-Key must be 16 bytes in base64."),
        (b"dGhl", b"d{hl", b"400 Bad Request", b"Sec-WebSocket-Key must be 16 bytes in base64."),
        (b"dGhl", b"", b"400 Bad Request", b"Sec-WebSocket-Key must be 16 bytes in base64."),
        (b"/stream", b"/stream", b"403 Forbidden", b"No stream at this address for this origin."),
    ],
)
def test_websockets_are_refused(
    old: bytes, new: bytes, status: bytes, text: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario(service: Service) -> None:
        await service.send(UPGRADE.replace(old, new))
        head, _, body = service.written.partition(b"\r\n\r\n")
        line, *headers = head.split(b"\r\n")
        assert line == b"HTTP/1.1 " + status
        assert headers == [
            b"sec-websocket-version: 13",
            b"content-type: text/plain; charset=utf-8",
            b"content-length: %d" % len(text),
            b"connection: close",
        ]
        assert body == text
        service.transport.close.assert_called_once_with()
        assert (service.asgi, service.direct) == ([], [])
        if old == new:
            ((target, fields),) = service.streams
            assert target == b"/stream?x"
            assert (b"host", b"a") in fields
        else:
            assert service.streams == []

    run(scenario, monkeypatch)


def test_servers_without_the_application_refuse_websockets(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(service: Service) -> None:
        service.connection._application = None
        await service.send(UPGRADE)
        assert service.written.startswith(b"HTTP/1.1 403 Forbidden\r\n")
        assert service.written.endswith(b"\r\n\r\nThis server does not accept WebSockets.")
        service.is_ready.set()

    run(scenario, monkeypatch)


def test_a_request_that_the_application_does_not_accept_goes_through_asgi(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(service: Service) -> None:
        service.is_ready.set()
        await service.send(POST, BODY)
        assert service.asgi == [("POST", "/predict")]
        assert service.received == [{"type": "http.request", "body": BODY, "more_body": False}]

    run(scenario, monkeypatch, may_skip=False)


def test_while_the_client_does_not_read_requests_go_through_asgi(monkeypatch: pytest.MonkeyPatch) -> None:
    """There, an answer waits until the client has read those before it."""

    async def scenario(service: Service) -> None:
        service.connection.pause_writing()
        service.is_ready.set()
        await service.send(POST + BODY)
        assert (service.direct, service.asgi) == ([], [("POST", "/predict")])
        assert service.written == b""
        service.connection.resume_writing()
        await service.settle()
        assert service.written.endswith(b"asgi")

    run(scenario, monkeypatch)


def test_the_body_may_come_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(service: Service) -> None:
        await service.send(POST, BODY[:1])
        service.request.receive.assert_not_called()
        await service.send(BODY[1:])
        service.request.receive.assert_called_once_with(BODY)

    run(scenario, monkeypatch)


def test_a_connection_is_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(service: Service) -> None:
        for count in (1, 2, 3):
            await service.send(POST + BODY)
            assert (len(service.direct), service.asgi) == (count, [])
            service.respond(200, b"", b"", False, 0)
        assert service.written.count(b"HTTP/1.1 200 OK\r\n") == 3

    run(scenario, monkeypatch)


def test_an_upgrade_behind_a_request_does_not_repeat_its_body(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(service: Service) -> None:
        await service.send(POST + BODY + UPGRADE)
        service.request.receive.assert_called_once_with(BODY)
        assert service.streams == []

    run(scenario, monkeypatch)


def test_idle_connections_are_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    timers: list[tuple[float, Callable[[], None]]] = []

    async def scenario(service: Service) -> None:
        loop = service.connection.loop = Mock()
        loop.call_later.side_effect = lambda *timer: timers.append(timer) or Mock()  # type: ignore[func-returns-value]

        async def answer_at(time: float) -> None:
            await service.send(POST + BODY)
            loop.time.return_value = time
            service.respond(200, b"", b"", False, 0)

        def fire_at(time: float) -> None:
            loop.time.return_value = time
            timers.pop()[1]()

        await answer_at(100)
        await answer_at(130)
        assert [seconds for seconds, _ in timers] == [60]  # one timer for both
        fire_at(160)
        assert [seconds for seconds, _ in timers] == [30]
        await service.send(POST + BODY)
        fire_at(190)
        assert timers == []  # while a request is answered
        service.respond(200, b"", b"", False, 0)
        assert [seconds for seconds, _ in timers] == [60]
        service.transport.close.assert_not_called()
        fire_at(250)
        service.transport.close.assert_called_once_with()

    run(scenario, monkeypatch)


@pytest.mark.parametrize("how", ["closed", "upgraded"])
def test_no_timer_is_left(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would keep the connection in memory."""

    async def scenario(service: Service) -> None:
        service.connection.loop = Mock()
        await service.send(POST + BODY)
        service.respond(200, b"", b"", False, 0)
        timer = service.connection.loop.call_later.return_value
        if how == "closed":
            service.connection.connection_lost(ConnectionResetError())
        else:
            service.open_stream = Mock()  # type: ignore[method-assign]
            monkeypatch.setattr(WebSocket, "accept", Mock())
            await service.send(UPGRADE)
        timer.cancel.assert_called_once_with()

    run(scenario, monkeypatch)


def test_requests_that_come_meanwhile_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(service: Service) -> None:
        paths = [b"/%d" % number for number in range(6)]
        await service.send(*(GET.replace(b"/livez", path) for path in paths))
        assert service.asgi == [("GET", "/0")]
        service.is_ready.set()
        for _ in paths:
            await service.settle()
        assert service.asgi == [("GET", path.decode()) for path in paths]
        assert service.written.count(b"asgi") == len(paths)

    run(scenario, monkeypatch)


def test_requests_are_answered_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(service: Service) -> None:
        await service.send(GET + POST + BODY)
        assert (service.asgi, service.direct) == ([("GET", "/livez")], [])
        service.is_ready.set()
        await service.settle()
        assert service.asgi == [("GET", "/livez"), ("POST", "/predict")]

    run(scenario, monkeypatch)


@pytest.mark.parametrize("behind", [b"", GET, POST + BODY, POST], ids=["nothing", "GET", "POST", "head of a POST"])
def test_the_request_being_answered_is_told_of_a_disconnect(behind: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    async def through_asgi(service: Service) -> None:
        await service.send(GET + behind)
        service.connection.connection_lost(None)
        await service.settle()
        assert [message["type"] for message in service.received[:2]] == ["http.request", "http.disconnect"]

    async def direct(service: Service) -> None:
        await service.send(POST + BODY + behind)
        service.connection.connection_lost(None)
        service.request.disconnect.assert_called_once_with()
        service.respond(200, b"", b"", False, 0)
        assert service.written == b""

    run(through_asgi, monkeypatch)
    run(direct, monkeypatch)


@pytest.mark.parametrize(
    ("closes", "connection", "line"),
    [
        (False, b"", b""),
        (False, b"\r\nConnection: close", b"connection: close\r\n"),
        (True, b"", b""),  # its headers say so
        (True, b"\r\nConnection: close", b""),
    ],
)
def test_responses(closes: bool, connection: bytes, line: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(service: Service) -> None:
        service.connection.server_state.default_headers = [(b"date", b"today"), (b"server", b"x")]
        await service.send(changed(b"Host: a", b"Host: a" + connection) + BODY)
        service.respond(200, b"a: b\r\n", b"body", closes, 0)
        assert service.written == b"HTTP/1.1 200 OK\r\ndate: today\r\nserver: x\r\na: b\r\n%b\r\nbody" % line
        assert service.transport.close.called is (closes or bool(connection))

    run(scenario, monkeypatch)


def test_the_next_request_waits_for_the_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(service: Service) -> None:
        later: list[tuple[float, Callable[[], None]]] = []
        await service.send(POST + BODY)
        service.connection.loop = Mock(call_later=lambda *timer: later.append(timer))
        service.respond(503, b"", b"", False, 0.25)
        service.connection.loop = asyncio.get_running_loop()
        ((seconds, go_on),) = later
        assert seconds == 0.25
        assert service.written.startswith(b"HTTP/1.1 503 ")  # at once
        await service.send(GET)
        assert service.asgi == []
        go_on()
        await service.settle()
        assert service.asgi == [("GET", "/livez")]

    run(scenario, monkeypatch)
