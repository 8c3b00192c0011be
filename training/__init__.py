"""Trains and evaluates models: from tables of landmarks to the artifacts that the service imports."""
