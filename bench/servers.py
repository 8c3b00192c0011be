"""The servers of the comparison: installation, start and requests."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import orjson
import psutil
from numpy.typing import NDArray

from hand_gesture.landmarks import parse_hand, restore_shape
from tests.hands import ARTIFACTS, CLASSIFIER, PROJECT, shaken_hands
from tests.server import environment, free_port

PEERS = Path(__file__).with_name("peers")
ENVIRONMENTS = PROJECT / "build" / "bench"
START_SECONDS = 60.0
STOP_SECONDS = 10.0
SECONDS_TO_FINISH = 0.4
SECONDS_TO_WAKE_UP = 0.2
HANDS = 50


@dataclass(frozen=True, slots=True)
class Exchange:
    """The body of a request, and a check of the response."""

    body: bytes
    is_right: Callable[[bytes], bool]


def hand_exchange(body: dict[str, Any]) -> Exchange:
    """A hand for this service."""
    (expected,) = CLASSIFIER.predict(_pixels(body))

    def is_right(answer: bytes) -> bool:
        given = orjson.loads(answer)
        same_gesture = (given["gesture"], given["command"]) == (expected.gesture, expected.command)
        return same_gesture and abs(given["confidence"] - expected.confidence) < 1e-3

    return Exchange(orjson.dumps(body), is_right)


def listed_exchange(body: dict[str, Any]) -> Exchange:
    """A hand for a plain BentoML API method with lists as input and output."""
    one = hand_exchange(body)
    return Exchange(b'{"hands": [%b]}' % one.body, lambda answer: one.is_right(answer.strip(b"[]")))


def feature_exchange(body: dict[str, Any]) -> Exchange:
    """The features of a hand for a server that implements the Open Inference Protocol."""
    hands = _pixels(body)
    expected = CLASSIFIER.classes.index(CLASSIFIER.predict(hands)[0].gesture)
    data = CLASSIFIER.features.make(hands).round(6).ravel().tolist()
    tensor = {"name": "hand", "shape": [1, len(data)], "datatype": "FP32", "data": data}
    return Exchange(
        orjson.dumps({"inputs": [tensor]}),
        lambda answer: bool(orjson.loads(answer)["outputs"][0]["data"] == [expected]),
    )


def batch_exchange(count: int) -> Exchange:
    """Many hands in one request for /predict_batch."""
    bodies = shaken_hands(count)
    body = {"hands": [one["landmarks"] for one in bodies], "image_size": bodies[0]["image_size"]}
    expected = [CLASSIFIER.predict(_pixels(one))[0].gesture for one in bodies]
    return Exchange(orjson.dumps(body), lambda answer: [given["gesture"] for given in orjson.loads(answer)] == expected)


def _pixels(body: dict[str, Any]) -> NDArray[np.float64]:
    hands = parse_hand(body["landmarks"])[np.newaxis]
    restore_shape(hands, body["image_size"])
    return hands


@dataclass(frozen=True, slots=True)
class Contender:
    """A server to measure.

    ``command`` may contain {port}. ``peer`` is its folder in bench/peers; if that has a requirements.txt, the server
    runs in its own virtual environment, otherwise in this project's.
    """

    name: str
    command: tuple[str, ...]
    peer: str = ""
    route: str = "/predict"
    exchange: Callable[[dict[str, Any]], Exchange] = hand_exchange
    workers: int = 1

    @property
    def requirements(self) -> Path | None:
        """The requirements.txt of its own environment, if it has one."""
        path = PEERS / self.peer / "requirements.txt"
        return path if path.exists() else None

    @property
    def binaries(self) -> Path:
        """The folder of its executables."""
        return ENVIRONMENTS / self.peer / "bin" if self.requirements else Path(sys.executable).parent

    @property
    def exchanges(self) -> list[Exchange]:
        """Different hands with the expected responses."""
        return _exchanges(self.exchange)


@cache
def _exchanges(exchange: Callable[[dict[str, Any]], Exchange]) -> list[Exchange]:
    return [exchange(body) for body in shaken_hands(HANDS)]


def _uvicorn(name: str, peer: str) -> Contender:
    options = ("--host", "127.0.0.1", "--port", "{port}", "--log-level", "warning", "--no-access-log")
    return Contender(name, ("uvicorn", "app:app", *options), peer)


OURS = Contender("this service", ("bentoml", "serve"))
TWO_WORKERS = Contender("this service, 2 workers", ("bentoml", "serve"), workers=2)
UNMEASURED = Contender(
    "this service without metrics and batches", ("bentoml", "serve", "bench.peers.unmeasured.service:HandGesture")
)
BY_ASGI = Contender("this service, all by ASGI", ("bentoml", "serve", "bench.peers.by_asgi.service:HandGesture"))
CEILING = _uvicorn("ceiling: bare ASGI and NumPy", "ceiling")
FASTAPI = _uvicorn("FastAPI, plain", "fastapi")
LITSERVE = Contender("LitServe, batched", ("python", "app.py"), "litserve")
MLSERVER = Contender(
    "MLServer, batched", ("mlserver", "start", "."), "mlserver", "/v2/models/hand-gesture/infer", feature_exchange
)
PLAIN_BENTOML = Contender(
    "BentoML, plain",
    ("bentoml", "serve", "service:Plain", "--port", "{port}"),
    "bentoml_plain",
    exchange=listed_exchange,
)
CONTENDERS = (OURS, TWO_WORKERS, UNMEASURED, BY_ASGI, CEILING, MLSERVER, LITSERVE, PLAIN_BENTOML, FASTAPI)


def install(contender: Contender) -> None:
    """Create the server's own environment, if it has one that does not exist yet."""
    if contender.requirements is None:
        return
    folder = ENVIRONMENTS / contender.peer
    stamp = folder / "installed.txt"
    wanted = contender.requirements.read_text()
    if stamp.exists() and stamp.read_text() == wanted:
        return
    uv = str(Path(sys.executable).with_name("uv"))
    subprocess.run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, folder], check=True)
    subprocess.run([uv, "pip", "install", "--quiet", "--python", folder, "-r", contender.requirements], check=True)
    stamp.write_text(wanted)


@dataclass(frozen=True, slots=True)
class Running:
    """A running server."""

    url: str
    process: psutil.Process
    seconds_to_ready: float

    def pause(self) -> None:
        """Suspend its processes (SIGSTOP), so that they do not disturb the measurement of another server.

        Waits until it is idle: servers that adapt to the duration of calls would see a very slow one.
        """
        time.sleep(SECONDS_TO_FINISH)
        for process in self.tree():
            process.suspend()

    def resume(self) -> None:
        """Resume its processes, and wait until all run: the first to wake up would accept every connection."""
        for process in self.tree():
            process.resume()
        time.sleep(SECONDS_TO_WAKE_UP)

    def tree(self) -> list[psutil.Process]:
        """All of its processes."""
        return [self.process, *self.process.children(recursive=True)]

    def cpu_seconds(self) -> float:
        """CPU time of all of its processes."""
        return sum(sum(process.cpu_times()[:2]) for process in self.tree())

    def megabytes(self) -> float:
        """Memory of all of its processes (PSS: shared pages count once)."""
        return sum(float(process.memory_full_info().pss) for process in self.tree()) / 1e6

    def largest_process_megabytes(self) -> float:
        """Resident memory of the largest process, usually a worker."""
        return max(float(process.memory_info().rss) for process in self.tree()) / 1e6


@contextlib.contextmanager
def running(contender: Contender, home: Path) -> Iterator[Running]:
    """Start a server, wait until its responses are correct, and stop it afterwards.

    Args:
        contender: the server.
        home: a folder with a BentoML model store, where the log is written, too.

    Raises:
        SystemExit: the server does not start; the message has its output.
    """
    port = free_port()
    program, *arguments = (word.format(port=port) for word in contender.command)
    settings = {
        **environment(home, PORT=port, WORKERS=contender.workers, ARTIFACTS=ARTIFACTS, MLSERVER_HTTP_PORT=port),
        "MAX_STREAMS": "10000",
        "MLSERVER_GRPC_PORT": str(free_port()),
        "MLSERVER_METRICS_PORT": str(free_port()),
    }
    log = home / f"{port}.log"
    started = time.perf_counter()
    with log.open("wb") as output:
        popen = subprocess.Popen(
            [contender.binaries / program, *arguments],
            cwd=PEERS / contender.peer if contender.peer else PROJECT,
            env=settings,
            stdout=output,
            stderr=subprocess.STDOUT,
            process_group=0,
        )
    url = f"http://127.0.0.1:{port}"
    process = psutil.Process(popen.pid)
    try:
        with httpx.Client(timeout=START_SECONDS) as client:
            while not _answers(client, url + contender.route, contender.exchanges[0]):
                if popen.poll() is not None or time.perf_counter() > started + START_SECONDS:
                    raise SystemExit(f"{contender.name} did not start:\n{log.read_text()[-3000:]}")
                time.sleep(0.02)
        yield Running(url, process, time.perf_counter() - started)
    finally:
        with contextlib.suppress(psutil.NoSuchProcess):
            for one in [process, *process.children(recursive=True)]:
                one.resume()
        popen.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            popen.wait(timeout=STOP_SECONDS)
        # LitServe does not stop all of its child processes
        with contextlib.suppress(ProcessLookupError):
            os.killpg(popen.pid, signal.SIGKILL)
        popen.wait()


def _answers(client: httpx.Client, url: str, exchange: Exchange) -> bool:
    with contextlib.suppress(httpx.TransportError):
        response = client.post(url, content=exchange.body, headers={"Content-Type": "application/json"})
        return response.is_success and exchange.is_right(response.content)
    return False
