from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hand_gesture.model.stored_hands import STORED_HANDS_FILE, StoredHands, read_stored_hands, write_stored_hands
from tests.hands import ARTIFACTS, CLASSIFIER


def test_bundled_stored_hands_cover_all_classes() -> None:
    stored = read_stored_hands(ARTIFACTS / STORED_HANDS_FILE)
    assert {*stored.gestures.tolist()} == {*CLASSIFIER.classes}
    assert len(stored.hands) == len(stored.gestures) >= 2000
    assert np.isfinite(stored.hands).all()
    assert (ARTIFACTS / STORED_HANDS_FILE).stat().st_size <= 1_000_000


def test_bundled_stored_hands_are_classified_correctly() -> None:
    stored = read_stored_hands(ARTIFACTS / STORED_HANDS_FILE)
    given = np.array([prediction.gesture for prediction in CLASSIFIER.predict(stored.hands)])
    assert (given == stored.gestures).mean() > 0.9


def test_written_hands_can_be_read(tmp_path: Path) -> None:
    hands = np.random.default_rng(0).normal(size=(5, 63))
    hands[:, 2::3] = 0
    stored = StoredHands(hands, np.array(["like", "none", "fist", "none", "like"]))
    for name in ("a.npz", "b.npz"):
        write_stored_hands(tmp_path / name, stored)
    read = read_stored_hands(tmp_path / "a.npz")
    assert np.abs(read.hands - hands).max() < 0.002
    assert read.gestures.tolist() == stored.gestures.tolist()
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    with np.load(tmp_path / "a.npz") as arrays:
        assert (arrays["hands"].dtype, arrays["classes"].dtype) == (np.float16, np.uint8)


def test_more_gestures_than_a_byte_can_number(tmp_path: Path) -> None:
    names = np.array([f"gesture {number:03}" for number in range(300)])
    write_stored_hands(tmp_path / "hands.npz", StoredHands(np.zeros((300, 63)), names))
    assert read_stored_hands(tmp_path / "hands.npz").gestures.tolist() == names.tolist()


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x05\x06" + bytes(18)])
def test_another_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "hands.npz"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="it does not hold hands"):
        read_stored_hands(path)


def test_arrays_of_other_shapes_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "hands.npz"
    np.savez(path, hands=np.zeros((2, 63)), classes=np.zeros(2, dtype=np.uint8), names=np.array(["like"]))
    with pytest.raises(ValueError, match="other shapes"):
        read_stored_hands(path)
