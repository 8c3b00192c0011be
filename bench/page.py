"""Measures the page with a camera in Chromium: time to the first gesture, bytes, frame rate, main-thread time.

    CAMERA_VIDEO=film.mjpeg .venv/bin/python -m bench.page

CAMERA_VIDEO is the video for the browser's fake camera: hands, as Motion JPEG.
"""

from __future__ import annotations

import os
import statistics
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from playwright.sync_api import Browser, Response, sync_playwright

from tests.browser.conftest import ALLOWED, CHROMIUM, FAKE_CAMERA, OPTIONS
from tests.server import Server, import_model, serve

ROUNDS = 5
SECONDS = 10
RATE = "Number(document.querySelector('[data-figure=rate]').cells[1].textContent)"
TIMES = "[...document.querySelectorAll('[data-figure] td')].map(({ textContent }) => textContent).filter(Boolean)"


@dataclass(frozen=True)
class Visit:
    """Measurements of one first visit."""

    seconds_to_first_gesture: float
    bytes_until_then: float
    pictures_a_second: float
    main_thread_ms_a_picture: float
    on_page: list[str]


def visit(browser: Browser, server: Server) -> Visit:
    """Visit the page with an empty cache."""
    page = browser.new_context().new_page()
    responses: list[Response] = []
    page.on("response", lambda response: responses.append(response))  # noqa: PLW0108 (Playwright sets attributes on the handler)
    started = perf_counter()
    page.goto(server.url)
    page.get_by_role("button", name="Start camera").click()
    page.wait_for_selector(".answer")
    seconds = perf_counter() - started
    transferred = sum(int(response.headers.get("content-length", 0)) for response in responses)
    devtools = page.context.new_cdp_session(page)
    devtools.send("Performance.enable")

    def busy() -> float:
        metrics = devtools.send("Performance.getMetrics")["metrics"]
        return float(next(metric["value"] for metric in metrics if metric["name"] == "TaskDuration"))

    before = busy()
    page.wait_for_timeout(1000 * SECONDS)
    used = busy() - before
    rate = float(page.evaluate(RATE))
    on_page = page.evaluate(TIMES)
    page.context.close()
    return Visit(seconds, transferred, rate, 1000 * used / (SECONDS * rate), on_page)


def main() -> None:
    """Print the medians of several visits."""
    film = os.environ.get("CAMERA_VIDEO")
    if CHROMIUM is None or not film:
        raise SystemExit("This needs Chromium, and a video of hands for its fake camera: CAMERA_VIDEO=film.mjpeg.")
    options = [*OPTIONS, ALLOWED, FAKE_CAMERA, f"--use-file-for-fake-video-capture={Path(film).resolve()}"]
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        import_model(Path(folder))
        with serve(Path(folder)) as server:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=options)
            visits = [visit(browser, server) for _ in range(ROUNDS)]
            browser.close()

    def median(figure: Callable[[Visit], float]) -> float:
        return statistics.median(map(figure, visits))

    print(
        f"first gesture after {median(lambda visit: visit.seconds_to_first_gesture):.1f} s, "
        f"{median(lambda visit: visit.bytes_until_then) / 1e6:.2f} MB transferred\n"
        f"{median(lambda visit: visit.pictures_a_second):.0f} frames per second, "
        f"{median(lambda visit: visit.main_thread_ms_a_picture):.1f} ms of main-thread time per frame\n"
        f"figures shown by the page in the last round: {', '.join(visits[-1].on_page)}"
    )


if __name__ == "__main__":
    main()
