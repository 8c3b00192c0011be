"""Marked hands for which faulty.py fails: their wrist has one of these values of z."""

RAISES = 0.111
SLOW = 0.222
SLOW_SECONDS = 8.0
PLAIN = b"x-way: plain\r\n"  # on answers to requests that did not go by ASGI
