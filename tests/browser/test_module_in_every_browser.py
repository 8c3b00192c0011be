"""The module and the npm package in all browsers, with a video instead of the camera."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.browser.conftest import film, needs_hands
from tests.browser.other_origin import ANY, CAME_IN_ORDER, NOTHING, Site
from tests.browser.static_files import serve_folder
from tests.browser.tabs import TABS, until
from tests.server import PROJECT, Server, free_port, serve

PICTURES = 78  # of a gesture and the wall after it, in the film
PER_SECOND = 10
FRAME_SIZE = (640, 480)
PACKAGE = """
<script type="module">
  import { startGestures } from "$package/npm/index.js";
  window.start = () => startGestures({ service: "$service", video: "no video" }).catch(({ code }) => code);
</script>
"""


@pytest.fixture(scope="module")
def film_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video that every browser plays: like, dislike, stop, fist, two seconds each, a wall after each."""
    cv2 = pytest.importorskip(
        "cv2", reason="OpenCV is not installed, or lacks a library of the system", exc_type=ImportError
    )
    path = tmp_path_factory.mktemp("film") / "film.webm"
    pictures = film()
    video = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"VP80"), PER_SECOND, FRAME_SIZE)
    for gesture in range(4):
        for picture, seconds in ((30, 2), (70, 0.6)):
            still = np.frombuffer(pictures[PICTURES * gesture + picture], np.uint8)
            for _ in range(int(seconds * PER_SECOND)):
                video.write(cv2.imdecode(still, cv2.IMREAD_COLOR))
    video.release()
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
