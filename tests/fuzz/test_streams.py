"""Hostile and careless clients of /stream: each gets its error or its end, and the others notice nothing."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from tests.fuzz.oracle import expected_gesture
from tests.fuzz.test_clients import wait_for
from tests.hands import IMAGE_SIZE, LIKE, as_frame, shaken_hands
from tests.server import Server
from tests.stream_load import BINARY, CLOSE, TEXT, client_frame, handshake

CONTINUATION, PING, PONG = 0, 9, 10
SECONDS = 60
FRAME = as_frame(LIKE)
SETTINGS = client_frame(TEXT, json.dumps({"image_size": IMAGE_SIZE}).encode())
GOOD = client_frame(BINARY, FRAME)


class RawStream:
    """A stream that may send what no library would."""

    def __init__(
        self, server: Server, *, request: bytes = b"", settings: bytes = SETTINGS, headers: tuple[str, ...] = ()
    ) -> None:
        address = urlsplit(server.url)
        self.socket = socket.create_connection((address.hostname, address.port), timeout=SECONDS)
        self.socket.sendall(request or handshake(str(address.hostname), headers=headers))
        self._buffer = b""
        self.head = self._read_until(b"\r\n\r\n")
        self.status = int(self.head.split(b" ", 2)[1])
        if self.status == HTTPStatus.SWITCHING_PROTOCOLS:
            self.socket.sendall(settings)

    def _read_until(self, end: bytes) -> bytes:
        while end not in self._buffer:
            self._receive()
        head, _, self._buffer = self._buffer.partition(end)
        return head

    def _receive(self) -> None:
        data = self.socket.recv(65_536)
        if not data:
            raise EOFError
        self._buffer += data

    def read(self) -> tuple[int, bytes]:
        """Opcode and payload of the next frame; pings are answered."""
        while True:
            if len(self._buffer) >= 2:
                length, start = self._buffer[1], 2
                if length == 126:
                    length, start = int.from_bytes(self._buffer[2:4]), 4
                if len(self._buffer) >= start + length:
                    opcode = self._buffer[0] & 0x0F
                    payload, self._buffer = self._buffer[start : start + length], self._buffer[start + length :]
                    if opcode != PING:
                        return opcode, payload
                    self.socket.sendall(client_frame(PONG, payload))
                    continue
            self._receive()

    def answer(self) -> Any:
        """The next answer."""
        opcode, payload = self.read()
        assert opcode == TEXT, (opcode, payload)
        return json.loads(payload)

    def end(self) -> int:
        """The code with which the server closes; 1006 where it says nothing."""
        with contextlib.suppress(EOFError, ConnectionError):
            while True:
                opcode, payload = self.read()
                if opcode == CLOSE:
                    return int.from_bytes(payload[:2]) if payload else 1005
        return 1006


@contextlib.contextmanager
def stream(server: Server, **options: Any) -> Iterator[RawStream]:
    raw = RawStream(server, **options)
    with raw.socket:
        yield raw


def unmasked(frame: bytes) -> bytes:
    """A frame without its mask, which clients must not leave out."""
    return bytes([frame[0], frame[1] & 0x7F]) + frame[2:-256] + frame[-252:]


FATAL = {
    "mask missing": (unmasked(GOOD), 1002),
    "reserved bit, as in a compressed frame": (bytes([GOOD[0] | 0x40]) + GOOD[1:], 1002),
    "reserved opcode": (client_frame(3, b"x"), 1002),
    "reserved control opcode": (client_frame(11, b""), 1002),
    "continuation of nothing": (client_frame(CONTINUATION, FRAME), 1002),
    "message within a message": (client_frame(BINARY, FRAME, fin=False) + GOOD, 1002),
    "fragmented ping": (client_frame(PING, b"x", fin=False), 1002),
    "ping of 126 bytes": (client_frame(PING, b"x" * 126), 1002),
    "close of one byte": (client_frame(CLOSE, b"x"), 1002),
    "close with a code that is none": (client_frame(CLOSE, (999).to_bytes(2)), 1002),
    "close whose words are not UTF-8": (client_frame(CLOSE, (1000).to_bytes(2) + b"\xff"), 1007),
    "text that is not UTF-8": (client_frame(TEXT, b"\xff\xfe"), 1007),
    "one byte too many": (client_frame(BINARY, bytes(65_537)), 1009),
    "2**63 - 1 bytes announced": (struct.pack("!BBQ", 0x82, 0xFF, 2**63 - 1) + bytes(4) + b"x" * 100, 1009),
    "fragments that add up to too much": (
        client_frame(BINARY, bytes(60_000), fin=False) + client_frame(CONTINUATION, bytes(60_000), fin=False),
        1009,
    ),
    "HTTP again": (b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}", 1002),
}


@pytest.mark.parametrize(("sent", "code"), FATAL.values(), ids=FATAL.keys())
def test_protocol_errors_close_the_stream_with_their_code(server: Server, sent: bytes, code: int) -> None:
    with stream(server) as bad, stream(server) as neighbour:
        bad.socket.sendall(GOOD)
        assert bad.answer()["gesture"] == "like"
        bad.socket.sendall(sent)
        assert bad.end() == code
        neighbour.socket.sendall(GOOD)
        assert neighbour.answer()["gesture"] == "like"


HARMLESS = {
    "fragments": [
        client_frame(BINARY, FRAME[:100], fin=False),
        client_frame(CONTINUATION, b"", fin=False),
        client_frame(PING, b"between"),
        client_frame(CONTINUATION, FRAME[100:]),
    ],
    "a fragment for each byte": [
        client_frame(BINARY, b"", fin=False),
        *(client_frame(CONTINUATION, bytes([byte]), fin=False) for byte in FRAME),
        client_frame(CONTINUATION, b""),
    ],
    "empty fragments": [
        client_frame(BINARY, b"", fin=False),
        *[client_frame(CONTINUATION, b"", fin=False)] * 5000,
        client_frame(CONTINUATION, FRAME),
    ],
    "pings and pongs": [client_frame(PING, b"x" * 125), client_frame(PONG, b"unasked"), client_frame(PING, b""), GOOD],
    "a real mask": [GOOD[:4] + b"\x01\x02\x03\x04" + bytes(b ^ (i % 4 + 1) for i, b in enumerate(FRAME))],
}


@pytest.mark.parametrize("frames", HARMLESS.values(), ids=HARMLESS.keys())
def test_unusual_framing_is_accepted(server: Server, frames: list[bytes]) -> None:
    with stream(server) as odd:
        odd.socket.sendall(b"".join(frames))
        opcode, payload = odd.read()
        while opcode == PONG:
            opcode, payload = odd.read()
        assert json.loads(payload)["gesture"] == "like"


@pytest.mark.parametrize("size", [1, 3, 17, 250])
def test_bytes_may_be_split_arbitrarily(server: Server, size: int) -> None:
    sent = GOOD * 3
    with stream(server) as slow:
        slow.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for start in range(0, len(sent), size):
            slow.socket.sendall(sent[start : start + size])
        assert [slow.answer()["gesture"] for _ in range(3)] == ["like"] * 3


def test_close_is_answered_with_its_code(server: Server) -> None:
    with stream(server) as polite:
        polite.socket.sendall(GOOD + client_frame(CLOSE, (1000).to_bytes(2) + "tschüss".encode()))
        assert polite.end() == 1000


def test_vanished_clients_are_cleaned_up(server: Server) -> None:
    endings = [b"", GOOD[:100], GOOD, GOOD * 50, client_frame(BINARY, FRAME[:50], fin=False), SETTINGS]
    for ending in endings * 10:
        with stream(server) as gone:
            gone.socket.sendall(ending)
            if ending == GOOD:  # with a reset
                gone.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    wait_for(lambda: server.metrics()["hand_gesture_streams"] == 0)
    assert '"level": "error"' not in server.log.read_text()


def test_invalid_handshakes_are_rejected(server: Server) -> None:
    good = handshake("127.0.0.1").decode()
    for wrong in (
        good.replace("Version: 13", "Version: 8"),
        good.replace("dGhlIHNhbXBsZSBub25jZQ==", "short"),
        good.replace("Sec-WebSocket-Key", "X"),
        good.replace("Connection: Upgrade", "Connection: keep-alive"),
    ):
        address = urlsplit(server.url)
        with socket.create_connection((address.hostname, address.port), timeout=SECONDS) as connection:
            connection.sendall(wrong.encode())
            assert connection.recv(65_536).startswith(b"HTTP/1.1 4")


def test_compression_that_is_offered_is_declined(server: Server) -> None:
    with stream(server, headers=("Sec-WebSocket-Extensions: permessage-deflate",)) as offering:
        assert b"extensions" not in offering.head.lower()
        offering.socket.sendall(GOOD)
        assert offering.answer()["gesture"] == "like"


BODIES = [json.dumps(body).encode() for body in shaken_hands(40)]
BAD_TEXTS = [
    "",
    "{",
    "[]",
    "null",
    '{"landmarks": 1}',
    '{"landmarks": [[1, 2]]}',
    '{"hands": [[]]}',
    "\x00",
    '{"a": 1}',
]
BAD_BINARIES = [
    *(b"\x00", FRAME[:-4], FRAME + b"x", FRAME * 9),
    *(struct.pack("<63f", *[float("inf")] * 63), struct.pack("<d", float("nan")) + FRAME),
]
HOSTILE_TIMES = [0.0, -0.0, 5e-324, 1.0, -1.0, 1e12, -1e12, 1.7e308, -1.7e308]


def as_binary(body: bytes) -> tuple[bytes, bytes]:
    """A hand as a binary frame, and the body for /predict that says the same."""
    request = json.loads(body)
    numbers = np.array(request["landmarks"]).ravel().astype("<f4")
    request["landmarks"] = numbers.astype(float).tolist()
    return numbers.tobytes(), json.dumps(request).encode()


def test_good_and_bad_clients_together(server: Server) -> None:
    class Clients(RuleBasedStateMachine):
        """Streams that come and go, some of them bad, each answer compared with the oracle's."""

        def __init__(self) -> None:
            super().__init__()
            self.streams: list[RawStream] = []
            self.expected: list[list[str | None]] = []  # of each stream, what it has not read yet; None: an error

        @initialize()
        def begin(self) -> None:
            self.open()

        @rule()
        def open(self) -> None:
            if len(self.streams) < 5:
                self.streams.append(RawStream(server))
                self.expected.append([])

        def _send(self, index: int, frame: bytes, expected: str | None) -> None:
            which = index % len(self.streams)
            self.streams[which].socket.sendall(frame)
            self.expected[which].append(expected)

        @rule(
            index=st.integers(0, 4),
            body=st.sampled_from(BODIES),
            in_text=st.booleans(),
            time=st.none() | st.sampled_from(HOSTILE_TIMES),
        )
        def good(self, index: int, body: bytes, in_text: bool, time: float | None) -> None:
            if in_text:
                with_time = body if time is None else json.dumps(json.loads(body) | {"time": time}).encode()
                self._send(index, client_frame(TEXT, with_time), expected_gesture(body))
            else:
                frame, same = as_binary(body)
                prefix = b"" if time is None else struct.pack("<d", time)
                self._send(index, client_frame(BINARY, prefix + frame), expected_gesture(same))

        @rule(index=st.integers(0, 4), time=st.none() | st.sampled_from(HOSTILE_TIMES), in_text=st.booleans())
        def no_hand(self, index: int, time: float | None, in_text: bool) -> None:
            if in_text:
                self._send(index, client_frame(TEXT, json.dumps({"hands": [], "time": time}).encode()), "none")
            else:
                self._send(index, client_frame(BINARY, b"" if time is None else struct.pack("<d", time)), "none")

        @rule(index=st.integers(0, 4), text=st.sampled_from(BAD_TEXTS))
        def bad_text(self, index: int, text: str) -> None:
            self._send(index, client_frame(TEXT, text.encode()), None)

        @rule(index=st.integers(0, 4), data=st.sampled_from(BAD_BINARIES))
        def bad_binary(self, index: int, data: bytes) -> None:
            self._send(index, client_frame(BINARY, data), None)

        @rule(index=st.integers(0, 4))
        def read(self, index: int) -> None:
            which = index % len(self.streams)
            for wanted in self.expected[which]:
                answer = self.streams[which].answer()
                assert answer.get("gesture") == wanted
                assert ("reason" in answer) == (wanted is None)
            self.expected[which].clear()

        @rule(index=st.integers(0, 4), sent=st.sampled_from([b"", *(sent for sent, _ in FATAL.values())]))
        def leave(self, index: int, sent: bytes) -> None:
            if len(self.streams) > 1:
                which = index % len(self.streams)
                with self.streams.pop(which).socket as connection:
                    connection.sendall(sent)
                self.expected.pop(which)

        @invariant()
        def service_lives(self) -> None:
            assert server.process.poll() is None

        def teardown(self) -> None:
            for index in range(len(self.streams)):
                self.read(index)
            for raw in self.streams:
                raw.socket.close()

    run_state_machine_as_test(Clients, settings=settings(max_examples=40, stateful_step_count=40))
    assert '"level": "error"' not in server.log.read_text()
