import numpy as np

from hand_gesture.model.classifier import Prediction
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


def test_command_is_that_of_the_gesture_that_holds() -> None:
    camera = Camera(0.1)
    answers = [camera.answer(HANDS[:1], [LIKE], time, as_list=False) for time in (0.0, 0.05, 0.1, 0.15)]
    assert answers[:2] == [told(LIKE, None, "none", changed=False)] * 2
    assert answers[2:] == [told(LIKE, "jump", "like", changed=True), told(LIKE, "jump", "like", changed=False)]
    assert camera.answer(HANDS[:1], [STOP], 0.2, as_list=False) == told(STOP, "jump", "like", changed=False)
