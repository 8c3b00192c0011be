"""Fixtures with real browsers; each test checks that the page contacts no other host and logs no errors."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from PIL import Image
from playwright.sync_api import Browser, ConsoleMessage, Page, Playwright, expect, sync_playwright

from tests.browser.other_origin import HERE, Site
from tests.browser.static_files import serve_folder
from tests.server import PROJECT

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
MEDIAPIPE = PROJECT / "build" / "mediapipe"
SCREENSHOTS = PROJECT / "build" / "screenshots"
AXE = PROJECT / "node_modules" / "axe-core" / "axe.min.js"
CAMERA_VIDEO = os.environ.get("CAMERA_VIDEO", "") and str(Path(os.environ["CAMERA_VIDEO"]).resolve())
OPTIONS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-component-update"),
    *("--disable-background-networking", "--disable-sync"),
    "--host-resolver-rules=MAP insecure.test 127.0.0.1 , MAP * ~NOTFOUND , EXCLUDE 127.0.0.1 , EXCLUDE localhost",
]
ALLOWED = "--use-fake-ui-for-media-stream"
FAKE_CAMERA = "--use-fake-device-for-media-stream"
SECONDS = 120  # generous for a busy machine
needs_finder = pytest.mark.skipif(not MEDIAPIPE.exists(), reason="MediaPipe was not fetched: run make page")
needs_hands = pytest.mark.skipif(
    not CAMERA_VIDEO or not MEDIAPIPE.exists(), reason="no film of hands was given: CAMERA_VIDEO=FILE.mjpeg"
)
# Records changes of the page: held gestures, "" without a hand, and commands
RECORDER = """
  window.held = [];
  window.fired = [];
  addEventListener("DOMContentLoaded", () => {
    const answers = document.getElementById("answers");
    if (!answers) return;
    new MutationObserver(() => {
      const now = answers.querySelector(".answer")?.dataset.held ?? "";
      if (now !== window.held.at(-1)) window.held.push(now);
    }).observe(answers, { childList: true, subtree: true, attributeFilter: ["data-held"] });
    new MutationObserver((changes) => {
      for (const { addedNodes } of changes)
        for (const { dataset } of addedNodes) if (dataset?.command) window.fired.push(dataset.command);
    }).observe(document.getElementById("picture"), { childList: true });
  });
  addEventListener("securitypolicyviolation", ({ blockedURI }) => console.error(`policy: ${blockedURI}`));
"""

Launch = Callable[..., Browser]
Open = Callable[..., Page]


@pytest.fixture(scope="module")  # module scope: no other event loop can run in this thread meanwhile
def playwright() -> Iterator[Playwright]:
    if CHROMIUM is None:
        pytest.skip("there is no Chromium here: install Debian's package chromium")
    with sync_playwright() as running:
        yield running


@pytest.fixture(scope="module")
def launch(playwright: Playwright) -> Iterator[Launch]:
    """Starts browsers, and reuses them for the same options."""
    browsers: dict[tuple[str, ...], Browser] = {}

    def start(*options: str) -> Browser:
        if options not in browsers:
            browsers[options] = playwright.chromium.launch(executable_path=CHROMIUM, args=[*OPTIONS, *options])
        return browsers[options]

    yield start
    for browser in browsers.values():
        browser.close()


@pytest.fixture
def open_page(launch: Launch) -> Iterator[Open]:
    """Opens a page in a browser with an allowed camera; checks its requests and console at the end."""
    with contextlib.ExitStack() as contexts:
        asked: list[str] = []
        said: list[str] = []
        allowed: list[str] = []

        def opened(
            url: str = "about:blank",
            *,
            browser: tuple[str, ...] = (ALLOWED, FAKE_CAMERA),
            errors: str | tuple[str, ...] = (),
            hosts: tuple[str, ...] = (),
            **options: Any,
        ) -> Page:
            """Open it.

            Args:
                url: of the page.
                browser: options that it starts with.
                errors: the start, or starts, of those in the console that are meant.
                hosts: whose answers the test gives itself.
                options: of the browser's context.
            """
            context = contexts.enter_context(launch(*browser).new_context(**options))
            context.set_default_timeout(1000 * SECONDS)
            expect.set_options(timeout=1000 * SECONDS)
            page = context.new_page()
            page.add_init_script(RECORDER)

            def listen(message: ConsoleMessage) -> None:
                if message.type == "error" and not message.text.startswith(errors):
                    said.append(message.text)

            page.on("console", listen)
            page.on("pageerror", lambda error: said.append(f"{error}"))
            page.on("request", lambda request: asked.append(request.url))
            allowed.extend(("127.0.0.1", "insecure.test", *hosts))
            page.goto(url)
            return page

        yield opened
    foreign = [url for url in asked if urlsplit(url).hostname not in (None, *allowed)]
    assert (foreign, said) == ([], [])


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    (tmp_path / "counter.js").write_text((HERE / "counter.js").read_text())
    with serve_folder(tmp_path) as url:
        yield Site(url, tmp_path)


def until(page: Page, condition: str) -> None:
    """Wait until an expression is truthy; the page's CSP blocks Playwright's wait_for_function."""
    deadline = time.monotonic() + SECONDS
    while not page.evaluate(condition):
        assert time.monotonic() < deadline, condition
        page.wait_for_timeout(50)


def screenshot(page: Page, name: str) -> None:
    """Save a screenshot to build/screenshots/."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)


def axe_problems(page: Page) -> list[str]:
    """Serious and critical accessibility violations found by axe-core."""
    if not AXE.exists():
        pytest.skip("axe-core is not installed: run make node_modules/.package-lock.json")
    page.evaluate(AXE.read_text())
    violations = page.evaluate("axe.run().then(({ violations }) => violations)")
    return [
        f"{violation['id']}: {node['html']}"
        for violation in violations
        if violation["impact"] in ("serious", "critical")
        for node in violation["nodes"]
    ]


# In the video, each gesture is followed by a wall: like, dislike, stop, fist, palm
_PICTURES_OF_A_GESTURE, PICTURES_OF_A_WALL = 60, 18
LIKE_PICTURE, WALL_PICTURE = 30, _PICTURES_OF_A_GESTURE + PICTURES_OF_A_WALL // 2
STOP_PICTURE, FIST_PICTURE, PALM_PICTURE = (
    gestures * (_PICTURES_OF_A_GESTURE + PICTURES_OF_A_WALL) + 30 for gestures in (2, 3, 4)
)


def film(path: str = CAMERA_VIDEO) -> list[bytes]:
    """The frames of a Motion JPEG video, each a JPEG file."""
    return [b"\xff\xd8\xff" + part for part in Path(path).read_bytes().split(b"\xff\xd8\xff")[1:]]


def lying_hand(tilt: float = 0) -> bytes:
    """A picture of a hand that lies on its side, which the model takes for none; ``tilt`` in degrees."""
    hand = Image.open(io.BytesIO(film()[STOP_PICTURE]))
    return as_jpeg(hand.rotate(90 + tilt, Image.Resampling.BILINEAR, fillcolor=hand.getpixel((0, 0))))


def as_jpeg(picture: Image.Image) -> bytes:
    """Encode a picture of a film."""
    content = io.BytesIO()
    picture.save(content, "JPEG", quality=85)
    return content.getvalue()
