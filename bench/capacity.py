"""Predicts latencies of a worker with a queueing model, and compares them with measurements: python -m bench.capacity.

The model is a single-server queue with batches, like an event loop: each iteration takes all frames that have arrived,
costs a constant plus a cost per frame, and answers them at its end. Cameras send 30 frames per second each, at random
offsets. The two costs follow from the CPU times of two loads with different batch sizes: 100 cameras, and 64 streams at
full speed. Other delays and the round trip to the client are sampled from the latencies of a single camera. Frames sent
while streams are being opened are not counted, because opening one costs as much as 20 frames.
"""

from __future__ import annotations

import multiprocessing
import statistics
import tempfile
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import orjson
import psutil
from numpy.typing import NDArray

from tests.hands import IMAGE_SIZE, shaken_hands
from tests.proxy import HAPROXY, proxy_before
from tests.server import Server, import_model, serve
from tests.stream_load import binary_frame, stream_for

SETTINGS: Final = orjson.dumps({"image_size": IMAGE_SIZE, "hold_ms": 150})
FRAMES_PER_SECOND: Final = 30
SECONDS: Final = 10.0
RAMP: Final = 3.0
HANDS: Final = 50
LOADS: Final = {
    1: (100, 200, 300, 400),
    2: (200, 400, 500),
}  # by workers: two workers share two cores with the cameras
LIGHT: Final = 100
BUSY: Final = 64
DEADLINE_MS: Final = 33.3  # until the next frame


@dataclass(frozen=True, slots=True)
class Costs:
    """Seconds per event-loop iteration, per frame in it, and the additional latencies of a single camera, per frame."""

    of_round: float
    of_frame: float
    beyond: NDArray[np.float64]


def simulate(cameras: int, costs: Costs, seconds: float, random: np.random.Generator) -> NDArray[np.float64]:
    """Simulate one worker; returns the latency of each frame in seconds."""
    phases = random.uniform(0, 1 / FRAMES_PER_SECOND, cameras)
    ticks = np.arange(int(seconds * FRAMES_PER_SECOND)) / FRAMES_PER_SECOND
    due = np.sort((phases[:, np.newaxis] + ticks).ravel())
    usual = float(np.median(costs.beyond))
    held_up = np.maximum(random.choice(costs.beyond, len(due)) - usual, 0)
    answered = np.empty_like(due)
    first, now = 0, 0.0
    while first < len(due):
        now = max(now, due[first])
        end = int(np.searchsorted(due, now, side="right"))
        now += costs.of_round + costs.of_frame * (end - first) + held_up[first]
        answered[first:end] = now
        first = end
    return answered - due + usual


def simulate_workers(
    cameras: int, workers: int, costs: Costs, seconds: float, random: np.random.Generator
) -> NDArray[np.float64]:
    """Simulate several workers, to which the kernel assigns cameras at random."""
    shares = random.multinomial(cameras, [1 / workers] * workers)
    return np.concatenate([simulate(share, costs, seconds, random) for share in shares if share])


def most_cameras(costs: Costs, random: np.random.Generator) -> int:
    """Maximum number of cameras on one worker with a p99 within the deadline."""
    fits, too_many = 0, int(2 / (costs.of_frame * FRAMES_PER_SECOND))
    while too_many - fits > 5:
        middle = (fits + too_many) // 2
        slow = 1000 * np.percentile(simulate(middle, costs, SECONDS, random), 99)
        fits, too_many = (middle, too_many) if slow <= DEADLINE_MS else (fits, middle)
    return fits


def _stream(url: str, options: dict[str, Any]) -> list[float]:
    """Latency of each frame in seconds; runs in a separate process."""
    load = stream_for(url, [binary_frame(body) for body in shaken_hands(HANDS)], settings=SETTINGS, **options)
    if load.wrong or load.unanswered or load.refused:
        raise SystemExit(f"{url} lost frames of {options}")
    start = min(load.sent) + options["ramp"]
    return [seconds for sent, seconds in zip(load.sent, load.seconds, strict=True) if sent > start]


def cpu_seconds(*processes: int) -> float:
    """CPU time of processes so far."""
    return sum(sum(psutil.Process(process).cpu_times()[:2]) for process in processes)


def rounds_and_frames(server: Server) -> NDArray[np.float64]:
    """Model calls so far, and hands in them."""
    metrics = server.metrics()
    return np.array([metrics[f'hand_gesture_batch_size_{part}{{route="/predict"}}'] for part in ("count", "sum")])


def measure_costs(pool: ProcessPoolExecutor, server: Server) -> Costs:
    """Measure the costs on one worker."""
    (worker,) = server.workers()
    stream(pool, server.url, BUSY, interval=0)  # to warm up

    def cost(cameras: int, interval: float) -> tuple[float, float]:
        """CPU seconds per frame, and frames per iteration."""
        done, used = rounds_and_frames(server), cpu_seconds(worker.pid)
        stream(pool, server.url, cameras, interval)
        rounds, frames = rounds_and_frames(server) - done
        return (cpu_seconds(worker.pid) - used) / frames, frames / rounds

    (light, few), (busy, many) = cost(LIGHT, 1 / FRAMES_PER_SECOND), cost(BUSY, 0)
    of_round = (light - busy) / (1 / few - 1 / many)
    of_frame = light - of_round / few
    alone = np.array(stream(pool, server.url, 1))
    return Costs(of_round, of_frame, alone - of_round - of_frame)


def stream(pool: ProcessPoolExecutor, url: str, cameras: int, interval: float = 1 / FRAMES_PER_SECOND) -> list[float]:
    """Latency of each frame of some cameras, in seconds."""
    options = {"cameras": cameras, "seconds": SECONDS, "interval": interval, "ramp": RAMP}
    seconds: list[float] = pool.submit(_stream, url, options).result()
    return seconds


def main() -> None:
    """Measure the costs, then print predicted and measured latencies."""
    random = np.random.default_rng(7)
    errors = []
    with (
        tempfile.TemporaryDirectory() as name,
        ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool,
    ):
        home = Path(name)
        import_model(home)
        with serve(home) as server:
            costs = measure_costs(pool, server)
        print(f"CPU: {1e6 * costs.of_round:.0f} µs per event-loop iteration, {1e6 * costs.of_frame:.0f} µs per frame")
        print("workers  cameras   p50 predicted  measured   p99 predicted  measured (ms)")
        for workers, loads in LOADS.items():
            with serve(home, WORKERS=workers) as server:
                for cameras in loads:
                    measured = np.percentile(stream(pool, server.url, cameras), [50, 99]) * 1000
                    found = simulate_workers(cameras, workers, costs, SECONDS, random)
                    predicted = np.percentile(found, [50, 99]) * 1000
                    errors.append(np.abs(np.log2(predicted / measured)))
                    print(
                        f"{workers:7} {cameras:8} {predicted[0]:15.2f} {measured[0]:9.2f} {predicted[1]:15.2f} "
                        f"{measured[1]:9.2f}"
                    )
        for percentile, error in zip(("p50", "p99"), 2 ** np.median(errors, axis=0), strict=True):
            print(f"{percentile}: predicted and measured differ by a factor of {error:.1f} in the median")
        print(f"predicted: one worker serves {most_cameras(costs, random)} cameras with p99 within {DEADLINE_MS} ms")
        if HAPROXY is not None:
            with serve(home) as server, proxy_before(server.url, home) as proxy:
                before = cpu_seconds(proxy.process)
                seconds = stream(pool, proxy.url, 200)
                cost = (cpu_seconds(proxy.process) - before) / len(seconds)
                p50 = 1000 * statistics.median(seconds)
                print(f"the proxy needs {1e6 * cost:.0f} µs of CPU per frame; p50 {p50:.2f} ms")


if __name__ == "__main__":
    main()
