"""When an order ends, and which blobs are to be deleted with it.

Only adds: the code of 0001 to 0003 goes on working on these tables.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column, the table and the index."""
    op.add_column("batch_order", sa.Column("expires", sa.Float))
    op.create_table("discarded", sa.Column("sha256", sa.String(64), primary_key=True))
    unmade = sa.text("sha256 IS NULL AND issued >= 0")
    op.create_index("shard_unmade", "shard", ["id"], sqlite_where=unmade, postgresql_where=unmade)
