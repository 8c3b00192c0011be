from __future__ import annotations

import gzip
import io
import json
import pickle
import re
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from websockets.sync.server import ServerConnection
from websockets.sync.server import serve as serve_websockets

from tests.hands import IMAGE_SIZE, LIKE, REFERENCE, as_objects
from tests.own_gestures import gestures
from tests.server import PROJECT, Server, free_port, serve, start, wait_until_ready


def run(*command: str, stdin: str | None = None) -> str:
    result = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False, input=stdin)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_curl(server: Server) -> None:
    assert json.loads(run("sh", "examples/curl.sh", "rock", server.url))["gesture"] == "rock"


def test_python_client(server: Server) -> None:
    lines = run(sys.executable, "examples/python_client.py", server.url).splitlines()
    assert lines[0].startswith("sync: {'gesture': 'like'")
    assert lines[1] == "batch: ['fist', 'palm']"
    assert lines[2] == f"async: {[*REFERENCE.hands]}"


def test_python_stream_client(server: Server) -> None:
    lines = run(sys.executable, "examples/stream_client.py", server.url.replace("http", "ws") + "/stream").splitlines()
    changes = [line.split()[0] for line in lines]
    # On a busy machine a pause may release a gesture, which is then held again
    assert [*dict.fromkeys(gesture for gesture in changes if gesture != "none")] == [*REFERENCE.hands]


def test_python_stream_client_with_gestures_of_its_own(server: Server, tmp_path: Path) -> None:
    file = tmp_path / "my_gestures.json"
    file.write_text(json.dumps(gestures("L", "pinky", command="jump")))
    address = server.url.replace("http", "ws") + "/stream"
    lines = run(sys.executable, "examples/stream_client.py", address, "--gestures", str(file)).splitlines()
    changes = [line.split()[:2] for line in lines if not line.startswith("none")]
    assert [*dict.fromkeys(gesture for gesture, _ in changes)] == [*REFERENCE.hands, "L", "pinky"]
    assert [command for _, command in changes[-2:]] == ["jump", "jump"]


def test_python_stream_client_says_what_is_wrong(tmp_path: Path) -> None:
    client = (sys.executable, "examples/stream_client.py", f"ws://127.0.0.1:{free_port()}/stream")
    (tmp_path / "hand.json").write_text('{"landmarks": []}')
    (tmp_path / "list.json").write_text("[1]")
    for options, message in (
        ([], "The service does not answer: "),
        *(
            (["--gestures", str(tmp_path / name)], "The gestures cannot be read: ")
            for name in ("missing.json", "hand.json", "list.json")
        ),
    ):
        result = subprocess.run([*client, *options], cwd=PROJECT, capture_output=True, text=True, check=False)
        assert result.returncode == 1
        assert result.stderr.startswith(message)


def test_python_stream_client_says_that_the_service_stopped(home: Path) -> None:
    with serve(home) as server:
        command = (sys.executable, "examples/stream_client.py", server.url.replace("http", "ws") + "/stream")
        with subprocess.Popen(
            command, cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as client:
            assert client.stdout
            assert client.stdout.readline()
            server.stop()
            message = client.communicate()[1]
    assert message.startswith("The service has closed the stream: received 1012 (service restart) ")


ANSWERS = [
    {"error": "No answer within 2 seconds.", "reason": "timeout"},
    {"error": "The server is overloaded.", "reason": "overloaded"},
    [{"hand": 1, "gesture": "like", "held": "like", "command": "up", "changed": True}],
    {"error": "This is wrong.", "reason": "malformed_landmarks"},
]
MODELS = PROJECT / "build" / "mediapipe" / "hand_landmarker.task.gz"
WEBCAM_WITHOUT_A_SCREEN = """
import runpy, cv2
cv2.imshow, cv2.waitKey = lambda *_: None, lambda _: -1
runpy.run_path("examples/webcam.py", run_name="__main__")
"""


@pytest.fixture
def stream_with_lost_frames() -> Iterator[str]:
    """The address of a stream whose first frames get no answer."""

    def answer(stream: ServerConnection) -> None:
        stream.recv()  # the settings
        for told in ANSWERS:
            stream.recv()
            stream.send(json.dumps(told))

    with serve_websockets(answer, "127.0.0.1", 0) as service:
        threading.Thread(target=service.serve_forever, daemon=True).start()
        yield f"ws://127.0.0.1:{service.socket.getsockname()[1]}"


@pytest.fixture
def film(tmp_path: Path) -> str:
    """A film without hands."""
    pytest.importorskip("cv2", reason="OpenCV is not installed, or lacks a library of the system", exc_type=ImportError)
    pytest.importorskip(
        "mediapipe", reason="MediaPipe is not installed, or lacks a library of the system", exc_type=ImportError
    )
    picture = io.BytesIO()
    Image.new("RGB", (640, 480)).save(picture, "JPEG")
    path = tmp_path / "film.mjpeg"
    path.write_bytes(2 * len(ANSWERS) * picture.getvalue())
    return str(path)


def assert_lost_frames_are_skipped(*command: str) -> None:
    result = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout) == (1, "like up (hand 1)\n"), result.stderr
    assert "This is wrong." in result.stderr


def test_python_stream_client_skips_lost_frames(stream_with_lost_frames: str) -> None:
    assert_lost_frames_are_skipped(sys.executable, "examples/stream_client.py", stream_with_lost_frames)


@pytest.mark.skipif(not MODELS.exists(), reason="MediaPipe was not fetched: run make page")
def test_webcam_skips_lost_frames(stream_with_lost_frames: str, film: str) -> None:
    assert_lost_frames_are_skipped(sys.executable, "-c", WEBCAM_WITHOUT_A_SCREEN, film, stream_with_lost_frames)


def test_webcam_loads_mediapipe_before_it_connects(tmp_path: Path, film: str) -> None:
    for folder in ("examples", "build/mediapipe"):
        (tmp_path / folder).mkdir(parents=True)
    example = shutil.copy(PROJECT / "examples" / "webcam.py", tmp_path / "examples")
    (tmp_path / "build" / "mediapipe" / MODELS.name).write_bytes(gzip.compress(b"no models"))
    command = (sys.executable, example, film, f"ws://127.0.0.1:{free_port()}")
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "create_from_options" in result.stderr
    assert "The service does not answer" not in result.stderr


def test_service_that_depends_on_this_one(server: Server, tmp_path: Path) -> None:
    port = free_port()
    service = "examples.depending_service:Game"
    with start(tmp_path, service, port=port, HAND_GESTURE_URL=server.url, BENTOML_PORT=port) as game:
        wait_until_ready(game)
        for gesture, move in (("like", "up"), ("rock", "stay")):
            answer = game.client.post("/move", json={"landmarks": REFERENCE.hands[gesture]})
            assert answer.text == move


def test_depending_on_the_class_gets_a_helpful_error(server: Server) -> None:
    headers = {"Content-Type": "application/vnd.bentoml+pickle"}
    answer = server.client.post("/predict", content=pickle.dumps({"landmarks": LIKE}), headers=headers)
    assert answer.status_code == 415
    assert "use bentoml.depends(url=" in answer.json()["error"]


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
def test_browser_function(server: Server) -> None:
    """The function that the page uses, in a JavaScript engine with the same fetch."""
    script = f"""
        import {{ classify }} from "{(PROJECT / "examples" / "classify.js").as_uri()}";
        const hand = {json.dumps(as_objects(LIKE))};
        console.log((await classify("{server.url}", hand, {json.dumps(IMAGE_SIZE)})).gesture);
        await classify("{server.url}", hand.slice(1), null).catch((error) => console.log(error.message));
    """
    lines = run("node", "--input-type=module", "-", stdin=script).splitlines()
    assert lines[0] == "like"
    assert lines[1].startswith("Landmark 20 PINKY_TIP has no finite")


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
def test_browser_function_does_not_wait_forever() -> None:
    script = f"""
        import {{ classify }} from "{(PROJECT / "examples" / "classify.js").as_uri()}";
        const timeout = AbortSignal.timeout;
        AbortSignal.timeout = (milliseconds) => timeout.call(AbortSignal, milliseconds / 10);
        await classify(process.argv[2], [], null).catch((error) => console.log(error.name));
    """
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        command = ("node", "--input-type=module", "-", url)
        result = subprocess.run(command, capture_output=True, text=True, check=True, input=script, timeout=60)
    assert result.stdout == "TimeoutError\n"


STREAM = """
    import {{ openStream }} from "{module}";
    const hand = {hand};
    const stream = openStream("{address}", {{
      settings: {{ image_size: {size}, key: "{key}" }},
      onChange: ({{ hand, held }}) => console.log(hand, held),
      onAnswer: (hands) => {{
        console.log(...hands.map(({{ hand, gesture }}) => `hand ${{hand}}: ${{gesture}}`));
        if (!hands.length) process.exit();
        stream.send([]);
      }},
      onState: (state, sentence) => {{
        console.log(state, sentence);
        if (state === "refused") process.exit();
      }},
    }});
    stream.send([hand]);
"""


def has_websocket() -> bool:
    check = ["node", "--experimental-websocket", "--eval", "process.exit(typeof WebSocket === 'function' ? 0 : 1)"]
    return shutil.which("node") is not None and subprocess.run(check, capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(not has_websocket(), reason="node with a WebSocket is not installed")
def test_browser_stream(home: Path) -> None:
    """The module that a page uses, in a JavaScript engine with the same WebSocket."""
    with start(home, API_KEY="secret") as server:
        wait_until_ready(server)
        lines = []
        for key in ("secret", "wrong"):
            script = STREAM.format(
                module=(PROJECT / "hand_gesture" / "web" / "page" / "stream.js").as_uri(),
                hand=json.dumps(as_objects(LIKE)),
                address=server.url.replace("http", "ws") + "/stream",
                size=json.dumps(IMAGE_SIZE),
                key=key,
            )
            options = ("--experimental-websocket", "--no-warnings", "--input-type=module", "-")
            lines += run("node", *options, stdin=script).splitlines()
    expected = ["open", "1 like", "hand 1: like", "1 none", "", "open"]
    assert [line.strip() for line in lines[: len(expected)]] == expected
    assert lines[len(expected)].startswith("refused This server asks for a key")


DOCUMENTED_STREAM = """
    const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
    const show = async (landmarks) => {{
      for (let frame = 0; frame < 12; frame++) {{
        send({{ landmarks }});
        await pause(33);
      }}
    }};
    const hand = {hand};
    send({{ landmarks: [hand] }}); // while the stream is not open yet
    while (stream.readyState !== WebSocket.OPEN) await pause(10);
    await show([hand]);
    send({{ landmarks: [hand.slice(1)] }});
    await show([]);
    stream.addEventListener("message", () => stream.readyState === WebSocket.OPEN && stream.close());
    send({{ landmarks: [] }});
"""


@pytest.mark.skipif(not has_websocket(), reason="node with a WebSocket is not installed")
def test_documented_javascript(server: Server) -> None:
    snippet = re.search(r"^```js\n(.*?)^```", (PROJECT / "docs" / "stream.md").read_text(), re.MULTILINE | re.DOTALL)
    assert snippet is not None
    script = snippet[1].replace("ws://localhost:3000", server.url.replace("http", "ws"))
    script += DOCUMENTED_STREAM.format(hand=json.dumps(as_objects(LIKE)))
    script = script.replace("console.error", "console.log")
    lines = run("node", "--experimental-websocket", "--no-warnings", "--input-type=module", "-", stdin=script)
    like, error, none = lines.splitlines()
    assert like == "hand 1: like up"
    assert error == "Hand 0: landmark 20 PINKY_TIP has no finite x, y, z."
    assert none == "hand 1: none null"
