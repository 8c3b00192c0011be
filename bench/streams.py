"""Compares /stream with /predict and the ASGI baseline in one run: python -m bench.streams [--quick].

The cameras run in a separate process (tests/stream_load.py) with precomputed frames on plain sockets under uvloop. Its
CPU usage is printed with each result: well below 1 core, it is not the bottleneck. A single camera is one blocking
socket, the same for HTTP and for a stream, so that the overhead of the client is the same.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import json
import multiprocessing
import socket
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import matplotlib.pyplot as plt
import orjson

from bench import wrk
from bench.compare import OTHERS_COLOR, OURS_COLOR, warm_up
from bench.http_cameras import report
from bench.servers import CEILING, HANDS, OURS, Contender, Exchange, Running, install, running
from tests.hands import IMAGE_SIZE, shaken_hands
from tests.server import import_model
from tests.stream_load import TEXT, binary_frame, client_frame, handshake, stream_for

RESULTS: Final = Path(__file__).parent / "results" / "streams.json"
SETTINGS: Final = orjson.dumps({"image_size": IMAGE_SIZE, "hold_ms": 150})
FRAMES_PER_SECOND: Final = 30
CAMERAS: Final = (200, 400, 600, 800, 1000, 1200, 1500)
CAMERAS_FOR_MINUTES: Final = 600
POLLING_CAMERAS: Final = (200, 400, 600, 800)
MINUTES: Final = 3  # separate minutes, so that a pause of the machine affects only one
RAMP: Final = 3.0  # seconds over which streams are opened: opening one costs as much as 20 frames
IDLE_STREAMS: Final = 1000
IN_TURN: Final = 1000  # requests or frames of a single camera before switching


@dataclass(frozen=True, slots=True)
class Streams:
    """Results of cameras: latencies in ms; ``cores`` is the CPU usage of the cameras, ``cpu`` of the server in µs."""

    rate: float
    p50: float
    p99: float
    lost: int
    cores: float
    cpu: float


def _stream(url: str, options: dict[str, Any]) -> dict[str, float]:
    """Run streams and summarize the results; runs in a separate process."""
    frames = [binary_frame(body) for body in shaken_hands(HANDS)]
    used = time.process_time()
    load = stream_for(url, frames, settings=SETTINGS, **options)
    seconds = options["seconds"]
    refused = sum(b'"overloaded"' in answer for answer in load.wrong)
    if refused < len(load.wrong):
        raise SystemExit(f"{url}/stream answered {load.wrong[0]!r}")
    percentiles = statistics.quantiles(load.seconds, n=100)
    return {
        "answers": len(load.seconds),
        "rate": len(load.seconds) / seconds,
        "p50": 1000 * percentiles[49],
        "p99": 1000 * percentiles[98],
        "lost": refused + load.unanswered + load.refused + options["cameras"] - load.opened,
        "cores": (time.process_time() - used) / seconds,
    }


def _measure(pool: ProcessPoolExecutor, server: Running, **options: Any) -> Streams:
    used = server.cpu_seconds()
    result = pool.submit(_stream, server.url, options).result()
    cpu = (server.cpu_seconds() - used) / result.pop("answers") * 1e6
    return Streams(result["rate"], result["p50"], result["p99"], int(result["lost"]), result["cores"], cpu)


@dataclass(frozen=True, slots=True)
class Lone:
    """Latencies in milliseconds of one camera that waits for each answer before the next frame."""

    p50: float
    p99: float


def _lone(url: str, requests: Sequence[Exchange], frames: Sequence[Exchange], seconds: float) -> tuple[Lone, Lone]:
    """Measure a single camera over HTTP and over a stream, interleaved, so that a slow second affects both.

    Args:
        url: the server's address.
        requests: HTTP requests and responses as bytes on the wire.
        frames: the same for the stream.
        seconds: total duration.
    """
    address = urlsplit(url)
    place = str(address.hostname), address.port
    with socket.create_connection(place) as connection, socket.create_connection(place) as stream:
        for wire in (connection, stream):
            wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        stream.sendall(handshake(address.netloc))
        _read(stream, b"\r\n\r\n")
        stream.sendall(client_frame(TEXT, SETTINGS))
        cameras = [
            (connection, itertools.cycle(requests), list[float]()),
            (stream, itertools.cycle(frames), list[float]()),
        ]
        ends = time.perf_counter() + seconds
        while time.perf_counter() < ends:
            for wire, exchanges, times in cameras:
                times += [_time(wire, exchange) for exchange in itertools.islice(exchanges, IN_TURN)]
    over_http, over_stream = (statistics.quantiles(times, n=100) for _, _, times in cameras)
    return Lone(over_http[49], over_http[98]), Lone(over_stream[49], over_stream[98])


def _time(wire: socket.socket, exchange: Exchange) -> float:
    """Latency of one exchange in milliseconds."""
    started = time.perf_counter()
    wire.sendall(exchange.body)
    answer = _read(wire, b"}")
    took = time.perf_counter() - started
    if not exchange.is_right(answer):
        raise SystemExit(f"The server answered {answer!r}.")
    return 1000 * took


def _read(connection: socket.socket, end: bytes) -> bytes:
    data = b""
    while not data.endswith(end):
        piece = connection.recv(65536)
        if not piece:
            raise SystemExit(f"The server closed the connection after {data!r}.")
        data += piece
    return data


def _request(exchange: Exchange) -> Exchange:
    """The exchange with HTTP headers."""
    head = ["POST /predict HTTP/1.1", "Host: localhost", "Content-Type: application/json"]
    head += [f"Content-Length: {len(exchange.body)}", "", ""]
    return Exchange(
        "\r\n".join(head).encode() + exchange.body,
        lambda answer: exchange.is_right(answer.partition(b"\r\n\r\n")[2]),
    )


def _frame(body: dict[str, Any]) -> Exchange:
    """A hand as a binary frame."""
    frame = binary_frame(body)
    return Exchange(frame.message, lambda answer: frame.answer in answer)


@contextlib.contextmanager
def _paused(contender: Contender, home: Path) -> Iterator[Running]:
    with running(contender, home) as server:
        warm_up(contender, server)
        server.pause()
        yield server


def _with(server: Running, load: Callable[[], Any]) -> Any:
    server.resume()
    result = load()
    server.pause()
    return result


def main() -> None:
    """Measure and print all results."""
    parser = argparse.ArgumentParser(description="Compare /stream with /predict and the baseline.")
    parser.add_argument("--quick", action="store_true", help="one short round")
    quick = parser.parse_args().quick
    rounds, seconds, minute = (1, 3, 10) if quick else (5, 8, 60)
    wrk.require_wrk()
    install(CEILING)
    with contextlib.ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        pool = stack.enter_context(ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")))
        import_model(home)
        ours, ceiling = (stack.enter_context(_paused(contender, home)) for contender in (OURS, CEILING))

        def http(contender: Contender, server: Running, connections: int) -> wrk.Load:
            load: wrk.Load = _with(
                server,
                lambda: asyncio.run(
                    wrk.run(server.url, contender.route, contender.exchanges, connections=connections, seconds=seconds)
                ),
            )
            return load

        def stream(cameras: int, interval: float = 0, span: float = seconds) -> Streams:
            found: Streams = _with(
                ours,
                lambda: _measure(
                    pool, ours, cameras=cameras, interval=interval, seconds=span, ramp=RAMP if interval else 0
                ),
            )
            return found

        requests = [_request(exchange) for exchange in OURS.exchanges]
        frames = [_frame(body) for body in shaken_hands(HANDS)]

        stream(8)
        lines: dict[str, list[float]] = {}
        for _ in range(rounds):
            at_64, of_ceiling = http(OURS, ours, 64), http(CEILING, ceiling, 64)
            streams, many = stream(64), stream(256)
            of_predict, of_stream = _with(ours, lambda: _lone(ours.url, requests, frames, 2 * seconds))
            for name, value in {
                "64 connections of /predict: requests/s": at_64.rate,
                "64 connections of the ceiling: requests/s": of_ceiling.rate,
                "64 streams: frames/s": streams.rate,
                "64 streams: to /predict": streams.rate / at_64.rate,
                "64 streams: to the ceiling": streams.rate / of_ceiling.rate,
                "64 streams: p99 ms": streams.p99,
                "64 streams: CPU of the server, µs a frame": streams.cpu,
                "64 streams: core that the cameras took": streams.cores,
                "256 streams: frames/s": many.rate,
                "1 camera over /predict: p50 ms": of_predict.p50,
                "1 camera over /predict: p99 ms": of_predict.p99,
                "1 stream: p50 ms": of_stream.p50,
                "1 stream: p50 to that over /predict": of_stream.p50 / of_predict.p50,
                "1 stream: p99 to its p50": of_stream.p99 / of_stream.p50,
            }.items():
                lines.setdefault(name, []).append(value)
        medians = {name: statistics.median(values) for name, values in lines.items()}
        # Before many streams have been open, because freed memory would be reused
        ours.resume()
        before = ours.largest_process_megabytes()
        most: list[float] = []
        idle = pool.submit(_stream, ours.url, {"cameras": IDLE_STREAMS, "interval": 8.0, "seconds": 10.0})
        while not idle.done():
            most.append(ours.largest_process_megabytes())
            time.sleep(0.2)
        medians[f"{IDLE_STREAMS} idle streams: lost"] = idle.result()["lost"]
        medians[f"{IDLE_STREAMS} idle streams: kB each"] = (max(most) - before) * 1000 / IDLE_STREAMS
        ours.pause()
        for cameras in CAMERAS:
            span, times = (minute, MINUTES) if cameras == CAMERAS_FOR_MINUTES else (max(minute / 4, 2 * RAMP), 1)
            paced = [stream(cameras, 1 / FRAMES_PER_SECOND, span) for _ in range(1 if quick else times)]
            name = f"{cameras} cameras at {FRAMES_PER_SECOND} frames/s"
            medians |= {
                f"{name}: frames/s": statistics.median(run.rate for run in paced),
                f"{name}: lost": sum(run.lost for run in paced),
                f"{name}: p50 ms": statistics.median(run.p50 for run in paced),
                f"{name}: p99 ms": statistics.median(run.p99 for run in paced),
                f"{name}: p99 ms of the worst run": max(run.p99 for run in paced),
                f"{name}: core that the cameras took": statistics.median(run.cores for run in paced),
                f"{name}: CPU of the server, µs a frame": statistics.median(run.cpu for run in paced),
            }
        for cameras in POLLING_CAMERAS:
            polled = _with(ours, lambda count=cameras: pool.submit(report, ours.url, count).result())  # type: ignore[misc]
            for name, value in polled.items():
                unit = "" if name == "lost" else " ms"
                medians[f"{cameras} cameras over HTTP at {FRAMES_PER_SECOND} requests/s: {name}{unit}"] = value
    for name, value in medians.items():
        print(f"{name:58} {value:12,.2f}")
    if not quick:
        RESULTS.write_text(json.dumps({name: round(value, 3) for name, value in medians.items()}, indent=1) + "\n")
        _plot(medians)


def _plot(medians: dict[str, float]) -> None:
    figure, (rates, times) = plt.subplots(1, 2, figsize=(10, 2.8), layout="constrained", width_ratios=(3, 2))
    bars = {
        "64 connections of /predict": medians["64 connections of /predict: requests/s"],
        "64 connections of the ceiling": medians["64 connections of the ceiling: requests/s"],
        "256 streams": medians["256 streams: frames/s"],
        "64 streams": medians["64 streams: frames/s"],
    }
    colors = [OURS_COLOR if "streams" in name else OTHERS_COLOR for name in bars]
    rates.bar_label(rates.barh([*bars], [*bars.values()], color=colors), fmt="{:,.0f}", padding=3, fontsize=8)
    rates.set_title("hands/s of one worker", fontsize=10)
    rates.margins(x=0.15)
    rates.locator_params(axis="x", nbins=6)
    for percentile, color in (("p50", OTHERS_COLOR), ("p99", OURS_COLOR)):
        values = [medians[f"{cameras} cameras at {FRAMES_PER_SECOND} frames/s: {percentile} ms"] for cameras in CAMERAS]
        times.plot(CAMERAS, values, marker="o", color=color, label=percentile)
    times.set_yscale("log")
    times.set_title(f"cameras at {FRAMES_PER_SECOND} frames/s: ms to the answer", fontsize=10)
    times.legend(fontsize=8, frameon=False)
    for axes in (rates, times):
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(RESULTS.with_suffix(".png"), dpi=110)


if __name__ == "__main__":
    main()
