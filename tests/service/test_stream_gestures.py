"""Custom gestures in the settings of a stream."""

from __future__ import annotations

import asyncio
import contextlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jsonschema_rs import Draft202012Validator
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect as begin

from hand_gesture.web.teaching import MAX_WAITING
from tests.hands import LIKE, REFERENCE, as_frame, as_numbers
from tests.own_gestures import gestures, recording
from tests.server import GENEROUS_LIMITS, Server, serve
from tests.service.test_stream import PATIENCE, SETTINGS, address_of, ask, end_of, opened

CROWD = 1000
OPENING = 100  # at once: the listening socket's queue is finite
MOST_OPENING_SECONDS = 30  # half of what a stream may take to send its settings
MAX_GROWTH = 300e6  # bytes; 256 cached sets of 10 kB, and the buffers of 1,000 connections
TAUGHT = "hand_gesture_taught_predictions_total"
TAUGHT_SETS = 'hand_gesture_teachings_total{result="taught"}'
MAY_TRY_AGAIN = [f'hand_gesture_closed_streams_total{{code="{code}"}}' for code in (1001, 1013)]


def shown(shape: str, *, seed: int = 1) -> str:
    """A frame with a shape, different from the examples."""
    return json.dumps({"landmarks": recording(shape, 1, seed=seed)[0]})


def named(name: str, **fields: Any) -> dict[str, Any]:
    return {"gestures": {name: {"hands": recording("L"), **fields}}}


def test_a_gesture_taught_in_the_settings_is_answered_and_held(server: Server) -> None:
    before = server.metrics()[TAUGHT]
    frames = 0
    with opened(server, SETTINGS | {"hold_ms": 100} | gestures("L", "pinky", command="jump")) as stream:
        for shape in ("L", "pinky"):
            answer: dict[str, Any] = {"held": "none"}
            while answer["held"] != shape:
                answer = ask(stream, shown(shape, seed=frames))
                frames += 1
                assert answer["gesture"] == shape
                assert 0.5 < answer["confidence"] <= 1
            assert (answer["changed"], answer["command"]) == (True, "jump")
    assert server.metrics()[TAUGHT] - before == frames


def test_known_gestures_and_other_streams_are_answered_as_before(server: Server) -> None:
    with opened(server) as plain, opened(server, SETTINGS | gestures("L")) as own:
        for name, hand in REFERENCE.hands.items():
            expected = ask(plain, as_frame(hand))
            assert expected["gesture"] == name
            assert ask(own, as_frame(hand))["gesture"] == name
        assert ask(plain, shown("L"))["gesture"] != "L"
        assert ask(own, shown("L"))["gesture"] == "L"


def test_streams_in_one_batch_each_have_their_own_gestures(server: Server) -> None:
    async def play(name: str | None) -> set[str]:
        async with connect(address_of(server), open_timeout=PATIENCE) as stream:
            await stream.send(json.dumps(named(name) if name else {}))
            answers = set()
            for seed in range(50):
                await stream.send(shown("L", seed=seed))
                answers.add(json.loads(await stream.recv())["gesture"])
            return answers

    async def together() -> list[set[str]]:
        return await asyncio.gather(*(play(name) for name in ("heart", "home", None) * 5))

    answers = asyncio.run(together())
    assert answers[0::3] == [{"heart"}] * 5
    assert answers[1::3] == [{"home"}] * 5
    for plain in answers[2::3]:
        assert not plain & {"heart", "home"}


def test_each_hand_of_a_frame_may_make_the_gesture(server: Server) -> None:
    l_hand, pinky = (recording(shape, 1, seed=1)[0] for shape in ("L", "pinky"))
    message = json.dumps({"hands": [l_hand, REFERENCE.hands["fist"], pinky]})
    with opened(server, gestures("L", "pinky")) as stream:
        assert [hand["gesture"] for hand in ask(stream, message)] == ["L", "fist", "pinky"]


def test_frames_that_come_while_it_is_taught_are_answered_in_order(server: Server) -> None:
    with opened(server, SETTINGS | {"gestures": many(16, examples=10, seed=99)}) as stream:
        for hand in REFERENCE.hands.values():
            stream.send(as_frame(hand))
        assert [json.loads(stream.recv(PATIENCE))["gesture"] for _ in REFERENCE.hands] == [*REFERENCE.hands]


def many(count: int, *, examples: int, seed: int) -> dict[str, Any]:
    """Gestures of random points, which cannot be recognized."""
    random = np.random.default_rng(seed)
    return {
        f"g{number}": {"hands": random.uniform(0, 100, (examples, 63)).round(4).tolist()} for number in range(count)
    }


def test_one_example_is_enough(server: Server) -> None:
    with opened(server, gestures("L", count=1)) as stream:
        assert ask(stream, json.dumps({"landmarks": recording("L", 1)[0]}))["gesture"] == "L"


def test_settings_may_be_larger_than_other_messages(server: Server) -> None:
    settings = {"gestures": many(16, examples=64, seed=1)}
    assert 500_000 < len(json.dumps(settings)) < 1_000_000
    with opened(server, settings) as stream:
        assert ask(stream, as_frame(LIKE))["gesture"] == "like"
        stream.send(json.dumps({"landmarks": LIKE}) + " " * 65_536)
        assert end_of(stream)[0] == 1009


NAN = [float("nan"), *as_numbers(LIKE)[1:]]
BAD = {
    "NaN": (named("heart", hands=[LIKE, NAN]), "missing_landmarks", "Example 2 of heart: landmark 0 WRIST"),
    "a known gesture": (named("like"), "invalid_request", "The name like is taken"),
    "a known gesture in capitals": (named("LIKE"), "invalid_request", "The name LIKE is taken"),
    "none": (named("none"), "invalid_request", "The name none is taken"),
    "no gestures": ({"gestures": {}}, "invalid_request", "at least one gesture"),
    "a list": ({"gestures": [LIKE]}, "invalid_request", "gestures must be an object"),
    "17": ({"gestures": many(17, examples=1, seed=1)}, "invalid_request", "17 gestures"),
    "65 examples": ({"gestures": many(1, examples=65, seed=1)}, "too_many_hands", "65 hands"),
    "a bad command": (named("heart", command=1), "invalid_request", "The command of heart"),
    "a bad size": (named("heart", image_size=[0, 1]), "invalid_image_size", "The gesture heart: image_size"),
}


@pytest.mark.parametrize("what", BAD)
def test_invalid_gestures_close_the_stream_with_a_message(server: Server, what: str) -> None:
    settings, reason, words = BAD[what]
    counted = f'hand_gesture_invalid_requests_total{{reason="{reason}"}}'
    before = server.metrics()[counted]
    with opened(server, settings) as stream:
        code, _, error = end_of(stream)
    assert (code, error["reason"]) == (1008, reason)
    assert words in error["error"]
    assert server.metrics()[counted] - before == 1


def test_duplicate_names_are_rejected(server: Server) -> None:
    gesture = json.dumps({"hands": [LIKE]})
    with begin(address_of(server)) as stream:
        stream.send(f'{{"gestures": {{"heart": {gesture}, "heart": {gesture}}}}}')
        code, _, error = end_of(stream)
    assert code == 1008
    assert "The name heart stands twice" in error["error"]


def test_settings_of_10_mb_are_rejected_before_reading(server: Server) -> None:
    with begin(address_of(server)) as stream:
        with contextlib.suppress(ConnectionClosed):
            stream.send(json.dumps({"gestures": "x" * 10_000_000}))
        assert end_of(stream)[0] == 1009
    assert server.client.post("/predict", json={"landmarks": LIKE}).is_success


def test_many_sets_of_gestures_are_limited_and_do_not_affect_others(home: Path) -> None:
    """1,000 streams send gestures at once: each gets its gestures or may try again, and one without is not affected.

    All are open before the first sends its settings, if the machine is fast enough. Memory stays bounded.
    """
    with serve(home, MAX_STREAMS=CROWD + 1, **GENEROUS_LIMITS) as server:
        _send_a_crowd(server)


def _send_a_crowd(server: Server) -> None:
    (worker,) = server.workers()
    before, resident = server.metrics(), worker.memory_info().rss
    opening = asyncio.Semaphore(OPENING)
    largest = 0

    async def play(number: int, all_are_open: asyncio.Barrier) -> str:
        async with opening:
            stream = await connect(address_of(server), open_timeout=PATIENCE, ping_interval=None, compression=None)
        async with stream:
            with contextlib.suppress(TimeoutError):  # on a slow machine not all are, or the first would be closed
                await asyncio.wait_for(all_are_open.wait(), MOST_OPENING_SECONDS)
            try:
                await stream.send(json.dumps({"gestures": {f"g{number}": {"hands": recording("L", seed=number)}}}))
                await stream.send(shown("L"))
                answer = json.loads(await stream.recv())
            except ConnectionClosed:
                answer = {"reason": "closed"}
            return str(answer.get("gesture") or answer["reason"])

    async def watch(until: asyncio.Future[Any]) -> int:
        nonlocal largest
        count = 0
        async with connect(address_of(server), open_timeout=PATIENCE) as stream:
            await stream.send("{}")
            while not until.done():
                await stream.send(as_frame(LIKE))
                assert json.loads(await stream.recv())["gesture"] == "like"
                count += 1
                largest = max(largest, worker.memory_info().rss)
        return count

    async def crowd() -> tuple[list[str], int]:
        all_are_open = asyncio.Barrier(CROWD)
        numbers = range(1000, 1000 + CROWD)
        players = asyncio.ensure_future(asyncio.gather(*(play(number, all_are_open) for number in numbers)))
        watched = await watch(players)
        return await players, watched

    answers, watched = asyncio.run(crowd())
    taught = [answer == f"g{number}" for number, answer in enumerate(answers, 1000)]
    assert any(taught)
    assert {answer for answer, is_taught in zip(answers, taught, strict=True) if not is_taught} <= {
        "overloaded",
        "body_too_slow",  # on a slow machine
        "closed",
    }
    assert watched > 0
    after = server.metrics()
    assert sum(after[series] - before[series] for series in MAY_TRY_AGAIN) == CROWD - sum(taught)
    assert after[TAUGHT_SETS] - before[TAUGHT_SETS] <= sum(taught) + MAX_WAITING
    assert largest - resident < MAX_GROWTH
    with opened(server, gestures("L")) as stream:  # a place is free again
        assert ask(stream, shown("L"))["gesture"] == "L"


def test_the_document_describes_gestures_of_settings(server: Server) -> None:
    message = server.client.get("/asyncapi.json").json()["components"]["messages"]["settings"]
    schema = Draft202012Validator(message["payload"])
    schema.validate(SETTINGS | gestures("L", "pinky", command="jump"))
    schema.validate({"gestures": None})
    assert not schema.is_valid({"gestures": {}})
    assert not schema.is_valid({"gestures": many(17, examples=1, seed=1)})
    assert not schema.is_valid({"gestures": {"": {"hands": [LIKE]}}})
