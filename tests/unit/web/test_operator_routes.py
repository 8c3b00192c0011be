"""The routes for operators and tools, without the service; tests/service/test_workers.py has the metrics of several."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import bentoml
import httpx
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from hand_gesture.model.artifacts import load_artifacts
from hand_gesture.settings import Settings
from hand_gesture.web.operator_routes import operator_app
from hand_gesture.web.reference import ReferenceDocument, reference_document
from tests.hands import ARTIFACTS, IMAGE_SIZE, PROJECT, REFERENCE

MODEL: Any = SimpleNamespace(tag=bentoml.Tag("hand_gesture", "abcdef"), path=str(ARTIFACTS))
ARTIFACTS_LOADED = load_artifacts(ARTIFACTS)


def document() -> ReferenceDocument:
    return reference_document(ARTIFACTS_LOADED, REFERENCE, name="mine", bundled=False)


async def page(_: Request) -> PlainTextResponse:
    return PlainTextResponse("a page")


def get(path: str, *, headers: dict[str, str] | None = None, **settings: Any) -> httpx.Response:
    async def main() -> httpx.Response:
        app = operator_app(Settings(**settings), MODEL, document, [Route("/page", page)])
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
            return await client.get(path, headers=headers)

    return asyncio.run(main())


METRICS = """
import sys
from pathlib import Path
from tests.unit.web.test_operator_routes import get

for token in ({}, {"Authorization": "Bearer other"}, {"Authorization": "Bearer figures"}):
    answer = get("/metrics", headers=token, metrics_token="figures")
    print(answer.status_code, answer.headers.get("www-authenticate"), answer.text.splitlines()[0])
print(get("/metrics").headers["content-type"])
for file in Path(sys.argv[1]).glob("*.db"):
    file.unlink()
answer = get("/metrics")
print(answer.status_code, answer.headers["content-type"], answer.text, end="")
"""


def test_metrics_and_their_errors(tmp_path: Path) -> None:
    """In a process of its own, because prometheus_client chooses its mode at import."""
    result = subprocess.run(
        [sys.executable, "-c", METRICS, str(tmp_path)],
        cwd=PROJECT,
        env=os.environ | {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    refused = "401 Bearer Send the token of METRICS_TOKEN as Authorization: Bearer TOKEN."
    lost = f"Metric files were deleted from {tmp_path} while the service was running; restart it."
    *refusals, answered, content_type, failed = result.stdout.splitlines()
    assert refusals == [refused, refused]
    assert answered.startswith("200 None # HELP hand_gesture_")
    assert content_type == CONTENT_TYPE_LATEST
    assert failed == f"500 text/plain; charset=utf-8 {lost}"
    assert lost in result.stderr  # the log


def test_documents_describe_the_served_model() -> None:
    described = get("/docs.json").json()
    assert described["info"]["version"] == "abcdef"
    content = described["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]
    assert content["example"]["image_size"] == IMAGE_SIZE
    assert content["example"]["landmarks"] in REFERENCE.hands.values()
    assert get("/asyncapi.json").json()["info"]["version"] == "abcdef"


def test_reference_hands_are_those_of_the_gestures_of_the_model() -> None:
    answered = get("/reference_hands.json").json()
    classifier = ARTIFACTS_LOADED.classifier
    assert answered == {
        "image_size": IMAGE_SIZE,
        "hands": REFERENCE.hands,
        "other_side": REFERENCE.other_side,
        "gestures": list(classifier.gestures),
        "commands": classifier.commands,
        "model": {
            "name": "mine",
            "version": ARTIFACTS_LOADED.version,
            "kind": "MLPClassifier",
            "features": "wrist_rms_v3",
            "bundled": False,
        },
    }


def test_gestures_of_other_models_have_no_reference_hands() -> None:
    more = REFERENCE.model_copy(
        update={
            "hands": REFERENCE.hands | {"wave": []},
            "other_side": {"wave": [], "like": REFERENCE.other_side["like"]},
        }
    )
    described = reference_document(ARTIFACTS_LOADED, more, name="mine", bundled=True)
    assert described.hands == REFERENCE.hands
    assert [*described.other_side] == ["like"]
    assert described.model.bundled


def test_pages_are_served() -> None:
    assert get("/page").text == "a page"
    assert get("/other").status_code == 404
