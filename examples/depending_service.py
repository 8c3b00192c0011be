"""A BentoML service of your own that calls this one: bentoml serve examples.depending_service:Game --port 3001."""

from __future__ import annotations

import os
from typing import Any

import bentoml


@bentoml.service(name="game")
class Game:
    """Controls a game by gestures. Depends on a URL, because BentoML sends pickles to a class."""

    gestures = bentoml.depends(url=os.environ.get("HAND_GESTURE_URL", "http://localhost:3000"))

    @bentoml.api
    async def move(self, landmarks: list[Any]) -> str:
        """Direction of the move: up, down, left, right or stay."""
        answer: dict[str, Any] = await self.gestures.to_async.predict(landmarks=landmarks)
        return answer["command"] or "stay"
