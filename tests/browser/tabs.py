"""Tabs of all tested browsers with a common interface.

Playwright drives Chromium, and Debian's Firefox through WebDriver BiDi; Selenium drives WebKitGTK through its own
WebKitWebDriver. Firefox and WebKitGTK have WebGL only where there is a screen, so they get a virtual one.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest
from playwright.sync_api import Page, sync_playwright
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.webkitgtk.options import Options as WebKitGTKOptions
from selenium.webdriver.webkitgtk.service import Service as WebKitGTKService

from tests.browser.conftest import ALLOWED, CHROMIUM, OPTIONS, SECONDS

OLDEST_FIREFOX = 143  # the first whose WebDriver BiDi has network.addDataCollector, which Playwright calls
FIREFOX = shutil.which("firefox-esr") or shutil.which("firefox")
WEBKIT_DRIVER = shutil.which("WebKitWebDriver")
MINI_BROWSER = next(iter(sorted(Path("/usr/lib").glob("*/webkit2gtk-4.*/MiniBrowser"), reverse=True)), None)
XVFB = shutil.which("Xvfb")
SCREEN = (1280, 900)
FIREFOX_PREFERENCES: dict[str, str | float | bool] = {"media.navigator.permission.disabled": True}
# Records uncaught errors, unhandled rejections and CSP violations
WATCH_FOR_FAILURES = """(() => {
  window.failures = [];
  addEventListener("error", ({ message }) => window.failures.push(`error: ${message}`));
  addEventListener("unhandledrejection", ({ reason }) => window.failures.push(`unhandled: ${reason}`));
  addEventListener("securitypolicyviolation", ({ blockedURI }) => window.failures.push(`policy: ${blockedURI}`));
})()"""


class Tab(Protocol):
    """One page in one browser."""

    def go(self, url: str) -> None:
        """Load a page."""

    def evaluate(self, expression: str) -> Any:
        """Evaluate a JavaScript expression, and await its value."""

    def choose_file(self, path: Path) -> None:
        """Choose a photo."""

    def screenshot(self, path: Path) -> None:
        """Write a screenshot as PNG."""


class PlaywrightTab:
    """A tab of Chromium or Firefox."""

    def __init__(self, page: Page) -> None:
        page.set_default_timeout(1000 * SECONDS)
        self._page = page

    def go(self, url: str) -> None:
        """Load a page."""
        self._page.goto(url)

    def evaluate(self, expression: str) -> Any:
        """Evaluate a JavaScript expression, and await its value."""
        return self._page.evaluate(expression)

    def choose_file(self, path: Path) -> None:
        """Choose a photo."""
        self._page.set_input_files("#file", path)

    def screenshot(self, path: Path) -> None:
        """Write a screenshot as PNG."""
        self._page.screenshot(path=path, caret="initial")  # hiding it needs an inline style, which the CSP blocks


class SeleniumTab:
    """A tab of WebKitGTK."""

    def __init__(self, driver: webdriver.WebKitGTK) -> None:
        driver.set_script_timeout(SECONDS)
        self._driver = driver

    def go(self, url: str) -> None:
        """Load a page."""
        self._driver.get(url)

    def evaluate(self, expression: str) -> Any:
        """Evaluate a JavaScript expression, and await its value."""
        return self._driver.execute_script(f"return ({expression})")

    def choose_file(self, path: Path) -> None:
        """Choose a photo."""
        self._driver.find_element(By.ID, "file").send_keys(str(path))

    def screenshot(self, path: Path) -> None:
        """Write a screenshot as PNG."""
        self._driver.save_screenshot(str(path))


@contextlib.contextmanager
def virtual_screen(width: int, height: int) -> Iterator[dict[str, str]]:
    """Start a virtual X server, and yield the environment variables for its clients."""
    if XVFB is None:
        pytest.skip("there is no virtual screen here: install Debian's package xvfb")
    reading, writing = os.pipe()
    screen = ["-screen", "0", f"{width}x{height}x24", "-nolisten", "tcp"]
    server = subprocess.Popen(
        [XVFB, "-displayfd", str(writing), *screen], pass_fds=[writing], stderr=subprocess.DEVNULL
    )
    os.close(writing)
    try:
        with os.fdopen(reading) as pipe:
            number = pipe.readline().strip()
        assert number, "Xvfb did not start"
        yield {**os.environ, "DISPLAY": f":{number}"}
    finally:
        server.terminate()
        server.wait()


@contextlib.contextmanager
def chromium_tab(*, webgl: bool = True) -> Iterator[Tab]:
    """A new Chromium without a camera."""
    if CHROMIUM is None:
        pytest.skip("there is no Chromium here: install Debian's package chromium")
    options = [*OPTIONS, ALLOWED, *([] if webgl else ["--disable-software-rasterizer"])]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=options)
        yield PlaywrightTab(browser.new_page())
        browser.close()


@contextlib.contextmanager
def firefox_tab(*, webgl: bool = True) -> Iterator[Tab]:
    """A new Firefox without a camera."""
    if FIREFOX is None:
        pytest.skip("there is no Firefox here: install Debian's package firefox-esr")
    version = subprocess.run([FIREFOX, "--version"], capture_output=True, text=True, check=True).stdout.split()[-1]
    if int(version.partition(".")[0]) < OLDEST_FIREFOX:
        pytest.skip(f"Firefox {version} is too old for Playwright: install version {OLDEST_FIREFOX} or later")
    with virtual_screen(*SCREEN) as environment, sync_playwright() as playwright:
        browser = playwright.firefox.launch(
            channel="moz-firefox",
            executable_path=FIREFOX,
            headless=False,
            env=dict(environment),
            firefox_user_prefs={**FIREFOX_PREFERENCES, "webgl.disabled": not webgl},
        )
        yield PlaywrightTab(browser.new_page())
        browser.close()


@contextlib.contextmanager
def webkit_tab(*, webgl: bool = True, screen: tuple[int, int] = SCREEN, dark: bool = False) -> Iterator[Tab]:
    """A new WebKitGTK without a camera; its WebGL, which workers lack, cannot be disabled."""
    if WEBKIT_DRIVER is None or MINI_BROWSER is None:
        pytest.skip("there is no WebKitGTK here: install Debian's package webkit2gtk-driver")
    if not webgl:
        pytest.skip("WebKitGTK's driver cannot switch WebGL off")
    options = WebKitGTKOptions()
    options.binary_location = str(MINI_BROWSER)
    for argument in ("--automation", "--full-screen"):
        options.add_argument(argument)
    with virtual_screen(*screen) as environment:
        if dark:
            environment["GTK_THEME"] = "Adwaita:dark"
        service = WebKitGTKService(WEBKIT_DRIVER, env=environment)
        driver = webdriver.WebKitGTK(options=options, service=service)
        try:
            yield SeleniumTab(driver)
        finally:
            driver.quit()


TABS = {"chromium": chromium_tab, "firefox": firefox_tab, "webkit": webkit_tab}


def open_page(tab: Tab, url: str) -> None:
    """Load the page, wait until it has its gestures, and record errors from then on."""
    tab.go(url)
    until(tab, "document.querySelectorAll('#gestures li').length > 0")
    tab.evaluate(WATCH_FOR_FAILURES)


def press(tab: Tab, element: str) -> None:
    """Click a button, which must be visible and enabled."""
    until(tab, f"document.querySelector(`{element}`)?.checkVisibility()")
    is_disabled = f"document.querySelector(`{element}`).matches(':disabled, [aria-disabled=true]')"
    assert not tab.evaluate(is_disabled), f"{element} cannot be pressed"
    tab.evaluate(f"document.querySelector(`{element}`).click()")


def problem(tab: Tab) -> str:
    """Wait for an error message and return it."""
    until(tab, "!document.getElementById('problem').hidden")
    return str(tab.evaluate("document.getElementById('problem').textContent"))


def until(tab: Tab, condition: str, shown: str = "document.body.innerText") -> None:
    """Wait until an expression holds; a failure shows the value of another one."""
    deadline = time.monotonic() + SECONDS
    while not tab.evaluate(condition):
        assert time.monotonic() < deadline, f"{condition}: {tab.evaluate(shown)}"
        time.sleep(0.05)
