"""Alembic scripts of the table of keys."""
