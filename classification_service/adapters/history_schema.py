"""The tables of the history and of corrections."""

import sqlalchemy
from sqlalchemy import BigInteger, Column, Float, Index, Integer, String, Table, Text

METADATA = sqlalchemy.MetaData()
# Thirty-two bits would last a busy service some weeks; SQLite's own numbers are large anyway.
_NUMBER = BigInteger().with_variant(Integer, "sqlite")
# `margin` and `entropy` come with `sequence`, so that a page is a range of an index.
RECORDED = Table(
    "classification",
    METADATA,
    Column("sequence", _NUMBER, primary_key=True),
    Column("id", String(28), nullable=False, unique=True),
    Column("image", String(64), nullable=False),
    Column("dataset", String(63), nullable=False),
    Column("network", String(64), nullable=False),
    Column("category", String(120), nullable=False),
    Column("confidence", Float, nullable=False),
    Column("answers", Text, nullable=False),
    Column("margin", Float, nullable=False),
    Column("entropy", Float, nullable=False),
    Column("seconds", Float, nullable=False),
    Column("at", Float, nullable=False),
    Column("correction", _NUMBER),
    Index("classification_by_image", "image"),
    Index("classification_by_time", "at"),
    Index("classification_by_dataset", "dataset", "sequence"),
    Index("classification_by_category", "dataset", "category", "sequence"),
    Index("classification_by_margin", "dataset", "margin", "sequence"),
    Index("classification_by_entropy", "dataset", "entropy", "sequence"),
    sqlite_autoincrement=True,
)
CORRECTION = Table(
    "correction",
    METADATA,
    Column("number", _NUMBER, primary_key=True),
    Column("classification", String(28), nullable=False),
    Column("image", String(64), nullable=False),
    Column("dataset", String(63), nullable=False),
    Column("category", String(120), nullable=False),
    Column("who", String(120)),
    Column("at", Float, nullable=False),
    Column("state", String(8), nullable=False),
    Column("reason", Text),
    Column("attempts", Integer, nullable=False),
    Column("due", Float, nullable=False),
    Index("correction_by_classification", "classification"),
    Index("correction_by_state", "state", "due"),
    Index("correction_by_image", "image", "state"),
    sqlite_autoincrement=True,
)
# Held by whoever adds or removes rows of either table, so that images go with their last row.
HISTORY_LOCK = 0x48495354
