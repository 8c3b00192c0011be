"""Streams hands over a WebSocket and prints when a gesture is held for 150 ms, and when it is released.

Needs a WebSocket client: pip install websockets. Then:

python examples/stream_client.py [ws://localhost:3000/stream] [key] [--gestures my_gestures.json]
"""

from __future__ import annotations

import argparse
import functools
import json
import struct
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from websockets.exceptions import ConnectionClosed, WebSocketException
from websockets.sync.client import connect

FRAMES_PER_SECOND = 30
LOST = ("timeout", "overloaded")  # reasons why a frame has no answer

Hand = list[list[float]]  # 21 points x, y, z
Frame = Callable[[], bytes | str]  # encoded when sent, to get the current timestamp


def encode(hands: list[Hand]) -> bytes:
    """Encode a binary frame: a float64 timestamp in milliseconds, then 63 float32 for each hand."""
    numbers = [coordinate for hand in hands for point in hand for coordinate in point]
    return struct.pack(f"<d{len(numbers)}f", 1000 * time.monotonic(), *numbers)


def encode_example(gesture: dict[str, Any]) -> str:
    """Encode a JSON frame of a gesture's first example, which may be in any format of POST /predict."""
    frame = {"hands": gesture["hands"][:1], "image_size": gesture.get("image_size"), "time": 1000 * time.monotonic()}
    return json.dumps(frame)


def main() -> None:
    """Send each reference hand for half a second at 30 frames per second, then your own gestures, then no hand."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("address", nargs="?", default="ws://localhost:3000/stream")
    parser.add_argument("key", nargs="?", default="", help="one of the server's API_KEY")
    parser.add_argument("--gestures", type=Path, help="gestures of your own, as the page saves them (docs/teach.md)")
    arguments = parser.parse_args()
    reference = json.loads((Path(__file__).parents[1] / "artifacts" / "reference_hands.json").read_text())
    frames: list[Frame] = [functools.partial(encode, [hand]) for hand in reference["hands"].values()]
    settings = {"image_size": reference["image_size"], "hold_ms": 150, "answers": "list", "key": arguments.key}
    if arguments.gestures is not None:
        try:
            settings["gestures"] = json.loads(arguments.gestures.read_text())["gestures"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            sys.exit(f"The gestures cannot be read: save them from the page at / ({error}).")
        frames += [functools.partial(encode_example, gesture) for gesture in settings["gestures"].values()]
    frames.append(functools.partial(encode, []))
    with connect(arguments.address, compression=None) as stream:
        stream.send(json.dumps(settings))
        for frame in frames:
            for _ in range(FRAMES_PER_SECOND // 2):
                stream.send(frame())
                answer = json.loads(stream.recv())
                if "error" in answer:
                    if answer["reason"] not in LOST:
                        sys.exit(answer["error"])
                    answer = []
                for hand in answer:
                    if hand["changed"]:
                        print(hand["held"], hand["command"] or "", f"(hand {hand['hand']})", flush=True)
                time.sleep(1 / FRAMES_PER_SECOND)


if __name__ == "__main__":
    try:
        main()
    except ConnectionClosed as error:
        sys.exit(f"The service has closed the stream: {error}.")
    except (OSError, WebSocketException) as error:
        sys.exit(f"The service does not answer: check that it runs, and its address ({error}).")
