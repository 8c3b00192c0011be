"""Benchmarks of this service and comparable servers: see docs/performance.md."""
