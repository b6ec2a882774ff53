"""The gallery: networks by card, and the history of promotions."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "network",
        sa.Column("sequence", sa.Integer, primary_key=True),
        sa.Column("id", sa.String(64), nullable=False, unique=True),
        sa.Column("dataset", sa.String(63), nullable=False),
        sa.Column("card", sa.Text, nullable=False),
        sa.Column("registered", sa.Float, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("network_by_dataset", "network", ["dataset", "sequence"])
    op.create_table(
        "promotion",
        sa.Column("sequence", sa.Integer, primary_key=True),
        sa.Column("dataset", sa.String(63), nullable=False),
        sa.Column("network", sa.String(64), sa.ForeignKey("network.id"), nullable=False),
        sa.Column("promoted", sa.Float, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("promotion_by_dataset", "promotion", ["dataset", "sequence"])


def downgrade() -> None:
    op.drop_table("promotion")
    op.drop_table("network")
