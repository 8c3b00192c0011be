"""WebSocket connections on picows (https://picows.readthedocs.io).

picows parses and sends frames. This module assembles messages, validates what picows does not, limits the memory that a
client can use, and does the close handshake (RFC 6455, https://www.rfc-editor.org/rfc/rfc6455).
tests/unit/bento/test_websocket_connection.py and tests/fuzz/test_streams.py fail if a new picows changes what is used
here.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Final, Protocol

from picows import WSAutoPingStrategy, WSCloseCode, WSFrame, WSListener, WSMsgType, WSTransport
from picows.picows import WSProtocol  # type: ignore[attr-defined]

from hand_gesture.bento.watchdog import Watchdog

READ_BYTES: Final = 4096  # at once: about 15 frames of one hand
MAX_HEADER_BYTES: Final = 14  # of a frame, RFC 6455, section 5.2
MAX_REASON_BYTES: Final = 123  # of a close frame, RFC 6455, section 5.5
NO_STATUS_CODE: Final = 1005  # of a close frame without a code, section 7.4.1
MAX_CLOSE_CODE: Final = 4999  # section 7.4.2
_FORBIDDEN_CODES: Final = (WSCloseCode.NO_INFO.value, WSCloseCode.ABNORMAL_CLOSURE.value)  # picows accepts these
_TEXT: Final = WSMsgType.TEXT  # looking up an enum's member takes 0.1 µs in Python 3.11
_BINARY: Final = WSMsgType.BINARY
_CLOSE: Final = WSMsgType.CLOSE
_RESERVED: Final = "A frame has reserved bits, but no extension was negotiated."
# Passed to picows instead of the client's request, which HttpConnection has already validated
_HANDSHAKE: Final = (
    b"GET / HTTP/1.1\r\nUpgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: %b\r\n\r\n"
)


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of one WebSocket.

    ``timeout_seconds`` limits the wait for data after a ping, for a full write buffer to drain, and for the client's
    close frame.
    """

    max_message_bytes: int
    max_first_bytes: int  # of the first message
    ping_interval_seconds: float  # without data before a ping
    timeout_seconds: float


class Session(Protocol):
    """The application behind a WebSocket. Must not send after ``end``."""

    def begin(self) -> None:
        """The WebSocket is open."""

    def receive(self, message: bytes | str) -> None:
        """Handle a message."""

    def pause_writing(self) -> None:
        """The write buffer is full."""

    def resume_writing(self) -> None:
        """The write buffer has drained."""

    def check(self) -> None:
        """Apply time limits."""

    def shutdown(self) -> None:
        """The worker is shutting down: answer the messages received so far, then close."""

    def end(self, code: int) -> None:
        """The WebSocket is closed or closing. May be called again; only the first call counts."""


class MessageTransport(Protocol):
    """A WebSocket from the view of its session."""

    def send(self, text: bytes) -> None:
        """Send a text message, given in UTF-8."""

    def close(self, code: WSCloseCode, reason: str) -> None:
        """Send a close frame; nothing can be sent after it."""

    def pause_reading(self) -> None:
        """Stop reading for now."""

    def resume_reading(self) -> None:
        """Start reading again."""


class WebSocket(WSListener):
    """One accepted WebSocket."""

    __slots__ = (
        "_closed_at",
        "_connections",
        "_is_paused",
        "_is_text",
        "_last_received",
        "_limits",
        "_max_bytes",
        "_message",
        "_pinged_at",
        "_protocol",
        "_session",
        "_socket",
        "_stalled_at",
        "_transport",
        "_watchdog",
        "has_received",
        "unparsed_bytes",
    )

    def __init__(self, limits: Limits, watchdog: Watchdog, connections: set[Any]) -> None:
        """Prepare a WebSocket.

        Args:
            limits: sizes and timeouts.
            watchdog: calls ``check`` periodically.
            connections: uvicorn's set of connections to shut down with the worker.
        """
        self._limits = limits
        self._watchdog = watchdog
        self._connections = connections
        self._message: bytearray | None = None  # fragments so far
        self._max_bytes = limits.max_first_bytes  # of the next message
        self._is_text = False
        self._is_paused = False  # reading
        self._last_received = perf_counter()  # as of the last check
        self._pinged_at: float | None = None  # time of the ping, if nothing has been received since
        self._stalled_at: float | None = None  # when the write buffer became full
        self._closed_at: float | None = None  # when a close frame was sent
        self.has_received = True
        self.unparsed_bytes = 0  # received since the last frame, including the read with that frame

    def accept(self, transport: asyncio.Transport, session: Session, key: bytes, rest: bytes) -> None:
        """Take over a connection.

        Args:
            transport: of the connection.
            session: receives the messages.
            key: the client's Sec-WebSocket-Key.
            rest: bytes received after the request.
        """
        self._session = session
        self._socket = transport
        self._protocol = _Protocol(self, self._limits.max_first_bytes)
        self._protocol.connection_made(_Transport(transport))
        self._connections.add(self._protocol)
        self._watchdog.add(self)
        transport.set_protocol(self._protocol)
        data = memoryview(_HANDSHAKE % key + rest)
        while data:
            buffer = self._protocol.get_buffer(len(data))
            size = min(len(buffer), len(data))
            buffer[:size] = data[:size]
            self._protocol.buffer_updated(size)
            data = data[size:]

    def on_ws_connected(self, transport: WSTransport) -> None:
        """The handshake is complete."""
        self._transport = transport
        self._session.begin()

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Handle a frame."""
        self.unparsed_bytes = 0
        kind = frame.msg_type
        if kind is _CLOSE:
            self._handle_close(frame)
        elif self._closed_at is not None:
            return
        elif frame.rsv1 or frame.rsv2 or frame.rsv3:
            self._fail(WSCloseCode.PROTOCOL_ERROR, _RESERVED)
        elif kind is _BINARY and frame.fin and self._message is None and frame.payload_size <= self._max_bytes:
            self._session.receive(frame.get_payload_as_bytes())  # fast path
        elif kind is WSMsgType.PING:
            transport.send_pong(frame.get_payload_as_bytes())
        elif kind is not WSMsgType.PONG:
            self._handle_fragment(frame)

    def _handle_fragment(self, frame: WSFrame) -> None:
        """Handle a text frame or a fragment."""
        if (frame.msg_type is WSMsgType.CONTINUATION) is (self._message is None):
            text = "Unexpected continuation frame, or a new message within a fragmented one."
            self._fail(WSCloseCode.PROTOCOL_ERROR, text)
            return
        if self._message is None:
            self._message = bytearray()
            self._is_text = frame.msg_type is WSMsgType.TEXT
        most = self._max_bytes
        if len(self._message) + frame.payload_size > most:
            self._fail(WSCloseCode.MESSAGE_TOO_BIG, f"A message is larger than {most} bytes.")
            return
        self._message += frame.get_payload_as_memoryview()
        if frame.fin:
            message, self._message = self._message, None
            self._max_bytes = self._limits.max_message_bytes
            try:
                self._session.receive(message.decode() if self._is_text else bytes(message))
            except UnicodeDecodeError:
                self._fail(WSCloseCode.INVALID_TEXT, "A text message must be UTF-8.")

    def _handle_close(self, frame: WSFrame) -> None:
        """Complete the close handshake."""
        if self._closed_at is None:
            payload = frame.get_payload_as_bytes()
            code = int.from_bytes(payload[:2]) if payload else NO_STATUS_CODE  # picows refuses invalid codes
            if frame.rsv1 or frame.rsv2 or frame.rsv3:
                self._fail(WSCloseCode.PROTOCOL_ERROR, _RESERVED)
            elif code in _FORBIDDEN_CODES or code > MAX_CLOSE_CODE:
                self._fail(WSCloseCode.PROTOCOL_ERROR, "The close frame has a code that must not be sent.")
            else:
                self._closed_at = perf_counter()
                self._transport.send(WSMsgType.CLOSE, payload)
                self._session.end(code)
        self._socket.close()

    def _fail(self, code: WSCloseCode, reason: str) -> None:
        self.close(code, reason)
        self._session.end(code.value)

    def on_parsed(self) -> None:
        """Check what picows does not report: that it failed the connection, or is buffering too large a message.

        picows knows only the limit of the first message, and buffers everything after an error in a closing connection.
        """
        fragments = len(self._message or b"")
        is_too_large = fragments + self.unparsed_bytes > self._max_bytes + MAX_HEADER_BYTES + READ_BYTES
        if self._closed_at is not None:
            if is_too_large:
                self._discard()
            return
        if is_too_large and not self._transport.is_close_frame_sent:
            self._transport.send_close(
                WSCloseCode.MESSAGE_TOO_BIG, f"A message is larger than {self._max_bytes} bytes."
            )
        if self._transport.is_close_frame_sent:
            self._closed_at = perf_counter()
            sent = self._transport.close_handshake.sent
            self._session.end(sent.code.value if sent else NO_STATUS_CODE)
            self._discard()
            self.resume_reading()

    def _discard(self) -> None:
        """Discard data, even the client's close frame, until the client closes the connection or the timeout.

        Closing a socket with unread data would reset the connection, and the client might not receive the close frame.
        The end of the stream tells the client that nothing follows that frame.
        """
        self._socket.set_protocol(_DiscardingProtocol(self._protocol))
        if self._socket.can_write_eof():
            self._socket.write_eof()

    def send(self, text: bytes) -> None:
        """Send a text message, given in UTF-8."""
        self._transport.send(_TEXT, text)

    def close(self, code: WSCloseCode, reason: str) -> None:
        """Send a close frame; ``check`` aborts the connection if the client's does not arrive in time."""
        words = reason.encode()[:MAX_REASON_BYTES].decode(errors="ignore")
        self._closed_at = perf_counter()
        self._transport.send_close(code, words)
        self.resume_reading()

    def pause_reading(self) -> None:
        """Stop reading for now."""
        if not self._is_paused:
            self._is_paused = True
            self._socket.pause_reading()

    def resume_reading(self) -> None:
        """Start reading again."""
        if self._is_paused:
            self._is_paused = False
            self._socket.resume_reading()

    def yield_to_others(self) -> None:
        """Read no more in this iteration of the event loop: libuv would read up to 32 times before the next connection.

        Frames that are answered without the model (without hands, invalid, pings) would block the worker for a second.
        """
        if not self._is_paused:
            self._socket.pause_reading()
            asyncio.get_running_loop().call_soon(self._read_on, self._socket)

    def _read_on(self, socket: asyncio.Transport) -> None:
        if not self._is_paused:
            socket.resume_reading()

    def pause_writing(self) -> None:
        """The write buffer is full."""
        self._stalled_at = perf_counter()
        self._session.pause_writing()

    def resume_writing(self) -> None:
        """The write buffer has drained."""
        self._stalled_at = None
        self._session.resume_writing()

    def check(self, now: float) -> None:
        """Abort the connection of a client that does not read or close; ping a client that sends nothing."""
        waits_since = self._closed_at if self._stalled_at is None else self._stalled_at
        if waits_since is not None:
            if now - waits_since >= self._limits.timeout_seconds:
                self._socket.abort()
            return
        if self.has_received or self._is_paused:
            self.has_received, self._last_received, self._pinged_at = False, now, None
        elif self._pinged_at is None:
            if now - self._last_received >= self._limits.ping_interval_seconds:
                self._pinged_at = now
                self._transport.send_ping()
        elif now - self._pinged_at >= self._limits.timeout_seconds:
            text = f"No data within {self._limits.timeout_seconds:g} seconds of a ping."
            self._fail(WSCloseCode.INTERNAL_ERROR, text)
            return
        self._session.check()

    def shutdown(self) -> None:
        """The worker is shutting down."""
        if self._closed_at is None:
            self._session.shutdown()
        else:
            self._socket.close()

    def on_ws_disconnected(self, _: WSTransport) -> None:
        """The connection is closed."""
        self._watchdog.discard(self)
        self._connections.discard(self._protocol)
        self._session.end(WSCloseCode.ABNORMAL_CLOSURE.value)
        # Break reference cycles, because garbage is collected rarely (see memory.py)
        del self._protocol, self._session, self._socket, self._transport


class _Protocol(WSProtocol):  # type: ignore[misc]
    """picows' protocol with a small read buffer; tells the WebSocket about received data and protocol errors."""

    def __init__(self, websocket: WebSocket, max_frame_bytes: int) -> None:
        never = 0.0  # WebSocket.check sends the pings
        super().__init__(
            *(None, None, False, lambda _: websocket, _LOGGER, True, None),
            *(False, never, never, WSAutoPingStrategy.PING_WHEN_IDLE, False),
            *(max_frame_bytes, None, READ_BYTES),
        )

    def get_buffer(self, size_hint: int) -> memoryview:
        buffer: memoryview = WSProtocol.get_buffer(self, size_hint)[:READ_BYTES]
        return buffer

    def buffer_updated(self, size: int) -> None:
        WSProtocol.buffer_updated(self, size)
        websocket = self.listener
        websocket.has_received = True
        websocket.unparsed_bytes += size
        if websocket.unparsed_bytes > READ_BYTES or self.transport.is_close_frame_sent:
            websocket.on_parsed()
        if 2 * size > READ_BYTES:  # there may be more; picows offers less than READ_BYTES at times
            websocket.yield_to_others()

    def shutdown(self) -> None:
        self.listener.shutdown()


class _Transport:
    """The transport for picows, without ``close``: WebSocket decides when to close."""

    __slots__ = ("abort", "get_extra_info", "get_write_buffer_size", "write", "writelines")

    def __init__(self, transport: asyncio.Transport) -> None:
        self.abort = transport.abort
        self.get_extra_info = transport.get_extra_info
        self.get_write_buffer_size = transport.get_write_buffer_size
        self.write = transport.write
        self.writelines = transport.writelines

    def close(self) -> None:
        """Do nothing: picows calls this 10 ms after a close frame."""


class _DiscardingProtocol(asyncio.Protocol):
    """Discards data after an error."""

    def __init__(self, protocol: _Protocol) -> None:
        self.connection_lost = protocol.connection_lost  # type: ignore[method-assign]


class _Logger(logging.LoggerAdapter):  # type: ignore[type-arg]
    """Logs exceptions, but not the errors that picows logs for invalid data from clients."""

    def error(self, msg: object, *args: object, **kwargs: Any) -> None:
        """Discard an error."""


# A child of BentoML's logger, whose level and format it inherits
_logger: Final = logging.getLogger("bentoml.service.hand_gesture.websocket")
_logger.setLevel(logging.ERROR)  # picows logs every connection
_LOGGER: Final = _Logger(_logger, {})
