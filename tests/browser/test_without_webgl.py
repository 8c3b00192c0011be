"""Browsers without WebGL, such as Firefox without a GPU: MediaPipe cannot read pictures there, and the page says so."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from tests.browser.conftest import needs_finder
from tests.browser.tabs import TABS, open_page, press, problem, until
from tests.server import Server


@needs_finder
@pytest.mark.parametrize("name", TABS)
def test_missing_webgl_is_reported(server: Server, name: str, tmp_path: Path) -> None:
    with TABS[name](webgl=False) as tab:
        open_page(tab, server.url)
        tab.evaluate("void (MediaDevices.prototype.getUserMedia = async () => canvasStream())")
        tab.evaluate("""void (window.canvasStream = () => {
          const canvas = document.createElement("canvas");
          const context = canvas.getContext("2d");
          setInterval(() => context.fillRect(0, 0, 9, 9), 100);
          return (window.stream = canvas.captureStream(10));
        })""")
        press(tab, "#start")
        assert problem(tab).startswith("This browser has no WebGL")
        assert tab.evaluate("window.stream.getTracks().every(({ readyState }) => readyState === 'ended')")
        press(tab, "#play")
        until(tab, "document.querySelector('.answer') !== null")
        Image.new("RGB", (64, 48), "gray").save(tmp_path / "wall.png")
        tab.choose_file(tmp_path / "wall.png")
        assert problem(tab).startswith("This browser has no WebGL")
        assert tab.evaluate("window.failures") == []
