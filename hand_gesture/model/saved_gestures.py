"""The file of custom gestures that were added to a model for all clients (gestures.json)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final

import numpy as np
from pydantic import BaseModel, Field

from hand_gesture.landmarks import COORDINATE_COUNT
from hand_gesture.model.taught import MAX_EXAMPLES, MAX_GESTURES, OwnGesture

GESTURES_FILE: Final = "gestures.json"

_Hand = Annotated[list[float], Field(min_length=COORDINATE_COUNT, max_length=COORDINATE_COUNT)]


class SavedGesture(BaseModel):
    """Examples of 63 numbers each, in pixels or another unit that does not distort the hand."""

    hands: Annotated[list[_Hand], Field(min_length=1, max_length=MAX_EXAMPLES)]
    command: str | None = None


class SavedGestures(BaseModel):
    """Custom gestures in the format of ``POST /gestures``, so that the file can be used there, too."""

    gestures: Annotated[dict[str, SavedGesture], Field(min_length=1, max_length=MAX_GESTURES)]

    @classmethod
    def of(cls, gestures: Mapping[str, OwnGesture]) -> SavedGestures:
        """Convert custom gestures for writing."""
        return cls(
            gestures={
                name: SavedGesture(hands=gesture.examples.tolist(), command=gesture.command)
                for name, gesture in gestures.items()
            }
        )

    def own_gestures(self) -> dict[str, OwnGesture]:
        """Convert to what ``Teacher.teach`` takes."""
        return {name: OwnGesture(np.array(saved.hands), saved.command) for name, saved in self.gestures.items()}
