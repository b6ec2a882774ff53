"""Sockets and selectors: what the load generator does with the system."""
