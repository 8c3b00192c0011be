from __future__ import annotations

import json
import re
import runpy
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from tests.server import PROJECT

KUBERNETES = PROJECT / "deploy" / "kubernetes"
# Resources of the Prometheus operator are not part of the Kubernetes API
OPERATOR = {"servicemonitor.yaml", "prometheusrule.yaml"}


@pytest.mark.parametrize("name", sorted(path.name for path in KUBERNETES.glob("*.yaml") if path.name not in OPERATOR))
def test_resource_fits_the_kubernetes_api(name: str) -> None:
    resource = yaml.safe_load((KUBERNETES / name).read_text())
    kubernetes_validate.validate(resource, kubernetes_validate.latest_version(), strict=True)


def test_prometheus_rule_is_made_of_the_rules() -> None:
    namespace = runpy.run_path(str(KUBERNETES / "prometheusrule.py"))
    assert namespace["render"]() == namespace["OUTPUT"].read_text()


def test_probes_ask_the_services_routes() -> None:
    text = (KUBERNETES / "deployment.yaml").read_text()
    assert set(re.findall(r"path: (/\w+z)", text)) == {"/readyz", "/livez"}
    assert json.loads((PROJECT / "railway.json").read_text())["deploy"]["healthcheckPath"] == "/readyz"


@pytest.mark.parametrize("path", (PROJECT / ".github" / "workflows").iterdir(), ids=lambda path: str(path.name))
def test_actions_are_pinned(path: Path) -> None:
    actions = re.findall(r"uses: (\S+)", path.read_text())
    assert actions
    assert [action for action in actions if not re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", action)] == []
