"""Sends frames of a camera over a WebSocket and acts when a gesture has held for 150 ms.

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


def main() -> None:
    """Show each reference hand for half a second, as a camera would."""
    reference = json.loads((Path(__file__).parents[1] / "artifacts" / "reference_hands.json").read_text())
    with connect(ADDRESS, compression=None) as stream:
        stream.send(json.dumps({"image_size": reference["image_size"], "hold_ms": 150, "key": KEY}))
        for hand in reference["hands"].values():
            frame = struct.pack("<63f", *(coordinate for point in hand for coordinate in point))
            for _ in range(FRAMES_PER_SECOND // 2):
                stream.send(frame)
                answer = json.loads(stream.recv())
                if "error" in answer:
                    sys.exit(answer["error"])
                if answer["changed"]:
                    print(answer["held"], answer["command"] or "", flush=True)
                time.sleep(1 / FRAMES_PER_SECOND)


if __name__ == "__main__":
    main()
