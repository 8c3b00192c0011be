"""What a person is told of a gesture before they rely on it."""

from __future__ import annotations

import numpy as np

from hand_gesture.model.taught import OwnGesture
from hand_gesture.model.taught_report import GestureReport, report_on
from tests.unit.model.test_taught import STORED, TEACHER, hands_of


def report(**gestures: object) -> dict[str, GestureReport]:
    return report_on(TEACHER, {name: OwnGesture(np.asarray(examples)) for name, examples in gestures.items()})


def test_a_clear_gesture_is_told() -> None:
    found = report(L=hands_of("L"))["L"]
    assert (found.examples, found.right_left_out, found.right_tilted) == (10, 10, 10)
    assert found.resemblance < 0.7
    assert 0 < found.taken < 0.02
    assert found.advice.startswith("It can be told apart")


def test_one_example_cannot_be_left_out() -> None:
    found = report(L=hands_of("L", 1))["L"]
    assert found.right_left_out is None
    assert "record about 10 examples" in found.advice


def test_a_near_copy_of_a_known_gesture_is_named_with_what_to_change() -> None:
    found = report(mine=STORED.hands[STORED.gestures == "peace"][:10])["mine"]
    assert found.resembles == "peace"
    assert found.resemblance > 0.9
    assert found.advice.startswith("Too close to `peace`: ")
    # not the middle finger: bent, it would make `one`
    assert "bend the middle finger" not in found.advice
    assert any(finger in found.advice for finger in ("ring finger", "pinky", "index finger"))


def test_two_of_one_s_own_that_are_the_same_are_named() -> None:
    found = report(first=hands_of("L"), second=hands_of("L", seed=1))
    assert any(
        found[name].advice.startswith(f"Too close to your own `{other}`")
        for name, other in (("first", "second"), ("second", "first"))
    )


def test_two_of_one_s_own_with_the_same_single_example_are_named() -> None:
    found = report(first=hands_of("L", 1), second=hands_of("L", 1))
    assert found["first"].advice.startswith("Too close to your own `second`")
    assert found["second"].advice.startswith("Too close to your own `first`")


def test_examples_that_are_not_one_shape_are_noticed() -> None:
    random = np.random.default_rng(0)
    none = STORED.hands[STORED.gestures == "none"]
    found = report(mixed=none[random.permutation(len(none))[:10]])["mixed"]
    assert found.right_left_out is not None
    assert found.right_left_out < 8
    assert "differ too much" in found.advice


def test_known_gestures_do_not_depend_on_what_is_taught_beside() -> None:
    alone, together = report(L=hands_of("L"))["L"], report(L=hands_of("L"), pinky=hands_of("pinky"))["L"]
    assert (alone.resembles, alone.resemblance) == (together.resembles, together.resemblance)


def test_an_example_without_a_hand_is_named() -> None:
    found = report(L=np.concatenate([hands_of("L", 2), np.full((1, 63), 0.5)]))["L"]
    assert found.advice.startswith("Example 3 shows no hand")
