"""The module GET /gestures.js on pages of another origin, in Chromium."""

from __future__ import annotations

import json
import re
import socket
import statistics
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, WebSocket, WebSocketRoute

from tests.browser.conftest import ALLOWED, CAMERA_VIDEO, FAKE_CAMERA, Open, needs_finder, needs_hands, until
from tests.browser.other_origin import (
    ANY,
    CAME_IN_ORDER,
    FIRST_ANSWER,
    FIRST_SEARCH,
    FIVE_LINES,
    NOTHING,
    Site,
)
from tests.browser.static_files import serve_folder
from tests.hands import IMAGE_SIZE, LIKE, REFERENCE, as_objects
from tests.own_gestures import gestures, recording
from tests.server import Server, free_port, serve, start, wait_until_ready

BEFORE_HANDS = (ALLOWED, FAKE_CAMERA, f"--use-file-for-fake-video-capture={CAMERA_VIDEO}")
REFUSED = "Pages of this origin may not use this service: its operator must add it to ALLOWED_ORIGINS."
HIDE = """(isHidden) => {
  Object.defineProperty(document, "hidden", { value: isHidden, configurable: true });
  document.dispatchEvent(new Event("visibilitychange"));
}"""
# The CSP that a page needs: docs/game.md
STRICT = (
    "default-src 'none'; script-src 'unsafe-inline' $service 'wasm-unsafe-eval'; "
    "connect-src $service $stream; worker-src blob:; img-src data:"
)


def run(page: Page, options: str = "{}") -> None:
    """Start the module with options, and wait for answers."""
    until(page, "window.start !== undefined")
    page.evaluate(f"start({options}).then((running) => {{ window.running = running; }})")
    until(page, "frames > 0")


def left(page: Page) -> dict[str, int]:
    """Resources that the page has not released, by kind."""
    counts: dict[str, int] = page.evaluate("left()")
    return counts


def until_more_frames(page: Page) -> None:
    """Wait until three more frames are answered."""
    frames = page.evaluate("frames")
    until(page, f"frames > {frames} + 2")


def assert_everything_is_released(page: Page) -> None:
    """Wait for the closing handshake and the wake lock, and assert that nothing else is left."""
    until(page, "left().sockets === 0 && left().locks === 0")
    assert left(page) == NOTHING


def own(page: Page, options: str = "{}") -> None:
    """Open a stream for MediaPipe results of the page."""
    until(page, "window.openStream !== undefined")
    page.evaluate(f"void (window.stream = openStream({options}))")


def send(page: Page, results: object, picture: object = None, frames: int = 20) -> None:
    """Send identical frames, each after the answer to the previous one, until this number is answered."""
    page.evaluate(
        """async ([results, picture, frames]) => {
          for (let answered = 0; answered < frames && !problems.length; ) {
            const before = window.frames;
            stream.send(results, picture ?? undefined);
            // A frame is left out while the stream is not open yet
            for (let times = 0; times < 20 && window.frames === before; times += 1) {
              await new Promise((resolve) => setTimeout(resolve, 10));
            }
            answered += window.frames - before;
          }
        }""",
        [results, picture, frames],
    )


@needs_hands
def test_five_lines_play_from_the_camera(server: Server, site: Site, open_page: Open) -> None:
    page = open_page(site.page(FIVE_LINES, server.url), browser=BEFORE_HANDS)
    until(page, CAME_IN_ORDER)


@needs_hands
def test_first_answer_comes_soon(server: Server, site: Site, open_page: Open) -> None:
    """Most of the time until then is MediaPipe's, so that is what it is compared with, in turn and without caches."""
    folders = dict(re.findall(r"(page|mediapipe)(/[0-9a-f]+)", server.client.get("/gestures.js").text))
    search = FIRST_SEARCH
    for name, digest in folders.items():
        search = search.replace(f"${name}", f"{server.url}/{name}{digest}")

    def first(content: str) -> float:
        page = open_page(site.page(content, server.url), browser=BEFORE_HANDS)
        until(page, "window.milliseconds !== undefined")
        milliseconds: float = page.evaluate("milliseconds")
        page.context.close()
        return milliseconds

    rounds = [(first(FIRST_ANSWER), first(search)) for _ in range(3)]
    answers, searches = (statistics.median(times) for times in zip(*rounds, strict=True))
    print(f"first answer after {answers / 1000:.2f} s, MediaPipe's first search after {searches / 1000:.2f} s")
    assert answers < 2 * searches


@needs_hands
def test_stop_releases_everything(server: Server, site: Site, open_page: Open) -> None:
    page = open_page(site.page(ANY, server.url), browser=BEFORE_HANDS)
    assert left(page) == NOTHING
    until(page, "window.start !== undefined")
    before = page.evaluate("Object.getOwnPropertyNames(window)")
    run(page, "{ draw: document.body.appendChild(document.createElement('canvas')) }")
    until(page, "left().locks === 1")
    during = left(page)
    assert (during["tracks"], during["sockets"], during["workers"], during["listeners"]) == (1, 1, 1, 2)
    names = "Object.getOwnPropertyNames(window).filter((name) => !['running', 'answers', 'hands'].includes(name))"
    assert page.evaluate(names) == before
    page.evaluate("running.stop()")
    assert_everything_is_released(page)
    assert page.evaluate("running.video.srcObject") is None
    frames = page.evaluate("frames")
    assert page.evaluate("new Promise((resolve) => setTimeout(() => resolve(frames), 500))") == frames
    run(page)
    page.evaluate("running.stop()")
    assert_everything_is_released(page)


@needs_finder
def test_options_that_are_not_valid(server: Server, site: Site, open_page: Open) -> None:
    page = open_page(site.page(ANY, server.url))
    until(page, "window.start !== undefined")
    message = "hands must be a whole number of at least 1."
    for hands in ("0", "'2'", "NaN"):
        assert page.evaluate(f"start({{ hands: {hands} }}).catch(({{ message }}) => message)") == message
    told = page.evaluate("start({ video: 'film.mp4' }).catch(({ message }) => message)")
    assert told == "video must be a <video>, a video file or blob, or a MediaStream."
    run(page)
    assert page.evaluate("running.configure({ hands: '2' }).catch(({ message }) => message)") == message
    until_more_frames(page)  # as before


@needs_finder
def test_it_can_be_stopped_while_it_starts(server: Server, site: Site, open_page: Open) -> None:
    page = open_page(site.page(ANY, server.url))
    until(page, "window.start !== undefined")
    told = page.evaluate('start({ signal: AbortSignal.timeout(100) }).then(() => "started", ({ name }) => name)')
    assert told == "TimeoutError"
    until(page, "left().workers === 0 && left().timers === 0")
    assert left(page) == NOTHING
    assert page.evaluate("problems") == []


@needs_finder
def test_it_can_be_stopped_while_the_permission_prompt_is_open(server: Server, site: Site, open_page: Open) -> None:
    page = open_page(site.page(ANY, server.url))
    until(page, "window.start !== undefined")
    told = page.evaluate("""() => {
      const devices = navigator.mediaDevices;
      const getUserMedia = devices.getUserMedia.bind(devices);
      devices.getUserMedia = async (wanted) => {
        await new Promise((resolve) => { window.grant = resolve; });
        window.media = await getUserMedia(wanted);
        return window.media;
      };
      return start({ signal: AbortSignal.timeout(100) }).then(() => "started", ({ name }) => name);
    }""")
    assert told == "TimeoutError"
    page.evaluate("grant()")
    until(page, "window.media?.getTracks().every(({ readyState }) => readyState === 'ended')")
    until(page, "left().workers === 0 && left().timers === 0")
    assert left(page) == NOTHING
    assert page.evaluate("problems") == []


@needs_finder
def test_options_may_be_undefined(server: Server, site: Site, open_page: Open) -> None:
    page = open_page(site.page(ANY, server.url))
    until(page, "window.start !== undefined")
    none = "{ finder: undefined, service: undefined, camera: undefined, video: undefined, hands: undefined }"
    page.evaluate(f"start({none}).then((running) => running.stop())")


@needs_finder
def test_a_video_that_cannot_be_played_is_reported(server: Server, site: Site, open_page: Open) -> None:
    page = open_page(site.page(ANY, server.url))
    until(page, "window.start !== undefined")
    told = page.evaluate("start({ video: new Blob(['no video']) }).catch(({ message, code }) => [message, code])")
    assert told[0].startswith("The browser cannot play this video (")
    assert told[1] == "no_picture"


@needs_finder
def test_a_wake_lock_that_is_granted_after_the_stop_is_released(server: Server, site: Site, open_page: Open) -> None:
    page = open_page(site.page(ANY, server.url))
    until(page, "window.start !== undefined")
    page.evaluate("""() => {
      const { request } = WakeLock.prototype;
      WakeLock.prototype.request = async function (...given) {
        await new Promise((resolve) => { window.grant = resolve; });
        window.lock = await request.apply(this, given);
        return window.lock;
      };
    }""")
    run(page)
    until(page, "window.grant !== undefined")
    page.evaluate("running.stop()")
    page.evaluate("grant()")
    until(page, "window.lock?.released")
    assert_everything_is_released(page)


@needs_finder
def test_it_goes_on_when_the_video_leaves_the_document(server: Server, site: Site, open_page: Open) -> None:
    page = open_page(site.page(ANY, server.url))
    run(page, "{ video: document.body.appendChild(document.createElement('video')) }")
    page.evaluate("new Promise((resolve) => { running.video.onpause = resolve; running.video.remove(); })")
    until_more_frames(page)
    page.evaluate("running.stop()")
    assert_everything_is_released(page)


@needs_hands
def test_two_at_once(server: Server, site: Site, open_page: Open) -> None:
    page = open_page(site.page(ANY, server.url), browser=BEFORE_HANDS)
    until(page, "window.start !== undefined")
    page.evaluate("""void (window.both = [[], []].map((gestures) => {
      const onChange = ({ held }) => held !== "none" && gestures.push(held);
      return { gestures, starting: start({ onChange }) };
    }))""")
    until(page, "both.every(({ gestures }) => gestures.length > 0)")
    page.evaluate("both[0].starting.then(({ stop }) => stop())")
    page.evaluate("void (both[1].gestures.length = 0)")
    until(page, "both[1].gestures.length > 0")
    until(page, "left().workers === 1 && left().sockets === 1")
    assert page.evaluate("left().tracks") == 1


@needs_hands
def test_strict_policies(server: Server, tmp_path: Path, open_page: Open) -> None:
    policy = STRICT.replace("$service", server.url).replace("$stream", server.url.replace("http", "ws"))
    isolated = {"Cross_Origin_Embedder_Policy": "require-corp", "Cross_Origin_Opener_Policy": "same-origin"}
    with serve_folder(tmp_path, Content_Security_Policy=policy, **isolated) as url:
        page = open_page(Site(url, tmp_path).page(FIVE_LINES, server.url), browser=BEFORE_HANDS)
        until(page, "moves.length > 1")
        assert page.evaluate("crossOriginIsolated")


@needs_hands
def test_element_and_canvas_of_the_page(server: Server, site: Site, open_page: Open) -> None:
    elements = '<video id="video"></video><canvas id="canvas"></canvas>'
    page = open_page(site.page(elements + ANY, server.url), browser=BEFORE_HANDS)
    run(page, "{ video, draw: canvas }")
    until(page, "hands.length > 0")
    until(page, "canvas.getContext('2d').getImageData(0, 0, 640, 480).data.some((value) => value > 0)")
    assert page.evaluate("running.video === video && canvas.width === 640 && !video.paused")
    assert page.evaluate("hands[0].length") == len(LIKE)


@needs_hands
def test_finder_that_is_loaded_early(server: Server, site: Site, open_page: Open) -> None:
    page = open_page(site.page(ANY, server.url), browser=BEFORE_HANDS)
    until(page, "window.start !== undefined")
    page.evaluate(f"""import("{server.url}/gestures.js").then(({{ loadFinder }}) => {{
      window.finder = loadFinder({{ hands: 1 }});
    }})""")
    for _ in range(2):
        run(page, "{ finder, video: document.createElement('video') }")
        until(page, "hands.length > 0")
        page.evaluate("running.stop()")
        until(page, "left().sockets === 0 && left().locks === 0 && left().timers === 0")  # a detection may be in flight
        assert left(page) == NOTHING | {"workers": 1}
        page.evaluate("void (frames = 0, hands = [])")
    found = page.evaluate("finder.then((finder) => finder.inPhoto(document.createElement('canvas')))")
    assert found == []
    page.evaluate("finder.then((finder) => finder.close())")
    assert left(page) == NOTHING


@needs_hands
def test_observable_state(server: Server, site: Site, open_page: Open) -> None:
    page = open_page(site.page(ANY, server.url), browser=BEFORE_HANDS)
    until(page, "window.start !== undefined")
    page.evaluate("void (window.told = { states: [], pictures: [], stops: 0 })")
    run(
        page,
        """{
          onState: (state) => told.states.push(state),
          onHands: ([hand], ...others) => hand && told.pictures.push([hand.length, ...others]),
          onStop: () => { told.stops += 1; },
        }""",
    )
    until(page, "told.pictures.length > 0")
    (points, size, milliseconds), *_ = page.evaluate("told.pictures")
    assert (points, size) == (len(LIKE), [640, 480])
    assert 0 < milliseconds < page.evaluate("performance.now()")
    assert page.evaluate("running.camera.isMirrored")
    id_of_track = "running.video.srcObject.getTracks()[0].getSettings().deviceId"
    assert page.evaluate(f"running.camera.id === {id_of_track}")
    assert page.evaluate("told.states") == ["open"]
    assert page.evaluate("told.stops") == 0
    page.evaluate("running.stop(); running.stop()")
    assert page.evaluate("told.stops") == 1
    told = page.evaluate("start({ camera: 'not there' }).catch(({ code }) => code)")
    assert told == "camera_gone"
    page.evaluate("problems.length = 0")


@needs_hands
def test_stream_of_the_page(server: Server, site: Site, open_page: Open) -> None:
    page = open_page(site.page(ANY, server.url), browser=BEFORE_HANDS)
    until(page, "window.start !== undefined")
    page.evaluate("""navigator.mediaDevices.getUserMedia({ video: true }).then((stream) => {
      window.own = stream;
    })""")
    run(page, "{ video: own }")
    until(page, "moves.length > 0")
    page.evaluate("running.stop()")
    assert page.evaluate("own.getTracks()[0].readyState") == "live"
    page.evaluate("void (document.body.innerHTML = '<video id=shown muted></video>')")
    page.evaluate("void (shown.srcObject = own, shown.play())")
    run(page, "{ video: shown }")
    page.evaluate("moves.length = 0")
    until(page, "moves.length > 0")
    page.evaluate("running.stop()")
    assert page.evaluate("shown.srcObject === own && own.getTracks()[0].readyState") == "live"


@needs_finder
def test_gestures_are_released_when_no_picture_comes(server: Server, site: Site, open_page: Open) -> None:
    page = open_page(site.page(ANY, server.url))
    until(page, "window.start !== undefined")
    page.evaluate("""async () => {
      document.body.innerHTML = "<video id=shown muted></video>";
      shown.srcObject = await navigator.mediaDevices.getUserMedia({ video: true });
      await shown.play();
    }""")
    run(page, "{ video: shown }")
    page.evaluate("shown.pause()")
    until(page, "left().sockets === 0")  # which releases them: docs/stream.md
    page.evaluate("void (frames = 0, shown.play())")
    until(page, "frames > 0")
    page.evaluate("running.stop()")
    assert page.evaluate("problems") == []
    until(page, "left().sockets === 0 && left().timers === 0")


@needs_finder
def test_a_camera_that_stops_sending_pictures_is_reported(server: Server, site: Site, open_page: Open) -> None:
    page = open_page(site.page(ANY, server.url))
    until(page, "window.start !== undefined")
    page.evaluate("""void (() => {
      const canvas = document.createElement("canvas");
      const context = canvas.getContext("2d");
      setInterval(() => window.isOff || context.fillRect(0, 0, 9, 9), 100);
      navigator.mediaDevices.getUserMedia = async () => canvas.captureStream(10);
    })()""")
    run(page)
    page.evaluate("void (window.isOff = true)")
    until(page, "problems.length > 0")
    assert page.evaluate("problems.map(([code]) => code)") == ["picture_stopped"]
    until(page, "left().sockets === 0")
    page.evaluate("void (frames = 0, isOff = false)")
    until(page, "frames > 0")
    page.evaluate("running.stop(); problems.length = 0")


@needs_finder
def test_searches_that_take_long_do_not_reconnect(server: Server, site: Site, open_page: Open) -> None:
    page = open_page(site.page(ANY, server.url))
    sockets: list[WebSocket] = []
    page.on("websocket", lambda socket: sockets.append(socket))  # noqa: PLW0108
    until(page, "window.start !== undefined")
    page.evaluate(
        """(hand) => {
          const inVideo = () => new Promise((resolve) => setTimeout(() => resolve([hand]), 5500));
          window.slow = { inVideo, close() {} };
        }""",
        as_objects(LIKE),
    )
    run(page, "{ finder: slow }")
    until(page, "frames > 2")
    page.evaluate("running.stop()")
    assert len(sockets) == 1


@needs_finder
def test_video_of_another_window(server: Server, site: Site, open_page: Open) -> None:
    page = open_page(site.page(ANY, server.url))
    until(page, "window.start !== undefined")
    page.evaluate("""async () => {
      const other = document.body.appendChild(document.createElement("iframe")).contentWindow;
      const camera = await navigator.mediaDevices.getUserMedia({ video: true });
      window.own = new other.MediaStream(camera.getTracks());
      window.shown = other.document.body.appendChild(other.document.createElement("video"));
      window.film = new other.Blob(["no film"], { type: "video/webm" });
    }""")
    assert page.evaluate("!(own instanceof MediaStream || shown instanceof HTMLVideoElement || film instanceof Blob)")
    run(page, "{ video: own }")
    page.evaluate("running.stop()")
    page.evaluate("frames = 0")
    run(page, "{ video: shown }")
    assert page.evaluate("running.video === shown")
    page.evaluate("running.stop()")
    assert page.evaluate("start({ video: film }).catch(({ code }) => code)") != "invalid_request"
    page.evaluate("problems.length = 0")


@needs_finder
def test_camera_denied(server: Server, site: Site, open_page: Open) -> None:
    page = open_page(site.page(ANY, server.url), browser=(FAKE_CAMERA, "--deny-permission-prompts"))
    until(page, "window.start !== undefined")
    told = page.evaluate("start().catch(({ code, message }) => [code, message])")
    assert told[0] == "camera_denied"
    assert told[1].startswith("The camera was denied: allow it for this page")
    assert page.evaluate("problems") == [told]
    until(page, "left().workers === 0")
    assert left(page) == NOTHING


@needs_finder
def test_camera_that_is_unplugged(server: Server, site: Site, open_page: Open) -> None:
    page = open_page(site.page(ANY, server.url))
    run(page)
    page.evaluate("running.video.srcObject.getTracks()[0].dispatchEvent(new Event('ended'))")
    assert_everything_is_released(page)
    assert page.evaluate("problems.map(([code]) => code)") == ["camera_gone"]


@needs_finder
def test_hidden_tab_is_paused(server: Server, site: Site, open_page: Open) -> None:
    page = open_page(site.page(ANY, server.url))
    run(page)
    page.evaluate(HIDE, True)
    until(page, "left().sockets === 0")
    frames = page.evaluate("frames")
    assert page.evaluate("new Promise((resolve) => setTimeout(() => resolve(frames), 500))") == frames
    page.evaluate(HIDE, False)
    until(page, f"frames > {frames}")
    assert page.evaluate("problems") == []


@needs_finder
def test_search_that_ends_in_the_background_does_not_connect(server: Server, site: Site, open_page: Open) -> None:
    page = open_page(site.page(ANY, server.url))
    run(page)
    page.evaluate(
        f"""() => {{
          const make = window.createImageBitmap;
          window.createImageBitmap = (...given) => {{
            window.createImageBitmap = make;
            ({HIDE})(true);
            return make(...given);
          }};
        }}"""
    )
    until(page, "document.hidden")
    page.evaluate("running.configure({ hands: 1 })")  # in turn, after the search
    until(page, "left().sockets === 0")
    assert page.evaluate("new Promise((resolve) => setTimeout(() => resolve(left().sockets), 500))") == 0


@needs_finder
def test_stop_when_hands_were_found(server: Server, site: Site, open_page: Open) -> None:
    page = open_page(site.page(ANY, server.url))
    sockets: list[WebSocket] = []
    page.on("websocket", lambda socket: sockets.append(socket))  # noqa: PLW0108
    until(page, "window.start !== undefined")
    page.evaluate("""void (window.ending = new AbortController(), start({
      signal: ending.signal,
      onHands: () => { ending.abort(); window.ended = true; },
    }))""")
    until(page, "window.ended && left().locks === 0")
    assert left(page) == NOTHING
    assert not sockets


@needs_finder
def test_stop_before_a_picture_is_searched(server: Server, site: Site, open_page: Open) -> None:
    page = open_page(site.page(ANY, server.url))
    run(page)
    page.evaluate(
        """() => {
          const make = window.createImageBitmap;
          window.createImageBitmap = async (...given) => {
            window.createImageBitmap = make;
            const picture = await make(...given);
            running.stop();
            setTimeout(() => { window.stopped = true; });
            return picture;
          };
        }"""
    )
    until(page, "window.stopped && left().sockets === 0 && left().locks === 0")
    assert left(page) == NOTHING


@needs_finder
def test_finder_survives_the_stop_of_a_search_that_waits_for_it(server: Server, site: Site, open_page: Open) -> None:
    page = open_page(site.page(ANY, server.url))
    until(page, "window.start !== undefined")
    page.evaluate(f"""import("{server.url}/gestures.js").then(async ({{ loadFinder }}) => {{
      window.finder = await loadFinder();
      window.both = await Promise.all([start({{ finder }}), start({{ finder }})]);
    }})""")
    until(page, "window.both && frames > 0")
    page.evaluate(
        """() => {
          const make = window.createImageBitmap;
          window.createImageBitmap = async (searched) => {
            window.createImageBitmap = make;
            const picture = await make(searched);
            const other = both.find(({ video }) => video !== searched);
            await new Promise((resolve) => other.video.requestVideoFrameCallback(() => setTimeout(resolve)));
            other.stop();
            window.stopped = true;
            return picture;
          };
        }"""
    )
    until(page, "window.stopped")
    frames = page.evaluate("frames")
    until(page, f"frames > {frames} + 2 || finder.isClosed()")
    assert page.evaluate("[finder.isClosed(), problems]") == [False, []]


@needs_finder
def test_source_of_a_video_changes_while_it_is_searched(server: Server, site: Site, open_page: Open) -> None:
    page = open_page(site.page("<video id=shown muted></video>" + ANY, server.url))
    until(page, "window.start !== undefined")
    page.evaluate("""async () => {
      window.own = await navigator.mediaDevices.getUserMedia({ video: true });
      shown.srcObject = own;
      await shown.play();
    }""")
    run(page, "{ video: shown }")
    remove = """() => {
      const make = window.createImageBitmap;
      window.createImageBitmap = async (...given) => {
        window.createImageBitmap = make;
        const picture = await make(...given);
        shown.srcObject = null;
        return picture;
      };
    }"""
    page.evaluate(remove)
    until(page, "shown.srcObject === null")
    page.evaluate("running.configure({ hands: 1 })")  # in turn, after the search
    page.evaluate("shown.srcObject = own.clone(); shown.play()")
    frames = page.evaluate("frames")
    until(page, f"frames > {frames} + 2 || problems.length > 0")
    page.evaluate(remove)
    until(page, "shown.srcObject === null && left().sockets === 0")
    assert page.evaluate("problems") == []


@needs_finder
def test_element_that_had_a_source_shows_the_camera(server: Server, site: Site, open_page: Open) -> None:
    page = open_page(site.page("<video id=shown></video>" + ANY, server.url))
    page.evaluate("""new Promise((resolve) => {
      shown.onerror = resolve;
      shown.src = "data:video/webm,film";
    })""")
    page.evaluate("(shown.removeAttribute('src'), shown.load())")
    run(page, "{ video: shown }")
    assert page.evaluate("running.camera !== null")


@needs_finder
def test_camera_that_is_unplugged_while_mediapipe_loads(server: Server, site: Site, open_page: Open) -> None:
    page = open_page(site.page("<video id=shown></video>" + ANY, server.url))
    until(page, "window.start !== undefined")
    page.evaluate(f"""void import("{server.url}/gestures.js").then(({{ loadFinder }}) => {{
      const finder = new Promise((resolve) => {{ window.load = () => resolve(loadFinder()); }});
      start({{ video: shown, finder }}).catch(({{ code, message }}) => {{ window.told = [code, message]; }});
    }})""")
    until(page, "window.load && !shown.paused")
    page.evaluate("shown.srcObject.getTracks()[0].dispatchEvent(new Event('ended'))")
    page.evaluate("load()")
    until(page, "window.told")
    assert page.evaluate("told[0]") == "camera_gone"
    assert page.evaluate("problems") == [page.evaluate("told")]


@needs_finder
def test_it_starts_again_when_it_is_stopped(server: Server, site: Site, open_page: Open) -> None:
    page = open_page(site.page("<video id=shown></video>" + ANY, server.url))
    run(page, "{ video: shown, onStop: () => { window.again = start({ video: shown }); } }")
    page.evaluate("running.stop()")
    assert page.evaluate("again.then(({ camera }) => camera !== null)")
    until_more_frames(page)
    page.evaluate("again.then(({ stop }) => stop())")
    assert_everything_is_released(page)


@needs_finder
def test_configure_that_a_stop_overtakes(server: Server, site: Site, open_page: Open) -> None:
    page = open_page(site.page(ANY, server.url))
    run(page)
    page.evaluate("""(() => {
      const configured = running.configure({ hands: 1 });
      running.stop();
      return configured;
    })()""")
    page.evaluate("running.configure({ hands: 2 })")


@needs_finder
def test_it_goes_on_although_the_callback_for_hands_throws(server: Server, site: Site, open_page: Open) -> None:
    page = open_page(site.page(ANY, server.url))
    page.evaluate("""void addEventListener("error", (event) => {
      event.preventDefault();
      window.thrown = event.error.message;
    })""")
    run(page, "{ onHands() { throw new Error('mine'); } }")
    assert page.evaluate("[thrown, problems]") == ["mine", []]


@needs_finder
def test_finder_that_has_loaded(server: Server, site: Site, open_page: Open) -> None:
    page = open_page(site.page(ANY, server.url))
    until(page, "window.start !== undefined")
    load = f"import('{server.url}/gestures.js').then(({{ loadFinder }}) => loadFinder())"
    page.evaluate(f"{load}.then((finder) => {{ window.finder = finder; }})")
    run(page, "{ finder }")
    page.evaluate("running.stop()")
    assert page.evaluate("[left().workers, finder.isClosed()]") == [1, False]


@needs_finder
def test_finder_that_fails_before_a_game_starts_is_reported_then(server: Server, site: Site, open_page: Open) -> None:
    page = open_page(site.page(ANY, server.url))
    until(page, "window.start !== undefined")
    told = page.evaluate(f"""async () => {{
      const unhandled = [];
      addEventListener("unhandledrejection", ({{ reason }}) => unhandled.push(reason.message));
      const {{ loadFinder }} = await import("{server.url}/gestures.js");
      const finder = loadFinder({{ hands: 0 }});
      await new Promise((resolve) => setTimeout(resolve, 100));
      return [unhandled, await start({{ finder }}).catch(({{ message }}) => message)];
    }}""")
    assert told == [[], "hands must be a whole number of at least 1."]


@needs_finder
def test_detection_options_are_used(server: Server, site: Site, open_page: Open) -> None:
    page = open_page(site.page(ANY, server.url))
    sent: list[str | bytes] = []
    page.on("websocket", lambda socket: socket.on("framesent", lambda message: sent.append(message)))  # noqa: PLW0108
    run(page, "{ holdMs: 300, hands: 1 }")
    page.evaluate("running.configure({ hands: 2, holdMs: 500 })")
    until_more_frames(page)
    page.evaluate("running.configure({ hands: 1 })")  # does not connect again
    until_more_frames(page)
    settings = [json.loads(message) for message in sent if isinstance(message, str)]
    assert [setting["hold_ms"] for setting in settings] == [300, 500]
    told = page.evaluate("running.configure({ hands: 0 }).catch(({ message }) => message)")
    assert told == "hands must be a whole number of at least 1."
    assert settings[0]["image_size"] == [640, 480]


def test_mediapipe_results_of_the_page(server: Server, site: Site, open_page: Open) -> None:
    page = open_page(site.page(ANY, server.url))
    own(page)
    hand = as_objects(LIKE)
    side = [{"index": 0, "score": 0.98, "categoryName": "Right", "displayName": "Right"}]
    task = {"landmarks": [hand], "worldLandmarks": [hand], "handedness": [side], "handednesses": [side]}
    send(page, task, IMAGE_SIZE)
    assert page.evaluate("[moves, seen]") == [["up"], ["like"]]
    send(page, {"landmarks": [], "worldLandmarks": [], "handedness": []}, IMAGE_SIZE)
    legacy = {
        "multiHandLandmarks": [as_objects(REFERENCE.hands["dislike"])],
        "multiHandedness": [{"label": "Left", "score": 0.9, "index": 1}],
        "image": {"width": IMAGE_SIZE[0], "height": IMAGE_SIZE[1]},
    }
    send(page, legacy)
    assert page.evaluate("[moves, seen]") == [["up", "down"], ["like", "dislike"]]
    send(page, {"image": legacy["image"]})  # without a hand
    assert page.evaluate("answers") == []
    page.evaluate("stream.close()")
    assert_everything_is_released(page)
    page.evaluate("stream.send([], [640, 480])")
    page.evaluate("stream.configure({ holdMs: 0 })")
    assert left(page) == NOTHING


def test_image_size_of_results_is_used(server: Server, site: Site, open_page: Open) -> None:
    page = open_page(site.page(ANY, server.url))
    sent: list[str | bytes] = []
    page.on("websocket", lambda socket: socket.on("framesent", lambda message: sent.append(message)))  # noqa: PLW0108
    own(page)
    wide = [{"x": x * 0.75 * 9 / 16, "y": y, "z": z} for x, y, z in REFERENCE.hands["palm"]]
    for width, height in ((1280, 720), (720, 1280)):
        send(page, {"landmarks": [wide]}, {"videoWidth": width, "videoHeight": height}, frames=2)
    settings = [json.loads(message) for message in sent if isinstance(message, str)]
    assert [setting["image_size"] for setting in settings] == [[1280, 720], [720, 1280]]
    assert page.evaluate("seen[0]") == "palm"
    error = page.evaluate("(() => { try { stream.send([]); } catch (error) { return error.message; } })()")
    assert error == "send() needs the picture, or its [width, height], beside MediaPipe's results"


@pytest.mark.parametrize(
    ("options", "answered", "seconds"),
    [({}, 0, 5), ({"gestures": gestures("L")}, 0, 20), ({"gestures": gestures("L")}, 1, 5)],
)
def test_service_that_does_not_answer(
    server: Server, site: Site, open_page: Open, options: dict[str, object], answered: int, seconds: int
) -> None:
    answers = ["[]"] * answered
    unanswered: list[bytes] = []

    def answer(socket: WebSocketRoute) -> None:
        def take(message: str | bytes) -> None:
            if isinstance(message, bytes) and answers:
                socket.send(answers.pop())
            elif isinstance(message, bytes):
                unanswered.append(message)

        socket.on_message(take)

    page = open_page()
    page.clock.install()
    page.route_web_socket("**/stream", answer)
    page.goto(site.page(ANY, server.url))
    own(page, json.dumps(options))
    while not unanswered:
        page.evaluate("stream.send([], [640, 480])")
        page.wait_for_timeout(50)
    assert page.evaluate("frames") == answered
    if seconds > 5:
        page.clock.fast_forward(1000 * seconds // 2)
        assert page.evaluate("problems") == []
    page.clock.fast_forward(1000 * seconds)
    assert page.evaluate("problems.map(([code]) => code)") == ["service_away"]
    page.evaluate("stream.close()")


def test_refusal_whose_reason_never_comes(home: Path, site: Site, open_page: Open) -> None:
    with serve(home, ALLOWED_ORIGINS="https://game.example") as server:
        page = open_page(errors="WebSocket connection")
        asked: list[Route] = []
        page.route("**/stream", lambda route: asked.append(route))  # noqa: PLW0108
        page.goto(site.page(ANY, server.url))
        own(page)
        page.evaluate("stream.send([], [640, 480])")
        until(page, "problems.length > 0")
        assert page.evaluate("problems[0][0]") == "service_away"
        assert asked
        page.evaluate("stream.close()")


def test_refusal_whose_reason_comes_late(home: Path, site: Site, open_page: Open) -> None:
    with serve(home, ALLOWED_ORIGINS="https://game.example") as server:
        page = open_page(errors=("WebSocket connection", "Failed to load resource"))
        asked: list[Route] = []
        page.route("**/stream", lambda route: asked.append(route))  # noqa: PLW0108
        page.clock.install()
        page.goto(site.page(ANY, server.url))
        page.evaluate("AbortSignal.timeout = () => new AbortController().signal")  # the request has its own limit
        own(page)
        page.evaluate("stream.send([], [640, 480])")
        while not asked:
            page.wait_for_timeout(50)
        page.clock.fast_forward(10_000)  # the time to connect
        asked[0].continue_()
        until(page, "problems.length > 0")
        assert page.evaluate("problems") == [["forbidden_origin", REFUSED]]


def test_callback_that_sends_the_next_frame(server: Server, site: Site, open_page: Open) -> None:
    page = open_page(site.page(ANY, server.url))
    page.evaluate("void (window.answered = [])")
    own(
        page,
        """{
          onChange: () => stream.send([], [640, 480]),
          onFrame: (answers, hands) => answered.push([answers.length, hands.length]),
        }""",
    )
    hands = json.dumps([as_objects(LIKE)])
    page.evaluate(f"void (window.sending = setInterval(() => stream.send({hands}, [640, 480]), 20))")
    until(page, "answered.some(([answers]) => answers === 0)")
    page.evaluate("void (clearInterval(sending), stream.close())")
    assert page.evaluate("answered.filter(([answers, hands]) => answers !== hands)") == []


def test_service_that_does_not_even_accept(site: Site, server: Server, open_page: Open) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # connected by the system, and never answered
        page = open_page()
        page.clock.install()
        page.goto(site.page(ANY, server.url))
        own(page, f"{{ service: 'http://127.0.0.1:{silent.getsockname()[1]}' }}")
        page.evaluate("stream.send([], [640, 480])")
        page.clock.fast_forward(5_000)
        assert page.evaluate("problems") == []
        page.clock.fast_forward(5_000)
        assert page.evaluate("problems.map(([code]) => code)") == ["service_away"]
        page.evaluate("stream.close()")


def test_refusal_after_the_service_was_away(server: Server, site: Site, open_page: Open) -> None:
    opened: list[WebSocketRoute] = []

    def refuse(socket: WebSocketRoute) -> None:
        opened.append(socket)
        code = 1011 if len(opened) == 1 else 1009
        socket.on_message(lambda _: socket.close(code=code))

    page = open_page()
    page.route_web_socket("**/stream", refuse)
    page.goto(site.page(ANY, server.url))
    own(page)
    page.evaluate("stream.send([], [640, 480])")
    until(page, "problems.length > 1")
    assert page.evaluate("problems.map(([code]) => code)") == ["service_away", "refused"]


@pytest.mark.parametrize("given", ["file", "gestures", "address"])
def test_own_gestures(server: Server, site: Site, open_page: Open, given: str) -> None:
    saved = gestures("L", command="jump")
    (site.folder / "my.json").write_text(json.dumps(saved))
    page = open_page(site.page(ANY, server.url))
    option = {"file": json.dumps(saved), "gestures": json.dumps(saved["gestures"]), "address": "'my.json'"}[given]
    own(page, options=f"{{ gestures: {option} }}")
    hand = [{"x": x / IMAGE_SIZE[0], "y": y / IMAGE_SIZE[1]} for x, y in recording("L", seed=1)[0]]
    send(page, [hand], IMAGE_SIZE)
    assert page.evaluate("[moves, seen]") == [["jump"], ["L"]]


def test_missing_file_of_gestures(server: Server, site: Site, open_page: Open) -> None:
    page = open_page(site.page(ANY, server.url), errors="Failed to load resource")
    own(page, options="{ gestures: 'nothing.json' }")
    page.evaluate("stream.send([], [640, 480])")
    until(page, "problems.length > 0")
    assert page.evaluate("problems[0][0]") == "gestures_unreadable"
    page.evaluate("stream.configure({ gestures: { like: { hands: [] } } })")
    until(page, "problems.length > 1")
    assert page.evaluate("problems[1][0]") == "invalid_request"


def test_file_of_gestures_that_comes_late(server: Server, site: Site, open_page: Open) -> None:
    page = open_page(site.page(ANY, server.url), errors="Failed to load resource")
    page.evaluate("void addEventListener('unhandledrejection', (event) => event.preventDefault())")
    own(page, "{ gestures: 'my.json', onProblem(problem) { problems.push(problem); throw new Error('mine'); } }")
    page.evaluate("stream.send([], [640, 480])")
    until(page, "problems.length > 0")
    (site.folder / "my.json").write_text(json.dumps(gestures("L", command="jump")))
    hand = [{"x": x / IMAGE_SIZE[0], "y": y / IMAGE_SIZE[1]} for x, y in recording("L", seed=1)[0]]
    frame = json.dumps([[hand], IMAGE_SIZE])
    page.evaluate(f"void (window.sending = setInterval(() => stream.send(...{frame}), 20))")
    until(page, "moves.length > 0")
    page.evaluate("void (clearInterval(sending), stream.close())")
    assert page.evaluate("[moves, seen]") == [["jump"], ["L"]]
    page.evaluate("stream.configure({ gestures: 'nothing.json' })")
    assert left(page)["timers"] == 0


@pytest.mark.parametrize("saved", [{}, [], {"error": "not found"}])
def test_own_gestures_in_a_file_of_something_else(server: Server, site: Site, open_page: Open, saved: object) -> None:
    (site.folder / "other.json").write_text(json.dumps(saved))
    page = open_page(site.page(ANY, server.url))
    own(page, options="{ gestures: 'other.json' }")
    page.evaluate("stream.send([], [640, 480])")
    until(page, "problems.length > 0")
    assert page.evaluate("problems[0][0]") == "gestures_unreadable"


def test_origin_that_is_not_allowed(home: Path, site: Site, open_page: Open) -> None:
    with serve(home, ALLOWED_ORIGINS="https://game.example") as server:
        page = open_page(site.page(ANY, server.url), errors=("WebSocket connection", "Failed to load resource"))
        own(page)
        page.evaluate("stream.send([], [640, 480])")
        until(page, "problems.length > 0")
        until(page, "left().sockets === 0")
        assert left(page) == NOTHING  # it does not reconnect
        assert page.evaluate("problems") == [["forbidden_origin", REFUSED]]


def test_policy_that_forbids_the_stream(server: Server, site: Site, open_page: Open) -> None:
    policy = f"<meta http-equiv=content-security-policy content='connect-src {server.url}'>"
    errors = ("Connecting to", "policy: ", "Failed to load resource")  # the stream's address answers no plain request
    page = open_page(site.page(policy + ANY, server.url), errors=errors)
    own(page)
    page.evaluate("stream.send([], [640, 480])")
    until(page, "problems.length > 0")
    assert page.evaluate("problems[0][0]") == "service_away"


def test_keys(home: Path, site: Site, open_page: Open) -> None:
    with start(home, API_KEY="the right one") as server:
        wait_until_ready(server)
        page = open_page(site.page(ANY, server.url), errors="WebSocket connection")  # when the service has gone
        own(page)
        page.evaluate("stream.send([], [640, 480])")
        until(page, "problems.length > 0")
        code, message = page.evaluate("problems[0]")
        assert code == "unauthorized"
        assert message.startswith("This server asks for a key")
        page.evaluate("stream.configure({ key: 'the right one' })")
        page.evaluate("problems.length = 0")
        send(page, [as_objects(LIKE)], IMAGE_SIZE)
        assert page.evaluate("[moves, problems]") == [["up"], []]


def test_callback_that_asks_for_a_key_until_it_is_right(home: Path, site: Site, open_page: Open) -> None:
    with start(home, API_KEY="the right one") as server:
        wait_until_ready(server)
        page = open_page(site.page(ANY, server.url), errors="WebSocket connection")  # when the service has gone
        page.evaluate("void (window.keys = ['a wrong one', 'another', 'the right one'])")
        own(page, "{ onProblem: ({ code }) => { problems.push(code); stream.configure({ key: keys.shift() }); } }")
        page.evaluate("void (window.sending = setInterval(() => stream.send([], [640, 480]), 20))")
        until(page, "frames > 0")
        assert page.evaluate("problems") == ["unauthorized"] * 3
        page.evaluate("void (clearInterval(sending), stream.close())")


def test_service_that_goes_away_and_comes_back(home: Path, site: Site, open_page: Open) -> None:
    port = free_port()
    with serve(home, port=port) as server:
        page = open_page(site.page(ANY, server.url), errors="WebSocket connection")
        own(page)
        send(page, [as_objects(LIKE)], IMAGE_SIZE)
        page.evaluate("setInterval(() => stream.send([], [640, 480]), 50)")
        server.stop()
    until(page, "problems.length > 0")
    frames = page.evaluate("frames")
    with start(home, port=port):
        until(page, f"frames > {frames}")
        assert page.evaluate("problems.map(([code]) => code)") == ["service_away"]


@pytest.mark.parametrize(
    "callback",
    [
        "onProblem: () => stream.close()",
        "onState: (state) => state === 'away' && stream.close()",
        "onChange: ({ held }) => held === 'none' && stream.close()",
    ],
)
def test_callback_that_closes_the_stream_when_the_service_goes_away(
    home: Path, site: Site, open_page: Open, callback: str
) -> None:
    with serve(home) as server:
        page = open_page(site.page(ANY, server.url), errors="WebSocket connection")
        page.evaluate("void (window.states = [])")
        own(page, f"{{ onState: (state) => states.push(state), {callback} }}")
        send(page, [as_objects(LIKE)], IMAGE_SIZE)
        assert page.evaluate("left().sockets") == 1
    until(page, "left().sockets === 0")
    assert left(page) == NOTHING  # not even a timer to reconnect
    assert "away" not in page.evaluate("states")  # no callback after it was closed


def test_no_callback_after_the_stream_was_closed_by_one(server: Server, site: Site, open_page: Open) -> None:
    page = open_page(site.page(ANY, server.url))
    page.evaluate("void (window.changes = [])")
    own(page, "{ onChange: ({ hand, held }) => { changes.push([hand, held, frames]); stream.close(); } }")
    hands = [as_objects(REFERENCE.hands["like"]), as_objects(REFERENCE.hands["dislike"])]
    for point in hands[1]:
        point["x"] += 0.5  # another hand, not the same one
    page.evaluate(f"void (window.sending = setInterval(() => stream.send({json.dumps(hands)}, [640, 480]), 20))")
    until(page, "left().sockets === 0 && changes.length > 0")
    page.evaluate("clearInterval(sending)")
    frames = page.evaluate("frames")
    assert page.evaluate("changes") == [[1, "like", frames], [1, "none", frames]]
    assert left(page) == NOTHING


def test_callback_that_configures_the_stream_while_it_reconnects(server: Server, site: Site, open_page: Open) -> None:
    page = open_page(site.page(ANY, server.url))
    sockets: list[WebSocket] = []
    page.on("websocket", lambda socket: sockets.append(socket))  # noqa: PLW0108
    own(page, "{ onChange: ({ held }) => held === 'none' && stream.configure({ holdMs: 100 }) }")
    send(page, [as_objects(LIKE)], IMAGE_SIZE)
    width, height = IMAGE_SIZE
    send(page, [], [height, width])  # the phone was rotated, which releases the gesture
    assert len(sockets) == 2
    page.evaluate("stream.close()")
    assert_everything_is_released(page)


def test_it_comes_back_although_callbacks_throw(home: Path, site: Site, open_page: Open) -> None:
    thrown: list[str] = []
    port = free_port()
    with serve(home, port=port) as server:
        # What a page throws is judged below, not as an error in its console
        page = open_page(site.page(ANY, server.url), errors="WebSocket connection")
        page.evaluate("void addEventListener('error', (event) => event.preventDefault())")
        page.on("pageerror", lambda error: thrown.append(error.message))
        own(page, "{ onChange() { throw new Error('mine'); }, onProblem() { throw new Error('mine'); } }")
        send(page, [as_objects(LIKE)], IMAGE_SIZE)
        page.evaluate("void setInterval(() => stream.send([], [640, 480]), 50)")
        server.stop()
    with start(home, port=port):
        until_more_frames(page)


def test_a_path_prefix_is_kept(server: Server, site: Site, open_page: Open) -> None:
    page = open_page()
    opened: list[str] = []

    def forward(route: Route) -> None:
        route.fulfill(response=route.fetch(url=route.request.url.replace("/hands/", "/", 1)))

    page.route("**/hands/**", forward)
    page.route_web_socket("**/stream", lambda socket: opened.append(socket.url))
    page.goto(site.page(ANY, f"{server.url}/hands"))
    own(page)
    page.evaluate("stream.send([], [640, 480])")
    until(page, "left().sockets > 0")
    assert opened == [server.url.replace("http", "ws") + "/hands/stream"]
