"""Deploy the stack to the Swarm that this machine's Docker engine manages: `make up-swarm`.

Settings come from the environment and, where it has none, from .env, as with compose. Secrets go to Swarm as files,
which are written to build/swarm/ for this.
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
SECRETS_FOLDER: Final = PROJECT / "build" / "swarm"


def settings() -> dict[str, str]:
    """The environment over .env."""
    lines = (PROJECT / ".env").read_text().splitlines() if (PROJECT / ".env").exists() else []
    pairs = (line.split("=", 1) for line in lines if "=" in line and not line.lstrip().startswith("#"))
    return {name.strip(): value.strip().strip("\"'") for name, value in pairs} | os.environ


def write_secrets(given: dict[str, str]) -> None:
    """Write each secret to its file: where it is not set a line end, as Swarm takes no empty one."""
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
        message = f"CERTIFICATE_FILE={certificate} cannot be read ({error.strerror}); name a PEM file that is there."
        raise SystemExit(message) from None


def digests() -> dict[str, str]:
    """Of each config and secret: the variable that its name asks for, and the digest of its file."""
    named = re.findall(r'\$\{(\w+_DIGEST)\}", file: (\S+)\}', STACK.read_text())
    return {variable: hashlib.sha256((STACK.parent / file).read_bytes()).hexdigest()[:12] for variable, file in named}


def main() -> None:
    """Deploy, and say where."""
    state = subprocess.run(
        ["docker", "info", "--format", "{{.Swarm.ControlAvailable}}"], capture_output=True, text=True, check=False
    )
    if state.stdout.strip() != "true":
        raise SystemExit("This Docker engine manages no Swarm; run `docker swarm init` first.")
    given = settings()
    write_secrets(given)
    command = ["docker", "stack", "deploy", "--prune", "--resolve-image", "never", "--compose-file", str(STACK), NAME]
    deployed = subprocess.run(command, env=given | digests(), check=False)
    if deployed.returncode:
        sys.exit(deployed.returncode)
    print(f"service http://localhost:{given.get('API_PORT', 3000)} - watch it with: docker stack services {NAME}")


if __name__ == "__main__":
    main()
