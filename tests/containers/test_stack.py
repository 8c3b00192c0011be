from __future__ import annotations

import asyncio
import json
import time
from functools import partial
from typing import Any

import httpx
import pytest
import yaml
from websockets.sync.client import connect

from tests.containers.conftest import Stack, docker, eventually
from tests.hands import LIKE, REFERENCE, as_frame, shaken_hands
from tests.load import post_all
from tests.server import PROJECT

MONITORING = PROJECT / "monitoring"
DASHBOARD = json.loads((MONITORING / "grafana" / "dashboards" / "hand-gesture.json").read_text())
# Panels that have data only while something is wrong
MAY_BE_EMPTY = {"Alerts"}
OF_PROXY = "haproxy_"  # not part of this stack


def panels() -> list[dict[str, Any]]:
    return [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]


def filled_in(expression: str) -> str:
    """A panel's query without Grafana's variables."""
    # 30 minutes, because on a slow machine the traffic was minutes ago
    for variable, value in (("$__rate_interval", "30m"), ("$__range", "30m"), ("$instance", ".*")):
        expression = expression.replace(variable, value)
    return expression


@pytest.fixture(scope="module")
def busy(stack: Stack) -> Stack:
    """The stack after all kinds of traffic."""
    for _ in range(4):
        be_busy(str(stack.client.base_url), "Authorization: Bearer a-key")
        time.sleep(4)
    return stack


def be_busy(url: str, *headers: str) -> None:
    """Send all kinds of requests and frames."""
    bodies: list[Any] = [*shaken_hands(900), *[{"landmarks": LIKE[:15]}] * 100]
    batch = {"hands": [*REFERENCE.hands.values()], "image_size": REFERENCE.image_size}
    post = partial(post_all, url, headers=headers)
    asyncio.run(post("/predict", bodies, connections=32))
    asyncio.run(post("/predict_batch", [batch] * 20, connections=4))
    asyncio.run(post("/predict/command", shaken_hands(50), connections=8))
    address = httpx.URL(url).copy_with(scheme="ws", path="/stream")
    with connect(str(address), additional_headers=dict(header.split(": ") for header in headers)) as stream:
        stream.send("{}")
        for hand in REFERENCE.hands.values():
            stream.send(as_frame(hand))
            assert b'"held"' in stream.recv(decode=False)


def test_metrics_of_a_request_are_in_prometheus(stack: Stack) -> None:
    stack.client.post("/predict", json={"landmarks": LIKE}).raise_for_status()
    started = time.monotonic()
    eventually(
        lambda: [
            series
            for series in stack.query('hand_gesture_requests_total{route="/predict",status="200"}')
            if float(series["value"][1]) >= 1
        ],
        seconds=180,
    )
    print(f"in Prometheus after {time.monotonic() - started:.1f} s")


def test_metrics_of_workers_are_not_duplicated(busy: Stack) -> None:
    (workers,) = busy.query("hand_gesture_workers")
    assert workers["value"][1] == "2"
    (total,) = busy.query("sum(hand_gesture_requests_total)")
    counted = sum(
        float(line.rpartition(" ")[2])
        for line in busy.client.get("/metrics", headers={"Authorization": "Bearer a-token"}).text.splitlines()
        if line.startswith("hand_gesture_requests_total{")
    )
    assert eventually(
        lambda: float(busy.query("sum(hand_gesture_requests_total)")[0]["value"][1]) == counted, seconds=180
    )
    assert float(total["value"][1]) <= counted


@pytest.mark.parametrize("panel", panels(), ids=lambda panel: str(panel["title"]))
def test_every_panel_has_data(busy: Stack, panel: dict[str, Any]) -> None:
    assert panel["targets"]
    for target in panel["targets"]:
        expression = filled_in(target["expr"])
        if panel["title"] in MAY_BE_EMPTY or OF_PROXY in expression:
            busy.query(expression)
            continue
        series = eventually(partial(busy.query, expression), seconds=180)
        assert any(one["value"][1] != "NaN" for one in series), expression


def test_instance_variable_has_values(busy: Stack) -> None:
    (variable,) = DASHBOARD["templating"]["list"]
    metric = variable["query"].removeprefix("label_values(").partition(",")[0]
    (series,) = busy.query(metric)
    assert series["metric"]["instance"].endswith(":3000")


def test_every_rule_is_healthy_and_evaluated(busy: Stack) -> None:
    groups = busy.get("prometheus", "http://localhost:9090/api/v1/rules")["data"]["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    files = [yaml.safe_load((MONITORING / "prometheus" / name).read_text()) for name in ("rules.yml", "alerts.yml")]
    assert len(rules) == sum(len(group["rules"]) for file in files for group in file["groups"])
    assert {rule["health"] for rule in rules} <= {"ok", "unknown"}  # unknown: not due yet
    for rule in rules:
        if rule["type"] == "recording" and rule["health"] == "ok":
            busy.query(rule["name"])
    for name in ("instance:hand_gesture_requests:rate1m", "instance:hand_gesture_gesture_mix:distance1h"):
        assert eventually(partial(busy.query, name), seconds=180)


def test_alert_reaches_alertmanager(busy: Stack) -> None:
    """Stop the service and expect HandGestureAbsent in Alertmanager."""
    (container,) = busy.compose("ps", "--quiet", "api").split()
    docker("stop", container)

    def alerts() -> list[str]:
        found = busy.get("alertmanager", "http://localhost:9093/api/v2/alerts")
        return [alert["labels"]["alertname"] for alert in found if alert["status"]["state"] == "active"]

    try:
        eventually(lambda: "HandGestureAbsent" in alerts(), seconds=180, every=1)
    finally:
        docker("start", container)
    eventually(lambda: busy.client.get("/readyz").is_success, seconds=180)
    assert eventually(lambda: busy.query('up{job="hand_gesture"} == 1'), seconds=180)


def test_make_down_removes_all_containers(stack: Stack) -> None:
    """Must be last in this file, because it removes the stack."""
    stack.compose("down", "--volumes")
    label = f"label=com.docker.compose.project={stack.project}"
    for kind in (["ps", "--all"], ["volume", "ls"], ["network", "ls"]):
        assert docker(*kind, "--quiet", "--filter", label) == ""
