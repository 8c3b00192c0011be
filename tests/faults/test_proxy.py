"""The proxy of deploy/haproxy/ in front of the service, and malicious clients."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import httpx
import pytest
from websockets.sync.client import connect

from tests.hands import IMAGE_SIZE, LIKE, as_frame
from tests.load import Expected, encode_request, read_response, traffic
from tests.own_gestures import gestures
from tests.proxy import HAPROXY, Proxy, proxy_before
from tests.server import GENEROUS_LIMITS, Server, serve

BODY = {"landmarks": LIKE, "image_size": IMAGE_SIZE}
GOOD = [Expected(json.dumps(BODY).encode(), 200, b'"gesture":"like"')]
GOOD_CLIENTS = 4
LATE_SECONDS = 4  # longer than the proxy waits for predictions
pytestmark = pytest.mark.skipif(HAPROXY is None, reason="haproxy is not installed")


@pytest.fixture(scope="module")
def server(home: Path) -> Iterator[Server]:
    """A service with generous limits."""
    with serve(home, **GENEROUS_LIMITS) as running:
        yield running


@pytest.fixture
def start_proxy(server: Server, tmp_path: Path) -> Iterator[Callable[..., Proxy]]:
    """Starts the proxy in front of the service."""
    with contextlib.ExitStack() as proxies:
        yield lambda *arguments, **settings: proxies.enter_context(
            proxy_before(server.url, tmp_path, *arguments, **settings)
        )


def figure(proxy: Proxy, name: str) -> float:
    lines = httpx.get(f"{proxy.figures}/metrics", timeout=60).text.splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))


def from_address(address: str, proxy: Proxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=120, source_address=(address, 0))


def test_metrics_are_not_forwarded(start_proxy: Callable[..., Proxy]) -> None:
    proxy = start_proxy()
    for path in ("/metrics", "/metrics/", "/%6detrics", "/metrics?x=1", "/metrics%0a"):
        with from_address("127.0.0.1", proxy) as client:
            client.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
            assert client.recv(100).startswith(b"HTTP/1.1 404"), path
    assert figure(proxy, 'haproxy_frontend_requests_denied_total{proxy="public"}') == 5


def test_oversized_and_malformed_requests_get_the_services_errors(start_proxy: Callable[..., Proxy]) -> None:
    proxy = start_proxy()
    answer = httpx.post(f"{proxy.url}/predict_batch", content=b" " * 2_000_001, timeout=60)
    assert (answer.status_code, answer.json()["reason"]) == (413, "body_too_large")
    answer = httpx.get(f"{proxy.url}/readyz", headers={"X-Large": "x" * 40_000}, timeout=60)
    assert answer.status_code == 400
    with from_address("127.0.0.1", proxy) as client:
        client.sendall(b"GARBAGE\r\n\r\n")
        assert client.recv(4000).startswith(b"HTTP/1.1 400")


def test_without_replicas_clients_get_retry_after(start_proxy: Callable[..., Proxy], server: Server) -> None:
    proxy = start_proxy()
    (worker,) = server.workers()
    worker.suspend()
    try:
        deadline = time.monotonic() + 60
        while figure(proxy, 'haproxy_backend_active_servers{proxy="requests"}') > 0:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        answer = httpx.post(f"{proxy.url}/predict", json=BODY, timeout=60)
    finally:
        worker.resume()
    assert (answer.status_code, answer.json()["reason"]) == (503, "overloaded")
    assert answer.headers["retry-after"] == "1"
    assert answer.headers["access-control-allow-origin"] == "*"  # so that pages of other origins can read it


class LateReplica(BaseHTTPRequestHandler):
    """Answers its first POST late, and all others at once."""

    protocol_version = "HTTP/1.1"
    asked: ClassVar[list[str]]

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.asked.append(self.path)
        if len(self.asked) == 1:
            time.sleep(LATE_SECONDS)
        self._answer()

    def _answer(self) -> None:
        with contextlib.suppress(ConnectionError):  # the proxy no longer waits
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()


@pytest.fixture
def before_late_replica(tmp_path: Path) -> Iterator[Proxy]:
    """The proxy in front of a replica that is late."""
    LateReplica.asked = []
    with ThreadingHTTPServer(("127.0.0.1", 0), LateReplica) as replica:
        threading.Thread(target=replica.serve_forever, daemon=True).start()
        with proxy_before(f"http://127.0.0.1:{replica.server_port}", tmp_path) as proxy:
            yield proxy
        replica.shutdown()


@pytest.mark.parametrize(("path", "times"), [("/gestures", 1), ("/predict", 2)])
def test_late_predictions_are_repeated_but_training_is_waited_for(
    before_late_replica: Proxy, path: str, times: int
) -> None:
    head, end, body = encode_request("x", path, GOOD[0].body).partition(b"\r\n\r\n")
    with from_address("127.0.0.1", before_late_replica) as client:
        client.sendall(head + end)
        time.sleep(0.2)  # so that the body is a packet of its own
        client.sendall(body)
        assert client.recv(12) == b"HTTP/1.1 200"
    assert LateReplica.asked == [path] * times


def test_slow_body(start_proxy: Callable[..., Proxy]) -> None:
    def pieces() -> Iterator[bytes]:
        body = json.dumps(gestures("L", "pinky", count=64, seed=1)).encode()
        yield body[:1000]
        time.sleep(6)  # longer than for headers, and than the service may take for predictions
        yield body[1000:]

    answer = httpx.post(f"{start_proxy().url}/gestures", content=pieces(), timeout=60)
    assert (answer.status_code, [*answer.json()["gestures"]]) == (200, ["L", "pinky"])


def test_body_that_never_comes(start_proxy: Callable[..., Proxy]) -> None:
    head, end, _ = encode_request("x", "/predict", GOOD[0].body).partition(b"\r\n\r\n")
    with from_address("127.0.0.1", start_proxy()) as client, client.makefile("rb") as answer:
        client.sendall(head + end)
        headers, _, body = answer.read().partition(b"\r\n\r\n")
    assert headers.startswith(b"HTTP/1.1 408")
    assert b"access-control-allow-origin: *" in headers.lower()
    assert json.loads(body) == {"error": "The request did not arrive within 5 seconds.", "reason": "body_too_slow"}


def test_slow_headers(start_proxy: Callable[..., Proxy]) -> None:
    proxy = start_proxy()
    with traffic(proxy.url, GOOD, connections=GOOD_CLIENTS, interval=1 / 30) as good:
        ended = asyncio.run(_trickle(proxy, clients=200))
    assert ended == [b"HTTP/1.1 408"] * 200
    assert (good.lost, good.refused, good.wrong()) == (0, 0, [])


async def _trickle(proxy: Proxy, clients: int) -> list[bytes]:
    """Send headers byte by byte until the proxy closes the connections; returns its responses."""

    async def client(index: int) -> bytes:
        address = (f"127.0.1.{1 + index % 4}", 0)
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port, local_addr=address)
        writer.write(b"POST /predict HTTP/1.1\r\nHost: x\r\nX-Slow: ")
        answer = asyncio.ensure_future(reader.read(12))
        while not answer.done():
            writer.write(b"x")
            await asyncio.wait([answer], timeout=0.5)
        writer.close()
        return answer.result()

    return await asyncio.gather(*(client(index) for index in range(clients)))


def test_flood_of_one_client(start_proxy: Callable[..., Proxy]) -> None:
    proxy = start_proxy(REQUESTS_PER_SECOND=50)  # below a flood on any machine, above what the valid clients send
    with traffic(proxy.url, GOOD, connections=GOOD_CLIENTS, interval=1 / 5) as good:
        answers = asyncio.run(_flood(proxy, clients=16, each=500))
    statuses = {status for status, _ in answers}
    assert statuses == {200, 429}
    refused = next(body for status, body in answers if status == 429)
    assert json.loads(refused)["reason"] == "too_many_requests"
    assert (good.lost, good.refused, good.wrong()) == (0, 0, [])
    print(f"of {len(answers)} requests of the flood {sum(status == 429 for status, _ in answers)} were refused")


async def _flood(proxy: Proxy, clients: int, each: int) -> list[tuple[int, bytes]]:
    request = encode_request("x", "/predict", GOOD[0].body)

    async def client() -> list[tuple[int, bytes]]:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port, local_addr=("127.0.0.2", 0))
        answers = []
        for _ in range(each):
            writer.write(request)
            answers.append(await read_response(reader))
        writer.close()
        return answers

    return [answer for answers in await asyncio.gather(*(client() for _ in range(clients))) for answer in answers]


def test_browsers_can_read_the_rate_limit_error(start_proxy: Callable[..., Proxy]) -> None:
    proxy = start_proxy(REQUESTS_PER_SECOND=1)
    with httpx.Client(base_url=proxy.url, timeout=60) as client:
        answers = [client.post("/predict", json=BODY, headers={"Origin": "https://game.example"}) for _ in range(20)]
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert refused.headers["retry-after"] == "1"
    assert refused.headers["access-control-allow-origin"] == "*"


def test_connections_of_one_client(start_proxy: Callable[..., Proxy]) -> None:
    proxy = start_proxy(CONNECTIONS=50)
    with contextlib.ExitStack() as held:
        clients: list[socket.socket] = []
        for _ in range(60):
            with contextlib.suppress(OSError):  # connections above the limit are reset
                clients.append(held.enter_context(from_address("127.0.0.2", proxy)))
        for client in clients:
            with contextlib.suppress(OSError):  # connections above the limit are closed at once
                client.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
        assert sum(_is_answered(client) for client in clients) == 50
        assert httpx.get(f"{proxy.url}/livez", timeout=60).is_success  # from another address


def _is_answered(client: socket.socket) -> bool:
    try:
        return client.recv(12) == b"HTTP/1.1 200"
    except OSError:
        return False


def test_ten_thousand_idle_connections(start_proxy: Callable[..., Proxy]) -> None:
    proxy = start_proxy()
    with traffic(proxy.url, GOOD, connections=GOOD_CLIENTS, interval=1 / 30) as good:
        closed = asyncio.run(_be_idle(proxy, connections=10_000))
        before = len(good.outcomes)
        deadline = time.monotonic() + 60
        while len(good.outcomes) < before + 10:  # and continues afterwards
            assert time.monotonic() < deadline
            time.sleep(0.05)
    assert closed == 10_000
    assert (good.lost, good.refused, good.wrong()) == (0, 0, [])


async def _be_idle(proxy: Proxy, connections: int) -> int:
    """Open idle connections, and wait until the proxy has closed them; returns how many."""

    async def client(index: int) -> bool:
        address = (f"127.0.2.{1 + index % 40}", 0)
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port, local_addr=address)
        with contextlib.suppress(ConnectionError):
            await reader.read()
        writer.close()
        return True

    return sum(await asyncio.gather(*(client(index) for index in range(connections))))


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_tls(start_proxy: Callable[..., Proxy], tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subject = ("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost")
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", *subject]
    subprocess.run([*command, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    both = tmp_path / "both.pem"
    both.write_text(certificate.read_text() + key.read_text())
    proxy = start_proxy(both, CERTIFICATE_FILE=both)
    context = ssl.create_default_context(cafile=certificate)
    address = f"localhost:{proxy.tls_port}"
    answer = httpx.post(f"https://{address}/predict", json=BODY, verify=context, timeout=60)
    assert answer.json()["gesture"] == "like"
    with connect(f"wss://{address}/stream", ssl=context) as stream:
        stream.send(json.dumps({"image_size": IMAGE_SIZE}))
        stream.send(as_frame(LIKE))
        assert json.loads(stream.recv(60))["held"] == "like"
    answer = httpx.post(f"http://localhost:{proxy.port}/predict?x=1", json=BODY, timeout=60)
    assert (answer.status_code, answer.headers["location"]) == (308, f"https://{address}/predict?x=1")


def test_client_address_is_forwarded_and_streams_work(start_proxy: Callable[..., Proxy]) -> None:
    proxy = start_proxy()
    with connect(proxy.url.replace("http", "ws") + "/stream") as stream:
        stream.send(json.dumps({"image_size": IMAGE_SIZE}))
        answers: list[Any] = []
        for _ in range(100):
            stream.send(as_frame(LIKE))
            answers.append(json.loads(stream.recv(60))["held"])
    assert answers == ["like"] * 100
    assert figure(proxy, 'haproxy_backend_sessions_total{proxy="streams"}') >= 1
