"""Calls the service with BentoML's Python client: python examples/python_client.py [URL]."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import bentoml

REFERENCE = json.loads((Path(__file__).parents[1] / "artifacts" / "reference_hands.json").read_text())


def ask(url: str) -> None:
    """Classify one hand, then the two hands of a frame, with the synchronous client."""
    with bentoml.SyncHTTPClient(url) as client:
        prediction = client.predict(landmarks=REFERENCE["hands"]["like"], image_size=REFERENCE["image_size"])
        print("sync:", prediction)
        hands = [REFERENCE["hands"]["fist"], REFERENCE["hands"]["palm"]]
        predictions = client.predict_batch(hands=hands, image_size=REFERENCE["image_size"])
        print("batch:", [prediction["gesture"] for prediction in predictions])


async def ask_together(url: str) -> None:
    """Classify all reference hands concurrently with the asynchronous client; the service batches them."""
    async with bentoml.AsyncHTTPClient(url) as client:
        predictions = await asyncio.gather(
            *(
                client.predict(landmarks=hand, image_size=REFERENCE["image_size"])
                for hand in REFERENCE["hands"].values()
            )
        )
    print("async:", [prediction["gesture"] for prediction in predictions])


if __name__ == "__main__":
    address = sys.argv[1] if len(sys.argv) > 1 else "http://localhost:3000"
    ask(address)
    asyncio.run(ask_together(address))
