"""What the service says of itself: figures for Prometheus, and logs."""
