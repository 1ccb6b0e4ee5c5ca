"""Who waits for a turn at a service, or has it."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.create_table(
        "queue",
        sa.Column("ticket", sa.String(32), primary_key=True, nullable=False),
        sa.Column("service", sa.String(200), nullable=False),
        sa.Column("place", sa.BigInteger, nullable=False),
        sa.Column("holder", sa.String(200), nullable=False),
    )
