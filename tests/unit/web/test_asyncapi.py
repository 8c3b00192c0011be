"""The AsyncAPI document; tests/service/test_stream.py compares it with the service."""

from __future__ import annotations

from functools import reduce
from typing import Any

from jsonschema_rs import Draft202012Validator

from hand_gesture.settings import Settings
from hand_gesture.web.asyncapi import CLOSE_CODES, asyncapi_document


def referred(document: dict[str, Any], reference: dict[str, str]) -> Any:
    start, *keys = reference["$ref"].split("/")
    assert start == "#"
    return reduce(dict.__getitem__, keys, document)


def test_every_message_is_received_or_sent() -> None:
    document = asyncapi_document(Settings(), version="7")
    messages = document["components"]["messages"]
    channel = document["channels"]["stream"]
    used = []
    for operation in document["operations"].values():
        assert referred(document, operation["channel"]) is channel
        used += [referred(document, referred(document, message)) for message in operation["messages"]]
    assert used == [*messages.values()]
    for name, reference in channel["messages"].items():
        assert referred(document, reference) is messages[name]


def test_messages_are_json_except_for_binary_frames() -> None:
    messages = asyncapi_document(Settings(), version="7")["components"]["messages"]
    types = {name: message["contentType"] for name, message in messages.items()}
    assert types == dict.fromkeys(messages, "application/json") | {"frame": "application/octet-stream"}
    assert all(message["summary"] and message["payload"] for message in messages.values())
    assert "252 bytes" in messages["frame"]["summary"]
    assert messages["frame"]["payload"] == {"type": "string", "format": "binary"}


def test_messages_of_clients_are_received_and_answers_sent() -> None:
    document = asyncapi_document(Settings(), version="7")
    actions = {name: operation["action"] for name, operation in document["operations"].items()}
    assert actions == {"begin": "receive", "show": "receive", "answer": "send"}
    channel = document["channels"]["stream"]
    assert channel["address"] == "/stream"
    assert channel["bindings"] == {"ws": {"method": "GET"}}


def test_answers_to_several_hands_are_a_list() -> None:
    schema = Draft202012Validator(
        asyncapi_document(Settings(), version="7")["components"]["messages"]["answers"]["payload"]
    )
    answer = {"gesture": "like", "confidence": 1, "command": None, "held": "none", "changed": False, "hand": 1}
    released = {"gesture": None, "confidence": None, "command": None, "held": "none", "changed": True, "hand": 2}
    assert schema.is_valid([answer, released])
    for wrong in (answer, [answer, {}], [released | {"changed": False}]):
        assert not schema.is_valid(wrong)


def test_version_and_close_codes_are_described() -> None:
    document = asyncapi_document(Settings(), version="7")
    assert document["asyncapi"] == "3.0.0"
    info = document["info"]
    assert info["title"]
    assert info["version"] == "7"
    for code, when in CLOSE_CODES.items():
        assert f"{code.value}: {when}" in info["description"]


def test_key_is_described_if_one_is_required() -> None:
    schemes = {"key": {"type": "http", "scheme": "bearer"}}
    for keys, expected in (([], {}), (["a"], schemes)):
        document = asyncapi_document(Settings(api_key=keys), version="7")
        assert document["components"]["securitySchemes"] == expected
