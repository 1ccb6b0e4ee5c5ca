"""Whose turn it is at a service: one at a time over all replicas, first come, first served."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from sqlalchemy import Connection, Engine, and_, delete, func, not_, or_, select

from .database import insert_new
from .lease import Claim
from .tables import queue
from .transactions import Transactions

_LOCK = 727273  # any fixed number: the queue is changed by one process after the other
_POLL_S = 0.2


class Turns(Transactions):
    """A row for each that waits at a service or has its turn there. Those of processes that are gone do not count."""

    def __init__(self, engine: Engine, claim: Claim) -> None:
        super().__init__(engine)
        self._claim, self._wanted = claim, set[str]()

    @asynccontextmanager
    async def at(self, service: str) -> AsyncIterator[None]:
        """Entered when everybody who came before has left."""
        ticket = uuid.uuid4().hex
        self._wanted.add(ticket)
        try:
            # Only the table tells of other processes.
            while not await asyncio.to_thread(self._is_next, service, ticket):  # noqa: ASYNC110
                await asyncio.sleep(_POLL_S)
            yield
        finally:
            self._wanted.discard(ticket)
            await asyncio.to_thread(self.tidy)

    def tidy(self) -> None:
        """Remove rows of the dead, and those here that nobody wants any more, whatever kept them. Synchronous."""
        with self._alone() as connection:
            # Read in here: what was wanted before may lack the ticket of a row that was made meanwhile.
            mine = queue.c.holder == self._claim.holder
            unwanted = and_(mine, queue.c.ticket.not_in(tuple(self._wanted)))
            connection.execute(delete(queue).where(or_(unwanted, not_(self._claim.lives(queue.c.holder)))))

    @contextmanager
    def _alone(self) -> Iterator[Connection]:
        with self._write() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(select(func.pg_advisory_xact_lock(_LOCK)))
            yield connection

    def _is_next(self, service: str, ticket: str) -> bool:
        """The row is made here, and made again at the end where another process took this one for dead."""
        with self._alone() as connection:
            here = queue.c.service == service
            if connection.scalar(select(queue.c.ticket).where(queue.c.ticket == ticket)) is None:
                last = connection.scalar(select(func.max(queue.c.place)).where(here)) or 0
                row = {"ticket": ticket, "service": service, "place": last + 1, "holder": self._claim.holder}
                insert_new(connection, queue, [row])
            living = self._claim.lives(queue.c.holder)
            first = select(queue.c.ticket).where(here, living).order_by(queue.c.place).limit(1)
            return connection.scalar(first) == ticket
