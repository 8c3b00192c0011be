"""Times `bentoml serve` from start to ready: python -m bench.startup. Median of several starts, in seconds."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.server import import_model, serve

STARTS = 5


def main() -> None:
    """Print the time to ready, and what of it goes to imports."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        import_model(home)
        seconds = []
        for _ in range(STARTS):
            started = time.perf_counter()
            with serve(home):
                seconds.append(time.perf_counter() - started)
    print(f"ready after {statistics.median(seconds):.2f} s (each: {', '.join(f'{value:.2f}' for value in seconds)})")
    for module in ("bentoml", "numpy", "sklearn.neural_network"):
        seconds = []
        for _ in range(STARTS):
            started = time.perf_counter()
            subprocess.run([sys.executable, "-c", f"import {module}"], check=True)
            seconds.append(time.perf_counter() - started)
        print(f"  of which python and `import {module}`: {statistics.median(seconds):.2f} s")


if __name__ == "__main__":
    main()
