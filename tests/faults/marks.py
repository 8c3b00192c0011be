"""Hands that faulty.py fails on: those whose wrist has one of these z."""

RAISES = 0.111
SLOW = 0.222
SLOW_SECONDS = 6.0
