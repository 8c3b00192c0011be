"""A typical FastAPI application: one model call per request, and prometheus-fastapi-instrumentator."""

from __future__ import annotations

import json
import os
from pathlib import Path

import joblib
import numpy as np
from fastapi import FastAPI
from prometheus_fastapi_instrumentator import Instrumentator
from pydantic import BaseModel, Field

ARTIFACTS = Path(os.environ["ARTIFACTS"])
model = joblib.load(ARTIFACTS / "model.pkl")
encoder = joblib.load(ARTIFACTS / "encoder.pkl")
commands = json.loads((ARTIFACTS / "commands.json").read_text())


class Hand(BaseModel):
    """A request."""

    landmarks: list[tuple[float, float, float]] = Field(min_length=21, max_length=21)
    image_size: tuple[float, float]


class Prediction(BaseModel):
    """Its answer."""

    gesture: str
    confidence: float
    command: str | None


app = FastAPI()
Instrumentator().instrument(app).expose(app)


@app.post("/predict")
def predict(hand: Hand) -> Prediction:
    """Classify one hand."""
    points = np.array(hand.landmarks, dtype=np.float32)
    points[:, :2] *= hand.image_size
    relative = points[:, :2] - points[0, :2]
    if relative[5, 0] * relative[17, 1] < relative[5, 1] * relative[17, 0]:
        relative[:, 0] *= -1
    relative /= np.sqrt((relative**2).mean())
    probabilities = model.predict_proba(relative.reshape(1, 42))[0]
    best = int(probabilities.argmax())
    gesture = encoder.inverse_transform([best])[0]
    return Prediction(gesture=gesture, confidence=round(float(probabilities[best]), 4), command=commands.get(gesture))
