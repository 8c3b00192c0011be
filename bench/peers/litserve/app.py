"""LitServe with its dynamic batching, one worker."""

import json
import os
from pathlib import Path
from typing import Any

import joblib
import litserve
import numpy as np
from numpy.typing import NDArray

ARTIFACTS = Path(os.environ["ARTIFACTS"])


class HandGesture(litserve.LitAPI):  # type: ignore[misc]
    """The same features and model as everywhere else in this comparison."""

    def setup(self, device: str) -> None:
        """Load the model."""
        self.model = joblib.load(ARTIFACTS / "model.pkl")
        self.gestures = joblib.load(ARTIFACTS / "encoder.pkl").classes_.tolist()
        self.commands = json.loads((ARTIFACTS / "commands.json").read_text())

    def decode_request(self, request: dict[str, Any]) -> NDArray[np.float32]:
        """Features of one hand."""
        points = np.array(request["landmarks"], dtype=np.float32)
        points[:, :2] *= request["image_size"]
        relative = points[:, :2] - points[0, :2]
        if relative[5, 0] * relative[17, 1] < relative[5, 1] * relative[17, 0]:
            relative[:, 0] *= -1
        return np.asarray(relative.reshape(42) / np.sqrt((relative**2).mean()))

    def predict(self, hands: NDArray[np.float32]) -> NDArray[np.float32]:
        """One model call for the batch."""
        return np.asarray(self.model.predict_proba(hands))

    def encode_response(self, output: NDArray[np.float32]) -> dict[str, Any]:
        """The answer for one hand."""
        best = int(output.argmax())
        gesture = self.gestures[best]
        return {
            "gesture": gesture,
            "confidence": round(float(output[best]), 4),
            "command": self.commands.get(gesture),
        }


if __name__ == "__main__":
    api = HandGesture(max_batch_size=64, batch_timeout=0.001)
    litserve.LitServer(api, accelerator="cpu").run(
        host="127.0.0.1", port=int(os.environ["PORT"]), generate_client_file=False, log_level="warning"
    )
