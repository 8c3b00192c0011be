"""Reads a user's own table of labelled hands: CSV or JSON Lines."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import GroupKFold, StratifiedKFold

from hand_gesture.landmarks import (
    LANDMARK_COUNT,
    MAX_NORMALIZED_COORDINATE,
    MalformedLandmarksError,
    MissingLandmarksError,
    parse_hand,
    restore_shape,
)
from hand_gesture.model.classifier import NONE
from training.data import Hands, Ints

LABEL: Final = "label"
SIZE: Final = "size"
# Columns of groups for cross-validation; the first that the table has is used
GROUPS: Final = ("person", "source", "recording", "group")
FORMS: Final = ("image 0..1", "pixels", "normalised")
LEAST_ROWS: Final = 2  # per label: one for training, one for evaluation
_JSON_ENDINGS: Final = (".jsonl", ".json", ".ndjson")

Size = tuple[float, float]


class TableError(Exception):
    """The table cannot be used; the message says why and what to do."""


@dataclass(frozen=True)
class Table:
    """Labelled hands.

    ``classes`` are the gestures in alphabetical order, then ``none``, which may have no hands. ``groups`` are the
    values of the column ``grouped_by``; both are None if the table has no such column.
    """

    hands: Hands
    classes: list[str]
    groups: NDArray[np.str_] | None
    grouped_by: str | None
    unsized: int  # hands in 0..1 without the size of their frame
    left_out: int  # rows marked as near

    @property
    def none(self) -> int:
        """The class of hands without a gesture."""
        return len(self.classes) - 1

    def counts(self) -> dict[str, int]:
        """Number of hands of each class."""
        counts = np.bincount(self.hands.classes, minlength=len(self.classes))
        return dict(zip(self.classes, counts.tolist(), strict=True))


class _Row(NamedTuple):
    place: str  # for messages
    landmarks: Any
    label: Any
    size: Size | None
    form: str | None
    near: bool
    columns: dict[str, Any]


def read_table(path: Path, size: Size | None = None) -> Table:
    """Read a table.

    Args:
        path: a CSV file with the columns x1, y1, z1 … x21, y21, z21 (z is optional; numbering may start at 0) and
            label, or a JSON Lines file with landmarks and label.
        size: width and height in pixels of the frames of rows without a size.

    Raises:
        TableError: the file cannot be read, or its content is invalid.
    """
    try:
        rows = list(_json_rows(path) if path.suffix.lower() in _JSON_ENDINGS else _csv_rows(path))
    except OSError as error:
        raise TableError(f"{path} cannot be read ({error.strerror}); give the path of an existing table.") from None
    except (UnicodeDecodeError, csv.Error):
        raise TableError(f"{path} is not a text file; save the table as CSV or JSON Lines in UTF-8.") from None
    known = [row for row in rows if not row.near]
    if not known:
        raise TableError(f"{path} has no rows; each row is a hand and its label.")
    hands = np.array([_read_hand(row, row.size or size) for row in known])
    labels = [_read_label(row) for row in known]
    gestures = _check_labels(path, labels)
    classes = [*gestures, NONE]
    index = {name: number for number, name in enumerate(classes)}
    grouped_by = next((name for name in GROUPS if len({_group(row, name) for row in known}) > 1), None)
    return Table(
        Hands(hands, np.array([index[label] for label in labels])),
        classes,
        None if grouped_by is None else np.array([_group(row, grouped_by) for row in known]),
        grouped_by,
        sum(_is_unsized(row, size) for row in known),
        len(rows) - len(known),
    )


def _csv_rows(path: Path) -> Iterator[_Row]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.reader(file)
        columns = [name.strip().lower() for name in next(reader, [])]
        coordinates = _coordinate_columns(path, columns)
        for cells in reader:
            place = f"{path}, line {reader.line_num}"
            if not any(cells):
                continue
            if len(cells) != len(columns):
                raise TableError(f"{place} has {len(cells)} values, but there are {len(columns)} columns.")
            row = dict(zip(columns, cells, strict=True))
            numbers = [_number(place, name, row[name]) for name in coordinates]
            yield _Row(place, numbers, row[LABEL], _size(place, row.get(SIZE)), None, False, row)


def _coordinate_columns(path: Path, columns: list[str]) -> list[str]:
    """Names of the coordinate columns, in order."""
    if twice := [name for name, count in Counter(columns).items() if count > 1 and name]:
        raise TableError(f"{path} has the column {twice[0]} twice; give each its own name.")
    first = 0 if "x0" in columns else 1
    axes = "xyz" if any(f"z{number}" in columns for number in range(first, first + LANDMARK_COUNT)) else "xy"
    wanted = [f"{axis}{number}" for number in range(first, first + LANDMARK_COUNT) for axis in axes]
    if missing := [name for name in (*wanted, LABEL) if name not in columns]:
        listed = ", ".join(missing[:6]) + (", …" if len(missing) > 6 else "")
        raise TableError(
            f"{path} lacks the column{'s' * (len(missing) > 1)} {listed}; its header must have the columns "
            "x1, y1, z1 … x21, y21, z21 (z is optional) and label."
        )
    return wanted


def _number(place: str, column: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise TableError(f"{place}: {column} is {text!r}, which is not a number.") from None


def _json_rows(path: Path) -> Iterator[_Row]:
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            place = f"{path}, line {number}"
            try:
                row = json.loads(line)
            except json.JSONDecodeError as error:
                raise TableError(f"{place} is not JSON ({error.msg}); each line must be one object.") from None
            if not isinstance(row, dict):
                raise TableError(f'{place} must be an object such as {{"landmarks": …, "label": "fist"}}.')
            for field in ("landmarks", LABEL):
                if field not in row:
                    raise TableError(f"{place} has no {field}; each line needs landmarks and label.")
            size = _size(place, row.get(SIZE))
            yield _Row(place, row["landmarks"], row[LABEL], size, _form(place, row), bool(row.get("near")), row)


def _form(place: str, row: dict[str, Any]) -> str | None:
    form = row.get("form")
    if form is None:
        return None
    known = next((name for name in FORMS if str(form).startswith(name)), None)
    if known is None:
        raise TableError(f"{place}: the form {form!r} is unknown; it must be one of {', '.join(FORMS)}.")
    return known


def _size(place: str, value: Any) -> Size | None:
    if value in (None, "", []):
        return None
    parts = value.lower().split("x") if isinstance(value, str) else value
    try:
        width, height = (float(part) for part in parts)
    except (TypeError, ValueError):
        width = height = 0.0
    if not (0 < width < np.inf and 0 < height < np.inf):
        raise TableError(
            f"{place}: the size {value!r} is not a width and height; write 640x480, or [640, 480] in JSON."
        )
    return width, height


def _read_hand(row: _Row, size: Size | None) -> NDArray[np.float64]:
    """The undistorted hand, shape (63,)."""
    try:
        hand = parse_hand(row.landmarks)
    except (MissingLandmarksError, MalformedLandmarksError) as error:
        raise TableError(f"{row.place}: {error}") from None
    if not np.ptp(hand.reshape(LANDMARK_COUNT, 3)[:, :2], axis=0).any():
        raise TableError(f"{row.place}: all 21 points are in one place; remove such rows.")
    restore_shape(hand[np.newaxis], None if row.form in ("pixels", "normalised") else size)
    return hand


def _read_label(row: _Row) -> str:
    label = str(row.label).strip() if isinstance(row.label, str | int) else ""
    if not label:
        raise TableError(f"{row.place} has no label; name the gesture, or none.")
    return label


def _check_labels(path: Path, labels: list[str]) -> list[str]:
    counts = Counter(labels)
    if few := sorted(label for label, count in counts.items() if count < LEAST_ROWS):
        raise TableError(
            f"{path} has only one row of {', '.join(few)}; each label needs at least {LEAST_ROWS}, better 50 or more "
            "from several people."
        )
    gestures = sorted(counts.keys() - {NONE})
    if not gestures or len(counts) < 2:
        raise TableError(f"{path} has only the label {', '.join(counts)}; at least two are needed.")
    return gestures


def _group(row: _Row, name: str) -> str:
    value = row.columns.get(name)
    return "" if value is None else str(value)


def _is_unsized(row: _Row, size: Size | None) -> bool:
    if row.size or size or row.form in ("pixels", "normalised"):
        return False
    xy = parse_hand(row.landmarks).reshape(LANDMARK_COUNT, 3)[:, :2]
    # Normalised hands have their wrist, or the minimum of x and y, at 0
    return bool(xy.max() <= MAX_NORMALIZED_COORDINATE and xy.min() > 0)


def leave_out(table: Table, folds: int, seed: int) -> Iterator[tuple[Ints, Ints]]:
    """Cross-validation folds (training rows, test rows): by group if there are groups, else stratified by class."""
    rows = np.arange(len(table.hands))
    if table.groups is not None:
        count = min(folds, len(set(table.groups.tolist())))
        yield from GroupKFold(count, shuffle=True, random_state=seed).split(rows, groups=table.groups)
    else:
        least = min(count for count in table.counts().values() if count)
        yield from StratifiedKFold(min(folds, least), shuffle=True, random_state=seed).split(rows, table.hands.classes)
