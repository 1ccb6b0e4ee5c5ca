"""Connect to SQLite (embedded) or PostgreSQL (deployed), and bring the schema up to date."""

import sqlite3
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine, Table, create_engine, event, make_url, text
from sqlalchemy.dialects import postgresql, sqlite

_MIGRATION_LOCK = 727271  # any fixed number: replicas that start together migrate one after the other


def connect(url: str) -> Engine:
    """An engine for threads. SQLite gets a write-ahead log and waits for locks instead of failing."""
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        return create_engine(parsed.set(drivername="postgresql+psycopg"), pool_pre_ping=True, pool_size=10)
    if parsed.database:
        Path(parsed.database).resolve().parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(parsed)

    @event.listens_for(engine, "connect")
    def configure(connection: sqlite3.Connection, _: object) -> None:
        for pragma in ("journal_mode=wal", "synchronous=normal", "busy_timeout=30000", "foreign_keys=on"):
            connection.execute(f"pragma {pragma}")

    return engine


def migrate(engine: Engine) -> None:
    """Apply the migrations that are missing."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text("select pg_advisory_xact_lock(:id)"), {"id": _MIGRATION_LOCK})
        else:
            # Python's driver opens no transaction for DDL by itself: a kill would leave half a schema.
            connection.exec_driver_sql("begin immediate")
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def folders(engine: Engine) -> list[Path]:
    """Where the database grows on this machine; nowhere if it is a server."""
    if engine.dialect.name != "sqlite" or not engine.url.database:
        return []
    return [Path(engine.url.database).resolve().parent]


def workflow_database(url: str) -> str:
    """Where the workflow engine keeps its state: a file beside ours, or its own schema in the same database."""
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        return parsed.set(drivername="postgresql").render_as_string(hide_password=False)
    path = Path(parsed.database or "coordinator.sqlite").resolve()
    path = path.with_name(f"{path.stem}.workflows.sqlite")
    path.parent.mkdir(parents=True, exist_ok=True)
    with sqlite3.connect(path) as connection:
        connection.execute("pragma journal_mode=wal")  # a property of the file; DBOS does not set it
    return f"sqlite:///{path}"


def insert_new(connection: Connection, table: Table, rows: list[dict[str, Any]]) -> None:
    """Insert the rows whose keys are not there yet."""
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    if rows:
        connection.execute(dialect.insert(table).on_conflict_do_nothing(), rows)
