"""Custom gestures on the page: recording, report, recognition, saving and opening.

What is recorded is a hand that lies on its side, which the model takes for none. The film of it is made of a photograph
in the film of hands, turned by a right angle and tilted a little.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Page, Route, expect

from tests.browser.conftest import (
    ALLOWED,
    FAKE_CAMERA,
    PICTURES_OF_A_WALL,
    WALL_PICTURE,
    Open,
    axe_problems,
    film,
    lying_hand,
    needs_finder,
    needs_hands,
    screenshot,
    until,
)
from tests.hands import REFERENCE
from tests.own_gestures import gestures, recording
from tests.server import PROJECT, Server, start, wait_until_ready

TILTS = [*range(-12, 13), *range(11, -12, -1)]  # degrees, from one side to the other and back
PICTURES_OF_A_TILT = 2
RECORD = "Record for 3 seconds"
IS_RECORDING = "document.getElementById('teach-status').textContent.startsWith('Recording')"
HAS_REPORT = "document.querySelector('#taught .report') !== null"
CAMERA_IS_OFF = "document.getElementById('video').srcObject === null"
DROP = """([name, type, content]) => {
  const transfer = new DataTransfer();
  transfer.items.add(new File([Uint8Array.from(atob(content), (byte) => byte.charCodeAt(0))], name, { type }));
  document.dispatchEvent(new DragEvent("drop", { dataTransfer: transfer, cancelable: true }));
}"""
HIDE = """(isHidden) => {
  Object.defineProperty(document, "hidden", { value: isHidden, configurable: true });
  document.dispatchEvent(new Event("visibilitychange"));
}"""

# Records the live region for screen readers
WATCH_STATUS = """() => {
  const status = document.getElementById("teach-status");
  window.said = [];
  new MutationObserver(() => window.said.push(status.textContent)).observe(status, { childList: true });
}"""

Camera = tuple[str, ...]


@pytest.fixture(scope="module")
def camera(tmp_path_factory: pytest.TempPathFactory) -> Camera:
    """Browser options for a fake camera with a tilting hand, and a wall for a moment."""
    tilting = [picture for tilt in TILTS for picture in [lying_hand(tilt)] * PICTURES_OF_A_TILT]
    path = tmp_path_factory.mktemp("film") / "lying_hand.mjpeg"
    path.write_bytes(b"".join(tilting + [film()[WALL_PICTURE]] * PICTURES_OF_A_WALL))
    return (ALLOWED, FAKE_CAMERA, f"--use-file-for-fake-video-capture={path}")


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()


def open_panel(page: Page) -> None:
    press(page, "Add a gesture")
    expect(page.locator("#teach-title")).to_be_focused()


def record(page: Page, name: str, command: str = "") -> None:
    page.get_by_label("Name").fill(name)
    page.get_by_label("Command").fill(command)
    press(page, RECORD)


def write(folder: Path, content: Any) -> Path:
    path = folder / "my_gestures.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def open_file(page: Page, path: Path) -> None:
    with page.expect_file_chooser() as chooser:
        press(page, "Open")
    chooser.value.set_files(path)


def save(page: Page, path: Path) -> Any:
    with page.expect_download() as download:
        press(page, "Save")
    assert download.value.suggested_filename == "my_gestures.json"
    download.value.save_as(path)
    return json.loads(path.read_text())


def problem(page: Page) -> str:
    page.wait_for_selector("#teach-problem:not([hidden])")
    return page.inner_text("#teach-problem")


def play(page: Page, gesture: str) -> None:
    """Play the examples, beginning with one of a gesture, until the page shows an answer."""
    card = page.locator("#gestures li").filter(has=page.locator(f"span:text-is('{gesture}')"))
    card.get_by_role("button").click()
    source = "Reference hand" if gesture in REFERENCE.hands else "Your gesture"
    until(page, f"document.getElementById('caption').textContent === '{source}: {gesture}'")
    # Not at the same time: on a slow machine the next example may be shown before the first answer
    until(page, "document.querySelector('.answer') !== null")


def play_until_recognized(page: Page, gesture: str) -> None:
    """Play the examples until the page shows a gesture; the first answers may be of the stream before."""
    play(page, gesture)
    expect(page.locator(f".answer[data-gesture='{gesture}']")).to_be_attached()


@needs_hands
def test_a_recorded_gesture_is_held_and_its_file_works_elsewhere(
    server: Server, open_page: Open, camera: Camera, tmp_path: Path
) -> None:
    page = open_page(server.url, browser=camera, viewport={"width": 1280, "height": 800})
    open_panel(page)
    page.evaluate(WATCH_STATUS)
    record(page, "on its side", "jump")  # starts the camera
    until(page, IS_RECORDING)
    said = page.evaluate("window.said")
    assert said[said.index("3") :] == ["3", "2", "1", "Recording: turn and tilt the hand a little."]
    expect(page.get_by_role("button", name="Cancel")).to_be_focused()
    screenshot(page, "teach-recording")
    until(page, HAS_REPORT)
    until(page, "window.held.includes('on its side') && window.fired.includes('jump')")
    expect(page.locator("#gestures li").last).to_contain_text("on its side")
    examples = page.get_by_role("list", name="Examples of on its side").get_by_role("button")
    assert 5 <= examples.count() <= 15
    assert page.locator("#taught .report").inner_text().startswith("Right when left out\n")
    screenshot(page, "teach-report")
    assert axe_problems(page) == []
    assert problem_of_page(page) == ""

    path = tmp_path / "my_gestures.json"
    (fields,) = (document := save(page, path))["gestures"].values()
    assert [*document["gestures"]] == ["on its side"]
    assert {**fields, "hands": None} == {"hands": None, "image_size": [640, 480], "command": "jump"}
    assert server.client.post("/gestures", json=document).is_success
    result = subprocess.run(
        [
            sys.executable,
            PROJECT / "examples/stream_client.py",
            f"{server.url}/stream".replace("http", "ws"),
            "--gestures",
            path,
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert "on its side jump (hand" in result.stdout

    page.reload()
    open_panel(page)
    open_file(page, path)
    until(page, HAS_REPORT)
    press(page, "Start camera")
    until(page, "window.held.includes('on its side')")
    assert save(page, tmp_path / "again.json") == document


def problem_of_page(page: Page) -> str:
    return page.locator("#problem").inner_text()


@needs_hands
def test_record_more_and_photos(server: Server, open_page: Open, camera: Camera, tmp_path: Path) -> None:
    page = open_page(server.url, browser=camera)
    open_panel(page)
    for tilt in (-8, 0, 8):
        (tmp_path / f"{tilt}.jpg").write_bytes(lying_hand(tilt))
    Image.new("RGB", (640, 480), "gray").save(tmp_path / "wall.png")
    page.get_by_label("Name").fill("flat")
    with page.expect_file_chooser() as chooser:
        press(page, "Add photos")
    (tmp_path / "text.jpg").write_text("This is no picture.")
    photos = ["-8.jpg", "wall.png", "text.jpg", "8.jpg"]
    chooser.value.set_files([tmp_path / photo for photo in photos])
    until(page, HAS_REPORT)
    examples = page.locator("#taught .example")
    expect(examples).to_have_count(2)
    left_out = "2 of 4 photos were left out: each must be a picture of one whole hand, and only one."
    assert problem(page) == left_out
    assert page.evaluate(CAMERA_IS_OFF)
    page.get_by_label("Name").fill("FLAT")  # the same gesture
    drop(page, tmp_path / "0.jpg", "image/jpeg")
    until(page, f"document.querySelectorAll('#taught .example').length === 3 && {HAS_REPORT}")
    expect(page.locator("#teach-problem")).to_be_hidden()
    press(page, "Record more of flat")
    until(page, f"document.querySelectorAll('#taught .example').length > 3 && {HAS_REPORT}")
    expect(page.locator("#taught li[data-gesture=flat]")).to_have_count(1)
    page.get_by_label("Name").fill("nothing")
    drop(page, tmp_path / "wall.png", "image/png")
    assert problem(page) == "No photo shows one whole hand, and only one: try others."


def drop(page: Page, path: Path, media_type: str) -> None:
    content = page.evaluate("(bytes) => btoa(String.fromCharCode(...bytes))", [*path.read_bytes()])
    page.evaluate(DROP, [path.name, media_type, content])


@needs_finder
def test_no_hand_is_seen(server: Server, open_page: Open) -> None:
    page = open_page(server.url)  # the browser's own fake camera shows none
    open_panel(page)
    record(page, "heart")
    assert problem(page).startswith("No hand was seen: hold it up before the camera")
    expect(page.locator("#taught li")).to_have_count(0)
    expect(page.get_by_role("button", name=RECORD)).to_be_focused()
    assert page.get_by_label("Name").input_value() == "heart"


def test_pictures_of_two_hands_are_not_examples(server: Server, open_page: Open) -> None:
    """It is not known which of them makes the gesture."""
    page = open_page(server.url)
    record_from = """(counts) => import(document.querySelector("script[type=module]").src.replace("main", "recording"))
      .then(({ record }) => {
        const hand = (x) => Array(21).fill({ x, y: 0, z: 0 });
        const watch = (onPicture) => counts.forEach((count, index) => {
          performance.now = () => 1000 * (index + 1);
          onPicture(Array.from({ length: count }, () => hand(index)), [640, 480]);
        });
        const nothing = () => {};
        return record({ watch, signal: new AbortController().signal, onCount: nothing, onProgress: nothing });
      })
      .then((examples) => examples.map(({ hand, size }) => [hand[0].x, ...size]), ({ message }) => message)"""
    counts = [1, 2, 0, 1, 2, 3, 1, 0, 2, 1, 1, 2]
    assert page.evaluate(record_from, counts) == [[index, 640, 480] for index in (0, 3, 6, 9, 10)]
    assert page.evaluate(record_from, [2] * 12).startswith("Several hands were seen")
    assert page.evaluate(record_from, [0] * 12).startswith("No hand was seen")


@needs_finder
def test_a_camera_that_is_denied(server: Server, open_page: Open) -> None:
    page = open_page(server.url, browser=(FAKE_CAMERA, "--deny-permission-prompts"))
    open_panel(page)
    record(page, "heart")
    page.wait_for_selector("#problem:not([hidden])")
    assert problem_of_page(page).startswith("The camera was denied")
    expect(page.get_by_role("button", name=RECORD)).to_be_enabled()


@needs_finder
@pytest.mark.parametrize("how", ["Stop", "Escape", "Cancel", "Close", "hidden", "photos"])
def test_other_actions_end_a_recording(server: Server, open_page: Open, how: str) -> None:
    page = open_page(server.url)
    open_panel(page)
    record(page, "heart")
    until(page, "!document.getElementById('countdown').hidden")
    acts: dict[str, Callable[[], object]] = {
        "Stop": lambda: press(page, "Stop"),
        "Escape": lambda: page.keyboard.press("Escape"),
        "Cancel": lambda: press(page, "Cancel"),
        "Close": lambda: press(page, "Close"),
        "hidden": lambda: page.evaluate(HIDE, True),
        "photos": lambda: page.evaluate(DROP, ["text.jpg", "image/jpeg", ""]),
    }
    acts[how]()
    expect(page.locator("#countdown")).to_be_hidden()
    if how == "photos":
        assert problem(page).startswith("This file is no picture")
    elif how != "Close":
        expect(page.locator("#teach-status")).to_have_text("The recording was ended.")
    if how == "Close":
        expect(page.get_by_role("button", name="Add a gesture")).to_be_focused()
        open_panel(page)
    assert page.evaluate(CAMERA_IS_OFF) == (how == "Stop")
    expect(page.get_by_role("button", name=RECORD)).to_be_visible()
    expect(page.locator("#taught li")).to_have_count(0)
    assert page.locator("#teach-problem").is_hidden() or how == "photos"
    if how == "hidden":
        page.evaluate(HIDE, False)


# The camera's permission prompt stays open until allow() is called
PROMPT = """() => {
  const { getUserMedia } = MediaDevices.prototype;
  window.media = [];
  MediaDevices.prototype.getUserMedia = async function (...given) {
    await new Promise((resolve) => (window.allow = resolve));
    const stream = await getUserMedia.apply(this, given);
    window.media.push(stream);
    return stream;
  };
}"""


@needs_finder
def test_a_cancelled_camera_does_not_start(server: Server, open_page: Open) -> None:
    page = open_page(server.url)
    page.evaluate(PROMPT)
    open_panel(page)
    record(page, "heart")
    until(page, "window.allow !== undefined")
    press(page, "Cancel")
    page.evaluate("window.allow()")
    until(page, "window.media.length === 1")
    until(page, "window.media[0].getTracks().every(({ readyState }) => readyState === 'ended')")
    expect(page.get_by_role("button", name="Start camera")).to_be_enabled()
    expect(page.get_by_role("button", name=RECORD)).to_be_visible()


@needs_finder
def test_the_status_of_a_newer_action_stays(server: Server, open_page: Open, tmp_path: Path) -> None:
    page = open_page(server.url)
    page.evaluate(PROMPT)
    open_panel(page)
    record(page, "heart")
    until(page, "window.allow !== undefined")
    open_file(page, write(tmp_path, gestures("L")))
    taught = expect(page.locator("#teach-status"))
    taught.to_contain_text("L is taught from")
    page.evaluate("window.allow()")
    until(page, "window.media[0]?.getTracks().every(({ readyState }) => readyState === 'ended')")
    page.wait_for_timeout(200)
    taught.to_contain_text("L is taught from")


def test_a_name_that_is_typed_while_gestures_are_checked_stays(server: Server, open_page: Open, tmp_path: Path) -> None:
    page = open_page(server.url)
    open_panel(page)
    page.get_by_label("Name").fill("heart")
    open_file(page, write(tmp_path, gestures("L", count=3)))
    until(page, HAS_REPORT)
    assert page.get_by_label("Name").input_value() == "heart"
    page.get_by_role("button", name="Remove example 1 of L").click()
    until(page, f"document.querySelectorAll('#taught .example').length === 2 && {HAS_REPORT}")
    assert page.get_by_label("Name").input_value() == "heart"


def test_a_refused_file_does_not_remove_gestures_that_wait_for_an_answer(
    server: Server, open_page: Open, tmp_path: Path
) -> None:
    page = open_page(server.url, errors="Failed to load resource")
    open_panel(page)
    unanswered: list[Route] = []  # the first request
    page.route("**/gestures", lambda route: route.continue_() if unanswered else unanswered.append(route))
    open_file(page, write(tmp_path, gestures("pinky")))
    expect(page.locator("#taught > li")).to_have_count(1)
    open_file(page, write(tmp_path, {"gestures": {"like": {"hands": [HAND]}}}))
    assert problem(page).startswith("The name like is taken")
    expect(page.locator("#taught > li")).to_have_count(1)
    press(page, "Check again")
    until(page, HAS_REPORT)
    play_until_recognized(page, "pinky")


def test_gestures_can_be_checked_after_another_action(server: Server, open_page: Open, tmp_path: Path) -> None:
    page = open_page(server.url, errors="Failed to load resource")
    open_panel(page)
    page.route("**/gestures", lambda route: route.abort())
    open_file(page, write(tmp_path, gestures("pinky")))
    assert problem(page).startswith("The service cannot be reached")
    page.unroute("**/gestures")
    open_file(page, write(tmp_path, "{"))
    until(page, f"document.getElementById('teach-problem').textContent === '{NOT_GESTURES}'")
    press(page, "Check again")
    until(page, HAS_REPORT)
    expect(page.get_by_role("button", name="Check again")).to_be_hidden()


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("", "Type a name for the gesture first."),
        ("like", "The name like is taken by the model: choose another one."),
        ("LIKE ", "The name LIKE is taken by the model: choose another one."),
        ("none", "The name none is taken by the model: choose another one."),
        ("x" * 51, "A name has at most 50 characters, all visible: choose another one."),
        ("\u3164", "A name has at most 50 characters, all visible: choose another one."),
        ("a\u200bb", "A name has at most 50 characters, all visible: choose another one."),
    ],
)
def test_invalid_names(server: Server, open_page: Open, name: str, sentence: str) -> None:
    page = open_page(server.url)
    expect(page.locator("#gestures li")).to_have_count(len(REFERENCE.hands))
    open_panel(page)
    record(page, name)
    assert problem(page) == sentence
    assert page.evaluate(CAMERA_IS_OFF)
    drop_text(page, "hand.jpg", "image/jpeg", "")  # nor with photos
    assert problem(page) == sentence


def drop_text(page: Page, name: str, media_type: str, text: str) -> None:
    content = page.evaluate("(text) => btoa(unescape(encodeURIComponent(text)))", text)
    page.evaluate(DROP, [name, media_type, content])


def test_opened_gestures_work_at_once_and_disappear_with_their_last_example(
    server: Server, open_page: Open, tmp_path: Path
) -> None:
    page = open_page(server.url)
    open_panel(page)
    open_file(page, write(tmp_path, gestures("L", "pinky", count=3, command="jump")))
    until(page, "document.querySelectorAll('#taught .report').length === 2")
    for gesture in ("L", "pinky", "fist"):
        play_until_recognized(page, gesture)
    until(page, "document.querySelector('.answer .state').textContent !== 'Not held yet'")
    for left in (2, 1):
        page.get_by_role("button", name=f"Remove example {left + 1} of L").press("Enter")
        expect(page.get_by_role("button", name=f"Remove example {left} of L")).to_be_focused()
        until(page, "document.querySelectorAll('#taught .report').length === 2")
        expect(page.get_by_role("button", name=f"Remove example {left} of L")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#taught > li")).to_have_count(1)
    expect(page.get_by_label("Name")).to_be_focused()
    until(page, f"document.querySelectorAll('#gestures li').length === {len(REFERENCE.hands) + 1}")
    play_until_recognized(page, "pinky")
    press(page, "Remove pinky")
    expect(page.locator("#taught > li")).to_have_count(0)
    until(page, f"document.querySelectorAll('#gestures li').length === {len(REFERENCE.hands)}")
    expect(page.get_by_role("button", name="Save")).to_be_disabled()
    play_until_recognized(page, "fist")


HAND = recording("L", 1)[0]
FORMS = [
    HAND,
    [HAND],
    [[x, y, 0] for x, y in HAND],
    [number for point in HAND for number in point],
    [number for x, y in HAND for number in (x, y, 0)],
    [{"x": x, "y": y, "visibility": 1} for x, y in HAND],
]


def test_every_format_of_a_hand_can_be_opened(server: Server, open_page: Open, tmp_path: Path) -> None:
    page = open_page(server.url)
    open_panel(page)
    normalized = [[x / 640, y / 480, 0.1] for x, y in HAND]
    pixels = {"hands": FORMS, "image_size": [640, 480]}
    assert server.client.post("/gestures", json={"gestures": {"L": pixels}}).is_success
    document = {
        "gestures": {"A": {"hands": [normalized], "image_size": [640, 480]}, "B": {"hands": FORMS}, "L": pixels}
    }
    open_file(page, write(tmp_path, document))
    until(page, "document.querySelectorAll('#taught .report').length === 3")
    saved = save(page, tmp_path / "saved.json")["gestures"]
    assert saved["A"] == {
        "hands": [[[round(number, 4) for number in point] for point in normalized]],
        "image_size": [640, 480],
    }
    largest = max(max(point) for point in HAND)
    for name in ("B", "L"):
        expected = [[pytest.approx(x / largest, abs=1e-4), pytest.approx(y / largest, abs=1e-4), 0] for x, y in HAND]
        assert saved[name] == {"hands": [expected] * len(FORMS), "image_size": [100, 100]}


def test_maximum_number_of_gestures(server: Server, open_page: Open, tmp_path: Path) -> None:
    page = open_page(server.url)
    sent: list[int] = []
    page.on("websocket", lambda socket: socket.on("framesent", lambda message: sent.append(len(message))))
    open_panel(page)
    full = {
        f"gesture {number}": {"hands": recording("L", 64, seed=number), "command": "c" * 50} for number in range(16)
    }
    path = write(tmp_path, {"gestures": full})
    assert path.stat().st_size < 1_000_000
    open_file(page, path)
    until(page, "document.querySelectorAll('#taught .report').length === 16")
    play(page, "gesture 7")
    assert 300_000 < max(sent) < 1_000_000
    record(page, "one more")
    assert problem(page) == "There can be 16 gestures: remove one first."
    press(page, "Record more of gesture 3")
    assert problem(page) == "gesture 3 has 64 examples, the most there can be: remove some first."
    open_file(page, write(tmp_path, gestures("pinky")))
    assert problem(page).startswith("With this file there were 17 gestures")
    assert len(save(page, tmp_path / "saved.json")["gestures"]) == 16


NOT_GESTURES = "This file holds no gestures: open one that was saved on this page."
NAMED_ODDLY = {"__proto__": "1", "constructor": "2", "<img src=x onerror=alert(1)>": "3", "שלום": "4"}


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("", NOT_GESTURES),
        ("{", NOT_GESTURES),
        ("[" * 100_000, NOT_GESTURES),
        ("null", NOT_GESTURES),
        ({"gestures": {}}, NOT_GESTURES),
        ({"gestures": []}, NOT_GESTURES),
        ({"gestures": {"heart": []}}, NOT_GESTURES),
        ({"gestures": {"heart": {"hands": []}}}, NOT_GESTURES),
        ({"gestures": {"heart": {"hands": [HAND, HAND[1:]]}}}, NOT_GESTURES),
        ({"gestures": {"heart": {"hands": [[["1", "2"]] * 21]}}}, NOT_GESTURES),
        ('{"gestures": {"heart": {"hands": [[' + "1e999," * 62 + "1]]}}}", NOT_GESTURES),
        ('{"gestures": {"heart": {"hands": [[' + "NaN," * 62 + "1]]}}}", NOT_GESTURES),
        ({"gestures": {"heart": {"hands": [HAND], "image_size": [0, 1]}}}, NOT_GESTURES),
        ({"gestures": {"heart": {"hands": [HAND], "command": {"a": 1}}}}, NOT_GESTURES),
        ({"gestures": {"": {"hands": [HAND]}}}, NOT_GESTURES),
        (" " * 1_000_001, NOT_GESTURES),
        ({"gestures": {"like": {"hands": [HAND]}}}, "The name like is taken; choose another for your gesture."),
        ({"gestures": {"heart": {"hands": [HAND] * 65}}}, "heart has 65 examples in this file"),
    ],
    ids=range(18),
)
def test_a_malicious_file_changes_nothing(
    server: Server, open_page: Open, tmp_path: Path, content: Any, sentence: str
) -> None:
    page = open_page(server.url, errors="Failed to load resource: the server responded with a status of 400")
    open_panel(page)
    open_file(page, write(tmp_path, gestures("pinky")))
    until(page, HAS_REPORT)
    open_file(page, write(tmp_path, content))
    assert problem(page).startswith(sentence)
    expect(page.locator("#taught > li")).to_have_count(1)
    expect(page.locator("#taught .report")).to_have_count(1)
    play_until_recognized(page, "pinky")


def test_gestures_of_any_name(server: Server, open_page: Open, tmp_path: Path) -> None:
    page = open_page(server.url, viewport={"width": 320, "height": 700})
    open_panel(page)
    long = {"x" * 50: "5", "w w w " * 8: "y" * 50}
    odd = {
        name: {"hands": recording("L", 2, seed=int(seed[0], 36)), "command": seed}
        for name, seed in (NAMED_ODDLY | long).items()
    }
    content = json.dumps({"gestures": odd})
    open_file(page, write(tmp_path, content))
    until(page, f"document.querySelectorAll('#taught .report').length === {len(odd)}")
    assert page.locator("#taught img").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    assert {*save(page, tmp_path / "saved.json")["gestures"]} == {*odd}
    assert axe_problems(page) == []
    screenshot(page, "teach-any-name")


def test_a_service_that_is_away(server: Server, open_page: Open, tmp_path: Path) -> None:
    page = open_page(server.url, errors="Failed to load resource")
    open_panel(page)
    page.route("**/gestures", lambda route: route.abort())
    open_file(page, write(tmp_path, gestures("L")))
    assert problem(page) == "The service cannot be reached: see that it runs, and press Check again."
    expect(page.locator("#taught > li")).to_have_count(1)  # it is not lost
    screenshot(page, "teach-service-away")
    page.unroute("**/gestures")
    busy = {
        "error": "The server is teaching as many gestures as it can; try again in a second.",
        "reason": "overloaded",
    }
    page.route("**/gestures", lambda route: route.fulfill(status=503, json=busy))
    press(page, "Check again")
    until(page, "document.getElementById('teach-problem').textContent.startsWith('The server is teaching as many')")
    page.unroute("**/gestures")
    press(page, "Check again")
    until(page, HAS_REPORT)
    expect(page.locator("#teach-problem")).to_be_hidden()
    play_until_recognized(page, "L")


@pytest.mark.parametrize("key", ["open sesame", "clé", "сезам"])
def test_a_key(home: Path, open_page: Open, tmp_path: Path, key: str) -> None:
    with start(home, API_KEY=key) as server:
        wait_until_ready(server)
        page = open_page(server.url, errors="Failed to load resource: the server responded with a status of 401")
        open_panel(page)
        open_file(page, write(tmp_path, gestures("L")))
        assert problem(page).startswith("This server asks for a key")
        page.get_by_label("This server asks for a key").fill(key)
        press(page, "Use it")
        until(page, HAS_REPORT)
        play_until_recognized(page, "L")
        page.close()


@needs_hands
def test_keyboard_alone(server: Server, open_page: Open, camera: Camera) -> None:
    page = open_page(server.url, browser=camera)

    def tab_to(condition: str) -> None:
        for _ in range(60):
            page.keyboard.press("Tab")
            if page.evaluate(f"(() => {{ const it = document.activeElement; return {condition}; }})()"):
                return
        pytest.fail(f"the focus never came to {condition}")

    tab_to("it.id === 'teach-open'")
    page.keyboard.press("Enter")
    tab_to("it.id === 'teach-name'")
    page.keyboard.type("flat")
    page.keyboard.press("Enter")
    until(page, HAS_REPORT)
    said = page.locator("#teach-status")
    expect(said).to_contain_text("flat is taught from")
    expect(said).to_contain_text("It can be told apart")  # the report, for screen readers
    tab_to("it.className === 'example'")
    count = page.locator("#taught .example").count()
    page.keyboard.press("Enter")
    expect(page.locator("#taught .example")).to_have_count(count - 1)
    until(page, HAS_REPORT)
    assert page.evaluate("document.activeElement.className") == "example"
    tab_to("it.id === 'teach-save'")
    with page.expect_download():
        page.keyboard.press("Enter")


SCREENS: dict[str, dict[str, Any]] = {
    "desktop": {"viewport": {"width": 1280, "height": 800}},
    "phone": {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True},
    "small-phone": {"viewport": {"width": 320, "height": 568}, "has_touch": True, "is_mobile": True},
    "phone-on-its-side": {"viewport": {"width": 844, "height": 390}, "has_touch": True, "is_mobile": True},
}


@needs_hands
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("screen", SCREENS)
def test_layout_fits_every_screen(
    server: Server, open_page: Open, camera: Camera, tmp_path: Path, screen: str, scheme: str
) -> None:
    page = open_page(server.url, browser=camera, color_scheme=scheme, **SCREENS[screen])
    width = page.viewport_size["width"] if page.viewport_size else 0
    screenshot(page, f"teach-{screen}-{scheme}-closed")
    open_panel(page)
    open_file(page, write(tmp_path, gestures("L", "pinky", command="jump")))
    until(page, "document.querySelectorAll('#taught .report').length === 2")
    record(page, "flat", "duck")
    until(page, IS_RECORDING)
    expect(page.locator("#picture")).to_be_in_viewport(ratio=0.9)
    screenshot(page, f"teach-{screen}-{scheme}-recording")
    until(page, "document.querySelectorAll('#taught .report').length === 3")
    page.wait_for_selector(".answer")
    screenshot(page, f"teach-{screen}-{scheme}")
    assert axe_problems(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
