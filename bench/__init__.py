"""What the service costs, measured: python -m bench.model_call, bench.startup, bench.throughput."""
