"""What images look like, and which look alike.

Only adds: the code of 0001 to 0008 goes on working on these tables.
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table and its indexes."""
    bands = [f"b{number}" for number in range(4)]
    op.create_table(
        "appearance",
        sa.Column("image", sa.String(64), primary_key=True),
        sa.Column("grey", sa.LargeBinary, nullable=False),
        sa.Column("hash", sa.BigInteger, nullable=False),
        *(sa.Column(band, sa.Integer, nullable=False) for band in bands),
        sa.Column("cluster", sa.String(64), nullable=False),
    )
    for band in bands:
        op.create_index(f"appearance_by_{band}", "appearance", [band])
    op.create_index("appearance_by_cluster", "appearance", ["cluster"])
    followers = sa.text("cluster != image")
    op.create_index(
        "appearance_following",
        "appearance",
        ["cluster"],
        sqlite_where=followers,
        postgresql_where=followers,
    )
