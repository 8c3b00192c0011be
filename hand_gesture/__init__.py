"""The parts that service.py wires together; a module for each step of a request."""
