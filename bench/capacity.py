"""How many cameras a worker carries, from a model of it that is fed with measured times and held against measurements.

    python -m bench.capacity

The model is a queue with one server that works in rounds, as an event loop does: each round takes all frames that
have come, costs something for itself and something for each frame, and answers them at its end. Cameras send 30
frames a second each, one after the other. What a round and a frame cost is the CPU time of two loads whose rounds
differ in size: 100 cameras, and 64 streams that send as fast as they get answers. What else may hold up a round, and
the way to the client and back, is drawn from the times of a lone camera. Frames that are sent while cameras still
come are not counted: to open a stream costs as much as 20 frames.
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
}  # two workers and the cameras share the two cores of most machines
LIGHT: Final = 100
BUSY: Final = 64
DEADLINE_MS: Final = 33.3  # of a frame: the next one comes then


@dataclass(frozen=True, slots=True)
class Costs:
    """Seconds: of a round, of each frame in it, and what a lone camera saw beyond both, one value for each frame."""

    of_round: float
    of_frame: float
    beyond: NDArray[np.float64]


def simulate(cameras: int, costs: Costs, seconds: float, random: np.random.Generator) -> NDArray[np.float64]:
    """Seconds from each frame until its answer, on one worker."""
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
    """The same on several workers, to one of which the kernel gives each camera by chance."""
    shares = random.multinomial(cameras, [1 / workers] * workers)
    return np.concatenate([simulate(share, costs, seconds, random) for share in shares if share])


def most_cameras(costs: Costs, random: np.random.Generator) -> int:
    """Cameras that one worker carries with 99 of 100 frames within the deadline."""
    fits, too_many = 0, int(2 / (costs.of_frame * FRAMES_PER_SECOND))
    while too_many - fits > 5:
        middle = (fits + too_many) // 2
        slow = 1000 * np.percentile(simulate(middle, costs, SECONDS, random), 99)
        fits, too_many = (middle, too_many) if slow <= DEADLINE_MS else (fits, middle)
    return fits


def _stream(url: str, options: dict[str, Any]) -> list[float]:
    """In a process of its own: seconds of each frame."""
    load = stream_for(url, [binary_frame(body) for body in shaken_hands(HANDS)], settings=SETTINGS, **options)
    if load.wrong or load.unanswered or load.refused:
        raise SystemExit(f"{url} lost frames of {options}")
    start = min(load.sent) + options["ramp"]
    return [seconds for sent, seconds in zip(load.sent, load.seconds, strict=True) if sent > start]


def cpu_seconds(*processes: int) -> float:
    """CPU that processes have used so far."""
    return sum(sum(psutil.Process(process).cpu_times()[:2]) for process in processes)


def rounds_and_frames(server: Server) -> NDArray[np.float64]:
    """Model calls so far, and hands in them."""
    metrics = server.metrics()
    return np.array([metrics[f'hand_gesture_batch_size_{part}{{route="/predict"}}'] for part in ("count", "sum")])


def measure_costs(pool: ProcessPoolExecutor, server: Server) -> Costs:
    """Ask one worker for them."""
    (worker,) = server.workers()
    stream(pool, server.url, BUSY, interval=0)  # to warm up

    def cost(cameras: int, interval: float) -> tuple[float, float]:
        """CPU seconds of a frame, and frames in a round."""
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
    """Seconds of each frame of some cameras."""
    options = {"cameras": cameras, "seconds": SECONDS, "interval": interval, "ramp": RAMP}
    seconds: list[float] = pool.submit(_stream, url, options).result()
    return seconds


def main() -> None:
    """Measure, predict, compare, and say what it means for many cameras."""
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
        print(f"a round costs {1e6 * costs.of_round:.0f} µs, each frame in it {1e6 * costs.of_frame:.0f} µs of CPU")
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
        print(f"one worker carries {most_cameras(costs, random)} cameras with p99 within {DEADLINE_MS} ms, predicted")
        if HAPROXY is not None:
            with serve(home) as server, proxy_before(server.url, home) as proxy:
                before = cpu_seconds(proxy.process)
                seconds = stream(pool, proxy.url, 200)
                cost = (cpu_seconds(proxy.process) - before) / len(seconds)
                p50 = 1000 * statistics.median(seconds)
                print(f"the proxy takes {1e6 * cost:.0f} µs of CPU for a frame; p50 {p50:.2f} ms")


if __name__ == "__main__":
    main()
