from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from hand_gesture.telemetry.logs import JSONFormatter, use_json_logs


def event_of(record: logging.LogRecord) -> dict[str, Any]:
    line = JSONFormatter().format(record)
    assert line.isascii()  # so that every output can encode it
    assert "\n" not in line
    event: dict[str, Any] = json.loads(line)
    return event


def record(message: str, *arguments: object, error: BaseException | None = None) -> logging.LogRecord:
    exc_info = (type(error), error, error.__traceback__) if error else None
    return logging.LogRecord("a.logger", logging.WARNING, "file.py", 1, message, arguments, exc_info)


def test_an_event() -> None:
    event = event_of(record("%d of %s", 3, "two\nlines"))
    time = datetime.fromisoformat(event.pop("time"))
    assert time.utcoffset() == timedelta()
    assert abs(datetime.now(UTC) - time) < timedelta(hours=1)
    process = event.pop("process")
    assert isinstance(process, int)
    assert event == {"level": "warning", "logger": "a.logger", "message": "3 of two\nlines"}


@pytest.mark.parametrize("text", ["größer…", "\udcff", "\ud800 half of a pair"])
def test_any_text_can_be_logged(text: str) -> None:
    assert event_of(record("%s", text))["message"] == text


def test_messages_of_exceptions_are_not_logged() -> None:
    try:
        raise ValueError("what a client sent")
    except ValueError as error:
        event = event_of(record("failed", error=error))
    assert event["exception"] == "ValueError"
    (place,) = event["trace"]
    assert place.startswith(f"{__file__}:")
    assert place.endswith(" test_messages_of_exceptions_are_not_logged")
    assert "client" not in json.dumps(event)


def test_other_loggers_write_json_once(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(logging.getLogger(), "handlers", [logging.StreamHandler(sys.stderr)])
    names = ("bentoml", "circus", "uvicorn", "uvicorn.error")
    for name in names:
        logger = logging.getLogger(name)
        monkeypatch.setattr(logger, "handlers", [logging.StreamHandler(sys.stderr)])
        monkeypatch.setattr(logger, "propagate", False)
    use_json_logs()
    for name in names:
        logging.getLogger(name).error("heard")
    output = capsys.readouterr()
    assert [json.loads(line)["logger"] for line in output.out.splitlines()] == [*names]
    assert output.err == ""
