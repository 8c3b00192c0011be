"""The module and the npm package in all browsers, with a video instead of the camera."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from tests.browser.conftest import film, needs_hands
from tests.browser.other_origin import ANY, CAME_IN_ORDER, HERE, NOTHING, Site
from tests.browser.static_files import serve_folder
from tests.browser.tabs import TABS, chromium_tab, until
from tests.server import PROJECT, Server, free_port, serve

PICTURES = 78  # of a gesture and the wall after it, in the film
PACKAGE = """
<script type="module">
  import { startGestures } from "$package/npm/index.js";
  window.start = () => startGestures({ service: "$service", video: "no video" }).catch(({ code }) => code);
</script>
"""


@pytest.fixture(scope="module")
def film_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video that every browser plays: like, dislike, stop, fist, two seconds each, a wall after each."""
    stills = [
        base64.b64encode(film()[PICTURES * gesture + picture]).decode() for gesture in range(4) for picture in (30, 70)
    ]
    with chromium_tab() as tab:
        recorded = tab.evaluate(f"({(HERE / 'film_recorder.js').read_text()})({stills})")
    path = tmp_path_factory.mktemp("film") / "film.webm"
    path.write_bytes(base64.b64decode(recorded))
    return path


@needs_hands
@pytest.mark.parametrize("name", TABS)
def test_a_video_is_processed_and_everything_released(server: Server, site: Site, name: str, film_file: Path) -> None:
    (site.folder / "film.webm").write_bytes(film_file.read_bytes())
    with TABS[name]() as tab:
        tab.go(site.page(ANY, server.url))
        until(tab, "window.start !== undefined")
        tab.evaluate("""void fetch("film.webm").then((response) => response.blob()).then((video) => start({ video }))
          .then((running) => {
            // Slowly, for machines that find hands in a picture a second
            Object.assign(running.video, { loop: true, playbackRate: 0.4 });
            window.running = running;
          })""")
        until(tab, CAME_IN_ORDER)
        assert tab.evaluate("problems") == []
        asked = tab.evaluate("performance.getEntriesByType('resource').map(({ name }) => name)")
        assert [url for url in asked if not url.startswith((server.url, site.url, "data:", "blob:"))] == []
        tab.evaluate("running.stop()")
        until(tab, "Object.values(left()).every((count) => count === 0)", shown="left()")
        assert tab.evaluate("left()") == NOTHING
        tab.go("about:blank")


@pytest.mark.parametrize("name", TABS)
def test_the_package_starts_again_once_the_service_runs(home: Path, site: Site, name: str) -> None:
    port = free_port()
    with serve_folder(PROJECT, Access_Control_Allow_Origin="*") as package, TABS[name]() as tab:
        tab.go(site.page(PACKAGE.replace("$package", package), f"http://127.0.0.1:{port}"))
        until(tab, "window.start !== undefined")
        assert tab.evaluate("start()") == "no_service"
        with serve(home, port=port):
            assert tab.evaluate("start()") in ("invalid_request", "no_finder")
