"""The OpenAPI document; tests/fuzz/test_openapi.py compares it with the service."""

from __future__ import annotations

from collections.abc import Iterator
from functools import reduce
from typing import Any

import pytest
from jsonschema_rs import Draft202012Validator

from hand_gesture.settings import Settings
from hand_gesture.web.openapi import openapi_document
from tests.hands import IMAGE_SIZE, LIKE


def document(**settings: Any) -> dict[str, Any]:
    return openapi_document(Settings(**settings), version="7", example={"landmarks": LIKE, "image_size": IMAGE_SIZE})


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if "$ref" in value:
            yield value["$ref"]
        value = [*value.values()]
    if isinstance(value, list):
        for item in value:
            yield from references(item)


def operations(document: dict[str, Any], method: str) -> dict[str, Any]:
    return {path: methods[method] for path, methods in document["paths"].items() if method in methods}


def test_references_exist() -> None:
    described = document(api_key=["a"], metrics_token="b")
    found = {*references(described)}
    assert len(found) > 8
    for reference in found:
        start, *keys = reference.split("/")
        assert start == "#"
        assert reduce(dict.__getitem__, keys, described)


@pytest.mark.parametrize("path", operations(document(), "post"))
def test_examples_match_their_schemas(path: str) -> None:
    described = document()
    content = described["paths"][path]["post"]["requestBody"]["content"]["application/json"]
    Draft202012Validator(content["schema"] | {"components": described["components"]}).validate(content["example"])


def test_document_is_of_openapi_3_1_and_has_the_version_of_the_model() -> None:
    described = document()
    assert described["openapi"] == "3.1.0"
    assert described["info"]["version"] == "7"
    assert {*described["info"]} == {"title", "description", "version"}
    assert described["servers"] == [{"url": "."}]  # relative: a proxy may serve it below a path


def test_operations_have_names_of_their_own() -> None:
    described = document()
    all_ = [operation for method in ("get", "post") for operation in operations(described, method).values()]
    names = {operation["operationId"] for operation in all_}
    assert len(names) == len(all_) == len(described["paths"])
    assert all(name.isidentifier() for name in names)
    assert {tag for operation in all_ for tag in operation["tags"]} == {"prediction", "operation"}
    for operation in all_:
        assert operation["summary"].endswith((".", "?"))
        for response in operation["responses"].values():
            assert response["description"].endswith(".")
            assert all(content["schema"] for content in response["content"].values())


def test_number_of_hands_is_limited_by_the_settings() -> None:
    assert document(max_hands=9)["components"]["schemas"]["HandsRequest"]["properties"]["hands"]["maxItems"] == 9


STATUSES = ["200", "400", "405", "408", "413", "415", "500", "503", "504"]


def test_without_keys_no_request_needs_one() -> None:
    described = document()
    assert described["components"]["securitySchemes"] == {}
    for operation in operations(described, "post").values():
        assert operation["security"] == []
        assert sorted(operation["responses"]) == STATUSES
    for operation in operations(described, "get").values():
        assert operation["security"] == []
        assert "401" not in operation["responses"]


def test_keys_are_described() -> None:
    described = document(api_key=["a"])
    assert described["components"]["securitySchemes"] == {"key": {"type": "http", "scheme": "bearer"}}
    for operation in operations(described, "post").values():
        assert operation["security"] == [{"key": []}]
        assert sorted(operation["responses"]) == sorted([*STATUSES, "401"])
    described = document(metrics_token="b")
    assert [*described["components"]["securitySchemes"]] == ["token"]
    secured = {path for path, operation in operations(described, "get").items() if operation["security"]}
    assert secured == {"/metrics"}
    metrics = described["paths"]["/metrics"]["get"]
    assert metrics["security"] == [{"token": []}]
    assert {*metrics["responses"]} == {"200", "401"}


def test_errors_have_their_headers() -> None:
    headers = {"401": {"WWW-Authenticate"}, "405": {"Allow"}, "503": {"Retry-After"}}
    for operation in operations(document(api_key=["a"]), "post").values():
        for status, response in operation["responses"].items():
            assert {*response.get("headers", {})} == headers.get(status, set())
            name = response["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
            assert (name == "ErrorResponse") == (status != "200")
