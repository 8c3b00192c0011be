"""Decodes and validates custom gestures: names, commands and example hands."""

from __future__ import annotations

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Collection
from http import HTTPStatus
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hand_gesture.errors import Reason, RejectedRequestError
from hand_gesture.landmarks import (
    MalformedLandmarksError,
    MissingLandmarksError,
    parse_hand,
    read_hands,
    restore_shape,
)
from hand_gesture.model.classifier import NONE
from hand_gesture.model.taught import MAX_EXAMPLES, MAX_GESTURES, OwnGesture
from hand_gesture.web.contract import MAX_NAME_LENGTH, NAME_PATTERN
from hand_gesture.web.decoding import read_image_size

MAX_GESTURES_BYTES: Final = 1_000_000
_FIELDS: Final = frozenset({"hands", "image_size", "command"})
_FORM: Final = '{"gestures": {NAME: {"hands": [HAND, …], "image_size": [width, height], "command": …}}}'
_NAME: Final = re.compile(NAME_PATTERN)
_SURROGATE: Final = re.compile("[\ud800-\udfff]")  # json accepts lone surrogates, which UTF-8 cannot encode
_VARIATION_SELECTOR: Final = re.compile("[\ufe00-\ufe0f\U000e0100-\U000e01ef]")
_SHOWN: Final = 30  # characters of a name in an error


class _RepeatedNameError(ValueError):
    """An object has two fields of the same name, of which json would silently drop one."""


def decode_gestures_request(body: bytes, known: Collection[str]) -> dict[str, OwnGesture]:
    """Decode the body of ``POST /gestures``, which is also the format of a saved file.

    Args:
        body: JSON.
        known: names that may not be used: the classifier's gestures.

    Raises:
        RejectedRequestError: status 400; the message says what is wrong, and with which example of which gesture.
    """
    fields = _load(body, "The body is")
    if type(fields) is not dict or fields.keys() != {"gestures"}:
        raise _reject(Reason.INVALID_REQUEST, f"The body must be {_FORM}.")
    return decode_gestures(fields["gestures"], known)


def decode_gestures_of_settings(message: str, known: Collection[str]) -> dict[str, OwnGesture]:
    """Decode the ``gestures`` of a stream's settings; see ``decode_gestures_request``.

    Args:
        message: the settings, accepted by ``decode_stream_settings``.
        known: names that may not be used.
    """
    return decode_gestures(_load(message, "The settings are")["gestures"], known)


def _load(text: bytes | str, what: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_reject_repeated_names)
    except _RepeatedNameError as error:
        raise _reject(Reason.INVALID_REQUEST, f"The name {error} stands twice in one object; use it once.") from None
    except (ValueError, RecursionError):  # invalid JSON or UTF-8; too deeply nested
        raise _reject(Reason.INVALID_JSON, f"{what} not valid JSON.") from None


def decode_gestures(value: Any, known: Collection[str]) -> dict[str, OwnGesture]:
    """Validate a parsed ``gestures`` field; see ``decode_gestures_request``."""
    if type(value) is not dict or not value:
        raise _reject(Reason.INVALID_REQUEST, f"gestures must be an object of at least one gesture: {_FORM}.")
    if len(value) > MAX_GESTURES:
        text = f"There are {len(value)} gestures; send at most {MAX_GESTURES} at once."
        raise _reject(Reason.INVALID_REQUEST, text)
    taken = {_folded(name) for name in (*known, NONE)}
    for name in value:
        _check_name(name, taken)
    return {name: _decode_gesture(name, fields) for name, fields in value.items()}


def _reject_repeated_names(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        counts = Counter(name for name, _ in pairs)
        raise _RepeatedNameError(_printable(next(name for name, count in counts.items() if count > 1)))
    return fields


def _check_name(name: str, taken: Collection[str]) -> None:
    if not _is_name(name):
        text = f'The name "{_printable(name)}" is not 1 to {MAX_NAME_LENGTH} characters, none of them invisible.'
        raise _reject(Reason.INVALID_REQUEST, text)
    if _folded(name) in taken:
        raise _reject(Reason.INVALID_REQUEST, f"The name {_printable(name)} is taken; choose another for your gesture.")


def _is_name(name: str) -> bool:
    return _NAME.fullmatch(name) is not None and not _SURROGATE.search(name)


def _decode_gesture(name: str, fields: Any) -> OwnGesture:
    shown = _printable(name)
    if type(fields) is not dict or "hands" not in fields or fields.keys() - _FIELDS:
        text = f"The gesture {shown} must be an object of hands and, if you like, image_size and command."
        raise _reject(Reason.INVALID_REQUEST, text)
    command = fields.get("command")
    if command is not None and not (type(command) is str and _is_name(command)):
        text = f"The command of {shown} must be null or 1 to {MAX_NAME_LENGTH} characters, none of them invisible."
        raise _reject(Reason.INVALID_REQUEST, text)
    hands = fields["hands"]
    if type(hands) is not list or not hands:
        raise _reject(Reason.INVALID_REQUEST, f"The hands of {shown} must be a list of at least one hand.")
    if len(hands) > MAX_EXAMPLES:
        text = f"The gesture {shown} has {len(hands)} hands; send at most {MAX_EXAMPLES}, 10 are plenty."
        raise _reject(Reason.TOO_MANY_HANDS, text)
    try:
        image_size = read_image_size(fields.get("image_size"))
    except RejectedRequestError as error:
        raise _reject(error.reason, f"The gesture {shown}: {error}") from None
    return OwnGesture(_decode_examples(shown, hands, image_size), command)


def _decode_examples(shown: str, values: list[Any], image_size: tuple[float, float] | None) -> NDArray[np.float64]:
    examples = read_hands(values)
    if examples is None:
        examples = np.concatenate([_decode_example(shown, number, value) for number, value in enumerate(values, 1)])
    restore_shape(examples, image_size)
    return examples


def _decode_example(shown: str, number: int, value: Any) -> NDArray[np.float64]:
    try:
        return parse_hand(value)[np.newaxis]
    except MissingLandmarksError as error:
        text = f"Example {number} of {shown}: {error} Send all 21 points, or leave the example out."
        raise _reject(Reason.MISSING_LANDMARKS, text, missing_landmarks=error.count) from None
    except MalformedLandmarksError as error:
        raise _reject(Reason.MALFORMED_LANDMARKS, f"Example {number} of {shown}: {error}") from None


def _folded(name: str) -> str:
    """The normal form of a name, equal for names that look alike (Unicode NFKC, case folding)."""
    return _VARIATION_SELECTOR.sub("", unicodedata.normalize("NFKC", name)).casefold().strip()


def _printable(name: str) -> str:
    """A name for an error message: truncated, and escaped if it has invisible characters."""
    beginning = name if len(name) <= _SHOWN else f"{name[:_SHOWN]}…"
    return beginning if beginning.isprintable() else ascii(beginning)


def _reject(reason: Reason, message: str, *, missing_landmarks: int = 0) -> RejectedRequestError:
    return RejectedRequestError(HTTPStatus.BAD_REQUEST, reason, message, missing_landmarks=missing_landmarks)
