from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from hand_gesture.model.saved_gestures import SavedGestures
from hand_gesture.model.taught import MAX_EXAMPLES, MAX_GESTURES, OwnGesture

EXAMPLES = np.random.default_rng(0).normal(size=(3, 63))


def test_saved_gestures_can_be_read() -> None:
    saved = SavedGestures.of({"wave": OwnGesture(EXAMPLES, "jump"), "point": OwnGesture(EXAMPLES[:1])})
    read = SavedGestures.model_validate_json(saved.model_dump_json()).own_gestures()
    assert [*read] == ["wave", "point"]
    assert np.array_equal(read["wave"].examples, EXAMPLES)
    assert np.array_equal(read["point"].examples, EXAMPLES[:1])
    assert (read["wave"].command, read["point"].command) == ("jump", None)


@pytest.mark.parametrize(
    ("gestures", "examples", "numbers", "fits"),
    [
        (1, 1, 63, True),
        (MAX_GESTURES, MAX_EXAMPLES, 63, True),
        (0, 1, 63, False),
        (MAX_GESTURES + 1, 1, 63, False),
        (1, 0, 63, False),
        (1, MAX_EXAMPLES + 1, 63, False),
        (1, 1, 62, False),
        (1, 1, 64, False),
    ],
)
def test_limits(gestures: int, examples: int, numbers: int, *, fits: bool) -> None:
    hands = [[0.5] * numbers] * examples
    content = {"gestures": {f"gesture {index}": {"hands": hands} for index in range(gestures)}}
    if fits:
        SavedGestures.model_validate(content)
    else:
        with pytest.raises(ValidationError):
            SavedGestures.model_validate(content)
