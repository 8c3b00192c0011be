"""Requests per second of one worker under wrk: python -m bench.throughput. Needs wrk; takes about a minute.

wrk runs on the same machine, so the service gets what is left of its cores: the figure is a lower bound.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import statistics
import subprocess
import tempfile
from pathlib import Path

from tests.hands import shaken_hands
from tests.server import Server, import_model, serve

ROUNDS = 3
SECONDS = 4
CONNECTIONS = (1, 64, 256)
ANSWERED = 'hand_gesture_requests_total{route="/predict",status="200"}'
SCRIPT = """
local bodies = {%s}
local next_body = 0
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
function request()
  next_body = next_body %% #bodies + 1
  return wrk.format(nil, "/predict", nil, bodies[next_body])
end
"""


def main() -> None:
    """Print a line for each number of connections."""
    if shutil.which("wrk") is None:
        raise SystemExit("wrk is needed (Debian and Ubuntu: apt-get install wrk).")
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        import_model(home)
        script = home / "post.lua"
        script.write_text(SCRIPT % ", ".join(f"[==[{json.dumps(body)}]==]" for body in shaken_hands(50)))
        with serve(home) as server:
            _measure(server, script, connections=64)  # a warm-up, not counted
            for connections in CONNECTIONS:
                rounds = [_measure(server, script, connections=connections) for _ in range(ROUNDS)]
                rate, p50, p99, cpu = (statistics.median(column) for column in zip(*rounds, strict=True))
                print(
                    f"{connections:4} connections: {rate:6.0f} requests/s, p50 {p50:5.1f} ms, p99 {p99:5.1f} ms, "
                    f"{cpu:.2f} s of CPU for 1,000 requests"
                )
    print(f"on {os.cpu_count()} cores, one worker, wrk on the same machine")


def _measure(server: Server, script: Path, *, connections: int) -> tuple[float, float, float, float]:
    command = ["wrk", "-t1", f"-c{connections}", f"-d{SECONDS}s", "--latency", "-s", str(script), server.url]
    before, used = server.metrics().get(ANSWERED, 0), _cpu_seconds(server)
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    used = _cpu_seconds(server) - used
    answered = server.metrics().get(ANSWERED, 0) - before
    if "Non-2xx" in output or "Socket errors" in output or not answered:
        raise SystemExit(f"The service did not answer everything:\n{output}")
    rate = re.search(r"Requests/sec:\s+([\d.]+)", output)
    quantiles = dict(re.findall(r"^\s+(50|99)%\s+([\d.]+(?:us|ms|s))$", output, re.MULTILINE))
    if rate is None:
        raise SystemExit(f"wrk printed no rate:\n{output}")
    return float(rate[1]), _milliseconds(quantiles["50"]), _milliseconds(quantiles["99"]), used / answered * 1000


def _cpu_seconds(server: Server) -> float:
    times = [worker.cpu_times() for worker in server.workers()]
    return sum(time.user + time.system for time in times)


def _milliseconds(text: str) -> float:
    number, unit = re.fullmatch(r"([\d.]+)(us|ms|s)", text).groups()  # type: ignore[union-attr]
    return float(number) * {"us": 0.001, "ms": 1, "s": 1000}[unit]


if __name__ == "__main__":
    main()
