"""Makes the PrometheusRule of the rules that compose's Prometheus reads; run it to write prometheusrule.yaml."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import yaml

RULES: Final = Path(__file__).parents[3] / "monitoring" / "prometheus"
OUTPUT: Final = Path(__file__).with_name("prometheusrule.yaml")


def render() -> str:
    """The resource as YAML."""
    groups = [
        group for name in ("rules.yml", "alerts.yml") for group in yaml.safe_load((RULES / name).read_text())["groups"]
    ]
    resource = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "hand-gesture", "labels": {"app.kubernetes.io/name": "hand-gesture"}},
        "spec": {"groups": groups},
    }
    return "# Made by prometheusrule.py from monitoring/prometheus/\n" + yaml.safe_dump(
        resource, sort_keys=False, width=120
    )


if __name__ == "__main__":
    OUTPUT.write_text(render())
    print(f"wrote {OUTPUT}")
