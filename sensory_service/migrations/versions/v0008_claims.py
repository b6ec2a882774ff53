"""Who is about to label which images.

Only adds: the code of 0001 to 0007 goes on working on these tables.
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table and its indexes."""
    number = sa.BigInteger().with_variant(sa.Integer, "sqlite")
    op.create_table(
        "label_claim",
        sa.Column("membership", number, nullable=False),
        sa.Column("client", sa.String(64), nullable=False),
        sa.Column("dataset", sa.Integer, nullable=False),
        sa.Column("until", sa.Float, nullable=False),
        sa.Column("skipped", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("membership", "client"),
    )
    op.create_index("label_claim_by_client", "label_claim", ["dataset", "client"])
    op.create_index("label_claim_by_end", "label_claim", ["dataset", "until"])
