"""From a table of landmarks to the artifacts that the service imports."""
