"""Shows what a camera sees, with the skeletons of hands and what they hold; q ends it.

Needs MediaPipe's models, which `make serve` fetches, and: pip install "mediapipe<1" websockets
OpenCV comes with MediaPipe, which from 1.0 on sends usage figures to its maker. Then:

python examples/webcam.py [number of a camera, or a film] [ws://localhost:3000/stream] [key]
"""

from __future__ import annotations

import gzip
import json
import struct
import sys
import time
from pathlib import Path

import cv2
from mediapipe import Image, ImageFormat
from mediapipe.tasks.python import BaseOptions, vision
from websockets.exceptions import ConnectionClosed, WebSocketException
from websockets.sync.client import connect

MODELS = Path(__file__).parents[1] / "build" / "mediapipe" / "hand_landmarker.task.gz"
CONNECTIONS = vision.HandLandmarksConnections.HAND_CONNECTIONS
LOST = ("timeout", "overloaded")  # reasons why a frame has no answer
TEAL, AMBER = (212, 234, 94), (36, 191, 251)  # in OpenCV's order: blue, green, red


def main(source: str = "0", address: str = "ws://localhost:3000/stream", key: str = "") -> None:
    """Find hands in each picture, send their points, and show the answers."""
    camera = cv2.VideoCapture(int(source) if source.isdigit() else source)
    if not camera.isOpened():
        sys.exit(f"There is no camera or film {source}.")
    size = [int(camera.get(cv2.CAP_PROP_FRAME_WIDTH)), int(camera.get(cv2.CAP_PROP_FRAME_HEIGHT))]
    if not MODELS.exists():
        sys.exit(f"MediaPipe's models are not in {MODELS.parent}: run make serve, or make page.")
    models = BaseOptions(model_asset_buffer=gzip.decompress(MODELS.read_bytes()))
    options = vision.HandLandmarkerOptions(models, vision.RunningMode.VIDEO, num_hands=2)
    # The stream last, because the service waits 15 seconds for the settings, and loading MediaPipe may take longer
    with vision.HandLandmarker.create_from_options(options) as finder, connect(address, compression=None) as stream:
        stream.send(json.dumps({"image_size": size, "hold_ms": 150, "answers": "list", "key": key}))
        while cv2.waitKey(1) != ord("q"):
            is_read, picture = camera.read()
            if not is_read:
                break
            # A film has its own time, which may be another than the one that it takes here
            now = 1000 * time.monotonic() if source.isdigit() else camera.get(cv2.CAP_PROP_POS_MSEC)
            rgb = cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)
            hands = finder.detect_for_video(Image(ImageFormat.SRGB, rgb), int(now)).hand_landmarks
            numbers = [number for hand in hands for point in hand for number in (point.x, point.y, point.z)]
            stream.send(struct.pack(f"<d{len(numbers)}f", now, *numbers))
            answers = json.loads(stream.recv())
            if "error" in answers:
                if answers["reason"] not in LOST:
                    sys.exit(answers["error"])
                answers = []
            for answer in answers:
                if answer["changed"]:
                    print(answer["held"], answer["command"] or "", f"(hand {answer['hand']})", flush=True)
            for hand, answer in zip(hands, answers, strict=False):  # those of hands that have left come last
                at = [(round(point.x * size[0]), round(point.y * size[1])) for point in hand]
                for line in CONNECTIONS:
                    cv2.line(picture, at[line.start], at[line.end], TEAL, 3)
                cv2.putText(picture, answer["gesture"], at[0], cv2.FONT_HERSHEY_SIMPLEX, 1, AMBER, 2)
            cv2.imshow("Hand gestures", picture)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except ConnectionClosed as error:
        sys.exit(f"The service has closed the stream: {error}.")
    except (OSError, WebSocketException) as error:
        sys.exit(f"The service does not answer: check that it runs, and its address ({error}).")
