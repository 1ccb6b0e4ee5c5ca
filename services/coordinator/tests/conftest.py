"""A database of its own for every test."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from plumbline_coordinator import database
from plumbline_coordinator.store import Store
from sqlalchemy import Engine


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = database.connect(f"sqlite:///{tmp_path}/test.sqlite")
    database.migrate(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def store(engine: Engine) -> Store:
    return Store(engine)
