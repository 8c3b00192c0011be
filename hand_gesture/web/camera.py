"""The state of a stream's hands from frame to frame, and the answer to each frame."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from hand_gesture.debounce import Debouncer
from hand_gesture.frame_clock import FrameClock
from hand_gesture.model.classifier import NONE, Prediction
from hand_gesture.tracking import MEMORY_SECONDS, Tracker
from hand_gesture.web.decoding import Frame, StreamSettings

# Clients may skip frames without hands, so after a pause the hands may have left. A client that has sent an empty frame
# skips none, so its pauses are those of the network.
PAUSE_SECONDS: Final = 0.5
PAUSE_SECONDS_AFTER_AN_EMPTY_FRAME: Final = 2.0


@dataclass(slots=True)
class _Hand:
    """A tracked hand's held gesture and its command."""

    debouncer: Debouncer
    announced: str = NONE  # the held gesture in the last answer
    command: str | None = None


class Camera:
    """The hands of one stream. Does no I/O and reads no clock."""

    __slots__ = ("_always_lists", "_clock", "_hands", "_hold_seconds", "_on_change", "_pause_seconds", "_tracker")

    def __init__(self, settings: StreamSettings, on_change: Callable[[str], None]) -> None:
        """Start without hands.

        Args:
            settings: of the stream.
            on_change: called with a hand's held gesture when it has changed.
        """
        self._hold_seconds = settings.hold_seconds
        self._always_lists = settings.always_lists
        self._on_change = on_change
        self._clock = FrameClock()
        self._tracker = Tracker(max(MEMORY_SECONDS, settings.hold_seconds))
        self._hands: dict[int, _Hand] = {}
        self._pause_seconds = PAUSE_SECONDS

    def answer(self, frame: Frame, predictions: Sequence[Prediction], arrival: float) -> object:
        """Update with the next frame.

        Args:
            frame: hands in pixels if the frame's size is known.
            predictions: one for each hand, in the same order.
            arrival: of the frame, in seconds; must not decrease.

        Returns:
            The answer, to be sent as JSON.
        """
        hands, client_time, as_list = frame
        clock = self._clock
        time = clock.advance(arrival, client_time)
        if clock.gap > self._pause_seconds and clock.is_gap_unusual():
            for hand in self._hands.values():
                hand.debouncer.release()
        numbers = self._tracker.update(hands, time)
        if len(numbers) == 1:
            entry = self._show(numbers[0], predictions[0], time)
            if len(self._hands) == 1 and not (as_list or self._always_lists):  # most frames
                return entry
            entries = [entry]
        else:
            entries = self._show_all(numbers, predictions, time)
        released = self._miss(numbers, time)
        if self._always_lists:
            return entries + released
        if not entries:
            return self._answer_without_hands(released)
        return entries if as_list or len(entries) > 1 else entries[0]

    def _show_all(self, numbers: Sequence[int], predictions: Sequence[Prediction], time: float) -> list[dict[str, Any]]:
        if not numbers:
            self._pause_seconds = PAUSE_SECONDS_AFTER_AN_EMPTY_FRAME
        entries = []
        for index, (number, shown) in enumerate(zip(numbers, predictions, strict=True)):
            if number in numbers[:index]:  # a second detection of the same hand, which does not count
                entries.append(_entry(number, shown.gesture, shown.confidence, self._hands[number], False))
            else:
                entries.append(self._show(number, shown, time))
        return entries

    def _show(self, number: int, shown: Prediction, time: float) -> dict[str, Any]:
        """Update a hand, and return its entry in the answer."""
        hand = self._hands.get(number)
        if hand is None:
            hand = self._hands[number] = _Hand(Debouncer(self._hold_seconds, NONE))
        debouncer = hand.debouncer
        debouncer.show(shown.gesture, time)
        held = debouncer.held
        changed = held != hand.announced
        if changed:
            self._announce(hand, shown.command if held == shown.gesture else None)
        return _entry(number, shown.gesture, shown.confidence, hand, changed)

    def _miss(self, numbers: Sequence[int], time: float) -> list[dict[str, Any]]:
        """Update the hands that are not in the frame, and return the entries of those that are released."""
        entries = []
        for number, hand in [*self._hands.items()]:
            if number in numbers:
                continue
            hand.debouncer.miss(time)
            if hand.debouncer.held != hand.announced:
                self._announce(hand, None)
                entries.append(_entry(number, None, None, hand, True))
            if hand.announced == NONE and number not in self._tracker.known:
                del self._hands[number]
        return entries

    def _answer_without_hands(self, released: list[dict[str, Any]]) -> dict[str, Any]:
        """The answer, as one object, to a frame without hands: a released hand, or else one that still holds."""
        if released:
            return released[0] | {"gesture": NONE}
        for number, hand in self._hands.items():
            if hand.announced != NONE:
                return _entry(number, NONE, None, hand, False)
        return _NO_HAND

    def _announce(self, hand: _Hand, command: str | None) -> None:
        hand.announced, hand.command = hand.debouncer.held, command
        self._on_change(hand.announced)


_NO_HAND: Final = {"gesture": NONE, "confidence": None, "command": None, "held": NONE, "changed": False, "hand": None}


def _entry(
    number: int,
    gesture: str | None,
    confidence: float | None,
    hand: _Hand,
    changed: bool,
) -> dict[str, Any]:
    return {
        "gesture": gesture,
        "confidence": confidence,
        "command": hand.command,
        "held": hand.announced,
        "changed": changed,
        "hand": number,
    }
