"""Connect to SQLite (embedded) or PostgreSQL (deployed), and bring the schema up to date."""

import logging
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from plumbline_kit.errors import ProblemError
from sqlalchemy import URL, Connection, Engine, Table, create_engine, event, make_url, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import InterfaceError, InternalError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

log = logging.getLogger(__name__)
_MIGRATION_LOCK = 727271  # any fixed number: replicas that start together migrate one after the other
# A server that went without a word is noticed within half a minute; the system's own limit is a quarter of an hour.
NETWORK: dict[str, Any] = {
    "connect_timeout": 10,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
}
# Then the server ends a session that sleeps in a transaction, if by then no other coordinator has (see lease.py).
LONGEST_SLEEP_S = 15


def connect(url: str | URL, connections: int = 8, name: str = "plumbline") -> Engine:
    """An engine for threads. On a server: so many connections at most, shown there under this name."""
    parsed = make_url(url)
    return _file(parsed) if parsed.get_backend_name() == "sqlite" else _server(parsed, connections, name)


def _server(url: URL, connections: int, name: str) -> Engine:
    engine = create_engine(
        url.set(drivername="postgresql+psycopg"),
        pool_pre_ping=True,
        pool_size=connections,
        max_overflow=0,
        connect_args=NETWORK | {"application_name": name},
    )

    @event.listens_for(engine, "connect")
    def configure(connection: psycopg.Connection[Any], _: object) -> None:
        connection.execute(f"set idle_in_transaction_session_timeout = '{LONGEST_SLEEP_S}s'")
        connection.execute("set jit = off")  # 0.1 s before a query of high estimate, which takes less itself
        connection.commit()

    return engine


def _file(url: URL) -> Engine:
    """SQLite gets a write-ahead log and waits for locks instead of failing."""
    if url.database:
        Path(url.database).resolve().parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(url)

    @event.listens_for(engine, "connect")
    def configure(connection: sqlite3.Connection, _: object) -> None:
        for pragma in ("journal_mode=wal", "synchronous=normal", "busy_timeout=30000", "foreign_keys=on"):
            connection.execute(f"pragma {pragma}")

    return engine


@contextmanager
def usable() -> Iterator[None]:
    """A database that is locked, full or restarting becomes the problem `no-database`, which may pass."""
    try:
        yield
    except (OperationalError, InterfaceError, InternalError, PoolTimeout) as error:
        detail = f"The database cannot be used: {type(error).__name__}."
        raise ProblemError(503, "no-database", detail, retry_after=2) from error


def migrate(engine: Engine, revision: str = "head") -> None:
    """Apply the migrations up to `revision` that are missing.

    A newer schema is used as it is: a migration only adds (decision 13).
    """
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text("select pg_advisory_xact_lock(:id)"), {"id": _MIGRATION_LOCK})
        else:
            # Python's driver opens no transaction for DDL by itself: a kill would leave half a schema.
            connection.exec_driver_sql("begin immediate")
        config.attributes["connection"] = connection
        known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
        found = MigrationContext.configure(connection).get_current_revision()
        if found is None or found in known:
            command.upgrade(config, revision)
        else:
            log.warning("the schema %s of the database is newer than this coordinator", found)


def folders(engine: Engine) -> list[Path]:
    """Where the database grows on this machine; nowhere if it is a server."""
    if engine.dialect.name != "sqlite" or not engine.url.database:
        return []
    return [Path(engine.url.database).resolve().parent]


def workflow_database(url: URL | str) -> str:
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


def insert_new(connection: Connection, table: Table, rows: list[dict[str, Any]]) -> int:
    """Insert the rows whose keys are not there yet. Return how many."""
    if not rows:
        return 0
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    insert = dialect.insert(table).on_conflict_do_nothing()
    return connection.execute(insert, rows, execution_options={"preserve_rowcount": True}).rowcount
