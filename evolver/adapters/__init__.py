"""The evolver's tables."""
