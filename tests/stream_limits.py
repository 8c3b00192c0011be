"""The service with other stream limits, from environment variables named like the constants.

``bentoml serve tests.stream_limits:HandGesture``, so that tests need not wait as long as clients may.
"""

from __future__ import annotations

import os

from hand_gesture.web import stream

for name in ("MAX_WAITING_FRAMES", "PING_INTERVAL_SECONDS", "CLIENT_TIMEOUT_SECONDS"):
    if name in os.environ:
        setattr(stream, name, type(getattr(stream, name))(os.environ[name]))

from service import HandGesture  # noqa: E402, F401 (now that the constants are set)
