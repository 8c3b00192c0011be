"""Logs: one JSON object per line, without client data."""

from __future__ import annotations

import json
import re
from datetime import datetime
from pathlib import Path

from tests.hands import IMAGE_SIZE, LIKE
from tests.server import serve

KEY, TOKEN = "key-83647", "token-19283"
MARKED = [[0.123456789, 0.987654321, 0.0], *LIKE[1:]]


def test_every_line_is_json_without_landmarks_or_keys(home: Path) -> None:
    with serve(home, WORKERS=2, API_KEY=KEY, METRICS_TOKEN=TOKEN) as server:
        for token in (KEY, "a-wrong-key"):
            headers = {"Authorization": f"Bearer {token}"}
            for route, body in (
                ("/predict", {"landmarks": MARKED, "image_size": IMAGE_SIZE}),
                ("/predict", {"landmarks": MARKED[:20]}),
                ("/predict_batch", {"hands": [MARKED, None]}),
                ("/predict", {"secret-field": 1}),
            ):
                server.client.post(f"{route}?secret-query=1", json=body, headers=headers)
        server.client.post("/predict%0A", json={"landmarks": MARKED}, headers={"Authorization": f"Bearer {KEY}"})
        server.client.get("/nothing-here")
        server.metrics()
        server.workers()[0].kill()
        assert server.stop() == 0
        text = server.log.read_text()
    events = [json.loads(line) for line in text.splitlines()]
    assert any("Service hand_gesture initialized" in event["message"] for event in events)
    for event in events:
        assert event.keys() - {"exception", "trace"} == {"time", "level", "logger", "message", "process"}
        assert datetime.fromisoformat(event["time"]).tzinfo
        assert event["level"] in {"debug", "info", "warning", "error", "critical"}
    assert not re.search(f"{KEY}|{TOKEN}|a-wrong-key|secret|0.123456789|0.987654321", text)
