"""WebSockets over a real socket pair: conformance with RFC 6455, and limits for clients.

The conformance cases are those of Autobahn's test suite (https://github.com/crossbario/autobahn-testsuite) that apply
to a server without extensions, by their numbers there: a server that echoes messages, the bytes a client sends, and the
frames that must come back.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import socket
import weakref
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

import pytest
import uvloop
from hypothesis import example, given, settings
from hypothesis import strategies as st
from picows import WSCloseCode
from picows.picows import WSProtocol  # type: ignore[attr-defined]

from hand_gesture.bento.watchdog import Watchdog
from hand_gesture.bento.websocket_connection import READ_BYTES, Limits, WebSocket
from tests.stream_load import BINARY, CLOSE, PING, PONG, TEXT, client_frame

CONTINUATION = 0
LARGEST = 70_000
LARGEST_FIRST = 80_000
LIMITS = Limits(LARGEST, LARGEST_FIRST, ping_interval_seconds=20, timeout_seconds=5)
KEY = b"dGhlIHNhbXBsZSBub25jZQ=="
EURO = "κόσμε €".encode()
Frame = tuple[int, bytes]


@dataclass
class Echo:
    """An echo session."""

    websocket: WebSocket
    received: list[bytes | str] = field(default_factory=list)
    ended: list[int] = field(default_factory=list)
    happened: list[str] = field(default_factory=list)

    def receive(self, message: bytes | str) -> None:
        self.received.append(message)
        self.websocket.send(message.encode() if isinstance(message, str) else message)

    def end(self, code: int) -> None:
        if not self.ended:  # required of sessions
            self.ended.append(code)

    def __getattr__(self, name: str) -> Any:  # other callbacks of a session
        if name in ("begin", "check", "shutdown", "pause_writing", "resume_writing"):
            return lambda: self.happened.append(name)
        raise AttributeError(name)


class Client:
    """The other end of the pair."""

    def __init__(self, end: socket.socket) -> None:
        self.socket = end
        self._data = b""

    async def read(self, seconds: float = 60) -> bytes:
        return await asyncio.wait_for(asyncio.get_running_loop().sock_recv(self.socket, 65_536), seconds)

    async def frame(self) -> Frame | None:
        """The next frame; None at the end."""
        while True:
            head, size = 2, self._data[1] if len(self._data) > 1 else 0
            if size >= 126:
                width = 2 if size == 126 else 8
                head, size = 2 + width, int.from_bytes(self._data[2 : 2 + width])
            if len(self._data) >= head + size and len(self._data) > 1:
                opcode, payload = self._data[0], self._data[head : head + size]
                self._data = self._data[head + size :]
                assert opcode & 0xF0 == 0x80  # unfragmented, without extensions
                return opcode & 15, payload
            piece = await self.read()
            if not piece:
                assert not self._data, self._data
                return None
            self._data += piece

    async def frames(self) -> list[Frame]:
        """All frames until the end; echoes a close frame."""
        found = []
        while (frame := await self.frame()) is not None:
            found.append(frame)
            if frame[0] == CLOSE:
                with contextlib.suppress(ConnectionError):  # it may have been the echo
                    await self.send(client_frame(CLOSE, frame[1][:2]))
        return found

    async def send(self, *pieces: bytes) -> None:
        for piece in pieces:
            await asyncio.get_running_loop().sock_sendall(self.socket, piece)
            await asyncio.sleep(0)


def run(scenario: Callable[[Client, Echo], Awaitable[Any]], rest: bytes = b"") -> Any:
    """Run a client against an echo session."""

    async def main() -> Any:
        loop = asyncio.get_running_loop()
        listener = socket.create_server(("127.0.0.1", 0))
        end = socket.create_connection(listener.getsockname())
        accepted, _ = listener.accept()
        listener.close()
        end.setblocking(False)
        transport, _ = await loop.connect_accepted_socket(asyncio.Protocol, accepted)
        connections: set[Any] = set()
        websocket = WebSocket(LIMITS, Watchdog(60), connections)
        session = Echo(websocket)
        websocket.accept(transport, session, KEY, rest)
        client = Client(end)
        client._data = b""
        while b"\r\n\r\n" not in client._data:
            client._data += await client.read()
        head, _, client._data = client._data.partition(b"\r\n\r\n")
        assert b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in head  # RFC 6455, section 1.3
        assert b"extensions" not in head.lower()
        try:
            return await scenario(client, session)
        finally:
            end.close()
            for _ in range(100):
                if not connections:
                    break
                websocket.resume_reading()
                await asyncio.sleep(0.01)
            assert not connections
            assert session.ended

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main())


def closing(code: int | None, words: bytes = b"") -> bytes:
    return client_frame(CLOSE, b"" if code is None else code.to_bytes(2) + words)


END = closing(1000)
ENDED = (CLOSE, (1000).to_bytes(2))
FAILED = 1002
FAILING = "fails"


def text(payload: bytes, *, fin: bool = True) -> bytes:
    return client_frame(TEXT, payload, fin=fin)


def more(payload: bytes, *, fin: bool = True) -> bytes:
    return client_frame(CONTINUATION, payload, fin=fin)


def reserved(frame: bytes, bits: int) -> bytes:
    return bytes([frame[0] | bits << 4]) + frame[1:]


def echoed(*payloads: bytes) -> list[Frame]:
    return [(TEXT, payload) for payload in payloads]


# By Autobahn's case number: sent bytes, expected answers, and the close code
CASES: dict[str, tuple[bytes, list[Frame], int]] = {
    # Framing
    **{f"1.1.{n}": (text(b"*" * n) + END, echoed(b"*" * n), 1000) for n in (0, 125, 126, 127, 128, 65_535, 65_536)},
    **{
        f"1.2.{n}": (client_frame(BINARY, b"\xfe" * n) + END, echoed(b"\xfe" * n), 1000)
        for n in (0, 125, 126, 127, 128, 65_535, 65_536)
    },
    # Pings and pongs
    "2.1": (client_frame(PING, b"") + END, [(PONG, b"")], 1000),
    "2.2": (client_frame(PING, b"Hello") + END, [(PONG, b"Hello")], 1000),
    "2.3": (client_frame(PING, b"\x00\xff\xfe") + END, [(PONG, b"\x00\xff\xfe")], 1000),
    "2.4": (client_frame(PING, b"\xfe" * 125) + END, [(PONG, b"\xfe" * 125)], 1000),
    "2.5": (client_frame(PING, b"\xfe" * 126), [], FAILED),
    "2.7": (client_frame(PONG, b"") + END, [], 1000),
    "2.8": (client_frame(PONG, b"unasked") + END, [], 1000),
    "2.9": (client_frame(PONG, b"x") + client_frame(PING, b"y") + END, [(PONG, b"y")], 1000),
    "2.10": (
        b"".join(client_frame(PING, b"%d" % n) for n in range(10)) + END,
        [(PONG, b"%d" % n) for n in range(10)],
        1000,
    ),
    # Reserved bits
    **{f"3.{bits}": (reserved(text(b"Hello"), bits), [], FAILED) for bits in range(1, 8)},
    **{f"3.ping.{bits}": (reserved(client_frame(PING, b"Hello"), bits), [], FAILED) for bits in range(1, 8)},
    **{f"3.close.{bits}": (reserved(END, bits), [], FAILED) for bits in range(1, 8)},
    # Opcodes
    **{f"4.{opcode}": (client_frame(opcode, b"x"), [], FAILED) for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)},
    # Fragments
    "5.1": (client_frame(PING, b"x", fin=False) + client_frame(CONTINUATION, b"y"), [], FAILED),
    "5.2": (client_frame(PONG, b"x", fin=False) + client_frame(CONTINUATION, b"y"), [], FAILED),
    "5.3": (text(b"fragment1", fin=False) + more(b"fragment2") + END, echoed(b"fragment1fragment2"), 1000),
    "5.6": (
        text(b"fragment1", fin=False) + client_frame(PING, b"ping") + more(b"fragment2") + END,
        [(PONG, b"ping"), *echoed(b"fragment1fragment2")],
        1000,
    ),
    "5.9": (more(b"nothing begun"), [], FAILED),
    "5.10": (more(b"nothing begun", fin=False), [], FAILED),
    "5.12": (more(b"x", fin=False) + text(b"Hello"), [], FAILED),
    "5.15": (text(b"a", fin=False) + more(b"b") + more(b"c", fin=False), echoed(b"ab"), FAILED),
    "5.18": (text(b"a", fin=False) + text(b"b"), [], FAILED),
    "5.19": (
        text(b"1", fin=False)
        + more(b"2", fin=False)
        + client_frame(PING, b"a")
        + more(b"3", fin=False)
        + client_frame(PING, b"b")
        + more(b"4", fin=False)
        + more(b"5")
        + END,
        [(PONG, b"a"), (PONG, b"b"), *echoed(b"12345")],
        1000,
    ),
    # UTF-8
    "6.1.1": (text(b"") + END, echoed(b""), 1000),
    "6.1.2": (text(b"", fin=False) + more(b"", fin=False) + more(b"") + END, echoed(b""), 1000),
    "6.1.3": (text(b"", fin=False) + more(b"middle", fin=False) + more(b"") + END, echoed(b"middle"), 1000),
    "6.2.1": (text(EURO) + END, echoed(EURO), 1000),
    "6.2.3": (
        text(EURO[:1], fin=False)
        + b"".join(more(EURO[n : n + 1], fin=False) for n in range(1, len(EURO)))
        + more(b"")
        + END,
        echoed(EURO),
        1000,
    ),
    **{
        f"6.{name}": (text(sent), [], 1007)
        for name, sent in {
            "3.1": EURO + b"\xed\xa0\x80edited",
            "6.1": b"\xce",
            "6.3": b"\xce\xba\xe1\xbd",
            "8.1": b"\xf8\x88\x80\x80\x80",
            "10.1": b"\xf7\xbf\xbf\xbf",
            "12.1": b"\x80",
            "12.2": b"\xbf",
            "14.1": b"\xc0\x20\xc1\x20",
            "16.1": b"\xed\xa0\x80",
            "18.1": b"\xc0\xaf",
            "20.1": b"\xed\xbf\xbf",
        }.items()
    },
    "6.4.1": (text(EURO[:3], fin=False) + more(b"\xf4\x90\x80\x80", fin=False) + more(b"x"), [], 1007),
    "6.22": (text("\ufffe\U0010ffff".encode()) + END, echoed("\ufffe\U0010ffff".encode()), 1000),
    # Closing
    "7.1.1": (text(b"Hello") + END, echoed(b"Hello"), 1000),
    "7.1.3": (END + client_frame(PING, b"after the end"), [], 1000),
    "7.1.4": (END + text(b"after the end"), [], 1000),
    "7.1.5": (text(b"fragment1", fin=False) + END + more(b"fragment2"), [], 1000),
    "7.3.1": (closing(None), [], 1005),
    "7.3.2": (client_frame(CLOSE, b"x"), [], FAILED),
    "7.3.4": (closing(1000, b"Hello"), [], 1000),
    "7.3.5": (closing(1000, b"*" * 123), [], 1000),
    "7.3.6": (client_frame(CLOSE, (1000).to_bytes(2) + b"*" * 124), [], FAILED),
    "7.5.1": (closing(1000, EURO + b"\xed\xa0\x80"), [], 1007),
    **{
        f"7.7.{code}": (closing(code), [], code)
        for code in (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999)
    },
    **{f"7.9.{code}": (closing(code), [], FAILED) for code in (0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999)},
    **{f"7.13.{code}": (closing(code), [], FAILED) for code in (5000, 65_535)},
    # Limits, beyond Autobahn's
    "too large": (text(b"x" * (LARGEST_FIRST + 1)), [], 1009),
    "too large together": (text(b"x" * LARGEST_FIRST, fin=False) + more(b"y"), [], 1009),
    "too large after the first text": (
        text(b"x" * LARGEST_FIRST) + text(b"y" * (LARGEST + 1)),
        echoed(b"x" * LARGEST_FIRST),
        1009,
    ),
    "too large after the first text, binary": (
        text(b"x") + client_frame(BINARY, b"y" * (LARGEST + 1)),
        echoed(b"x"),
        1009,
    ),
    "2**63 - 1 bytes announced": (b"\x82\xff" + (2**63 - 1).to_bytes(8) + bytes(4), [], 1009),
    "2**63 bytes announced": (b"\x82\xff" + (2**63).to_bytes(8) + bytes(4), [], FAILED),
    "unmasked": (b"\x81\x05Hello", [], FAILED),
    "a length in more bytes than it needs": (b"\x81\xfe\x00\x05" + bytes(4) + b"Hello", [], FAILED),
}


AFTER_THE_END = ("7.1.3", "7.1.4", "7.1.5")


def check(pieces: list[bytes], expected: list[Frame], code: int, *, exactly: bool) -> None:
    async def scenario(client: Client, session: Echo) -> None:
        await client.send(*pieces)
        *answers, last = await client.frames()
        assert last[0] == CLOSE
        assert (int.from_bytes(last[1][:2]) if last[1] else 1005) == code
        if exactly:
            assert answers == expected
        else:  # the error may be found before preceding frames are answered
            assert answers in [expected[:count] for count in range(len(expected) + 1)]
        assert session.ended == [code]

    run(scenario)


@pytest.mark.parametrize(("sent", "expected", "code"), CASES.values(), ids=CASES)
def test_conformance(sent: bytes, expected: list[Frame], code: int) -> None:
    check([sent], expected, code, exactly=False)


# Without data after the end: the connection is closed, and a reset may discard the rest
@pytest.mark.parametrize(
    "name", [name for name, (sent, _, _) in CASES.items() if len(sent) < 400 and name not in AFTER_THE_END]
)
def test_conformance_byte_by_byte(name: str) -> None:
    sent, expected, code = CASES[name]
    check([bytes([byte]) for byte in sent], expected, code, exactly=True)


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (more(b"x"), "Unexpected continuation frame, or a new message within a fragmented one."),
        (text(b"\xff"), "A text message must be UTF-8."),
        (reserved(text(b"x"), 4), "A frame has reserved bits, but no extension was negotiated."),
        (closing(1006), "The close frame has a code that must not be sent."),
        (text(b"x" * LARGEST_FIRST, fin=False) + more(b"y"), f"A message is larger than {LARGEST_FIRST} bytes."),
    ],
)
def test_close_frames_say_why(sent: bytes, reason: str) -> None:
    async def scenario(client: Client, _: Echo) -> None:
        await client.send(sent)
        (frame,) = await client.frames()
        assert frame[1][2:].decode() == reason

    run(scenario)


def test_two_close_frames_at_once_end_the_stream() -> None:
    """Case 7.1.2. picows reads one frame ahead, so the client is told of the second before the first is answered."""

    async def scenario(client: Client, session: Echo) -> None:
        await client.send(END + END)
        frames = await client.frames()
        assert [(opcode, payload[:2]) for opcode, payload in frames] == [(CLOSE, FAILED.to_bytes(2))]
        assert session.ended == [1000]

    run(scenario)


def test_masked_frames_are_unmasked() -> None:
    masked = b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"  # RFC 6455, section 5.7
    check([masked + END], echoed(b"Hello"), 1000, exactly=False)


def framed(message: bytes | str, cuts: list[int]) -> bytes:
    """A message of a client, fragmented at the cuts."""
    data = message if isinstance(message, bytes) else message.encode()
    bounds = [*itertools.pairwise([0, *sorted(min(cut, len(data)) for cut in cuts), len(data)])]
    first = BINARY if isinstance(message, bytes) else TEXT
    return b"".join(
        client_frame(CONTINUATION if index else first, data[start:end], fin=index == len(bounds) - 1)
        for index, (start, end) in enumerate(bounds)
    )


MESSAGE = st.just(bytes(252)) | st.binary(max_size=1000) | st.text(max_size=250)


@settings(max_examples=60)
@given(st.lists(st.tuples(MESSAGE, st.lists(st.integers(0, 1000), max_size=2))), st.lists(st.integers(1, 300)))
@example([(bytes(252), []), (bytes(252), [])], [260])
@example([(bytes(252), [0]), (bytes(252), [])], [8, 260])
@example([(b"x", [0] * 2000)], [1])
def test_messages_may_be_fragmented_and_split_arbitrarily(
    messages: list[tuple[bytes | str, list[int]]], pieces: list[int]
) -> None:
    data = b"".join(framed(message, cuts) for message, cuts in messages) + END
    ends = [*itertools.takewhile(lambda end: end < len(data), itertools.accumulate(pieces))]

    async def scenario(client: Client, session: Echo) -> None:
        reading = asyncio.ensure_future(client.frames())
        await client.send(*(data[start:end] for start, end in itertools.pairwise([0, *ends, len(data)])))
        assert (await reading)[-1] == ENDED
        assert session.received == [message for message, _ in messages]

    run(scenario)


def test_data_sent_with_the_upgrade_request_is_not_lost() -> None:
    async def scenario(client: Client, session: Echo) -> None:
        assert await client.frame() == (TEXT, b"early")
        assert session.happened == ["begin"]

    run(scenario, rest=text(b"early"))


def test_client_that_still_sends_can_read_the_close_frame() -> None:
    async def scenario(client: Client, session: Echo) -> None:
        session.receive = session.received.append  # type: ignore[assignment]
        await client.send(client_frame(3, b""), *[text(b"x" * 60_000)] * 200)  # no opcode, and 12 MB
        frames = await client.frames()
        assert [(opcode, payload[:2]) for opcode, payload in frames[-1:]] == [(CLOSE, FAILED.to_bytes(2))]

    run(scenario)


def test_data_after_an_error_is_discarded() -> None:
    async def scenario(client: Client, session: Echo) -> None:
        await client.send(b"\x82\xff" + (2**62).to_bytes(8) + bytes(4), *[bytes(60_000)] * 100)
        await asyncio.sleep(0.05)
        assert len(WSProtocol.get_buffer(session.websocket._protocol, -1)) < 4 * READ_BYTES
        assert [payload[:2] for _, payload in await client.frames()] == [(1009).to_bytes(2)]

    run(scenario)


@pytest.mark.parametrize("error", [client_frame(0x40 | TEXT, b""), text(b"\xff")], ids=["reserved bit", "not UTF-8"])
def test_data_while_closing_is_not_buffered(error: bytes) -> None:
    async def scenario(client: Client, session: Echo) -> None:
        with contextlib.suppress(ConnectionError):
            await client.send(error, *[b"\xff" * 60_000] * 100)
        await asyncio.sleep(0.05)
        assert len(WSProtocol.get_buffer(session.websocket._protocol, -1)) < 2 * LARGEST

    run(scenario)


def test_a_client_that_is_sending_a_large_frame_when_the_server_closes_is_let_go() -> None:
    """Its close frame is discarded with the rest, so it is the client that has to close the connection."""

    async def scenario(client: Client, session: Echo) -> None:
        await client.send(text(b"x"))
        assert await client.frame() == (TEXT, b"x")
        await client.send(text(b"\xff"), text(bytes(LARGEST_FIRST)))
        frame = await client.frame()
        assert frame is not None
        assert (frame[0], frame[1][:2]) == (CLOSE, (1007).to_bytes(2))
        await client.send(client_frame(CLOSE, frame[1][:2]))
        assert await client.read(seconds=30) == b""
        assert session.ended == [1007]

    run(scenario)


def test_frames_larger_than_the_limit_are_not_buffered() -> None:
    """The first message may be larger than later ones, and picows has one limit for all."""

    async def scenario(client: Client, session: Echo) -> None:
        await client.send(text(b"x"))
        assert await client.frame() == (TEXT, b"x")
        await client.send(text(bytes(LARGEST_FIRST))[:-1])
        (frame,) = await client.frames()
        assert frame == (CLOSE, (1009).to_bytes(2) + b"A message is larger than 70000 bytes.")
        assert session.ended == [1009]

    run(scenario)


def test_fragments_larger_than_the_limit_together_are_not_buffered() -> None:
    async def scenario(client: Client, session: Echo) -> None:
        size = LARGEST_FIRST - 1000
        await client.send(text(bytes(size), fin=False), more(bytes(size))[:-1])
        (frame,) = await client.frames()
        assert frame == (CLOSE, (1009).to_bytes(2) + b"A message is larger than 80000 bytes.")
        assert session.ended == [1009]

    run(scenario)


def test_server_closes_with_a_reason_and_waits_for_the_clients_close() -> None:
    async def scenario(client: Client, session: Echo) -> None:
        session.websocket.pause_reading()
        session.websocket.close(WSCloseCode.GOING_AWAY, "€" * 100)
        assert await client.frame() == (CLOSE, (1001).to_bytes(2) + "€".encode() * 41)
        await client.send(text(b"too late") * 1000, END)
        assert await client.frame() is None
        assert session.received == []

    run(scenario)


def test_reading_applies_backpressure() -> None:
    async def scenario(client: Client, session: Echo) -> None:
        session.websocket.pause_reading()
        await client.send(*[text(b"x" * 60)] * 500)
        await asyncio.sleep(0.05)
        assert session.received == []

        def take_one(message: bytes | str) -> None:
            session.received.append(message)
            session.websocket.pause_reading()

        session.receive = take_one  # type: ignore[method-assign]
        session.websocket.resume_reading()
        await asyncio.sleep(0.05)
        assert 0 < len(session.received) <= READ_BYTES / 60
        before = len(session.received)
        session.websocket.resume_reading()
        await asyncio.sleep(0.05)
        assert before < len(session.received) <= 2 * READ_BYTES / 60

    run(scenario)


def test_other_connections_get_a_turn_after_each_read() -> None:
    async def scenario(client: Client, session: Echo) -> None:
        frame = text(b"")
        count = 8 * READ_BYTES // len(frame)
        session.receive = session.received.append  # type: ignore[assignment]
        session.websocket.pause_reading()
        await client.send(frame * count)
        await asyncio.sleep(0.05)
        session.websocket.resume_reading()
        received = [0]
        async with asyncio.timeout(60):
            while received[-1] < count:
                await asyncio.sleep(0)
                received.append(len(session.received))
        most = max(after - before for before, after in itertools.pairwise(received))
        assert most <= READ_BYTES // len(frame) + 1

    run(scenario)


def test_a_client_that_does_not_read_is_aborted() -> None:
    async def scenario(client: Client, session: Echo) -> None:
        websocket = session.websocket
        loop = asyncio.get_running_loop()
        while "pause_writing" not in session.happened:
            websocket.send(b"x" * 8000)
        now = websocket._stalled_at
        assert now is not None
        websocket.check(now + 4.9)
        await asyncio.sleep(0.01)
        assert session.ended == []
        taken = 0
        while "resume_writing" not in session.happened:
            taken += len(await loop.sock_recv(client.socket, 65_536))
            await asyncio.sleep(0)
        websocket.check(now + 100)  # it is alive
        assert session.ended == []
        while session.happened.count("pause_writing") < 2:
            websocket.send(b"x" * 8000)
        assert websocket._stalled_at is not None
        websocket.check(websocket._stalled_at + 5)
        await asyncio.sleep(0.01)
        assert session.ended == [1006]

    run(scenario)


def test_messages_may_be_as_large_as_the_limits() -> None:
    async def scenario(client: Client, session: Echo) -> None:
        for size in (LARGEST_FIRST, LARGEST, LARGEST):
            sending = asyncio.ensure_future(client.send(text(b"x" * (size - 1), fin=False), more(b"y")))
            assert await client.frame() == (TEXT, b"x" * (size - 1) + b"y")
            await sending
        assert session.ended == []

    run(scenario)


def test_a_client_that_does_not_close_after_a_protocol_error_is_aborted() -> None:
    async def scenario(client: Client, session: Echo) -> None:
        await client.send(client_frame(3, b""))  # a reserved kind of frame
        opcode, payload = await client.frame() or (0, b"")
        assert (opcode, payload[:2]) == (CLOSE, (1002).to_bytes(2))
        session.websocket.check(perf_counter() + LIMITS.timeout_seconds)
        async with asyncio.timeout(60):
            while hasattr(session.websocket, "_socket"):
                await asyncio.sleep(0)
        assert session.ended == [1002]

    run(scenario)


def test_a_long_reason_is_cut_between_two_characters() -> None:
    async def scenario(client: Client, session: Echo) -> None:
        session.websocket.close(WSCloseCode.POLICY_VIOLATION, "ab" + "€" * 100)  # of three bytes each
        assert await client.frame() == (CLOSE, (1008).to_bytes(2) + b"ab" + "€".encode() * 40)

    run(scenario)


def test_only_silent_clients_are_pinged_and_any_data_counts_as_alive() -> None:
    async def heard(client: Client, session: Echo, frame: bytes) -> None:
        await client.send(frame)
        async with asyncio.timeout(60):
            while not session.websocket.has_received:
                await asyncio.sleep(0)

    async def scenario(client: Client, session: Echo) -> None:
        websocket = session.websocket
        websocket.check(1000)
        for now in range(1000, 1100, 10):  # never silent
            await heard(client, session, client_frame(PONG, b""))
            websocket.check(now)
        websocket.check(1109)
        websocket.check(1110)
        assert await client.frame() == (PING, b"")
        websocket.check(1114.9)
        await heard(client, session, text(b"not a pong"))
        websocket.check(1115)
        assert await client.frame() == (TEXT, b"not a pong")
        websocket.check(1135)
        assert await client.frame() == (PING, b"")
        websocket.pause_reading()  # the server does not read
        websocket.check(1200)
        assert session.ended == []
        websocket.resume_reading()
        websocket.check(1220)
        assert await client.frame() == (PING, b"")
        websocket.check(1225)
        opcode, payload = await client.frame() or (0, b"")
        assert (opcode, payload[:2]) == (CLOSE, (1011).to_bytes(2))
        assert b"No data within" in payload
        assert session.ended == [1011]
        websocket.check(websocket._closed_at + 5 if websocket._closed_at else 0)  # aborted without a close frame
        assert await client.read() == b""

    run(scenario)


def test_session_errors_close_the_stream_and_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(client: Client, session: Echo) -> None:
        def fail(message: bytes | str) -> None:
            raise KeyError(message)

        session.receive = fail  # type: ignore[method-assign]
        await client.send(text(b"x"))
        frames = await client.frames()
        assert [(opcode, payload[:2]) for opcode, payload in frames] == [(CLOSE, (1011).to_bytes(2))]
        assert session.ended == [1011]

    run(scenario)
    (record,) = [record for record in caplog.records if record.exc_info]
    assert record.levelname == "ERROR"


def test_clients_errors_and_connections_are_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    check([client_frame(3, b"")], [], FAILED, exactly=True)
    check([END], [], 1000, exactly=True)
    assert caplog.records == []


def test_shutdown_is_passed_to_the_session() -> None:
    async def scenario(client: Client, session: Echo) -> None:
        websocket = session.websocket
        websocket.shutdown()
        assert "shutdown" in session.happened
        websocket.close(WSCloseCode.SERVICE_RESTART, "Good bye.")
        websocket.shutdown()
        frame = await client.frame()
        assert frame is not None
        assert frame[0] == CLOSE
        assert await client.frame() is None

    run(scenario)


@pytest.mark.parametrize("ending", [END, client_frame(3, b""), b""], ids=["closed", "failed", "gone"])
def test_connections_create_no_reference_cycles(ending: bytes) -> None:
    left: list[weakref.ref[Any]] = []

    async def scenario(client: Client, session: Echo) -> None:
        left.append(weakref.ref(session.websocket))
        await client.send(text(b"Hello") + ending)
        await client.frame()
        client.socket.close()

    gc.collect()
    gc.disable()
    try:
        run(scenario)
        assert left[0]() is None
    finally:
        gc.enable()
