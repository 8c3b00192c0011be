"""Sends frames of a camera over a WebSocket and acts when a gesture has held for 150 ms, and when it ends.

Needs a WebSocket client: pip install websockets. Then:

python examples/stream_client.py [ws://localhost:3000/stream] [key]
"""

from __future__ import annotations

import json
import struct
import sys
import time
from pathlib import Path

from websockets.sync.client import connect

ADDRESS = sys.argv[1] if len(sys.argv) > 1 else "ws://localhost:3000/stream"
KEY = sys.argv[2] if len(sys.argv) > 2 else ""
FRAMES_PER_SECOND = 30

Hand = list[list[float]]  # 21 points x, y, z


def encode(hands: list[Hand]) -> bytes:
    """A frame: its time in milliseconds, and 63 numbers for each hand."""
    numbers = [coordinate for hand in hands for point in hand for coordinate in point]
    return struct.pack(f"<d{len(numbers)}f", 1000 * time.monotonic(), *numbers)


def main() -> None:
    """Show each reference hand for half a second, as a camera would, and then none."""
    reference = json.loads((Path(__file__).parents[1] / "artifacts" / "reference_hands.json").read_text())
    settings = {"image_size": reference["image_size"], "hold_ms": 150, "answers": "list", "key": KEY}
    with connect(ADDRESS, compression=None) as stream:
        stream.send(json.dumps(settings))
        for hands in [*([hand] for hand in reference["hands"].values()), []]:
            for _ in range(FRAMES_PER_SECOND // 2):
                stream.send(encode(hands))
                answer = json.loads(stream.recv())
                if "error" in answer:
                    sys.exit(answer["error"])
                for hand in answer:
                    if hand["changed"]:
                        print(hand["held"], hand["command"] or "", f"(hand {hand['hand']})", flush=True)
                time.sleep(1 / FRAMES_PER_SECOND)


if __name__ == "__main__":
    main()
