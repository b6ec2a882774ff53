"""What networks say about images.

Only adds: the code of 0001 to 0006 goes on working on these tables.
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table and its indexes."""
    op.create_table(
        "opinion",
        sa.Column(
            "membership",
            sa.BigInteger().with_variant(sa.Integer, "sqlite"),
            primary_key=True,
            autoincrement=False,
        ),
        sa.Column("dataset", sa.Integer, nullable=False),
        sa.Column("network", sa.String(64), nullable=False),
        sa.Column("category", sa.String(64), nullable=False),
        sa.Column("confidence", sa.Float, nullable=False),
        sa.Column("margin", sa.Float, nullable=False),
        sa.Column("top", sa.JSON, nullable=False),
        sa.Column("state", sa.SmallInteger, nullable=False),
        sa.Column("at", sa.Float, nullable=False),
    )
    for name, columns in (
        ("opinion_by_state", ["state", "membership"]),
        ("opinion_by_margin", ["state", "margin", "membership"]),
        ("opinion_by_confidence", ["state", "confidence", "membership"]),
        ("opinion_by_category", ["category", "membership"]),
        ("opinion_by_category_confidence", ["category", "state", "confidence", "membership"]),
        ("opinion_by_network", ["network"]),
    ):
        op.create_index(name, "opinion", ["dataset", *columns])
