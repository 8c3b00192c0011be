"""Deploys the stack to Docker Swarm; `make up-swarm` runs it on a manager node.

Settings come from the environment, then from .env, as with compose. Swarm reads secrets from files, which this script
writes to build/swarm/.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

PROJECT: Final = Path(__file__).parents[2]
STACK: Final = Path(__file__).with_name("stack.yml")
NAME: Final = os.environ.get("STACK", "hand-gesture")
BUILT_IMAGE: Final = "hand-gesture:latest"  # by `make image`; the default of stack.yml
SECRETS_FOLDER: Final = PROJECT / "build" / "swarm"


def settings() -> dict[str, str]:
    """Settings of .env, overridden by the environment."""
    lines = (PROJECT / ".env").read_text().splitlines() if (PROJECT / ".env").exists() else []
    pairs = (line.split("=", 1) for line in lines if "=" in line and not line.lstrip().startswith("#"))
    return {name.strip(): value.strip().strip("\"'") for name, value in pairs} | os.environ


def write_secrets(given: dict[str, str]) -> None:
    """Write each secret to its file; an unset one is a newline, because Swarm rejects empty secrets."""
    SECRETS_FOLDER.mkdir(mode=0o700, parents=True, exist_ok=True)
    certificate = given.get("CERTIFICATE_FILE")
    values = {
        "api_key": given.get("API_KEY", ""),
        "metrics_token": given.get("METRICS_TOKEN", ""),
        "grafana_password": given.get("GRAFANA_ADMIN_PASSWORD", ""),
        "certificate": _read(Path(certificate)) if certificate else "",
    }
    for name, value in values.items():
        path = SECRETS_FOLDER / name
        path.touch(mode=0o600)
        path.write_text(value or "\n")


def _read(certificate: Path) -> str:
    try:
        return certificate.read_text()
    except OSError as error:
        message = f"CERTIFICATE_FILE={certificate} cannot be read ({error.strerror}); set it to an existing PEM file."
        raise SystemExit(message) from None


def digests() -> dict[str, str]:
    """The ``*_DIGEST`` variables of stack.yml, each the SHA-256 digest of its file, 12 characters."""
    named = re.findall(r'\$\{(\w+_DIGEST)\}", file: (\S+)\}', STACK.read_text())
    return {variable: hashlib.sha256((STACK.parent / file).read_bytes()).hexdigest()[:12] for variable, file in named}


def main() -> None:
    """Deploy, and print the address."""
    state = subprocess.run(
        ["docker", "info", "--format", "{{.Swarm.ControlAvailable}}"], capture_output=True, text=True, check=False
    )
    if state.stdout.strip() != "true":
        raise SystemExit("This Docker engine is not a Swarm manager; run `docker swarm init` first.")
    given = settings()
    if not given.get("GRAFANA_ADMIN_PASSWORD"):
        raise SystemExit("GRAFANA_ADMIN_PASSWORD is empty; set it, or run `make up-swarm` without it.")
    built = subprocess.run(["docker", "image", "inspect", BUILT_IMAGE], capture_output=True, check=False)
    if built.returncode and (given.get("IMAGE") or BUILT_IMAGE) == BUILT_IMAGE:
        raise SystemExit("There is no image yet; run make image first.")
    write_secrets(given)
    command = ["docker", "stack", "deploy", "--prune", "--resolve-image", "never", "--compose-file", str(STACK), NAME]
    deployed = subprocess.run(command, env=given | digests(), check=False)
    if deployed.returncode:
        sys.exit(deployed.returncode)
    print(f"service http://localhost:{given.get('API_PORT', 3000)} - status: docker stack services {NAME}")


if __name__ == "__main__":
    main()
