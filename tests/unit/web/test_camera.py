from typing import Any

import numpy as np

from hand_gesture.model.classifier import Prediction
from hand_gesture.steadiness import PAUSE_SECONDS
from hand_gesture.web.camera import Camera

HANDS = np.zeros((2, 63))
LIKE = Prediction("like", 0.98, "jump")
STOP = Prediction("stop", 0.97, None)


def told(prediction: Prediction, command: str | None, held: str, *, changed: bool) -> dict[str, object]:
    return {
        "gesture": prediction.gesture,
        "confidence": prediction.confidence,
        "command": command,
        "held": held,
        "changed": changed,
    }


def test_one_hand_is_told_of_by_an_object_and_several_by_a_list() -> None:
    camera = Camera(0)
    like = told(LIKE, "jump", "like", changed=True)
    assert camera.answer(HANDS[:1], [LIKE], 0.0, as_list=False) == like
    assert Camera(0).answer(HANDS[:1], [LIKE], 0.0, as_list=True) == [like]
    assert Camera(0).answer(HANDS, [LIKE, STOP], 0.0, as_list=False) == [like, told(STOP, None, "stop", changed=True)]


def test_command_is_that_of_what_holds() -> None:
    camera = Camera(0.1)
    like, dislike = Prediction("like", 0.9, "up"), Prediction("dislike", 0.9, "down")

    def show(prediction: Prediction, time: float) -> tuple[str, bool, str | None]:
        answer: Any = camera.answer(HANDS[:1], [prediction], time, as_list=False)
        assert answer["gesture"] == prediction.gesture
        return answer["held"], answer["changed"], answer["command"]

    assert show(like, 0.0) == ("none", False, None)
    assert show(like, 0.05) == ("none", False, None)
    assert show(like, 0.1) == ("like", True, "up")
    assert show(dislike, 0.15) == ("like", False, "up")
    assert show(like, 0.2) == ("like", False, "up")
    late = 0.3 + PAUSE_SECONDS
    assert show(dislike, late) == ("none", True, None)
    assert show(dislike, late + 0.125) == ("dislike", True, "down")
