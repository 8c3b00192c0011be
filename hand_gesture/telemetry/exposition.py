"""Shares metrics between workers, and renders /metrics.

Uses prometheus_client's multiprocess mode, which `bentoml serve` turns on: each worker counts in memory-mapped files,
and the worker that gets the request for /metrics sums over all of them. If the files cannot be written, each worker
counts separately, because predictions matter more than metrics.
"""

from __future__ import annotations

import contextlib
import logging
import os
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import psutil
from prometheus_client import REGISTRY, CollectorRegistry, Metric, generate_latest, multiprocess, values
from prometheus_client.registry import Collector
from prometheus_client.values import MultiProcessValue, MutexValue

# Far above the size of a worker's metrics; prometheus_client creates files of 64 KiB
RESERVED_BYTES: Final = 1 << 20

logger = logging.getLogger("bentoml.service.hand_gesture.exposition")

_own_files: list[Path] = []  # of this process


class MetricsLostError(Exception):
    """The metric files of this process were deleted."""


@contextlib.contextmanager
def shared_by_workers() -> Iterator[None]:
    """Context in which created metrics are shared by all workers, if their files can be written."""
    try:
        _check_space()
    except OSError as error:
        logger.error("metrics cannot be shared between workers, /metrics shows those of one worker: %s", error)
        values.ValueClass = MutexValue
        yield
        return
    values.ValueClass = MultiProcessValue()  # type: ignore[no-untyped-call]
    yield
    _reserve_space()


def render_metrics() -> bytes:
    """Metrics of all workers in Prometheus' text format.

    Raises:
        MetricsLostError: files of this worker were deleted, for example by a cleaner of temporary folders.
    """
    if values.ValueClass is MutexValue:
        return generate_latest(REGISTRY)
    if not all(path.exists() for path in _own_files):
        raise MetricsLostError(f"Metric files were deleted from {_folder()} while the service was running; restart it.")
    _remove_dead_workers()
    registry = CollectorRegistry()
    registry.register(_AllWorkersCollector())
    return generate_latest(registry)


class _AllWorkersCollector(Collector):
    """Sums over the workers' files like prometheus_client's collector, which fails if a file is still empty."""

    def collect(self) -> Iterable[Metric]:
        figures: Iterable[Metric] = multiprocess.MultiProcessCollector.merge(_filled_files())  # type: ignore[no-untyped-call]
        return figures


def _filled_files() -> Iterator[str]:
    """The workers' files, without those that a starting worker has created but not written to yet."""
    for path in _folder().glob("*.db"):
        with contextlib.suppress(FileNotFoundError):  # another worker may have deleted it
            if path.stat().st_size:
                yield str(path)


def _folder() -> Path:
    return Path(os.environ["PROMETHEUS_MULTIPROC_DIR"])


def _check_space() -> None:
    with tempfile.TemporaryFile(dir=_folder()) as probe:
        probe.write(bytes(RESERVED_BYTES))


def _reserve_space() -> None:
    """Allocate the files' disk space: writing to a sparse mapped file on a full disk kills the process (SIGBUS)."""
    _own_files[:] = _folder().glob(f"*_{os.getpid()}.db")
    for path in _own_files:
        content = path.read_bytes()  # sparse: holes read as zeros
        with path.open("r+b") as file:
            file.write(content)


def _remove_dead_workers() -> None:
    """Delete the live gauges of dead workers; their counters stay, because counters must not decrease."""
    for file in _folder().glob("gauge_live*_*.db"):
        pid = int(file.stem.rpartition("_")[2])
        if not psutil.pid_exists(pid):
            file.unlink(missing_ok=True)  # another worker may have deleted it
