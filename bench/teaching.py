"""What 16 taught gestures cost a server that is busy with cameras: python -m bench.teaching.

Streams with 16 gestures each begin one after the other beside 200 cameras, each with examples that the server has not
seen before. How long each waits for its first answer is printed, and the cameras' p99 as a ratio to the same run
without such streams. Both runs alternate, so that other work on the machine meets both.
"""

from __future__ import annotations

import argparse
import itertools
import json
import multiprocessing
import statistics
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from time import perf_counter, sleep
from typing import Any, Final

import numpy as np
from websockets.sync.client import connect

from bench.capacity import RAMP, stream
from hand_gesture.model.taught import MAX_GESTURES
from tests.own_gestures import SHAPES, recording
from tests.server import GENEROUS_LIMITS, Server, import_model, serve

CAMERAS: Final = 200
EXAMPLES: Final = 10
PAUSE: Final = 1.0  # seconds between two streams with gestures
SECONDS_TO_BE_READY: Final = 1.0


def main() -> None:
    """Print both."""
    parser = argparse.ArgumentParser(description="Teach gestures beside cameras.")
    parser.add_argument("--rounds", type=int, default=5, help="of a run without and a run with gestures (default: 5)")
    rounds = parser.parse_args().rounds
    seeds = itertools.count()
    ready, ratios = [], []
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        import_model(home := Path(name))
        server = stack.enter_context(serve(home, **GENEROUS_LIMITS))
        pool = stack.enter_context(ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")))
        thread = stack.enter_context(ThreadPoolExecutor(1))
        stream(pool, server.url, CAMERAS)  # to warm up
        print(f"{CAMERAS} cameras, p99 in ms: without | beside {MAX_GESTURES} gestures | ratio")
        for _ in range(rounds):
            without = _p99(stream(pool, server.url, CAMERAS))
            run = thread.submit(stream, pool, server.url, CAMERAS)
            sleep(RAMP)
            ready += _teach_until(run, server, seeds)
            beside = _p99(run.result())
            ratios.append(beside / without)
            print(f"{without:33.2f} | {beside:19.2f} | {ratios[-1]:5.2f}", flush=True)
    print(f"median ratio {statistics.median(ratios):.2f}")
    print(
        f"seconds until {MAX_GESTURES} gestures of {EXAMPLES} examples are ready, {len(ready)} times: median "
        f"{statistics.median(ready):.2f}, longest {max(ready):.2f} (at most {SECONDS_TO_BE_READY:g})"
    )


def _p99(seconds: Sequence[float]) -> float:
    return 1000 * float(np.percentile(seconds, 99))


def _teach_until(run: Future[Any], server: Server, seeds: Iterator[int]) -> list[float]:
    """Seconds until the first answer of each stream with gestures that begins while the cameras run."""
    ready = []
    while not run.done():
        settings, frame = _settings(next(seeds)), json.dumps({"landmarks": recording("L", 1)[0]})
        started = perf_counter()
        with connect(f"{server.url}/stream".replace("http", "ws", 1), compression=None) as own:
            own.send(settings)
            own.send(frame)
            answer = json.loads(own.recv(60))
        ready.append(perf_counter() - started)
        if "gesture" not in answer:
            raise SystemExit(f"A stream with gestures was answered with {answer}; run it again where less goes on.")
        sleep(PAUSE)
    return ready


def _settings(seed: int) -> str:
    """A stream's settings with gestures that no other seed gives; the shapes may be the same, which costs no less."""
    shapes = itertools.cycle(SHAPES)
    return json.dumps(
        {
            "gestures": {
                f"g{number}": {"hands": recording(shape, EXAMPLES, seed=MAX_GESTURES * seed + number)}
                for number, shape in zip(range(MAX_GESTURES), shapes, strict=False)
            }
        }
    )


if __name__ == "__main__":
    main()
