"""Jobs, and what networks said of images."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "job",
        sa.Column("sequence", sa.Integer, primary_key=True),
        sa.Column("id", sa.String(16), nullable=False, unique=True),
        sa.Column("who", sa.String(120)),
        sa.Column("created", sa.Float, nullable=False),
        sa.Column("changed", sa.Float, nullable=False),
        sa.Column("closed", sa.Float),
        sa.Column("cancelled", sa.Float),
        sa.Column("finished", sa.Float),
        sa.Column("removed", sa.Float),
        sa.Column("reason", sa.Text),
        sqlite_autoincrement=True,
    )
    op.create_index("job_by_who", "job", ["who", "sequence"])
    op.create_table(
        "job_network",
        sa.Column("job", sa.Integer, sa.ForeignKey("job.sequence"), primary_key=True),
        sa.Column("position", sa.Integer, primary_key=True),
        sa.Column("network", sa.String(64), nullable=False),
        sa.Column("dataset", sa.String(63), nullable=False),
        sa.Column("reason", sa.Text),
    )
    op.create_table(
        "job_part",
        sa.Column("sequence", sa.Integer, primary_key=True),
        sa.Column("job", sa.Integer, sa.ForeignKey("job.sequence"), nullable=False),
        sa.Column("blob", sa.String(200), nullable=False),
        sa.Column("images", sa.Integer, nullable=False),
        sa.Column("sent", sa.Float, nullable=False),
        sa.Column("started", sa.Float),
        sa.Column("finished", sa.Float),
        sa.Column("done", sa.Integer, nullable=False),
        sa.Column("failed", sa.Integer, nullable=False),
        sa.Column("reason", sa.Text),
        sqlite_autoincrement=True,
    )
    op.create_index("job_part_of_job", "job_part", ["job", "sequence"])
    op.create_index(
        "job_part_unfinished",
        "job_part",
        ["sent"],
        sqlite_where=sa.text("finished IS NULL"),
        postgresql_where=sa.text("finished IS NULL"),
    )
    op.create_table(
        "job_image",
        sa.Column("sequence", sa.Integer, primary_key=True),
        sa.Column("job", sa.Integer, sa.ForeignKey("job.sequence"), nullable=False),
        sa.Column("part", sa.Integer, sa.ForeignKey("job_part.sequence"), nullable=False),
        sa.Column("image", sa.String(64), nullable=False),
        sa.Column("file", sa.String(255), nullable=False),
        sa.Column("start", sa.Integer, nullable=False),
        sa.Column("size", sa.Integer, nullable=False),
        sa.UniqueConstraint("job", "image", name="job_image_once"),
        sqlite_autoincrement=True,
    )
    op.create_index("job_image_of_job", "job_image", ["job", "sequence"])
    op.create_index("job_image_of_part", "job_image", ["part"])
    op.create_index("job_image_by_image", "job_image", ["image"])
    op.create_table(
        "job_answer",
        sa.Column("image", sa.String(64), primary_key=True),
        sa.Column("network", sa.String(64), primary_key=True),
        sa.Column("category", sa.Integer),
        sa.Column("confidence", sa.Float),
        sa.Column("answers", sa.Text),
        sa.Column("kind", sa.String(64)),
        sa.Column("reason", sa.Text),
        sa.Column("said", sa.Float),
        sa.Column("claimed", sa.Float, nullable=False),
    )


def downgrade() -> None:
    for table in ("job_answer", "job_image", "job_part", "job_network", "job"):
        op.drop_table(table)
