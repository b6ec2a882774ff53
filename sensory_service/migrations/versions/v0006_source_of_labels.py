"""How the label of an image came, and the images of a split or of a source.

Only adds: the code of 0001 to 0005 goes on working on these tables.
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns and the indexes."""
    for table in ("membership", "label_event"):
        op.add_column(table, sa.Column("source", sa.String(16)))
    columns = ["dataset", "split", "category", "id"]
    op.create_index("membership_by_split_category", "membership", columns)
    for column in ("split", "source"):
        some = sa.text(f"{column} IS NOT NULL")
        op.create_index(
            f"membership_by_{column}",
            "membership",
            ["dataset", column, "id"],
            sqlite_where=some,
            postgresql_where=some,
        )
