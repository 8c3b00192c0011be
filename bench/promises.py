"""Performance targets of this service, as ratios within one round of measurements."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from bench.servers import BY_ASGI, CEILING, FASTAPI, LITSERVE, MLSERVER, OURS, TWO_WORKERS, UNMEASURED, Contender


@dataclass(frozen=True, slots=True)
class Measurement:
    """A server under one load. Latencies in milliseconds, CPU in seconds per 1,000 requests."""

    answers: int
    rate: float
    p50: float
    p99: float
    p999: float
    errors: int
    cpu_per_1000: float
    generator_cores: float
    megabytes: float
    largest_process_megabytes: float
    seconds_to_ready: float


@dataclass(frozen=True, slots=True)
class Round:
    """One round: each server once under each load."""

    singles: Mapping[tuple[Contender, int], Measurement]  # by server and number of connections
    batches: Measurement  # /predict_batch of this service, one connection
    hands: int  # in each of these requests


@dataclass(frozen=True, slots=True)
class Promise:
    """A performance target: a value and its minimum or maximum."""

    text: str
    value: Callable[[Round], float]
    at_least: float | None = None
    at_most: float | None = None

    def holds(self, value: float) -> bool:
        """Whether a value meets the target."""
        return (self.at_least is None or value >= self.at_least) and (self.at_most is None or value <= self.at_most)

    @property
    def limit(self) -> str:
        """The limit as text."""
        return f"at least {self.at_least:,g}" if self.at_least is not None else f"at most {self.at_most:,g}"


def _rate(contender: Contender, connections: int = 64) -> Callable[[Round], float]:
    return lambda r: r.singles[contender, connections].rate


def _rate_ratio(peer: Contender) -> Callable[[Round], float]:
    return lambda r: _rate(OURS)(r) / _rate(peer)(r)


def _tail(connections: int) -> Callable[[Round], float]:
    return lambda r: r.singles[OURS, connections].p99 / r.singles[OURS, connections].p50


def _second_worker(r: Round) -> float:
    # 256 connections, so that both workers accept some (docs/deploy.md). Two workers share their cores with the load
    # generator, while one worker has a core of its own.
    left = min(2.0, (os.cpu_count() or 1) - r.singles[TWO_WORKERS, 256].generator_cores)
    return _rate(TWO_WORKERS, 256)(r) / _rate(OURS, 256)(r) * 2 / left


PROMISES = (
    Promise("64 connections: requests/s, ratio to the ceiling", _rate_ratio(CEILING), at_least=1.7),
    Promise("64 connections: requests/s, ratio to the same by ASGI", _rate_ratio(BY_ASGI), at_least=2),
    Promise("64 connections: requests/s, ratio to LitServe", _rate_ratio(LITSERVE), at_least=3),
    Promise("64 connections: requests/s, ratio to plain FastAPI", _rate_ratio(FASTAPI), at_least=3),
    Promise("64 connections: requests/s, ratio to MLServer", _rate_ratio(MLSERVER), at_least=1.5),
    Promise(
        "1 connection: p50, ratio to the ceiling",
        lambda r: r.singles[OURS, 1].p50 / r.singles[CEILING, 1].p50,
        at_most=1.5,
    ),
    Promise(
        "1 connection: p50, ratio to the same by ASGI",
        lambda r: r.singles[OURS, 1].p50 / r.singles[BY_ASGI, 1].p50,
        at_most=0.75,
    ),
    Promise("1 connection: p99, ratio to p50", _tail(1), at_most=2),
    Promise("64 connections: p99, ratio to p50", _tail(64), at_most=2.5),
    Promise("256 connections: errors", lambda r: r.singles[OURS, 256].errors, at_most=0),
    Promise("256 connections: requests/s, ratio to 64", lambda r: _rate(OURS, 256)(r) / _rate(OURS)(r), at_least=0.9),
    Promise(
        "256 connections, 2 workers: requests/s, ratio to 1, on the cores that wrk leaves", _second_worker, at_least=1.7
    ),
    Promise("/predict_batch of 1,000 hands: hands/s", lambda r: r.batches.rate * r.hands, at_least=40_000),
    Promise("requests/s, ratio to no metrics and no batches", _rate_ratio(UNMEASURED), at_least=0.9),
    Promise("memory of a worker, MB", lambda r: r.singles[OURS, 256].largest_process_megabytes, at_most=200),
    Promise("`bentoml serve` to the first right answer, s", lambda r: r.singles[OURS, 1].seconds_to_ready, at_most=3),
)
