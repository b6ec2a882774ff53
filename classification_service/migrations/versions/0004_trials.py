"""Promotions that were undone, and networks on trial beside the champions."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "rollback",
        sa.Column("sequence", sa.Integer, primary_key=True),
        sa.Column(
            "promotion",
            sa.Integer,
            sa.ForeignKey("promotion.sequence"),
            nullable=False,
            unique=True,
        ),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("automatic", sa.Boolean, nullable=False),
        sa.Column("rolled_back", sa.Float, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "trial",
        sa.Column("sequence", sa.Integer, primary_key=True),
        sa.Column("dataset", sa.String(63), nullable=False),
        # A dataset whose trial runs; null for those that ended: at most one runs.
        sa.Column("runs_for", sa.String(63), nullable=True, unique=True),
        sa.Column("network", sa.String(64), sa.ForeignKey("network.id"), nullable=False),
        sa.Column("champion", sa.String(64), sa.ForeignKey("network.id"), nullable=True),
        sa.Column("mode", sa.String(16), nullable=False),
        sa.Column("share", sa.Float, nullable=False),
        sa.Column("promote", sa.Boolean, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("started", sa.Float, nullable=False),
        sa.Column("ended", sa.Float, nullable=True),
        sa.Column("reason", sa.Text, nullable=True),
        sa.Column("answers", sa.BigInteger, nullable=False),
        sa.Column("errors", sa.BigInteger, nullable=False),
        sa.Column("compared", sa.BigInteger, nullable=False),
        sa.Column("disagreed", sa.BigInteger, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("trial_by_dataset", "trial", ["dataset", "sequence"])
    op.create_table(
        "trial_pair",
        sa.Column("trial", sa.Integer, sa.ForeignKey("trial.sequence"), primary_key=True),
        sa.Column("image", sa.String(64), primary_key=True),
        sa.Column("challenger_right", sa.Boolean, nullable=False),
        sa.Column("champion_right", sa.Boolean, nullable=False),
    )
    op.create_table(
        "traffic",
        sa.Column("sequence", sa.Integer, primary_key=True),
        sa.Column("network", sa.String(64), nullable=False),
        sa.Column("counted", sa.Float, nullable=False),
        sa.Column("answers", sa.Integer, nullable=False),
        sa.Column("errors", sa.Integer, nullable=False),
        sa.Column("compared", sa.Integer, nullable=False),
        sa.Column("disagreed", sa.Integer, nullable=False),
        sa.Column("latencies", sa.Text, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("traffic_by_network", "traffic", ["network", "counted"])
    op.create_index("traffic_by_time", "traffic", ["counted"])


def downgrade() -> None:
    for table in ("traffic", "trial_pair", "trial", "rollback"):
        op.drop_table(table)
