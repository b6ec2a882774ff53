"""Alembic scripts of the sensory service's tables."""
