"""Which coordinator processes live: on PostgreSQL a lease that each renews, on SQLite a lock of the only one."""

import logging
import os
import signal
import socket
import time
import uuid
from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

from filelock import FileLock, Timeout
from plumbline_kit.errors import ProblemError
from sqlalchemy import (
    URL,
    ColumnElement,
    Connection,
    Integer,
    and_,
    column,
    delete,
    false,
    func,
    make_url,
    not_,
    or_,
    select,
    table,
    true,
    update,
)
from sqlalchemy.dialects.postgresql import insert

from .database import connect, usable
from .repeating import Repeating
from .tables import lease

log = logging.getLogger(__name__)
_LOCK = 727272  # any fixed number: those who join and those who look who lives do it one after the other
_RENEWALS = 5  # within the time of a lease, at least
# Who was cut off for two renewals knows it and looks at no sessions; for less, it is back within another two.
_RENEWED_EVERY_S, _SILENT_S = 0.5, 2.0
_RECONNECTED_S = 15  # after the server has started, everybody who lives is there again
_ENDING_S = 5  # an only process gets so long to end before the next one gives up
_FORGOTTEN = timedelta(hours=1)
_MARK = 8  # characters at the end of a holder that are its own
_ACTIVITY = table(
    "pg_stat_activity", column("pid", Integer), column("usename"), column("application_name"), column("xact_start")
)


class Claim(Protocol):
    """The right of this process to run workflows under the id `holder`."""

    @property
    def holder(self) -> str: ...

    def session(self, user: str) -> str:
        """What sessions of this process at the server are called: who uses them, and whose they are."""

    def acquire(self) -> None:
        """Before anything runs. Raises the problem `executor-taken`."""

    def release(self) -> None:
        """After everything has stopped; what is left, others take over at once."""

    def living(self) -> AbstractContextManager[set[str] | None]:
        """The holders that live, this one among them; null while another process is looking."""

    def lives(self, holder: ColumnElement[str]) -> ColumnElement[bool]:
        """The same as a condition on a column, in the tables' database."""


def claim(url: str | URL, executor: str | None, lease_s: float) -> Claim:
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        return OnlyProcess(Path(parsed.database or "coordinator.sqlite"), executor or "embedded")
    return Lease(parsed, executor, lease_s)


class OnlyProcess:
    """A locked file beside an SQLite database. The system unlocks it when the process is gone, however it ended."""

    def __init__(self, path: Path, executor: str) -> None:
        self.path, self.holder = path.resolve(), executor
        self._lock = FileLock(self.path.with_name(f"{self.path.name}.lock"), thread_local=False)

    def session(self, user: str) -> str:
        return f"plumbline {user}"

    def acquire(self) -> None:
        try:
            self._lock.acquire(timeout=_ENDING_S)
        except Timeout as error:
            detail = f"Another coordinator runs on {self.path}. SQLite is for one process; several need PostgreSQL."
            raise ProblemError(409, "executor-taken", detail) from error

    def release(self) -> None:
        self._lock.release()

    @contextmanager
    def living(self) -> Iterator[set[str] | None]:
        yield {self.holder}

    def lives(self, holder: ColumnElement[str]) -> ColumnElement[bool]:
        return holder == self.holder


class Lease:
    """A row per executor. All times are the database's, so that the clocks of machines do not matter.

    Every process has a holder of its own, so that nobody takes a process for the one before it under the same executor.
    A lease lasts for `seconds`; shorter where the server says that the session which renewed it last is no more.
    Who finds that a lease has ended ends the transactions of its holder: a frozen process must not keep its locks.
    """

    def __init__(self, url: URL, executor: str | None, seconds: float) -> None:
        self.holder = f"{executor or socket.gethostname()[:100]}-{uuid.uuid4().hex[:_MARK]}"
        self.executor, self.seconds = executor or self.holder, seconds
        # Of its own: renewing must not wait for other work.
        self._engine = connect(url, connections=2, name=self.session("lease"))
        self._every = min(_RENEWED_EVERY_S, seconds / _RENEWALS)
        self._renewing = Repeating("renew the lease", self._every, self._renew)
        self._doubtful_until, self._cut_off_until = 0.0, 0.0
        self._renewed: float | None = None

    def session(self, user: str) -> str:
        return f"plumbline {user} {self.holder[-_MARK:]}"  # the server cuts what is longer than 63 bytes

    def acquire(self) -> None:
        """Waits for the end of a lease that nobody renews any more."""
        until = None
        while (found := self._take()) is not None:
            if until not in (None, found):
                detail = (
                    f"The executor {self.executor!r} is another coordinator that runs now. "
                    "Give each replica a COORDINATOR_EXECUTOR of its own, or none."
                )
                raise ProblemError(409, "executor-taken", detail)
            if until is None:
                log.warning("the executor %s was used until just now; waiting for its lease to end", self.executor)
            until = found
            time.sleep(self._every)
        self._was_renewed()
        self._doubtful_until = time.monotonic() + self.seconds  # the database may have come back just now
        self._renewing.start()

    def release(self) -> None:
        self._renewing.stop()
        try:
            with usable(), self._engine.begin() as connection:
                connection.execute(delete(lease).where(lease.c.holder == self.holder))
        except ProblemError as error:
            log.warning("the lease is not released but ends by itself: %s", error)
        self._engine.dispose()

    @contextmanager
    def living(self) -> Iterator[set[str] | None]:
        lives, is_there = lease.c.expires > func.clock_timestamp(), self._is_there()
        with usable(), self._engine.begin() as connection:
            if not connection.scalar(select(func.pg_try_advisory_xact_lock(_LOCK))):
                yield None
                return
            query = select(lease.c.holder, lives.label("lives"), is_there.label("is_there"))
            found = {row.holder: row for row in connection.execute(query)}
            # After an outage of the database all leases have run out: the others get time to renew theirs.
            mine = found.get(self.holder)
            doubtful = mine is None or not mine.lives or time.monotonic() < self._doubtful_until
            living = {self.holder} | {one.holder for one in found.values() if one.is_there and (one.lives or doubtful)}
            if not doubtful:
                if dead := found.keys() - living:
                    _cut_off(connection, dead)
                connection.execute(delete(lease).where(lease.c.expires < func.clock_timestamp() - _FORGOTTEN))
            yield living

    def lives(self, holder: ColumnElement[str]) -> ColumnElement[bool]:
        doubtful = time.monotonic() < self._doubtful_until
        renewed = true() if doubtful else lease.c.expires > func.clock_timestamp()
        return holder.in_(select(lease.c.holder).where(renewed, self._is_there()))

    def _is_there(self) -> ColumnElement[bool]:
        return or_(lease.c.holder == self.holder, not_(self._gone()))

    def _gone(self) -> ColumnElement[bool]:
        """Whose session has ended, and who did not come back in another.

        Sessions say nothing where all have just ended: the server was started, or this process was cut off, too. Behind
        a pooler they outlive their users, and older versions name none: those leases end by their time alone.
        """
        if self._is_late() or time.monotonic() < self._cut_off_until:
            return false()
        return and_(
            lease.c.backend.is_not(None),
            lease.c.backend.not_in(select(_ACTIVITY.c.pid)),
            lease.c.expires < self._end() - timedelta(seconds=_SILENT_S),
            func.pg_postmaster_start_time() < func.clock_timestamp() - timedelta(seconds=_RECONNECTED_S),
        )

    def _take(self) -> datetime | None:
        """Make the lease ours. While it is another holder's: until when."""
        free = or_(lease.c.holder == self.holder, lease.c.expires < func.clock_timestamp(), self._gone())
        mine = {"holder": self.holder} | self._renewal()
        row = insert(lease).values(executor=self.executor, **mine)
        taken = row.on_conflict_do_update(index_elements=["executor"], set_=mine, where=free).returning(lease.c.holder)
        with usable(), self._engine.begin() as connection:
            connection.execute(select(func.pg_advisory_xact_lock(_LOCK)))
            query = select(lease.c.holder, lease.c.expires).where(lease.c.executor == self.executor)
            before = connection.execute(query).one_or_none()
            is_ours = connection.execute(taken).first() is not None
            if before is not None and before.holder != self.holder:
                if not is_ours:
                    until: datetime = before.expires
                    return until
                _cut_off(connection, [before.holder])
            return None

    def _renew(self) -> None:
        mine = (lease.c.holder == self.holder, lease.c.expires > func.clock_timestamp())
        with usable(), self._engine.begin() as connection:
            if connection.execute(update(lease).where(*mine).values(self._renewal())).rowcount:
                self._was_renewed()
                return
        log.warning("the lease ran out: stopped, or cut off from the database, for over %g s", self.seconds)
        self._doubtful_until = time.monotonic() + self.seconds
        if self._take() is not None:
            log.error("another process runs as the executor %s since then; this one ends", self.executor)
            os.kill(os.getpid(), signal.SIGTERM)

    def _is_late(self) -> bool:
        return self._renewed is not None and time.monotonic() > self._renewed + 2 * self._every

    def _was_renewed(self) -> None:
        if self._is_late():
            self._cut_off_until = time.monotonic() + _SILENT_S
        self._renewed = time.monotonic()

    def _renewal(self) -> dict[str, ColumnElement[Any]]:
        return {"expires": self._end(), "backend": func.pg_backend_pid()}

    def _end(self) -> ColumnElement[datetime]:
        return func.clock_timestamp() + timedelta(seconds=self.seconds)


def _cut_off(connection: Connection, holders: Collection[str]) -> None:
    """End the transactions that are left of them, and the locks with these.

    The server's own limit (`LONGEST_SLEEP_S`) is longer, and need not hold where a process stopped while it sent many
    rows, or just after: the driver sends them in a pipeline (decision 57).
    """
    name = _ACTIVITY.c.application_name
    theirs = and_(name.like("plumbline %"), func.right(name, _MARK).in_([holder[-_MARK:] for holder in holders]))
    mine = _ACTIVITY.c.usename == func.current_user()  # nobody may end those of another user
    under_way = _ACTIVITY.c.xact_start.is_not(None)
    ending = select(name, func.pg_terminate_backend(_ACTIVITY.c.pid)).where(theirs, mine, under_way)
    for session, _ in connection.execute(ending):
        log.warning("ended a transaction of %s, whose lease has ended", session)
