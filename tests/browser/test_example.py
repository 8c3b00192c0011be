"""The smallest page, examples/browser.html, with the CDN replaced by local packages."""

from __future__ import annotations

import gzip
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.conftest import ALLOWED, CAMERA_VIDEO, FAKE_CAMERA, MEDIAPIPE, Open, needs_finder, needs_hands, until
from tests.browser.static_files import serve_folder
from tests.server import PROJECT, Server

PACKAGE = PROJECT / "node_modules" / "@mediapipe" / "tasks-vision"
HOSTS = ("cdn.jsdelivr.net", "storage.googleapis.com")
CDN = "https://cdn.jsdelivr.net/npm/@mediapipe/tasks-vision@"


@pytest.fixture(scope="module")
def folder() -> Iterator[str]:
    """The examples on a static file server."""
    with serve_folder(PROJECT / "examples") as url:
        yield url


def answer_cdn(page: Page) -> None:
    def package(route: Route) -> None:
        version, _, path = route.request.url.removeprefix(CDN).partition("/")
        assert f'"version": "{version}"' in (PACKAGE / "package.json").read_text()
        route.fulfill(path=PACKAGE / path, headers={"Access-Control-Allow-Origin": "*"})

    def model(route: Route) -> None:
        content = gzip.decompress((MEDIAPIPE / "hand_landmarker.task.gz").read_bytes())
        route.fulfill(body=content, headers={"Access-Control-Allow-Origin": "*"})

    page.route(f"{CDN}*/**", package)
    page.route("https://storage.googleapis.com/**", model)


@needs_hands
def test_gestures_come_and_go(server: Server, open_page: Open, folder: str) -> None:
    camera = (ALLOWED, FAKE_CAMERA, f"--use-file-for-fake-video-capture={CAMERA_VIDEO}")
    page = open_page(browser=camera, errors="INFO: Created TensorFlow Lite", hosts=HOSTS)
    answer_cdn(page)
    page.goto(f"{folder}/browser.html?service={server.url}")
    for text in ("stop (", "No hand", "fist ("):
        until(page, f"document.getElementById('gesture').textContent.startsWith('{text}')")


@needs_finder
def test_errors_are_reported(open_page: Open, folder: str) -> None:
    page = open_page(browser=(ALLOWED,))
    page.goto(f"{folder}/browser.html")
    expect(page.locator("#gesture")).to_have_text("Requested device not found")
