from __future__ import annotations

import pytest

from hand_gesture.web.access import is_authorized, is_origin_allowed

TOKENS = ["first", "sécond", "of two"]


def with_authorization(value: bytes) -> list[tuple[bytes, bytes]]:
    return [(b"host", b"a"), (b"authorization", value), (b"authorization", b"Bearer other")]


@pytest.mark.parametrize(
    "value", [b"Bearer first", b"bearer first", b"BEARER first", "Bearer sécond".encode(), b"Bearer of two"]
)
def test_bearer_of_a_token_is_authorized(value: bytes) -> None:
    assert is_authorized(with_authorization(value), TOKENS)


@pytest.mark.parametrize(
    "value",
    [
        *(b"", b"Bearer", b"Bearer ", b"first", b"Basic first", b"Bearerfirst", b"Bearer first ", b"Bearer  first"),
        *(b"Bearer fi", b"Bearer first,second", b"Bearer \xff", "Bearer sécond".encode("latin-1")),
    ],
)
def test_others_are_not(value: bytes) -> None:
    assert not is_authorized(with_authorization(value), TOKENS)
    assert is_authorized(with_authorization(value), [])


def test_key_is_used_without_a_bearer_token() -> None:
    assert is_authorized([], TOKENS, "sécond")
    assert is_authorized(with_authorization(b"Basic x"), TOKENS, "first")
    assert not is_authorized(with_authorization(b"Bearer wrong"), TOKENS, "first")
    assert not is_authorized([], TOKENS)


@pytest.mark.parametrize("key", ["", "fir\ud800st", "\udcff", "firs?"])
def test_key_that_cannot_be_encoded_is_rejected(key: str) -> None:
    assert not is_authorized([], TOKENS, key)


def test_token_may_be_any_bytes_of_an_environment_variable() -> None:
    """Python decodes bytes other than UTF-8 to surrogates (os.fsdecode)."""
    assert is_authorized(with_authorization(b"Bearer a\xff"), ["a\udcff"])


ORIGINS = ["https://game.example", "http://[::1]:8080"]


@pytest.mark.parametrize(
    ("origin", "host", "welcome"),
    [
        (b"https://game.example", b"a", True),
        (b"HTTPS://GAME.EXAMPLE", b"a", True),
        (b"http://[::1]:8080", b"a", True),
        (b"http://own.example:3000", b"own.example:3000", True),
        (b"http://OWN.example:3000", b"Own.Example:3000", True),
        (b"", b"a", True),
        (b"http://game.example", b"a", False),
        (b"https://game.example.evil", b"a", False),
        (b"http://own.example:3001", b"own.example:3000", False),
        (b"null", b"a", False),
        (b"null", b"", False),
        (b"a", b"a", False),
        # which urlsplit raises for
        (b"http://[", b"a", False),
        (b"http://[", b"[", True),
        (b"http://\xe2\x84\x80.example", b"a", False),
        (b"\xff", b"\xff", False),
    ],
)
def test_listed_origins_and_the_services_own_are_allowed(origin: bytes, host: bytes, welcome: bool) -> None:
    headers = [(b"accept", b"x"), (b"host", host), (b"origin", origin)]
    assert is_origin_allowed(headers, ORIGINS) is welcome
    assert is_origin_allowed(headers, [*ORIGINS, "*"])


def test_clients_without_an_origin_are_allowed() -> None:
    assert is_origin_allowed([(b"host", b"a")], ORIGINS)
    assert is_origin_allowed([], ORIGINS)
    assert not is_origin_allowed([(b"origin", b"null")], ORIGINS)
