"""Run by Alembic; `commons.adapters.database.migrate` calls it."""

import alembic.context

# The same database may hold a service's tables too, with migrations of their own.
alembic.context.configure(
    connection=alembic.context.config.attributes["connection"],
    render_as_batch=True,
    version_table="access_key_version",
)
with alembic.context.begin_transaction():
    alembic.context.run_migrations()
