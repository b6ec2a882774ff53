from commons.adapters.database import run_migrations

run_migrations()
