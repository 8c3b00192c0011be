from __future__ import annotations

import json
import math
import os
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from tests.server import PROJECT

DEPLOY = PROJECT / "docs" / "deploy.md"
KUBERNETES = PROJECT / "deploy" / "kubernetes"
METRICS = PROJECT / "hand_gesture" / "telemetry" / "metrics.py"
# Resources of the Prometheus operator and Kustomize, which are not in the Kubernetes API
OTHERS = {
    "autoscaler-patch.yaml",
    "servicemonitor.yaml",
    "prometheusrule.yaml",
    "kustomization.yaml",
    "adapter-values.yaml",
}
RESOURCES = sorted(path for path in KUBERNETES.rglob("*.yaml") if path.name not in OTHERS)
needs_compose = pytest.mark.skipif(shutil.which("docker-compose") is None, reason="docker-compose is not installed")
needs_kubectl = pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")


@pytest.mark.parametrize("path", RESOURCES, ids=lambda path: str(path.relative_to(KUBERNETES)))
def test_resource_fits_the_kubernetes_api(path: Path) -> None:
    validate(yaml.safe_load(path.read_text()))


def validate(resource: dict[str, Any]) -> None:
    kubernetes_validate.validate(resource, kubernetes_validate.latest_version(), strict=True)


def run(folder: Path, *command: str, **environment: str) -> str:
    """Output of a command that succeeds."""
    result = subprocess.run(
        command, cwd=folder, env=os.environ | environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The files that start the stacks, and commands that start nothing and have no image."""
    for name in ("deploy", "monitoring"):
        shutil.copytree(PROJECT / name, tmp_path / name)
    for name in ("Makefile", "docker-compose.yml"):
        shutil.copy(PROJECT / name, tmp_path)
    command(
        tmp_path / "bin" / "docker",
        """case "$*" in info*) echo true ;; "stack deploy"*) echo "deploys $IMAGE" ;; *) exit 1 ;; esac""",
    )
    real = shutil.which("docker-compose")
    command(
        tmp_path / "bin" / "docker-compose",
        f"""case $1 in port) echo "address-of-$2-$3" ;; config) {real} config ;; *) {real} config --quiet ;; esac""",
    )
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    return tmp_path


def command(path: Path, script: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def kustomize(folder: Path) -> dict[str, dict[str, Any]]:
    """Resources that Kustomize renders from a folder, by kind."""
    result = subprocess.run(["kubectl", "kustomize", folder], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return {resource["kind"]: resource for resource in yaml.safe_load_all(result.stdout)}


@needs_kubectl
def test_overlay_sets_image_and_replicas() -> None:
    resources = kustomize(KUBERNETES / "overlay")
    for resource in resources.values():
        validate(resource)
    (container,) = resources["Deployment"]["spec"]["template"]["spec"]["containers"]
    assert container["image"] == "ghcr.io/OWNER/hand-gesture:latest"
    assert resources["HorizontalPodAutoscaler"]["spec"]["minReplicas"] == 3
    assert {"Service", "PodDisruptionBudget", "NetworkPolicy"} < resources.keys()


@needs_kubectl
def test_documented_commands_apply_the_edited_overlay(tmp_path: Path) -> None:
    shutil.copytree(KUBERNETES, tmp_path / "deploy" / "kubernetes")
    (commands,) = re.findall(r"```sh\n(cp .*?)```", DEPLOY.read_text(), re.DOTALL)
    commands = commands.replace("kubectl apply -k", "kubectl kustomize")
    result = subprocess.run(
        ["sh", "-ec", commands],
        cwd=tmp_path,
        env=os.environ | {"EDITOR": "sed -i s/OWNER/me/"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert "image: ghcr.io/me/hand-gesture:latest" in result.stdout


def test_capacity_table_is_consistent() -> None:
    text = DEPLOY.read_text()
    (carried,) = re.findall(r"(\d+) cameras over HTTP or (\d+) streams for each worker", " ".join(text.split()))
    rows = re.findall(r"^\| ([\d,]+) \| ([\d,]+) \| ([\d,]+) \|$", text, re.MULTILINE)
    assert len(rows) >= 6
    for row in rows:
        cameras, *workers = (int(cell.replace(",", "")) for cell in row)
        assert workers == [math.ceil(cameras / int(per_worker)) for per_worker in carried]
    autoscaler = (KUBERNETES / "monitoring" / "autoscaler-patch.yaml").read_text()
    assert f'averageValue: "{carried[1]}"' in autoscaler


@needs_kubectl
def test_overlay_with_monitoring(tmp_path: Path) -> None:
    shutil.copytree(KUBERNETES, tmp_path / "kubernetes")
    overlay = tmp_path / "kubernetes" / "overlay" / "kustomization.yaml"
    overlay.write_text(overlay.read_text().replace("# components:", "components:").replace("#   - ../", "  - ../"))
    resources = kustomize(overlay.parent)
    assert {"ServiceMonitor", "PrometheusRule"} < resources.keys()
    autoscaler = resources["HorizontalPodAutoscaler"]
    validate(autoscaler)
    metrics = [metric["pods"]["metric"]["name"] for metric in autoscaler["spec"]["metrics"] if metric["type"] == "Pods"]
    (rule,) = yaml.safe_load((KUBERNETES / "monitoring" / "adapter-values.yaml").read_text())["rules"]["custom"]
    pattern = re.search(r'=~"(.*?)"', rule["seriesQuery"])
    assert pattern is not None
    assert metrics
    for metric in metrics:
        assert re.fullmatch(pattern[1], metric)
        assert (
            metric.removeprefix("hand_gesture_") in (PROJECT / "hand_gesture" / "telemetry" / "metrics.py").read_text()
        )


def test_prometheus_rule_is_up_to_date() -> None:
    namespace = runpy.run_path(str(KUBERNETES / "monitoring" / "prometheusrule.py"))
    assert namespace["render"]() == namespace["OUTPUT"].read_text()


def test_probes_use_existing_routes() -> None:
    text = (KUBERNETES / "base" / "deployment.yaml").read_text()
    assert set(re.findall(r"path: (/\w+z)", text)) == {"/readyz", "/livez"}
    assert json.loads((PROJECT / "railway.json").read_text())["deploy"]["healthcheckPath"] == "/readyz"


@pytest.mark.parametrize("path", (PROJECT / ".github" / "workflows").iterdir(), ids=lambda path: str(path.name))
def test_actions_are_pinned(path: Path) -> None:
    actions = re.findall(r"uses: (\S+)", path.read_text())
    assert actions
    assert [action for action in actions if not re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", action)] == []


def test_swarm_does_not_kill_slow_containers() -> None:
    """Swarm kills what fails its check, and on a busy machine even to start the check takes seconds."""
    request = runpy.run_path(str(PROJECT / "deploy" / "healthcheck.py"))["SECONDS"]
    image = re.search(r"--timeout=(\d+)s", (PROJECT / "deploy" / "Dockerfile.j2").read_text())
    assert image
    assert int(image[1]) > request
    services = yaml.safe_load((PROJECT / "deploy" / "swarm" / "stack.yml").read_text())["services"]
    checks = {name: service["healthcheck"] for name, service in services.items()}
    assert int(checks["api"]["timeout"].removesuffix("s")) > request
    for check in checks.values():
        interval, timeout = (int(check[name].removesuffix("s")) for name in ("interval", "timeout"))
        assert check["retries"] * (interval + timeout) >= 60


@pytest.mark.parametrize("file", ["docker-compose.yml", "deploy/swarm/stack.yml"])
def test_every_variable_is_documented(file: str) -> None:
    variables = set(re.findall(r"\$\{(\w+)", (PROJECT / file).read_text()))
    assert len(variables) > 10
    documented = re.findall(r"\w+", DEPLOY.read_text())
    # Digests are up.py's
    assert {name for name in variables if not name.endswith("_DIGEST")} <= set(documented)


@needs_compose
@pytest.mark.parametrize(("cpus", "memory"), [("", ""), ("4", "2500m")])
def test_limits_of_the_service_can_be_raised(cpus: str, memory: str) -> None:
    settings = {"CPUS": cpus, "MEMORY": memory, "GRAFANA_ADMIN_PASSWORD": "unused"}
    compose, swarm = (
        yaml.safe_load(run(PROJECT, "docker-compose", "--file", file, "config", **settings))["services"]["api"]
        for file in ("docker-compose.yml", "deploy/swarm/stack.yml")
    )
    in_bytes = {"1g": "1073741824", "2500m": "2621440000"}  # as compose v2 writes them
    for limits, name in ((compose, "mem_limit"), (swarm["deploy"]["resources"]["limits"], "memory")):
        assert float(limits["cpus"]) == float(cpus or 2)
        assert limits[name] in {memory or "1g", in_bytes[memory or "1g"]}


@pytest.mark.parametrize("user", ["", "user@", "user:TOKEN@", "me@example.com:TOKEN@"])
def test_image_label_has_no_credentials(user: str) -> None:
    remote = {"KEY": "remote.origin.url", "VALUE": f"https://{user}example.com/me/hand-gesture"}
    settings = {"GIT_CONFIG_COUNT": "1"} | {f"GIT_CONFIG_{name}_0": value for name, value in remote.items()}
    commands = run(PROJECT, "make", "--dry-run", "image", **settings)
    assert "image.source='https://example.com/me/hand-gesture' " in commands


@pytest.mark.parametrize(
    "before", ["", "API_KEY=a", "API_KEY=a\n", "GRAFANA_ADMIN_PASSWORD=\n", "# GRAFANA_ADMIN_PASSWORD=a\nAPI_KEY=a\n"]
)
def test_grafanas_password_is_generated_once(before: str, clone: Path) -> None:
    settings = clone / ".env"
    if before:
        settings.write_text(before)
    run(clone, "make", "up-swarm", "IMAGE=other")
    after = settings.read_text()
    added = after.removeprefix(before).lstrip("\n")
    assert after.startswith(before)
    assert re.fullmatch(r"GRAFANA_ADMIN_PASSWORD=[\w-]{24}\n", added)
    assert before or settings.stat().st_mode & 0o777 == 0o600
    assert added == f"GRAFANA_ADMIN_PASSWORD={(clone / 'build' / 'swarm' / 'grafana_password').read_text()}\n"
    run(clone, "make", "up-swarm", "IMAGE=other")
    assert settings.read_text() == after


def test_grafanas_password_may_come_from_the_environment(clone: Path) -> None:
    run(clone, "make", "up-swarm", "IMAGE=other", GRAFANA_ADMIN_PASSWORD="mine")
    assert not (clone / ".env").exists()
    assert (clone / "build" / "swarm" / "grafana_password").read_text() == "mine"


@pytest.mark.parametrize("password", ["mine", '"mine"', "'mine'"])
def test_grafanas_password_may_come_from_the_file(password: str, clone: Path) -> None:
    (clone / ".env").write_text(f"GRAFANA_ADMIN_PASSWORD={password}\n")
    run(clone, "make", "up-swarm", "IMAGE=other")
    assert (clone / "build" / "swarm" / "grafana_password").read_text() == "mine"


def test_swarm_rejects_an_empty_password(clone: Path) -> None:
    result = subprocess.run(
        [sys.executable, "deploy/swarm/up.py"],
        cwd=clone,
        env=os.environ | {"GRAFANA_ADMIN_PASSWORD": "", "IMAGE": "other"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode
    assert result.stderr.startswith("GRAFANA_ADMIN_PASSWORD is empty; ")
    assert result.stderr.count("\n") == 1
    assert not (clone / "build").exists()


@needs_compose
@pytest.mark.parametrize("where", ["environment", "file"])
def test_image_and_ports_may_be_set(where: str, clone: Path) -> None:
    settings = {"IMAGE": "ghcr.io/me/hand-gesture:1", "API_PORT": "4000"}
    if where == "file":
        (clone / ".env").write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
        settings = {}
    output = run(clone, "make", "up", **settings)
    assert "service http://address-of-api-3000 - Grafana http://address-of-grafana-3000, " in output
    output = run(clone, "make", "up-swarm", **settings)
    assert "deploys ghcr.io/me/hand-gesture:1\nservice http://localhost:4000 " in output


@needs_compose
@pytest.mark.parametrize("target", ["up", "up-swarm"])
def test_default_image_must_be_built_first(target: str, clone: Path) -> None:
    result = subprocess.run(["make", target], cwd=clone, capture_output=True, text=True, check=False)
    assert result.returncode
    assert "There is no image yet; run make image first.\n" in result.stdout + result.stderr
    assert "deploys" not in result.stdout


@needs_compose
@pytest.mark.parametrize("target", ["down", "logs"])
def test_no_password_is_needed_to_stop_or_watch(target: str, clone: Path) -> None:
    run(clone, "make", target)
    assert not (clone / ".env").exists()
