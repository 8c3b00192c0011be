"""Measures the startup time of `bentoml serve` by phase, median of several starts: python -m bench.startup."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path

from tests.server import import_model, serve

STARTS = 5
# The log message at the end of each phase except the last
SUPERVISOR_IS_UP = "listening on "
MODEL_HAS_ANSWERED = "Service hand_gesture initialized"
IMPORTS = {
    "scikit-learn's network": "import sklearn.neural_network",
}


def main() -> None:
    """Print the duration of each phase, and of the largest imports."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        import_model(home)
        starts = [_phases(home) for _ in range(STARTS)]
    supervisor, worker, ready = (statistics.median(phase) for phase in zip(*starts, strict=True))
    print(f"{ready:.2f} s from `bentoml serve` to ready (each: {', '.join(f'{start[2]:.2f}' for start in starts)})")
    print(f"{supervisor:.2f} s until the supervisor has imported BentoML and the service, and verified the model")
    print(f"{worker - supervisor:.2f} s until a worker has done the same and made a first prediction")
    print(f"{ready - worker:.2f} s until it accepts requests")
    for name, code in IMPORTS.items():
        print(f"{statistics.median(_seconds(code) for _ in range(STARTS)):.2f} s for Python and {name}")


def _phases(home: Path) -> tuple[float, float, float]:
    """Seconds until the supervisor is up, a worker has made a first prediction, and the service is ready."""
    started = time.time()
    with serve(home) as server:
        ready = time.time() - started
        events = [json.loads(line) for line in server.log.read_text().splitlines()]
    ends = [
        next(datetime.fromisoformat(event["time"]).timestamp() for event in events if event["message"].startswith(text))
        for text in (SUPERVISOR_IS_UP, MODEL_HAS_ANSWERED)
    ]
    return ends[0] - started, ends[1] - started, ready


def _seconds(code: str) -> float:
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
