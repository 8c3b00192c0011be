"""The page of the image in a real browser."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import ALLOWED, CAMERA_VIDEO, FAKE_CAMERA, Open, launch, open_page, playwright, until
from tests.containers.conftest import Container, eventually

__all__ = ["launch", "open_page", "playwright"]  # fixtures


@pytest.mark.skipif(not CAMERA_VIDEO, reason="no film of hands was given: CAMERA_VIDEO=FILE.mjpeg")
def test_page_of_the_image_recognizes_gestures(start: Callable[..., Container], open_page: Open) -> None:
    container = start()
    eventually(lambda: container.client.get("/readyz").is_success, seconds=60)
    camera = (ALLOWED, FAKE_CAMERA, f"--use-file-for-fake-video-capture={CAMERA_VIDEO}")
    page = open_page(str(container.client.base_url), browser=camera)
    page.get_by_role("button", name="Start camera").click()
    for gesture in ("like", "dislike", "stop", "fist", "palm"):
        until(page, f"window.held.includes('{gesture}')")
    expect(page.locator("#service")).to_have_text("Connected")
    page.get_by_role("button", name="Stop", exact=True).click()


def test_image_serves_mediapipe(start: Callable[..., Container]) -> None:
    container = start()
    eventually(lambda: container.client.get("/readyz").is_success, seconds=60)
    assert 'name="finder" content="mediapipe/' in container.client.get("/").text
