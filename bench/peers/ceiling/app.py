"""The baseline: a minimal ASGI application, without validation, metrics or batching.

Uses uvicorn with uvloop and httptools, orjson, and the model's arithmetic in NumPy.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import orjson

ARTIFACTS = Path(os.environ["ARTIFACTS"])
MODEL = joblib.load(ARTIFACTS / "model.pkl")
GESTURES = joblib.load(ARTIFACTS / "encoder.pkl").classes_.tolist()
COMMANDS = orjson.loads((ARTIFACTS / "commands.json").read_bytes())
LAYERS = list(zip(MODEL.coefs_, MODEL.intercepts_, strict=True))


async def app(
    scope: dict[str, Any],
    receive: Callable[[], Awaitable[dict[str, Any]]],
    send: Callable[[dict[str, Any]], Awaitable[None]],
) -> None:
    """Answer one request."""
    body, more = b"", True
    while more:
        message = await receive()
        body += message["body"]
        more = message["more_body"]
    answer = orjson.dumps(predict(orjson.loads(body)))
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(answer))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": answer})


def predict(request: dict[str, Any]) -> dict[str, Any]:
    """Features (pixels; x and y from the wrist in units of the hand, turned to one side), network, softmax."""
    hand = np.array(request["landmarks"], dtype=np.float32)
    hand[:, :2] *= request["image_size"]
    relative = hand[:, :2] - hand[0, :2]
    if relative[5, 0] * relative[17, 1] < relative[5, 1] * relative[17, 0]:
        relative[:, 0] *= -1
    values = relative.reshape(1, 42)
    values /= np.sqrt(values @ values.T / 42)
    for weights, bias in LAYERS[:-1]:
        values = np.maximum(values @ weights + bias, 0)
    values = values @ LAYERS[-1][0] + LAYERS[-1][1]
    values = np.exp(values - values.max())
    values /= values.sum()
    best = int(values.argmax())
    gesture = GESTURES[best]
    return {"gesture": gesture, "confidence": round(float(values[0, best]), 4), "command": COMMANDS.get(gesture)}
