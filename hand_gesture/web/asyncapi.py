"""The AsyncAPI document at /asyncapi.json: describes the stream, which OpenAPI cannot.

https://www.asyncapi.com/docs/reference/specification/v3.0.0
"""

from __future__ import annotations

from typing import Any, Final

from picows import WSCloseCode

from hand_gesture.settings import Settings
from hand_gesture.web.contract import (
    MAX_HANDS_IN_FRAME,
    EmptyFrameResponse,
    ErrorResponse,
    FrameOfHands,
    FrameOfOneHand,
    FrameResponse,
    ReleasedHandResponse,
    StreamSettingsMessage,
)
from hand_gesture.web.decoding import HAND_BYTES, TIME_BYTES
from hand_gesture.web.stream import MAX_MESSAGE_BYTES, SETTINGS_SECONDS, STREAM
from hand_gesture.web.taught_decoding import MAX_GESTURES_BYTES

CLOSE_CODES: Final = {
    WSCloseCode.GOING_AWAY: f"no settings within {SETTINGS_SECONDS:g} seconds, or no frame for STREAM_IDLE_SECONDS",
    WSCloseCode.UNSUPPORTED_DATA: "the first message is not text",
    WSCloseCode.POLICY_VIOLATION: "the settings are invalid, or lack a required key",
    WSCloseCode.INTERNAL_ERROR: "teaching the gestures of the settings failed; the log has the details",
    WSCloseCode.SERVICE_RESTART: "the service is shutting down",
    WSCloseCode.TRY_AGAIN_LATER: "the worker has MAX_STREAMS streams, or too many gestures are being taught",
}


def asyncapi_document(settings: Settings, *, version: str) -> dict[str, Any]:
    """Describe the stream.

    Args:
        settings: limits, and whether a key is required.
        version: the model's version.
    """
    codes = "; ".join(f"{code.value}: {when}" for code, when in CLOSE_CODES.items())
    messages = {
        "settings": _json_message("The first message.", StreamSettingsMessage.model_json_schema()),
        "frame": {
            "summary": f"A frame: for each of up to {MAX_HANDS_IN_FRAME} hands {HAND_BYTES} bytes, x1 y1 z1 … z21 as "
            f"little-endian float32. {TIME_BYTES} more before them are the client's time in milliseconds, as "
            "little-endian float64. 0 bytes, or the time alone: no hand.",
            "contentType": "application/octet-stream",
            "payload": {"type": "string", "format": "binary"},
        },
        "frameOfOneHand": _json_message("A frame as POST /predict takes it.", FrameOfOneHand.model_json_schema()),
        "frameOfHands": _json_message("A frame as POST /predict_batch takes it.", FrameOfHands.model_json_schema()),
        "answer": _json_message("For a frame of one hand.", FrameResponse.model_json_schema()),
        "answerWithoutHands": _json_message("For a frame without hands.", EmptyFrameResponse.model_json_schema()),
        "answers": _json_message(
            "For a frame of several hands, in the same order. With the setting answers: list, for every frame, "
            "followed by the hands that are released with it.",
            {
                "type": "array",
                "items": {"oneOf": [FrameResponse.model_json_schema(), ReleasedHandResponse.model_json_schema()]},
            },
        ),
        "error": _json_message(
            "For an invalid frame, and before the server closes the stream because of an error.",
            ErrorResponse.model_json_schema(),
        ),
    }
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Hand gestures, streamed",
            "version": version,
            "description": "Send a message for each frame of a camera; each is answered, in order. A message has at "
            f"most {MAX_MESSAGE_BYTES} bytes, the settings {MAX_GESTURES_BYTES}. Close codes: {codes}.",
        },
        "channels": {
            "stream": {
                "address": STREAM,
                "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
                "bindings": {"ws": {"method": "GET"}},
            }
        },
        "operations": {
            "begin": _operation("receive", ["settings"]),
            "show": _operation("receive", ["frame", "frameOfOneHand", "frameOfHands"]),
            "answer": _operation("send", ["answer", "answerWithoutHands", "answers", "error"]),
        },
        "components": {
            "messages": messages,
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}} if settings.api_key else {},
        },
    }


def _json_message(summary: str, payload: dict[str, Any]) -> dict[str, Any]:
    return {"summary": summary, "contentType": "application/json", "payload": payload}


def _operation(action: str, messages: list[str]) -> dict[str, Any]:
    channel = "#/channels/stream"
    return {
        "action": action,
        "channel": {"$ref": channel},
        "messages": [{"$ref": f"{channel}/messages/{name}"} for name in messages],
    }
