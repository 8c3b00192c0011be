"""Streams during shutdown or the loss of a worker, and clients that flood, do not read, or reconnect."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
import uvloop

from tests.faults.test_endurance import holdings
from tests.faults.test_workers import held_connections, wait_for_workers
from tests.fuzz.test_streams import GOOD, RawStream
from tests.hands import IMAGE_SIZE, shaken_hands
from tests.server import GENEROUS_LIMITS, Server, serve
from tests.stream_load import CLOSE, StreamTraffic, binary_frame, client_frame, stream, stream_for

SETTINGS = orjson.dumps({"image_size": IMAGE_SIZE})
FRAMES = [binary_frame(body) for body in shaken_hands(40)]
UNSUPPORTED_DATA = 1003
SERVICE_RESTART = 1012
CAMERAS = 64
MINUTES = 10
WARM_UP_SECONDS = 60


@contextlib.contextmanager
def streaming(server: Server, cameras: int = CAMERAS, interval: float = 0.1) -> Iterator[StreamTraffic]:
    """Run cameras within the context."""
    result = StreamTraffic()
    stop = asyncio.Event()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        loop = runner.get_loop()
        work = stream(
            server.url, FRAMES, cameras=cameras, interval=interval, settings=SETTINGS, stop=stop, result=result
        )
        thread = threading.Thread(target=runner.run, args=(work,))
        thread.start()
        try:
            yield result
        finally:
            loop.call_soon_threadsafe(stop.set)
            thread.join()


def wait_until_all_stream(load: StreamTraffic, opened: int = CAMERAS) -> None:
    """Wait until this many streams have been opened in all, and then for 20 answers for each camera."""
    deadline = time.monotonic() + 120
    answered: int | None = None
    while answered is None or len(load.seconds) < answered + 20 * CAMERAS:
        if answered is None and load.opened >= opened:
            answered = len(load.seconds)
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize("workers", [1, 2])
def test_shutdown_answers_received_frames_and_closes_streams_with_1012(home: Path, workers: int) -> None:
    # Send after each answer: the frames in flight at a fixed rate would depend on the machine
    with serve(home, WORKERS=workers, **GENEROUS_LIMITS) as server, streaming(server, interval=0) as load:
        wait_until_all_stream(load)
        started = time.monotonic()
        assert server.stop() == 0
        seconds = time.monotonic() - started
    print(
        f"\n{len(load.seconds)} frames answered, {load.unanswered} sent while it closed, "
        f"closed with {set(load.closed)}, ended after {seconds:.1f} s"
    )
    assert load.wrong == []
    # A camera that reconnects at once may reach the other worker, which exits a moment later
    assert len(load.closed) == load.opened >= CAMERAS
    assert set(load.closed) == {SERVICE_RESTART}
    assert load.unanswered <= load.opened  # at most one late frame per stream


def test_frames_that_have_arrived_are_answered_before_the_end(home: Path) -> None:
    with serve(home, "tests.stream_limits:HandGesture", MAX_WAITING_FRAMES=1000, **GENEROUS_LIMITS) as server:
        raw = RawStream(server)
        raw.socket.sendall(GOOD * 200)
        raw.answer()  # so the other frames have arrived, too
        stopping = threading.Thread(target=server.stop)
        stopping.start()
        answers = 1
        while True:
            opcode, payload = raw.read()
            if opcode == 8:
                break
            assert json.loads(payload)["gesture"] == "like"
            answers += 1
        raw.socket.close()
        stopping.join()
    assert int.from_bytes(payload[:2]) == SERVICE_RESTART
    assert server.process.returncode == 0
    print(f"\n{answers} of 200 answered")
    assert answers == 200


def test_rejected_client_with_unread_frames_gets_its_close_frame_at_once(home: Path) -> None:
    with serve(home, "tests.stream_limits:HandGesture", MAX_WAITING_FRAMES=2, CLIENT_TIMEOUT_SECONDS=60) as server:
        raw = RawStream(server, settings=GOOD * 200)  # frames instead of the settings
        raw.socket.settimeout(30)  # before the server's write timeout
        with raw.socket:
            assert raw.end() == UNSUPPORTED_DATA
            raw.socket.sendall(client_frame(CLOSE, UNSUPPORTED_DATA.to_bytes(2)))
            assert raw.socket.recv(1) == b""


def test_killed_worker_closes_only_its_own_streams(home: Path) -> None:
    with serve(home, WORKERS=2, **GENEROUS_LIMITS) as server:
        # Send after each answer: the frames in flight at a fixed rate would depend on the machine
        with streaming(server, interval=0) as load:
            wait_until_all_stream(load)
            victim = max(server.workers(), key=held_connections)
            held = held_connections(victim)
            before = len(load.seconds)
            victim.kill()
            wait_for_workers(server, victim)
            wait_until_all_stream(load, CAMERAS + held - 1)  # one may be the connection that requests the metrics
        answered = server.metrics()['hand_gesture_requests_total{route="/stream",status="200"}']
    print(
        f"\n{held} of {CAMERAS} streams broke, {load.opened - CAMERAS} opened again; {len(load.seconds)} frames "
        f"answered, {len(load.seconds) - before} of them after, {load.unanswered} lost"
    )
    assert load.wrong == []
    assert load.closed == []
    assert load.opened - CAMERAS <= held
    assert load.unanswered <= held  # in flight
    # The killed one may have counted answers that were not sent yet, and sent those of one turn of its event loop that
    # it had not counted yet: of those in flight.
    assert len(load.seconds) - held <= answered <= len(load.seconds) + load.unanswered


def test_flooding_and_stalled_clients_use_little_memory_and_do_not_affect_others(home: Path) -> None:
    with serve(home, **GENEROUS_LIMITS) as server, contextlib.ExitStack() as stack:
        (worker,) = server.workers()
        good = RawStream(server)
        stack.enter_context(good.socket)
        for _ in range(100):
            good.socket.sendall(GOOD)
            good.answer()
        before = worker.memory_info().rss
        flooding = [RawStream(server) for _ in range(20)]
        pinging = [RawStream(server) for _ in range(20)]
        ping = b"\x89\xfd" + bytes(4) + bytes(125)
        sent = 0
        for raw, data in [*((raw, GOOD * 250) for raw in flooding), *((raw, ping * 500) for raw in pinging)]:
            stack.enter_context(raw.socket)
            raw.socket.setblocking(False)
            with contextlib.suppress(BlockingIOError, ConnectionError):
                for _ in range(200):  # until all buffers are full, because nothing is read
                    sent += raw.socket.send(data)
        most = 0
        answered = 0
        deadline = time.monotonic() + 120
        while server.metrics()["hand_gesture_streams"] > 1:
            assert time.monotonic() < deadline, "those who do not read are not let go"
            good.socket.sendall(GOOD)
            assert good.answer()["gesture"] == "like"
            answered += 1
            most = max(most, worker.memory_info().rss)
            for raw in [*flooding, *pinging]:
                with contextlib.suppress(BlockingIOError, ConnectionError, BrokenPipeError):
                    raw.socket.send(GOOD * 100)
    print(
        f"\n{sent / 1e6:.0f} MB sent, memory up by {(most - before) / 1e6:.0f} MB, {answered} good frames beside them"
    )
    assert most - before < 64e6
    assert '"level": "error"' not in server.log.read_text()


def test_many_streams_may_open_at_once(home: Path) -> None:
    with serve(home, wrapper=("sh", "-c", 'ulimit -Sn 1024 && exec "$@"', "sh"), **GENEROUS_LIMITS) as server:
        with streaming(server, cameras=1000, interval=60) as load:
            deadline = time.monotonic() + 120
            while load.opened < 1000:
                assert time.monotonic() < deadline
                time.sleep(0.1)
    assert load.refused == 0
    assert load.opened == 1000
    assert load.closed == []


def test_nothing_grows(home: Path) -> None:
    """Ten minutes of 200 cameras that reconnect."""
    frames = opened = 0
    with serve(home, **GENEROUS_LIMITS) as server:
        before: dict[str, int] = {}
        started = time.monotonic()
        while time.monotonic() < started + 60 * MINUTES:
            load = stream_for(server.url, FRAMES, seconds=10, cameras=200, interval=1 / 10, life=2, settings=SETTINGS)
            frames += len(load.seconds)
            opened += load.opened
            assert load.refused == 0
            assert load.wrong == []
            assert load.unanswered == 0
            server.metrics()
            if not before and time.monotonic() > started + WARM_UP_SECONDS:
                before = holdings(server)
        assert server.metrics()["hand_gesture_streams"] == 0
        after = holdings(server)
        errors = [line for line in server.log.read_text().splitlines() if '"level": "error"' in line]
    print(f"\n{frames} frames on {opened} streams; after a minute {before}, after {MINUTES} {after}")
    assert errors == []
    assert after["bytes"] <= 1.05 * before["bytes"]
    assert after["descriptors"] <= before["descriptors"]
    assert after["threads"] <= before["threads"] + 1
