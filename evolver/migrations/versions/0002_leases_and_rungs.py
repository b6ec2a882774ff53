"""Leases of runs; rungs by number; histories, keys and weights of trainings in columns."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("run", sa.Column("lease_until", sa.Float))
    op.add_column("evaluation", sa.Column("history", sa.Text))
    op.add_column("evaluation", sa.Column("training_key", sa.String(64)))
    op.add_column("evaluation", sa.Column("weights", sa.String(200)))
    op.create_index("evaluation_by_key", "evaluation", ["training_key"])
    op.create_index("evaluation_by_weights", "evaluation", ["weights"])
    _rename("search", "1")


def downgrade() -> None:
    _rename("1", "search")
    op.drop_index("evaluation_by_weights", "evaluation")
    op.drop_index("evaluation_by_key", "evaluation")
    with op.batch_alter_table("evaluation") as table:
        for name in ("weights", "training_key", "history"):
            table.drop_column(name)
    with op.batch_alter_table("run") as table:
        table.drop_column("lease_until")


def _rename(old: str, new: str) -> None:
    evaluation = sa.table("evaluation", sa.column("rung"), sa.column("value"))
    value = sa.func.replace(evaluation.c.value, f'"rung":"{old}"', f'"rung":"{new}"')
    op.execute(evaluation.update().where(evaluation.c.rung == old).values(rung=new, value=value))
