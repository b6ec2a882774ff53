"""The Alembic scripts of the evolver's tables."""
