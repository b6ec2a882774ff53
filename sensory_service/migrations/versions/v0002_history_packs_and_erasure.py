"""Tombstones, who labeled what and when, merged categories, packs, erased images.

Only adds: the code of 0001 goes on working on these tables, beside the new code too.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add columns that may be null, indexes and tables."""
    op.add_column("category", sa.Column("merged_into", sa.String(length=64), nullable=True))
    op.add_column("label_event", sa.Column("kind", sa.String(length=16), nullable=True))
    op.add_column("membership", sa.Column("labeled_by", sa.String(length=120), nullable=True))
    op.add_column("membership", sa.Column("changed", sa.Float(), nullable=True))
    for name in ("height", "width", "channels"):
        op.add_column("membership", sa.Column(name, sa.Integer(), nullable=True))
    op.execute("UPDATE membership SET changed = added")
    op.create_index("membership_by_change", "membership", ["dataset", "changed", "id"])
    op.create_index("membership_by_labeler", "membership", ["dataset", "labeled_by", "id"])
    op.create_index(
        "membership_by_category_change", "membership", ["dataset", "category", "changed", "id"]
    )
    op.create_index(
        "membership_by_labeler_change", "membership", ["dataset", "labeled_by", "changed", "id"]
    )
    op.create_index(
        "membership_labeled",
        "membership",
        ["dataset", "id"],
        sqlite_where=sa.text("category IS NOT NULL"),
        postgresql_where=sa.text("category IS NOT NULL"),
    )
    op.add_column("snapshot", sa.Column("packed", sa.Float(), nullable=True))
    op.add_column("snapshot", sa.Column("purged", sa.Integer(), nullable=True))
    op.create_table(
        "removed",
        sa.Column("dataset", sa.Integer(), nullable=False),
        sa.Column("image", sa.String(length=64), nullable=False),
        sa.Column("category", sa.String(length=64), nullable=True),
        sa.Column("split", sa.String(length=16), nullable=True),
        sa.Column("split_said", sa.Boolean(), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["category"], ["category.id"]),
        sa.ForeignKeyConstraint(["dataset"], ["dataset.id"]),
        sa.ForeignKeyConstraint(["image"], ["image.sha256"]),
        sa.PrimaryKeyConstraint("dataset", "image"),
    )
    op.create_table(
        "packed",
        sa.Column("image", sa.String(length=64), nullable=False),
        sa.Column("pack", sa.String(length=64), nullable=False),
        sa.Column("start", sa.BigInteger(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("image"),
    )
    op.create_index("packed_by_pack", "packed", ["pack"])
    op.create_table(
        "purged",
        sa.Column("image", sa.String(length=64), nullable=False),
        sa.Column("who", sa.String(length=120), nullable=True),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("done", sa.Float(), nullable=True),
        sa.PrimaryKeyConstraint("image"),
    )
