"""What a person is told of a gesture before they rely on it."""

from __future__ import annotations

import numpy as np

from hand_gesture.model.taught import OwnGesture
from hand_gesture.model.taught_report import GestureReport, report_on
from tests.unit.model.test_taught import STORED, TEACHER, hands_of


def report(**gestures: object) -> dict[str, GestureReport]:
    return report_on(TEACHER, {name: OwnGesture(np.asarray(examples)) for name, examples in gestures.items()})


def test_a_distinct_gesture_gets_a_good_report() -> None:
    found = report(L=hands_of("L"))["L"]
    assert (found.examples, found.right_left_out, found.right_tilted) == (10, 10, 10)
    assert found.resemblance < 0.7
    assert 0 < found.taken < 0.02
    assert found.advice.startswith("It can be told apart")


def test_a_single_example_has_no_cross_validation() -> None:
    found = report(L=hands_of("L", 1))["L"]
    assert found.right_left_out is None
    assert "record about 10 examples" in found.advice


def test_the_report_names_a_similar_known_gesture_and_a_change() -> None:
    found = report(mine=STORED.hands[STORED.gestures == "peace"][:10])["mine"]
    assert found.resembles == "peace"
    assert found.resemblance > 0.9
    assert found.advice.startswith("Too close to `peace`: ")
    # not the middle finger: bent, it would make `one`
    assert "bend the middle finger" not in found.advice
    assert any(finger in found.advice for finger in ("ring finger", "pinky", "index finger"))


def test_the_report_names_a_similar_custom_gesture() -> None:
    found = report(first=hands_of("L"), second=hands_of("L", seed=1))
    assert any(
        found[name].advice.startswith(f"Too close to your own `{other}`")
        for name, other in (("first", "second"), ("second", "first"))
    )


def test_the_report_names_a_custom_gesture_with_the_same_single_example() -> None:
    found = report(first=hands_of("L", 1), second=hands_of("L", 1))
    assert found["first"].advice.startswith("Too close to your own `second`")
    assert found["second"].advice.startswith("Too close to your own `first`")


def test_inconsistent_examples_are_reported() -> None:
    random = np.random.default_rng(0)
    none = STORED.hands[STORED.gestures == "none"]
    found = report(mixed=none[random.permutation(len(none))[:10]])["mixed"]
    assert found.right_left_out is not None
    assert found.right_left_out < 8
    assert "differ too much" in found.advice


def test_resemblance_does_not_depend_on_other_custom_gestures() -> None:
    alone, together = report(L=hands_of("L"))["L"], report(L=hands_of("L"), pinky=hands_of("pinky"))["L"]
    assert (alone.resembles, alone.resemblance) == (together.resembles, together.resemblance)


def test_the_report_names_a_degenerate_example() -> None:
    found = report(L=np.concatenate([hands_of("L", 2), np.full((1, 63), 0.5)]))["L"]
    assert found.advice.startswith("Example 3 shows no hand")
