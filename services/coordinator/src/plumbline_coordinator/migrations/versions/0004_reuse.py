"""Keys of results, where they were taken from, and how many of a phase were; experiments on recorded responses."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.add_column("result", sa.Column("key", sa.LargeBinary))
    op.add_column("result", sa.Column("origin", sa.String(128)))
    op.create_index("ix_result_key", "result", ["key"])
    op.add_column("phase", sa.Column("reused", sa.Integer, nullable=False, server_default="0"))
    op.add_column("experiment", sa.Column("only", sa.String(16)))
    op.add_column("experiment", sa.Column("recorded_in", sa.String(128)))
