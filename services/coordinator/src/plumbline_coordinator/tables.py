"""The coordinator's own tables. Workflow state holds ids; the texts are here. Schema changes are Alembic migrations."""

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    DateTime,
    Dialect,
    Float,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
)

metadata = MetaData(
    naming_convention={"pk": "pk_%(table_name)s", "fk": "fk_%(table_name)s_%(referred_table_name)s"},
)


class Told(TypeDecorator[str]):
    """What others say, a service or a judge: it may have a NUL, which PostgreSQL takes in no text."""

    impl, cache_ok = Text, True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        return None if value is None else value.replace("\x00", "")


def _key(name: str, length: int = 200) -> Column[str]:
    return Column(name, String(length), primary_key=True)


def _of_experiment() -> ForeignKeyConstraint:
    return ForeignKeyConstraint(["experiment"], ["experiment.id"], ondelete="CASCADE")


experiment = Table(
    "experiment",
    metadata,
    _key("id", 128),
    Column("name", String(200), nullable=False),
    Column("spec", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("files", JSON, nullable=False),
    Column("spec_sha256", String(64), nullable=False),
    Column("resolved", JSON, nullable=False),
    Column("manifest", JSON),
    Column("state", String(16), nullable=False),
    Column("attempt", Integer, nullable=False, server_default="1"),  # how often it was begun; see attempt.py
    Column("cause", Told),
    Column("waits_for", String(200)),  # why it is paused: request, limit, disk, credentials, decoding, `service NAME`
    Column("limits", JSON),
    Column("calls", Integer, nullable=False, server_default="0"),
    Column("tokens", BigInteger, nullable=False, server_default="0"),
    Column("worked_s", Float, nullable=False, server_default="0"),  # until `since`
    Column("since", DateTime(timezone=True)),
    Column("results", JSON),
    Column("only", String(16)),  # the phase that it begins with, on what another one recorded; see recorded.py
    Column("recorded_in", String(128)),
    Column("created", DateTime(timezone=True), nullable=False),
    Column("started", DateTime(timezone=True)),
    Column("finished", DateTime(timezone=True)),
)
phase = Table(
    "phase",
    metadata,
    _key("experiment", 128),
    _key("name", 16),
    Column("state", String(16), nullable=False),
    Column("total", Integer, nullable=False),
    Column("done", Integer, nullable=False, server_default="0"),  # counted as results are saved
    Column("failed", Integer, nullable=False, server_default="0"),
    Column("reused", Integer, nullable=False, server_default="0"),
    Column("message", Told),
    Column("started", DateTime(timezone=True)),
    Column("finished", DateTime(timezone=True)),
    _of_experiment(),
)
item = Table(
    "item",
    metadata,
    _key("experiment", 128),
    _key("language", 8),
    _key("item"),
    Column("position", Integer, nullable=False),
    Column("category", String(100), nullable=False),
    Column("tasks", JSON, nullable=False),
    Column("source", Text, nullable=False),  # the text to translate; the instruction itself where `translate` is false
    Column("translate", Integer, nullable=False),
    Column("reference", Text),
    _of_experiment(),
    Index("ix_item_position", "experiment", "language", "position"),
)
chunk = Table(
    "chunk",
    metadata,
    _key("experiment", 128),
    _key("stage", 16),
    Column("number", Integer, primary_key=True),
    Column("unit", String(400), nullable=False),
    Column("items", JSON, nullable=False),
    _of_experiment(),
)
result = Table(
    "result",
    metadata,
    _key("experiment", 128),
    _key("stage", 16),
    _key("unit", 400),
    _key("item"),
    Column("status", String(8), nullable=False),  # ok | failed
    Column("body", JSON),
    Column("cause", Told),
    Column("key", LargeBinary),  # of what determined it, if it may be given again; see reuse.py
    Column("origin", String(128)),  # the experiment that it was taken from
    _of_experiment(),
    Index("ix_result_key", "key"),
)
training = Table(
    "training",
    metadata,
    _key("experiment", 128),
    _key("name", 128),
    Column("job", String(128), nullable=False),
    Column("step", Integer, nullable=False),
    Column("total_steps", Integer, nullable=False),
    Column("tries", Integer, nullable=False, server_default="0"),  # jobs before this one that failed or were cancelled
    _of_experiment(),
)
# How fast a stage asks a service.
flow = Table(
    "flow",
    metadata,
    _key("experiment", 128),
    _key("stage", 16),
    _key("service", 200),
    Column("at_once", Integer, nullable=False),
    Column("most", Integer, nullable=False),
    Column("per_second", Float),
    _of_experiment(),
)
# What the generator counted, of an arm/language in an attempt. It is no part of results: see accounting.py.
usage = Table(
    "usage",
    metadata,
    _key("experiment", 128),
    Column("attempt", Integer, primary_key=True, autoincrement=False),
    _key("unit", 400),
    Column("prompt_tokens", BigInteger, nullable=False),
    Column("cached_prompt_tokens", BigInteger, nullable=False),
    Column("computed_prompt_tokens", BigInteger, nullable=False),
    Column("completion_tokens", BigInteger, nullable=False),
    Column("tokens_saved", BigInteger, nullable=False),
    _of_experiment(),
)
# Which coordinator processes live; see lease.py.
lease = Table(
    "lease",
    metadata,
    _key("executor", 128),
    Column("holder", String(200), nullable=False),
    Column("expires", DateTime(timezone=True), nullable=False),
    Column("backend", Integer),  # process of the server that served the last renewal
)
# Who waits for a turn at a service, or has it; see turns.py.
queue = Table(
    "queue",
    metadata,
    _key("ticket", 32),
    Column("service", String(200), nullable=False),
    Column("place", BigInteger, nullable=False),  # the smallest of a service has the turn
    Column("holder", String(200), nullable=False),  # of a lease
)
