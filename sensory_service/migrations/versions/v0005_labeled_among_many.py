"""Indexes for the few labeled images among many: by when, and by whom among all they sent.

Only adds: the code of 0001 to 0004 goes on working on these tables.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the indexes."""
    labeled = sa.text("category IS NOT NULL")
    for name, columns in (
        ("membership_labeled_by_change", ["dataset", "changed", "id"]),
        ("membership_labeled_by_labeler", ["dataset", "labeled_by", "id"]),
        ("membership_labeled_by_labeler_change", ["dataset", "labeled_by", "changed", "id"]),
    ):
        op.create_index(name, "membership", columns, sqlite_where=labeled, postgresql_where=labeled)
