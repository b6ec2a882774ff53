"""An index for those images of a category that one person labeled.

Only adds: the code of 0001 and 0002 goes on working on these tables.
"""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the index."""
    op.create_index(
        "membership_by_category_labeler", "membership", ["dataset", "category", "labeled_by", "id"]
    )
