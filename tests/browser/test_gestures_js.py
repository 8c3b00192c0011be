"""The module for other pages, GET /gestures.js, on pages of another origin than the service's."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, Route, WebSocketRoute

from tests.browser.conftest import (
    ALLOWED,
    CAMERA_VIDEO,
    FAKE_CAMERA,
    Launch,
    Open,
    film,
    needs_finder,
    needs_hands,
    until,
)
from tests.browser.static_files import serve_folder
from tests.browser.tabs import TABS, Tab
from tests.browser.tabs import until as tab_until
from tests.hands import IMAGE_SIZE, LIKE, REFERENCE, as_objects
from tests.own_gestures import gestures, recording
from tests.server import Server, free_port, serve, start, wait_until_ready

HERE = Path(__file__).parent
BEFORE_HANDS = (ALLOWED, FAKE_CAMERA, f"--use-file-for-fake-video-capture={CAMERA_VIDEO}")
PICTURES = 78  # of a gesture and the wall after it, in the film
COMMANDS = ["up", "down", "right", "left"]
CAME_IN_ORDER = f"moves.join().includes('{','.join(COMMANDS)}')"
NOTHING = {"tracks": 0, "sockets": 0, "workers": 0, "timers": 0, "addresses": 0, "listeners": 0, "locks": 0}
REFUSED = "Pages of this origin may not use this service: its operator must add it to ALLOWED_ORIGINS."

# The five lines, and a move that is seen once however often a busy machine lets go of it
FIVE_LINES = """
<script>window.moves = []; const move = (command) => command !== moves.at(-1) && moves.push(command);</script>
<script type="module">
  import { startGestures } from "$service/gestures.js";
  await startGestures({ onChange: ({ held, command }) => command && move(command) });
</script>
"""
# The module for whatever a test does with it; what it tells is kept
ANY = """
<script src="counter.js"></script>
<script type="module">
  import * as module from "$service/gestures.js";
  window.moves = [];
  window.problems = [];
  window.frames = 0;
  window.start = (options = {}) =>
    module.startGestures({
      onChange: ({ command }) => command && command !== moves.at(-1) && moves.push(command),
      onFrame: () => { frames += 1; },
      onProblem: ({ code, message }) => problems.push([code, message]),
      ...options,
    });
  window.gestures = module;
</script>
"""


@dataclass
class Site:
    """Pages of another origin."""

    url: str
    folder: Path

    def page(self, content: str, service: str, name: str = "index.html") -> str:
        """Write a page, and give its address."""
        head = '<!doctype html><meta charset="utf-8"><title>Game</title><link rel="icon" href="data:,">'
        (self.folder / name).write_text(head + content.replace("$service", service))
        return f"{self.url}/{name}"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    (tmp_path / "counter.js").write_text((HERE / "counter.js").read_text())
    with serve_folder(tmp_path) as url:
        yield Site(url, tmp_path)


@pytest.fixture(scope="module")
def film_file(launch: Launch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The film in a format that every browser plays: like, dislike, stop, fist, two seconds each, a wall after each."""
    page = launch(ALLOWED, FAKE_CAMERA).new_page()
    stills = [
        base64.b64encode(film()[PICTURES * gesture + picture]).decode() for gesture in range(4) for picture in (30, 70)
    ]
    recorded = page.evaluate((HERE / "film_recorder.js").read_text(), stills)
    page.close()
    path = tmp_path_factory.mktemp("film") / "film.webm"
    path.write_bytes(base64.b64decode(recorded))
    return path


def started(page: Page, options: str = "{}") -> None:
    """Start with the film of the fake camera, and wait for answers."""
    until(page, "window.start !== undefined")
    page.evaluate(f"start({options}).then((running) => {{ window.running = running; }})")
    until(page, "frames > 0")


def left(page: Page | Tab) -> dict[str, Any]:
    return {name: value for name, value in page.evaluate("left()").items() if name in NOTHING}


@needs_hands
def test_five_lines_play_from_the_camera(server: Server, site: Site, open_page: Open) -> None:
    page = open_page(site.page(FIVE_LINES, server.url), browser=BEFORE_HANDS)
    until(page, CAME_IN_ORDER)


@needs_hands
@pytest.mark.parametrize("name", TABS)
def test_a_film_plays_in_every_browser(server: Server, site: Site, name: str, film_file: Path) -> None:
    (site.folder / "film.webm").write_bytes(film_file.read_bytes())
    with TABS[name]() as tab:
        tab.go(site.page(ANY, server.url))
        tab_until(tab, "window.start !== undefined")
        tab.evaluate("""void fetch("film.webm").then((response) => response.blob()).then((video) => start({ video }))
          .then((running) => { running.video.loop = true; window.running = running; })""")
        tab_until(tab, CAME_IN_ORDER)
        assert tab.evaluate("problems") == []
        asked = tab.evaluate("performance.getEntriesByType('resource').map(({ name }) => name)")
        assert [url for url in asked if not url.startswith((server.url, site.url, "data:", "blob:"))] == []
        tab.evaluate("running.stop()")
        tab_until(tab, "left().sockets === 0")
        assert left(tab) == NOTHING
        tab.go("about:blank")
