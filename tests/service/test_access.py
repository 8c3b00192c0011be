from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import bentoml
import pytest

from tests.hands import IMAGE_SIZE, LIKE
from tests.server import Server, serve

BODY = {"landmarks": LIKE, "image_size": IMAGE_SIZE}


@pytest.fixture(scope="module")
def guarded(home: Path) -> Iterator[Server]:
    # With whitespace, as from a file or typed by hand
    untrimmed = {"METRICS_TOKEN": "figures\n", "MODEL_TAG": " hand_gesture:latest"}
    with serve(home, API_KEY="first-key, second-key\n", **untrimmed) as running:
        yield running


@pytest.mark.parametrize("header", ["Bearer first-key", "Bearer second-key", "bearer first-key"])
def test_holder_of_a_key_is_answered(guarded: Server, header: str) -> None:
    answer = guarded.client.post("/predict", json=BODY, headers={"Authorization": header})
    assert answer.json()["gesture"] == "like"


@pytest.mark.parametrize(
    "header",
    [
        *(None, "", "Bearer", "Bearer wrong", "first-key", "Basic first-key", "Bearerfirst-key"),
        "Bearer first-key, second-key",
    ],
)
@pytest.mark.parametrize("route", ["/predict", "/predict_batch", "/predict/command"])
def test_others_are_not(guarded: Server, header: str | None, route: str) -> None:
    headers = {} if header is None else {"Authorization": header}
    answer = guarded.client.post(route, json=BODY, headers=headers)
    assert answer.status_code == 401
    assert answer.json()["reason"] == "unauthorized"
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(
    "path", ["/predict%0A", "/predict_batch%0A", "/predict/", "//predict", "/Predict", "/predict%00"]
)
def test_other_spellings_of_a_route_require_the_key_too(guarded: Server, path: str) -> None:
    answer = guarded.client.post(path, json=BODY, headers={"Authorization": "Bearer first-key"})
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, HEAD"
    assert answer.json()["reason"] == "method_not_allowed"


def test_openapi_document_requires_keys_if_configured(guarded: Server, server: Server) -> None:
    with_keys, without = (running.client.get("/docs.json").json() for running in (guarded, server))
    assert with_keys["paths"]["/predict"]["post"]["security"] == [{"key": []}]
    assert with_keys["paths"]["/metrics"]["get"]["security"] == [{"token": []}]
    assert "401" in with_keys["paths"]["/predict"]["post"]["responses"]
    assert without["paths"]["/predict"]["post"]["security"] == []
    assert "401" not in without["paths"]["/predict"]["post"]["responses"]


def test_python_client_sends_its_token(guarded: Server) -> None:
    with bentoml.SyncHTTPClient(guarded.url, token="first-key") as client:
        assert client.predict(**BODY)["gesture"] == "like"


def test_metrics_require_their_own_token(guarded: Server) -> None:
    assert guarded.client.get("/metrics").status_code == 401
    assert guarded.client.get("/metrics", headers={"Authorization": "Bearer first-key"}).status_code == 401
    assert guarded.client.get("/metrics", headers={"Authorization": "Bearer figures"}).is_success


@pytest.mark.parametrize("route", ["/livez", "/healthz", "/readyz"])
def test_health_checks_require_no_key(guarded: Server, route: str) -> None:
    assert guarded.client.get(route).is_success


def test_log_describes_access_without_keys(guarded: Server, server: Server) -> None:
    assert "predictions require a key" in guarded.log.read_text()
    assert "first-key" not in guarded.log.read_text()
    assert "predictions are open to everyone (API_KEY is not set)" in server.log.read_text()


def test_key_is_checked_before_reading_the_body(guarded: Server) -> None:
    address = urlsplit(guarded.url)
    with socket.create_connection((address.hostname, address.port), timeout=60) as connection:
        connection.sendall(b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n")
        assert connection.recv(65_536).startswith(b"HTTP/1.1 401 ")
