"""Which process of the server served the last renewal of a lease."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.add_column("lease", sa.Column("backend", sa.Integer))
