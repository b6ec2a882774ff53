"""Figures of runs for people, read from the table."""

from sqlalchemy import Engine, func, select

from commons.adapters.database import reading
from evolver.adapters.tables import RUNS


def waiting_runs(database: Engine) -> dict[str, float]:
    """Return how many runs are queued and how many are running."""
    states = ("queued", "running")
    query = select(RUNS.c.state, func.count()).where(RUNS.c.state.in_(states))
    counts = dict.fromkeys((f"runs_{state}" for state in states), 0.0)
    with reading(database) as connection:
        for state, runs in connection.execute(query.group_by(RUNS.c.state)):
            counts[f"runs_{state}"] = float(runs)
    return counts
