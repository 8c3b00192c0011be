from __future__ import annotations

import asyncio

import pytest
from starlette.types import Message

from hand_gesture.web.responses import Answer, finish, send_answer

HEADERS = [(b"content-type", b"application/json"), (b"content-length", b"2"), (b"retry-after", b"1")]


@pytest.mark.parametrize("more_body", [False, True])
def test_answer_is_complete_at_once_or_when_it_is_finished(*, more_body: bool) -> None:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def main() -> None:
        await send_answer(send, Answer(503, [(b"retry-after", b"1")], b"{}"), more_body=more_body)
        if more_body:
            await finish(send)

    asyncio.run(main())
    assert sent[:2] == [
        {"type": "http.response.start", "status": 503, "headers": HEADERS},
        {"type": "http.response.body", "body": b"{}", "more_body": more_body},
    ]
    assert sent[2:] == ([{"type": "http.response.body", "body": b""}] if more_body else [])
