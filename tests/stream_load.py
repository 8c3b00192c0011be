"""Cameras on /stream that check answers; plain sockets, because a WebSocket library would be the bottleneck.

Frames are built once, masked with a key of zeros (RFC 6455, section 5.3, asks for a key, and the server applies it). An
answer takes this side some 8 µs.
"""

from __future__ import annotations

import asyncio
import itertools
import struct
from array import array
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, cast
from urllib.parse import urlsplit

import numpy as np
import orjson
import uvloop

from hand_gesture.landmarks import parse_hand, restore_shape
from tests.hands import CLASSIFIER

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
FRAMES_OF_A_HAND = 15  # in a row: people show a gesture for half a second
SECONDS_TO_FINISH = 30
SECONDS_BEFORE_RECONNECTING = 0.05


def client_frame(opcode: int, payload: bytes, *, fin: bool = True) -> bytes:
    """A masked frame of a client (RFC 6455, section 5.2)."""
    first = (0x80 if fin else 0) | opcode
    if len(payload) < 126:
        head = struct.pack("!BB", first, 0x80 | len(payload))
    elif len(payload) < 1 << 16:
        head = struct.pack("!BBH", first, 0x80 | 126, len(payload))
    else:
        head = struct.pack("!BBQ", first, 0x80 | 127, len(payload))
    return head + bytes(4) + payload


def handshake(host: str, path: str = "/stream", headers: Sequence[str] = ()) -> bytes:
    """The request that opens a WebSocket."""
    lines = [
        f"GET {path} HTTP/1.1",
        f"Host: {host}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version: 13",
        *headers,
    ]
    return "\r\n".join([*lines, "", ""]).encode()


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame as bytes, and the beginning of its answer."""

    message: bytes
    answer: bytes


def binary_frame(body: dict[str, Any]) -> Frame:
    """The binary frame of a body for /predict."""
    values = parse_hand(body["landmarks"]).astype("<f4")
    hands = values.astype(np.float64)[np.newaxis]
    restore_shape(hands, body["image_size"])
    (expected,) = CLASSIFIER.predict(hands)
    return Frame(
        client_frame(BINARY, values.tobytes()), b'{"gesture":%b,"confidence":' % orjson.dumps(expected.gesture)
    )


@dataclass
class StreamTraffic:
    """Results of the frames of all cameras.

    ``seconds`` is from when a frame was due until its answer; ``sent`` when it was sent, for the same frames, in the
    order of the answers. ``unanswered`` frames were in flight when their stream ended; ``closed`` has the close codes,
    ``outages`` the seconds from the end of a stream, that the camera did not want, until it was open again.
    """

    seconds: array[float] = field(default_factory=lambda: array("d"))
    sent: array[float] = field(default_factory=lambda: array("d"))
    lateness: array[float] = field(default_factory=lambda: array("d"))
    wrong: list[bytes] = field(default_factory=list)
    unanswered: int = 0
    refused: int = 0
    opened: int = 0
    closed: list[int] = field(default_factory=list)
    outages: array[float] = field(default_factory=lambda: array("d"))


class Camera(asyncio.Protocol):
    """One stream; sends frames after each answer, or at a fixed rate."""

    def __init__(
        self, host: str, settings: bytes, frames: Sequence[Frame], interval: float, phase: float, result: StreamTraffic
    ) -> None:
        self._opening = handshake(host)
        self._settings = client_frame(TEXT, settings)
        self._frames = itertools.cycle(frames)
        self._interval = interval
        self._phase = phase
        self._result = result
        self._waiting: deque[tuple[float, float, bytes]] = deque()
        self._buffer = b""
        self.is_open = False
        self._is_ending = False
        self._timer: asyncio.TimerHandle | None = None
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Open the stream."""
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(self._opening)

    def connection_lost(self, exc: Exception | None) -> None:
        """Count unanswered frames."""
        del exc
        self._stop_sending()
        self._result.unanswered += len(self._waiting)
        for future in (self.opened, self.ended):
            if not future.done():
                future.set_result(None)

    def data_received(self, data: bytes) -> None:
        """Read answers."""
        if self._buffer:
            data = self._buffer + data
        if not self.is_open:
            head, end, data = data.partition(b"\r\n\r\n")
            if not end:
                self._buffer = head
                return
            if not head.startswith(b"HTTP/1.1 101"):
                self._result.refused += 1
                self._transport.close()
                return
            self._start()
        while len(data) >= 2:
            length, start = data[1], 2
            if length == 126:
                if len(data) < 4:
                    break
                length, start = int.from_bytes(data[2:4]), 4
            if len(data) < start + length:
                break
            self._take(data[0] & 0x0F, data[start : start + length])
            data = data[start + length :]
        self._buffer = data

    def _start(self) -> None:
        self.is_open = True
        self._result.opened += 1
        self.opened.set_result(None)
        self._transport.write(self._settings)
        if self._interval:
            self._due = perf_counter() + self._phase
            self._timer = asyncio.get_running_loop().call_later(self._phase, self._tick)
        else:
            self._send(perf_counter())

    def _tick(self) -> None:
        self._result.lateness.append(perf_counter() - self._due)
        self._send(self._due)
        self._due += self._interval
        self._timer = asyncio.get_running_loop().call_later(max(self._due - perf_counter(), 0), self._tick)

    def _send(self, due: float) -> None:
        frame = next(self._frames)
        self._waiting.append((due, perf_counter(), frame.answer))
        self._transport.write(frame.message)

    def _take(self, opcode: int, payload: bytes) -> None:
        if opcode == CLOSE:
            self._result.closed.append(int.from_bytes(payload[:2]))
            self._transport.write(client_frame(CLOSE, payload[:2]))
            self._transport.close()
            return
        if opcode == PING:
            self._transport.write(client_frame(PONG, payload))
        if opcode != TEXT:
            return
        due, sent, answer = self._waiting.popleft()
        self._result.seconds.append(perf_counter() - due)
        self._result.sent.append(sent)
        if not payload.startswith(answer):
            self._result.wrong.append(payload)
        if self._is_ending:
            self._end_when_answered()
        elif not self._interval:
            self._send(perf_counter())

    def _stop_sending(self) -> None:
        self._is_ending = True
        if self._timer is not None:
            self._timer.cancel()

    def end(self) -> None:
        """Stop sending, and close when all frames are answered."""
        self._stop_sending()
        self._end_when_answered()

    def _end_when_answered(self) -> None:
        if not self._waiting and not self._transport.is_closing():
            self._transport.write(client_frame(CLOSE, (1000).to_bytes(2)))
            self._transport.close()


async def stream(
    url: str,
    frames: Sequence[Frame],
    *,
    cameras: int,
    stop: asyncio.Event,
    result: StreamTraffic,
    settings: bytes = b"{}",
    interval: float = 0,
    life: float = 0,
    ramp: float = 0,
) -> None:
    """Keep cameras streaming until stopped; closed streams reconnect.

    Args:
        url: the service.
        frames: what to send, over and over, each camera from another one on.
        cameras: how many.
        stop: ends it; what was sent is still waited for.
        result: where to count.
        settings: the first message.
        interval: seconds between two frames of a camera; 0: one as soon as the last is answered.
        life: seconds after which a camera ends its stream and opens another; 0: never.
        ramp: seconds within which the cameras come, one after the other.
    """
    address = urlsplit(url)
    host, port = str(address.hostname), address.port or 80
    loop = asyncio.get_running_loop()
    stopping = asyncio.ensure_future(stop.wait())

    async def keep_streaming(index: int) -> None:
        phase = interval * ((index * 0.618) % 1)
        turned = [*frames[index % len(frames) :], *frames[: index % len(frames)]]
        shown = [frame for frame in turned for _ in range(FRAMES_OF_A_HAND)]
        await asyncio.sleep(ramp * index / cameras)
        lost_at: float | None = None
        while not stop.is_set():
            try:
                _, camera = await loop.create_connection(
                    lambda: Camera(host, settings, shown, interval, phase, result), host, port
                )
            except OSError:
                result.refused += 1
                await asyncio.sleep(SECONDS_BEFORE_RECONNECTING)
                continue
            opening: list[asyncio.Future[Any]] = [stopping, camera.opened]
            await asyncio.wait(opening, return_when=asyncio.FIRST_COMPLETED)
            if lost_at is not None and camera.is_open:
                result.outages.append(perf_counter() - lost_at)
                lost_at = None
            span = life * (0.5 + (index * 0.618) % 1) if life else None
            either: list[asyncio.Future[Any]] = [stopping, camera.ended]
            await asyncio.wait(either, timeout=span, return_when=asyncio.FIRST_COMPLETED)
            if not camera.ended.done():
                camera.end()
                await asyncio.wait([camera.ended], timeout=SECONDS_TO_FINISH)
            elif not stop.is_set():
                lost_at = perf_counter() if lost_at is None else lost_at
                await asyncio.sleep(SECONDS_BEFORE_RECONNECTING)

    await asyncio.gather(*(keep_streaming(index) for index in range(cameras)))


def stream_for(url: str, frames: Sequence[Frame], *, seconds: float, **options: Any) -> StreamTraffic:
    """Stream for a time."""
    result = StreamTraffic()

    async def main() -> None:
        stop = asyncio.Event()
        asyncio.get_running_loop().call_later(seconds, stop.set)
        await stream(url, frames, stop=stop, result=result, **options)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
    return result
