"""The HTTP/1.1 protocol of the workers: uvicorn's, with a fast path that skips ASGI.

Plain POSTs and WebSockets go straight to the application; every other request goes through ASGI. BentoML does not pass
options to uvicorn, so this replaces uvicorn's default protocol. tests/service/test_connections.py and
tests/fuzz/test_both_ways.py fail if a new BentoML or uvicorn changes what is used here.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, ClassVar, Final, Protocol

import httptools
import uvicorn.config
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from hand_gesture.bento.watchdog import Watchdog
from hand_gesture.bento.websocket_connection import Limits, MessageTransport, Session, WebSocket

APPLICATION: Final = "hand_gesture.application"  # key of the application in the ASGI lifespan state
READ_BYTES: Final = 16_384  # parsed at once, at most
KEY_BYTES: Final = 16  # of Sec-WebSocket-Key, RFC 6455, section 4.1
WEBSOCKET_VERSION: Final = b"13"  # of the WebSocket protocol


# Sends the response to a plain request. Arguments: status, raw header lines, body, whether the headers contain
# Connection: close, and the seconds to wait before reading the connection's next request
Respond = Callable[[int, bytes, bytes, bool, float], None]


class Request(Protocol):
    """A plain request that the application has accepted."""

    def receive(self, body: bytes) -> None:
        """Receive the complete body."""

    def disconnect(self) -> None:
        """The client has disconnected."""


class Application(Protocol):
    """Answers requests and WebSockets that skip ASGI."""

    watchdog: Watchdog
    limits: Limits  # of each WebSocket

    def open_request(self, target: bytes, headers: Mapping[bytes, bytes], respond: Respond) -> Request | None:
        """Accept an HTTP/1.1 POST with a Content-Length, or return None to send it through ASGI.

        Args:
            target: path and query string.
            headers: names in lower case, each once.
            respond: must be called once.
        """

    def open_stream(
        self, target: bytes, headers: Sequence[tuple[bytes, bytes]], transport: MessageTransport
    ) -> Session | None:
        """Accept a WebSocket, or return None to refuse it."""


class HttpConnection(HttpToolsProtocol):
    """uvicorn's protocol plus the fast path, a configurable keep-alive timeout, and tolerance for unknown upgrades.

    Clients that prefer HTTP/2 send ``Upgrade: h2c`` with their first request (``curl --http2``, Java's HttpClient). A
    server may ignore it (RFC 9110, section 7.8, https://www.rfc-editor.org/rfc/rfc9110#section-7.8), but httptools then
    treats the body as the other protocol, so the request head is parsed again without the header.
    """

    keep_alive_seconds: ClassVar[float]
    flow: _FlowControl

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._application: Application | None = self.app_state.get(APPLICATION)
        self.unread = b""
        self._idle_since: float | None = None  # in the loop's time
        # The request being answered (uvicorn calls it a cycle); with pipelining, self.cycle is the newest request
        self._active: Any = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Set up a new connection."""
        super().connection_made(transport)
        self.flow = _FlowControl(transport, self)

    def data_received(self, data: bytes) -> None:
        """Parse data from the client."""
        self.unread += data
        self.parse_unread()

    def parse_unread(self) -> bool:
        """Parse buffered data until a pipelined request has to wait; return whether everything was parsed."""
        while self.unread and not self.pipeline and not self.transport.is_closing():
            self._idle_since = None
            piece, self.unread = self.unread[:READ_BYTES], self.unread[READ_BYTES:]
            self._parse(piece)
        return not self.pipeline

    def _parse(self, data: bytes) -> None:
        while data:
            try:
                self.parser.feed_data(data)
                return
            except httptools.HttpParserUpgrade as upgrade:
                data = data[upgrade.args[0] :]
                if self._get_upgrade() == b"websocket":
                    data, self.unread = data + self.unread, b""
                    self._open_websocket(data)
                    return
                if not self._is_unknown_upgrade():  # a CONNECT, which uvicorn ignores too
                    self._unsupported_upgrade_warning()
                    return
                data = self._head_without_upgrade() + data
                self._renew_parser()
            except httptools.HttpParserError:
                self.send_400_response("Invalid HTTP request received.")
                return

    def _is_unknown_upgrade(self) -> bool:
        return bool(self.parser.should_upgrade()) and self._get_upgrade() not in (None, b"websocket")

    def _should_upgrade(self) -> bool:
        return self._get_upgrade() == b"websocket"

    def _head_without_upgrade(self) -> bytes:
        version = self.parser.get_http_version().encode()
        lines = [b"%b %b HTTP/%b" % (self.parser.get_method(), self.url, version)]
        lines += [b"%b: %b" % (name, value) for name, value in self.headers if name != b"upgrade"]
        return b"\r\n".join([*lines, b"", b""])

    def _renew_parser(self) -> None:
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # like uvicorn

    def on_message_begin(self) -> None:
        """Start a request head; the ASGI scope is made later, because plain requests do without."""
        self.url, self.headers, self.expect_100_continue = b"", [], False

    def on_headers_complete(self) -> None:
        """Start a request, unless its head will be parsed again or the connection is closing."""
        if self.transport.is_closing() or self._is_unknown_upgrade() or self._take_plain_request():
            return
        url, headers, expects = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()  # makes the scope, with a new list of headers
        self.url, self.expect_100_continue = url, expects
        self.headers += headers
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Receive a part of a request body."""
        if isinstance(self.cycle, _PlainCycle):
            self.cycle.body += body
        else:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """Finish a request body, unless the head will be parsed again."""
        if isinstance(self.cycle, _PlainCycle):
            self.cycle.finish_body()
        elif not self._is_unknown_upgrade():
            super().on_message_complete()

    def on_response_complete(self) -> None:
        """Go on after a response like uvicorn, but without a new keep-alive timer for each."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
            return
        self._idle_since = self.loop.time()
        if self.timeout_keep_alive_task is None:
            self.timeout_keep_alive_task = self.loop.call_later(self.keep_alive_seconds, self._check_idle)

    def _check_idle(self) -> None:
        """Close the connection if it has been idle for long enough, or else check again when that may be."""
        self.timeout_keep_alive_task = None
        if self._idle_since is None:  # a request is being received or answered
            return
        left = self._idle_since + self.keep_alive_seconds - self.loop.time()
        if left > 0:
            self.timeout_keep_alive_task = self.loop.call_later(left, self._check_idle)
        else:
            self.timeout_keep_alive_handler()

    def _take_plain_request(self) -> bool:
        if (
            self._application is None
            or self.parser.get_method() != b"POST"
            or (self.cycle is not None and not self.cycle.response_complete)  # pipelined: uvicorn keeps the order
            or self.flow.write_paused  # the client is not reading: uvicorn waits for it
            or self.expect_100_continue
            or self.parser.should_upgrade()
            or self.parser.get_http_version() != "1.1"
        ):
            return False
        headers = dict(self.headers)
        if len(headers) < len(self.headers) or b"transfer-encoding" in headers:
            return False
        cycle = _PlainCycle(self, keep_alive=self.parser.should_keep_alive())
        cycle.request = self._application.open_request(self.url, headers, cycle.respond)
        if cycle.request is None:
            return False
        self.cycle = self._active = cycle  # type: ignore[assignment]
        return True

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        self._active = cycle
        super()._start_asgi_task(cycle, app)

    def connection_lost(self, exc: Exception | None) -> None:
        """Notify the request being answered; with pipelining, uvicorn notifies only the newest request."""
        super().connection_lost(exc)
        self._unset_keepalive_if_required()
        current, self._active = self._active, None
        if current is not None and not current.response_complete:
            current.disconnected = True
            current.message_event.set()
        # Break reference cycles, because garbage is collected rarely (see memory.py)
        self.cycle = self.flow.connection = None  # type: ignore[assignment]

    def _open_websocket(self, rest: bytes) -> None:
        application = self._application
        if application is None:
            return self._refuse_upgrade(HTTPStatus.FORBIDDEN, "This server does not accept WebSockets.")
        if self.cycle is not None and not self.cycle.response_complete:
            # Pipelined: the response to the request before must not follow the handshake. The connection closes after
            # it, which tells the client to open the WebSocket again.
            self.cycle.keep_alive = False
            self.flow.pause_reading()
            return None
        if (problem := self._handshake_problem()) is not None:
            return self._refuse_upgrade(*problem)
        websocket = WebSocket(application.limits, application.watchdog, self.server_state.connections)
        session = application.open_stream(self.url, self.headers, websocket)
        if session is None:
            return self._refuse_upgrade(HTTPStatus.FORBIDDEN, "No stream at this address for this origin.")
        self.connections.discard(self)
        self._unset_keepalive_if_required()
        websocket.accept(self.transport, session, dict(self.headers)[b"sec-websocket-key"], rest)
        # Break the reference cycle with the parser, because garbage is collected rarely (see memory.py)
        self.parser = None  # type: ignore[assignment]
        return None

    def _handshake_problem(self) -> tuple[HTTPStatus, str] | None:
        """Validate the opening handshake (RFC 6455, section 4.2.1): status and sentence of the first problem."""
        headers = {name: value for name, value in self.headers if name.startswith(b"sec-websocket-")}
        if self.parser.get_method() != b"GET" or self.parser.get_http_version() != "1.1":
            return HTTPStatus.BAD_REQUEST, "A WebSocket must be opened with a GET request of HTTP/1.1."
        if headers.get(b"sec-websocket-version") != WEBSOCKET_VERSION:
            return HTTPStatus.UPGRADE_REQUIRED, "Sec-WebSocket-Version must be 13."
        try:
            key = base64.b64decode(headers.get(b"sec-websocket-key", b""), validate=True)
        except ValueError:
            key = b""
        if len(key) != KEY_BYTES:
            return HTTPStatus.BAD_REQUEST, "Sec-WebSocket-Key must be 16 bytes in base64."
        return None

    def _refuse_upgrade(self, status: HTTPStatus, text: str) -> None:
        body = text.encode()
        headers = b"sec-websocket-version: %b\r\ncontent-type: text/plain; charset=utf-8\r\n" % WEBSOCKET_VERSION
        end = b"content-length: %d\r\nconnection: close\r\n\r\n%b" % (len(body), body)
        self.transport.write(STATUS_LINE[status] + headers + end)
        self.transport.close()


class _FlowControl(FlowControl):
    """Keeps reading paused while pipelined requests wait; uvicorn would resume after each response."""

    def __init__(self, transport: asyncio.Transport, connection: HttpConnection) -> None:
        super().__init__(transport)
        self.connection: HttpConnection | None = connection

    def resume_reading(self) -> None:
        if self.connection is None or self.connection.pipeline:
            return
        if self.connection.unread:
            self.connection.loop.call_soon(self._parse_unread)  # later: uvicorn is between two requests
        else:
            super().resume_reading()

    def _parse_unread(self) -> None:
        if self.connection is not None and self.connection.parse_unread():
            super().resume_reading()


class _PlainCycle:
    """A request on the fast path, with the attributes of uvicorn's RequestResponseCycle that its protocol uses.

    The protocol sets ``message_event`` when the client disconnects; this object is its own ``message_event``.
    """

    __slots__ = ("_connection", "_has_body", "body", "disconnected", "keep_alive", "request", "response_complete")

    def __init__(self, connection: HttpConnection, *, keep_alive: bool) -> None:
        self._connection: HttpConnection | None = connection
        self.request: Request | None = None
        self.body = bytearray()
        self._has_body = False
        self.keep_alive = keep_alive
        self.disconnected = False
        self.response_complete = False

    @property
    def message_event(self) -> _PlainCycle:
        """The event that the protocol sets."""
        return self

    def set(self) -> None:
        """Handle a disconnect."""
        if self.disconnected and self.request is not None:
            request, self.request, self._connection = self.request, None, None
            request.disconnect()

    def finish_body(self) -> None:
        """Handle a complete body; also called for a request head behind it that is no request of its own yet."""
        if self.request is not None and not self._has_body:
            self._has_body = True
            self.request.receive(bytes(self.body))

    def respond(self, status: int, headers: bytes, body: bytes, closes: bool, pause: float) -> None:
        """Send the response; see ``Respond``."""
        connection = self._connection
        if connection is None or connection.transport.is_closing():
            return
        head = STATUS_LINE[status]
        for header in connection.server_state.default_headers:
            head += b"%b: %b\r\n" % header
        if closes:
            self.keep_alive = False
        elif not self.keep_alive:
            headers += b"connection: close\r\n"
        connection.transport.write(b"%b%b\r\n%b" % (head, headers, body))
        if pause:
            connection.loop.call_later(pause, self._complete)
        else:
            self._complete()

    def _complete(self) -> None:
        connection, self._connection = self._connection, None
        self.response_complete = True
        self.request = None
        if connection is not None:
            if not self.keep_alive:
                connection.transport.close()
            connection.on_response_complete()


def install_http_protocol(keep_alive_seconds: float) -> None:
    """Make uvicorn use ``HttpConnection`` in workers that start from now on.

    Args:
        keep_alive_seconds: how long an idle connection stays open.
    """
    HttpConnection.keep_alive_seconds = keep_alive_seconds
    uvicorn.config.HTTP_PROTOCOLS["auto"] = f"{__name__}:{HttpConnection.__name__}"
    uvicorn.config.WS_PROTOCOLS["auto"] = None
