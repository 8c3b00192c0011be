from __future__ import annotations

import json
import re
import runpy
import shutil
import subprocess
from typing import Any

import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from tests.server import PROJECT

MONITORING = PROJECT / "monitoring"
DASHBOARD = json.loads((MONITORING / "grafana" / "dashboards" / "hand-gesture.json").read_text())
ALERTS = [
    rule
    for group in yaml.safe_load((MONITORING / "prometheus" / "alerts.yml").read_text())["groups"]
    for rule in group["rules"]
]
needs_promtool = pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")


def run(*command: str) -> None:
    result = subprocess.run(command, cwd=MONITORING / "prometheus", capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


@needs_promtool
def test_rules_are_valid() -> None:
    run("promtool", "check", "rules", "rules.yml", "alerts.yml")


@needs_promtool
def test_each_alert_fires_and_stays_silent_when_it_should() -> None:
    run("promtool", "test", "rules", "tests/alerts_test.yml")


def test_no_alert_is_untested_or_without_runbook() -> None:
    tests = (MONITORING / "prometheus" / "tests" / "alerts_test.yml").read_text()
    sections = re.findall(r"^### (\w+)$", (MONITORING / "README.md").read_text(), re.MULTILINE)
    assert [alert["alert"] for alert in ALERTS] == sections
    for alert in ALERTS:
        assert alert["alert"] in tests
        assert alert["labels"]["severity"] in {"critical", "warning", "info"}
        assert alert["annotations"]["runbook"] == f"monitoring/README.md#{alert['alert'].lower()}"


def test_scrapes_are_frequent_enough_for_the_rules() -> None:
    """rate() needs two scrapes in its window, and four to get over a failed one. The default is one a minute."""
    compose = (MONITORING / "prometheus" / "prometheus.yml").read_text()
    (railway,) = re.findall(r"```yaml\n(.*?)```", (PROJECT / "docs" / "deploy.md").read_text(), re.DOTALL)
    monitor = (PROJECT / "deploy" / "kubernetes" / "monitoring" / "servicemonitor.yaml").read_text()
    intervals = [
        *(yaml.safe_load(text).get("global", {}).get("scrape_interval", "60s") for text in (compose, railway)),
        yaml.safe_load(monitor)["spec"]["endpoints"][0]["interval"],
    ]
    rules = "".join((MONITORING / "prometheus" / name).read_text() for name in ("rules.yml", "alerts.yml"))
    shortest = min(int(minutes) * 60 for minutes in re.findall(r"\[(\d+)m\]", rules))
    assert [interval for interval in intervals if 4 * int(interval.removesuffix("s")) > shortest] == []


def test_training_shares_match_the_manifest() -> None:
    shares = json.loads((PROJECT / "artifacts" / "manifest.json").read_text())["training_data"]["shares"]
    rules = yaml.safe_load((MONITORING / "prometheus" / "rules.yml").read_text())
    recorded = {
        rule["labels"]["gesture"]: float(re.fullmatch(r"vector\((.*)\)", rule["expr"])[1])  # type: ignore[index]
        for group in rules["groups"]
        for rule in group["rules"]
        if rule["record"] == "hand_gesture:training_share"
    }
    assert recorded == shares


def test_dashboard_is_up_to_date() -> None:
    namespace = runpy.run_path(str(MONITORING / "grafana" / "dashboard.py"))
    assert namespace["render"]() == namespace["OUTPUT"].read_text()


def test_dashboard_has_only_fields_of_grafanas_schema() -> None:
    assert json.loads(JSONEncoder().encode(Dashboard.from_json(DASHBOARD))) == DASHBOARD


@pytest.mark.parametrize(
    "panel", [p for p in DASHBOARD["panels"] if p["type"] != "row"], ids=lambda panel: panel["title"]
)
def test_panel_is_explained(panel: dict[str, Any]) -> None:
    defaults = panel["fieldConfig"]["defaults"]
    assert panel["description"].endswith(".")
    assert defaults["unit"]
    assert defaults["thresholds"]["steps"]
    assert panel["datasource"]["uid"] == "prometheus"
    assert panel["gridPos"]["h"]


def test_first_row_shows_the_three_chosen_metrics() -> None:
    second_row = [p["type"] for p in DASHBOARD["panels"]].index("row", 1)
    titles = [panel["title"] for panel in DASHBOARD["panels"][1:second_row]]
    assert titles == ["Inference latency", "Missing landmarks", "Missing landmarks, total", "CPU usage"]
    assert DASHBOARD["panels"][1]["fieldConfig"]["defaults"]["unit"] == "ms"
