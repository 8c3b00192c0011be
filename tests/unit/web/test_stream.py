from __future__ import annotations

from hand_gesture.model.classifier import Prediction
from hand_gesture.steadiness import PAUSE_SECONDS
from hand_gesture.web.decoding import decode_stream_settings
from hand_gesture.web.stream import _Camera


def test_command_is_that_of_what_holds() -> None:
    camera = _Camera(decode_stream_settings('{"hold_ms": 100}'))
    like, dislike = Prediction("like", 0.9, "up"), Prediction("dislike", 0.9, "down")

    def show(prediction: Prediction, time: float) -> tuple[str, bool, str | None]:
        answer = camera.answer(0, prediction, time)
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
