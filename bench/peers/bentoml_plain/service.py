"""BentoML as in its tutorial: a batchable API with pydantic types, and default settings."""

from __future__ import annotations

import json
import os
from pathlib import Path

import bentoml
import joblib
import numpy as np
from pydantic import BaseModel

ARTIFACTS = Path(os.environ["ARTIFACTS"])


class Hand(BaseModel):
    """A request."""

    landmarks: list[tuple[float, float, float]]
    image_size: tuple[float, float]


class Prediction(BaseModel):
    """Its answer."""

    gesture: str
    confidence: float
    command: str | None


@bentoml.service(name="plain", workers=1)
class Plain:
    """The same features and model as everywhere else in this comparison."""

    def __init__(self) -> None:
        """Load the model."""
        self.model = joblib.load(ARTIFACTS / "model.pkl")
        self.gestures = joblib.load(ARTIFACTS / "encoder.pkl").classes_.tolist()
        self.commands = json.loads((ARTIFACTS / "commands.json").read_text())

    @bentoml.api(batchable=True)
    def predict(self, hands: list[Hand]) -> list[Prediction]:
        """Classify the hands of a batch."""
        points = np.array([hand.landmarks for hand in hands], dtype=np.float32)
        points[:, :, :2] *= np.array([hand.image_size for hand in hands])[:, np.newaxis]
        relative = points[:, :, :2] - points[:, :1, :2]
        is_other_side = relative[:, 5, 0] * relative[:, 17, 1] < relative[:, 5, 1] * relative[:, 17, 0]
        relative[is_other_side, :, 0] *= -1
        relative = relative.reshape(-1, 42)
        relative /= np.sqrt((relative**2).mean(axis=1, keepdims=True))
        probabilities = self.model.predict_proba(relative)
        return [
            Prediction(
                gesture=self.gestures[best],
                confidence=round(float(row[best]), 4),
                command=self.commands.get(self.gestures[best]),
            )
            for row, best in zip(probabilities, probabilities.argmax(axis=1).tolist(), strict=True)
        ]
