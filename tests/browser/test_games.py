"""The example games with a fake camera: a maze, pong for two, slides."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import WebSocketRoute

from tests.browser.conftest import (
    ALLOWED,
    CAMERA_VIDEO,
    FAKE_CAMERA,
    FIST_PICTURE,
    LIKE_PICTURE,
    PALM_PICTURE,
    PICTURES_OF_A_WALL,
    STOP_PICTURE,
    WALL_PICTURE,
    Open,
    as_jpeg,
    film,
    lying_hand,
    needs_finder,
    needs_hands,
    screenshot,
    until,
)
from tests.browser.other_origin import COMMANDS
from tests.browser.static_files import serve_folder
from tests.hands import REFERENCE
from tests.server import PROJECT, Server, free_port

BEFORE_HANDS = (ALLOWED, FAKE_CAMERA, f"--use-file-for-fake-video-capture={CAMERA_VIDEO}")
SAYS = "document.getElementById('say').textContent"
# Of the script; it is not told to the console, which open_page() checks
EXPECT_AN_ERROR = """
  for (const type of ["error", "unhandledrejection"])
    addEventListener(type, (event) => {
      window.hasFailed = true;
      event.preventDefault();
    });
"""
SHOWN = "[...document.querySelectorAll('section')].findIndex((slide) => slide.classList.contains('shown'))"


@pytest.fixture
def examples(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A copy of the examples on another origin, to which a file of gestures can be added."""
    for page in (PROJECT / "examples").glob("*.html"):
        (tmp_path / page.name).write_text(page.read_text())
    with serve_folder(tmp_path) as url:
        yield url, tmp_path


def test_maze_is_short() -> None:
    script = (PROJECT / "examples" / "maze.html").read_text().partition('<script type="module">\n')[2]
    assert len(script.partition("    </script>")[0].splitlines()) <= 20


@needs_hands
def test_maze(server: Server, open_page: Open, examples: tuple[str, Path]) -> None:
    page = open_page(f"{examples[0]}/maze.html?service={server.url}", browser=BEFORE_HANDS)
    until(page, "document.querySelector('#maze b') !== null")
    maze = page.inner_html("#maze")
    for command in COMMANDS:
        until(page, f"{SAYS} === '{command}'")
    assert page.inner_html("#maze") != maze
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
# How high the middle of each paddle is that a hand moves, left and right: others are translucent
PADDLES = """[20, 780].map((x) => {
  const { data } = document.querySelector("#field").getContext("2d").getImageData(x, 0, 1, 450);
  const rows = [...Array(450).keys()].filter((row) => data[4 * row + 3] === 255);
  return rows.length ? (rows[0] + rows.at(-1)) / 2 : null;
})"""


def two_hands(*hands: tuple[int, int]) -> bytes:
    """Two of the film's pictures side by side and small, each given as its number and its distance from the top."""
    picture = Image.open(io.BytesIO(film()[WALL_PICTURE]))
    half = picture.width // 2
    for place, (number, top) in enumerate(hands):
        hand = Image.open(io.BytesIO(film()[number])).crop((80, 0, 560, 480))  # the square in the middle
        picture.paste(hand.resize((half, half)), (place * half, top))
    return as_jpeg(picture)


@needs_hands
def test_pong(server: Server, open_page: Open, examples: tuple[str, Path], tmp_path: Path) -> None:
    pictures = [
        *[two_hands((PALM_PICTURE, 0), (STOP_PICTURE, 160))] * 60,
        *[two_hands((PALM_PICTURE, 160), (STOP_PICTURE, 160))] * 60,
        *[two_hands((FIST_PICTURE, 160), (STOP_PICTURE, 160))] * 60,
    ]
    (tmp_path / "film.mjpeg").write_bytes(b"".join(pictures))
    page = open_page(browser=(ALLOWED, FAKE_CAMERA, f"--use-file-for-fake-video-capture={tmp_path / 'film.mjpeg'}"))
    page.add_init_script(WATCH_THE_BALL)
    page.goto(f"{examples[0]}/pong.html?service={server.url}")
    until(page, f"{SAYS}.startsWith('Move a hand')")
    page.evaluate(f"void (window.paddles = () => {PADDLES})")
    # The picture is a mirror: the hand on its left moves the right paddle
    until(page, "(([left, right]) => left > 300 && right !== null && right < 150)(paddles())")
    until(page, "(([left, right]) => left > 300 && right > 300)(paddles())")
    screenshot(page, "pong")
    until(page, "window.isServed")  # by the fist


@needs_finder
@pytest.mark.parametrize(("name", "text"), [("pong", "Move a hand up and down; a fist serves."), ("slides", "")])
def test_problems_are_shown_until_the_next_answer(
    server: Server, open_page: Open, examples: tuple[str, Path], name: str, text: str
) -> None:
    is_there = [False]

    def answer(stream: WebSocketRoute) -> None:
        def on_message(message: str | bytes) -> None:
            if not is_there[0]:
                stream.close(code=1012)
            elif isinstance(message, bytes):
                stream.send("[]")

        stream.on_message(on_message)

    page = open_page()
    page.route_web_socket("**/stream", answer)
    page.goto(f"{examples[0]}/{name}.html?service={server.url}")
    until(page, f"{SAYS}.endsWith('trying again.')")
    is_there[0] = True
    until(page, f"{SAYS} === '{text}'")


@pytest.mark.parametrize("name", ["maze", "pong", "slides"])
def test_missing_service_is_reported(open_page: Open, examples: tuple[str, Path], name: str) -> None:
    page = open_page(errors="Failed to load resource")
    page.add_init_script(EXPECT_AN_ERROR)
    page.goto(f"{examples[0]}/{name}.html?service=http://127.0.0.1:{free_port()}")
    until(page, "window.hasFailed")
    assert page.inner_text("#say") == "Waiting for the service. If this stays, start it and reload the page."


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
