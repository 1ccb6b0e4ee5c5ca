"""Pauses, limits and what was spent, how fast services are asked."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0004"


def upgrade() -> None:
    for column in (
        sa.Column("waits_for", sa.String(200)),
        sa.Column("limits", sa.JSON),
        sa.Column("calls", sa.Integer, nullable=False, server_default="0"),
        sa.Column("tokens", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("worked_s", sa.Float, nullable=False, server_default="0"),
        sa.Column("since", sa.DateTime(timezone=True)),
    ):
        op.add_column("experiment", column)
    op.add_column("training", sa.Column("tries", sa.Integer, nullable=False, server_default="0"))
    op.create_table(
        "flow",
        sa.Column("experiment", sa.String(128), primary_key=True, nullable=False),
        sa.Column("stage", sa.String(16), primary_key=True, nullable=False),
        sa.Column("service", sa.String(200), primary_key=True, nullable=False),
        sa.Column("at_once", sa.Integer, nullable=False),
        sa.Column("most", sa.Integer, nullable=False),
        sa.Column("per_second", sa.Float),
        sa.ForeignKeyConstraint(["experiment"], ["experiment.id"], name="fk_flow_experiment", ondelete="CASCADE"),
    )
