"""Structured logging: one JSON object per line."""

from __future__ import annotations

import json
import logging
import sys
import traceback
from datetime import UTC, datetime

# Loggers with handlers of their own, which would log in other formats or twice
_LOGGERS = ("bentoml", "circus", "uvicorn", "uvicorn.error")


class JSONFormatter(logging.Formatter):
    """Formats records as JSON: time (UTC, RFC 3339), level, logger, message, process ID, and the exception, if any.

    Bodies and headers are never logged. Of an exception only the type and stack are logged, because its message may
    quote data of a client.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Format a record as one line."""
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
        return json.dumps(event)  # ASCII, which every output can encode


def use_json_logs() -> None:
    """Log to standard output as JSON from all loggers, at the levels that BentoML has set."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JSONFormatter())
    logging.getLogger().handlers = [handler]
    for name in _LOGGERS:
        logger = logging.getLogger(name)
        logger.handlers = []
        logger.propagate = True
