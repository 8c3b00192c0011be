"""How workers share their figures, and the page that exposes them.

Through prometheus_client's multi-process mode, which `bentoml serve` turns on: each worker counts in files that it maps
into its memory, and whichever worker is asked for the page adds them all up. Where these files cannot be written, each
worker counts for itself: predictions matter more than figures.
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

# Much more than a worker's figures take; prometheus_client starts each of its files with 64 KiB
RESERVED_BYTES: Final = 1 << 20

logger = logging.getLogger("bentoml.service.hand_gesture.exposition")

_own_files: list[Path] = []  # in which this process counts


class MetricsLostError(Exception):
    """Files in which this process counts are gone, and with them what all workers have counted."""


@contextlib.contextmanager
def shared_by_workers() -> Iterator[None]:
    """Metrics made within this context are shared by all workers, if there is a place for them."""
    try:
        _check_space()
    except OSError as error:
        logger.error("figures cannot be shared, /metrics shows those of one worker: %s", error)
        values.ValueClass = MutexValue
        yield
        return
    values.ValueClass = MultiProcessValue()  # type: ignore[no-untyped-call]
    yield
    _reserve_space()


def render_metrics() -> bytes:
    """All workers' figures in Prometheus' text format.

    Raises:
        MetricsLostError: something has removed files of this worker's, as cleaners of temporary folders do.
    """
    if values.ValueClass is MutexValue:
        return generate_latest(REGISTRY)
    if not all(path.exists() for path in _own_files):
        raise MetricsLostError(f"Figures were removed from {_folder()} while the service runs; start it anew.")
    _remove_dead_workers()
    registry = CollectorRegistry()
    registry.register(_AllWorkersCollector())
    return generate_latest(registry)


class _AllWorkersCollector(Collector):
    """Adds up the workers' files as prometheus_client's own collector does, which fails where one is still empty."""

    def collect(self) -> Iterable[Metric]:
        figures: Iterable[Metric] = multiprocess.MultiProcessCollector.merge(_filled_files())  # type: ignore[no-untyped-call]
        return figures


def _filled_files() -> Iterator[str]:
    """The workers' files, without those that a starting worker has made and not yet written to."""
    for path in _folder().glob("*.db"):
        with contextlib.suppress(FileNotFoundError):  # another worker may be forgetting a dead one
            if path.stat().st_size:
                yield str(path)


def _folder() -> Path:
    return Path(os.environ["PROMETHEUS_MULTIPROC_DIR"])


def _check_space() -> None:
    with tempfile.TemporaryFile(dir=_folder()) as probe:
        probe.write(bytes(RESERVED_BYTES))


def _reserve_space() -> None:
    """Take the files' space on the disk: a process that writes where a full disk has none is killed (SIGBUS)."""
    _own_files[:] = _folder().glob(f"*_{os.getpid()}.db")
    for path in _own_files:
        content = path.read_bytes()  # with holes, read as zeros
        with path.open("r+b") as file:
            file.write(content)


def _remove_dead_workers() -> None:
    """Drop the live gauges of workers that were killed; their counters stay, for counters must not fall."""
    for file in _folder().glob("gauge_live*_*.db"):
        pid = int(file.stem.rpartition("_")[2])
        if not psutil.pid_exists(pid):
            file.unlink(missing_ok=True)  # another worker may be at it, too
