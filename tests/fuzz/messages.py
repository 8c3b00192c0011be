"""Generates complete HTTP requests and streams: paths, queries, headers, handshakes, settings and frames."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from hypothesis import strategies as st

from tests.fuzz.bodies import SIZES, TEXT, VALUES, bodies
from tests.hands import IMAGE_SIZE, LIKE, REFERENCE, as_frame
from tests.stream_load import BINARY, client_frame
from tests.stream_load import TEXT as TEXT_FRAME

KEY = "key"
ORIGIN = "https://game.example"
PING, PONG = 9, 10
METHODS = [b"GET", b"GET", b"POST", b"POST", b"HEAD", b"OPTIONS", b"PUT", b"DELETE", b"TRACE", b"PATCH", b"FOO", b"get"]
# Values that have broken parsers of headers, addresses and text elsewhere
NASTY = [
    *(b"", b"*", b",", b";", b"=", b"\xff", b"\xc3\xa9", b"\xe2\x84\x80", b"\xed\xa0\x80", b"%", b"%ff", b"%00", b"\t"),
    *(b"http://[", b"http://[::1", b"//[", b"http://a:b", b"https://\xe2\x84\x80.example", b"null", b"-1", b"1e999"),
    *(b"9" * 400, b"a" * 5000, b'"', b"bytes=-", b"bytes=9-1,0-", b"bytes=0-0,1-1", b"Bearer", b"Bearer \xff"),
]
HEADERS = [
    *(b"host", b"origin", b"authorization", b"content-type", b"content-encoding", b"accept", b"accept-encoding"),
    *(b"if-none-match", b"if-modified-since", b"if-range", b"range", b"cookie", b"connection", b"upgrade", b"expect"),
    *(b"access-control-request-method", b"access-control-request-headers", b"access-control-request-private-network"),
    *(b"traceparent", b"tracestate", b"x-forwarded-for", b"x-forwarded-proto", b"forwarded", b"user-agent", b"te"),
    *(b"bentoml-args", b"x-bentoml-name", b"x-request-id", b"referer", b"date", b"vary"),
]
OF_HANDSHAKES = [
    *(b"host", b"origin", b"authorization", b"upgrade", b"connection", b"cookie"),
    *(b"sec-websocket-key", b"sec-websocket-version", b"sec-websocket-protocol", b"sec-websocket-extensions"),
]
GOOD_VALUES = [
    *(b"application/json", b"gzip", b"identity", b"a", b"%b" % ORIGIN.encode(), b"Bearer %b" % KEY.encode(), b"POST"),
    *(b"bytes=0-9", b"websocket", b"h2c", b"Upgrade", b"close", b"13", b"permessage-deflate", b"100-continue"),
]


def _is_no_length(name: bytes) -> bool:
    return name not in (b"content-length", b"transfer-encoding")


def _printable(data: bytes) -> bytes:
    """Header values that HTTP parsers accept; test_clients.py has others."""
    return bytes(byte for byte in data if byte >= 0x20 and byte != 0x7F)


RAW = st.binary(max_size=12).map(_printable)
NAME = st.sampled_from(HEADERS) | st.from_regex(rb"[a-z0-9!#$%&'*+.^_`|~-]{1,12}", fullmatch=True).filter(_is_no_length)
VALUE = st.sampled_from(GOOD_VALUES) | st.sampled_from(NASTY) | RAW
Header = tuple[bytes, bytes]


def _encode(start: bytes, headers: Sequence[Header], body: bytes = b"") -> bytes:
    return b"\r\n".join([start, *(b"%b: %b" % header for header in headers), b"", body])


@st.composite
def targets(draw: st.DrawFn, paths: Sequence[str]) -> bytes:
    """A path and a query, known or not."""
    path = draw(st.sampled_from(paths)).encode()
    change = draw(st.integers(0, 7))
    if change == 0:
        path += draw(st.sampled_from([b"/", b"//", b"%0A", b"%00", b"/..", b"/%2e%2e/x", b"%ff", b";a", b"\xff"]))
    elif change == 1:
        path = draw(st.sampled_from([b"*", b"//[/", b"http://[/", b"http://a/livez", b"/" + b"a/" * 500])) + draw(RAW)
    elif change == 2:
        path = path[: draw(st.integers(1, len(path)))] + draw(RAW).replace(b" ", b"%20")
    if draw(st.integers(0, 3)) == 0:
        path += b"?" + draw(st.sampled_from([b"a=1", b"%ff=%", b"a&&=", b"landmarks=1"]) | VALUE).replace(b" ", b"+")
    return path


@st.composite
def http_requests(draw: st.DrawFn, paths: Sequence[str]) -> bytes:
    """A request with a correct Content-Length; test_clients.py has others."""
    predicts = draw(st.booleans())
    method = b"POST" if predicts else draw(st.sampled_from(METHODS))
    target = b"/predict" if predicts else draw(targets(paths))
    headers: dict[bytes, bytes] = {b"host": b"a", b"content-type": b"application/json"}
    if draw(st.integers(0, 4)):
        headers[b"authorization"] = b"Bearer %b" % KEY.encode()
    headers |= dict(draw(st.lists(st.tuples(NAME, VALUE), max_size=4)))
    body = draw(bodies()) if predicts or draw(st.integers(0, 3)) == 0 else b""
    headers |= {b"content-length": b"%d" % len(body)}
    return _encode(b"%b %b HTTP/1.1" % (method, target), [*headers.items()], body)


@dataclass(frozen=True, slots=True)
class Conversation:
    """Messages of a client of /stream."""

    handshake: bytes
    settings: bytes
    frames: list[bytes]


@st.composite
def handshakes(draw: st.DrawFn) -> bytes:
    """The request that opens a stream, with up to three headers added or replaced."""
    headers: dict[bytes, bytes] = {
        b"host": b"a",
        b"upgrade": b"websocket",
        b"connection": b"Upgrade",
        b"sec-websocket-key": b"dGhlIHNhbXBsZSBub25jZQ==",
        b"sec-websocket-version": b"13",
        b"authorization": b"Bearer %b" % KEY.encode(),
    }
    # Mostly valid, because nothing after an invalid one would be read
    changes = draw(st.sampled_from([0, 0, 1, 1, 2, 3]))
    names = st.sampled_from(OF_HANDSHAKES) | NAME
    headers |= dict(draw(st.lists(st.tuples(names, VALUE), min_size=changes, max_size=changes)))
    target = draw(st.sampled_from([b"/stream"] * 9 + [b"/stream?a=%ff", b"/stream\xff", b"/stream/"]))
    return _encode(b"GET %b HTTP/1.1" % target, [*headers.items()])


@st.composite
def stream_settings(draw: st.DrawFn) -> bytes:
    """The first message."""
    kind = draw(st.integers(0, 9))
    if kind == 0:
        return client_frame(TEXT_FRAME, draw(bodies()))
    if kind == 1:
        return client_frame(draw(st.sampled_from([TEXT_FRAME, BINARY])), draw(st.binary(max_size=20)))
    given: dict[str, object] = {"image_size": IMAGE_SIZE}
    if draw(st.booleans()):
        given[draw(st.sampled_from(["image_size", "hold_ms", "key", "other"]) | TEXT)] = draw(VALUES | SIZES)
    if draw(st.booleans()):
        given["key"] = draw(st.just(KEY) | TEXT)
    text = json.dumps(given, ensure_ascii=draw(st.booleans()))
    return client_frame(TEXT_FRAME, text.encode(errors="surrogatepass"))


@st.composite
def frames(draw: st.DrawFn) -> bytes:
    """A frame: binary or text, with one or more hands, valid or not."""
    kind = draw(st.integers(0, 9))
    if kind < 5:
        return client_frame(TEXT_FRAME, draw(bodies()))
    if kind == 5:
        hands = draw(st.lists(st.sampled_from([*REFERENCE.hands.values()]) | VALUES, max_size=3))
        fields = {"hands": hands, **draw(st.dictionaries(TEXT, VALUES, max_size=1))}
        return client_frame(TEXT_FRAME, json.dumps(fields).encode())
    if kind == 6:
        return client_frame(draw(st.sampled_from([PING, PONG])), draw(st.binary(max_size=20)))
    data = bytearray(as_frame(LIKE) * draw(st.integers(0, 3)))
    if draw(st.booleans()):
        start = draw(st.integers(0, len(data)))
        data[start : start + draw(st.integers(0, 8))] = draw(st.binary(max_size=8))
    return client_frame(BINARY, bytes(data))


def conversations() -> st.SearchStrategy[Conversation]:
    """A whole stream."""
    return st.builds(Conversation, handshakes(), stream_settings(), st.lists(frames(), max_size=6))
