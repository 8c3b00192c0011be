"""Generated bodies get the response that the oracle expects, and are counted."""

from __future__ import annotations

import json
from collections import Counter
from http import HTTPStatus

from hypothesis import given

from hand_gesture.errors import Reason
from tests.fuzz.account import Connection, account
from tests.fuzz.bodies import bodies
from tests.fuzz.effort import effort
from tests.fuzz.oracle import expected_gesture, missing_points
from tests.fuzz.test_corpus import check_error
from tests.server import Server

BODIES = 10_000


def test_generated_bodies_get_a_prediction_or_a_clear_error(server: Server) -> None:
    reasons: Counter[str] = Counter()
    missing = 0
    connection = Connection(server)

    @effort(BODIES)
    @given(body=bodies())
    def check(body: bytes) -> None:
        nonlocal missing
        expected = expected_gesture(body)
        answer = connection.post("/predict", body)
        if expected is None:
            assert answer.status == HTTPStatus.BAD_REQUEST
            reason = Reason(answer.json()["reason"])
            check_error(answer.json(), reason)
            reasons[reason] += 1
            missing += missing_points(body) if reason is Reason.MISSING_LANDMARKS else 0
        else:
            assert answer.status == HTTPStatus.OK
            assert json.loads(answer.body)["gesture"] == expected
            reasons["answered"] += 1

    with account(server) as change:
        check()
    print(f"\n{sum(reasons.values())} bodies: {dict(reasons)}, {missing} missing points")
    assert sum(reasons.values()) >= BODIES
    answered = reasons.pop("answered")
    assert change.rejections == reasons
    assert change.missing_points == missing
    # both valid and invalid ones
    assert BODIES / 20 < answered < BODIES * 19 / 20
    assert reasons.keys() >= {
        Reason.INVALID_JSON,
        Reason.INVALID_REQUEST,
        Reason.MISSING_LANDMARKS,
        Reason.MALFORMED_LANDMARKS,
        Reason.INVALID_IMAGE_SIZE,
    }
