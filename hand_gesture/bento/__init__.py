"""Everything that depends on internals of BentoML, uvicorn and circus; docs/upstream.md lists it."""
