"""Names that people give to networks."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.add_column("network", sa.Column("name", sa.String(64), nullable=True))
    op.create_index("network_by_name", "network", ["name"], unique=True)


def downgrade() -> None:
    op.drop_index("network_by_name", "network")
    op.drop_column("network", "name")
