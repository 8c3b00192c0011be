"""Browsers without WebGL, such as Firefox without a GPU: MediaPipe cannot read pictures there, and the page says so."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Route

from tests.browser import conftest
from tests.browser.conftest import Open, needs_finder
from tests.browser.tabs import TABS, open_page, press, problem, until
from tests.server import Server


@needs_finder
@pytest.mark.parametrize("name", TABS)
def test_missing_webgl_is_reported(server: Server, name: str, tmp_path: Path) -> None:
    with TABS[name](webgl=False) as tab:
        open_page(tab, server.url)
        tab.evaluate("void (MediaDevices.prototype.getUserMedia = async () => canvasStream())")
        tab.evaluate("""void (window.canvasStream = () => {
          const canvas = document.createElement("canvas");
          const context = canvas.getContext("2d");
          setInterval(() => context.fillRect(0, 0, 9, 9), 100);
          return (window.stream = canvas.captureStream(10));
        })""")
        press(tab, "#start")
        assert problem(tab).startswith("This browser has no WebGL")
        assert tab.evaluate("window.stream.getTracks().every(({ readyState }) => readyState === 'ended')")
        press(tab, "#play")
        until(tab, "document.querySelector('.answer') !== null")
        Image.new("RGB", (64, 48), "gray").save(tmp_path / "wall.png")
        tab.choose_file(tmp_path / "wall.png")
        assert problem(tab).startswith("This browser has no WebGL")
        assert tab.evaluate("window.failures") == []


@needs_finder
def test_mediapipe_that_never_loads_on_the_main_thread(server: Server, open_page: Open) -> None:
    page = open_page()
    refusal = 'self.onmessage = () => self.postMessage({ error: { name: "NoWebGL", message: "" } });'
    page.route("**/finder_worker.js", lambda route: route.fulfill(body=refusal, content_type="text/javascript"))
    asked: list[Route] = []
    page.route("**/vision_bundle.mjs", lambda route: asked.append(route))  # noqa: PLW0108
    page.clock.install()
    page.goto(f"{server.url}/reference_hands.json")
    page.evaluate("""() => {
      import("/gestures.js").then(({ loadFinder }) => loadFinder()).catch(({ code }) => { window.code = code; });
    }""")
    while not asked:
        page.wait_for_timeout(50)
    page.clock.fast_forward(180_000)
    conftest.until(page, "window.code")
    assert page.evaluate("code") == "finder_failed"
