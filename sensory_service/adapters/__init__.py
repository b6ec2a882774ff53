"""What only this service touches: its tables."""
