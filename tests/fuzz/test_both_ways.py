"""Plain requests bypass ASGI with the same responses: the same bytes are sent over both paths and compared.

Two services differ in nothing else. What they answer must be the same but for the date, and so must what they count.
"""

from __future__ import annotations

import contextlib
import json
import re
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.faults.bodies import marked
from tests.faults.marks import PLAIN, RAISES, SLOW, SLOW_SECONDS
from tests.fuzz.bodies import bodies
from tests.fuzz.corpus import ONE_HAND
from tests.fuzz.test_clients import wait_for
from tests.hands import IMAGE_SIZE, LIKE
from tests.server import Server, serve

CONVERSATIONS = 1000
GOOD = json.dumps({"landmarks": LIKE, "image_size": IMAGE_SIZE}).encode()
COUNTED = tuple(
    f"hand_gesture_{name}"
    for name in ("requests_total", "invalid_requests", "missing", "predictions_total", "request_duration_seconds_count")
)
LAST = b"GET /livez HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
LIMITS = {"MAX_BATCH_WAIT_MS": 60_000, "REQUEST_TIMEOUT_SECONDS": 20}
OPEN = LIMITS
GUARDED = LIMITS | {"API_KEY": "secret,other", "ALLOWED_ORIGINS": "https://game.example,http://localhost:8080"}


@contextlib.contextmanager
def both_ways(home: Path, **options: object) -> Iterator[tuple[Server, Server]]:
    """The service with the direct path, and with ASGI only."""
    options = {"PYTHONHASHSEED": 0, **options}  # Starlette keeps a route's methods in a set
    with serve(home, "tests.fuzz.ways:HandGesture", WAY="plain", **options) as plain:
        with serve(home, "tests.fuzz.ways:HandGesture", WAY="asgi", **options) as asgi:
            yield plain, asgi


def converse(server: Server, pieces: list[bytes], *, in_turn: bool = False) -> bytes:
    """Send each piece in a separate packet, and read until the connection is closed.

    Where they take turns, each piece is sent after the answer to the last.
    """
    address = urlsplit(server.url)
    received = b""
    with socket.create_connection((address.hostname, address.port), timeout=60) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with contextlib.suppress(ConnectionError):  # after an error the rest is not read
            for piece in pieces:
                connection.sendall(piece)
                if not in_turn:
                    time.sleep(0.001)
                elif piece is not pieces[-1]:
                    received += connection.recv(65_536)
        with contextlib.suppress(ConnectionError):
            while data := connection.recv(65_536):
                received += data
    return received


def sized(body: bytes, *headers: str, target: str = "/predict") -> bytes:
    lines = [f"POST {target} HTTP/1.1", "Host: a", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def undated(answers: bytes) -> bytes:
    """Responses without dates, ports, and the header that names the path."""
    return re.sub(rb"\r\ndate: [^\r]*|(?<=127.0.0.1):\d+", b"", answers).replace(PLAIN, b"")


def counted(server: Server) -> dict[str, float]:
    """Metrics that do not depend on batching."""
    return {
        name: value
        for name, value in server.metrics().items()
        if name.startswith("hand_gesture_")
        and (
            name.partition("{")[0].endswith("_total") or name.startswith("hand_gesture_request_duration_seconds_count")
        )
    }


ROUTES = st.sampled_from(
    [
        *["/predict"] * 20,
        *["/predict/command"] * 6,
        *["/predict_batch"] * 2,
        *(
            "/predict?x=1",
            "/predict/",
            "//predict",
            "/%70redict",
            "/predict%0a",
            "http://a/predict",
            "/livez",
            "/stream",
        ),
    ]
)
OFTEN = ["Content-Type: application/json", "origin: https://game.example", "Origin: null", "Connection: close", "X: y"]
METHODS = st.sampled_from(["POST"] * 12 + ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"])
# Common and rare variants of parts of a request; common ones more often
HEADERS: dict[str, Sequence[str | None]] = {
    "Host": ["a", "a", "a", None],
    "Content-Type": ["application/json"] * 6
    + [
        None,
        "application/json; charset=utf-8",
        "Application/JSON",
        "text/plain",
        "image/png",
        "multipart/form-data",
        "",
    ],
    "Content-Encoding": [*[None] * 9, "identity", "gzip"],
    "Authorization": ["Bearer secret", "Bearer secret", "bearer other", None, "Bearer wrong", "Basic secret", "Bearer"],
    "Origin": [
        None,
        None,
        "https://game.example",
        "http://localhost:8080",
        "https://evil.example",
        "null",
        "http://[",
        "é",
    ],
    "Connection": [*[None] * 6, "keep-alive", "Keep-Alive, X", "close"],
    "Expect": [*[None] * 12, "100-continue", "other"],
    "Cookie": [None, None, None, "a=b"],
    "Upgrade": [*[None] * 20, "h2c"],
    "X": [None, None, None, "y" * 3000],
}
BODIES = st.one_of(
    st.just(GOOD),
    bodies(),
    st.sampled_from([body for body, _ in ONE_HAND.values()]),
    st.sampled_from(
        [b"", b"{}", b"\xff", b'{"\\ud800": NaN}', b" " * 65_536 + GOOD, b'{"hands": [%b]}' % GOOD[14:-25]]
    ),
)


@st.composite
def requests(draw: st.DrawFn, may_be_broken: bool = False) -> bytes:
    """A request, mostly well-formed."""
    method, target, body = draw(METHODS), draw(ROUTES), draw(BODIES)
    version = draw(st.sampled_from(["1.1"] * 12 + ["1.0"]))
    lines = [f"{method} {target} HTTP/{version}"]
    for name, values in HEADERS.items():
        value = draw(st.sampled_from(values))
        if value is not None:
            spelt = draw(st.sampled_from([name, name, name.lower(), name.upper()]))
            lines.append(f"{spelt}: {value}")
    if len(lines) > 1 and draw(st.integers(0, 9)) == 0:
        lines.append(draw(st.sampled_from(lines[1:])))
    if any(line.lower() == "upgrade: h2c" for line in lines):
        lines.append("Connection: upgrade")
    framing = draw(st.sampled_from([*["length"] * 10, "chunked", "none", *["junk"] * may_be_broken]))
    if framing == "length":
        lines.append(f"Content-Length: {len(body)}")
    elif framing == "chunked":
        lines.append("Transfer-Encoding: chunked")
        cut = draw(st.integers(1, 5000))
        parts = [body[start : start + cut] for start in range(0, len(body), cut)]
        body = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in [*parts, b""])
    elif framing == "none":
        body = b""
    else:
        lines.append(draw(st.sampled_from(["Content-Length: -1", "Content-Length: 1x", "Bad Name: x", "No colon"])))
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


@st.composite
def plain_requests(draw: st.DrawFn) -> bytes:
    """A request of a browser or program, with any body."""
    body = draw(BODIES)
    headers = ["Authorization: Bearer secret", *draw(st.lists(st.sampled_from(OFTEN), unique=True, max_size=3))]
    return sized(body, *headers, target=draw(st.sampled_from(["/predict", "/predict", "/predict/command"])))


@st.composite
def conversations(draw: st.DrawFn) -> tuple[list[bytes], bool]:
    """Requests of one connection: sequential, or pipelined and split into packets anywhere."""
    # What cannot be read is answered at once, whatever is being answered: behind another request that is by chance
    either = plain_requests() | requests()
    sent = [draw(plain_requests() | requests(may_be_broken=True)), *draw(st.lists(either, max_size=3)), LAST]
    if draw(st.booleans()):
        return sent, True
    data = b"".join(sent)
    cuts = sorted(draw(st.lists(st.integers(1, len(data) - 1), max_size=3)))
    return [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)], False


@pytest.mark.parametrize("options", [OPEN, GUARDED], ids=["open", "guarded"])
def test_direct_path_and_asgi_answer_and_count_the_same(home: Path, options: dict[str, object]) -> None:
    answers = plain_answers = 0

    with both_ways(home, **options) as (plain, asgi):

        @settings(max_examples=CONVERSATIONS, database=None, derandomize=True, suppress_health_check=[*HealthCheck])
        @given(conversation=conversations())
        def check(conversation: tuple[list[bytes], bool]) -> None:
            nonlocal answers, plain_answers
            pieces, in_turn = conversation
            straight, round_about = (converse(service, pieces, in_turn=in_turn) for service in (plain, asgi))
            if undated(straight) != undated(round_about):  # a reset may have truncated one
                shorter, longer = sorted([undated(straight), undated(round_about)], key=len)
                assert longer.startswith(shorter)
                assert b"HTTP/1.1 400 " in longer or b"connection: close" in longer
            answers += straight.count(b"HTTP/1.1 ")
            plain_answers += straight.count(PLAIN)
            assert PLAIN not in round_about

        check()
        assert counted(plain) == counted(asgi)
        for service in (plain, asgi):
            assert '"level": "error"' not in service.log.read_text()
    print(f"\n{answers} answers, {plain_answers} of them without ASGI")
    assert plain_answers > CONVERSATIONS / 2


def timed(server: Server, *pieces: bytes) -> tuple[bytes, float]:
    started = time.monotonic()
    return converse(server, [*pieces]), time.monotonic() - started


TRANSCRIPTS: dict[str, Callable[[Server], list[bytes]]] = {
    "a body that stops": lambda server: [converse(server, [sized(GOOD)[:-1]])],
    "a head without its body": lambda server: [converse(server, [sized(GOOD)[: -len(GOOD)]])],
    "byte by byte": lambda server: [converse(server, [bytes([byte]) for byte in sized(b"{}") + LAST])],
    "a model that fails": lambda server: [converse(server, [sized(marked(RAISES)) + sized(GOOD) + LAST])],
    "many at once": lambda server: [converse(server, [sized(GOOD) * 300 + LAST])],
    "the last of a connection": lambda server: [converse(server, [sized(GOOD, "Connection: close") + sized(GOOD) * 9])],
}


@pytest.mark.parametrize("name", TRANSCRIPTS)
def test_direct_path_and_asgi_behave_the_same(faulty: tuple[Server, Server], name: str) -> None:
    straight, round_about = (TRANSCRIPTS[name](server) for server in faulty)
    assert [undated(answer) for answer in straight] == [undated(answer) for answer in round_about]
    assert all(answer.startswith(b"HTTP/1.1 ") for answer in straight)
    assert any(PLAIN in answer for answer in straight)


@pytest.fixture(scope="module")
def faulty(home: Path) -> Iterator[tuple[Server, Server]]:
    """Both paths with a model that fails on demand, and a short timeout."""
    with both_ways(home, REQUEST_TIMEOUT_SECONDS=1, MAX_BATCH_WAIT_MS=60_000, MAX_IN_FLIGHT=2) as services:
        for service in services:
            converse(service, [sized(marked(SLOW)), LAST])  # from now on the model is called in a thread
        time.sleep(SLOW_SECONDS)
        yield services


def test_timeouts_and_overload_are_the_same(faulty: tuple[Server, Server]) -> None:
    stories = []
    for service in faulty:
        done = threading.Event()

        def occupy(service: Server = service, done: threading.Event = done) -> None:
            while not done.is_set():
                converse(service, [sized(marked(SLOW)) + LAST])

        others = [threading.Thread(target=occupy) for _ in range(3)]
        for thread in others:
            thread.start()
        refused, seconds = b"", 0.0
        while b"HTTP/1.1 503 " not in refused:
            refused, seconds = timed(service, sized(GOOD) + LAST)
        done.set()
        for thread in others:
            thread.join()
        assert b"\r\nretry-after: 1\r\n" in refused
        assert seconds >= 0.25  # the pause before the next request
        time.sleep(SLOW_SECONDS)
        late, _ = timed(service, sized(marked(SLOW)) + LAST)
        assert b"HTTP/1.1 504 " in late
        time.sleep(SLOW_SECONDS)
        stories.append((undated(refused), undated(late)))
    assert stories[0] == stories[1]


def test_disconnects_are_counted_the_same(faulty: tuple[Server, Server]) -> None:
    before = [counted(service) for service in faulty]
    for service in faulty:
        address = urlsplit(service.url)
        for sent in (sized(GOOD)[:-1], sized(GOOD)[: -len(GOOD)]) * 20:
            with socket.create_connection((address.hostname, address.port), timeout=60) as connection:
                connection.sendall(sent)
        wait_for(lambda service=service: service.metrics()["hand_gesture_requests_in_flight"] == 0)  # type: ignore[misc]
    changes = []
    for service, earlier in zip(faulty, before, strict=True):
        change = {name: value - earlier.get(name, 0) for name, value in counted(service).items()}
        changes.append({name: value for name, value in change.items() if value})
        assert changes[-1]['hand_gesture_requests_total{route="/predict",status="499"}'] == 40
    assert changes[0] == changes[1]


def test_shutdown_answers_accepted_requests_the_same(home: Path) -> None:
    stories = []
    with both_ways(home, REQUEST_TIMEOUT_SECONDS=60, MAX_BATCH_WAIT_MS=60_000) as services:
        for service in services:
            converse(service, [sized(marked(SLOW)), LAST])
            given: list[bytes] = []
            sent = [sized(marked(SLOW)) + sized(GOOD)]
            client = threading.Thread(target=lambda given=given, sent=sent, s=service: given.append(converse(s, sent)))
            client.start()
            wait_for(lambda service=service: service.metrics()["hand_gesture_requests_in_flight"] == 1)  # type: ignore[misc]
            service.process.send_signal(signal.SIGTERM)
            client.join()
            assert service.process.wait(60) == 0
            (answer,) = given
            assert answer.count(b"HTTP/1.1 200 ") >= 1
            assert b"connection: close\r\n" in answer
            stories.append(undated(answer))
    assert stories[0] == stories[1]


def test_a_client_that_does_not_read_is_not_read_from(home: Path) -> None:
    request = sized(GOOD)
    for way in ("plain", "asgi"):
        with serve(home, "tests.fuzz.ways:HandGesture", WAY=way, **LIMITS) as service:
            (worker,) = service.workers()
            before = worker.memory_info().rss
            address = urlsplit(service.url)
            with contextlib.ExitStack() as stack:
                sent = 0
                for _ in range(20):
                    connection = socket.create_connection((address.hostname, address.port))
                    stack.enter_context(connection)
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                    connection.settimeout(0.5)
                    with contextlib.suppress(TimeoutError):
                        for _ in range(100):
                            sent += connection.send(request * 100)
                assert service.client.post("/predict", content=GOOD).status_code == 200
                assert worker.memory_info().rss - before < 64e6
            print(f"\n{way}: {sent / 1e6:.1f} MB were taken before the connections were full")
            wait_for(lambda service=service: service.metrics()["hand_gesture_requests_in_flight"] == 0)  # type: ignore[misc]
            assert '"level": "error"' not in service.log.read_text()
