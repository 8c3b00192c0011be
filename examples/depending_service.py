"""A BentoML service of your own that asks this one: bentoml serve examples.depending_service:Game --port 3001."""

from __future__ import annotations

import os
from typing import Any

import bentoml


@bentoml.service(name="game")
class Game:
    """Moves by gestures. It depends on an address, not on the class: BentoML would send that pickles."""

    gestures = bentoml.depends(url=os.environ.get("HAND_GESTURE_URL", "http://localhost:3000"))

    @bentoml.api
    async def move(self, landmarks: list[Any]) -> str:
        """Where the player goes: up, down, left, right or stay."""
        answer: dict[str, Any] = await self.gestures.to_async.predict(landmarks=landmarks)
        return answer["command"] or "stay"
