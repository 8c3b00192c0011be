"""Hand tracking, debouncing and release on streams; frames have timestamps, so that no test waits."""

from __future__ import annotations

import json
import random
import struct
import time
from collections.abc import Iterable
from typing import Any

import pytest

from tests.hands import IMAGE_SIZE, REFERENCE, as_frame
from tests.server import Server
from tests.service.test_stream import PATIENCE, ask, opened

FRAME_MS = 1000 / 30
HOLD_MS = 150
SETTINGS = {"image_size": IMAGE_SIZE, "hold_ms": HOLD_MS}
LISTS = SETTINGS | {"answers": "list"}

Hand = list[list[float]]


def at(gesture: str, x: float) -> Hand:
    """A reference hand of half the size, x from the left."""
    return [[a * 0.5 + x, b * 0.5 + 0.25, c * 0.5] for a, b, c in REFERENCE.hands[gesture]]


LIKE, FIST = at("like", 0.0), at("fist", 0.5)
COMMANDS = {"like": "up", "fist": "left"}


def timed(milliseconds: float, *hands: Hand) -> bytes:
    return struct.pack("<d", milliseconds) + as_frame(*hands)


def watch(server: Server, frames: Iterable[tuple[Hand, ...]], settings: object = LISTS) -> list[Any]:
    """The answers to frames at 30 a second."""
    with opened(server, settings) as stream:
        return [ask(stream, timed(index * FRAME_MS, *hands)) for index, hands in enumerate(frames)]


def changes(answers: Iterable[Any]) -> list[tuple[int, str, str | None]]:
    """Changes: hand, new held gesture, and command."""
    entries = [entry for answer in answers for entry in (answer if isinstance(answer, list) else [answer])]
    return [(entry["hand"], entry["held"], entry["command"]) for entry in entries if entry["changed"]]


BOTH = [(1, "like", "up"), (2, "fist", "left")]


@pytest.mark.parametrize("settings", [SETTINGS, LISTS])
@pytest.mark.parametrize(
    "rest",
    [[(FIST, LIKE)] * 30, [(FIST, LIKE), (LIKE, FIST)] * 15],
    ids=["order changes once", "order changes with each frame"],
)
def test_order_of_hands_changes_nothing(server: Server, settings: object, rest: list[tuple[Hand, ...]]) -> None:
    answers = watch(server, [(LIKE, FIST)] * 30 + rest, settings)
    assert changes(answers) == BOTH
    for answer, hands in zip(answers, [(LIKE, FIST)] * 30 + rest, strict=True):
        assert [entry["hand"] for entry in answer] == [1 if hand is LIKE else 2 for hand in hands]


def test_one_of_two_hands_leaves(server: Server) -> None:
    answers = watch(server, [(LIKE, FIST)] * 30 + [(FIST,)] * 30)
    assert changes(answers) == [*BOTH, (1, "none", None)]
    assert {answer[0]["hand"] for answer in answers[30:]} == {2}
    assert changes(watch(server, [(LIKE, FIST)] * 30 + [(FIST,)] * 30, SETTINGS)) == BOTH


def test_briefly_missing_hand_keeps_its_id_and_held_gesture(server: Server) -> None:
    answers = watch(server, ([(LIKE, FIST)] * 12 + [(FIST,)] * 4) * 5)
    assert changes(answers) == BOTH


def test_hand_detected_twice_triggers_commands_once(server: Server) -> None:
    second = [[x + 0.005, y, z] for x, y, z in LIKE]
    answers = watch(server, [(LIKE,)] * 5 + [(LIKE, second)] * 20, SETTINGS)
    assert changes(answers) == [(1, "like", "up")]


@pytest.mark.parametrize(
    "no_hand",
    [
        lambda _: b"",
        timed,
        lambda _: '{"hands": []}',
        lambda milliseconds: json.dumps({"hands": [], "time": milliseconds}),
    ],
    ids=["0 bytes", "time alone", "text", "text with time"],
)
def test_frames_without_hands_release_what_was_held_after_hold_ms(server: Server, no_hand: Any) -> None:
    empty = {"gesture": "none", "confidence": None, "hand": 1, "held": "like", "command": "up", "changed": False}
    with opened(server, SETTINGS) as stream:
        for index in range(6):
            answer = ask(stream, timed(index * FRAME_MS, LIKE))
        assert (answer["held"], answer["changed"]) == ("like", True)
        started = time.monotonic()
        answers = [ask(stream, no_hand(5 * FRAME_MS + 1))]
        assert answers == [empty] or time.monotonic() - started >= HOLD_MS / 1000
        while answers[-1]["held"] == "like":
            time.sleep(0.01)
            answers.append(ask(stream, no_hand(5 * FRAME_MS + 10 * len(answers))))
        assert answers[:-1] == [empty] * (len(answers) - 1)
        assert answers[-1] == empty | {"held": "none", "command": None, "changed": True}
        assert ask(stream, no_hand(5000.0)) == empty | {"held": "none", "command": None, "hand": None}


def test_released_hands_come_last_in_the_list(server: Server) -> None:
    with opened(server, LISTS) as stream:
        for index in range(6):
            answer = ask(stream, timed(index * FRAME_MS, LIKE, FIST))
        assert [entry.keys() for entry in answer] == [answer[0].keys()] * 2
        assert ask(stream, timed(200)) == []
        released = {"gesture": None, "confidence": None, "command": None, "held": "none", "changed": True}
        first, last = ask(stream, timed(400, FIST))
        assert (first["hand"], first["gesture"], first["held"], first["changed"]) == (2, "fist", "fist", False)
        assert last == released | {"hand": 1}
        assert ask(stream, timed(1000)) == [released | {"hand": 2}]
        assert ask(stream, timed(1100)) == []


def test_answers_without_the_list_setting_are_unchanged(server: Server) -> None:
    with opened(server) as stream:
        one = ask(stream, timed(0, LIKE))
        assert list(one) == ["gesture", "confidence", "command", "held", "changed", "hand"]
        assert [entry["gesture"] for entry in ask(stream, timed(1, LIKE, FIST))] == ["like", "fist"]
        assert len(ask(stream, json.dumps({"hands": [LIKE], "time": 2}))) == 1
        assert ask(stream, timed(3))["gesture"] == "none"
        assert ask(stream, json.dumps({"hands": []}))["gesture"] == "none"


@pytest.mark.parametrize("in_text", [False, True])
def test_network_stalls_repeat_no_command(server: Server, *, in_text: bool) -> None:
    def frame(index: int) -> bytes | str:
        milliseconds = 1.7e12 + index * FRAME_MS
        return json.dumps({"landmarks": LIKE, "time": milliseconds}) if in_text else timed(milliseconds, LIKE)

    with opened(server, LISTS) as stream:
        answers = [ask(stream, frame(index)) for index in range(30)]
        time.sleep(0.7)  # longer than a pause
        for index in range(30, 60):
            stream.send(frame(index))
        answers += [json.loads(stream.recv(PATIENCE)) for _ in range(30)]
    assert changes(answers) == [(1, "like", "up")]


def test_debouncing_uses_timestamps(server: Server) -> None:
    with opened(server, LISTS) as stream:
        ask(stream, timed(0, LIKE))
        time.sleep(HOLD_MS / 1000)
        assert changes([ask(stream, timed(1, LIKE))]) == []
        assert changes([ask(stream, timed(HOLD_MS, LIKE))]) == [(1, "like", "up")]
        for index in range(8):
            ask(stream, timed(HOLD_MS + index * FRAME_MS, LIKE))
        assert changes([ask(stream, timed(1500, LIKE))]) == [(1, "none", None)]  # after a pause


def test_timestamps_may_be_wrong_but_must_be_finite(server: Server) -> None:
    clocks = [1.7e12, 1.7e12 + FRAME_MS, -1e300, 1e300, 0.0, 4e15, 4e15, 3e15]
    with opened(server, SETTINGS) as stream:
        for milliseconds in clocks:
            assert ask(stream, timed(milliseconds, LIKE))["gesture"] == "like"
        error = ask(stream, timed(float("nan"), LIKE))
        assert error["error"] == "The time of a frame must be a finite number of milliseconds."
        for index in range(10):
            answer = ask(stream, timed(5e12 + index * FRAME_MS, LIKE))
        assert answer["held"] == "like"


def test_alternating_gestures_change_the_held_one_at_most_once(server: Server) -> None:
    one = [(at("like", 0.2),), (at("fist", 0.2),)] * 45
    assert len(changes(watch(server, one, SETTINGS | {"hold_ms": 1000}))) <= 1
    assert len(changes(watch(server, one))) <= 1
    first = [(at("like", 0.2),)] * 6
    assert changes(watch(server, first + one)) == [(1, "like", "up")]


def test_15_percent_of_wrong_frames_change_nothing(server: Server) -> None:
    chance = random.Random(0)  # noqa: S311
    frames = [(at("fist" if chance.random() < 0.15 else "like", 0.2),) for _ in range(600)]
    assert changes(watch(server, frames)) == [(1, "like", "up")]


def test_a_gesture_is_held_at_low_frame_rates(server: Server) -> None:
    with opened(server, LISTS) as stream:
        answers = [ask(stream, timed(index * 1000 / 1.6, LIKE)) for index in range(8)]
    assert changes(answers) == [(1, "like", "up")]
    assert changes(answers[:3]) == [(1, "like", "up")]


def test_at_most_eight_hands_per_frame(server: Server) -> None:
    hands = [at("like", 0.5 * index) for index in range(9)]
    with opened(server, LISTS) as stream:
        assert len({entry["hand"] for entry in ask(stream, as_frame(*hands[:8]))}) == 8
        for message in (as_frame(*hands), json.dumps({"hands": hands})):
            error = ask(stream, message)
            assert error["error"] == "There are 9 hands in this frame; send at most 8 at once."
            assert error["reason"] == "too_many_hands"


def test_metrics_count_hands_and_changes(server: Server) -> None:
    def figures() -> dict[str, float]:
        wanted = ("hand_gesture_frames_total", "hand_gesture_changes_total")
        return {name: value for name, value in server.metrics().items() if name.startswith(wanted)}

    before = figures()
    watch(server, [(LIKE, FIST)] * 6 + [(FIST,)] * 6 + [()] * 6)
    change = {name: value - before.get(name, 0) for name, value in figures().items() if value != before.get(name, 0)}
    assert change == {
        'hand_gesture_changes_total{gesture="fist"}': 1,
        'hand_gesture_changes_total{gesture="like"}': 1,
        'hand_gesture_changes_total{gesture="none"}': 2,
        **{f'hand_gesture_frames_total{{hands="{hands}"}}': 6 for hands in range(3)},
    }
