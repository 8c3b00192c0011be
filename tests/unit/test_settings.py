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
def test_origins_are_normalized(monkeypatch: pytest.MonkeyPatch, given: str, origin: str) -> None:
    monkeypatch.setenv("ALLOWED_ORIGINS", f" {given} ,http://other.example")
    assert load_settings().allowed_origins == [origin, "http://other.example"]


@pytest.mark.parametrize(
    "given",
    [
        *("game.example", "//game.example", "https://", "https:///play", "https://*.game.example"),
        *("https://me@game.example", "https://game.example:port", "https://game.example:99999", "https://a b"),
        *("https://a.example;https://b.example", "http://[", "http://[::1", "https://\u2100.example"),
    ],
)
def test_invalid_origins_are_rejected(monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    monkeypatch.setenv("ALLOWED_ORIGINS", given)
    with pytest.raises(SystemExit, match=r"^Invalid environment variables: ALLOWED_ORIGINS=.* is not an origin"):
        load_settings()


@pytest.mark.parametrize(
    ("name", "given", "taken"),
    [
        ("METRICS_TOKEN", "abc\n", "abc"),
        ("METRICS_TOKEN", " \t", ""),
        ("MODEL_TAG", " hand_gesture:1 \n", "hand_gesture:1"),
        ("MODEL_TAG", "", None),
        ("API_KEY", " first\n, ,second ", ["first", "second"]),
        ("API_KEY", "", []),
        ("API_KEY", "\n", []),
        ("ALLOWED_ORIGINS", "\thttps://game.example , *", ["https://game.example", "*"]),
        ("PORT", " 4000 ", 4000),
        ("PORT", "", 3000),
        ("MIN_CONFIDENCE", "0.5\n", 0.5),
        ("MIN_CONFIDENCE", "", None),
    ],
)
def test_whitespace_around_values_is_stripped(
    monkeypatch: pytest.MonkeyPatch, name: str, given: str, taken: object
) -> None:
    monkeypatch.setenv(name, given)
    assert getattr(load_settings(), name.lower()) == taken


@pytest.mark.parametrize("name", ["API_KEY", "ALLOWED_ORIGINS"])
def test_lists_of_nothing_but_commas_are_rejected(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, " , ,")
    with pytest.raises(SystemExit, match=f"{name}= , ,: .*there is nothing between the commas"):
        load_settings()


@pytest.mark.parametrize("given", [" ", "a:b:c", "two words", "../model", "hand_gesture:", "\udcff"])
def test_invalid_model_tags_are_rejected(monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    monkeypatch.setenv("MODEL_TAG", given)
    with pytest.raises(SystemExit, match=r"^Invalid environment variables: MODEL_TAG=.*\.$"):
        load_settings()


def test_all_invalid_values_are_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "80 80")
    monkeypatch.setenv("ALLOWED_ORIGINS", "https://game.example, b")
    with pytest.raises(SystemExit) as refused:
        load_settings()
    start, *problems = str(refused.value).split("; ", 1)
    assert start.startswith("Invalid environment variables: PORT=80 80: Input should be a valid integer")
    assert problems[0].startswith("ALLOWED_ORIGINS=https://game.example, b: ")
    assert problems[0].endswith("b is not an origin such as https://game.example; list origins, or use * for all.")


LIMITS = {
    "port": (1, 65535),
    "workers": (1, 64),
    "min_confidence": (0, 1),
    "max_batch_size": (2, 4096),
    "max_batch_wait_ms": (10, 60_000),
    "max_hands": (1, 100_000),
    "request_timeout_seconds": (0.001, 60),
    "keep_alive_seconds": (1, 3600),
    "max_streams": (1, 100_000),
    "stream_idle_seconds": (1, 86_400),
}


@pytest.mark.parametrize("name", LIMITS)
def test_limits(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    for value in LIMITS[name]:
        monkeypatch.setenv(name.upper(), str(value))
        assert getattr(load_settings(), name) == value
    for wrong in (LIMITS[name][0] - 1, LIMITS[name][1] + 1, "nan", "x"):
        monkeypatch.setenv(name.upper(), str(wrong))
        with pytest.raises(SystemExit):
            load_settings()
