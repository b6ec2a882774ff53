"""The runs, and the journal of their individuals with every training of each."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "run",
        sa.Column("sequence", sa.Integer, primary_key=True),
        sa.Column("id", sa.String(64), nullable=False, unique=True),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("value", sa.Text, nullable=False),
        sa.Column("runner", sa.String(64)),
        sa.Column("stop_requested", sa.Boolean, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("run_by_state", "run", ["state", "sequence"])
    op.create_table(
        "individual",
        sa.Column("run", sa.String(64), sa.ForeignKey("run.id"), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("genome_hash", sa.String(64), nullable=False),
        sa.Column("value", sa.Text, nullable=False),
        sa.UniqueConstraint("run", "genome_hash", name="individual_once_a_run"),
    )
    op.create_table(
        "evaluation",
        sa.Column("run", sa.String(64), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("rung", sa.String(16), primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
        sa.ForeignKeyConstraint(["run", "number"], ["individual.run", "individual.number"]),
    )


def downgrade() -> None:
    op.drop_table("evaluation")
    op.drop_table("individual")
    op.drop_table("run")
