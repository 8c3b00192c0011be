"""The gateway's answers through ASGI when something fails that a real server does not fail at."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from unittest.mock import Mock

import pytest
from starlette.types import Message

from hand_gesture.errors import ServerReason
from hand_gesture.settings import Settings
from hand_gesture.web import gateway

POST: dict[str, Any] = {
    "type": "http",
    "method": "POST",
    "path": "/predict",
    "query_string": b"",
    "headers": [(b"content-type", b"application/json"), (b"content-length", b"9")],
}


@pytest.mark.parametrize("error", [KeyError("a bug"), RuntimeError("a bug"), OSError("a bug")], ids=repr)
def test_an_error_before_the_body_is_read_is_not_a_timeout(
    error: Exception, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It gets a 500 and a line in the log; 408 is for clients that are too slow."""
    monkeypatch.setattr(gateway, "get_metrics", Mock())
    sent: list[Message] = []

    async def receive() -> Message:
        raise error

    async def send(message: Message) -> None:
        sent.append(message)

    asyncio.run(gateway.PredictionGateway(Mock(), Settings(), Mock())(POST, receive, send))
    start, *rest = sent
    assert start["status"] == 500
    assert json.loads(b"".join(message["body"] for message in rest))["reason"] == ServerReason.MODEL_FAILED
    (record,) = caplog.records
    assert record.exc_info is not None
    assert record.exc_info[1] is error
