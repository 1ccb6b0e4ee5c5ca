"""The first schema."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def _experiment_child(name: str, *columns: sa.Column) -> None:  # type: ignore[type-arg]
    op.create_table(
        name,
        _key("experiment", 128),
        *columns,
        sa.ForeignKeyConstraint(["experiment"], ["experiment.id"], name=f"fk_{name}_experiment", ondelete="CASCADE"),
    )


def _key(name: str, length: int = 200) -> sa.Column[str]:
    return sa.Column(name, sa.String(length), primary_key=True, nullable=False)


def _time(name: str, nullable: bool = True) -> sa.Column:  # type: ignore[type-arg]
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def upgrade() -> None:
    op.create_table(
        "experiment",
        _key("id", 128),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("spec", sa.Text, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("files", sa.JSON, nullable=False),
        sa.Column("spec_sha256", sa.String(64), nullable=False),
        sa.Column("resolved", sa.JSON, nullable=False),
        sa.Column("manifest", sa.JSON),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("cause", sa.Text),
        sa.Column("results", sa.JSON),
        _time("created", nullable=False),
        _time("started"),
        _time("finished"),
    )
    _experiment_child(
        "phase",
        _key("name", 16),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("total", sa.Integer, nullable=False),
        sa.Column("message", sa.Text),
        _time("started"),
        _time("finished"),
    )
    _experiment_child(
        "item",
        _key("language", 8),
        _key("item"),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("category", sa.String(100), nullable=False),
        sa.Column("tasks", sa.JSON, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("translate", sa.Integer, nullable=False),
        sa.Column("reference", sa.Text),
    )
    _experiment_child(
        "chunk",
        _key("stage", 16),
        sa.Column("number", sa.Integer, primary_key=True, nullable=False),
        sa.Column("unit", sa.String(400), nullable=False),
        sa.Column("items", sa.JSON, nullable=False),
    )
    _experiment_child(
        "result",
        _key("stage", 16),
        _key("unit", 400),
        _key("item"),
        sa.Column("status", sa.String(8), nullable=False),
        sa.Column("body", sa.JSON),
        sa.Column("cause", sa.Text),
    )
    _experiment_child(
        "training",
        _key("name", 128),
        sa.Column("job", sa.String(128), nullable=False),
        sa.Column("step", sa.Integer, nullable=False),
        sa.Column("total_steps", sa.Integer, nullable=False),
    )
