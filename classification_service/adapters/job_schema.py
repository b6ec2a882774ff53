"""The tables of jobs, as the migrations make them."""

import sqlalchemy
from sqlalchemy import Column, Float, ForeignKey, Index, Integer, String, Table, Text
from sqlalchemy import UniqueConstraint as Unique

METADATA = sqlalchemy.MetaData()
JOB = Table(
    "job",
    METADATA,
    Column("sequence", Integer, primary_key=True),
    Column("id", String(16), nullable=False, unique=True),
    Column("who", String(120)),
    Column("created", Float, nullable=False),
    Column("changed", Float, nullable=False),
    Column("closed", Float),
    Column("cancelled", Float),
    Column("finished", Float),
    Column("removed", Float),
    Column("reason", Text),
    Index("job_by_who", "who", "sequence"),
    sqlite_autoincrement=True,
)
NETWORK = Table(
    "job_network",
    METADATA,
    Column("job", Integer, ForeignKey("job.sequence"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("network", String(64), nullable=False),
    Column("dataset", String(63), nullable=False),
    Column("reason", Text),
)
# `done` and `failed` count answers; a part with a reason has failed in all that is not there.
PART = Table(
    "job_part",
    METADATA,
    Column("sequence", Integer, primary_key=True),
    Column("job", Integer, ForeignKey("job.sequence"), nullable=False),
    Column("blob", String(200), nullable=False),
    Column("images", Integer, nullable=False),
    Column("sent", Float, nullable=False),
    Column("started", Float),
    Column("finished", Float),
    Column("done", Integer, nullable=False),
    Column("failed", Integer, nullable=False),
    Column("reason", Text),
    Index("job_part_of_job", "job", "sequence"),
    Index(
        "job_part_unfinished",
        "sent",
        sqlite_where=sqlalchemy.text("finished IS NULL"),
        postgresql_where=sqlalchemy.text("finished IS NULL"),
    ),
    sqlite_autoincrement=True,
)
IMAGE = Table(
    "job_image",
    METADATA,
    Column("sequence", Integer, primary_key=True),
    Column("job", Integer, ForeignKey("job.sequence"), nullable=False),
    Column("part", Integer, ForeignKey("job_part.sequence"), nullable=False),
    Column("image", String(64), nullable=False),
    Column("file", String(255), nullable=False),
    Column("start", Integer, nullable=False),
    Column("size", Integer, nullable=False),
    Unique("job", "image", name="job_image_once"),
    Index("job_image_of_job", "job", "sequence"),
    Index("job_image_of_part", "part"),
    Index("job_image_by_image", "image"),
    sqlite_autoincrement=True,
)
# What a network says of an image, whoever asked: jobs only look at it. Until it is `said`,
# somebody is about to ask, and nobody else does up to the time `claimed`.
ANSWER = Table(
    "job_answer",
    METADATA,
    Column("image", String(64), primary_key=True),
    Column("network", String(64), primary_key=True),
    Column("category", Integer),
    Column("confidence", Float),
    Column("answers", Text),
    Column("kind", String(64)),
    Column("reason", Text),
    Column("said", Float),
    Column("claimed", Float, nullable=False),
)
# Who adds images and who takes answers away go one after the other: an answer that seems to be
# nobody's may be that of an image which is just being added.
COMING_AND_GOING = 0x6A6F6273
