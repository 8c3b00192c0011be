from __future__ import annotations

import pytest

from hand_gesture.model.labels import LabelsError, name_classes, read_labels


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("a,b, c", ["a", "b", "c"]),
        ("a\nb\n\nc\n", ["a", "b", "c"]),
        ('["a", "b"]', ["a", "b"]),
        ('{"0": "a", "1": "b"}', {"0": "a", "1": "b"}),
        ('{"a": 0, "b": 1}', {"0": "a", "1": "b"}),
        ("0: a\n1: two words", {"0": "a", "1": "two words"}),
        ("0,a\n1,b", {"0": "a", "1": "b"}),
        ("thumb up\nthumb down", ["thumb up", "thumb down"]),
        ("1\n2", ["1", "2"]),
        ("0 a\nb", ["0 a", "b"]),
    ],
)
def test_all_formats_of_labels_are_parsed(text: str, names: object) -> None:
    assert read_labels(text) == names


@pytest.mark.parametrize(
    ("classes", "names", "expected"),
    [
        (["yes", "no"], None, ["yes", "no"]),
        ([0, 1, 2], ["a", "b", "c"], ["a", "b", "c"]),
        (["0", "1", "10", "2"], ["a", "b", "c", "d"], ["a", "b", "d", "c"]),  # scikit-learn sorts text
        ([1, 2], ["a", "b"], ["a", "b"]),
        ([3, 7], {"3": "a", "7": "b", "9": "c"}, ["a", "b"]),
        (["no", "yes"], ["yes", "no"], ["no", "yes"]),
        ([0, 1], ["a", "b" * 100], ["a", "b" * 100]),
    ],
)
def test_classes_get_their_names(classes: list[object], names: list[str] | None, expected: list[str]) -> None:
    assert name_classes(classes, names, "--labels") == expected


@pytest.mark.parametrize(
    ("classes", "names", "message"),
    [
        ([0, 1], None, "classes are numbers .0, 1.; name them with --encoder FILE"),
        ([0, 1], ["a", "b", "c"], "has 2 classes .0, 1. and --labels 3 .a, b, c., which do not match"),
        ([0, 1], {"0": "a"}, "do not match"),
        (["yes", "no"], ["a", "b"], "do not match"),
        ([0, 1], ["a", "a"], "the same name"),
        ([0, 1], ["a", "b" * 101], "longer than 100"),
    ],
)
def test_labels_that_do_not_match_are_rejected(classes: list[object], names: list[str] | None, message: str) -> None:
    with pytest.raises(LabelsError, match=message):
        name_classes(classes, names, "--labels")
