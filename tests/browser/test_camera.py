"""The page with a fake camera that shows like, dislike, stop, fist and palm, with a wall in between."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import httpx
import pytest
from PIL import Image
from playwright.sync_api import Page, WebSocketRoute, expect

from tests.browser.conftest import (
    ALLOWED,
    CAMERA_VIDEO,
    FAKE_CAMERA,
    LIKE_PICTURE,
    PALM_PICTURE,
    Open,
    axe_problems,
    film,
    needs_hands,
    screenshot,
    until,
)
from tests.proxy import HAPROXY, proxy_before
from tests.server import Server

SHOWN = ["like", "dislike", "stop", "fist", "palm"]
BEFORE_HANDS = (ALLOWED, FAKE_CAMERA, f"--use-file-for-fake-video-capture={CAMERA_VIDEO}")
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True, "color_scheme": "dark"}


def before_hands(open_page: Open, url: str, **options: object) -> Page:
    page = open_page(url, browser=BEFORE_HANDS, **options)
    page.get_by_role("button", name="Start camera").click()
    return page


@needs_hands
def test_each_gesture_holds_and_commands_fire_once_each(server: Server, open_page: Open) -> None:
    received: list[str] = []
    page = open_page(server.url, browser=BEFORE_HANDS)
    page.on("websocket", lambda socket: socket.on("framereceived", lambda message: received.append(str(message))))
    page.get_by_role("button", name="Start camera").click()
    # On a busy machine a gesture may be released and held again, or be missed until the video repeats
    until(page, f"{[*SHOWN, '']}.every((name) => window.held.includes(name))")
    assert set(page.evaluate("window.held")) <= {*SHOWN, "", "none"}
    expect(page.locator("#service")).to_have_text("Connected")
    expect(page.locator("#problem")).to_be_hidden()
    page.wait_for_selector(".answer")
    screenshot(page, "camera-desktop")
    assert axe_problems(page) == []
    page.get_by_role("button", name="Stop", exact=True).click()
    answers = [answer for message in map(json.loads, received) if isinstance(message, list) for answer in message]
    commands = [answer["command"] for answer in answers if answer["changed"] and answer["command"]]
    fired = page.evaluate("window.fired")
    assert set(fired) == {"up", "down", "right", "left"}
    assert fired == commands[: len(fired)]
    assert len(commands) - len(fired) in (0, 1)  # one may be in flight when the stream ends
    expect(page.locator(".answer")).to_have_count(0)
    expect(page.get_by_role("button", name="Start camera")).to_be_visible()
    assert page.evaluate("document.getElementById('video').srcObject") is None


@needs_hands
def test_phone(server: Server, open_page: Open) -> None:
    page = before_hands(open_page, server.url, **PHONE)
    page.wait_for_selector(".answer")
    screenshot(page, "camera-phone")
    assert axe_problems(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.set_viewport_size({"width": 844, "height": 390})
    page.wait_for_selector(".answer")
    screenshot(page, "camera-phone-on-its-side")
    assert page.evaluate("document.documentElement.scrollWidth") <= 844


@needs_hands
def test_a_second_visit_loads_nothing(server: Server, open_page: Open) -> None:
    page = before_hands(open_page, server.url)
    page.wait_for_selector(".answer")
    entries = "performance.getEntriesByType('resource').map(({ name, transferSize }) => [name, transferSize])"
    assert sum(size for _, size in page.evaluate(entries)) > 20_000
    page.goto(server.url)
    page.get_by_role("button", name="Start camera").click()
    page.wait_for_selector(".answer")
    again = {name.rpartition("/")[2]: size for name, size in page.evaluate(entries) if "/page/" in name}
    assert set(again.values()) == {0}
    responses = [
        server.client.head(f"/{page.get_attribute('meta[name=finder]', 'content')}/{name}")
        for name in ("vision_wasm_internal.wasm", "hand_landmarker.task")
    ]
    assert all("immutable" in response.headers["cache-control"] for response in responses)


@needs_hands
@pytest.mark.skipif(HAPROXY is None, reason="haproxy, which counts here, is not installed")
def test_a_second_visit_requests_only_the_page(server: Server, open_page: Open, tmp_path: Path) -> None:
    with proxy_before(server.url, tmp_path) as proxy:

        def requests() -> float:
            lines = httpx.get(f"{proxy.figures}/metrics", timeout=60).text.splitlines()
            name = 'haproxy_frontend_http_requests_total{proxy="public"}'
            return next(float(line.removeprefix(name)) for line in lines if line.startswith(name))

        page = before_hands(open_page, proxy.url)
        page.wait_for_selector(".answer")
        first = requests()
        page.goto(proxy.url)
        page.get_by_role("button", name="Start camera").click()
        page.wait_for_selector(".answer")
        again = requests() - first
        page.close()  # it would log errors without the proxy
        assert first > 15
        assert 3 <= again < first / 2  # the page, the reference hands, the stream; on a busy machine that again


@needs_hands
def test_photos(server: Server, open_page: Open, tmp_path: Path) -> None:
    page = open_page(server.url)
    like, palm = (Image.open(io.BytesIO(film()[index])) for index in (LIKE_PICTURE, PALM_PICTURE))
    like.save(tmp_path / "like.jpg")
    page.set_input_files("#file", tmp_path / "like.jpg")
    page.wait_for_selector(".answer[data-gesture=like]")
    both = Image.new("RGB", (800, 400))
    for left, hand in ((0, like), (400, palm.transpose(Image.Transpose.FLIP_LEFT_RIGHT))):
        both.paste(hand.crop((120, 40, 520, 440)), (left, 0))
    both.save(tmp_path / "both.png")
    page.set_input_files("#file", tmp_path / "both.png")
    until(page, "document.querySelectorAll('.answer').length === 2")
    shown = page.eval_on_selector_all(".answer", "(answers) => answers.map(({ dataset }) => dataset.gesture)")
    assert sorted(shown) == ["like", "palm"]
    screenshot(page, "photo-of-two-hands")
    page.get_by_role("button", name="Stop", exact=True).click()

    def as_one(route: WebSocketRoute) -> None:
        service = route.connect_to_server()
        service.on_message(lambda message: route.send(re.sub(r'"hand":\d+', '"hand":1', str(message))))

    page.route_web_socket("**/stream", as_one)
    page.reload()
    page.set_input_files("#file", tmp_path / "both.png")
    expect(page.locator(".answer")).to_have_count(1)  # a hand that was detected twice


@needs_hands
def test_camera_after_a_photo(server: Server, open_page: Open, tmp_path: Path) -> None:
    page = open_page(server.url, browser=BEFORE_HANDS)
    (tmp_path / "like.jpg").write_bytes(film()[LIKE_PICTURE])
    page.set_input_files("#file", tmp_path / "like.jpg")
    page.wait_for_selector(".answer[data-gesture=like]")
    page.get_by_role("button", name="Stop", exact=True).click()
    page.get_by_role("button", name="Start camera").click()
    page.wait_for_selector(".answer[data-gesture=stop]")
