"""The example games with a fake camera: a maze, pong for two, slides."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.browser.conftest import (
    ALLOWED,
    CAMERA_VIDEO,
    FAKE_CAMERA,
    LIKE_PICTURE,
    PICTURES_OF_A_WALL,
    WALL_PICTURE,
    Open,
    film,
    needs_hands,
    screenshot,
    until,
)
from tests.browser.static_files import serve_folder
from tests.browser.test_teach import lying_hand
from tests.hands import REFERENCE
from tests.server import PROJECT, Server

BEFORE_HANDS = (ALLOWED, FAKE_CAMERA, f"--use-file-for-fake-video-capture={CAMERA_VIDEO}")
SAYS = "document.getElementById('say').textContent"
SHOWN = "[...document.querySelectorAll('section')].findIndex((slide) => slide.classList.contains('shown'))"


@pytest.fixture
def examples(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A copy of the examples on another origin, to which a file of gestures can be added."""
    for page in (PROJECT / "examples").glob("*.html"):
        (tmp_path / page.name).write_text(page.read_text())
    with serve_folder(tmp_path) as url:
        yield url, tmp_path


@needs_hands
def test_maze(server: Server, open_page: Open, examples: tuple[str, Path]) -> None:
    page = open_page(f"{examples[0]}/maze.html?service={server.url}", browser=BEFORE_HANDS)
    maze = page.inner_html("#maze")
    until(page, f"document.getElementById('maze').innerHTML !== {json.dumps(maze)}")
    for command in ("up", "right", "left", "down"):
        until(page, f"{SAYS} === '{command}'")
    screenshot(page, "maze")


# Detects that the ball, drawn in white, has left the middle
WATCH_THE_BALL = """(() => {
  let wasThere = false;
  window.isServed = false;
  (function look() {
    const isThere = document.querySelector("#field")?.getContext("2d").getImageData(400, 225, 1, 1).data[3] > 0;
    window.isServed ||= wasThere && !isThere;
    wasThere ||= isThere;
    requestAnimationFrame(look);
  })();
})()"""


@needs_hands
def test_pong(server: Server, open_page: Open, examples: tuple[str, Path]) -> None:
    page = open_page(browser=BEFORE_HANDS)
    page.add_init_script(WATCH_THE_BALL)
    page.goto(f"{examples[0]}/pong.html?service={server.url}")
    until(page, f"{SAYS}.startsWith('Move a hand')")
    until(page, "window.isServed")  # by a fist
    colors = """(() => {
      const context = document.querySelector('#field').getContext('2d');
      const seen = (x) => Math.max(...context.getImageData(x, 0, 1, 450).data.filter((_, index) => index % 4 === 3));
      return [seen(20), seen(780)];
    })()"""
    until(page, f"Math.max(...{colors}) === 255")  # the hand has a side
    screenshot(page, "pong")


def lying(tilt: float) -> list[list[float]]:
    """The reference hand of stop in pixels, rotated to the left like the photograph in the video."""
    points = np.array(REFERENCE.hands["stop"])[:, :2] * REFERENCE.image_size
    turned = (points[:, 0] + 1j * points[:, 1] - 320 - 240j) * np.exp(-1j * np.radians(90 + tilt))
    return [[float(point.real) + 320, float(point.imag) + 240] for point in turned]


@needs_hands
def test_slides(server: Server, open_page: Open, examples: tuple[str, Path], tmp_path: Path) -> None:
    url, folder = examples
    taught = {"mine": {"hands": [lying(tilt) for tilt in (-10, -5, 0, 5, 10)], "command": "first"}}
    (folder / "my_gestures.json").write_text(json.dumps({"gestures": taught}))
    walls = [film()[WALL_PICTURE]] * PICTURES_OF_A_WALL
    pictures = [*[film()[LIKE_PICTURE]] * 60, *walls, *[lying_hand()] * 60, *walls]
    (tmp_path / "film.mjpeg").write_bytes(b"".join(pictures))
    page = open_page(
        f"{url}/slides.html?service={server.url}&gestures=my_gestures.json",
        browser=(ALLOWED, FAKE_CAMERA, f"--use-file-for-fake-video-capture={tmp_path / 'film.mjpeg'}"),
        viewport={"width": 1000, "height": 600},
    )
    until(page, f"{SHOWN} === 1")  # by like
    screenshot(page, "slides")
    until(page, f"{SHOWN} === 0")  # by the gesture that was taught: the film shows no dislike
    assert page.inner_text("#say") == ""
