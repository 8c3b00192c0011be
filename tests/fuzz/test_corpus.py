"""Every body of the corpus gets a correct response or a clear error, with little CPU."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Any

import pytest

from hand_gesture.errors import Reason, ServerReason
from tests.fuzz.account import account, reading_cost
from tests.fuzz.corpus import MAX_BODY_BYTES, ONE_HAND, SEVERAL_HANDS
from tests.fuzz.oracle import expected_gesture, missing_points
from tests.hands import IMAGE_SIZE, LIKE
from tests.server import Server

LARGEST_GOOD = "as many as allowed, as browsers write them"
MAX_COST = 10  # relative to the largest valid body
JSON = {"Content-Type": "application/json"}
STATUS = {
    Reason.BODY_TOO_LARGE: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    Reason.UNSUPPORTED_MEDIA_TYPE: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
}


def check_error(error: Any, reason: Reason | ServerReason) -> None:
    assert error.keys() == {"error", "reason"}
    assert error["reason"] == reason
    assert re.fullmatch(r"([A-Z]|image_size|hands|landmarks).{10,}\.", error["error"], re.DOTALL)
    assert len(error["error"]) < 500
    # no traceback, path or version
    assert not re.search(r"Traceback|\.py|File \"|/site-packages|line \d+, in|pydantic|numpy|sklearn", error["error"])


@pytest.mark.parametrize(
    ("route", "name"),
    [*(("/predict", name) for name in ONE_HAND), *(("/predict_batch", name) for name in SEVERAL_HANDS)],
)
def test_bodies_get_a_prediction_or_a_clear_error(server: Server, route: str, name: str) -> None:
    body, reason = (ONE_HAND if route == "/predict" else SEVERAL_HANDS)[name]
    with account(server) as change:
        answer = server.client.post(route, content=body, headers=JSON)
    if reason is None:
        assert answer.status_code == 200
        answers = [answer.json()] if route == "/predict" else answer.json()
        expected = expected_gesture(body) if route == "/predict" else "like"
        assert {given["gesture"] for given in answers} == {expected}
        assert change.rejections == {}
        assert change.missing_points == 0
        return
    assert answer.status_code == STATUS.get(reason, HTTPStatus.BAD_REQUEST)
    check_error(answer.json(), reason)
    assert change.rejections == {reason: 1}
    assert change.missing_points == (missing_points(body) if reason is Reason.MISSING_LANDMARKS else 0)


@pytest.mark.parametrize("name", [name for name, (body, _) in SEVERAL_HANDS.items() if len(body) <= MAX_BODY_BYTES])
def test_no_body_takes_much_longer_than_the_largest_valid_one(name: str) -> None:
    bodies = SEVERAL_HANDS[name][0], SEVERAL_HANDS[LARGEST_GOOD][0]
    # interleaved, and the minimum of several times, because the machine is busy
    costs, good_costs = zip(*([reading_cost(body) for body in bodies] for _ in range(10)), strict=True)
    assert min(costs) <= MAX_COST * min(good_costs)


@pytest.mark.parametrize(
    ("headers", "is_json"),
    [
        ({"Content-Type": "application/json"}, True),
        ({"Content-Type": "application/json; charset=utf-8"}, True),
        ({"Content-Type": "Application/JSON"}, True),
        ({}, True),
        ({"Content-Encoding": "identity"}, True),
        ({"Content-Type": ""}, False),
        ({"Content-Type": "text/json"}, False),
        ({"Content-Type": "application/jsonp"}, False),
        ({"Content-Type": "application/vnd.bentoml+pickle"}, False),
        ({"Content-Type": "application/x-www-form-urlencoded"}, False),
        ({"Content-Type": "multipart/form-data; boundary=x"}, False),
        ({"Content-Type": "text/plain, application/json"}, False),
        ({"Content-Encoding": "gzip"}, False),
        ({"Content-Encoding": "identity, br"}, False),
    ],
)
def test_only_plain_json_is_accepted(server: Server, headers: dict[str, str], is_json: bool) -> None:
    body = {"landmarks": LIKE, "image_size": IMAGE_SIZE}
    request = server.client.build_request("POST", "/predict", json=body)
    del request.headers["Content-Type"]
    request.headers.update(headers)
    with account(server) as change:
        answer = server.client.send(request)
    if is_json:
        assert answer.json()["gesture"] == "like"
    else:
        assert answer.status_code == 415
        check_error(answer.json(), Reason.UNSUPPORTED_MEDIA_TYPE)
    assert change.rejections == ({} if is_json else {Reason.UNSUPPORTED_MEDIA_TYPE: 1})
