"""The stored hands: negative examples for training custom gestures; training/stored_set.py makes them."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

from hand_gesture.landmarks import LANDMARK_COUNT, PLANAR_COUNT

STORED_HANDS_FILE: Final = "stored_hands.npz"


@dataclass(frozen=True)
class StoredHands:
    """Hands, shape (n, 63) with z = 0, and the gesture of each, shape (n,), or ``none``."""

    hands: NDArray[np.float64]
    gestures: NDArray[np.str_]


def write_stored_hands(path: Path | BinaryIO, stored: StoredHands) -> None:
    """Write hands in 16 bits, without z; the same hands give the same bytes."""
    names, classes = np.unique(stored.gestures, return_inverse=True)
    hands = stored.hands.reshape(-1, LANDMARK_COUNT, 3)[..., :2].reshape(-1, PLANAR_COUNT).astype(np.float16)
    np.savez(path, hands=hands, classes=classes.astype(np.min_scalar_type(len(names))), names=names)


def read_stored_hands(file: Path | BinaryIO) -> StoredHands:
    """Read what ``write_stored_hands`` wrote.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is not such a file; the message says why, as the end of a sentence.
    """
    try:
        with np.load(file, allow_pickle=False) as arrays:
            planar, classes, names = arrays["hands"], arrays["classes"], arrays["names"]
    except (ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"it does not hold hands ({error})") from None
    if planar.ndim != 2 or planar.shape[1] != PLANAR_COUNT or classes.shape != planar.shape[:1]:
        raise ValueError(f"it holds arrays of other shapes than (n, {PLANAR_COUNT}) and (n,)")
    hands = np.zeros((len(planar), LANDMARK_COUNT, 3))
    hands[..., :2] = planar.reshape(-1, LANDMARK_COUNT, 2)
    return StoredHands(hands.reshape(len(planar), -1), names[classes])
