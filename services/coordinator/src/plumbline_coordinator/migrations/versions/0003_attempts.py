"""Attempts of an experiment, counters of its phases, items by position."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("experiment", sa.Column("attempt", sa.Integer, nullable=False, server_default="1"))
    for name in ("done", "failed"):
        op.add_column("phase", sa.Column(name, sa.Integer, nullable=False, server_default="0"))
    op.create_index("ix_item_position", "item", ["experiment", "language", "position"])
    # What there is was counted whenever it was asked for.
    op.execute(
        "update phase set done = (select count(*) from result"
        " where result.experiment = phase.experiment and result.stage = phase.name)"
    )
    op.execute(
        "update phase set failed = (select count(*) from result"
        " where result.experiment = phase.experiment and result.stage = phase.name and result.status = 'failed')"
    )
