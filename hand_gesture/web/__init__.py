"""The HTTP and WebSocket API: contract, request handling, streams, documents and pages."""
