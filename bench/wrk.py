"""Generates load with wrk (https://github.com/wg/wrk), and checks responses meanwhile."""

from __future__ import annotations

import asyncio
import json
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from bench.servers import Exchange
from tests.load import encode_request, read_response

SECONDS_BETWEEN_CHECKS = 0.2  # often enough to detect wrong responses, too rare to affect p99
SCRIPT = """
local requests = {}
local last = 0
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
function init()
  for _, body in ipairs({%s}) do
    requests[#requests + 1] = wrk.format(nil, "%s", nil, body)
  end
end
function request()
  last = last %% #requests + 1
  return requests[last]
end
function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    '\\nRESULT {"answers": %%d, "microseconds": %%d, "p50": %%f, "p99": %%f, "p999": %%f, "errors": %%d}\\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), latency:percentile(99.9),
    errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
"""


class WrongAnswerError(Exception):
    """The response of a server differs from the classifier's prediction."""


@dataclass(frozen=True, slots=True)
class Load:
    """Results of wrk: responses, responses per second, latencies in milliseconds, errors of any kind."""

    answers: int
    rate: float
    p50: float
    p99: float
    p999: float
    errors: int


def require_wrk() -> None:
    """Exit with an error message if wrk is not installed."""
    if shutil.which("wrk") is None:
        raise SystemExit("The benchmark needs wrk as its load generator (Debian and Ubuntu: apt-get install wrk).")


async def run(url: str, route: str, exchanges: Sequence[Exchange], *, connections: int, seconds: float) -> Load:
    """Put a server under load over some connections, and check responses over another one.

    Raises:
        WrongAnswerError: a response was wrong.
    """
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(SCRIPT % (", ".join(f"[==[{exchange.body.decode()}]==]" for exchange in exchanges), route))
        script.flush()
        wrk = await asyncio.create_subprocess_exec(
            *("wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--timeout", "10s"),
            *("-s", Path(script.name), url),
            stdout=asyncio.subprocess.PIPE,
        )
        checks = asyncio.create_task(_check_until_cancelled(url, route, exchanges))
        try:
            output, _ = await wrk.communicate()
        finally:
            checks.cancel()
            await asyncio.wait([checks])
    if not checks.cancelled() and (error := checks.exception()):
        raise error
    result = json.loads(output.decode().rpartition("RESULT ")[2])
    return Load(
        answers=result["answers"],
        rate=result["answers"] / result["microseconds"] * 1e6,
        p50=result["p50"] / 1000,
        p99=result["p99"] / 1000,
        p999=result["p999"] / 1000,
        errors=result["errors"],
    )


async def check(url: str, route: str, exchanges: Sequence[Exchange], *, pause: float = 0) -> None:
    """Send each body once and check the response.

    Raises:
        WrongAnswerError: a response was wrong.
    """
    address = urlsplit(url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    try:
        for exchange in exchanges:
            writer.write(encode_request(str(address.hostname), route, exchange.body))
            status, body = await read_response(reader)
            if status != 200 or not exchange.is_right(body):
                raise WrongAnswerError(f"{url}{route} answered {status} {body[:200]!r} to {exchange.body[:100]!r}")
            await asyncio.sleep(pause)
    finally:
        writer.close()


async def _check_until_cancelled(url: str, route: str, exchanges: Sequence[Exchange]) -> None:
    while True:
        await check(url, route, exchanges, pause=SECONDS_BETWEEN_CHECKS)
