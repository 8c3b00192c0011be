"""Logs as JSON, one line an event."""

from __future__ import annotations

import json
import logging
import sys
import traceback
from datetime import UTC, datetime

# These bring handlers of their own, and so write in other forms, or twice
_LOGGERS = ("bentoml", "circus", "uvicorn", "uvicorn.error")


class JSONFormatter(logging.Formatter):
    """One JSON object a line: time (UTC, RFC 3339), level, logger, message, process, and the exception if any.

    Neither bodies nor headers are ever logged. Of an exception there are its type and the places it came through, but
    not its words, which may quote what a client sent.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Write a record."""
        event: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            "process": record.process,
        }
        if record.exc_info and record.exc_info[1]:
            error = record.exc_info[1]
            frames = traceback.extract_tb(error.__traceback__)
            event["exception"] = type(error).__name__
            event["trace"] = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
        return json.dumps(event)  # in ASCII: whatever the event holds, every output can encode it


def use_json_logs() -> None:
    """Send what every logger says to standard output as JSON, at the levels that BentoML has set."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JSONFormatter())
    logging.getLogger().handlers = [handler]
    for name in _LOGGERS:
        logger = logging.getLogger(name)
        logger.handlers = []
        logger.propagate = True
