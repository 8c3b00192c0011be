from __future__ import annotations

import pytest

from hand_gesture.settings import load_settings


@pytest.mark.parametrize(
    ("given", "origin"),
    [
        ("*", "*"),
        ("null", "null"),
        ("https://game.example", "https://game.example"),
        ("https://game.example/", "https://game.example"),
        ("https://game.example/play/index.html", "https://game.example"),
        ("HTTPS://Game.Example", "https://game.example"),
        ("https://game.example:443", "https://game.example"),
        ("http://game.example:80/", "http://game.example"),
        ("http://game.example:8080", "http://game.example:8080"),
        ("http://[::1]:3000/", "http://[::1]:3000"),
        ("https://spiel.köln", "https://spiel.xn--kln-sna"),
        ("capacitor://localhost", "capacitor://localhost"),
    ],
)
def test_origins_are_taken_as_browsers_send_them(monkeypatch: pytest.MonkeyPatch, given: str, origin: str) -> None:
    monkeypatch.setenv("ALLOWED_ORIGINS", f" {given} ,http://other.example")
    assert load_settings().allowed_origins == [origin, "http://other.example"]


@pytest.mark.parametrize(
    "given",
    [
        *("game.example", "//game.example", "https://", "https:///play", "https://*.game.example"),
        *("https://me@game.example", "https://game.example:port", "https://game.example:99999", "https://a b"),
        "https://a.example;https://b.example",
    ],
)
def test_what_is_no_origin_is_refused_in_a_sentence(monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    monkeypatch.setenv("ALLOWED_ORIGINS", given)
    with pytest.raises(SystemExit, match=r"^These environment variables do not fit: ALLOWED_ORIGINS=.* is no origin"):
        load_settings()
