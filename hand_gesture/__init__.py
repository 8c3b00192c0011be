"""The parts that service.py wires together: one module for each step a request takes."""
