"""One timer checks everything with a time limit, for as long as there is something to check."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import perf_counter
from unittest.mock import Mock

import pytest

from hand_gesture.bento.watchdog import Watchdog

SECONDS = 0.5
Timers = list[tuple[float, Callable[[], None]]]


class Client:
    """Counts its checks; may do something in each, as a request does that ends at its deadline."""

    def __init__(self, act: Callable[[Client], None] = lambda _: None) -> None:
        self.times: list[float] = []
        self.act = act

    def check(self, now: float) -> None:
        self.times.append(now)
        self.act(self)


@pytest.fixture
def timers(monkeypatch: pytest.MonkeyPatch) -> Timers:
    """The event loop's timers, which the tests let expire themselves."""
    started: Timers = []

    class Loop:
        def call_later(self, seconds: float, callback: Callable[[], None]) -> None:
            started.append((seconds, callback))

    monkeypatch.setattr(asyncio, "get_running_loop", Loop)
    return started


def expire(timers: Timers) -> None:
    """Let the only timer expire."""
    ((seconds, callback),) = timers
    assert seconds == SECONDS
    timers.clear()
    callback()


def test_one_timer_checks_all_again_and_again(timers: Timers) -> None:
    watchdog, clients = Watchdog(SECONDS), [Client() for _ in range(5)]
    for client in clients:
        watchdog.add(client)
    before = perf_counter()
    for count in range(1, 4):
        expire(timers)
        assert [len(client.times) for client in clients] == [count] * 5
    assert before <= clients[0].times[0] <= clients[0].times[2] <= perf_counter()


def test_without_anything_to_check_no_timer_runs(timers: Timers) -> None:
    watchdog, client = Watchdog(SECONDS), Client()
    assert not timers
    watchdog.add(client)
    watchdog.discard(client)
    expire(timers)
    assert not timers
    assert not client.times
    watchdog.add(client)
    expire(timers)
    assert len(client.times) == len(timers) == 1


def test_clients_may_come_and_go_while_they_are_checked(timers: Timers) -> None:
    watchdog, late = Watchdog(SECONDS), Client()

    def leave(client: Client) -> None:
        watchdog.discard(client)
        watchdog.add(late)

    leaving = [Client(leave) for _ in range(5)]
    for client in leaving:
        watchdog.add(client)
    expire(timers)
    expire(timers)
    assert [len(client.times) for client in leaving] == [1] * 5
    assert len(late.times) == 1


def test_a_check_that_fails_is_logged_once_and_stops_no_other(timers: Timers, caplog: pytest.LogCaptureFixture) -> None:
    outcomes = [RuntimeError("a bug"), RuntimeError("a bug"), None, RuntimeError("a bug")]
    fail = Mock(side_effect=outcomes)

    watchdog, clients = Watchdog(SECONDS), [Client(), Client(fail), Client()]
    for client in clients:
        watchdog.add(client)
    logged = []
    for _ in outcomes:
        expire(timers)
        logged.append(len(caplog.records))
    assert [len(client.times) for client in clients] == [4, 4, 4]
    assert logged == [1, 1, 1, 2]
    assert caplog.records[0].exc_info


def test_discarding_what_is_not_watched_does_nothing(timers: Timers) -> None:
    Watchdog(SECONDS).discard(Client())
    assert not timers
