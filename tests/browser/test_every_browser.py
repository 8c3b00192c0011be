"""The page in Chromium, Firefox and WebKitGTK; browsers that are not installed are skipped.

None of them has a camera here. Where hands are needed a canvas that shows them stands for it.
"""

from __future__ import annotations

import base64
import io
import json
import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from tests.browser.conftest import (
    AXE,
    LIKE_PICTURE,
    SCREENSHOTS,
    STOP_PICTURE,
    WALL_PICTURE,
    film,
    lying_hand,
    needs_finder,
    needs_hands,
)
from tests.browser.tabs import TABS, Tab, open_page, press, problem, until
from tests.hands import REFERENCE
from tests.own_gestures import gestures
from tests.server import Server, free_port, serve, start, wait_until_ready

HERE = Path(__file__).parent
RANDOM_RUNS, RANDOM_STEPS = 2, 50
SEED = int(os.environ.get("PAGE_SEED", random.SystemRandom().randrange(2**31)))

START, PLAY, END = "#start", "#play", "#stop"
AT_THE_WELCOME = "document.getElementById('welcome').checkVisibility()"
AN_ANSWER = "document.querySelector('.answer') !== null"
NOTHING_WRONG = "document.getElementById('problem').hidden"
ANSWERED_LATE = """void (() => {
  const canvas = document.createElement("canvas");
  canvas.getContext("2d");
  window.late = [];
  MediaDevices.prototype.getUserMedia = () =>
    new Promise((resolve, reject) => window.late.push({ resolve, reject }));
  window.allowLate = () => {
    window.stream = canvas.captureStream(10);
    window.late.forEach(({ resolve }) => resolve(window.stream));
  };
  window.denyLate = () =>
    window.late.forEach(({ reject }) => reject(new DOMException("no", "NotAllowedError")));
})()"""


@pytest.fixture(scope="module", params=TABS)
def tab(request: pytest.FixtureRequest) -> Iterator[Tab]:
    with TABS[request.param]() as opened:
        yield opened


@pytest.fixture
def page(tab: Tab, server: Server) -> Iterator[Tab]:
    """The page; checks at the end that the camera is off, without errors and unhandled rejections."""
    open_page(tab, server.url)
    yield tab
    assert tab.evaluate("window.failures") == []
    tab.go("about:blank")


def show_film(tab: Tab, *pictures: int) -> None:
    """Replace the camera by frames of the video, two seconds each."""
    show_stills(tab, *(film()[picture] for picture in pictures))


def show_stills(tab: Tab, *jpegs: bytes) -> None:
    """Replace the camera by images, two seconds each."""
    stills = [base64.b64encode(jpeg).decode() for jpeg in jpegs]
    tab.evaluate(f"({(HERE / 'film_camera.js').read_text()})({json.dumps(stills)}, 20)")


def shows(gesture: str) -> str:
    return f"document.querySelector('.answer')?.dataset.gesture === '{gesture}'"


def serious_violations(tab: Tab) -> list[str]:
    if not AXE.exists():
        pytest.skip("axe-core is not installed: run make node_modules/.package-lock.json")
    tab.evaluate(f"void (() => {{ {AXE.read_text()} }})()")
    found: list[dict[str, str]] = tab.evaluate("axe.run().then(({ violations }) => violations)")
    return [violation["id"] for violation in found if violation["impact"] in ("serious", "critical")]


def test_welcome(page: Tab, request: pytest.FixtureRequest) -> None:
    until(page, f"document.querySelectorAll('#gestures button svg').length === {len(REFERENCE.hands)}")
    assert page.evaluate(AT_THE_WELCOME)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.evaluate("window.failures") == []
    violations = serious_violations(page)
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(SCREENSHOTS / f"{request.node.callspec.params['tab']}.png")
    page.evaluate("void (window.failures = [])")  # the screenshot and axe use inline styles, which the CSP blocks
    assert violations == []


def test_each_reference_hand_is_answered_as_itself(page: Tab) -> None:
    for gesture in REFERENCE.hands:
        press(page, f"#gestures li[data-gesture={gesture}] button")
        until(page, shows(gesture))
    until(page, NOTHING_WRONG)


@needs_finder
def test_no_camera(page: Tab) -> None:
    press(page, START)
    assert problem(page).startswith("There is no camera here: connect one")
    press(page, PLAY)
    until(page, AN_ANSWER)
    until(page, NOTHING_WRONG)


@needs_hands
def test_camera(page: Tab) -> None:
    show_film(page, LIKE_PICTURE, WALL_PICTURE, STOP_PICTURE, WALL_PICTURE)
    press(page, START)
    for gesture in ("like", "stop", "like"):
        until(page, shows(gesture))
        until(page, f"!{AN_ANSWER}")
    until(page, NOTHING_WRONG)
    press(page, END)
    assert page.evaluate("document.getElementById('video').srcObject") is None


@needs_hands
def test_a_camera_that_stops_sending_pictures(page: Tab) -> None:
    show_film(page, LIKE_PICTURE)
    press(page, START)
    until(page, shows("like"))
    page.evaluate("void (window.isFilmPaused = true)")
    assert problem(page).startswith("The camera sends no pictures any more")
    until(page, f"!{AN_ANSWER} && document.getElementById('service').dataset.state === 'idle'")
    page.evaluate("void (window.isFilmPaused = false)")
    until(page, shows("like"))
    until(page, NOTHING_WRONG)
    press(page, END)


@needs_hands
def test_one_hand_or_two(page: Tab) -> None:
    show_film(page, LIKE_PICTURE)
    press(page, START)
    until(page, shows("like"))
    press(page, "#most-hands input[value='1']")
    press(page, "#most-hands input[value='2']")
    press(page, END)
    press(page, START)
    until(page, shows("like"))


@needs_hands
def test_a_gesture_is_held_and_released_at_low_frame_rates(page: Tab) -> None:
    show_film(page, LIKE_PICTURE)
    press(page, START)
    until(page, "document.querySelector('.answer .state')?.textContent === 'Held: up'")
    show_film(page, WALL_PICTURE)  # for the next camera
    press(page, END)
    press(page, START)
    until(page, "document.getElementById('service').dataset.state === 'open'")
    assert not page.evaluate(AN_ANSWER)


@needs_hands
def test_two_hands_hold_their_own_gestures(page: Tab) -> None:
    like, stop = (Image.open(io.BytesIO(film()[picture])) for picture in (LIKE_PICTURE, STOP_PICTURE))
    both = Image.new("RGB", (800, 400))
    for left, hand in ((0, like), (400, stop.transpose(Image.Transpose.FLIP_LEFT_RIGHT))):
        both.paste(hand.crop((120, 40, 520, 440)), (left, 0))
    picture = io.BytesIO()
    both.save(picture, "JPEG")
    show_stills(page, picture.getvalue())
    press(page, START)
    held = "[...document.querySelectorAll('.answer')].map(({ dataset }) => dataset.slot + dataset.held).sort().join()"
    until(page, f"['0like,1stop', '0stop,1like'].includes({held})")


@needs_hands
def test_photos(page: Tab, tmp_path: Path) -> None:
    (tmp_path / "like.jpg").write_bytes(film()[LIKE_PICTURE])
    page.choose_file(tmp_path / "like.jpg")
    until(page, shows("like"))
    (tmp_path / "text.jpg").write_text("This is no picture.")
    page.choose_file(tmp_path / "text.jpg")
    assert problem(page).startswith("This file is no picture that the browser can read")
    Image.new("RGB", (640, 480), "gray").save(tmp_path / "wall.png")
    page.choose_file(tmp_path / "wall.png")
    until(page, "document.getElementById('problem').textContent.startsWith('No hand was found')")


@needs_hands
def test_a_gesture_is_taught(page: Tab) -> None:
    """A hand that the model takes for none is recorded, answered, and no longer answered once it is removed."""
    show_stills(page, lying_hand())
    press(page, "#teach-open")
    page.evaluate("void (document.getElementById('teach-name').value = 'flat')")
    press(page, "#teach-record")
    until(page, "document.querySelector('#taught .report') !== null")
    until(page, shows("flat"))
    until(page, "!document.getElementById('teach-save').disabled")
    press(page, "#taught li[data-gesture=flat] .teach-head button:last-child")
    until(page, "document.querySelector('#taught li') === null")
    until(page, f"!({shows('flat')})")
    press(page, END)


@needs_finder
def test_late_permission_for_the_camera_is_ignored(page: Tab) -> None:
    page.evaluate(ANSWERED_LATE)
    press(page, START)
    until(page, "window.late.length === 1")
    press(page, PLAY)
    until(page, AN_ANSWER)
    page.evaluate("window.allowLate()")
    until(page, "window.stream.getTracks().every(({ readyState }) => readyState === 'ended')")
    assert page.evaluate("document.getElementById('video').srcObject") is None
    until(page, AN_ANSWER)
    press(page, END)
    assert page.evaluate(AT_THE_WELCOME)
    # More frames of the playback would show an answer, or the caption
    assert page.evaluate(
        "new Promise((resolve) => setTimeout(resolve, 500)).then(() => document.getElementById('caption').hidden)"
    )
    assert not page.evaluate(AN_ANSWER)


@needs_finder
def test_late_denial_of_the_camera_is_ignored(page: Tab) -> None:
    page.evaluate(ANSWERED_LATE)
    press(page, START)
    until(page, "window.late.length === 1")
    press(page, PLAY)
    until(page, AN_ANSWER)
    page.evaluate("void window.denyLate()")
    press(page, "#gestures li[data-gesture=fist] button")
    until(page, shows("fist"))
    until(page, NOTHING_WRONG)
    press(page, END)
    press(page, START)
    until(page, "window.late.length === 2")
    page.evaluate("void window.denyLate()")
    assert problem(page).startswith("The camera was denied")
    press(page, START)
    until(page, "window.late.length === 3")
    press(page, PLAY)
    page.evaluate("void window.denyLate()")
    until(page, AN_ANSWER)
    until(page, NOTHING_WRONG)
    assert not page.evaluate(AT_THE_WELCOME)


@needs_hands
def test_a_video_that_does_not_play(page: Tab) -> None:
    show_film(page, LIKE_PICTURE)
    page.evaluate("""void (() => {
      const { getUserMedia } = MediaDevices.prototype;
      MediaDevices.prototype.getUserMedia = async () => (window.stream = await getUserMedia());
      window.play = HTMLMediaElement.prototype.play;
      HTMLMediaElement.prototype.play = () => Promise.reject(new DOMException("not now", "NotAllowedError"));
    })()""")
    press(page, START)
    assert problem(page) == "The browser does not show the camera's picture (not now): start the camera again."
    assert page.evaluate("window.stream.getTracks().every(({ readyState }) => readyState === 'ended')")
    page.evaluate("void (HTMLMediaElement.prototype.play = window.play)")
    press(page, START)
    until(page, shows("like"))


@needs_hands
def test_mediapipe_that_fails_while_running(page: Tab) -> None:
    show_film(page, LIKE_PICTURE)
    press(page, START)
    until(page, shows("like"))
    page.evaluate("""void (() => {
      window.decode = window.createImageBitmap;
      window.createImageBitmap = () => Promise.reject(new DOMException("gone", "InvalidStateError"));
    })()""")
    assert problem(page).startswith("The hand tracking (MediaPipe) failed and was stopped")
    assert page.evaluate(AT_THE_WELCOME)
    assert page.evaluate("document.getElementById('video').srcObject") is None
    page.evaluate("void (window.createImageBitmap = window.decode)")
    press(page, START)
    until(page, shows("like"))


def test_service_that_goes_away_and_comes_back(tab: Tab, home: Path) -> None:
    port = free_port()
    with serve(home, port=port) as server:
        open_page(tab, server.url)
        press(tab, PLAY)
        until(tab, AN_ANSWER)
        server.stop()
        until(tab, "document.getElementById('service').dataset.state === 'away'")
        assert problem(tab).startswith("The service ")
        until(tab, f"!{AN_ANSWER}")
    with start(home, port=port):
        until(tab, AN_ANSWER)
        until(tab, NOTHING_WRONG)
    assert tab.evaluate("window.failures") == []
    tab.go("about:blank")


def test_key(tab: Tab, home: Path) -> None:
    with start(home, API_KEY="the right one") as server:
        wait_until_ready(server)
        open_page(tab, server.url)
        press(tab, PLAY)
        assert problem(tab) == "This server asks for a key: type it in below."
        for key in ("a wrong one", "the right one"):
            until(tab, "!document.getElementById('ask-key').hidden")
            tab.evaluate(f"void (document.getElementById('key').value = '{key}')")
            press(tab, "#ask-key button")
        until(tab, AN_ANSWER)
        until(tab, NOTHING_WRONG)
        assert tab.evaluate("window.failures") == []
        tab.evaluate("sessionStorage.clear()")
        tab.go("about:blank")


@needs_hands
@pytest.mark.parametrize("run", range(RANDOM_RUNS))
def test_the_page_recovers_from_all_errors(page: Tab, run: int) -> None:
    """Random clicks, permissions, photos and failures; PAGE_SEED=N repeats a run."""
    seed = (SEED + run) % 2**31
    print(f"PAGE_SEED={seed}")
    show_film(page, LIKE_PICTURE, WALL_PICTURE)
    saved = json.dumps(json.dumps(gestures("L", "pinky", count=3)))
    done = page.evaluate(f"({(HERE / 'random_driver.js').read_text()})({seed}, {RANDOM_STEPS}, {saved})")
    print(*done)
    # The last action has a result: a video, or an error message
    until(page, f"!{AT_THE_WELCOME} || !document.getElementById('start').ariaDisabled")
    press(page, "#gestures button")
    until(page, AN_ANSWER)
    assert page.evaluate("window.liveTracks()") == 0
    press(page, END)
    press(page, START)
    until(page, shows("like"))
    assert page.evaluate("window.liveTracks()") == 1
    press(page, END)
    assert page.evaluate("window.liveTracks()") == 0
    assert page.evaluate(AT_THE_WELCOME)
