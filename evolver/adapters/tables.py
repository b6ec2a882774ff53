"""The evolver's tables; `run_table` and `journal_table` have the statements.

A row carries its message as JSON; a column of its own has only what a statement looks for, and
the histories of trainings, which few readers want.
"""

import sqlalchemy
from sqlalchemy import (
    Boolean,
    Column,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
)

METADATA = sqlalchemy.MetaData()
# `sequence` and not the time says what is newer: clocks jump and two machines differ.
RUNS = Table(
    "run",
    METADATA,
    Column("sequence", Integer, primary_key=True),
    Column("id", String(64), nullable=False, unique=True),
    Column("state", String(16), nullable=False),
    Column("value", Text, nullable=False),
    Column("runner", String(64)),
    Column("lease_until", Float),
    Column("stop_requested", Boolean, nullable=False, default=False),
    Index("run_by_state", "state", "sequence"),
    sqlite_autoincrement=True,
)
INDIVIDUALS = Table(
    "individual",
    METADATA,
    Column("run", String(64), ForeignKey("run.id"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("genome_hash", String(64), nullable=False),
    Column("value", Text, nullable=False),
    UniqueConstraint("run", "genome_hash", name="individual_once_a_run"),
)
EVALUATIONS = Table(
    "evaluation",
    METADATA,
    Column("run", String(64), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("rung", String(16), primary_key=True),
    Column("value", Text, nullable=False),
    Column("history", Text),
    Column("training_key", String(64)),
    Column("weights", String(200)),
    ForeignKeyConstraint(["run", "number"], ["individual.run", "individual.number"]),
    Index("evaluation_by_key", "training_key"),
    Index("evaluation_by_weights", "weights"),
)
