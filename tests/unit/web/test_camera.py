from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from hand_gesture.model.classifier import Prediction
from hand_gesture.web.camera import PAUSE_SECONDS, PAUSE_SECONDS_AFTER_AN_EMPTY_FRAME, Camera
from hand_gesture.web.decoding import Frame, decode_stream_settings
from tests.hands import LIKE as LIKE_HAND

LIKE = Prediction("like", 0.98, "jump")
STOP = Prediction("stop", 0.97, None)
NOTHING = Prediction("none", 0.99, None)
LEFT, RIGHT = (np.array(LIKE_HAND) * [0.4, 0.4, 1] + [x, 0, 0] for x in (0.0, 0.6))
STEP = 1 / 16  # exact, so that sums of it are, too


class Scene:
    """A camera with its clock and metrics."""

    def __init__(self, settings: str = "{}") -> None:
        self.changes: list[str] = []
        self.camera = Camera(decode_stream_settings(settings), self.changes.append)
        self.now = 0.0

    def show(
        self, *shown: tuple[NDArray[np.float64], Prediction], after: float = STEP, time: float | None = None
    ) -> Any:
        """The answer to a frame with hands and their gestures."""
        self.now += after
        hands = np.array([hand for hand, _ in shown]).reshape(-1, 63)
        frame = Frame(hands, time, as_list=len(shown) > 1)
        return self.camera.answer(frame, [prediction for _, prediction in shown], self.now)


def told(answers: Sequence[dict[str, Any]]) -> list[tuple[int, str, bool]]:
    return [(answer["hand"], answer["held"], answer["changed"]) for answer in answers]


RELEASED = {"gesture": None, "confidence": None, "command": None, "held": "none", "changed": True}


def test_one_hand_gets_an_object_and_several_a_list() -> None:
    like = {"gesture": "like", "confidence": 0.98, "command": "jump", "held": "like", "changed": True, "hand": 1}
    stop = {"gesture": "stop", "confidence": 0.97, "command": None, "held": "stop", "changed": True, "hand": 2}
    assert Scene().show((LEFT, LIKE)) == like
    assert Scene().show((LEFT, LIKE), (RIGHT, STOP)) == [like, stop]
    assert Scene('{"answers": "list"}').show((LEFT, LIKE)) == [like]
    frame = Frame(LEFT.reshape(1, 63), None, as_list=True)  # which came as {"hands": [...]}
    assert Scene().camera.answer(frame, [LIKE], 0.0) == [like]


def test_command_is_of_the_held_gesture() -> None:
    scene = Scene('{"hold_ms": 125}')

    def show(prediction: Prediction) -> tuple[str, bool, str | None]:
        answer = scene.show((LEFT, prediction))
        assert answer["gesture"] == prediction.gesture
        return answer["held"], answer["changed"], answer["command"]

    assert [show(LIKE) for _ in range(3)] == [("none", False, None)] * 2 + [("like", True, "jump")]
    assert show(STOP) == ("like", False, "jump")
    assert show(LIKE) == ("like", False, "jump")
    assert [show(STOP) for _ in range(3)] == [("like", False, "jump")] * 2 + [("stop", True, None)]
    assert scene.changes == ["like", "stop"]


def test_state_belongs_to_a_hand_not_to_its_index() -> None:
    scene = Scene()
    assert told(scene.show((LEFT, LIKE), (RIGHT, STOP))) == [(1, "like", True), (2, "stop", True)]
    assert told(scene.show((RIGHT, STOP), (LEFT, LIKE))) == [(2, "stop", False), (1, "like", False)]
    assert told([scene.show((RIGHT, STOP))]) == [(2, "stop", False)]


def test_list_ends_with_the_hands_that_are_released() -> None:
    scene = Scene('{"answers": "list", "hold_ms": 125}')
    for _ in range(3):
        scene.show((LEFT, LIKE), (RIGHT, STOP))
    assert told(scene.show((RIGHT, STOP))) == [(2, "stop", False)]
    answer = scene.show((RIGHT, STOP))
    assert told(answer) == [(2, "stop", False), (1, "none", True)]
    assert answer[1] == RELEASED | {"hand": 1}
    assert told(scene.show()) == []
    assert scene.show() == [RELEASED | {"hand": 2}]
    assert scene.show() == []
    assert scene.changes == ["like", "stop", "none", "none"]


def test_hands_that_held_nothing_are_not_released() -> None:
    scene = Scene('{"answers": "list"}')
    scene.show((LEFT, NOTHING))
    assert scene.show() == []


def test_frame_without_hands_reports_the_holding_hand_until_its_release() -> None:
    scene = Scene('{"hold_ms": 125}')
    no_hands = Frame(np.empty((0, 63)), None, as_list=True)  # which came as {"hands": []}
    empty = {"gesture": "none", "confidence": None, "command": None, "held": "none", "changed": False, "hand": None}
    assert scene.show() == empty
    assert scene.camera.answer(no_hands, [], scene.now) == empty
    for _ in range(3):
        scene.show((LEFT, LIKE))
    assert scene.show() == empty | {"held": "like", "command": "jump", "hand": 1}
    assert scene.show() == empty | {"changed": True, "hand": 1}
    assert scene.show() == empty


def test_briefly_missing_hand_keeps_its_held_gesture() -> None:
    scene = Scene('{"answers": "list", "hold_ms": 250}')
    for _ in range(5):
        scene.show((LEFT, LIKE))
    for _ in range(3):
        assert scene.show() == []
    assert told(scene.show((LEFT, LIKE))) == [(1, "like", False)]


def test_hand_keeps_its_id_while_it_holds() -> None:
    scene = Scene('{"answers": "list", "hold_ms": 4000}')
    for _ in range(65):
        scene.show((LEFT, LIKE))
    for _ in range(60):
        scene.show()
    assert told(scene.show((LEFT, LIKE))) == [(1, "like", False)]


def test_second_detection_of_a_hand_is_the_same_hand_and_repeats_nothing() -> None:
    scene = Scene()
    scene.show((LEFT, LIKE))
    answer = scene.show((LEFT + 0.001, LIKE), (LEFT, STOP))
    assert told(answer) == [(1, "like", False), (1, "like", False)]
    assert [(entry["gesture"], entry["confidence"]) for entry in answer] == [("like", 0.98), ("stop", 0.97)]
    assert told(scene.show((LEFT, NOTHING), (LEFT, LIKE))) == [(1, "none", True), (1, "none", False)]


@pytest.mark.parametrize("hold_ms", [0, 125])
def test_second_detection_of_a_hand_does_not_keep_another_from_being_released(hold_ms: int) -> None:
    scene = Scene(f'{{"answers": "list", "hold_ms": {hold_ms}}}')
    for _ in range(3):
        scene.show((LEFT, LIKE), (RIGHT, STOP))
    answers = [scene.show((LEFT, LIKE), (LEFT, LIKE)) for _ in range(3)]
    released = [answer[2:] for answer in answers]
    assert released == ([[RELEASED | {"hand": 2}], [], []] if hold_ms == 0 else [[], [RELEASED | {"hand": 2}], []])


def test_pause_releases_unless_the_client_sends_frames_without_hands() -> None:
    for first, limit in (([], PAUSE_SECONDS), ([()], PAUSE_SECONDS_AFTER_AN_EMPTY_FRAME)):
        scene = Scene('{"hold_ms": 125}')
        for hands in first:
            scene.show(*hands)
        for _ in range(8):
            scene.show((LEFT, LIKE))
        assert told([scene.show((LEFT, LIKE), after=limit)]) == [(1, "like", False)]
        for _ in range(8):
            scene.show((LEFT, LIKE))
        assert told([scene.show((LEFT, LIKE), after=limit + STEP)]) == [(1, "none", True)]


def test_network_stalls_repeat_no_command_with_timestamps() -> None:
    scene = Scene('{"hold_ms": 125}')
    for index in range(100):
        stalls = 3.0 if index == 50 else 0.0 if 50 < index < 80 else STEP
        scene.show((LEFT, LIKE), after=stalls, time=1000 * STEP * index)
    assert scene.changes == ["like"]


@pytest.mark.parametrize("arrivals", [STEP, 0.0])
def test_pauses_are_measured_with_timestamps(arrivals: float) -> None:
    scene = Scene('{"hold_ms": 125}')
    for index in range(8):
        scene.show((LEFT, LIKE), after=arrivals, time=1000 * STEP * index)
    scene.show((LEFT, LIKE), after=arrivals, time=5000.0)
    assert scene.changes == ["like", "none"]


def test_memory_is_bounded() -> None:
    scene = Scene('{"answers": "list", "hold_ms": 100}')
    random = np.random.default_rng(0)
    for _ in range(500):
        hands = [LEFT + np.append(random.uniform(-9, 9, 2), 0) for _ in range(8)]
        scene.show(*((hand, LIKE) for hand in hands))
    assert len(scene.camera._hands) <= 8 * (2 / STEP + 2)


def test_two_detections_in_a_frame_are_two_entries() -> None:
    scene = Scene()
    scene.show((LEFT, LIKE))
    frame = Frame(np.array([LEFT, LEFT]).reshape(2, 63), None, as_list=False)
    answer = scene.camera.answer(frame, [LIKE, LIKE], STEP)
    assert isinstance(answer, list)
    assert told(answer) == [(1, "like", False)] * 2


def test_a_command_is_only_of_the_held_gesture() -> None:
    scene = Scene('{"hold_ms": 125}')
    for _ in range(8):
        scene.show((LEFT, LIKE))
    answer = scene.show((LEFT, STOP), after=PAUSE_SECONDS + STEP)
    assert told([answer]) == [(1, "none", True)]
    assert answer["command"] is None
    for _ in range(8):
        scene.show((LEFT, STOP))
    answer = scene.show((LEFT, LIKE), after=PAUSE_SECONDS + STEP)  # the pause lets go; a like is just what comes next
    assert told([answer]) == [(1, "none", True)]
    assert answer["command"] is None


def test_briefly_missing_hand_keeps_its_count() -> None:
    scene = Scene('{"hold_ms": 250}')
    shown = [True] * 3 + [False] + [True] * 4  # from the first frame on: most of them, for seven steps of 1/16 second
    answers = [scene.show((LEFT, LIKE)) if is_shown else scene.show() for is_shown in shown]
    assert [answer["held"] for answer in answers] == ["none"] * 7 + ["like"]


def test_a_hand_that_left_without_holding_is_forgotten() -> None:
    scene = Scene()
    scene.show((LEFT, LIKE))
    for _ in range(100):
        scene.show((RIGHT, STOP))
    assert [*scene.camera._hands] == [2]


def test_a_missing_hand_is_released_while_another_is_present() -> None:
    """The fast path for a single hand is not used while other hands hold a gesture."""
    scene = Scene('{"hold_ms": 125}')
    for _ in range(3):
        scene.show((LEFT, LIKE), (RIGHT, STOP))
    for _ in range(3):
        scene.show((RIGHT, STOP))
    assert scene.changes == ["like", "stop", "none"]
