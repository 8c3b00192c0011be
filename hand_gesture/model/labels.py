"""Names the classes of a classifier: from an encoder, a list, or the classes themselves if they are names."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from hand_gesture.model.safe_pickle import Placeholder

MAX_NAME: Final = 100
_SHOWN: Final = 4


class LabelsError(ValueError):
    """The classes cannot be named; the message says what to do."""


def read_labels(text: str) -> list[str] | dict[str, str]:
    """Parse labels: a JSON list or object, one label per line, or labels separated by commas.

    Lines like ``0: A``, ``0,A`` or ``0 A`` are parsed as a dictionary from class to name.
    """
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if isinstance(value, dict):
        if all(isinstance(index, int) for index in value.values()) and value:  # inverted: from name to class
            return {str(index): str(name) for name, index in value.items()}
        return {str(key): str(name) for key, name in value.items()}
    if isinstance(value, list):
        return [str(name) for name in value]
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if len(lines) == 1:
        return [name.strip() for name in lines[0].split(",")]
    pairs = [line.replace(":", " ").replace(",", " ").split(maxsplit=1) for line in lines]
    if all(len(pair) == 2 and pair[0].isdigit() for pair in pairs):
        return {pair[0]: pair[1].strip() for pair in pairs}
    return lines


def names_of_encoder(encoder: Any) -> list[str] | dict[str, str] | None:  # noqa: PLR0911 (one return per format)
    """The class names in an encoder; None if it is not one.

    Args:
        encoder: a ``LabelEncoder`` of any version, or a list or dictionary that serves as one.
    """
    if type(encoder).__name__ in {"LabelEncoder", "LabelBinarizer"}:
        return [str(name) for name in encoder.classes_]
    if isinstance(encoder, Placeholder):
        return None
    if isinstance(encoder, np.ndarray) and encoder.ndim == 1 and encoder.dtype.kind in "UO":
        return [str(name) for name in encoder]
    if isinstance(encoder, list | tuple) and encoder and all(isinstance(name, str) for name in encoder):
        return [*map(str, encoder)]
    if isinstance(encoder, dict) and encoder:
        if all(isinstance(index, int | np.integer) for index in encoder.values()):
            return {str(index): str(name) for name, index in encoder.items()}
        if all(isinstance(name, str) for name in encoder.values()):
            return {str(index): name for index, name in encoder.items()}
    return None


def name_classes(classes: Sequence[Any], names: list[str] | dict[str, str] | None, source: str) -> list[str]:
    """The names of a classifier's classes, in their order.

    Args:
        classes: the classifier's classes.
        names: names in the order of the class numbers, or a dictionary from class to name; None if not given.
        source: the origin of the names, for error messages.

    Raises:
        LabelsError: the names do not match the classes, or the classes are numbers and no names were given.
    """
    own = [str(item) for item in classes]
    are_numbers = all(name.isdigit() for name in own)
    if names is None:
        if are_numbers:
            raise LabelsError(
                f"The model's {len(own)} classes are numbers ({_shorten(own)}); name them with --encoder FILE, or with "
                "--labels: a file of names, or a,b,c in the order of the numbers."
            )
        result = own
    elif isinstance(names, Mapping):
        result = [names.get(name, "") for name in own]
    elif set(names) == set(own):
        result = own
    elif are_numbers and len(names) == len(own):
        order = sorted(range(len(own)), key=lambda index: int(own[index]))
        result = [""] * len(own)
        for name, index in zip(names, order, strict=True):
            result[index] = name
    else:
        result = []
    if len(result) != len(own) or not all(result):
        given = [*names.values()] if isinstance(names, Mapping) else names or []
        raise LabelsError(
            f"The model has {len(own)} classes ({_shorten(own)}) and {source} {len(given)} ({_shorten(given)}), which "
            "do not match; give the names that it was trained with."
        )
    if len(set(result)) != len(result):
        raise LabelsError(f"{source} gives two classes the same name ({_shorten(result)}); each needs its own.")
    if any(len(name) > MAX_NAME or not name.isprintable() for name in result):
        raise LabelsError(f"A name of a class is longer than {MAX_NAME} characters, or not printable.")
    return result


def _shorten(names: Sequence[str]) -> str:
    return ", ".join([*(name[:20] for name in names[:_SHOWN]), *["…"] * (len(names) > _SHOWN)])
