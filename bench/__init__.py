"""What the service costs, and what others that do its job cost: see README.md beside this file."""
