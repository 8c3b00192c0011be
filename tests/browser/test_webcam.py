"""examples/webcam.py, with a film in the camera's place and a screen that is only in memory."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import ImageGrab

from tests.browser.conftest import CAMERA_VIDEO, SCREENSHOTS, SECONDS, needs_hands
from tests.browser.tabs import virtual_screen
from tests.server import PROJECT, Server, free_port

pytest.importorskip("cv2", reason="OpenCV is not installed, or lacks a library of the system", exc_type=ImportError)
pytest.importorskip(
    "mediapipe", reason="MediaPipe is not installed, or lacks a library of the system", exc_type=ImportError
)
WEBCAM = (sys.executable, "examples/webcam.py")
TEAL = (94, 234, 212)  # of skeletons
SIZE = (800, 600)


def is_drawn(display: str) -> bool:
    """Whether a skeleton is on the screen, which is then kept as an output of the build."""
    picture = ImageGrab.grab(xdisplay=display)
    if not (np.asarray(picture) == TEAL).all(axis=2).any():
        return False
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    picture.save(SCREENSHOTS / "webcam.png")
    return True


@needs_hands
def test_held_gestures_are_printed_and_skeletons_drawn(server: Server) -> None:
    with virtual_screen(*SIZE) as environment:
        command = [*WEBCAM, CAMERA_VIDEO, server.url.replace("http", "ws") + "/stream"]
        with subprocess.Popen(command, cwd=PROJECT, env=environment, stdout=subprocess.PIPE, text=True) as running:
            assert running.stdout
            first = running.stdout.readline()
            running.send_signal(signal.SIGSTOP)  # a screenshot may take longer than the rest of the film
            try:
                deadline = time.monotonic() + SECONDS
                while not is_drawn(environment["DISPLAY"]):
                    assert time.monotonic() < deadline, "no skeleton was seen"
            finally:
                running.send_signal(signal.SIGCONT)
            others = running.stdout.readlines()
    assert running.returncode == 0
    held = [line.partition(" (")[0] for line in (first, *others)]
    assert [told for told in held if told != "none "] == ["like up", "dislike down", "stop right", "fist left", "palm "]


def test_missing_camera_is_reported(tmp_path: Path) -> None:
    film = tmp_path / "missing.mjpeg"
    result = subprocess.run([*WEBCAM, film], cwd=PROJECT, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert f"There is no camera or film {film}." in result.stderr


@needs_hands
@pytest.mark.parametrize("address", ["ws://127.0.0.1:{port}/stream", "{url}/stream", "{ws}/nothing"])
def test_missing_service_is_reported(server: Server, address: str) -> None:
    address = address.format(port=free_port(), url=server.url, ws=server.url.replace("http", "ws"))
    result = subprocess.run([*WEBCAM, CAMERA_VIDEO, address], cwd=PROJECT, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert "The service does not answer: check that it runs, and its address (" in result.stderr
    assert "Traceback" not in result.stderr


@needs_hands
def test_missing_mediapipe_models_are_reported(tmp_path: Path) -> None:
    (tmp_path / "examples").mkdir()
    example = shutil.copy(PROJECT / "examples" / "webcam.py", tmp_path / "examples")
    command = [sys.executable, example, CAMERA_VIDEO]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert "run make serve, or make page." in result.stderr
    assert "Traceback" not in result.stderr
