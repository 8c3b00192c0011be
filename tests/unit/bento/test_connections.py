"""What hand_gesture/bento/connections.py relies on in websockets: when one fails after an update, start there."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from uvicorn import Config
from uvicorn.server import ServerState
from websockets.frames import Frame, Opcode

from hand_gesture.bento.connections import StreamLimits, StreamProtocol
from tests.stream_load import BINARY, client_frame, handshake

LARGEST = 1000
CAMERAS_FRAME = bytes(range(252))


class Wire(asyncio.Transport):
    """Where nothing comes from but what a test hands over, and what is written is not needed."""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Take it."""

    def is_closing(self) -> bool:
        return False

    def pause_reading(self) -> None:
        """Nothing comes by itself."""

    resume_reading = close = pause_reading


async def keep_open(_: Any, receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]) -> None:
    await receive()
    await send({"type": "websocket.accept"})
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.Event().wait()


@pytest.fixture(scope="module", autouse=True)
def limits() -> None:
    StreamProtocol.limits = StreamLimits(LARGEST, max_waiting=1000, ping_seconds=60, patience_seconds=60)


async def connected() -> StreamProtocol:
    protocol = StreamProtocol(Config(keep_open, ws="none", lifespan="off"), ServerState(), {})
    protocol.connection_made(Wire())
    protocol.data_received(handshake("localhost"))
    while not protocol.handshake_complete:
        await asyncio.sleep(0)
    return protocol


async def received(protocol: StreamProtocol) -> list[bytes | str | int]:
    """The messages that wait for the application, and the code of a close."""
    events: list[Any] = [await protocol.receive() for _ in range(protocol.queue.qsize())]
    return [event[{*event}.difference({"type", "reason"}).pop()] for event in events]


def framed(message: bytes | str, cuts: list[int]) -> bytes:
    """A message as a client sends it, in a fragment more than there are cuts."""
    data = message if isinstance(message, bytes) else message.encode()
    first = Opcode.BINARY if isinstance(message, bytes) else Opcode.TEXT
    bounds = [*itertools.pairwise([0, *sorted(min(cut, len(data)) for cut in cuts), len(data)])]
    return b"".join(
        Frame(Opcode.CONT if index else first, data[start:end], fin=index == len(bounds) - 1).serialize(mask=True)
        for index, (start, end) in enumerate(bounds)
    )


MESSAGE = st.just(CAMERAS_FRAME) | st.binary(max_size=LARGEST) | st.text(max_size=LARGEST // 4)


@given(st.lists(st.tuples(MESSAGE, st.lists(st.integers(0, LARGEST), max_size=2))), st.lists(st.integers(1, 300)))
@example([(CAMERAS_FRAME, []), (CAMERAS_FRAME, [])], [260])
@example([(CAMERAS_FRAME, []), (CAMERAS_FRAME, [])], [1, 260])
@example([(CAMERAS_FRAME, [0]), (CAMERAS_FRAME, [])], [8, 260])
@example([(CAMERAS_FRAME, [130])], [138])
@example([("x" * 200, [])], [])
def test_messages_are_read_in_whatever_frames_and_pieces(
    messages: list[tuple[bytes | str, list[int]]], pieces: list[int]
) -> None:
    """A piece that looks like a whole frame may be the middle of one, so all of its length must be right."""

    async def main() -> None:
        protocol = await connected()
        data = b"".join(framed(message, cuts) for message, cuts in messages)
        ends = [*itertools.takewhile(lambda end: end < len(data), itertools.accumulate(pieces))]
        for start, end in itertools.pairwise([0, *ends, len(data)]):
            protocol.data_received(data[start:end])
        assert await received(protocol) == [message for message, _ in messages]

    asyncio.run(main())


def test_what_looks_like_a_frame_within_another_is_data() -> None:
    inner = client_frame(BINARY, CAMERAS_FRAME)

    async def main() -> None:
        protocol = await connected()
        protocol.data_received(client_frame(BINARY, inner).removesuffix(inner))
        protocol.data_received(inner)
        assert await received(protocol) == [inner]

    asyncio.run(main())


@pytest.mark.parametrize(
    ("before", "after", "code"),
    [
        (framed(b"x", [0])[:6], framed(CAMERAS_FRAME, []), 1002),
        (b"", framed(bytes(LARGEST + 1), []), 1009),
        (b"", Frame(Opcode.BINARY, CAMERAS_FRAME).serialize(mask=False), 1002),
        (Frame(Opcode.CLOSE, (1000).to_bytes(2)).serialize(mask=True), framed(CAMERAS_FRAME, []), 1000),
    ],
    ids=["within another's fragments", "too large", "unmasked", "after the end"],
)
def test_a_whole_frame_where_none_may_be(before: bytes, after: bytes, code: int) -> None:
    async def main() -> None:
        protocol = await connected()
        protocol.data_received(before)
        events = await received(protocol)
        protocol.data_received(after)
        assert events + await received(protocol) == [code]

    asyncio.run(main())


def test_a_cameras_frames_go_past_the_parser(monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes a tenth of a frame's time; that it is passed hangs on how websockets is made."""

    async def main() -> None:
        protocol = await connected()
        for first in (b"text", "text", CAMERAS_FRAME):  # whatever it has parsed before
            protocol.data_received(framed(first, []))
            await received(protocol)
            with monkeypatch.context() as patch:
                patch.setattr(protocol.conn, "receive_data", pytest.fail)
                protocol.data_received(framed(CAMERAS_FRAME, []))
            assert await received(protocol) == [CAMERAS_FRAME]

    asyncio.run(main())
