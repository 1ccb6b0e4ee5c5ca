"""What the generator counted, by attempt, arm and language."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.create_table(
        "usage",
        sa.Column("experiment", sa.String(128), primary_key=True, nullable=False),
        sa.Column("attempt", sa.Integer, primary_key=True, nullable=False, autoincrement=False),
        sa.Column("unit", sa.String(400), primary_key=True, nullable=False),
        sa.Column("prompt_tokens", sa.BigInteger, nullable=False),
        sa.Column("cached_prompt_tokens", sa.BigInteger, nullable=False),
        sa.Column("computed_prompt_tokens", sa.BigInteger, nullable=False),
        sa.Column("completion_tokens", sa.BigInteger, nullable=False),
        sa.Column("tokens_saved", sa.BigInteger, nullable=False),
        sa.ForeignKeyConstraint(["experiment"], ["experiment.id"], name="fk_usage_experiment", ondelete="CASCADE"),
    )
