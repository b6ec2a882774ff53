"""Classifications that were recorded, and corrections on their way."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
_NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "classification",
        sa.Column("sequence", _NUMBER, primary_key=True),
        sa.Column("id", sa.String(28), nullable=False, unique=True),
        sa.Column("image", sa.String(64), nullable=False),
        sa.Column("dataset", sa.String(63), nullable=False),
        sa.Column("network", sa.String(64), nullable=False),
        sa.Column("category", sa.String(120), nullable=False),
        sa.Column("confidence", sa.Float, nullable=False),
        sa.Column("answers", sa.Text, nullable=False),
        sa.Column("margin", sa.Float, nullable=False),
        sa.Column("entropy", sa.Float, nullable=False),
        sa.Column("seconds", sa.Float, nullable=False),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("correction", _NUMBER),
        sqlite_autoincrement=True,
    )
    op.create_index("classification_by_image", "classification", ["image"])
    op.create_index("classification_by_time", "classification", ["at"])
    for name, columns in (
        ("dataset", ["dataset", "sequence"]),
        ("category", ["dataset", "category", "sequence"]),
        ("margin", ["dataset", "margin", "sequence"]),
        ("entropy", ["dataset", "entropy", "sequence"]),
    ):
        op.create_index(f"classification_by_{name}", "classification", columns)
    op.create_table(
        "correction",
        sa.Column("number", _NUMBER, primary_key=True),
        sa.Column("classification", sa.String(28), nullable=False),
        sa.Column("image", sa.String(64), nullable=False),
        sa.Column("dataset", sa.String(63), nullable=False),
        sa.Column("category", sa.String(120), nullable=False),
        sa.Column("who", sa.String(120)),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("due", sa.Float, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("correction_by_classification", "correction", ["classification"])
    op.create_index("correction_by_state", "correction", ["state", "due"])
    op.create_index("correction_by_image", "correction", ["image", "state"])


def downgrade() -> None:
    op.drop_table("correction")
    op.drop_table("classification")
