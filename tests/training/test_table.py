"""Tables of users: supported formats, and messages about errors."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.hands import IMAGE_SIZE, REFERENCE, as_numbers, as_objects, as_planar_numbers
from training.table import TableError, leave_out, read_table

COLUMNS = [f"{axis}{number}" for number in range(1, 22) for axis in "xyz"]
PLANAR_COLUMNS = [name for name in COLUMNS if name[0] != "z"]
Row = dict[str, Any]


def rows(*labels: str) -> list[Row]:
    """CSV rows with coordinates in 0..1, one for each label."""
    hands = list(REFERENCE.hands.values())
    return [
        dict(zip(COLUMNS, as_numbers(hands[index % len(hands)]), strict=True)) | {"label": label}
        for index, label in enumerate(labels)
    ]


def write(path: Path, table: list[Row]) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, table[0].keys())
        writer.writeheader()
        writer.writerows(table)
    return path


def undistorted(hand: list[list[float]]) -> np.ndarray[Any, Any]:
    return np.array(as_numbers(hand)).reshape(21, 3) * [*IMAGE_SIZE, 1]


def test_csv(tmp_path: Path) -> None:
    table = read_table(write(tmp_path / "mine.csv", rows("b", "a", "a", "b", "none", "none")), (640, 480))
    assert table.classes == ["a", "b", "none"]
    assert table.counts() == {"a": 2, "b": 2, "none": 2}
    assert table.hands.classes.tolist() == [1, 0, 0, 1, 2, 2]
    assert (table.groups, table.grouped_by, table.unsized) == (None, None, 0)
    first = next(iter(REFERENCE.hands.values()))
    np.testing.assert_allclose(table.hands.values[0].reshape(21, 3), undistorted(first))


def test_columns_may_have_any_order_case_and_start_at_zero(tmp_path: Path) -> None:
    table = rows("a", "a", "b", "b")
    plain = read_table(write(tmp_path / "plain.csv", table))
    renamed = [
        {(f"{key[0].upper()}{int(key[1:]) - 1}" if key != "label" else "Label"): row[key] for key in reversed(row)}
        for row in table
    ]
    np.testing.assert_array_equal(read_table(write(tmp_path / "renamed.csv", renamed)).hands.values, plain.hands.values)


def test_z_is_optional(tmp_path: Path) -> None:
    planar = [{name: row[name] for name in (*PLANAR_COLUMNS, "label")} for row in rows("a", "a", "b", "b")]
    table = read_table(write(tmp_path / "mine.csv", planar))
    assert not table.hands.values.reshape(-1, 21, 3)[..., 2].any()
    assert table.unsized == 4


def test_rows_may_have_a_frame_size(tmp_path: Path) -> None:
    table = [row | {"size": size} for row, size in zip(rows("a", "a", "b", "b"), ["640x480", "", "", ""], strict=True)]
    read = read_table(write(tmp_path / "mine.csv", table))
    assert read.unsized == 3
    assert read.hands.values[0].max() > 100 > read.hands.values[1].max()


def test_json_lines(tmp_path: Path) -> None:
    hands = list(REFERENCE.hands.values())[:4]
    forms: list[Callable[[Any], Any]] = [list, as_objects, as_numbers, as_planar_numbers]
    lines = [
        {"landmarks": form(hand), "label": label, "size": IMAGE_SIZE, "form": "image 0..1", "group": label}
        for form, hand, label in zip(forms, hands, "aabb", strict=True)
    ]
    lines += [{"landmarks": hands[0], "label": "none", "near": "fist"}]
    path = tmp_path / "mine.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)) + "\n\n")
    table = read_table(path)
    assert (table.left_out, table.grouped_by, table.unsized) == (1, "group", 0)
    for values, hand in zip(table.hands.values, hands, strict=True):
        np.testing.assert_allclose(values.reshape(21, 3)[:, :2], undistorted(hand)[:, :2])


def test_folds_leave_out_whole_people(tmp_path: Path) -> None:
    labels = ["a", "b"] * 6
    table = [row | {"person": f"p{index // 4}"} for index, row in enumerate(rows(*labels))]
    read = read_table(write(tmp_path / "mine.csv", table))
    assert read.grouped_by == "person"
    assert read.groups is not None
    folds = list(leave_out(read, 5, 0))
    assert sorted(np.concatenate([unseen for _, unseen in folds]).tolist()) == list(range(12))
    for seen, unseen in folds:
        assert not set(read.groups[seen]) & set(read.groups[unseen])


def changed(**cells: Any) -> list[Row]:
    table = rows("a", "a", "b", "b")
    table[1] |= cells
    return table


def without(*names: str) -> list[Row]:
    return [{key: value for key, value in row.items() if key not in names} for row in rows("a", "a", "b", "b")]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (rows("a", "a", "b"), "has only one row of b; each label needs at least 2"),
        (rows("a", "a"), "has only the label a; at least two are needed"),
        (rows("none", "none"), "has only the label none"),
        (without("z7"), "lacks the column z7; its header must have the columns x1, y1, z1 … x21, y21, z21 (z is"),
        (without("x3", "y3"), "lacks the columns x3, y3;"),
        (without("label"), "lacks the column label;"),
        (changed(x3="nan"), "line 3: landmark 2 THUMB_MCP has no finite x, y, z."),
        (changed(x3="left"), "line 3: x3 is 'left', which is not a number."),
        (changed(x3=""), "line 3: x3 is '', which is not a number."),
        (changed(x3=1e9), "line 3: landmark 2 THUMB_MCP is not numbers"),
        (changed(**dict.fromkeys(COLUMNS, 0.5)), "line 3: all 21 points are in one place"),
        (changed(label=" "), "line 3 has no label"),
        ([row | {"size": "640"} for row in rows("a", "a", "b", "b")], "line 2: the size '640' is not a width"),
    ],
)
def test_errors_in_csv_files_are_explained(tmp_path: Path, table: list[Row], message: str) -> None:
    with pytest.raises(TableError) as error:
        read_table(write(tmp_path / "mine.csv", table))
    assert message in str(error.value)
    assert str(tmp_path / "mine.csv") in str(error.value)


HAND = json.dumps(REFERENCE.hands["fist"])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (f'{{"landmarks": {HAND}}}', "line 1 has no label"),
        ('{"label": "a"}', "line 1 has no landmarks"),
        (f'{{"landmarks": {HAND}, "label": "a"', "line 1 is not JSON"),
        ("[1, 2]", "line 1 must be an object"),
        ('{"landmarks": [1, 2], "label": "a"}', "line 1: all 21 landmarks have no finite x, y, z."),
        (f'{{"landmarks": {HAND}, "label": "a", "form": "polar"}}', "the form 'polar' is unknown; it must be one of"),
        (f'{{"landmarks": {HAND}, "label": "a", "size": [0, 480]}}', "line 1: the size [0, 480] is not a width"),
        (f'{{"landmarks": {HAND}, "label": null}}', "line 1 has no label"),
        ("", "has no rows"),
    ],
)
def test_errors_in_json_lines_are_explained(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_text(content)
    with pytest.raises(TableError, match=r"mine\.jsonl") as error:
        read_table(path)
    assert message in str(error.value)


def test_unreadable_files_are_rejected(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="cannot be read"):
        read_table(tmp_path / "missing.csv")
    (tmp_path / "binary.csv").write_bytes(b"\x80\x81\xff\x00")
    with pytest.raises(TableError, match="is not a text file"):
        read_table(tmp_path / "binary.csv")
    (tmp_path / "ragged.csv").write_text(",".join([*COLUMNS, "label"]) + "\n1,2,3\n")
    with pytest.raises(TableError, match="line 2 has 3 values, but there are 64 columns"):
        read_table(tmp_path / "ragged.csv")
    (tmp_path / "twice.csv").write_text("x1,x1\n1,2\n")
    with pytest.raises(TableError, match="has the column x1 twice"):
        read_table(tmp_path / "twice.csv")
