"""Run by Alembic; `commons.adapters.database.migrate` calls it."""

from commons.adapters.database import run_migrations

run_migrations()
