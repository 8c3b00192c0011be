"""The examples that play: a maze, pong for two, slides; each before the fake camera or before two hands."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser.conftest import ALLOWED, CAMERA_VIDEO, FAKE_CAMERA, Open, needs_hands, screenshot, until
from tests.browser.static_files import serve_folder
from tests.hands import REFERENCE
from tests.server import PROJECT, Server

BEFORE_HANDS = (ALLOWED, FAKE_CAMERA, f"--use-file-for-fake-video-capture={CAMERA_VIDEO}")
SAYS = "document.getElementById('say').textContent"
SHOWN = "[...document.querySelectorAll('section')].findIndex((slide) => slide.classList.contains('shown'))"


@pytest.fixture
def examples(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """The examples on an origin of their own, with room for a file of gestures."""
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


@needs_hands
def test_pong(server: Server, open_page: Open, examples: tuple[str, Path]) -> None:
    page = open_page(browser=BEFORE_HANDS)
    page.add_init_script("window.pixels = () => document.querySelector('#field').toDataURL()")
    page.goto(f"{examples[0]}/pong.html?service={server.url}")
    until(page, f"{SAYS}.startsWith('Move a hand')")
    # A fist serves: the ball leaves the middle, which is white until then
    middle = "document.querySelector('#field').getContext('2d').getImageData(400, 225, 1, 1).data[3]"
    until(page, f"{middle} === 0")
    colors = """(() => {
      const context = document.querySelector('#field').getContext('2d');
      const seen = (x) => Math.max(...context.getImageData(x, 0, 1, 450).data.filter((_, index) => index % 4 === 3));
      return [seen(20), seen(780)];
    })()"""
    until(page, f"Math.max(...{colors}) === 255")  # the hand has a side
    screenshot(page, "pong")


@needs_hands
def test_slides(server: Server, open_page: Open, examples: tuple[str, Path]) -> None:
    # The film shows no gesture that the model does not know, so this one is loaded and taught, but not made
    url, folder = examples
    hands = [REFERENCE.hands["peace"]]
    (folder / "my_gestures.json").write_text(
        json.dumps({"gestures": {"mine": {"hands": hands, "image_size": REFERENCE.image_size, "command": "first"}}})
    )
    page = open_page(
        f"{url}/slides.html?service={server.url}&gestures=my_gestures.json",
        browser=BEFORE_HANDS,
        viewport={"width": 1000, "height": 600},
    )
    until(page, f"{SHOWN} === 1")
    screenshot(page, "slides")
    until(page, f"{SHOWN} === 0")
    assert page.inner_text("#say") == ""
