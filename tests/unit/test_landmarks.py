from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from hand_gesture.landmarks import (
    LANDMARK_NAMES,
    MAX_COORDINATE,
    MAX_NORMALIZED_COORDINATE,
    MAX_NORMALIZED_DEPTH,
    MalformedLandmarksError,
    MissingLandmarksError,
    Unit,
    convert,
    parse_hand,
    read_hands,
    restore_shape,
)
from hand_gesture.model.features import MAX_FEATURE, wrist_middle_tip, wrist_rms
from tests.hands import (
    FORMS,
    LIKE,
    as_numbers,
    as_objects,
    as_pairs,
    as_planar_numbers,
    as_planar_objects,
    with_z_in_pixels,
)

coordinates = st.floats(-1000, 1000, allow_nan=False, width=32)
hands = st.lists(st.tuples(coordinates, coordinates, coordinates).map(list), min_size=21, max_size=21)
fractions = st.floats(0.125, 1, allow_nan=False, width=32)
depths = st.floats(2**-5, 0.5, width=32) | st.floats(-0.5, -(2**-5), width=32)
# as MediaPipe gives them of a hand that is neither a few pixels large nor flat
normalized_hands = st.lists(st.tuples(fractions, fractions, depths).map(list), min_size=21, max_size=21)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=70) | st.dictionaries(st.sampled_from("xyz") | st.text(), inner),
)


def features(hand: Any) -> NDArray[np.float32]:
    (row,) = wrist_middle_tip(parse_hand(hand)[np.newaxis])
    return np.asarray(row)


def has_sides(hand: NDArray[np.float64]) -> bool:
    """Whether the knuckles of index finger and pinky, seen from the wrist, are well apart."""
    points = hand.reshape(21, 3)[:, :2]
    return abs(float(np.linalg.det(points[[5, 17]] - points[0]))) > 1e-6


def test_names_follow_mediapipe() -> None:
    assert len(LANDMARK_NAMES) == 21
    assert [LANDMARK_NAMES[i] for i in (0, 4, 8, 12, 16, 20)] == [
        "WRIST",
        "THUMB_TIP",
        "INDEX_FINGER_TIP",
        "MIDDLE_FINGER_TIP",
        "RING_FINGER_TIP",
        "PINKY_TIP",
    ]


def test_features_equal_values_computed_by_hand() -> None:
    hand = [[10.0, 20.0, 0.5]] * 21
    hand[12] = [13.0, 24.0, -0.25]  # 3-4-5 triangle: the distance is 5
    hand[4] = [0.0, 30.0, 0.125]
    result = features(hand).reshape(21, 3)
    assert result[0].tolist() == [0, 0, 0.5]
    assert result[12] == pytest.approx([0.6, 0.8, -0.25])
    assert result[4] == pytest.approx([-2, 2, 0.125])
    assert result[20].tolist() == [0, 0, 0.5]


def test_distance_of_zero_counts_as_one() -> None:
    hand = [[5.0, 5.0, 0.0]] * 21
    hand[8] = [7.0, 4.0, 0.0]
    assert features(hand).reshape(21, 3)[8].tolist() == [2, -1, 0]


def test_rms_features_equal_values_computed_by_hand() -> None:
    hand = [[10.0, 20.0, 0.5]] * 21
    hand[12] = [13.0, 24.0, -0.25]
    scale = math.sqrt((3**2 + 4**2) / 42)
    (row,) = wrist_rms(parse_hand(hand)[np.newaxis])
    assert row.shape == (42,)
    assert row.reshape(21, 2)[12] == pytest.approx([3 / scale, 4 / scale])
    assert not row.reshape(21, 2)[:12].any()


@given(normalized_hands, st.floats(0.25, 4), st.floats(-100, 100), st.floats(-2, 2))
def test_rms_features_are_invariant_to_position_size_and_depth(
    hand: list[list[float]], size: float, shift: float, depth: float
) -> None:
    moved = [[x * size + shift, y * size - shift, z * depth] for x, y, z in hand]
    both = np.array([parse_hand(hand), parse_hand(moved)])
    if has_sides(both[0]):
        given_, same = wrist_rms(both)
        assert same == pytest.approx(given_, abs=1e-3)


@given(normalized_hands)
def test_rms_features_are_invariant_to_mirroring(hand: list[list[float]]) -> None:
    both = np.array([parse_hand(hand), parse_hand([[-x, y, z] for x, y, z in hand])])
    if has_sides(both[0]):
        given_, same = wrist_rms(both)
        assert same.tolist() == given_.tolist()


@given(hands)
def test_rms_features_are_finite(hand: list[list[float]]) -> None:
    assert np.isfinite(wrist_rms(parse_hand(hand)[np.newaxis])).all()


@pytest.mark.parametrize("tip", [1e-320, 1e-9, 5e-324])
def test_degenerate_hands_stay_finite(tip: float) -> None:
    hand = [[0.0, 0.0, 0.0]] * 20 + [[1e6, -1e6, 1e6]]
    hand[12] = [tip, 0.0, 0.0]
    assert np.abs(features(hand)).max() <= MAX_FEATURE


@given(hands, st.floats(-500, 500), st.floats(-500, 500), st.floats(0.1, 10))
def test_moved_and_scaled_hands_have_the_same_features(
    hand: list[list[float]], right: float, down: float, size: float
) -> None:
    hand[12][0] = hand[0][0] + 50  # not degenerate
    moved = [[x * size + right, y * size + down, z] for x, y, z in hand]
    assert features(moved) == pytest.approx(features(hand), rel=1e-3, abs=1e-3)


@given(hands)
def test_all_formats_give_the_same_hand(hand: list[list[float]]) -> None:
    for form in FORMS:
        read = parse_hand(form(hand)).reshape(21, 3)
        assert read[:, :2].tolist() == [point[:2] for point in hand]
        assert read[:, 2].tolist() in ([point[2] for point in hand], [0] * 21)


@given(normalized_hands, st.integers(100, 4000), st.integers(100, 4000))
def test_pixels_with_z_in_pixels_give_the_same_hand(hand: list[list[float]], width: int, height: int) -> None:
    in_pixels = [[x * width, y * height, z] for x, y, z in hand]
    deep = [[x * width, y * height, z * width] for x, y, z in hand]
    plain, *others = (np.array([parse_hand(form)]) for form in (hand, in_pixels, deep))
    for one in (plain, *others):
        restore_shape(one, (width, height))
    for other in others:
        assert other == pytest.approx(plain, rel=1e-6, abs=1e-6)


def test_z_in_pixels_is_dropped_without_image_size() -> None:
    hand = np.array([parse_hand(with_z_in_pixels(LIKE)), parse_hand(LIKE)])
    restore_shape(hand, None)
    assert hand[0, 2::3].tolist() == [0] * 21
    assert hand[1].tolist() == as_numbers(LIKE)


@given(anything)
def test_invalid_hands_get_an_error_message(value: Any) -> None:
    with pytest.raises((MissingLandmarksError, MalformedLandmarksError), match=r"\.$"):
        parse_hand(value)


@pytest.mark.parametrize(
    "absent", [None, [], [None] * 3, [0.1, None, 0.2], [0.1, 0.2, math.nan], [0.1], {"x": 1, "z": 2}]
)
@pytest.mark.parametrize("form", [list, as_objects])
def test_missing_points_are_counted_and_named(absent: Any, form: Any) -> None:
    hand = form(LIKE)
    hand[4] = hand[8] = absent
    with pytest.raises(
        MissingLandmarksError, match="landmarks 4 THUMB_TIP and 8 INDEX_FINGER_TIP have no finite"
    ) as error:
        parse_hand(hand)
    assert error.value.count == 2


@pytest.mark.parametrize(("form", "axes"), [(as_numbers, 3), (as_planar_numbers, 2)])
@pytest.mark.parametrize("axis", [0, 1])
def test_missing_coordinate_among_63_or_42_numbers_is_named(form: Any, axes: int, axis: int) -> None:
    numbers: list[Any] = form(LIKE)
    numbers[axes * 4 + axis] = None
    with pytest.raises(MissingLandmarksError, match="landmark 4 THUMB_TIP has no finite"):
        parse_hand(numbers)


@pytest.mark.parametrize(
    ("count", "missing"), [(62, 1), (61, 1), (60, 1), (43, 7), (21, 14), (20, 15), (10, 18), (1, 21)]
)
def test_other_counts_of_numbers_lack_the_points_at_the_end(count: int, missing: int) -> None:
    with pytest.raises(MissingLandmarksError) as error:
        parse_hand(as_numbers(LIKE)[:count])
    assert error.value.count == missing


@pytest.mark.parametrize("largest", [MAX_COORDINATE, -MAX_COORDINATE])
def test_largest_coordinates_are_not_malformed(largest: float) -> None:
    with pytest.raises(MissingLandmarksError, match="landmark 4 THUMB_TIP has no finite"):
        parse_hand([*LIKE[:4], None, [largest] * 3, *LIKE[6:]])
    assert parse_hand([[largest] * 3, *LIKE[1:]])[0] == largest


def test_one_hand_in_a_list_has_the_same_errors() -> None:
    with pytest.raises(MissingLandmarksError, match="landmark 4 THUMB_TIP has no finite"):
        parse_hand([[*LIKE[:4], None, *LIKE[5:]]])
    with pytest.raises(MalformedLandmarksError, match="must hold one hand, but it holds lists of hands"):
        parse_hand([[LIKE]])


@pytest.mark.parametrize("value", [None, [], [None] * 21, [None] * 63, [math.inf] * 63])
def test_hand_without_points_lacks_21(value: Any) -> None:
    with pytest.raises(MissingLandmarksError, match=r"^all 21 landmarks have no finite") as error:
        parse_hand(value)
    assert error.value.count == 21


@pytest.mark.parametrize(
    "point",
    [
        "abc",
        ["1", "2", "3"],
        [True, False, True],
        [0, 0, 0, 0],
        [1e7, 0, 0],
        [-1e7, 0, 0],
        [10**400, 0, 0],
        {"x": "1", "y": 2, "z": 3},
        7,
    ],
)
def test_malformed_point_is_named(point: Any) -> None:
    with pytest.raises(MalformedLandmarksError, match="landmark 8 INDEX_FINGER_TIP is not numbers"):
        parse_hand([*LIKE[:8], point, *LIKE[9:]])


@pytest.mark.parametrize("value", ["x" * 63, 5, {"x": 1}, True])
def test_values_other_than_lists_are_rejected(value: Any) -> None:
    with pytest.raises(MalformedLandmarksError, match="must be a list of 21 points"):
        parse_hand(value)


@pytest.mark.parametrize("value", [LIKE + LIKE, [0.5] * 66])
def test_error_for_several_hands_names_predict_batch(value: Any) -> None:
    with pytest.raises(MalformedLandmarksError, match="/predict_batch"):
        parse_hand(value)


def test_mixed_formats_are_rejected() -> None:
    with pytest.raises(MalformedLandmarksError, match="one form"):
        parse_hand([*LIKE[:10], *as_objects(LIKE)[10:]])


@pytest.mark.parametrize("count", [2, 3, 50])
def test_error_for_a_list_of_hands_names_predict_batch(count: int) -> None:
    for form in (list, as_objects, as_numbers, as_planar_numbers):
        with pytest.raises(MalformedLandmarksError, match=f"there are {count}; send them as hands to /predict_batch"):
            parse_hand([form(LIKE)] * count)


def test_image_size_restores_the_shape_of_a_normalized_hand() -> None:
    pixels = np.array([parse_hand(LIKE)]) * np.tile([1280, 720, 1], 21)
    normalized = pixels / np.tile([1280, 720, 1], 21)
    restore_shape(normalized, (1280, 720))
    assert normalized == pytest.approx(pixels)


def test_pixels_are_not_converted_in_a_mixed_batch() -> None:
    normalized = parse_hand(LIKE)
    pixels = normalized * np.tile([640, 480, 1], 21)
    both = np.array([pixels, normalized])
    restore_shape(both, (640, 480))
    assert both == pytest.approx(np.array([pixels, pixels]))


def test_a_coordinate_at_the_limit_is_still_normalized_and_one_beyond_is_in_pixels() -> None:
    beyond = math.nextafter(MAX_NORMALIZED_COORDINATE, math.inf)
    hands = np.zeros((3, 63))
    hands[:, 0] = MAX_NORMALIZED_COORDINATE, -MAX_NORMALIZED_COORDINATE, beyond
    restore_shape(hands, (640, 480))
    assert hands[:, 0].tolist() == [640 * MAX_NORMALIZED_COORDINATE, -640 * MAX_NORMALIZED_COORDINATE, beyond]


def test_a_depth_at_the_limit_is_kept_and_one_beyond_is_in_pixels() -> None:
    beyond = math.nextafter(MAX_NORMALIZED_DEPTH, math.inf)
    for image_size, becomes in (((640, 480), beyond / 640), (None, 0)):
        hands = np.zeros((3, 63))
        hands[:, 2] = MAX_NORMALIZED_DEPTH, -MAX_NORMALIZED_DEPTH, beyond
        restore_shape(hands, image_size)
        assert hands[:, 2].tolist() == pytest.approx([MAX_NORMALIZED_DEPTH, -MAX_NORMALIZED_DEPTH, becomes])


@pytest.mark.parametrize(("width", "expected"), [(0.5, 4.0), (1.0, 4.0), (1.5, 4.0 / 1.5)])
def test_a_depth_in_pixels_never_grows(width: float, expected: float) -> None:
    hands = np.zeros((1, 63))
    hands[0, 2] = 4.0
    restore_shape(hands, (width, 1.0))
    assert hands[0, 2] == pytest.approx(expected)


@pytest.mark.parametrize("largest", [None, "known"])
def test_hands_are_converted_to_the_unit_of_the_classifier(largest: str | None) -> None:
    factors = np.tile([640, 480, 1], 21)
    normalized = np.array([parse_hand(LIKE)])
    pixels = normalized * factors
    for unit, expected in ((Unit.PIXELS, pixels), (Unit.IMAGE, normalized)):
        for given_ in (normalized, pixels):
            hands = given_.copy()
            convert(hands, (640, 480), unit, float(np.abs(hands).max()) if largest else None)
            assert hands == pytest.approx(expected)
            hands = given_.copy()
            convert(hands, None, unit)
            assert hands == pytest.approx(given_)


@pytest.mark.parametrize("z", [None, math.nan, math.inf])
@pytest.mark.parametrize("form", [list, as_objects])
def test_a_point_without_a_finite_z_is_missing_but_one_without_z_is_not(z: float | None, form: Any) -> None:
    points = [*LIKE]
    points[4] = [0.1, 0.2, z]  # type: ignore[list-item]
    with pytest.raises(MissingLandmarksError) as error:
        parse_hand(form(points))
    assert error.value.count == 1
    planar: list[Any] = as_pairs(LIKE)
    planar[4] = None
    with pytest.raises(MissingLandmarksError) as error:
        parse_hand(planar)
    assert error.value.count == 1


def test_every_missing_point_is_named() -> None:
    hand: list[Any] = [*LIKE]
    hand[4] = hand[8] = hand[12] = None
    with pytest.raises(MissingLandmarksError, match="4 THUMB_TIP, 8 INDEX_FINGER_TIP and 12 MIDDLE_FINGER_TIP "):
        parse_hand(hand)


@pytest.mark.parametrize("form", [as_pairs, as_planar_objects])
def test_single_points_may_lack_z(form: Any) -> None:
    hand = [*LIKE] if form is as_pairs else as_objects(LIKE)
    hand[4] = form(LIKE)[4]
    expected = parse_hand(LIKE)
    expected[3 * 4 + 2] = 0
    np.testing.assert_array_equal(parse_hand(hand), expected)


def test_several_hands_are_read_at_once_as_floats() -> None:
    hands = read_hands([[[1, 2, 3]] * 21, [[4, 5, 6]] * 21])
    assert hands is not None
    assert hands.dtype == np.float64
    assert hands.tolist() == [[1, 2, 3] * 21, [4, 5, 6] * 21]
