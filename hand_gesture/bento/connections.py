"""How the workers' HTTP server treats a connection, where uvicorn's ways lose requests and BentoML has no setting.

BentoML starts uvicorn with its defaults, so this takes the place of uvicorn's default protocols.
tests/unit/bento/test_connections.py, tests/service/test_connections.py, tests/fuzz/test_streams.py and
tests/faults/test_streams.py fail where a new BentoML, uvicorn or websockets changes what is used here.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import Any, ClassVar, Final, cast

import httptools
import uvicorn.config
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import apply_mask  # type: ignore[attr-defined]  # compiled, where it can be
from websockets.protocol import State
from websockets.streams import StreamReader

SERVICE_RESTART: Final = 1012  # close code, https://www.iana.org/assignments/websocket/websocket.xhtml
INVALID_DATA: Final = 1007
READ_BYTES: Final = 4096  # parsed at once: 16 frames of a hand, or 700 of the smallest messages
MAX_FRAGMENTS: Final = 64  # kept apart
# How a client's binary message of 126 to 65,535 bytes begins that is one frame (RFC 6455, section 5.2): the last frame,
# of binary data, and masked; behind it 2 bytes of length and 4 of mask
_BINARY_START: Final = b"\x82\xfe"
_HEAD_BYTES: Final = 8


class ConnectionProtocol(HttpToolsProtocol):
    """uvicorn's protocol, which keeps idle connections as long as it is told, and ignores upgrades it does not know.

    A client that would rather speak HTTP/2 sends ``Upgrade: h2c`` with its first request (``curl --http2``, Java's
    HttpClient). A server may ignore that (RFC 9110, section 7.8, https://www.rfc-editor.org/rfc/rfc9110#section-7.8),
    but httptools takes what follows the head for the other protocol. So the head is read once more without it.
    """

    keep_alive_seconds: ClassVar[float]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.timeout_keep_alive = self.keep_alive_seconds  # type: ignore[assignment]  # seconds, whole or not

    def data_received(self, data: bytes) -> None:
        """Read what a client has sent."""
        try:
            self._unset_keepalive_if_required()
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            if self._is_unknown_upgrade():
                self._read_without_upgrade(data[upgrade.args[0] :])
            else:  # to a WebSocket, or a CONNECT, which uvicorn does not answer either
                self.handle_websocket_upgrade() if self._should_upgrade() else self._unsupported_upgrade_warning()
        except httptools.HttpParserError:
            self.send_400_response("Invalid HTTP request received.")

    def on_headers_complete(self) -> None:
        """Start on a request, unless its head is about to be read again."""
        if not self._is_unknown_upgrade():
            super().on_headers_complete()

    def on_message_complete(self) -> None:
        """End a request, unless its head is about to be read again."""
        if not self._is_unknown_upgrade():
            super().on_message_complete()

    def handle_websocket_upgrade(self) -> None:
        """Give the connection to the protocol of WebSockets, and what this one holds back at once.

        The service collects garbage as rarely as it can (see service.py), and parsers refer to what refers to them.
        """
        super().handle_websocket_upgrade()
        self.parser = None  # type: ignore[assignment]

    def _is_unknown_upgrade(self) -> bool:
        return bool(self.parser.should_upgrade()) and self._get_upgrade() not in (None, b"websocket")

    def _read_without_upgrade(self, rest: bytes) -> None:
        version = self.parser.get_http_version().encode()
        lines = [b"%b %b HTTP/%b" % (self.parser.get_method(), self.url, version)]
        lines += [b"%b: %b" % (name, value) for name, value in self.headers if name != b"upgrade"]
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn does
        self.data_received(b"\r\n".join([*lines, b"", rest]))


@dataclass(frozen=True, slots=True)
class StreamLimits:
    """What one WebSocket may take.

    ``patience_seconds`` is how long one may keep this side waiting: for an answer to a ping, for what it was sent to be
    taken, for the end of the connection when it is closed.
    """

    max_message_bytes: int
    max_waiting: int  # messages read and not taken yet
    ping_seconds: float
    patience_seconds: float


class _Mailbox:
    """As much of asyncio.Queue as is used here, for one reader, at half its cost for each message."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._messages: deque[Any] = deque()
        self._reader: asyncio.Future[None] | None = None

    def put_nowait(self, message: Any) -> None:
        self._messages.append(message)
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    async def get(self) -> Any:
        while not self._messages:
            self._reader = self._loop.create_future()
            await self._reader
        return self._messages.popleft()

    def qsize(self) -> int:
        return len(self._messages)

    def empty(self) -> bool:
        return not self._messages


class StreamProtocol(WebSocketsSansIOProtocol):
    """uvicorn's protocol of WebSockets, for clients that send more than they should, or read less.

    It reads no further than its application has come, nor while the client does not take what it is sent, and lets go
    of a client that stops taking it. Compression is off: on messages this small it costs more than it saves. A message
    that is too large is refused so that the client hears why, and when the worker ends, the application is told with
    the close code 1012 and has the last word, where uvicorn would drop the frames it has not answered yet.
    """

    limits: ClassVar[StreamLimits]

    def __init__(self, config: Config, *args: Any, **kwargs: Any) -> None:
        config.ws_per_message_deflate = False
        config.ws_max_size = self.limits.max_message_bytes
        config.ws_ping_interval = self.limits.ping_seconds
        config.ws_ping_timeout = self.limits.patience_seconds
        super().__init__(config, *args, **kwargs)
        self.close_timeout = self.limits.patience_seconds
        self.queue = cast("asyncio.Queue[Any]", _Mailbox(self.loop))
        self._unread = b""
        self._is_stalled = False
        self._stall_timer: asyncio.TimerHandle | None = None

    def data_received(self, data: bytes) -> None:
        """Read what a client has sent, or keep it until there is room."""
        if self._unread or len(data) > READ_BYTES or self._is_stalled or self.queue.qsize():
            self._unread += data
            self._read_on()
        elif self._is_whole_message(data):  # nearly always
            message = apply_mask(data[_HEAD_BYTES:], data[4:_HEAD_BYTES])
            self.queue.put_nowait({"type": "websocket.receive", "bytes": message})
        else:
            super().data_received(data)

    def _is_whole_message(self, data: bytes) -> bool:
        """Whether data are one binary message and nothing else, as nearly all are that a camera sends.

        websockets' parser takes a tenth of such a frame's whole time. It must be where a message begins, which is where
        it looks for the end of the stream.
        """
        length = len(data) - _HEAD_BYTES
        if data[:2] != _BINARY_START or int.from_bytes(data[2:4]) != length or length > self.limits.max_message_bytes:
            return False
        parser: Any = self.conn.parser
        while parser.gi_yieldfrom is not None:
            parser = parser.gi_yieldfrom
        is_frame_next = parser.gi_code is StreamReader.at_eof.__code__
        return is_frame_next and self.conn.current_size is None and self.conn.state is State.OPEN

    async def receive(self) -> Any:
        """The next event for the application."""
        if self._unread or self.read_paused:
            self._read_on()
        return await self.queue.get()

    async def run_asgi(self) -> None:
        """Run the application, and when it has closed the stream, read on up to the client's answer to that."""
        await super().run_asgi()
        self._read_on()

    def _read_on(self) -> None:
        while self._unread and not self._is_stalled and self._has_room():
            piece, self._unread = self._unread[:READ_BYTES], self._unread[READ_BYTES:]
            super().data_received(piece)
        if bool(self._unread) is not self.read_paused and not self.transport.is_closing():
            self.read_paused = not self.read_paused
            self.transport.pause_reading() if self.read_paused else self.transport.resume_reading()

    def _has_room(self) -> bool:
        return self.close_sent or self.queue.qsize() < self.limits.max_waiting

    def handle_cont(self, event: Any) -> None:
        """Take a fragment of a message; many small ones together take no more than a large one."""
        if len(self.frames) >= MAX_FRAGMENTS:
            self.frames = [b"".join(self.frames)]
        super().handle_cont(event)

    def send_receive_event_to_app(self) -> None:
        """Hand a message to the application."""
        data = self.frames[0] if len(self.frames) == 1 else b"".join(self.frames)
        self.frames = []
        if self.close_sent:
            return
        if self.curr_msg_data_type == "bytes":
            self.queue.put_nowait({"type": "websocket.receive", "bytes": data})
            return
        try:
            self.queue.put_nowait({"type": "websocket.receive", "text": bytes(data).decode()})
        except UnicodeDecodeError:
            self.conn.fail(INVALID_DATA, "A text message must be UTF-8.")
            self.handle_parser_exception()

    def handle_parser_exception(self) -> None:
        """Refuse what breaks the protocol; the connection stays open until the client has read why."""
        close = self.conn.close_sent
        if close is None:  # not even a handshake
            self.transport.close()
            return
        self.queue.put_nowait({"type": "websocket.disconnect", "code": close.code, "reason": close.reason})
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = self.disconnected = True  # whatever the application sends now comes too late
        self.close_timer = self.close_timer or self.loop.call_later(self.close_timeout, self.transport.close)

    def keepalive_timeout(self) -> None:
        """Let go of a client that does not answer pings."""
        super().keepalive_timeout()
        self.disconnected = True

    def pause_writing(self) -> None:
        """The client does not take what it is sent."""
        super().pause_writing()
        self._is_stalled = True
        self._stall_timer = self.loop.call_later(self.limits.patience_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        """It has taken it."""
        super().resume_writing()
        self._is_stalled = False
        self._stop_stall_timer()
        self._read_on()

    def connection_lost(self, exc: Exception | None) -> None:
        """Clean up, without leaving it to the garbage collector; see ConnectionProtocol."""
        self._stop_stall_timer()
        super().connection_lost(exc)
        self.conn.parser.close()

    def _stop_stall_timer(self) -> None:
        if self._stall_timer is not None:
            self._stall_timer.cancel()
            self._stall_timer = None

    def shutdown(self) -> None:
        """Tell the application that the worker ends."""
        if self.handshake_complete and not self.close_sent:
            self.stop_keepalive()
            self.queue.put_nowait({"type": "websocket.disconnect", "code": SERVICE_RESTART})
        else:
            super().shutdown()


def use_patient_connections(keep_alive_seconds: float, streams: StreamLimits) -> None:
    """Have the workers that start after this treat connections so.

    Args:
        keep_alive_seconds: how long an idle HTTP connection stays open.
        streams: what one WebSocket may take.
    """
    ConnectionProtocol.keep_alive_seconds = keep_alive_seconds
    StreamProtocol.limits = streams
    uvicorn.config.HTTP_PROTOCOLS["auto"] = f"{__name__}:{ConnectionProtocol.__name__}"
    uvicorn.config.WS_PROTOCOLS["auto"] = f"{__name__}:{StreamProtocol.__name__}"
